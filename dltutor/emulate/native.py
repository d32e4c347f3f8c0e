"""A CUDA kernel as machine code of this processor: for training where there is no graphics card.

    native(dense_forward_cuda).bind((blocks, 1, 1), (128, 1, 1), (x, w, b, y)).run()

Numba compiles the kernel for a card, as far as LLVM IR; translate.py rewrites what only a card has, schedule.py adds
the loops over blocks and threads, and LLVM compiles all of it for the processor. The numbers are those of the card, up
to how a library rounds e^x. The machine code is kept in a file: loading it again needs no compiler, not even Numba.

Nothing is checked: an index out of bounds reads or writes what happens to be there (interpreter.py checks everything).
Shared memory is one place for all launches of a kernel: no two of them may run at the same time.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import math
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from dltutor.emulate.arguments import require_matching
from dltutor.kernels import kept, machine
from dltutor.kernels.compile import CudaKernel, Size, argument_names, declared, source_stamp
from dltutor.kernels.launch import array_words

ALIGNMENT = 64  # of scratch memory, in bytes
MAKERS = ("front", "library", "schedule", "translate")  # of the machine code


class NativeKernel:
    """The machine code of one kernel."""

    def __init__(self, kernel: CudaKernel, code: bytes) -> None:
        engine = machine.load(code)
        self.name = kernel.__name__
        self.parameters = parameters(kernel)
        self.address = engine.get_function_address("launch")
        self.call = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, ctypes.c_int64)(self.address)
        self._scratch = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(engine.get_function_address("scratch"))

    def bind(self, grid: Size, block: Size, arguments: Sequence[Any]) -> Bound:
        """Ready to run, and to run again.

        Raises DltutorError where an argument is not what the kernel declares.
        """
        require_matching([parameter.name for parameter in self.parameters], self.parameters, arguments)
        pairs = zip(self.parameters, arguments, strict=True)
        return Bound(self, grid, block, [word for kind, value in pairs for word in kind.words(value)], arguments)

    def scratch(self, threads: int) -> np.ndarray:
        """Memory for the threads of one block to wait in."""
        size = self._scratch(threads)
        room = np.empty(size + ALIGNMENT, np.uint8)
        first = -room.ctypes.data % ALIGNMENT
        return room[first : first + size]


class Bound:
    """A kernel with its grid and the words of its arguments."""

    def __init__(
        self, kernel: NativeKernel, grid: Size, block: Size, words: Sequence[int], arguments: Sequence[Any] = ()
    ) -> None:
        self.kernel = kernel
        self.arguments = tuple(arguments)  # the words point into them: they must not go away
        self.scratch = kernel.scratch(math.prod(block))
        self.sizes = np.array([*grid, *block, self.scratch.ctypes.data], np.int64)
        self.words = np.array(words, np.int64)

    @property
    def row(self) -> tuple[int, int, int]:
        """Of a table of launches: the function, and what it is called with."""
        return self.kernel.address, self.sizes.ctypes.data, self.words.ctypes.data

    def run(self) -> None:
        self.kernel.call(self.sizes.ctypes.data, self.words.ctypes.data)

    def set(self, name: str, number: float) -> None:
        """Give a number argument another value."""
        place = 0
        for parameter in self.kernel.parameters:
            if parameter.name == name:
                (self.words[place],) = parameter.words(number)
            place += parameter.size


# ---------------------------------------------------------------- what runs CUDA kernels on this device


class Native:
    """See Executor in dltutor/kernels/compile.py."""

    def launch(self, kernel: CudaKernel, grid: Size, block: Size, arguments: tuple[Any, ...]) -> None:
        native(kernel).bind(grid, block, arguments).run()

    def warm(self, kernel: CudaKernel) -> None:
        native(kernel)


@cache
def native(kernel: CudaKernel) -> NativeKernel:
    """The kernel for this processor: compiled now, or some time before.

    Raises DltutorError where Numba has no CUDA compiler, or the kernel does what only a card can.
    """
    name = f"{Path(kernel.py_func.__code__.co_filename).stem}.{kernel.__name__}"
    return NativeKernel(kernel, kept.kept(name, key(kernel), lambda: build(kernel)))


def build(kernel: CudaKernel) -> bytes:
    """Compile a kernel: an object file with the functions that schedule.py describes."""
    from dltutor.emulate import front, schedule, translate

    compiled = front.compiled(kernel)
    thread = translate.translated(compiled.modules(), compiled.entry, compiled.name)
    loops = schedule.of_coroutines(thread.shuffles) if thread.waits else schedule.of_loops()
    return machine.compiled(machine.parse((thread.text, loops)))


def key(kernel: CudaKernel) -> str:
    """What the machine code was made from and with: sources, compilers, processor."""
    return kept.key(circumstances(), kernel.signature, kept.source(kernel.py_func))


@cache
def circumstances() -> str:
    makers = (Path(__file__).with_name(f"{name}.py").read_bytes() for name in MAKERS)
    return kept.key(source_stamp(), *makers, sys.version, machine.processor(), version("numba-cuda"))


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


# ---------------------------------------------------------------- arguments


class Parameter:
    """One argument as a kernel declares it; `ndim` is None for a number."""

    def __init__(self, name: str, dtype: str, axes: int) -> None:
        self.name = name
        self.dtype = np.dtype(dtype)
        self.ndim = axes or None
        self.size = 5 + 2 * axes if axes else 1  # in words

    def __str__(self) -> str:
        """float32[:, ::1] or int64"""
        return f"{self.dtype}[{':, ' * (self.ndim - 1)}::1]" if self.ndim else str(self.dtype)

    def words(self, value: Any) -> list[int]:
        """What the kernel is handed: 64 bits each, a number in the first of them."""
        if self.ndim:
            return array_words(value, value.ctypes.data)
        word = np.zeros(1, np.int64)
        word.view(self.dtype)[0] = value
        return word.tolist()


def parameters(kernel: CudaKernel) -> tuple[Parameter, ...]:
    names = argument_names(kernel.py_func)
    return tuple(Parameter(name, *kind) for name, kind in zip(names, declared(kernel), strict=True))
