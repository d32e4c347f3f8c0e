"""Long runs: after the first step, training allocates nothing."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable

import numpy as np
import pytest
from traced import kept, objects_kept

from dltutor.layers import (
    LSTM,
    MSE,
    Adam,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    Loss,
    MaxPool2d,
    Positions,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    Tanh,
    TransformerBlock,
)

STEPS = 10_000
Example = tuple[Sequential, Loss, np.ndarray, np.ndarray]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def labels(classes: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, classes, shape).astype(np.int32)


def mlp() -> Example:
    net = Sequential(Dense(2, 8), Tanh(), BatchNorm(8), Dropout(0.1), Dense(8, 1))
    return net, MSE(), noise(10, 2), noise(10, 1)


def cnn() -> Example:
    net = Sequential(Conv2d(1, 2, 3, padding=1), ReLU(), MaxPool2d(2), Flatten(), Dense(8, 3))
    return net, SoftmaxCrossEntropy(), noise(3, 4, 4, 1), labels(3, 3)


def lstm() -> Example:
    return Sequential(LSTM(2, 4), Dense(4, 1)), MSE(), noise(5, 3, 2), noise(5, 3, 1)


def gpt() -> Example:
    net = Sequential(Embedding(5, 4), Positions(6, 4), TransformerBlock(4, 2), LayerNorm(4), Dense(4, 5))
    return net, SoftmaxCrossEntropy(), labels(5, 2, 6), labels(5, 2, 6)


def training(example: Example) -> Callable[[], None]:
    """A function that does one step."""
    net, loss, x, t = example
    opt = Adam(net)

    def step() -> None:
        loss(net.forward(x), t)
        net.backward(loss.grad)
        opt.step(lr=1e-4)

    return step


def most_memory() -> int:
    """Bytes that this process has had at once, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize("make", [mlp, cnn, lstm, gpt])
def test_ten_thousand_steps_allocate_nothing(make: Callable[[], Example]) -> None:
    """An object a step would be five times as much as the limits, or more. The process may fill its pools at first."""
    step = training(make())
    for _warm in range(20):
        step()
    assert kept(step, 1000, limit=5_000) < 5_000
    assert objects_kept(step, STEPS, limit=1000) < 1000
    assert any(growth(step) < 400_000 for _try in range(3)), "nor by what Python knows nothing of"


def growth(step: Callable[[], None]) -> int:
    most = most_memory()
    for _step in range(STEPS):
        step()
    return most_memory() - most
