"""Bytes and CPU of live pictures in a terminal, and of a picture on its way from the engine."""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dltutor.bench.rows import Row, at_least, at_most, median, quantile, to_know
from dltutor.bench.speed import slowness
from dltutor.bench.terminal import Piece, Terminal, python
from dltutor.errors import DltutorError
from dltutor.i18n import _

SECONDS = 60.0  # longer than any scene with its idle end takes, above its updates


@dataclass(frozen=True)
class Budget:
    """What an update may cost. None: not limited."""

    cpu: float  # ms, mean
    mean: float | None = None  # bytes
    middle: float | None = None  # bytes, median
    worst: float | None = None  # bytes
    raster: float | None = None  # ms, median: the cells alone, without Textual


BUDGETS = {
    "line 2x1,000": Budget(4, middle=200, worst=4000, raster=1),
    "line 2x100,000": Budget(4, middle=200, worst=4000, raster=1),
    "heat 64x64": Budget(7, mean=6000, worst=12000),
    "scatter over heat": Budget(8, mean=8000),
    "board 200x60": Budget(22, mean=10_000),
    "board 120x40": Budget(13, mean=5000),
    "board 80x24": Budget(10, mean=2000),
}


@dataclass(frozen=True)
class Cost:
    """Of one scene, warm-up left out."""

    sizes: list[int]  # bytes of each update
    cpu: float  # ms of each update, mean
    raster: float  # ms, median
    idle: float  # bytes a second while nothing changes


def measure(folder: Path, runs: int) -> list[Row]:
    """Draw every scene `runs` times over. CPU times are told at the speed of the machine that the budgets are from."""
    from dltutor.bench.scenes import SCENES

    rows: list[Row] = []
    slow = [slowness(folder)]
    for name in SCENES:
        cost = _cost(name, runs, folder)
        slow.append(slowness(folder))
        rows += _rows(name, cost, (slow[-1] + slow[-2]) / 2)
    return [to_know("this machine, slower than the reference", median(slow), "times"), *rows, *frames()]


def _rows(name: str, cost: Cost, slow: float) -> Iterator[Row]:
    budget = BUDGETS[name]
    if budget.raster:
        yield at_most(f"{name}: raster", cost.raster / slow, budget.raster, "ms CPU at reference speed")
    yield at_most(f"{name}: update", cost.cpu / slow, budget.cpu, "ms CPU at reference speed")
    yield to_know(f"{name}: update, as it was", cost.cpu, "ms CPU")
    sizes = {"mean": sum(cost.sizes) / len(cost.sizes), "median": median(cost.sizes), "worst": max(cost.sizes)}
    limits = {"mean": budget.mean, "median": budget.middle, "worst": budget.worst}
    for kind, size in sizes.items():
        limit = limits[kind]
        row_name = f"{name}: bytes, {kind}"
        yield at_most(row_name, size, limit, "B") if limit else to_know(row_name, size, "B")
    yield at_most(f"{name}: nothing new", cost.idle, 0, "B/s")


# ---------------------------------------------------------------- in a terminal


def _cost(name: str, updates: int, folder: Path) -> Cost:
    from dltutor.bench.scenes import IDLE, RATE, SCENES, WARM_UP

    updates += WARM_UP
    file = folder / "report.json"
    file.unlink(missing_ok=True)
    command = python("-m", "dltutor.bench.scenes", name, str(updates), str(file))
    with Terminal(command, *SCENES[name].terminal) as terminal:
        terminal.listen(updates / RATE + IDLE + SECONDS)  # ends with the program
        told = _report(file, terminal)
    began, spent = told["began"], told["spent"]
    sizes = bytes_between(terminal.pieces, began[: updates + 1])
    idle = bytes_between(terminal.pieces, [began[updates], began[-1]])[0]
    cpu = (spent[updates] - spent[WARM_UP]) / (updates - WARM_UP)
    return Cost(sizes[WARM_UP:], 1e3 * cpu, 1e3 * median(told["raster"]), idle / (began[-1] - began[updates]))


def _report(file: Path, terminal: Terminal) -> dict[str, Any]:
    if not file.exists():
        raise DltutorError(_("a picture could not be drawn"), "\n".join(filter(str.strip, terminal.lines)))
    return json.loads(file.read_text())


def bytes_between(pieces: list[Piece], times: list[float]) -> list[int]:
    """How many bytes came from each of `times` to the next."""
    sizes = [0] * (len(times) - 1)
    for at, data in pieces:
        place = bisect_right(times, at) - 1
        if 0 <= place < len(sizes):
            sizes[place] += len(data)
    return sizes


# ---------------------------------------------------------------- between the processes


def frames() -> list[Row]:
    """A 64x64 picture as the engine sends it, beside the same as a list of JSON numbers."""
    from dltutor import wire
    from dltutor.bench.scenes import field, heat
    from dltutor.engine.pack import pack

    values = field(60)
    line = wire.encode(wire.Frame(60, {"boundary": pack(heat(60))}))
    text = json.dumps({"step": 60, "values": [[float(v) for v in row] for row in values]}).encode()
    ours, plain = by_turns(lambda: wire.decode(line), lambda: json.loads(text))
    return [
        at_most("frame 64x64: size", len(line), 6000, "B"),
        to_know("frame 64x64: size as JSON numbers", len(text), "B"),
        to_know("frame 64x64: decode, median", 1e3 * median(ours), "ms"),
        to_know("frame 64x64: decode, p95", 1e3 * quantile(ours, 0.95), "ms"),
        at_least("frame 64x64: decode JSON numbers / ours", median(plain) / median(ours), 10, "times"),
    ]


def by_turns(one: Any, other: Any, times: int = 100) -> tuple[list[float], list[float]]:
    """Seconds that each of two functions takes."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _turn in range(times):
        for act, kept in zip((one, other), seconds, strict=True):
            before = time.perf_counter()
            act()
            kept.append(time.perf_counter() - before)
    return seconds
