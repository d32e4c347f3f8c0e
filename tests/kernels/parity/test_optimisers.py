"""Twenty steps of each optimiser, and every schedule, are PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dltutor.layers import (
    MSE,
    SGD,
    Adam,
    AdamW,
    ClipNorm,
    ClipValue,
    Dense,
    Momentum,
    Nesterov,
    RMSProp,
    Sequential,
    Tanh,
)
from dltutor.layers.schedules import constant, cosine, exponential, one_cycle, step_decay, warmup_cosine

torch = pytest.importorskip("torch")
nn, optim = torch.nn, torch.optim
LR = 0.05

OPTIMISERS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sgd": (SGD, lambda p, **options: optim.SGD(p, LR, **options)),
    "momentum": (Momentum, lambda p, **options: optim.SGD(p, LR, momentum=0.9, **options)),
    "nesterov": (Nesterov, lambda p, **options: optim.SGD(p, LR, momentum=0.9, nesterov=True, **options)),
    "rmsprop": (RMSProp, lambda p, **options: optim.RMSprop(p, LR, **options)),
    "adam": (Adam, lambda p, **options: optim.Adam(p, LR, **options)),
    "adamw": (AdamW, lambda p, **options: optim.AdamW(p, LR, **options)),
}
OPTIONS: tuple[tuple[str, dict[str, float], dict[str, Any]], ...] = (
    ("momentum", {"beta": 0.5}, {"momentum": 0.5}),
    ("rmsprop", {"alpha": 0.8, "eps": 1e-3}, {"alpha": 0.8, "eps": 1e-3}),
    ("adam", {"beta1": 0.8, "beta2": 0.95, "eps": 1e-3}, {"betas": (0.8, 0.95), "eps": 1e-3}),
)


def pair() -> tuple[Sequential, Any]:
    """The same network twice, with the same weights."""
    net = Sequential(Dense(5, 7), Tanh(), Dense(7, 3), rng=np.random.default_rng(1))
    twin = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
    with torch.no_grad():
        for theirs, (_name, ours, _gradient) in zip(twin.parameters(), net.parameters(), strict=True):
            theirs.copy_(torch.from_numpy(ours.T))
    return net, twin


def check_twenty_steps(
    net: Sequential, twin: Any, opt: Any, their_opt: Any, before: Callable[[], None] = lambda: None
) -> None:
    """`before` each step, both gradients may be changed."""
    rng = np.random.default_rng(2)
    x, t = (rng.standard_normal(shape).astype(np.float32) for shape in ((11, 5), (11, 3)))
    loss = MSE()
    for _step in range(20):
        ours = loss(net.forward(x), t)
        net.backward(loss.grad)
        their_loss = nn.functional.mse_loss(twin(torch.from_numpy(x)), torch.from_numpy(t))
        their_opt.zero_grad()
        their_loss.backward()
        before()
        opt.step(lr=LR)
        their_opt.step()
        assert ours == pytest.approx(their_loss.item(), rel=1e-4)
    for theirs, (name, value, _gradient) in zip(twin.parameters(), net.parameters(), strict=True):
        np.testing.assert_allclose(value.T, theirs.detach().numpy(), 1e-4, 1e-5, err_msg=name)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_twenty_steps(name: str) -> None:
    ours, theirs = OPTIMISERS[name]
    net, twin = pair()
    check_twenty_steps(net, twin, ours(net), theirs(twin.parameters()))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_twenty_steps_with_weight_decay(name: str) -> None:
    ours, theirs = OPTIMISERS[name]
    net, twin = pair()
    check_twenty_steps(net, twin, ours(net, weight_decay=0.1), theirs(twin.parameters(), weight_decay=0.1))


@pytest.mark.parametrize(("name", "options", "their_options"), OPTIONS)
def test_twenty_steps_with_other_numbers(name: str, options: dict[str, float], their_options: dict[str, Any]) -> None:
    kinds = {"momentum": optim.SGD, "rmsprop": optim.RMSprop, "adam": optim.Adam}
    net, twin = pair()
    their_opt = kinds[name](twin.parameters(), LR, **their_options)
    check_twenty_steps(net, twin, OPTIMISERS[name][0](net, **options), their_opt)


def test_twenty_steps_with_gradients_clipped_by_norm() -> None:
    net, twin = pair()
    clip = ClipNorm(net)

    def both() -> None:
        theirs = nn.utils.clip_grad_norm_(twin.parameters(), 0.2)
        assert clip(0.2) == pytest.approx(theirs.item(), rel=1e-4)

    check_twenty_steps(net, twin, SGD(net), optim.SGD(twin.parameters(), LR), both)


def test_twenty_steps_with_gradients_clipped_by_value() -> None:
    net, twin = pair()
    clip = ClipValue(net)

    def both() -> None:
        nn.utils.clip_grad_value_(twin.parameters(), 0.05)
        clip(0.05)

    check_twenty_steps(net, twin, SGD(net), optim.SGD(twin.parameters(), LR), both)


# ---------------------------------------------------------------- schedules

STEPS = 40
SCHEDULES: dict[str, tuple[Callable[[int], float], Callable[[Any], Any]]] = {
    "constant": (lambda step: constant(step, LR), lambda opt: optim.lr_scheduler.ConstantLR(opt, 1)),
    "step_decay": (lambda step: step_decay(step, LR, 7, 0.3), lambda opt: optim.lr_scheduler.StepLR(opt, 7, 0.3)),
    "exponential": (lambda step: exponential(step, LR, 0.9), lambda opt: optim.lr_scheduler.ExponentialLR(opt, 0.9)),
    "cosine": (
        lambda step: cosine(step, LR, STEPS, 0.01),
        lambda opt: optim.lr_scheduler.CosineAnnealingLR(opt, STEPS, 0.01),
    ),
    "warmup_cosine": (
        lambda step: warmup_cosine(step, LR, STEPS, 10),
        lambda opt: optim.lr_scheduler.SequentialLR(
            opt,
            [
                optim.lr_scheduler.LinearLR(opt, 1 / 10, 1, 9),
                optim.lr_scheduler.CosineAnnealingLR(opt, STEPS - 10),
            ],
            [10],
        ),
    ),
    "one_cycle": (
        lambda step: one_cycle(step, LR, STEPS),
        lambda opt: optim.lr_scheduler.OneCycleLR(opt, LR, total_steps=STEPS),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name: str) -> None:
    ours, theirs = SCHEDULES[name]
    opt = optim.SGD([nn.Parameter(torch.zeros(1))], LR)
    schedule = theirs(opt)
    rates = []
    for _step in range(STEPS):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        schedule.step() if len(rates) < STEPS else None
    assert [ours(step) for step in range(STEPS)] == pytest.approx(rates, rel=1e-6, abs=1e-9)
