"""Cases of optimisers, and of what is done to gradients before a step: clearing, clipping."""

from __future__ import annotations

import numpy as np

from dltutor.kernels import adam, adamw, clear, clip, momentum, nesterov, rmsprop, sgd
from dltutor.proof.checks import Arrays, Case, Step, one

FLAT = (0, 1, 2, 7, 33, 130)


def gradients(rng: np.random.Generator, n: int) -> Arrays:
    """The limit is below the norm where n is large, and above it where n is small."""
    return {"g": rng.normal(size=n), "limit": 2.0}


def clipped(g: np.ndarray, norm: float) -> Arrays:
    return {"g": g, "norm": one(norm), "parts": one(norm**2)}


CASES = (
    Case("clear", clear, lambda _rng, n: {"n": n}, FLAT, lambda n: {"x": np.zeros(n)}, forward="clear"),
    Case(
        "clip_norm", clip, gradients, FLAT,
        lambda g, limit, **_: clipped(*clip.clip_norm_reference(g, limit)), forward="clip_norm",
    ),
    Case(
        "clip_value", clip, lambda rng, n: gradients(rng, n) | {"limit": 0.5}, FLAT,
        lambda g, limit, **_: {"g": clip.clip_value_reference(g, limit)}, forward="clip_value",
    ),
)  # fmt: skip

BETAS = {"beta1": 0.9, "beta2": 0.99, "eps": 1e-8}
STARTS = {"c1": 0.19, "c2": 0.0199}  # 1 - beta^2: the second step

STEPS = (
    Step("sgd_step", sgd, (), {"lr": 0.1}, sgd.sgd_reference),
    Step("momentum_step", momentum, ("v",), {"lr": 0.1, "beta": 0.9}, momentum.momentum_reference),
    Step("nesterov_step", nesterov, ("v",), {"lr": 0.1, "beta": 0.9}, nesterov.nesterov_reference),
    Step("rmsprop_step", rmsprop, ("v",), {"lr": 0.01, "alpha": 0.9, "eps": 1e-8}, rmsprop.rmsprop_reference),
    Step("adam_step", adam, ("m", "v"), {"lr": 0.01} | BETAS | STARTS, adam.adam_reference),
    Step("adamw_step", adamw, ("m", "v"), {"lr": 0.01} | BETAS | {"decay": 0.3} | STARTS, adamw.adamw_reference),
)
