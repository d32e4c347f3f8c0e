"""Keeps a process's memory shared with those that it forks, who would have a copy of much of it.

A child puts its objects wherever there is a free place, also on pages that it shares with its parent; each of these is
then copied for it. With no place free there, its objects lie close together on pages of its own. And it counts who uses
the objects of its parent, where it may: a count that is written, too, is a page that is copied.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import sysconfig
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

SMALL = range(512, 0, -16)  # bytes: Python keeps objects of one such size together
LARGE = (*(1 << power for power in range(16, 12, -1)), *range(1 << 12, 0, -16))  # the system's library, all else
HEADER = 33  # bytes of an object of no bytes
MOST = 300_000  # pieces of one size

Ranges = list[tuple[int, int]]


# ---------------------------------------------------------------- no place is free


def fill() -> list[Any]:
    """What fills the holes that loading has left; to be kept."""
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    with suppress(OSError):
        library.malloc_trim(0)  # what is free at the end goes back to the system
        known = mapped()
        for size in LARGE:
            plug(size, known, library.malloc)
        return [piece for size in SMALL for piece in islice(pieces(size, known), MOST)]
    return []


def plug(size: int, known: Ranges, allocate: Callable[[ctypes.c_size_t], int]) -> None:
    """Take memory of this size, until it lies where there was none before; it is never given back."""
    for _piece in range(MOST):
        if not lies_in(allocate(ctypes.c_size_t(size)), known):
            return


def pieces(size: int, known: Ranges) -> Iterator[Any]:
    """Objects of this size, until one lies where there was no memory before."""
    while lies_in(id(piece := made(size)), known):
        yield piece


def made(size: int) -> object:
    """A new object that takes so many bytes."""
    if size > HEADER:
        return bytes(size - HEADER)
    return float(size) if size > object.__sizeof__(object()) else object()


def mapped() -> Ranges:
    """The addresses that this process has memory at, in their order."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    ends = (line.split(maxsplit=1)[0].split("-") for line in lines)
    return [(int(begin, 16), int(end, 16)) for begin, end in ends]


def lies_in(address: int, ranges: Ranges) -> bool:
    place = bisect_right(ranges, (address, 1 << 64)) - 1
    return place >= 0 and address < ranges[place][1]


# ---------------------------------------------------------------- nobody counts

CLOSED = ModuleType, FrameType  # what these refer to may be gone already, or be ours
USES = ctypes.c_uint32  # how the number of an object's uses begins
TRIED = (3, 12), (3, 13)  # versions of Python


def outlive() -> None:
    """Let all there is now be like None: since Python 3.12 nobody counts who uses that, as it is there for ever."""
    if can_outlive():
        for_ever = USES.from_address(id(None)).value
        for address in addresses():
            USES.from_address(address).value = for_ever


def can_outlive() -> bool:
    """Whether this Python has such objects, and counts uses as it did where this was tried."""
    known = sys.implementation.name == "cpython" and sys.byteorder == "little" and ctypes.sizeof(ctypes.c_void_p) == 8
    return known and sys.version_info[:2] in TRIED and not sysconfig.get_config_var("Py_GIL_DISABLED")


def addresses() -> set[int]:
    """Of all objects that can be found."""
    known: set[int] = set()
    found = gc.get_objects()
    while found:
        new = {id(each): each for each in found if id(each) not in known}
        known.update(new)
        found = referred(new.values())
    return known


def referred(objects: Iterable[Any]) -> list[Any]:
    """What they refer to. `type` asks no object, as `isinstance` does: what one stands for may be gone."""
    open_to_us = [each for each in objects if not issubclass(type(each), CLOSED)]
    constants = [each.co_consts for each in open_to_us if type(each) is CodeType]
    return [*gc.get_referents(*open_to_us), *constants]
