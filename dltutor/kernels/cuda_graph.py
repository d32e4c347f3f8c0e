"""Launches of CUDA kernels, bound to their arguments once and replayed: what launch.py does for the processor.

On a card, ten launches of a small network take longer than its arithmetic: Python looks at every argument each time. A
`CudaGraph` looks once. Its first replay launches one kernel after the other; with the second one the driver records
them as one graph, and from then on a replay is a single launch. Kernels whose numbers change from step to step (a
learning rate) are left out of that and launched by themselves.

An `EmulatedGraph` does the same with machine code of the processor (dltutor/emulate): a replay is one native call.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dltutor.kernels.compile import CudaKernel, CudaSequence, Size, argument_names, cuda_run_with
from dltutor.kernels.launch import PIECES, replayer

Operation = CudaKernel | CudaSequence


class Recorder:
    """Writes down what would be launched. See Executor in compile.py."""

    def __init__(self) -> None:
        self.launches: list[tuple[CudaKernel, Size, Size, tuple[Any, ...]]] = []

    def launch(self, kernel: CudaKernel, grid: Size, block: Size, arguments: tuple[Any, ...]) -> None:
        self.launches.append((kernel, grid, block, arguments))

    def warm(self, kernel: CudaKernel) -> None:
        """Nothing to do."""


def launches(operation: Operation, arguments: Sequence[Any]) -> list[tuple[CudaKernel, Size, Size, tuple[Any, ...]]]:
    """The kernels that a call would launch, each with grid, block and arguments."""
    recorder = Recorder()
    with cuda_run_with(recorder):
        operation(*arguments)
    return recorder.launches


class CudaLaunch:
    """One operation with its arguments; `parts` are its kernels, bound by `bind`."""

    def __init__(self, operation: Operation, arguments: Sequence[Any], bind: Callable[..., Any]) -> None:
        self.operation, self.arguments = operation, list(arguments)
        self.names = argument_names(operation.py_func)
        self.changes = 0  # how often a number got another value
        self._bind = bind
        self.parts = self._bound()

    def set(self, name: str, number: float) -> None:
        """Give the number argument `name` another value."""
        place = self.names.index(name)
        if self.arguments[place] != number:
            self.arguments[place] = number
            self.changes += 1
            self._update(name, number)

    def _update(self, name: str, number: float) -> None:
        if isinstance(self.operation, CudaKernel):
            for part in self.parts:
                part.set(name, number)
        else:  # only the sequence knows which of its kernels get the number, and what becomes of it before
            self.parts = self._bound()

    def _bound(self) -> list[Any]:
        return [self._bind(*launch) for launch in launches(self.operation, self.arguments)]


class EmulatedGraph:
    """Launches on the processor, in the order in which they were added, replayed by one native call."""

    def __init__(self) -> None:
        self.launches: list[CudaLaunch] = []
        self._parts: list[Any] = []  # whose addresses the table holds
        self._run: Callable[[], int] | None = None

    def add(self, operation: Operation, *arguments: Any) -> CudaLaunch:
        """Bind an operation to arrays, C-contiguous and of the declared dtypes, and numbers."""
        self.launches.append(CudaLaunch(operation, arguments, bind_native))
        self._run = None
        return self.launches[-1]

    def replay(self) -> None:
        parts = [part for launch in self.launches for part in launch.parts]
        if self._run is None or parts != self._parts:
            self._parts, self._run = parts, native_replay(parts)
        self._run()


def bind_native(kernel: CudaKernel, grid: Size, block: Size, arguments: tuple[Any, ...]) -> Any:
    from dltutor.emulate.native import native

    return native(kernel).bind(grid, block, arguments)


def native_replay(parts: Sequence[Any]) -> Callable[[], int]:
    """The call that runs bound kernels one after the other. See replayer() in launch.py for the table."""
    steps = np.zeros((len(parts), PIECES, 3), np.int64)
    for row, part in zip(steps, parts, strict=True):
        row[0] = part.kernel.address, part.sizes.ctypes.data, part.words.ctypes.data
    arrived = np.zeros(1, np.int64)
    numbers = [ctypes.c_int64(n) for n in (0, 1, len(parts), steps.ctypes.data, arrived.ctypes.data)]
    replay = replayer()
    return lambda: replay(*numbers) + 0 * steps.size  # which keeps the table alive
