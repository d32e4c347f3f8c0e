"""A trained network in whole numbers of 8 bits: a quarter of the memory, and no arithmetic on real numbers in the large
layers.

    small = Quantised(net, x_train[:200])   # looks at the numbers that these samples make, layer by layer
    y = small.predict(x_test)

Dense and convolutional layers are quantised: their weights once, what they get and what they give in every pass. What
stands between them stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels import device
from dltutor.kernels.int8_dense import fraction, whole_bias
from dltutor.kernels.quantise import affine, quantise_reference, symmetric
from dltutor.layers.images import Conv2d
from dltutor.layers.network import Chain, Dense, Layer, Pass
from dltutor.layers.tape import Array, Shape, Tape, Value, keep_latest

LEAST = -128  # of an output


class QuantisedLayer(Layer):
    """What both kinds have in common: real numbers in and out, whole ones in between.

    `before` and `after` are the least and the greatest number that the layer gets and gives.
    """

    def __init__(self, layer: Any, before: tuple[float, float], after: tuple[float, float]) -> None:
        self.layer = layer
        self.scale_x, self.zero_x = affine(*before)
        self.scale_y, self.zero_y = affine(*after)
        w, b = device.host(layer.w), device.host(layer.b)
        self.scale_w = symmetric(float(np.abs(w).max(initial=0)))
        whole = quantise_reference(w.astype(float), self.scale_w, 0)
        unit = self.scale_x * self.scale_w
        self.w = device.array(whole)
        self.b = device.array(whole_bias(b, whole.reshape(-1, whole.shape[-1]), unit, self.zero_x))
        self.multiplier, self.shift = fraction(unit / self.scale_y)

    def name(self) -> str:
        return _("{layer}, 8 bits").format(layer=self.layer.name())

    def width(self, inputs: int) -> int:
        return self.layer.width(inputs)

    def bytes(self) -> int:
        """Of its weights and biases."""
        return self.w.nbytes + self.b.nbytes

    def record(self, tape: Tape, x: Value) -> Value:
        if tape.training:
            hint = _("Train the network first, then quantise it, and use predict.")
            raise DltutorError(_("a layer of whole numbers cannot learn"), hint)
        shape = self.output_shape(x.shape)
        y = tape.value(shape, _("output"))
        whole_x, whole_y = tape.array(x.shape, np.int8), tape.array(shape, np.int8)
        tape.run("quantise_forward", x.flat.data, self.scale_x, self.zero_x, whole_x.reshape(whole_x.size))
        self.record_product(tape, whole_x, whole_y)
        whole = whole_y.reshape(whole_y.size)
        tape.run("quantise.py:dequantise_forward", whole, self.scale_y, self.zero_y, y.flat.data)
        return y

    def output_shape(self, x: Shape) -> Shape:
        raise NotImplementedError

    def record_product(self, tape: Tape, x: Array, y: Array) -> None:
        """Add the kernel that makes whole y of whole x."""
        raise NotImplementedError


class QuantisedDense(QuantisedLayer):
    """y = x w + b in whole numbers: dltutor/kernels/int8_dense.py."""

    def output_shape(self, x: Shape) -> Shape:
        return (*x[:-1], self.w.shape[1])

    def record_product(self, tape: Tape, x: Array, y: Array) -> None:
        D, M = self.w.shape
        rows = x.reshape((x.size // D, D))
        numbers = self.multiplier, self.shift, self.zero_y, LEAST
        sums = tape.array((rows.shape[0], M), np.int32)
        tape.run("int8_dense_forward", rows, self.w, self.b, *numbers, sums, y.reshape(sums.shape))


class QuantisedConv2d(QuantisedLayer):
    """Windows of whole weights slide over whole pixels: dltutor/kernels/int8_conv2d.py."""

    def output_shape(self, x: Shape) -> Shape:
        return (x[0], self.layer.side(x[1]), self.layer.side(x[2]), self.layer.outputs)

    def record_product(self, tape: Tape, x: Array, y: Array) -> None:
        layer = self.layer
        places = y.shape[1] * y.shape[2]
        patches = tape.array((places, layer.window**2 * layer.inputs), np.int8)
        sums = tape.array((places, layer.outputs), np.int32)
        numbers = self.zero_x, self.multiplier, self.shift, self.zero_y, LEAST
        arguments = x, self.w, self.b, layer.stride, layer.padding, *numbers, patches, sums, y
        tape.run("int8_conv2d_forward", *arguments)


class Quantised:
    """A trained network with its dense and convolutional layers in whole numbers, for predictions."""

    input_gradient = False

    def __init__(self, net: Any, samples: NDArray[Any]) -> None:
        """`samples` show what numbers each layer gets and gives: a few hundred of the training data are enough.

        Raises DltutorError where there are none.
        """
        if not len(samples):
            message = _("nothing shows how large the numbers in the network are")
            raise DltutorError(message, _("Give some of the data that it was trained with."))
        self.chain = Chain(*(_quantised(*seen) for seen in _watched(net, samples)))
        self._passes: dict[Shape, Pass] = {}

    def predict(self, x: Array) -> Array:
        """The network's output for x."""
        found = self._passes.get(x.shape) or Pass(self, x, training=False)  # type: ignore[arg-type]
        return keep_latest(self._passes, x.shape, found).forward(x)

    def bytes(self) -> int:
        """Of all parameters."""
        whole = sum(layer.bytes() for layer in self.chain.layers if isinstance(layer, QuantisedLayer))
        real = (layer for layer in self.chain.layers if not isinstance(layer, QuantisedLayer))
        return whole + sum(value.nbytes for layer in real for _name, value, _gradient in layer.parameters())


def _watched(net: Any, samples: NDArray[Any]) -> Iterator[tuple[Layer, NDArray[Any], NDArray[Any]]]:
    """Each layer, with what it gets and gives for these samples."""
    tape = Tape(training=False)
    x = tape.input(samples.shape, samples.dtype, with_grad=False)
    values = [x]
    layers = list(_flat(net.chain))
    for layer in layers:
        values.append(layer.record(tape, values[-1]))
    device.copy(x.data, samples)
    tape.forward()
    for layer, before, after in zip(layers, values, values[1:], strict=False):
        yield layer, device.host(before.data), device.host(after.data)


def _flat(chain: Chain) -> Iterator[Layer]:
    for layer in chain.layers:
        if type(layer) is Chain:
            yield from _flat(layer)
        else:
            yield layer


def _quantised(layer: Layer, before: NDArray[Any], after: NDArray[Any]) -> Layer:
    kinds = {Dense: QuantisedDense, Conv2d: QuantisedConv2d}
    kind = kinds.get(type(layer))
    return kind(layer, _ends(before), _ends(after)) if kind else layer


def _ends(numbers: NDArray[Any]) -> tuple[float, float]:
    return float(numbers.min()), float(numbers.max())
