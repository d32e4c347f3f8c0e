"""Cases of losses."""

from __future__ import annotations

import numpy as np

from dltutor.kernels import (
    binary_cross_entropy,
    cross_entropy,
    gaussian,
    gradient_penalty,
    huber,
    mae,
    mse,
    softmax,
    wasserstein,
)
from dltutor.proof.checks import Arrays, Case, away_from_zero, one

FLAT = (0, 1, 2, 7, 33, 300)
ROWS = ((0, 3), (1, 1), (4, 2), (7, 10), (3, 70), (33, 5))
DELTA, WEIGHT = 1.5, 10.0


def regression(rng: np.random.Generator, n: int) -> Arrays:
    """Errors that are nowhere near a corner of a loss, at 0 and at 1.5."""
    t = rng.normal(size=n)
    return {"y": t + rng.choice((-3.1, -1.1, -0.4, 0.3, 0.7, 2.6), n) + rng.uniform(-0.2, 0.2, n), "t": t}


def robust(rng: np.random.Generator, n: int) -> Arrays:
    return regression(rng, n) | {"delta": DELTA}


def answers(rng: np.random.Generator, n: int) -> Arrays:
    return {"z": away_from_zero(rng.normal(size=n) * 3), "t": rng.integers(0, 2, n).astype(float)}


def scores(rng: np.random.Generator, n: int) -> Arrays:
    return {"y": rng.normal(size=n) * 3, "t": rng.choice((-1.0, 1.0), n)}


def labelled(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    n, c = shape
    return {"z": rng.normal(size=shape) * 3, "t": rng.integers(0, c, n).astype(np.int32)}


def latent(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    n, z = shape
    return {"x": rng.normal(size=(n, 2 * z))}


def sampled(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    return latent(rng, shape) | {"eps": rng.normal(size=shape)}


def slopes(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    return {"g": away_from_zero(rng.normal(size=shape)), "weight": WEIGHT}


def between(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    return {"real": rng.normal(size=shape), "fake": rng.normal(size=shape), "u": rng.uniform(size=shape[0])}


CASES = (
    Case(
        "mse", mse, regression, FLAT,
        lambda y, t, **_: {"loss": one(mse.mse_reference(y, t))},
        lambda y, t, **_: {"dy": mse.mse_backward_reference(y, t)},
    ),
    Case(
        "mae", mae, regression, FLAT,
        lambda y, t, **_: {"loss": one(mae.mae_reference(y, t))},
        lambda y, t, **_: {"dy": mae.mae_backward_reference(y, t)},
    ),
    Case(
        "huber", huber, robust, FLAT,
        lambda y, t, delta, **_: {"loss": one(huber.huber_reference(y, t, delta))},
        lambda y, t, delta, **_: {"dy": huber.huber_backward_reference(y, t, delta)},
    ),
    Case(
        "binary_cross_entropy", binary_cross_entropy, answers, FLAT,
        lambda z, t, **_: {"loss": one(binary_cross_entropy.binary_cross_entropy_reference(z, t))},
        lambda z, t, **_: {"dz": binary_cross_entropy.binary_cross_entropy_backward_reference(z, t)},
    ),
    Case(
        "cross_entropy", cross_entropy, labelled, ROWS,
        lambda z, t, **_: {
            "p": softmax.softmax_reference(z),
            "surprise": cross_entropy.surprise_reference(z, t),
            "loss": one(cross_entropy.cross_entropy_reference(z, t)),
        },
        lambda z, t, **_: {"dz": cross_entropy.cross_entropy_backward_reference(z, t)},
        kept=("p", "surprise"),
    ),
    Case(
        "wasserstein", wasserstein, scores, FLAT,
        lambda y, t, **_: {"loss": one(wasserstein.wasserstein_reference(y, t))},
        lambda t, **_: {"dy": wasserstein.wasserstein_backward_reference(t)},
    ),
    Case(
        "gradient_penalty", gradient_penalty, slopes, ROWS,
        lambda g, weight, **_: {
            "norm": gradient_penalty.row_norms_reference(g),
            "loss": one(gradient_penalty.gradient_penalty_reference(g, weight)),
        },
        lambda g, weight, **_: {"dg": gradient_penalty.gradient_penalty_backward_reference(g, weight)},
        kept=("norm",),
    ),
    Case(
        "interpolate", gradient_penalty, between, ROWS,
        lambda real, fake, u, **_: {"x": gradient_penalty.interpolate_reference(real, fake, u)},
    ),
    Case(
        "gaussian_sample", gaussian, sampled, ROWS,
        lambda x, eps, **_: {"z": gaussian.gaussian_sample_reference(x, eps)},
        lambda x, eps, dz, **_: {"dx": gaussian.gaussian_sample_backward_reference(x, eps, dz)},
    ),
    Case(
        "gaussian_kl", gaussian, latent, ROWS,
        lambda x, **_: {"kl": one(gaussian.gaussian_kl_reference(x))},
        lambda x, dkl, **_: {"dx": gaussian.gaussian_kl_backward_reference(x, dkl)},
    ),
)  # fmt: skip
