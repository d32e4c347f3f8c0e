"""What the assembler makes of PTX for one card: a cubin, an ELF file, and what a thread of it costs.

Registers and shared memory decide how many threads a card can hold at a time. A stack means that numbers which should
be in registers are in memory.

Source   The ELF format; what NVIDIA adds to it (.nv.info) is not published: attribute numbers as cuobjdump shows them.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from dltutor.emulate.front import Capability, first_line
from dltutor.errors import DltutorError
from dltutor.i18n import _

HEADER, SECTION, ATTRIBUTE = "<Q", "<IIQQQQIIQQ", "<BBH"
WITH_SIZE = 4  # the form of an attribute that its own size follows
FRAME_SIZE, MIN_STACK, REGISTER_COUNT = 0x11, 0x12, 0x2F


@dataclass(frozen=True)
class Cost:
    """Of one kernel on one card."""

    registers: int  # of a thread
    stack: int  # bytes of a thread
    shared: int  # bytes of a block
    code: int  # bytes


@dataclass(frozen=True)
class Section:
    """A piece of an ELF file."""

    name: str
    data: bytes
    size: int  # larger than the data where it is only room


def assemble(ptx: str, capability: Capability) -> bytes:
    """The machine code of a card, by NVIDIA's assembler."""
    nvjitlink = linker()
    if nvjitlink is None:
        message = _("NVIDIA's assembler cannot be loaded: {reason}").format(reason=missing_assembler())
        raise DltutorError(message, _('Install it with: pip install "dltutor[cuda]"'))
    major, minor = capability
    handle = nvjitlink.create(2, [f"-arch=sm_{major}{minor}", "-O3"])
    try:
        return linked(nvjitlink, handle, ptx.encode())
    finally:
        nvjitlink.destroy(handle)


def linked(nvjitlink: Any, handle: Any, text: bytes) -> bytes:
    try:
        nvjitlink.add_data(handle, nvjitlink.InputType.PTX, text, len(text), "kernel")
        nvjitlink.complete(handle)
    except nvjitlink.nvJitLinkError as error:
        log = bytearray(nvjitlink.get_error_log_size(handle))
        nvjitlink.get_error_log(handle, log)
        raise DltutorError(_("the assembler refuses: {reason}").format(reason=log.decode().strip("\0\n"))) from error
    cubin = bytearray(nvjitlink.get_linked_cubin_size(handle))
    nvjitlink.get_linked_cubin(handle, cubin)
    return bytes(cubin)


@cache
def linker() -> Any:
    """NVIDIA's library, or None."""
    return None if missing_assembler() else importlib.import_module("cuda.bindings.nvjitlink")


@cache
def missing_assembler() -> str:
    """Why nothing can be assembled here; empty where it can."""
    try:
        importlib.import_module("cuda.bindings.nvjitlink").version()
    except Exception as error:  # no package, no library, or one that is too old: each has an error of its own
        return first_line(error)
    return ""


# ---------------------------------------------------------------- reading


def read(cubin: bytes) -> Cost:
    """Of the one kernel in it, with the functions that the assembler adds, such as the division of long integers."""
    found = list(sections(cubin))
    numbers = [pair for section in found if section.name == ".nv.info" for pair in attributes(section.data)]
    return Cost(
        registers=max((value for kind, value in numbers if kind == REGISTER_COUNT), default=0),
        stack=max((value for kind, value in numbers if kind in (FRAME_SIZE, MIN_STACK)), default=0),
        shared=sum(section.size for section in found if is_shared(section.name)),
        code=sum(section.size for section in found if section.name.startswith(".text.")),
    )


def is_shared(name: str) -> bool:
    return name.startswith(".nv.shared.") and not name.startswith(".nv.shared.reserved")


def sections(elf: bytes) -> Iterator[Section]:
    (table,) = struct.unpack_from(HEADER, elf, 0x28)
    width, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from(SECTION, elf, table + number * width) for number in range(count)]
    for name, _type, _flags, _address, offset, size, *_others in headers:
        start = headers[names][4] + name
        label = elf[start : elf.index(b"\0", start)].decode()
        yield Section(label, elf[offset : offset + size], size)


def attributes(data: bytes) -> Iterator[tuple[int, int]]:
    """What .nv.info says: kinds of numbers and these. (Each has the number of its function in front.)"""
    place = 0
    while place + 4 <= len(data):
        form, kind, size = struct.unpack_from(ATTRIBUTE, data, place)
        place += 4
        if form == WITH_SIZE:
            if size >= 8 and kind in (FRAME_SIZE, MIN_STACK, REGISTER_COUNT):
                yield kind, struct.unpack_from("<II", data, place)[1]
            place += size
