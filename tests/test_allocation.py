"""Long runs: after the first step, training allocates nothing."""

from __future__ import annotations

import resource
import sys
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

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


def train(example: Example, opt: Adam, steps: int) -> None:
    net, loss, x, t = example
    for _step in range(steps):
        loss(net.forward(x), t)
        net.backward(loss.grad)
        opt.step(lr=1e-4)


def most_memory() -> int:
    """Bytes that this process has had at once, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize("make", [mlp, cnn, lstm, gpt])
def test_ten_thousand_steps_allocate_nothing(make: Callable[[], Example]) -> None:
    example = make()
    opt = Adam(example[0])
    train(example, opt, 20)
    tracemalloc.start()
    train(example, opt, 20)
    before = tracemalloc.get_traced_memory()[0]
    train(example, opt, 20)
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    most = most_memory()
    train(example, opt, STEPS)
    assert kept < 2_000  # a step's own little objects come and go
    assert most_memory() - most < 4_000_000  # a loss of one small array a step would be more
