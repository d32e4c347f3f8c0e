"""Wrong kernels of every family, made from right ones by changing one place, are all rejected; the right ones are not.

A changed kernel may still be right: where the last round of a loop does nothing, or a comparison never sees two equal
numbers. It counts as right, and is left out, if it gives the same numbers as the unchanged one, to nine digits, on
other inputs of all shapes of its case; so that is decided more strictly than the judge does, and without it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest
from mutants import Mutant, mutants, standalone
from trying import OpenRoom, exercise

from dltutor.errors import DltutorError
from dltutor.grading.judge import Judge
from dltutor.grading.trials import Subject, Trial, as_python, filled, numbers, subject
from dltutor.kernels.compile import every_kernel
from dltutor.kernels.own import limited
from dltutor.proof.checks import _tables

FEWEST = 12  # wrong kernels of a family
MOST = 16
ENDLESS = 10  # seconds of the processor: a call takes less than a tenth of one
GENERATIVE = ("gaussian", "wasserstein", "gradient_penalty")
OTHER_SEEDS = (1001, 1002)


def families() -> dict[str, list[str]]:
    """The kernels that some case describes, by family: the table in dltutor/proof that they stand in."""
    tables = {}
    for table in _tables():
        for case in (*getattr(table, "CASES", ()), *getattr(table, "STEPS", ())):
            tables[id(case)] = table.__name__.rpartition("cases_")[2]
    found = defaultdict(list)
    for reference in every_kernel():
        file = reference.rpartition("/")[2].partition(".py")[0]
        try:
            one = subject(reference)
        except DltutorError:
            continue
        if not as_python(one, next(filled(one, 1))):
            continue  # int8: it cannot be tried without the compiler
        family = tables[id(one.case)]
        found["generative" if file in GENERATIVE else family].append(reference.removeprefix("dltutor/kernels/"))
    return dict(found)


FAMILIES = families()


def wrong_kernels(references: list[str]) -> Iterator[tuple[str, Mutant]]:
    """Of each kernel of the family in turn, one that is wrong."""
    order = random.Random(1)
    rest = {name: wrong_ones(subject(f"dltutor/kernels/{name}"), order) for name in references}
    while rest:
        for name, left in list(rest.items()):
            mutant = next(left, None)
            if mutant is None:
                del rest[name]
            else:
                yield name, mutant


def wrong_ones(one: Subject, order: random.Random) -> Iterator[Mutant]:
    source = standalone(one.kernel)
    return (mutant for mutant in mutants(source, order) if not same(one, source, mutant.source))


def same(one: Subject, source: str, other: str) -> bool:
    for seed in OTHER_SEEDS:
        for shape in filled(one, seed):
            trial = numbers(one, shape, "float64", seed)
            right, found = made(one, source, trial), made(one, other, trial)
            if found is None or right is None or not all(map(alike, right, found)):
                return False
    return True


def made(one: Subject, source: str, trial: Trial) -> list[Any] | None:
    """What it writes."""
    space: dict[str, Any] = {"__name__": "kernel"}
    values = {name: np.array(value) if np.ndim(value) else value for name, value in trial.arguments}
    try:
        with np.errstate(all="ignore"), limited(ENDLESS):
            exec(source, space)
            space[one.name](*values.values())
    except Exception:
        return None
    return [values[name] for name in trial.start]


def alike(a: Any, b: Any) -> bool:
    return bool(np.isclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True).all())


def judged(reference: str, source: str) -> Any:
    return Judge(OpenRoom()).check(exercise(reference), source)  # type: ignore[arg-type] # as much of a room as is used


@pytest.mark.parametrize("family", FAMILIES)
def test_our_own_kernels_are_right(family):
    for reference in FAMILIES[family]:
        verdict = judged(reference, standalone(subject(f"dltutor/kernels/{reference}").kernel))
        assert verdict.passed, (reference, verdict.headline, verdict.worst)


@pytest.mark.parametrize("family", FAMILIES)
def test_wrong_kernels_are_rejected(family):
    number = count(1)
    for tried, (reference, mutant) in zip(number, wrong_kernels(FAMILIES[family]), strict=False):
        verdict = judged(reference, mutant.source)
        assert not verdict.passed, f"{reference}: {mutant}"
        assert verdict.headline
        if tried >= MOST:
            break
    assert tried >= FEWEST
