"""Cases of activations."""

from __future__ import annotations

import numpy as np

from dltutor.kernels import relu, sigmoid, softmax, tanh
from dltutor.proof.checks import Arrays, Case, away_from_zero

FLAT = (0, 1, 2, 7, 33, 130)
ROWS = ((0, 3), (1, 1), (4, 2), (7, 10), (33, 5))


def flat(rng: np.random.Generator, n: int) -> Arrays:
    return {"x": away_from_zero(rng.normal(size=n) * 3)}


def rows(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    return {"x": rng.normal(size=shape) * 3}


CASES = (
    Case(
        "sigmoid", sigmoid, flat, FLAT,
        lambda x, **_: {"y": sigmoid.sigmoid_reference(x)},
        lambda x, dy, **_: {"dx": sigmoid.sigmoid_backward_reference(x, dy)},
    ),
    Case(
        "tanh", tanh, flat, FLAT,
        lambda x, **_: {"y": tanh.tanh_reference(x)},
        lambda x, dy, **_: {"dx": tanh.tanh_backward_reference(x, dy)},
    ),
    Case(
        "relu", relu, flat, FLAT,
        lambda x, **_: {"y": relu.relu_reference(x)},
        lambda x, dy, **_: {"dx": relu.relu_backward_reference(x, dy)},
    ),
    Case(
        "softmax", softmax, rows, ROWS,
        lambda x, **_: {"p": softmax.softmax_reference(x)},
        lambda x, dp, **_: {"dx": softmax.softmax_backward_reference(x, dp)},
    ),
)  # fmt: skip
