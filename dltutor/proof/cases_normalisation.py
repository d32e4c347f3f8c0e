"""Cases of batch and layer normalisation."""

from __future__ import annotations

import numpy as np

from dltutor.kernels import batch_norm, layer_norm
from dltutor.proof.checks import Arrays, Case, named

BATCHES = ((0, 3), (1, 1), (4, 2), (2, 7), (7, 10), (33, 5), (9, 37))
ROWS = ((0, 3), (1, 1), (4, 2), (2, 7), (7, 10), (33, 5), (3, 130))
EPS = 1e-5


def rows(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    channels = shape[1]
    return {
        "x": rng.normal(size=shape) * 3 + 1, "g": rng.normal(size=channels), "b": rng.normal(size=channels),
        "eps": EPS,
    }  # fmt: skip


def batch(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    statistics = np.stack([rng.normal(size=shape[1]), rng.uniform(0.5, 2, size=shape[1])])
    return rows(rng, shape) | {"running": statistics, "momentum": 0.1, "sums": rng.normal(size=(2, shape[1]))}


CASES = (
    Case(
        "batch_norm", batch_norm, batch, BATCHES,
        lambda x, g, b, running, momentum, eps, **_: named("y", "moments", "running")(
            batch_norm.batch_norm_reference(x, g, b, running, momentum, eps)
        ),
        lambda x, g, moments, dy, **_: named("dx", "dg", "db")(
            batch_norm.batch_norm_backward_reference(x, g, moments, dy)
        ),
        kept=("moments", "running"), scratch=("sums",), tolerance=1e-5,
    ),
    Case(
        "batch_norm_predict", batch_norm, batch, BATCHES,
        lambda x, g, b, running, eps, **_: {"y": batch_norm.batch_norm_predict_reference(x, g, b, running, eps)},
        forward="batch_norm_predict",
    ),
    Case(
        "layer_norm", layer_norm, rows, ROWS,
        lambda x, g, b, eps, **_: named("y", "mean", "r")(layer_norm.layer_norm_reference(x, g, b, eps)),
        lambda x, g, mean, r, dy, **_: named("dx", "dg", "db")(
            layer_norm.layer_norm_backward_reference(x, g, mean, r, dy)
        ),
        kept=("mean", "r"), tolerance=1e-5,
    ),
)  # fmt: skip
