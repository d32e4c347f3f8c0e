"""Dropout with the same mask, penalties, reductions and classes are PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dltutor.kernels import max as largest
from dltutor.kernels import mean
from dltutor.kernels import sum as total
from dltutor.kernels.accuracy import accuracy_forward
from dltutor.kernels.argmax import argmax_forward
from dltutor.kernels.one_hot import one_hot_forward
from dltutor.layers import L1, L2, MSE, Dense, Dropout, Residual, Sequential, Tanh

torch = pytest.importorskip("torch")
nn = torch.nn


def matrix(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(rows).standard_normal((rows, columns)).astype(np.float32)


def linear(layer: Any, device_values: list[np.ndarray]) -> None:
    with torch.no_grad():
        for theirs, ours in zip(layer.parameters(), device_values, strict=True):
            theirs.copy_(torch.from_numpy(ours.T))


def test_a_network_with_dropout_has_the_gradients_of_one_that_is_given_the_mask() -> None:
    net = Sequential(Dense(5, 8), Dropout(0.4), Dense(8, 3), rng=np.random.default_rng(1))
    values = [value for _name, value, _gradient in net.parameters()]
    first, second = nn.Linear(5, 8), nn.Linear(8, 3)
    linear(first, values[:2])
    linear(second, values[2:])
    x, t, loss = matrix(11, 5), matrix(11, 3), MSE()
    ours = loss(net.forward(x), t)
    net.backward(loss.grad)
    tensors = dict(net.tensors())
    hidden, dropped = (next(v for name, v in tensors.items() if f"layer {n} " in name and name.endswith("output"))
                       for n in (1, 2))  # fmt: skip
    mask = torch.from_numpy(np.where(dropped != 0, dropped / hidden, 0))
    their_loss = nn.functional.mse_loss(second(first(torch.from_numpy(x)) * mask), torch.from_numpy(t))
    their_loss.backward()
    assert ours == pytest.approx(their_loss.item(), rel=1e-5)
    for theirs, (name, _value, gradient) in zip(
        [*first.parameters(), *second.parameters()], net.parameters(), strict=True
    ):
        np.testing.assert_allclose(gradient.T, theirs.grad.numpy(), 1e-4, 1e-6, err_msg=name)


def test_a_residual_block() -> None:
    net = Sequential(Dense(5, 6), Residual(Dense(6, 6), Tanh()), Dense(6, 2), rng=np.random.default_rng(1))
    values = [value for _name, value, _gradient in net.parameters()]
    layers = [nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 2)]
    for number, layer in enumerate(layers):
        linear(layer, values[2 * number : 2 * number + 2])
    x, dy = matrix(7, 5), matrix(7, 2)
    y = net.forward(x)
    net.backward(dy)
    h = layers[0](torch.from_numpy(x))
    theirs = layers[2](h + torch.tanh(layers[1](h)))
    theirs.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(y, theirs.detach().numpy(), 1e-5, 1e-6)
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    for parameter, (name, _value, gradient) in zip(parameters, net.parameters(), strict=True):
        np.testing.assert_allclose(gradient.T, parameter.grad.numpy(), 1e-4, 1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("penalty", "formula"), [(L1, lambda w: 0.3 * w.abs().sum()), (L2, lambda w: 0.15 * (w**2).sum())]
)
def test_penalties(penalty: Any, formula: Any) -> None:
    net = Sequential(Dense(5, 7), rng=np.random.default_rng(1))
    _name, w, dw = net.parameters()[0]
    theirs = torch.from_numpy(w.copy()).requires_grad_()
    value = formula(theirs)
    value.backward()
    assert penalty(net)(0.3) == pytest.approx(value.item(), rel=1e-5)
    np.testing.assert_allclose(dw, theirs.grad.numpy(), 1e-6)


@pytest.mark.parametrize("axis", ["last", "first"])
@pytest.mark.parametrize(("module", "name"), [(total, "sum"), (mean, "mean"), (largest, "amax")])
def test_reductions(module: Any, name: str, axis: str) -> None:
    x = matrix(7, 13)
    length = 7 if axis == "last" else 13
    y, k, dy, dx = np.empty(length, np.float32), np.empty(length, np.int32), matrix(1, length)[0], np.zeros_like(x)
    ours = f"{name.removeprefix('a')}_{axis}"
    kept = (k,) if name == "amax" else ()
    getattr(module, f"{ours}_forward")(x, y, *kept)
    getattr(module, f"{ours}_backward")(dy, *kept, dx)
    theirs = torch.from_numpy(x).requires_grad_()
    reduced = getattr(torch, name)(theirs, dim=1 if axis == "last" else 0)
    reduced.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(y, reduced.detach().numpy(), 1e-5, 1e-6)
    np.testing.assert_allclose(dx, theirs.grad.numpy(), 1e-6)


def test_classes() -> None:
    z, t = matrix(50, 7), np.random.default_rng(3).integers(0, 7, 50).astype(np.int32)
    k, hot, right = np.empty(50, np.int32), np.empty((50, 7), np.float32), np.empty(1, np.int32)
    argmax_forward(z, k)
    one_hot_forward(t, hot)
    accuracy_forward(z, t, right)
    theirs = torch.from_numpy(z).argmax(1)
    np.testing.assert_array_equal(k, theirs.numpy())
    np.testing.assert_array_equal(hot, nn.functional.one_hot(torch.from_numpy(t).long(), 7).numpy())
    assert right[0] == (theirs == torch.from_numpy(t)).sum().item()
