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
from functools import cache
from itertools import groupby
from typing import Any

from dltutor.kernels.compile import CudaKernel, CudaSequence, Size, argument_names, cuda_run_with
from dltutor.kernels.launch import Table, array_words

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


# ---------------------------------------------------------------- on a card


class CardPart:
    """One kernel on the card: all that the driver wants to know to launch it."""

    def __init__(self, kernel: CudaKernel, grid: Size, block: Size, arguments: Sequence[Any]) -> None:
        from cuda.core import LaunchConfig

        compiled = kernel.dispatcher.compile(kernel.signature)
        self.arrays = [argument for argument in arguments if hasattr(argument, "shape")]  # must not go away
        self.code = compiled._codelibrary.get_cufunc().kernel
        self.config = LaunchConfig(grid=grid, block=block)
        kinds = dict(zip(argument_names(kernel.py_func), compiled.argument_types, strict=True))
        values = [card_words(argument, kind) for argument, kind in zip(arguments, kinds.values(), strict=True)]
        self.numbers = {name: words[0] for name, words in zip(kinds, values, strict=True) if len(words) == 1}
        self.words = [word for words in values for word in words]

    def launch(self, stream: Any) -> None:
        from cuda.core import launch

        launch(stream, self.config, self.code, *self.words)

    def set(self, name: str, number: float) -> None:
        self.numbers[name].value = number


def card_words(argument: Any, kind: Any) -> list[Any]:
    """What a kernel is handed: of an array two words it never looks at, then size, address, shape, strides."""
    if not hasattr(kind, "ndim"):
        return [getattr(ctypes, {"float32": "c_float", "int64": "c_int64"}[str(kind)])(argument)]
    address = argument.device_ctypes_pointer.value or 0  # none where it has no elements
    return array_words(argument, address)


class CudaGraph:
    """Launches on a card, in the order in which they were added.

    The first replay launches them one by one, so that everything is loaded; the second has the driver record them.
    """

    def __init__(self) -> None:
        self.launches: list[CudaLaunch] = []
        self._replays = 0
        self._changes = -1
        self._pieces: list[Callable[[Any], Any]] = []

    def add(self, operation: Operation, *arguments: Any) -> CudaLaunch:
        """Bind an operation to arrays of the card and numbers."""
        self.launches.append(CudaLaunch(operation, arguments, CardPart))
        self._replays = 0
        return self.launches[-1]

    def replay(self) -> None:
        changes = sum(launch.changes > 0 for launch in self.launches)
        if self._replays < 2 or changes != self._changes:
            self._changes = changes
            self._pieces = self._recorded() if self._replays else self._one_by_one()
        self._replays += 1
        for piece in self._pieces:
            piece(stream())

    def _one_by_one(self) -> list[Callable[[Any], Any]]:
        return [part.launch for launch in self.launches for part in launch.parts]

    def _recorded(self) -> list[Callable[[Any], Any]]:
        """Runs of launches whose numbers never change, as one graph each; the others one by one between them."""
        pieces: list[Callable[[Any], Any]] = []
        for changing, some in groupby(self.launches, lambda launch: launch.changes > 0):
            parts = [part for launch in some for part in launch.parts]
            pieces += [part.launch for part in parts] if changing or len(parts) == 1 else [captured(parts)]
        return pieces


def captured(parts: Sequence[CardPart]) -> Callable[[Any], Any]:
    """A call that launches all of them as one graph; where the driver cannot record them, one after the other."""
    builder = stream().create_graph_builder()
    try:
        builder.begin_building()
        launch_all(parts, builder)
        graph = builder.end_building().complete()
    except Exception:  # whatever the driver's reason: without a graph it works, too
        return lambda stream: launch_all(parts, stream)
    return graph.launch


def launch_all(parts: Sequence[CardPart], stream: Any) -> None:
    for part in parts:
        part.launch(stream)


@cache
def stream() -> Any:
    """Where graphs run: not the default stream, which cannot be recorded, but one that waits for it and it for this.

    So copies, which Numba makes on the default stream, stay in order with kernels.
    """
    from cuda.core import Device, StreamOptions

    card = Device()
    card.set_current()
    return card.create_stream(options=StreamOptions(nonblocking=False))


# ---------------------------------------------------------------- emulated


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
            self._parts = parts
            self._table = Table([[part.row] for part in parts])
            self._run = self._table.alone()
        self._run()


def bind_native(kernel: CudaKernel, grid: Size, block: Size, arguments: tuple[Any, ...]) -> Any:
    from dltutor.emulate.native import native

    kernel.try_out(grid, block, arguments)
    return native(kernel).bind(grid, block, arguments)
