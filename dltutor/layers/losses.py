"""Losses: how wrong an output is."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels import device
from dltutor.layers.tape import Array, Shape, keep_latest


class Loss:
    """How wrong an output is: one number for a batch, and in `grad` its derivative by the output, for `backward`."""

    operation = ""
    numbers: tuple[float, ...] = ()  # that its kernels take behind y and t

    def __init__(self) -> None:
        self.grad: Array = None
        self._bound: dict[Any, Bound] = {}

    def __call__(self, y: Array, t: Array) -> float:
        """The loss of y against the targets t, and in `grad` its derivative by y.

        Raises DltutorError where shapes, types or labels do not fit.
        """
        bound = self._bind(y, t)
        bound.both.replay()
        self.grad = bound.grad
        _remember(self.grad, y)
        return float(device.host(bound.number)[0])

    def value(self, y: Array, t: Array) -> float:
        """The loss alone: `grad` stays as it is, so a step under way is not disturbed."""
        bound = self._bind(y, t)
        bound.forward.replay()
        return float(device.host(bound.number)[0])

    def check(self, y: Array, t: Array) -> None:
        """Raise DltutorError where the targets do not fit the outputs."""
        if t.shape != y.shape or t.dtype != np.float32:
            raise misfit(y, t, _("Targets are float32 and have the outputs' shape, {shape}.").format(shape=y.shape))

    def record(self, bound: Bound) -> None:
        """Add the forward kernel to both graphs and the backward one to `both`."""
        y, t, grad = (array.reshape(array.size) for array in (bound.y, bound.t, bound.grad))
        bound.run(f"{self.operation}_forward", y, t, *self.numbers, bound.number)
        bound.differentiate(f"{self.operation}_backward", y, t, *self.numbers, grad)

    def _bind(self, y: Array, t: Array) -> Bound:
        self.check(y, t)
        place = device.address(y), y.shape
        bound = self._bound.get(place)
        if bound is None:
            bound = Bound(y, t)
            self.record(bound)
        keep_latest(self._bound, place, bound)
        device.copy(bound.t, t)
        return bound


class Bound:
    """A loss of one array: the targets, the gradient and the number have their places, and the kernels are bound."""

    def __init__(self, y: Array, t: Array) -> None:
        self.y = y
        self.t = device.empty(t.shape, t.dtype)
        self.grad = device.empty(y.shape)
        self.number = device.empty((1,))
        self.forward, self.both = device.graph(), device.graph()
        self.both.add(device.op("clear.py:clear"), self.grad.reshape(self.grad.size))

    def array(self, shape: Shape) -> Array:
        return device.empty(shape)

    def run(self, operation: str, *arguments: Any) -> None:
        for graph in (self.forward, self.both):
            graph.add(device.op(operation), *arguments)

    def differentiate(self, operation: str, *arguments: Any) -> None:
        self.both.add(device.op(operation), *arguments)


class MSE(Loss):
    """Mean squared error over all numbers of the batch. y and t float32, of one shape."""

    operation = "mse"


class MAE(Loss):
    """Mean absolute error over all numbers of the batch. y and t float32, of one shape."""

    operation = "mae"


class Huber(Loss):
    """Half the square of errors up to `delta`, and `delta` times as much as larger ones are off by; the mean of it."""

    operation = "huber"

    def __init__(self, delta: float = 1.0) -> None:
        super().__init__()
        if not delta > 0:
            raise DltutorError(_("no Huber loss can have delta={delta}").format(delta=delta), _("Give one above 0."))
        self.numbers = (float(delta),)


class Wasserstein(Loss):
    """Mean of t y: y are a critic's scores, t is 1 for what was generated and -1 for what is real.

    The critic's loss is that of a real batch plus that of a generated one. The generator's is that of its samples with
    t = -1, as if they were real.
    """

    operation = "wasserstein"


class BCEWithLogits(Loss):
    """Mean binary cross-entropy; y are logits, t from 0 to 1. y and t float32, of one shape."""

    operation = "binary_cross_entropy"


class SoftmaxCrossEntropy(Loss):
    """Mean cross-entropy over classes; y are logits, float32 (..., C); t are class numbers, int32 (...)."""

    def check(self, y: Array, t: Array) -> None:
        classes = y.shape[-1]
        if t.shape != y.shape[:-1] or t.dtype != np.int32:
            raise misfit(y, t, _("Labels are int32 of shape {shape}, one a row.").format(shape=y.shape[:-1]))
        labels = device.host(t)
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise misfit(y, t, _("Labels go from 0 to {last}.").format(last=classes - 1))

    def record(self, bound: Bound) -> None:
        classes = bound.y.shape[-1]
        y, grad = (array.reshape(array.size // classes, classes) for array in (bound.y, bound.grad))
        t, p = bound.t.reshape(bound.t.size), bound.array(y.shape)
        bound.run("cross_entropy_forward", y, t, p, bound.array(t.shape), bound.number)
        bound.differentiate("cross_entropy_backward", p, t, grad)


_answers: dict[int, tuple[weakref.ref[Any], weakref.ref[Any]]] = {}  # gradients of losses, and the outputs they are by


def _remember(grad: Array, y: Array) -> None:
    place = id(grad)
    _answers[place] = weakref.ref(grad, lambda _gone: _answers.pop(place, None)), weakref.ref(y)


def overwritten(grad: Array, latest: Array) -> bool:
    """Whether a loss made `grad` from an output that is no longer the `latest` one."""
    of_grad, of_y = _answers.get(id(grad), (None, None))
    return of_grad is not None and of_grad() is grad and of_y is not None and of_y() is not latest


def misfit(y: Array, t: Array, hint: str) -> DltutorError:
    message = _("targets of shape {targets} and type {dtype} do not fit outputs of shape {outputs}")
    return DltutorError(message.format(targets=t.shape, dtype=t.dtype, outputs=y.shape), hint)
