"""A multilayer perceptron: layers of neurons, one after the other, trained by backpropagation.

    x (N, D) -> dense -> activation -> dense -> activation -> dense -> z (N, C) -> softmax -> p (N, C)

D is 2 for points of the plane, 64 or 784 for images; C is the number of classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import count
from math import isfinite, isqrt
from typing import Any

import numpy as np

from dltutor.data import Dataset, load
from dltutor.lab import Tick
from dltutor.layers import SGD, Adam, Dense, Momentum, ReLU, Sequential, Sigmoid, SoftmaxCrossEntropy, Tanh
from dltutor.pictures import Confusion, Heat, Histograms, Images, Interval, Picture, Points

ACTIVATIONS = {"tanh": Tanh, "relu": ReLU, "sigmoid": Sigmoid}
OPTIMIZERS = {"adam": Adam, "momentum": Momentum, "sgd": SGD}

TEST_EVERY = 10  # steps
GRID = 56  # points a side at which the plane is asked
THUMBNAIL = 8  # the same, for the picture of one neuron
NEURONS = 16  # drawn over the plane, of all layers together
SHOWN = 32  # images
BINS = 41


def lab(knobs: Any, rng: np.random.Generator) -> Iterator[Tick]:
    data = labelled(load(knobs.data, points=knobs.points, noise=knobs.noise, rng=rng), knobs.labels, rng)
    net = perceptron(data, knobs.hidden, knobs.activation, rng)
    loss, optimizer = SoftmaxCrossEntropy(), OPTIMIZERS[knobs.optimizer](net)

    for step in count():
        test_loss, test_accuracy = measure(net, loss, data) if step % TEST_EVERY == 0 else (None, None)
        x, t = data.batch(knobs.batch, rng)
        y = net.forward(x)
        batch_loss, batch_accuracy = loss(y, t), accuracy(net.host(y), t)
        net.backward(loss.grad)  # before the tick: the gradients are a picture, too
        yield Tick(
            net=net,
            pictures=lambda: draw(net, data, knobs.activation),
            loss=batch_loss,
            test_loss=test_loss,
            accuracy=batch_accuracy,
            test_accuracy=test_accuracy,
        )
        optimizer.step(lr=knobs.lr)


# ---------------------------------------------------------------- data and model


def labelled(data: Dataset, labels: str, rng: np.random.Generator) -> Dataset:
    """The same samples with class numbers for labels, (N,) int32: the true ones, or the same dealt out at random."""
    t, test_t = (column.reshape(-1).astype(np.int32) for column in (data.t, data.test_t))
    if labels == "shuffled":
        t, test_t = rng.permutation(t), rng.permutation(test_t)
    return replace(data, t=t, test_t=test_t)


def perceptron(data: Dataset, hidden: str, activation: str, rng: np.random.Generator) -> Sequential:
    """Dense layers of the `hidden` widths, an activation after each, and one output for every class."""
    width, layers = data.x.shape[1], []
    for neurons in hidden_widths(hidden, plane=width == 2):
        layers += [Dense(width, neurons)] + ([ACTIVATIONS[activation]()] if activation != "none" else [])
        width = neurons
    return Sequential(*layers, Dense(width, len(data.classes)), rng=rng)


def hidden_widths(hidden: str, plane: bool) -> list[int]:
    """ "8-8" -> [8, 8]; "none" -> []; "auto" is 16-16 for points of the plane and 128-128 for images."""
    named = {"none": "", "auto": "16-16" if plane else "128-128"}.get(hidden, hidden)
    return [int(neurons) for neurons in named.split("-") if neurons]


# ---------------------------------------------------------------- how well it does


def accuracy(y: np.ndarray, t: np.ndarray) -> float:
    """How many samples have their highest score at the true class, of all."""
    return float(np.mean(y.argmax(axis=1) == t))


def measure(net: Sequential, loss: SoftmaxCrossEntropy, data: Dataset) -> tuple[float, float]:
    """Loss and accuracy on samples that training never sees."""
    y = net.predict(data.test_x)
    return loss.value(y, data.test_t), accuracy(net.host(y), data.test_t)


def probabilities(y: np.ndarray) -> np.ndarray:
    """Softmax over the last axis; the highest score is subtracted first, so that exp cannot overflow."""
    classes = np.ascontiguousarray(y.T)  # NumPy is quick along long axes
    e = np.exp(classes - classes.max(axis=0))
    return (e / e.sum(axis=0)).T


# ---------------------------------------------------------------- pictures


def draw(net: Sequential, data: Dataset, activation: str) -> dict[str, Picture]:
    """All pictures; the first two depend on whether the inputs are points of the plane or images."""
    of_inputs = over_plane(net, data, activation) if data.x.shape[1] == 2 else as_images(net, data)
    return of_inputs | of_layers(net) | {"confusion": confusion(net, data)}


def over_plane(net: Sequential, data: Dataset, activation: str) -> dict[str, Picture]:
    x, y = frame(data)
    return {"boundary": boundary(net, data, x, y), "neurons": neurons(net, activation, x, y)}


def boundary(net: Sequential, data: Dataset, x: Interval, y: Interval) -> Heat:
    """The probability of class 1 at every point of a grid, the line where it is one half, and the samples."""
    p = probabilities(net.host(net.predict(grid(x, y, GRID))))[:, 1]
    points = Points(data.x[:, 0], data.x[:, 1], data.t.astype(np.uint8))
    return Heat(x, y, p.reshape(GRID, GRID), iso=(0.5,), points=points, classes=data.classes)


def neurons(net: Sequential, activation: str, x: Interval, y: Interval) -> Images:
    """The output of each hidden neuron over the plane, as a thumbnail; "2.7" is neuron 7 of layer 2.

    The first of each layer, then the second of each: where there is room for a few only, they are of all layers.
    """
    outputs = hidden_outputs(net, grid(x, y, THUMBNAIL), activation)
    widest = max(h.shape[1] for h in outputs)
    order = [(i, m) for m in range(widest) for i, h in enumerate(outputs) if m < h.shape[1]][:NEURONS]
    thumbnails = np.stack([outputs[i][:, m].reshape(THUMBNAIL, THUMBNAIL) for i, m in order])
    return Images(own_scale(thumbnails), tuple(f"{i + 1}.{m + 1}" for i, m in order), signed=True)


def hidden_outputs(net: Sequential, x: np.ndarray, activation: str) -> list[np.ndarray]:
    """What each hidden layer hands to the next, (N, M); where there is none, the scores."""
    outputs = [net.host(output) for output in net.outputs(x)]
    each = 1 if activation == "none" else 2  # a dense layer, and what bends its sums
    return outputs[each - 1 : -1 : each] or outputs


def parameters(net: Sequential) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and bias of each layer in turn, each with its gradient."""
    return [(net.host(value), net.host(gradient)) for _name, value, gradient in net.parameters()]


