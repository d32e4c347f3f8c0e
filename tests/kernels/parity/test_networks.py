"""The same numbers as PyTorch: forward, every gradient, and twenty steps of each optimiser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dltutor.layers import (
    MSE,
    SGD,
    Adam,
    BCEWithLogits,
    Dense,
    Loss,
    Momentum,
    ReLU,
    Sequential,
    Sigmoid,
    SoftmaxCrossEntropy,
    Tanh,
)

torch = pytest.importorskip("torch")
nn = torch.nn

ACTIVATIONS = {"relu": (ReLU, nn.ReLU), "sigmoid": (Sigmoid, nn.Sigmoid), "tanh": (Tanh, nn.Tanh)}
LOSSES = {
    "mse": (MSE, nn.MSELoss),
    "bce": (BCEWithLogits, nn.BCEWithLogitsLoss),
    "cross_entropy": (SoftmaxCrossEntropy, nn.CrossEntropyLoss),
}
OPTIMISERS: dict[str, tuple[Callable[[Sequential], Any], Callable[[Any], Any]]] = {
    "sgd": (SGD, lambda parameters: torch.optim.SGD(parameters, lr=0.1)),
    "momentum": (Momentum, lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9)),
    "adam": (Adam, lambda parameters: torch.optim.Adam(parameters, lr=0.1)),
}


def pair(activation: str) -> tuple[Sequential, Any]:
    """The same network twice, with the same weights."""
    ours, theirs = ACTIVATIONS[activation]
    net = Sequential(Dense(5, 7), ours(), Dense(7, 6), ours(), Dense(6, 3), rng=np.random.default_rng(1))
    twin = nn.Sequential(nn.Linear(5, 7), theirs(), nn.Linear(7, 6), theirs(), nn.Linear(6, 3))
    with torch.no_grad():
        for parameter, (_name, value, _gradient) in zip(twin.parameters(), net.parameters(), strict=True):
            parameter.copy_(torch.from_numpy(value.T))
    return net, twin


def batch(loss: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((11, 5)).astype(np.float32)
    if loss == "cross_entropy":
        return x, rng.integers(0, 3, 11).astype(np.int32)
    t = rng.standard_normal((11, 3)) if loss == "mse" else rng.integers(0, 2, (11, 3))
    return x, t.astype(np.float32)


def their_targets(t: np.ndarray) -> Any:
    return torch.from_numpy(t.astype(np.int64) if t.dtype == np.int32 else t)


def check_parameters(net: Sequential, twin: Any, tolerance: float, of: Callable[[Any], Any], which: int) -> None:
    for parameter, ours in zip(twin.parameters(), net.parameters(), strict=True):
        np.testing.assert_allclose(ours[which].T, of(parameter).numpy(), tolerance, tolerance, err_msg=ours[0])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_outputs_losses_and_gradients(activation: str, loss: str) -> None:
    net, twin = pair(activation)
    x, t = batch(loss)
    measure: Loss = LOSSES[loss][0]()
    y, their_y = net.forward(x), twin(torch.from_numpy(x))
    np.testing.assert_allclose(y, their_y.detach().numpy(), 1e-5, 1e-6)
    their_loss = LOSSES[loss][1]()(their_y, their_targets(t))
    assert measure(y, t) == pytest.approx(their_loss.item(), rel=1e-5)
    net.backward(measure.grad)
    their_loss.backward()
    check_parameters(net, twin, 1e-5, lambda parameter: parameter.grad, 2)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_twenty_steps(optimiser: str) -> None:
    net, twin = pair("tanh")
    x, t = batch("mse")
    loss, opt, their_opt = MSE(), OPTIMISERS[optimiser][0](net), OPTIMISERS[optimiser][1](twin.parameters())
    for _step in range(20):
        ours = loss(net.forward(x), t)
        net.backward(loss.grad)
        opt.step(lr=0.1)
        their_loss = nn.functional.mse_loss(twin(torch.from_numpy(x)), torch.from_numpy(t))
        their_opt.zero_grad()
        their_loss.backward()
        their_opt.step()
        assert ours == pytest.approx(their_loss.item(), rel=1e-3)
    check_parameters(net, twin, 1e-3, lambda parameter: parameter.detach(), 1)
