"""Logistic regression: one dense layer, the sigmoid, binary cross-entropy (or squared error, to see why not)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dltutor.data import Dataset, load
from dltutor.lab import Tick
from dltutor.layers import MSE, SGD, BCEWithLogits, Dense, Sequential, Sigmoid
from dltutor.pictures import Confusion, Curves, Heat, Interval, Points, Series

TWO = ("worst radius", "worst concave points")  # of the 30 measurements in breast_cancer, a pair that tells much


def lab(knobs: Any, rng: np.random.Generator) -> Iterator[Tick]:
    data = choose(knobs, rng).standardised()
    dense = Dense(len(data.features), 1, init="zeros")
    if knobs.loss == "bce":
        net, loss = Sequential(dense, rng=rng), BCEWithLogits()  # the sigmoid is inside this loss
    else:
        net, loss = Sequential(dense, Sigmoid(), rng=rng), MSE()
    sgd = SGD(net)
    dense.b[...] = knobs.start

    while True:
        test_loss = loss(net.forward(data.test_x), data.test_t)
        x, t = data.batch(knobs.batch, rng)
        train_loss = loss(net.forward(x), t)
        w, b = (net.host(value).copy() for value in (dense.w, dense.b))
        scores = data.test_x @ w + b
        counts = confusion(scores, data.test_t, knobs.threshold)
        yield Tick(
            net=net,
            pictures=lambda: {  # drawn before the next step, so it sees this step's values
                "boundary": boundary(data, w, b, knobs.threshold),
                "confusion": Confusion(counts, data.classes),  # noqa: B023
                "roc": roc(scores, data.test_t, counts),  # noqa: B023
            },
            loss=train_loss,
            test_loss=test_loss,
            accuracy=right(confusion(data.x @ w + b, data.t, knobs.threshold)),
            test_accuracy=right(counts),
            precision=ratio(counts[1, 1], counts[:, 1]),
            recall=ratio(counts[1, 1], counts[1, :]),
        )
        net.backward(loss.grad)
        sgd.step(lr=knobs.lr)


def choose(knobs: Any, rng: np.random.Generator) -> Dataset:
    data = load(knobs.data, points=knobs.points, rng=rng)
    return data.only(*TWO) if knobs.data == "breast_cancer" and knobs.features == "two" else data


# ---------------------------------------------------------------- counting right and wrong


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * z))  # the same as 1 / (1 + exp(-z)), and never overflows


def confusion(scores: np.ndarray, t: np.ndarray, threshold: float) -> np.ndarray:
    """How many samples of class i (row) are taken for class j (column): 2 x 2."""
    said = sigmoid(scores) >= threshold
    return np.bincount((2 * t + said).astype(int).ravel(), minlength=4).reshape(2, 2)


def right(counts: np.ndarray) -> float:
    return float(counts.trace() / counts.sum())


def ratio(part: int, whole: np.ndarray) -> float | None:
    """None where there is nothing to take a part of."""
    return float(part / whole.sum()) if whole.sum() else None


# ---------------------------------------------------------------- pictures


def roc(scores: np.ndarray, t: np.ndarray, counts: np.ndarray) -> Curves:
    """Of class 0, the share called 1 (to the right), against the share of class 1 called 1 (up), at every threshold."""
    falling = t.ravel()[np.argsort(-scores.ravel(), kind="stable")]
    hits, alarms = (np.append(0, np.cumsum(falling == k) / max(1, np.sum(falling == k))) for k in (1, 0))
    alarm, hit = (np.array([row[1] / max(1, row.sum())]) for row in counts)
    ends = np.array([0.0, 1.0])
    series = [Series("roc", alarms, hits), Series("coin", ends, ends), Series("threshold", alarm, hit)]
    return Curves(series, "false alarms")


def boundary(data: Dataset, w: np.ndarray, b: np.ndarray, threshold: float, cells: int = 48) -> Heat:
    """The probability of class 1, and the test samples on it.

    Two features: over the plane of both, in their own units. More: to the right the score z, which is all that the
    probability depends on, so that every sample stands on its very own; upwards its first feature, to tell them apart.
    """
    z = data.test_x @ w + b
    first, second = (data.test_x * data.std + data.mean)[:, :2].T
    if len(data.features) > 2:
        x, y, labels = z.ravel(), first, ("z", data.features[0])
        across, up = interval(np.append(x, [-4, 4])), interval(y)
        values = np.repeat(sigmoid(np.linspace(*across, cells))[None, :], 2, axis=0)
    else:
        x, y, labels = first, second, data.features
        across, up = interval(x), interval(y)
        plane = np.meshgrid(np.linspace(*across, cells), np.linspace(*up, cells)[::-1])
        values = sigmoid(sum(w[i] * (axis - data.mean[i]) / data.std[i] for i, axis in enumerate(plane)) + b)
    points = Points(x, y, data.test_t.ravel().astype(np.uint8))
    return Heat(across, up, values, 0.0, 1.0, (threshold,), points, data.classes, *labels)


def interval(values: np.ndarray, margin: float = 0.05) -> Interval:
    low, high = float(values.min()), float(values.max())
    return low - margin * (high - low), high + margin * (high - low)
