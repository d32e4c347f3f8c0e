"""What the labs learn, and how much training that takes: steps, and seconds of the engine's own clock.

The numbers of a run depend on its setting alone, so a run that is repeated with as many steps as were needed says to
the bit what the first one said, and how long those steps took.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dltutor import wire
from dltutor.bench.rows import Row, at_least, at_most, median, to_know
from dltutor.errors import DltutorError
from dltutor.lesson import Heading
from dltutor.link import EngineLink
from dltutor.ui.run_state import RunState, fold

MLP_ACCURACY, MLP_SECONDS, MLP_STEPS = 0.97, 30.0, 20_000
CANCER_ACCURACY, CANCER_STEPS = 0.95, 5_000
TRUE_SLOPE, TRUE_INTERCEPT = 3.0, 2.0
SIGMAS = 3.0  # an estimate lies within so many standard errors of the truth 997 times in 1000


def measure(_folder: Path, runs: int) -> list[Row]:
    """Train each lab with seeds 0 .. runs - 1. Compiled kernels are those of the learner."""
    return [*_line(runs), *_cancer(runs), *_mlp(runs)]


def _lesson(name: str) -> Heading:
    from dltutor.lesson.course import catalogue

    entry = catalogue("en").find(name)
    if entry.heading is None:
        raise DltutorError(entry.problem)
    return entry.heading


def _line(runs: int) -> Iterator[Row]:
    """The estimates of lesson 01, in standard errors from the truth, at their worst."""
    lesson = _lesson("01-linear-regression")
    found = trained(lesson.id, [wire.Start(lesson.setting(), seed, lesson.steps) for seed in range(runs)])
    slopes, intercepts = ([state.last_metrics()[name] for state in found] for name in ("slope", "intercept"))
    for name, values, truth, error in (
        ("slope", slopes, TRUE_SLOPE, standard_errors(lesson.setting(), 0)),
        ("intercept", intercepts, TRUE_INTERCEPT, standard_errors(lesson.setting(), 1)),
    ):
        yield to_know(f"01: {name}, median of seeds", median(values), "")
        worst = max(abs(value - truth) for value in values)
        yield at_most(f"01: {name} off {truth:g}, worst of seeds", worst / error, SIGMAS, "standard errors")


def standard_errors(knobs: dict[str, Any], which: int) -> float:
    """Of the least-squares slope (0) or intercept (1), from the noise and the data of seed 0."""
    import numpy as np

    from dltutor.data import load

    data = load(knobs["data"], points=knobs["points"], noise=knobs["noise"], rng=np.random.default_rng(0))
    x = np.column_stack([data.x[:, 0], np.ones(len(data))])
    return float(knobs["noise"] * math.sqrt(np.linalg.inv(x.T @ x)[which, which]))


def _cancer(runs: int) -> Iterator[Row]:
    yield from _reached("02-logistic-regression", "breast_cancer", CANCER_ACCURACY, CANCER_STEPS, MLP_SECONDS, runs)


def _mlp(runs: int) -> Iterator[Row]:
    yield from _reached("06-mlp", "digits", MLP_ACCURACY, MLP_STEPS, MLP_SECONDS, runs)


def _reached(name: str, data: str, accuracy: float, most: int, seconds: float, runs: int) -> Iterator[Row]:
    """Steps and seconds until the test accuracy of `name` on `data` is at least `accuracy`."""
    knobs = _lesson(name).setting({"data": data})
    enough = lambda state: (state.latest("test_accuracy") or 0.0) >= accuracy  # noqa: E731
    found = trained(name, [wire.Start(knobs, seed, most) for seed in range(runs)], enough)
    steps = [first_step(state, "test_accuracy", accuracy) for state in found]
    again = trained(name, [wire.Start(knobs, seed, taken) for seed, taken in enumerate(steps)])
    title = f"{name[:2]} on {data}"
    yield at_least(f"{title}: test accuracy, worst of seeds", min(map(_last_accuracy, again)), accuracy, "")
    yield to_know(f"{title}: steps to {accuracy:.0%}, median", median(steps), "")
    yield to_know(f"{title}: steps to {accuracy:.0%}, worst", max(steps), "")
    spent = [state.finished.seconds for state in again if state.finished]
    yield at_most(f"{title}: training to {accuracy:.0%}, worst of seeds", max(spent), seconds, "s")


def _last_accuracy(state: RunState) -> float:
    return state.latest("test_accuracy") or 0.0


def first_step(state: RunState, metric: str, value: float) -> int:
    """The step at which `metric` was first at least `value`; the last one if it never was."""
    taken = zip(state.steps_of[metric], state.values_of[metric], strict=True)
    return max(1, next((int(step) for step, seen in taken if seen >= value), state.step))


# ---------------------------------------------------------------- runs


def trained(
    lesson: str, starts: list[wire.Start], enough: Callable[[RunState], bool] = lambda _state: False
) -> list[RunState]:
    """What each run was when it was done, or `enough`. One engine, one run after the other."""
    return asyncio.run(_trained(lesson, starts, enough))


async def _trained(lesson: str, starts: list[wire.Start], enough: Callable[[RunState], bool]) -> list[RunState]:
    link = EngineLink()
    await link.start()
    try:
        return await _drive(link, lesson, starts, enough)
    finally:
        await link.close()


async def _drive(
    link: EngineLink, lesson: str, starts: list[wire.Start], enough: Callable[[RunState], bool]
) -> list[RunState]:
    waiting, found, state = list(starts), [], RunState()
    await link.send(wire.Open(lesson))
    async for event in link.events():
        state = fold(state, event)
        if isinstance(event, wire.Failed):
            raise DltutorError(event.message, event.hint)
        if isinstance(event, wire.Metrics | wire.Started):
            await link.send(wire.Stop() if enough(state) else wire.Grant(pictures=False))
        if isinstance(event, wire.Finished):
            found.append(state)
        if isinstance(event, wire.Ready | wire.Finished):
            if not waiting:
                return found
            await link.send(waiting.pop(0))
    return found
