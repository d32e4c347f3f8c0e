"""Cases of optimisers."""

from __future__ import annotations

from dltutor.kernels import adam, momentum, sgd
from dltutor.proof.checks import Step

STEPS = (
    Step("sgd_step", sgd, (), {"lr": 0.1}, sgd.sgd_reference),
    Step("momentum_step", momentum, ("v",), {"lr": 0.1, "beta": 0.9}, momentum.momentum_reference),
    Step(
        "adam_step", adam, ("m", "v"),
        {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "c1": 0.19, "c2": 0.0199}, adam.adam_reference,
    ),
)  # fmt: skip
