"""Logistic regression: one dense layer, the sigmoid, binary cross-entropy (or squared error, to see why not)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from dltutor.data import Dataset, load
from dltutor.lab import Tick
from dltutor.layers import MSE, SGD, BCEWithLogits, Dense, Sequential, Sigmoid
from dltutor.pictures import Confusion, Heat, Interval, Picture, Points, Scatter, Series

TWO = ("worst radius", "worst concave points")  # of the 30 measurements in breast_cancer, a pair that tells much
UNIT: tuple[Interval, Interval] = ((-0.02, 1.02), (-0.02, 1.02))


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
        x, t = data.batch(knobs.batch, rng)
        train_loss = loss(net.forward(x), t)
        net.backward(loss.grad)
        test_loss = loss.value(net.predict(data.test_x), data.test_t)
        w, b = (net.host(value).copy() for value in (dense.w, dense.b))
        counts = confusion(data.test_x @ w + b, data.test_t, knobs.threshold)
        yield Tick(
            net=net,
            pictures=partial(draw, data, w, b, knobs.threshold, counts),
            loss=train_loss,
            test_loss=test_loss,
            accuracy=right(confusion(data.x @ w + b, data.t, knobs.threshold)),
            test_accuracy=right(counts),
            precision=ratio(counts[1, 1], counts[:, 1]),
            recall=ratio(counts[1, 1], counts[1, :]),
        )
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


def draw(data: Dataset, w: np.ndarray, b: np.ndarray, threshold: float, counts: np.ndarray) -> dict[str, Picture]:
    return {
        "boundary": boundary(data, w, b, threshold),
        "confusion": Confusion(counts, data.classes),
        "roc": roc(data.test_x @ w + b, data.test_t, counts),
    }


def roc(scores: np.ndarray, t: np.ndarray, counts: np.ndarray) -> Scatter:
    """Of class 0, the share called 1 (to the right), against the share of class 1 called 1 (up), at every threshold.

    A coin would walk along the diagonal. The point is the threshold in use; from it a line leads to the right and down.
    """
    order = np.argsort(-scores.ravel())
    last = np.append(np.diff(scores.ravel()[order]) != 0, True)  # of equal scores: no threshold comes between them
    alarms, hits = (share_so_far(t.ravel()[order] == k, last) for k in (0, 1))
    alarm, hit = (float(row[1] / max(1, row.sum())) for row in counts)
    ends = np.array([0.0, 1.0])
    here = Series("threshold", np.array([alarm, alarm, 1.0]), np.array([0.0, hit, hit]))
    lines = [Series("roc", alarms, hits), Series("coin", ends, ends), here]
    return Scatter(Points(here.x[1:2], here.y[1:2]), lines, *UNIT, "false alarms", "recall")


def share_so_far(those: np.ndarray, at: np.ndarray) -> np.ndarray:
    return np.append(0.0, np.cumsum(those)[at] / max(1, those.sum()))


def boundary(data: Dataset, w: np.ndarray, b: np.ndarray, threshold: float, cells: int = 48) -> Heat:
    """The probability of class 1, and the test samples on it.

    Two features: over the plane of both, in their own units. More: to the right the score z, which is all that the
    probability depends on, so that every sample stands on its very own; upwards its first feature, to tell them apart.
    """
    z = data.test_x @ w + b
    first, second = (data.test_x * data.std + data.mean)[:, :2].T
    if len(data.features) > 2:
        x, y, names = z.ravel(), first, ("z", data.features[0])
        across, up = interval(np.append(x, [-4, 4])), interval(y)
        values = np.repeat(sigmoid(np.linspace(*across, cells))[None, :], 2, axis=0)
    else:
        x, y, names = first, second, (data.features[0], data.features[1])
        across, up = interval(x), interval(y)
        plane = np.meshgrid(np.linspace(*across, cells), np.linspace(*up, cells)[::-1])
        values = sigmoid(sum(w[i] * (axis - data.mean[i]) / data.std[i] for i, axis in enumerate(plane)) + b)
    points = Points(x, y, data.test_t.ravel().astype(np.uint8))
    return Heat(across, up, values, 0.0, 1.0, (threshold,), points, data.classes, *names)


def interval(values: np.ndarray, margin: float = 0.05) -> Interval:
    low, high = float(values.min()), float(values.max())
    return low - margin * (high - low), high + margin * (high - low)
