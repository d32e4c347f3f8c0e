"""Cases of reductions along an axis, of classes, and of the oldest neurons."""

from __future__ import annotations

from typing import Any

import numpy as np

from dltutor.kernels import accuracy, argmax, integrate_and_fire, mean, one_hot, perceptron
from dltutor.kernels import max as largest
from dltutor.kernels import sum as total
from dltutor.proof.checks import Arrays, Case, named

ROWS = ((0, 3), (1, 1), (4, 2), (7, 10), (3, 131), (67, 5), (33, 34))
NOT_EMPTY = ROWS[1:]
MEMBRANE = {"dt": 0.5, "tau": 10.0, "rest": -65.0, "threshold": -50.0, "reset": -70.0, "refractory": 2.0}


def matrix(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    return {"x": rng.normal(size=shape) * 3}


def labelled(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    n, c = shape
    return {"z": rng.normal(size=shape), "t": rng.integers(0, c, n).astype(np.int32), "classes": c}


def driven(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    """Some neurons wait at first, some fire at once."""
    _steps, n = shape
    wait = rng.integers(0, 3, n).astype(np.int32)
    return MEMBRANE | {"drive": rng.uniform(0, 60, shape), "v": rng.uniform(-65, -50, n), "wait": wait}


def samples(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    n, d = shape
    x, w, b = rng.normal(size=shape), rng.normal(size=d), rng.normal(size=1)
    return {"x": x, "w": w, "b": b, "t": rng.integers(0, 2, n).astype(float), "lr": 0.5}


def along(kernels: Any, name: str) -> tuple[Case, Case]:
    """A reduction along the last axis and along the first, in one file."""

    def case(axis: str) -> Case:
        forward = getattr(kernels, f"{name}_{axis}_reference")
        backward = getattr(kernels, f"{name}_{axis}_backward_reference")
        return Case(
            f"{name}_{axis}",
            kernels,
            matrix,
            ROWS,
            lambda x, **_: {"y": forward(x)},
            lambda x, dy, **_: {"dx": backward(x, dy)},
        )

    return case("last"), case("first")


CASES = (
    *along(total, "sum"),
    *along(mean, "mean"),
    Case(
        "max_last", largest, matrix, ROWS,
        lambda x, **_: named("y", "k")(largest.max_last_reference(x)),
        lambda x, dy, **_: {"dx": largest.max_last_backward_reference(x, dy)}, kept=("k",),
    ),
    Case(
        "max_first", largest, matrix, NOT_EMPTY,
        lambda x, **_: named("y", "k")(largest.max_first_reference(x)),
        lambda x, dy, **_: {"dx": largest.max_first_backward_reference(x, dy)}, kept=("k",),
    ),
    Case("argmax", argmax, matrix, ROWS, lambda x, **_: {"k": argmax.argmax_reference(x)}),
    Case(
        "one_hot", one_hot, labelled, ROWS,
        lambda t, classes, **_: {"y": one_hot.one_hot_reference(t, classes)},
    ),
    Case(
        "accuracy", accuracy, labelled, ROWS,
        lambda z, t, **_: {"right": accuracy.accuracy_reference(z, t)},
    ),
    Case(
        "integrate_and_fire", integrate_and_fire, driven, (*ROWS, (12, 3)),
        lambda **given: named("trace", "spikes", "v", "wait")(
            integrate_and_fire.integrate_and_fire_reference(**given)
        ),
    ),
    Case(
        "perceptron", perceptron, samples, ROWS,
        lambda x, w, b, **_: {"y": perceptron.perceptron_reference(x, w, b)},
    ),
    Case(
        "perceptron_step", perceptron, samples, ROWS,
        lambda x, t, w, b, lr, **_: named("w", "b", "mistakes")(
            perceptron.perceptron_step_reference(x, t, w, b, lr)
        ),
        forward="perceptron_step",
    ),
)  # fmt: skip
