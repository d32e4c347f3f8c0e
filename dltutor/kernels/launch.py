"""Launches: a kernel bound to its arguments once, so that calling it again costs next to nothing.

A call from Python costs half a microsecond to two: every argument is looked at, unpacked and handed over. In a small
network that is more than the arithmetic. A `Graph` does this work once. It keeps, for each kernel, the address of its
machine code and the very words it wants to be called with, and `replay` runs through all of them in one native call:

    graph = Graph()
    step = graph.add(sgd_step, p, g, 0.1)
    graph.replay()
    step.set("lr", 0.05)

The arrays are bound, not copied: change their contents, and the next replay sees it. Python's lock is released
meanwhile.

Large launches are cut into pieces by rows, which several threads can share (`use_threads`). Where they are cut depends
on the sizes alone, so the numbers are the same for one thread and for many.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels import machine
from dltutor.kernels.compile import ZERO, Kernel, Vector, argument_names, declared, kernel


class Launch:
    """One kernel and the words of its arguments: of an array its address, shape and strides; a number as it is."""

    def __init__(self, kernel: Kernel, arguments: tuple[Any, ...]) -> None:
        self.kernel = kernel
        arguments = kernel.taken(arguments)
        self.pieces: list[Launch] = []  # that take its place, where several threads share the work
        self.arguments = arguments  # the words point into them: they must not go away
        self.function, self.form = kernel.address, form(kernel)
        self.places = dict(zip(argument_names(kernel.py_func), _starts(arguments), strict=True))
        self.words = np.array([word for argument in arguments for word in _words(argument)], np.int64)
        assert self.words.size == len(self.form), f"{kernel} cannot take {arguments}"
        self._float32, self._int64 = self.words.view(np.float32), self.words
        for name, argument in zip(self.places, arguments, strict=True):
            if not isinstance(argument, np.ndarray):
                self.set(name, argument)

    def run(self) -> None:
        """Call it once, here and now. A graph does so for less."""
        place = addresses([self.form])[self.form]
        call = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, ctypes.c_int64)(place)
        if call(self.function, self.words.ctypes.data):
            raise RuntimeError(f"{self.kernel} raised an error")

    def set(self, name: str, number: float) -> None:
        """Give the number argument `name` another value."""
        for piece in self.pieces:
            piece.set(name, number)
        place = self.places[name]
        if self.form[place] == "f":
            self._float32[2 * place] = number
        else:
            self._int64[place] = number


class Raised(DltutorError):
    """One of these launches raised an error: machine code does not say which."""

    def __init__(self, launches: list[Launch]) -> None:
        super().__init__(_("a kernel raised an error"), _("Call it by itself to see which one, and why."))
        self.launches = launches


class Graph:
    """Launches in the order in which they were added, replayed by one native call."""

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self._stages: list[list[Launch]] = []  # what has to be done one after the other; launches of one are apart
        self._run: Callable[[], int] | None = None

    def add(self, kernel: Kernel, *arguments: Any) -> Launch:
        """Bind a kernel to arrays, C-contiguous and of the declared dtypes, and numbers."""
        launch = Launch(kernel, arguments)
        pieces = cut(launch)
        self.launches.append(launch)
        self._stages += [pieces, *sums(launch, pieces)] if pieces else [[launch]]
        self._run = None
        return launch

    def replay(self) -> None:
        run = self._run or self._prepare()
        if run():
            raise Raised(self.launches)

    def _prepare(self) -> Callable[[], int]:
        trampolines = addresses(launch.form for stage in self._stages for launch in stage)
        self._table = Table(
            [
                [(trampolines[launch.form], launch.function, launch.words.ctypes.data) for launch in stage]
                for stage in self._stages
            ]
        )
        shared = any(len(stage) > 1 for stage in self._stages)
        self._run = Timed(self._table).run if shared else self._table.alone()
        return self._run


class Table:
    """What the native loop reads: a row a stage, and in it for each piece a function and the two addresses that it is
    called with; of a launch, its trampoline, machine code and words. Whoever has the table keeps what they point to."""

    def __init__(self, stages: list[list[tuple[int, int, int]]]) -> None:
        self.steps = np.zeros((len(stages), PIECES, 3), np.int64)
        for row, stage in zip(self.steps, stages, strict=True):
            row[: len(stage)] = stage
        self.arrived = np.zeros(1, np.int64)  # threads at a barrier, all stages together

    def alone(self) -> Callable[[], int]:
        """Run all of it in this thread."""
        return self.part(0, 1)

    def part(self, thread: int, threads: int) -> Callable[[], int]:
        """Run every `threads`-th piece of each stage, and wait after each for the other threads."""
        replay, count = replayer(), len(self.steps)
        words = [thread, threads, count, self.steps.ctypes.data, self.arrived.ctypes.data]
        numbers = tuple(ctypes.c_int64(word) for word in words)
        return lambda: replay(*numbers)


class Timed:
    """Runs a table in one thread first; where that takes long enough to be worth it, in several from then on."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.alone = table.alone()
        self.parts: list[Callable[[], int]] = []
        self.times: list[float] = []

    def run(self) -> int:
        threads = len(_crew)
        if not threads or (len(self.times) >= TRIALS and min(self.times) < WORTH_IT):
            return self.alone()
        if len(self.times) < TRIALS:
            return self._measure()
        if len(self.parts) != threads + 1:
            self.parts = [self.table.part(thread, threads + 1) for thread in range(threads + 1)]
        self.table.arrived[0] = 0
        others = [worker.submit(part) for worker, part in zip(_crew, self.parts[1:], strict=True)]
        return self.parts[0]() | max(other.result() for other in others)

    def _measure(self) -> int:
        start = time.perf_counter()
        failed = self.alone()
        self.times.append(time.perf_counter() - start)
        return failed


