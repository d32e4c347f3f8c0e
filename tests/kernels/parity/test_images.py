"""Convolution and pooling are PyTorch's: outputs, every gradient, and a network that trains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dltutor.layers import (
    Adam,
    AveragePool2d,
    BatchNorm,
    Conv2d,
    ConvBlock,
    ConvTranspose2d,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    MaxPool2d,
    ReLU,
    Reshape,
    Sequential,
    SoftmaxCrossEntropy,
)

torch = pytest.importorskip("torch")
nn = torch.nn

INPUT = (6, 8, 7, 3)
PAIRS: dict[str, tuple[Layer, Any]] = {
    "convolution": (Conv2d(3, 5, 3), nn.Conv2d(3, 5, 3)),
    "padding": (Conv2d(3, 20, 3, padding=1), nn.Conv2d(3, 20, 3, padding=1)),
    "stride": (Conv2d(3, 5, 4, stride=2, padding=1), nn.Conv2d(3, 5, 4, stride=2, padding=1)),
    "one by one": (Conv2d(3, 7, 1), nn.Conv2d(3, 7, 1)),
    "transposed": (ConvTranspose2d(3, 5, 3), nn.ConvTranspose2d(3, 5, 3)),
    "transposed, stride": (
        ConvTranspose2d(3, 5, 4, stride=2, padding=1), nn.ConvTranspose2d(3, 5, 4, stride=2, padding=1),
    ),
    "transposed, gaps": (ConvTranspose2d(3, 2, 2, stride=3), nn.ConvTranspose2d(3, 2, 2, stride=3)),
    "max pooling": (MaxPool2d(2), nn.MaxPool2d(2)),
    "max pooling, overlapping": (MaxPool2d(3, stride=2), nn.MaxPool2d(3, stride=2)),
    "average pooling": (AveragePool2d(2), nn.AvgPool2d(2)),
    "average pooling, overlapping": (AveragePool2d(3, stride=1), nn.AvgPool2d(3, stride=1)),
    "block": (
        ConvBlock(3, 5, 3, padding=1), nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
    ),
}  # fmt: skip


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def planes(x: np.ndarray) -> Any:
    """(N, H, W, C) as PyTorch has it, (N, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def pictures(x: Any) -> np.ndarray:
    return np.moveaxis(x.detach().numpy(), 1, -1)


def theirs(value: np.ndarray) -> Any:
    """Weights as PyTorch has them: the window last, and M and C before it, in the other order."""
    return torch.from_numpy(np.ascontiguousarray(value.T if value.ndim == 2 else value.transpose(3, 2, 0, 1)[...]))


def same_weights(net: Sequential, twin: Any) -> None:
    with torch.no_grad():
        for parameter, (_name, value, _gradient) in zip(twin.parameters(), net.parameters(), strict=True):
            parameter.copy_(torch.from_numpy(value) if value.ndim == 1 else theirs(value))


@pytest.mark.parametrize("name", PAIRS)
def test_outputs_and_all_gradients(name: str) -> None:
    ours, twin = PAIRS[name]
    net = Sequential(ours, rng=np.random.default_rng(1), input_gradient=True)
    same_weights(net, twin)
    x = noise(2, *INPUT)
    their_x = planes(x).requires_grad_()
    their_y = twin(their_x)
    y = net.forward(x)
    np.testing.assert_allclose(y, pictures(their_y), 1e-5, 1e-5)
    dy = noise(3, *y.shape)
    their_y.backward(planes(dy))
    dx = net.backward(dy)
    assert dx is not None
    np.testing.assert_allclose(dx, pictures(their_x.grad), 1e-5, 1e-5)
    for parameter, (label, value, gradient) in zip(twin.parameters(), net.parameters(), strict=True):
        wanted = parameter.grad.numpy()
        found = gradient if value.ndim == 1 else theirs(gradient).numpy()
        np.testing.assert_allclose(found, wanted, 1e-4, 1e-4, err_msg=label)


def classifier(block: bool) -> tuple[Sequential, Any]:
    """A small network for 8 x 8 pictures; PyTorch flattens channels first, so one pixel is left to flatten."""
    first = [ConvBlock(1, 6, 3, padding=1)] if block else [Conv2d(1, 6, 3, padding=1), ReLU(), MaxPool2d(2)]
    net = Sequential(*first, Conv2d(6, 9, 4), LeakyReLU(0.1), Flatten(), Dense(9, 10), rng=np.random.default_rng(1))
    twin = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 9, 4), nn.LeakyReLU(0.1), nn.Flatten(),
        nn.Linear(9, 10),
    )  # fmt: skip
    same_weights(net, twin)
    return net, twin


@pytest.mark.parametrize("block", [False, True])
def test_twenty_steps_of_a_classifier(block: bool) -> None:
    net, twin = classifier(block)
    x, t = noise(2, 16, 8, 8, 1), np.random.default_rng(3).integers(0, 10, 16).astype(np.int32)
    loss, opt, their_opt = SoftmaxCrossEntropy(), Adam(net), torch.optim.Adam(twin.parameters(), lr=0.01)
    for _step in range(20):
        ours = loss(net.forward(x), t)
        net.backward(loss.grad)
        opt.step(lr=0.01)
        their_loss = nn.functional.cross_entropy(twin(planes(x)), torch.from_numpy(t.astype(np.int64)))
        their_opt.zero_grad()
        their_loss.backward()
        their_opt.step()
        assert ours == pytest.approx(their_loss.item(), rel=1e-3)


def test_a_dcgan_s_generator() -> None:
    net = Sequential(
        Dense(4, 24), Reshape(2, 2, 6), BatchNorm(6), ReLU(), ConvTranspose2d(6, 5, 4, stride=2, padding=1),
        BatchNorm(5), ReLU(), ConvTranspose2d(5, 1, 4, stride=2, padding=1),
        rng=np.random.default_rng(1), input_gradient=True,
    )  # fmt: skip
    head = nn.Linear(4, 24)
    twin = nn.Sequential(
        nn.BatchNorm2d(6), nn.ReLU(), nn.ConvTranspose2d(6, 5, 4, stride=2, padding=1), nn.BatchNorm2d(5), nn.ReLU(),
        nn.ConvTranspose2d(5, 1, 4, stride=2, padding=1),
    )  # fmt: skip
    same_weights(net, nn.Sequential(head, twin))
    x, dy = noise(2, 7, 4), noise(3, 7, 8, 8, 1)
    their_x = torch.from_numpy(x).requires_grad_()
    their_y = twin(head(their_x).reshape(7, 2, 2, 6).permute(0, 3, 1, 2))
    their_y.backward(planes(dy))
    np.testing.assert_allclose(net.forward(x), pictures(their_y), 1e-4, 1e-4)
    dx = net.backward(dy)
    assert dx is not None
    np.testing.assert_allclose(dx, their_x.grad.numpy(), 1e-3, 1e-4)
