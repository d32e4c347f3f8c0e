"""Cases of activations."""

from __future__ import annotations

import numpy as np

from dltutor.kernels import gelu, leaky_relu, log_softmax, relu, sigmoid, softmax, softplus, tanh
from dltutor.proof.checks import Arrays, Case, away_from_zero

FLAT = (0, 1, 2, 7, 33, 130)
ROWS = ((0, 3), (1, 1), (4, 2), (7, 10), (3, 70), (33, 5))
SLOPE = 0.2


def flat(rng: np.random.Generator, n: int) -> Arrays:
    return {"x": away_from_zero(rng.normal(size=n) * 3)}


def sloped(rng: np.random.Generator, n: int) -> Arrays:
    return flat(rng, n) | {"slope": SLOPE}


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
        "leaky_relu", leaky_relu, sloped, FLAT,
        lambda x, slope, **_: {"y": leaky_relu.leaky_relu_reference(x, slope)},
        lambda x, slope, dy, **_: {"dx": leaky_relu.leaky_relu_backward_reference(x, slope, dy)},
    ),
    Case(
        "gelu", gelu, flat, FLAT,
        lambda x, **_: {"y": gelu.gelu_reference(x)},
        lambda x, dy, **_: {"dx": gelu.gelu_backward_reference(x, dy)},
    ),
    Case(
        "gelu_tanh", gelu, flat, FLAT,
        lambda x, **_: {"y": gelu.gelu_tanh_reference(x)},
        lambda x, dy, **_: {"dx": gelu.gelu_tanh_backward_reference(x, dy)},
    ),
    Case(
        "softplus", softplus, flat, FLAT,
        lambda x, **_: {"y": softplus.softplus_reference(x)},
        lambda x, dy, **_: {"dx": softplus.softplus_backward_reference(x, dy)},
    ),
    Case(
        "softmax", softmax, rows, ROWS,
        lambda x, **_: {"p": softmax.softmax_reference(x)},
        lambda x, dp, **_: {"dx": softmax.softmax_backward_reference(x, dp)},
    ),
    Case(
        "log_softmax", log_softmax, rows, ROWS,
        lambda x, **_: {"y": log_softmax.log_softmax_reference(x)},
        lambda x, dy, **_: {"dx": log_softmax.log_softmax_backward_reference(x, dy)},
    ),
)  # fmt: skip
