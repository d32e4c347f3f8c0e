"""Ours against theirs: the same work done by turns in one process, so that a busy machine slows both.

A round times a few repetitions of one, then of the other, and gives one ratio; what is told is the median of the
rounds. Nothing is left out on either side: forward and backward pass, gradients of all parameters, the optimiser's
step, and the loss read out as a number.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from rich.cells import cell_len

from dltutor.bench import rows
from dltutor.bench.rows import median
from dltutor.errors import DltutorError, UsageError
from dltutor.i18n import _

Work = Callable[[], object]
OPPONENTS = {"torch": "torch", "torch.compile": "torch", "numpy": "numpy", "sklearn": "scikit-learn"}  # packages
SLICE = 0.02  # seconds that one side of a round takes at least
PAUSE = 0.15  # seconds: the other side's threads go on waiting for work, with all their might, for up to 100 ms
SECONDS, ROUNDS_AT_LEAST = 3.0, 5  # spent on a pair, and rounds however long they take


@dataclass(frozen=True)
class Pair:
    """The same work twice."""

    name: str
    against: str
    ours: Work
    theirs: Work
    flops: float = 0.0  # of one repetition, where it is known


@dataclass(frozen=True)
class Versus:
    """How long both took, in microseconds; ratio is above 1 where ours is faster."""

    name: str
    against: str
    threads: int
    ours_us: float
    theirs_us: float
    ratio: float


def chosen(against: str) -> list[str]:
    """The opponents named, "torch,numpy"; of all, those that are installed."""
    if not against:
        return [name for name, package in OPPONENTS.items() if name != "torch.compile" and _installed(package)]
    names = [name.strip() for name in against.split(",")]
    for name in names:
        if name not in OPPONENTS:
            message = _("nothing to compare with is called {name}").format(name=name)
            raise UsageError(message, _("Choose from: {names}").format(names=", ".join(OPPONENTS)))
        if not _installed(OPPONENTS[name]):
            message = _("{package} is not installed").format(package=OPPONENTS[name])
            raise DltutorError(message, _('Install it with: pip install "dltutor[parity]"'))
    return names


def _installed(package: str) -> bool:
    return rows.version(package) is not None


def thread_counts() -> list[int]:
    """One, and as many as there are cores."""
    from dltutor.kernels.launch import usable_cores

    return sorted({1, usable_cores()})


def race(pair: Pair, threads: int) -> Versus:
    """Both sides by turns, with so many threads each."""
    with using(threads):
        times = [(one, other) for one, other in _rounds(pair)]
    ours, theirs = (median([taken[side] for taken in times]) for side in (0, 1))
    ratio = median([taken[1] / taken[0] for taken in times])
    return Versus(pair.name, pair.against, threads, _digits(ours * 1e6), _digits(theirs * 1e6), _digits(ratio))


def _rounds(pair: Pair) -> Iterator[tuple[float, float]]:
    often = [_repetitions(work) for work in (pair.ours, pair.theirs)]
    end, done = time.perf_counter() + SECONDS, 0
    while done < ROUNDS_AT_LEAST or time.perf_counter() < end:
        yield _seconds(pair.ours, often[0]), _seconds(pair.theirs, often[1])
        done += 1


def _repetitions(work: Work) -> int:
    """As many as fill a slice of time, after a few that warm up caches and compilers."""
    for _time in range(3):
        work()
    return max(1, round(SLICE / _seconds(work, 1)))


def _seconds(work: Work, often: int) -> float:
    time.sleep(PAUSE)
    start = time.perf_counter()
    for _time in range(often):
        work()
    return (time.perf_counter() - start) / often


def _digits(value: float) -> float:
    return float(f"{value:.4g}")


@contextmanager
def using(threads: int) -> Iterator[None]:
    """So many threads for everybody: ours, PyTorch's, and those of NumPy's linear algebra."""
    import threadpoolctl

    from dltutor.kernels.launch import use_threads

    use_threads(threads)
    if _installed("torch"):
        import torch

        torch.set_num_threads(threads)
    with threadpoolctl.threadpool_limits(threads):
        yield


# ---------------------------------------------------------------- how it is shown


def report(
    pairs: Callable[[list[str], str], Iterable[Pair]], against: str, threads: int | None, only: str, as_json: bool
) -> None:
    """Run the races and show each as it is done, or all of them as JSON."""
    from dltutor import compiled
    from dltutor.bench.limits import machine

    opponents = chosen(against)
    compiled.prepare_folder(lambda notice: print(notice, end="", file=sys.stderr))
    where = machine(OPPONENTS[name] for name in opponents)
    counts = [threads] if threads else thread_counts()
    races = (race(pair, count) for pair in pairs(opponents, only) for count in counts)
    if as_json:
        found = [asdict(row) for row in races]
        print(json.dumps({"machine": where, "rows": found}, indent=2, ensure_ascii=False))
    else:
        show(races, where)


def show(races: Iterable[Versus], machine: dict[str, Any]) -> None:
    """A line a row, as soon as it is known; then the mean of the ratios."""
    print(_line("", _("against"), _("threads"), _("ours, µs"), _("theirs"), _("ratio")))
    ratios: dict[tuple[str, int], list[float]] = {}
    for row in races:
        ratios.setdefault((row.against, row.threads), []).append(row.ratio)
        times = (f"{time:,.1f}" if time < 1000 else f"{time:,.0f}" for time in (row.ours_us, row.theirs_us))
        print(_line(row.name, row.against, row.threads, *times, f"{row.ratio:.2f}"), flush=True)
    print()
    for (against, threads), found in ratios.items():
        mean = math.exp(sum(map(math.log, found)) / len(found))
        print(_line(_("geometric mean of {n}").format(n=len(found)), against, threads, "", "", f"{mean:.2f}"))
    print("\n" + "\n".join(f"{name}: {value}" for name, value in machine.items()))


def _line(name: str, *columns: object) -> str:
    """In 80 columns."""
    return pad(name, 36) + "".join(pad(str(column), -width) for column, width in zip(columns, WIDTHS, strict=True))


WIDTHS = 14, 8, 8, 8, 6


def pad(text: str, width: int) -> str:
    """`text` in so many cells, at the left; for a negative width, at the right."""
    room = " " * (abs(width) - cell_len(text))
    return text + room if width > 0 else room + text
