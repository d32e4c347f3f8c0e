"""Activations are PyTorch's: outputs and gradients, inside a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dltutor.layers import (
    GELU,
    Dense,
    Layer,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
)

torch = pytest.importorskip("torch")
nn = torch.nn

PAIRS: dict[str, tuple[Layer, Any]] = {
    "sigmoid": (Sigmoid(), nn.Sigmoid()),
    "tanh": (Tanh(), nn.Tanh()),
    "relu": (ReLU(), nn.ReLU()),
    "leaky relu": (LeakyReLU(0.2), nn.LeakyReLU(0.2)),
    "gelu": (GELU(), nn.GELU()),
    "gelu, tanh": (GELU("tanh"), nn.GELU(approximate="tanh")),
    "softplus": (Softplus(), nn.Softplus(threshold=100)),
    "softmax": (Softmax(), nn.Softmax(dim=-1)),
    "log-softmax": (LogSoftmax(), nn.LogSoftmax(dim=-1)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_outputs_and_all_gradients(name: str) -> None:
    ours, theirs = PAIRS[name]
    net = Sequential(Dense(5, 7), ours, Dense(7, 3), rng=np.random.default_rng(1), input_gradient=True)
    twin = nn.Sequential(nn.Linear(5, 7), theirs, nn.Linear(7, 3))
    with torch.no_grad():
        for parameter, (_name, value, _gradient) in zip(twin.parameters(), net.parameters(), strict=True):
            parameter.copy_(torch.from_numpy(value.T))
    rng = np.random.default_rng(2)
    x, dy = ((3 * rng.standard_normal((2, 6, columns))).astype(np.float32) for columns in (5, 3))
    their_x = torch.from_numpy(x).requires_grad_()
    their_y = twin(their_x)
    their_y.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(net.forward(x), their_y.detach().numpy(), 1e-5, 1e-5)
    np.testing.assert_allclose(net.backward(dy), their_x.grad.numpy(), 1e-5, 1e-5)
    for parameter, (label, _value, gradient) in zip(twin.parameters(), net.parameters(), strict=True):
        np.testing.assert_allclose(gradient.T, parameter.grad.numpy(), 1e-5, 1e-4, err_msg=label)
