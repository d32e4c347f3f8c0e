"""Normalisation is PyTorch's: outputs, every gradient, running statistics and prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dltutor.layers import BatchNorm, Dense, Layer, LayerNorm, Sequential

torch = pytest.importorskip("torch")
nn = torch.nn

PAIRS: dict[str, tuple[Layer, Any]] = {
    "batch norm": (BatchNorm(7), nn.BatchNorm1d(7)),
    "batch norm, numbers": (BatchNorm(7, momentum=0.3, eps=0.1), nn.BatchNorm1d(7, momentum=0.3, eps=0.1)),
    "layer norm": (LayerNorm(7), nn.LayerNorm(7)),
}


def noise(seed: int, *shape: int) -> np.ndarray:
    return 2 * np.random.default_rng(seed).standard_normal(shape).astype(np.float32) + 1


def theirs(value: np.ndarray) -> Any:
    return torch.from_numpy(value.T.copy())


@pytest.mark.parametrize("name", PAIRS)
def test_outputs_and_all_gradients(name: str) -> None:
    ours, between = PAIRS[name]
    net = Sequential(Dense(5, 7), ours, Dense(7, 3), rng=np.random.default_rng(1), input_gradient=True)
    net.values += noise(4, *net.values.shape) / 10  # so that no scale is 1 and no shift 0
    twin = nn.Sequential(nn.Linear(5, 7), between, nn.Linear(7, 3))
    with torch.no_grad():
        for parameter, (_name, value, _gradient) in zip(twin.parameters(), net.parameters(), strict=True):
            parameter.copy_(theirs(value))
    x, dy = noise(2, 9, 5), noise(3, 9, 3)
    their_x = torch.from_numpy(x).requires_grad_()
    their_y = twin(their_x)
    their_y.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(net.forward(x), their_y.detach().numpy(), 1e-4, 1e-5)
    dx = net.backward(dy)
    assert dx is not None
    np.testing.assert_allclose(dx, their_x.grad.numpy(), 1e-3, 1e-4)
    for parameter, (label, _value, gradient) in zip(twin.parameters(), net.parameters(), strict=True):
        np.testing.assert_allclose(gradient.T, parameter.grad.numpy(), 1e-4, 1e-4, err_msg=label)
    twin.eval()
    np.testing.assert_allclose(net.predict(x), twin(their_x).detach().numpy(), 1e-4, 1e-4)


def test_running_statistics_of_pictures() -> None:
    ours, theirs = BatchNorm(3), nn.BatchNorm2d(3)
    net = Sequential(ours)
    for seed in range(5):
        x = noise(seed, 4, 5, 6, 3)
        y, their_y = net.forward(x), theirs(torch.from_numpy(np.moveaxis(x, -1, 1).copy()))
        np.testing.assert_allclose(np.moveaxis(y, -1, 1), their_y.detach().numpy(), 1e-4, 1e-5)
    np.testing.assert_allclose(ours.running, [theirs.running_mean.numpy(), theirs.running_var.numpy()], 1e-5)
