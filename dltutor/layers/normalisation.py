"""Layers that bring numbers to mean 0 and deviation 1: over the batch, or over the channels of each sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels import device
from dltutor.layers.network import Layer, Parameter
from dltutor.layers.tape import Array, Shape, Tape, Value


class Normalisation(Layer):
    """What both have in common: C channels, each with a learned scale, 1 at first, and shift, 0 at first."""

    may_stand_first = True

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        if channels < 1 or eps <= 0:
            message = _("no {layer} can have {numbers}").format(
                layer=self.name(), numbers=f"channels={channels}, eps={eps}"
            )
            raise DltutorError(message, _("Give at least one channel, and a small positive eps."))
        self.channels, self.eps = channels, eps
        self.g = self.b = self.dg = self.db = None

    def shapes(self) -> tuple[Shape, ...]:
        return (self.channels,), (self.channels,)

    def first_values(self, rng: np.random.Generator, before_relu: bool) -> list[NDArray[Any]]:
        return [np.ones(self.channels), np.zeros(self.channels)]

    def bind(self, values: Sequence[Array], gradients: Sequence[Array]) -> None:
        self.g, self.b = values
        self.dg, self.db = gradients

    def width(self, inputs: int) -> int:
        if inputs not in (0, self.channels):
            message = _("a {layer} of {inputs} channels cannot follow a layer of {width} outputs")
            message = message.format(layer=self.name(), inputs=self.channels, width=inputs)
            raise DltutorError(message, _("Make the two numbers equal."))
        return self.channels

    def parameters(self) -> list[Parameter]:
        return [(_("scale"), self.g, self.dg), (_("shift"), self.b, self.db)]


class BatchNorm(Normalisation):
    """Each channel over all samples, and over all pixels of pictures: dltutor/kernels/batch_norm.py.

    x is (N, C) or (N, H, W, C). In training it uses the batch's own mean and variance, and moves the `running` ones,
    (2, C), towards them by `momentum`; `predict` uses the running ones. They are no parameters: no gradient is by them.
    """

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__(channels, eps)
        self.momentum = momentum
        self.running = device.array(np.stack([np.zeros(channels), np.ones(channels)]).astype(np.float32))

    def name(self) -> str:
        return _("batch normalisation")

    def record(self, tape: Tape, x: Value) -> Value:
        self.width(x.shape[-1])
        y = tape.value(x.shape, _("output"))
        rows, outputs = x.rows, y.rows
        if not tape.training:
            tape.run(
                "batch_norm.py:batch_norm_predict", rows.data, self.g, self.b, self.running, self.eps, outputs.data
            )
            return y
        moments, sums = (tape.array((2, self.channels)) for _time in range(2))
        numbers = self.momentum, self.eps
        tape.run("batch_norm_forward", rows.data, self.g, self.b, *numbers, self.running, moments, outputs.data)
        gradients = rows.grad, self.dg, self.db
        tape.undo("batch_norm_backward", rows.data, self.g, moments, outputs.grad, sums, *gradients)
        return y


class LayerNorm(Normalisation):
    """Each sample (each pixel, each time) over its channels, the last axis: dltutor/kernels/layer_norm.py."""

    def name(self) -> str:
        return _("layer normalisation")

    def record(self, tape: Tape, x: Value) -> Value:
        self.width(x.shape[-1])
        y = tape.value(x.shape, _("output"))
        rows, outputs = x.rows, y.rows
        count = rows.shape[:1]
        mean, r = tape.array(count), tape.array(count)
        tape.run("layer_norm_forward", rows.data, self.g, self.b, self.eps, mean, r, outputs.data)
        gradients = rows.grad, self.dg, self.db
        tape.undo("layer_norm_backward", rows.data, self.g, mean, r, outputs.grad, *gradients)
        return y
