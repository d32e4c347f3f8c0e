"""How long a learner waits: for the first training frame of a lesson, and for the screen to answer a key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dltutor.bench.processes import resident
from dltutor.bench.rows import Row, at_least, at_most, median, quantile, to_know
from dltutor.bench.sitting import (
    GAPS,
    LONG_GAPS,
    Keys,
    Learner,
    built_in_lessons,
    knob,
    section,
    settle_in,
    text,
)
from dltutor.bench.speed import slowness
from dltutor.lesson import Heading

COLD, WARM = 6.0, 1.0  # seconds to the first frame
WARM_TIMES = 5
PAINT = 60.0  # ms, p95
APPLICATION, ENGINE = 80.0, 300.0  # MB
LESSON = "06-mlp"  # whose lab trains under the keys
SETTLED = 10.0  # seconds of training after which the memory is taken
LONG = {"pace": 0.0, "steps": 10**9}  # as fast as it goes, and longer than anyone looks
MOST_COLD = 12  # openings with nothing compiled, until enough keys were pressed
SCROLL, TURN, KNOBS = ("\x1b[B", "\x1b[A"), ("n", "p"), ("k", "k")
BATCH = 8  # keys between two looks at whether it still compiles
SECONDS = 180.0  # the longest wait for a first frame


@dataclass(frozen=True)
class Opening:
    seconds: float
    named: int
    """How many different things were said to be compiling."""


def measure(folder: Path, runs: int) -> list[Row]:
    """Open every lesson, cold once and then warm; press `runs` keys in each condition. Seconds are told as they are."""
    rows = [to_know("this machine, slower than the reference", slowness(folder), "times")]
    for lesson in _lessons():
        home = folder / lesson.id
        settle_in(home, lesson)
        cold = opening(home, lesson)
        rows += _openings(lesson, cold, [opening(home, lesson) for _time in range(WARM_TIMES)])
    mlp = next(lesson for lesson in _lessons() if lesson.id == LESSON)
    return [*rows, *while_training(folder / LESSON, mlp, runs), *while_compiling(folder, mlp, runs)]


def _lessons() -> list[Heading]:
    return [lesson for lesson in built_in_lessons() if lesson.has_lab]


# ---------------------------------------------------------------- opening


def opening(home: Path, lesson: Heading) -> Opening:
    """From the key that opens the lesson to the first training frame, `space` pressed as soon as the lesson is seen."""
    with Learner(home, lesson) as learner:
        learner.choose()
        pressed = learner.open()
        learner.press(" ")
        return Opening(learner.until(learner.trains, SECONDS) - pressed, len(learner.named))


def _openings(lesson: Heading, cold: Opening, warm: list[Opening]) -> Iterator[Row]:
    yield at_most(f"{lesson.id}: open to first frame, cold", cold.seconds, COLD, "s")
    yield at_least(f"{lesson.id}: kernels named meanwhile", cold.named, 1, "")
    seconds = [opening.seconds for opening in warm]
    yield at_most(f"{lesson.id}: open to first frame, warm, median", median(seconds), WARM, "s")
    yield to_know(f"{lesson.id}: open to first frame, warm, worst", max(seconds), "s")


# ---------------------------------------------------------------- keys


def while_training(home: Path, lesson: Heading, count: int) -> list[Row]:
    """Three kinds of key while the lab trains as fast as it goes; the memory before and after."""
    settle_in(home, lesson, **LONG)
    kinds = {
        "scroll the text": Keys(SCROLL, text),
        "turn the section": Keys(TURN, section, LONG_GAPS),
        "go to the knobs": Keys(KNOBS, knob),
    }
    with Learner(home, lesson) as learner:
        learner.choose()
        learner.open()
        learner.press(" ")
        learner.until(learner.trains, SECONDS)
        learner.listen(SETTLED)
        memory = resident(learner.pid)
        for keys in kinds.values():
            keys.press(learner, count)
            keys.look(learner)
        later = resident(learner.pid)[learner.pid]
        application = memory.pop(learner.pid)
    rows = [row for name, keys in kinds.items() for row in _paints(f"training at max: {name}", keys.answers())]
    return [
        *rows,
        at_most("application while it plots: memory", application, APPLICATION, "MB"),
        to_know("application after all these keys and steps: memory", later, "MB"),
        at_most("its engine: memory", sum(memory.values()), ENGINE, "MB"),
    ]


def while_compiling(folder: Path, lesson: Heading, count: int) -> Iterator[Row]:
    """Keys that scroll the text while the engine compiles; opened with nothing compiled until there are enough."""
    seconds: list[float] = []
    for number in range(MOST_COLD):
        if len(seconds) < count:
            seconds += _cold_paints(folder / f"cold-{number}", lesson)
    yield from _paints("compiling: scroll the text", seconds)


def _cold_paints(home: Path, lesson: Heading) -> list[float]:
    settle_in(home, lesson)
    scroll = Keys(SCROLL, text)
    compiling = 0.0  # when it was last seen to
    with Learner(home, lesson) as learner:
        learner.choose()
        learner.open()
        learner.until("compiling")
        while learner.compiles:
            scroll.press(learner, BATCH)
            compiling = max([compiling, *scroll.look(learner)])
        return scroll.answers(before=compiling - max(GAPS))


def _paints(name: str, seconds: list[float]) -> Iterator[Row]:
    yield to_know(f"{name}: keys", len(seconds), "")
    yield to_know(f"{name}: p50", 1e3 * median(seconds), "ms")
    yield at_most(f"{name}: p95", 1e3 * quantile(seconds, 0.95), PAINT, "ms")