TRIALS = 3
WORTH_IT = 0.0004  # seconds: waking a thread takes up to a quarter of that
_crew: list[ThreadPoolExecutor] = []  # one thread each, so that all of them are awake at the same time


def usable_cores() -> int:
    """Of this process: fewer than the machine has, where it is confined to some."""
    confined = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(confined(0)) if confined else os.cpu_count() or 1


def use_threads(count: int) -> None:
    """Replay graphs with so many threads, this one included, where it pays. The numbers do not depend on it."""
    while len(_crew) > count - 1:
        _crew.pop().shutdown()
    while len(_crew) < count - 1:
        _crew.append(ThreadPoolExecutor(1, thread_name_prefix="kernels"))


# ---------------------------------------------------------------- several threads


PIECES = 4  # that a launch is cut into, whoever works on them: sums depend on where they are cut
ROWS_AT_LEAST, NUMBERS_AT_LEAST = 8, 2**16  # of what is cut
GAIN = 8  # rows have to hold so many times more numbers than the sums, which are copied and added


def cut(launch: Launch) -> list[Launch]:
    """The launch as several of fewer rows each; none where it is too small, or not made for it.

    All but the first add to sums of their own.
    """
    kernel, names = launch.kernel, argument_names(launch.kernel.py_func)
    given = dict(zip(names, launch.arguments, strict=True))
    rows = [given[name] for name in kernel.rows if given[name].shape[0]]
    if not rows or len(rows[0]) < ROWS_AT_LEAST:
        return []
    numbers, summed = (sum(array.size for array in some) for some in (rows, [given[name] for name in kernel.sums]))
    if numbers < max(NUMBERS_AT_LEAST, GAIN * summed):
        return []
    ends = [len(rows[0]) * piece // PIECES for piece in range(PIECES + 1)]
    launch.pieces = [_piece(kernel, given, slice(*place)) for place in pairwise(ends)]
    return launch.pieces


def _piece(kernel: Kernel, given: dict[str, Any], place: slice) -> Launch:
    """The launch for these rows; the first piece adds to the sums themselves."""
    own_rows = {name: given[name][place] for name in kernel.rows}
    own_sums = {name: given[name] if place.start == 0 else np.zeros_like(given[name]) for name in kernel.sums}
    own_scratch = {name: np.zeros_like(given[name]) for name in kernel.scratch}
    return Launch(kernel, tuple((given | own_rows | own_sums | own_scratch).values()))


def sums(launch: Launch, pieces: list[Launch]) -> list[list[Launch]]:
    """The stages that add what the pieces have summed up to the first one's, and set it back to zero."""
    places = [argument_names(launch.kernel.py_func).index(name) for name in launch.kernel.sums]
    return [
        [Launch(collect, (launch.arguments[place].reshape(-1), piece.arguments[place].reshape(-1))) for place in places]
        for piece in pieces[1:]
        if places
    ]


@kernel
def collect(total: Vector, part: Vector) -> None:
    for i in range(total.size):
        total[i] += part[i]
        part[i] = ZERO


# ---------------------------------------------------------------- the words that machine code wants


def form(kernel: Kernel) -> str:
    """The form of a kernel's arguments: a letter for each word that its machine code takes.

    p is an address, i a 64-bit integer, f a float32. Numba passes an array as two addresses that only matter where
    memory is counted, the number of elements, their size, the address of the first, then the shape and the strides.
    """
    letters = {"float32": "f", "int64": "i"}
    return "".join("ppiip" + "ii" * axes if axes else letters[dtype] for dtype, axes in declared(kernel))


def _words(argument: Any) -> list[int]:
    if not isinstance(argument, np.ndarray):
        return [0]  # Launch.set writes it
    assert argument.flags.c_contiguous, "kernels take C-contiguous arrays"
    return array_words(argument, argument.ctypes.data)


def array_words(array: Any, address: int) -> list[int]:
    """An array as Numba hands it to a kernel, on every device: see `form`."""
    return [0, 0, array.size, array.dtype.itemsize, address, *array.shape, *array.strides]


def _starts(arguments: tuple[Any, ...]) -> list[int]:
    """The place of each argument's first word."""
    sizes = [len(_words(argument)) for argument in arguments]
    return [sum(sizes[:i]) for i in range(len(sizes))]


# ---------------------------------------------------------------- trampolines


KINDS = {"p": "ptr", "i": "i64", "f": "float"}
_addresses: dict[str, int] = {}  # of the trampoline for each form

# One thread's share of a table. Threads meet after each stage: each adds 1 to %arrived and waits for the others' ones.
REPLAY = """
declare i32 @sched_yield()

define i64 @replay(i64 %thread, i64 %threads, i64 %count, ptr %steps, ptr %arrived) {
entry:
  br label %stages
stages:
  %stage = phi i64 [0, %entry], [%next_stage, %together]
  %failures = phi i64 [0, %entry], [%seen, %together]
  %more_stages = icmp slt i64 %stage, %count
  br i1 %more_stages, label %pieces, label %done
pieces:
  %piece = phi i64 [%thread, %stages], [%next_piece, %after]
  %seen = phi i64 [%failures, %stages], [%now_seen, %after]
  %more_pieces = icmp slt i64 %piece, PIECES
  br i1 %more_pieces, label %look, label %arrive
look:
  %entry_at = getelementptr [PIECES x [3 x i64]], ptr %steps, i64 %stage, i64 %piece
  %trampoline = load ptr, ptr %entry_at
  %none = icmp eq ptr %trampoline, null
  br i1 %none, label %after, label %work
work:
  %second = getelementptr i64, ptr %entry_at, i64 1
  %third = getelementptr i64, ptr %entry_at, i64 2
  %function = load ptr, ptr %second
  %words = load ptr, ptr %third
  %status = call i32 %trampoline(ptr %function, ptr %words)
  %failed = icmp ne i32 %status, 0
  %failed_number = zext i1 %failed to i64
  %with_this = or i64 %seen, %failed_number
  br label %after
after:
  %now_seen = phi i64 [%seen, %look], [%with_this, %work]
  %next_piece = add i64 %piece, %threads
  br label %pieces
arrive:
  %next_stage = add i64 %stage, 1
  %is_alone = icmp eq i64 %threads, 1
  br i1 %is_alone, label %together, label %meet
meet:
  %wanted = mul i64 %next_stage, %threads
  %before = atomicrmw add ptr %arrived, i64 1 seq_cst
  br label %wait
wait:
  %turns = phi i64 [0, %meet], [%next_turn, %again]
  %here = load atomic i64, ptr %arrived seq_cst, align 8
  %all_here = icmp sge i64 %here, %wanted
  br i1 %all_here, label %together, label %patience
patience:
  %next_turn = add i64 %turns, 1
  %long = icmp sgt i64 %turns, 1000
  br i1 %long, label %let_others, label %again
let_others:
  %yielded = call i32 @sched_yield()
  br label %again
again:
  br label %wait
together:
  br label %stages
done:
  ret i64 %failures
}
""".replace("PIECES", str(PIECES))


@cache
def replayer() -> Any:
    """replay(thread, threads, count, steps, arrived): 0, or 1 where a kernel raised an error."""
    return ctypes.CFUNCTYPE(*[ctypes.c_int64] * 6)(machine.assemble(REPLAY).get_function_address("replay"))


def addresses(forms: Iterable[str]) -> dict[str, int]:
    """Where the trampoline for each form stands; those not yet there are compiled together."""
    missing = sorted(set(forms) - set(_addresses))
    if missing:
        engine = machine.assemble("".join(map(_trampoline, missing)))
        _addresses.update((form, engine.get_function_address(_symbol(form))) for form in missing)
    return _addresses


def _symbol(form: str) -> str:
    return f"call_{form}"


def _trampoline(form: str) -> str:
    """A function that takes words from memory and calls a kernel with them, as a kernel wants to be called."""
    loads, arguments = [], ["ptr %result", "ptr %error"]
    for i, letter in enumerate(form):
        kind = KINDS[letter]
        loads.append(f"  %p{i} = getelementptr i64, ptr %words, i64 {i}\n  %w{i} = load {kind}, ptr %p{i}\n")
        arguments.append(f"{kind} %w{i}")
    return (
        f"define i32 @{_symbol(form)}(ptr %function, ptr %words) {{\n"
        "  %result = alloca ptr\n  %error = alloca ptr\n"
        f"{''.join(loads)}  %status = call i32 %function({', '.join(arguments)})\n  ret i32 %status\n}}\n"
    )
