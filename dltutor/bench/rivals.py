"""The other side of each step in steps.py, by name: PyTorch's, NumPy's and scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from dltutor.bench.versus import Work

Makers = dict[str, Callable[[], Work]]
RATE = 1e-3


def steps(opponent: str) -> Makers:
    """What this opponent can do, by the names of steps.STEPS."""
    return {"torch": torch_steps, "torch.compile": compiled_steps, "numpy": numpy_steps, "sklearn": sklearn_steps}[
        opponent
    ]()


# ---------------------------------------------------------------- PyTorch


def torch_steps(compiled: bool = False) -> Makers:
    """Eager, as a tutorial would write it, in the layouts and functions that are fastest there."""
    from dltutor.bench import torch_models as models

    return {name: partial(make, compiled) for name, make in models.STEPS.items()}


def compiled_steps() -> Makers:
    return torch_steps(compiled=True)


# ---------------------------------------------------------------- NumPy


def numpy_steps() -> Makers:
    from dltutor.bench.steps import DIGIT

    return {
        "MLP 2-8-8-1, batch 10": lambda: NumpyMlp([2, 8, 8, 1], np.tanh, lambda y: 1 - y * y, 10).step,
        "MLP 64-128-128-10, batch 64": lambda: NumpyMlp([DIGIT, 128, 128, 10], _relu, _relu_slope, 64).step,
        "MLP 784-128-128-10, batch 128": lambda: NumpyMlp([784, 128, 128, 10], _relu, _relu_slope, 128).step,
    }


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def _relu_slope(y: np.ndarray) -> np.ndarray:
    return (y > 0).astype(np.float32)


class NumpyMlp:
    """A multilayer perceptron in whole-array NumPy, whose matrix products are OpenBLAS's: MSE for one output, softmax
    cross-entropy for more; Adam."""

    def __init__(self, widths: list[int], bend: Any, slope: Any, rows: int) -> None:
        from dltutor.bench.steps import labels, noise

        self.bend, self.slope, self.classes = bend, slope, widths[-1]
        self.x = noise(rows, widths[0])
        self.t = labels(self.classes, rows) if self.classes > 1 else noise(rows, 1)
        self.p = [array for d, m in pairwise(widths) for array in (0.1 * noise(d, m), noise(m) * 0)]
        self.m, self.v = ([np.zeros_like(p) for p in self.p] for _mean in range(2))
        self.steps = 0

    def step(self) -> float:
        loss, grads = self._gradients()
        self._adam(grads)
        return float(loss)

    def _gradients(self) -> tuple[float, list[np.ndarray]]:
        outputs = [self.x]
        layers = list(zip(self.p[::2], self.p[1::2], strict=True))
        for w, b in layers[:-1]:
            outputs.append(self.bend(outputs[-1] @ w + b))
        loss, dy = self._loss(outputs[-1] @ layers[-1][0] + layers[-1][1])
        grads: list[np.ndarray] = []
        for (w, _b), x in zip(reversed(layers), reversed(outputs), strict=True):
            grads[:0] = [x.T @ dy, dy.sum(axis=0)]
            if x is not self.x:
                dy = (dy @ w.T) * self.slope(x)
        return loss, grads

    def _loss(self, y: np.ndarray) -> tuple[float, np.ndarray]:
        rows = len(y)
        if self.classes == 1:
            return np.mean((y - self.t) ** 2), 2 * (y - self.t) / rows
        e = np.exp(y - y.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(rows), self.t]).mean()
        p[np.arange(rows), self.t] -= 1
        return loss, p / rows

    def _adam(self, grads: list[np.ndarray]) -> None:
        self.steps += 1
        c1, c2 = 1 - 0.9**self.steps, 1 - 0.999**self.steps
        for p, g, m, v in zip(self.p, grads, self.m, self.v, strict=True):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            p -= RATE * (m / c1) / (np.sqrt(v / c2) + 1e-8)


# ---------------------------------------------------------------- scikit-learn


def sklearn_steps() -> Makers:
    """One batch handed to partial_fit: its own multilayer perceptron, with Adam and no penalty."""
    return {
        "MLP 2-8-8-1, batch 10": partial(_sklearn, (8, 8), "tanh", 2, 1, 10),
        "MLP 64-128-128-10, batch 64": partial(_sklearn, (128, 128), "relu", 64, 10, 64),
        "MLP 784-128-128-10, batch 128": partial(_sklearn, (128, 128), "relu", 784, 10, 128),
    }


def _sklearn(hidden: tuple[int, ...], bend: str, inputs: int, classes: int, rows: int) -> Work:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    from dltutor.bench.steps import labels, noise

    options: dict[str, Any] = {"activation": bend, "alpha": 0.0, "batch_size": rows, "random_state": 0}
    x = noise(rows, inputs)
    if classes == 1:
        model, t = MLPRegressor(hidden_layer_sizes=hidden, **options), noise(rows)
        return lambda: model.partial_fit(x, t).loss_
    model, t = MLPClassifier(hidden_layer_sizes=hidden, **options), labels(classes, rows)
    return lambda: model.partial_fit(x, t, classes=np.arange(classes)).loss_
