"""Linear regression: one dense layer, mean squared error, gradient descent."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from dltutor.data import Dataset, load
from dltutor.lab import Tick
from dltutor.layers import MSE, SGD, Dense, Sequential
from dltutor.pictures import Contour, Interval, Picture, Points, Scatter, Series


def lab(knobs: Any, rng: np.random.Generator) -> Iterator[Tick]:
    given = choose(knobs, rng)
    data = given.standardised() if scaled(knobs) else given
    net = Sequential(Dense(len(data.features), 1, init="zeros"), rng=rng)
    mse, sgd = MSE(), SGD(net)
    surface = Surface(given)

    while True:
        model = in_units_of_the_data(net, data)
        surface.visit(model)
        x, t = data.batch(knobs.batch, rng)
        loss = mse(net.forward(x), t)
        net.backward(mse.grad)
        test_loss = mse.value(net.predict(data.test_x), data.test_t)
        yield Tick(
            net=net,
            pictures=partial(draw, given, model, surface),
            loss=loss,
            test_loss=test_loss,
            slope=float(model[0]) if len(model) == 2 else None,
            intercept=float(model[-1]),
        )
        sgd.step(lr=knobs.lr)


def choose(knobs: Any, rng: np.random.Generator) -> Dataset:
    """The data the knobs ask for, in the units in which they were measured."""
    data = load(knobs.data, points=knobs.points, noise=knobs.noise, rng=rng)
    return data.only("bmi") if knobs.data == "diabetes" and knobs.features == "bmi" else data


def scaled(knobs: Any) -> bool:
    """Whether to standardise. "auto" does it for diabetes alone: the other sets have features of size 1 already."""
    return knobs.scale == "standard" or (knobs.scale == "auto" and knobs.data == "diabetes")


def in_units_of_the_data(net: Sequential, data: Dataset) -> np.ndarray:
    """The slopes, then the intercept, for features as given: y = sum_d w_d (x_d - mean_d) / std_d + b, sorted out."""
    w, b = (net.host(value).ravel().astype(float) for _name, value, _gradient in net.parameters())
    slopes = w / data.std
    return np.append(slopes, b[0] - slopes @ data.mean)


# ---------------------------------------------------------------- pictures


def draw(data: Dataset, model: np.ndarray, surface: Surface) -> dict[str, Picture]:
    return {"fit": fit(data, model), "surface": surface.picture()}


def fit(data: Dataset, model: np.ndarray) -> Scatter:
    """One feature: the samples and the line. More: each sample's prediction against its target."""
    x, t = np.concatenate([data.test_x, data.x]), np.concatenate([data.test_t, data.t]).ravel()
    role = np.repeat(np.array([1, 0], np.uint8), [len(data.test_x), len(data)])  # to test on; over them, to train on
    if len(model) > 2:
        return against_truth(t, x @ model[:-1] + model[-1], role)
    ends = np.array([x.min(), x.max()], float)
    line = Series("fit", ends, model[0] * ends + model[1])
    points = Points(x[:, 0], t, role)
    return Scatter(points, [line], interval(x), interval(t), data.features[0], "t")


def against_truth(t: np.ndarray, y: np.ndarray, role: np.ndarray) -> Scatter:
    ends = np.array([t.min(), t.max()], float)
    return Scatter(Points(t, y, role), [Series("y = t", ends, ends)], interval(t), interval(t), "t", "y")


def interval(values: np.ndarray, margin: float = 0.05) -> Interval:
    low, high = float(values.min()), float(values.max())
    return low - margin * (high - low), high + margin * (high - low)


class Surface:
    """The training loss over two parameters, the others at their best values, and the way the model takes over it.

    The loss is a quadratic bowl: with the best parameters p, L(p + d) = L(p) + d A d, A = mean of [x, 1] [x, 1]^T.
    The two are the slope and the intercept or, of many slopes, the two whose features matter most.
    """

    CELLS = 48

    def __init__(self, data: Dataset) -> None:
        inputs = np.column_stack([data.x, np.ones(len(data))]).astype(float)
        self.best, *_rest = np.linalg.lstsq(inputs, data.t.ravel(), rcond=None)
        self.least = float(np.mean((inputs @ self.best - data.t.ravel()) ** 2))
        weight = np.abs(self.best[:-1]) * data.x.std(axis=0)
        self.axes = [0, 1] if len(self.best) == 2 else sorted(np.argsort(weight)[-2:].tolist())
        self.labels = ("slope", "intercept") if len(self.best) == 2 else tuple(data.features[a] for a in self.axes)
        self.curvature = (inputs.T @ inputs / len(data))[np.ix_(self.axes, self.axes)]
        self.path = array("f"), array("f")

    def visit(self, model: np.ndarray) -> None:
        for path, axis in zip(self.path, self.axes, strict=True):
            path.append(model[axis])

    def picture(self) -> Contour:
        best = self.best[self.axes]
        x, y = (span(float(p)) for p in best)
        d0 = np.linspace(*x, self.CELLS)[None, :] - best[0]
        d1 = np.linspace(*y, self.CELLS)[::-1, None] - best[1]
        (a, b), (_b, c) = self.curvature
        values = self.least + a * d0**2 + 2 * b * d0 * d1 + c * d1**2
        path_x, path_y = (thinned(path) for path in self.path)
        return Contour(x, y, values, path_x, path_y, (best[0], best[1]), *self.labels)


def span(best: float) -> Interval:
    """From a little before the start at 0 to beyond the best value, as far as a path that arrives can overshoot."""
    low, high = sorted((-0.4 * (best or 1), 1.9 * (best or 1)))
    return low, high


def thinned(path: array[float], most: int = 500) -> np.ndarray:
    """At most about `most` places of a long path, evenly spread, the last one among them."""
    places = np.array(path)
    return np.append(places[: -1 : 1 + len(places) // most], places[-1:])