def own_scale(images: np.ndarray) -> np.ndarray:
    """Each image divided by its largest magnitude."""
    return images / np.maximum(np.abs(images).max(axis=(1, 2), keepdims=True), 1e-12)


def frame(data: Dataset) -> tuple[Interval, Interval]:
    """The intervals of x1 and x2 that hold every sample, with a margin."""
    low, high = data.x.min(axis=0), data.x.max(axis=0)
    margin = 0.1 * (high - low)
    (x1, y1), (x2, y2) = (low - margin).tolist(), (high + margin).tolist()
    return (x1, x2), (y1, y2)


@lru_cache(maxsize=4)
def grid(x: Interval, y: Interval, side: int) -> np.ndarray:
    """side * side points over the rectangle as rows (x1, x2), the top row of the picture first."""
    x1, x2 = np.meshgrid(np.linspace(*x, side), np.linspace(y[1], y[0], side))
    return np.stack([x1.ravel(), x2.ravel()], axis=1).astype(np.float32)


def as_images(net: Sequential, data: Dataset) -> dict[str, Picture]:
    return {"boundary": answers(net, data), "neurons": first_weights(net, data)}


def answers(net: Sequential, data: Dataset) -> Images:
    """The first test images, each with its predicted class; where that is wrong, the true one in brackets."""
    images, truth = data.test_x[:SHOWN], data.test_t[:SHOWN]
    said = net.host(net.predict(images)).argmax(axis=1)
    captions = tuple(
        data.classes[k] if k == t else f"{data.classes[k]} ({data.classes[t]})"
        for k, t in zip(said, truth, strict=True)
    )
    return Images(images.reshape(-1, *shape(data)), captions, tuple(np.flatnonzero(said != truth).tolist()))


def first_weights(net: Sequential, data: Dataset) -> Images:
    """The weights from the pixels to each neuron of the first layer, laid out as the pixels are."""
    (weights, _gradient), *rest = parameters(net)
    templates = weights.T[:SHOWN].reshape(-1, *shape(data))
    only_layer = len(rest) == 1  # its bias: then every neuron is a class
    names = data.classes if only_layer else tuple(f"1.{m}" for m in range(1, len(templates) + 1))
    return Images(templates, names, signed=True)


def shape(data: Dataset) -> tuple[int, int]:
    side = isqrt(data.x.shape[1])
    return side, side


def of_layers(net: Sequential) -> dict[str, Picture]:
    """How large the weights of each layer are, and their gradients, these by powers of ten."""
    weights, gradients = zip(*((w, dw) for w, dw in parameters(net) if w.ndim == 2), strict=True)
    widest = 2.0 ** np.ceil(np.log2(max(np.abs(w).max() for w in weights)))  # in steps, so that the axis stays put
    sizes = [np.log10(np.abs(dw) + 1e-30) for dw in gradients]
    return {
        "weights": histograms(weights, -widest, widest, "w"),
        "gradients": histograms(sizes, -8.0, 1.0, "log10 |dw|"),
    }


def histograms(layers: Sequence[np.ndarray], low: float, high: float, label: str) -> Histograms:
    """For each layer the share of its numbers in each bin; what lies outside is counted in the bin at that end."""
    inner = edges(low, high)
    places = [np.searchsorted(inner, values.ravel(), side="right") for values in layers]
    counts = [np.bincount(place, minlength=BINS)[:BINS] / place.size for place in places]
    return Histograms(tuple(str(i) for i in range(1, len(counts) + 1)), np.stack(counts), low, high, label)


@lru_cache(maxsize=16)
def edges(low: float, high: float) -> np.ndarray:
    """Where one bin ends and the next begins; after the last one comes what is no number."""
    if not isfinite(high - low):
        raise ValueError(f"there are no bins from {low} to {high}")
    if low == high:  # all is one number: it lies in the middle
        low, high = low - 0.5, high + 0.5
    return np.append(np.linspace(low, high, BINS + 1, dtype=np.float32)[1:-1], np.float32(np.nan))


def confusion(net: Sequential, data: Dataset) -> Confusion:
    """On the test set: how often class i was taken for class j."""
    said = net.host(net.predict(data.test_x)).argmax(axis=1)
    counts = np.zeros((len(data.classes), len(data.classes)), np.int32)
    np.add.at(counts, (data.test_t, said), 1)
    return Confusion(counts, data.classes)
