"""The machine code of CPU kernels: made by Numba once, kept in a file, and loaded without Numba from then on.

Numba takes half a second to load, most of it for what only compiling needs. LLVM alone loads machine code in a
millisecond or two. So a lesson that has been opened before starts without Numba.

A file holds the name of the function in the machine code, a zero, and the machine code: an object file.
"""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from dltutor.kernels import kept, machine

if TYPE_CHECKING:
    from dltutor.kernels.compile import Kernel

NEEDED = re.compile(rb"\0(numba_\w+)\0")  # names of Numba's own functions that machine code calls
RESHAPE = "numba_attempt_nocopy_reshape"


def address(kernel: Kernel, name: str, kinds: Callable[[], tuple[Any, ...]]) -> int:
    """Where the machine code of `kernel` stands, compiled for arguments of `kinds`, which only Numba can name; `name`
    tells it from all others."""
    from dltutor.kernels.shared import provide_all

    content = kept.kept(name, key(kernel), lambda: compiled(kernel, kinds()))
    symbol, _zero, code = content.partition(b"\0")
    provide_all(code)
    provide_numba({name.decode() for name in NEEDED.findall(code)})
    return machine.load(code).get_function_address(symbol.decode())


def is_kept(kernel: Kernel, name: str) -> bool:
    """Whether there is a file of it, so that Numba is not needed."""
    return kept.path(name, key(kernel)).is_file()


def key(kernel: Kernel) -> str:
    """What the machine code was made from and with."""
    from dltutor.kernels.compile import source_stamp

    return kept.key(source_stamp(), kept.source(kernel.py_func), machine.processor(), *chosen(), signature(kernel))


def chosen() -> list[str]:
    """The processor that somebody has chosen; that wide registers are wanted goes without saying, and is set here too
    once Numba is loaded."""
    named = [os.environ.get(f"NUMBA_CPU_{name}", "") for name in ("NAME", "FEATURES")]
    return ["" if name == machine.wide_registers() else name for name in named]


def signature(kernel: Kernel) -> str:
    """As declared; a shared part's file is named by what it was compiled for."""
    return "" if kernel.part else kernel.signature


def compiled(kernel: Kernel, kinds: tuple[Any, ...]) -> bytes:
    """Let Numba compile it: what a file holds."""
    with vectorised_lines(kernel.vectorise_lines), without_collector():
        kernel.dispatcher.compile(kinds)
    made = kernel.dispatcher.overloads[kinds]
    symbol = made.fndesc.llvm_func_name
    made.library.get_pointer_to_function(symbol)  # only now it is compiled
    return symbol.encode() + b"\0" + bytes(made.library._get_compiled_object())


@contextmanager
def vectorised_lines(wanted: bool) -> Iterator[None]:
    """Let LLVM put lines that do the same to neighbouring numbers, as short loops become, into one instruction."""
    import numba

    config: Any = numba.config
    before, config.SLP_VECTORIZE = config.SLP_VECTORIZE, int(wanted)
    try:
        yield
    finally:
        config.SLP_VECTORIZE = before


@contextmanager
def without_collector() -> Iterator[None]:
    """A compiler makes millions of little objects; looking for cycles among them takes a sixth of its time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


# ---------------------------------------------------------------- what Numba would provide


def provide_numba(names: set[str]) -> None:
    """See that LLVM finds Numba's own functions: it ends the process where it does not."""
    if names:
        provide_reshape()
    if names - {RESHAPE}:
        from dltutor.kernels.compile import prepare

        prepare()


@cache
def provide_reshape() -> None:
    """The strides of an array in another shape. Numba lets kernels reshape contiguous arrays only: it is no question
    whether that is possible, as in Numba's own function, which does it for all arrays."""
    if machine.llvm().address_of_symbol(RESHAPE) is None:
        machine.llvm().add_symbol(RESHAPE, machine.assemble(STRIDES).get_function_address("strides"))


STRIDES = """
define i32 @strides(i64 %axes, ptr %shape, ptr %old, i64 %count, ptr %sizes, ptr %strides, i64 %item, i32 %order) {
entry:
  br label %test
test:
  %left = phi i64 [%count, %entry], [%axis, %next]
  %stride = phi i64 [%item, %entry], [%wider, %next]
  %more = icmp sgt i64 %left, 0
  br i1 %more, label %next, label %done
next:
  %axis = sub i64 %left, 1
  %place = getelementptr i64, ptr %strides, i64 %axis
  store i64 %stride, ptr %place
  %size_at = getelementptr i64, ptr %sizes, i64 %axis
  %size = load i64, ptr %size_at
  %wider = mul i64 %stride, %size
  br label %test
done:
  ret i32 1
}
"""
