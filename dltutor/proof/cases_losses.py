"""Cases of losses."""

from __future__ import annotations

import numpy as np

from dltutor.kernels import binary_cross_entropy, cross_entropy, mse, softmax
from dltutor.proof.checks import Arrays, Case, away_from_zero, one

FLAT = (0, 1, 2, 7, 33, 130)
ROWS = ((0, 3), (1, 1), (4, 2), (7, 10), (33, 5))


def labelled(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    n, c = shape
    return {"z": rng.normal(size=shape) * 3, "t": rng.integers(0, c, n).astype(np.int32)}


CASES = (
    Case(
        "mse", mse, lambda rng, n: {"y": rng.normal(size=n), "t": rng.normal(size=n)}, FLAT,
        lambda y, t, **_: {"loss": one(mse.mse_reference(y, t))},
        lambda y, t, **_: {"dy": mse.mse_backward_reference(y, t)},
    ),
    Case(
        "binary_cross_entropy", binary_cross_entropy,
        lambda rng, n: {"z": away_from_zero(rng.normal(size=n) * 3), "t": rng.integers(0, 2, n).astype(float)}, FLAT,
        lambda z, t, **_: {"loss": one(binary_cross_entropy.binary_cross_entropy_reference(z, t))},
        lambda z, t, **_: {"dz": binary_cross_entropy.binary_cross_entropy_backward_reference(z, t)},
    ),
    Case(
        "cross_entropy", cross_entropy, labelled, ROWS,
        lambda z, t, **_: {
            "p": softmax.softmax_reference(z), "loss": one(cross_entropy.cross_entropy_reference(z, t)),
        },
        lambda z, t, **_: {"dz": cross_entropy.cross_entropy_backward_reference(z, t)}, kept=("p",),
    ),
)  # fmt: skip
