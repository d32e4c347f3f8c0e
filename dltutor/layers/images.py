"""Layers for pictures, (N, H, W, C): N pictures, H lines of W pixels, C channels side by side in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels import device
from dltutor.layers.network import Chain, Layer, Parameter, ReLU
from dltutor.layers.tape import Array, Shape, Tape, Value

PATCHES = 256  # pixels whose patches are copied at a time: enough for one fast matrix product, few enough for the cache


class Convolution(Layer):
    """What both convolutions have in common: C channels in, M out, square windows of K x K."""

    may_stand_first = True
    operation = ""

    def __init__(self, inputs: int, outputs: int, window: int = 3, stride: int = 1, padding: int = 0) -> None:
        if min(inputs, outputs, window, stride) < 1 or padding < 0:
            message = _("no {layer} can have {numbers}")
            numbers = f"inputs={inputs}, outputs={outputs}, window={window}, stride={stride}, padding={padding}"
            hint = _("All of them are at least 1, but padding, which may be 0.")
            raise DltutorError(message.format(layer=self.name(), numbers=numbers), hint)
        self.inputs, self.outputs = inputs, outputs
        self.window, self.stride, self.padding = window, stride, padding
        self.w = self.b = self.dw = self.db = None

    def first_values(self, rng: np.random.Generator, before_relu: bool) -> list[NDArray[Any]]:
        """As in a dense layer of all the numbers that a window sees."""
        seen = self.window**2 * self.inputs
        variance = 2 / seen if before_relu else 2 / (seen + self.window**2 * self.outputs)
        return [math.sqrt(variance) * rng.standard_normal(self.shapes()[0]), np.zeros(self.outputs)]

    def bind(self, values: Sequence[Array], gradients: Sequence[Array]) -> None:
        self.w, self.b = values
        self.dw, self.db = gradients

    def width(self, inputs: int) -> int:
        if inputs not in (0, self.inputs):
            message = _("a {layer} of {inputs} channels cannot follow a layer of {width} outputs")
            message = message.format(layer=self.name(), inputs=self.inputs, width=inputs)
            raise DltutorError(message, _("Make the two numbers equal."))
        return self.outputs

    def parameters(self) -> list[Parameter]:
        return [(_("weights"), self.w, self.dw), (_("bias"), self.b, self.db)]

    def record(self, tape: Tape, x: Value) -> Value:
        N, H, W = pixels(self, x)
        self.width(x.shape[-1])
        y = tape.value((N, self.side(H), self.side(W), self.outputs), _("output"))
        numbers = self.w, self.b, self.stride, self.padding
        patches = tape.array(self.patches(x.shape, y.shape))
        tape.run(f"{self.operation}_forward", x.data, *numbers, patches, y.data)
        gradients = x.grad, self.dw, self.db
        tape.undo(f"{self.operation}_backward", x.data, self.w, y.grad, *numbers[2:], patches, *gradients)
        return y

    def side(self, side: int) -> int:
        """Pixels along a side of the output, for so many along a side of the input."""
        raise NotImplementedError

    def patches(self, x: Shape, y: Shape) -> Shape:
        """The shape of the kernels' room to work in."""
        raise NotImplementedError


class Conv2d(Convolution):
    """Windows of weights slide over the picture: dltutor/kernels/conv2d.py.

    `padding` lines of zeros are put around the picture: with an odd window and padding = window // 2 it keeps its size.
    Weights (K, K, C, M) are drawn as those of a dense layer.
    """

    operation = "conv2d"

    def name(self) -> str:
        return _("convolution")

    def shapes(self) -> tuple[Shape, ...]:
        return (self.window, self.window, self.inputs, self.outputs), (self.outputs,)

    def side(self, side: int) -> int:
        return places(self, side + 2 * self.padding)

    def patches(self, x: Shape, y: Shape) -> Shape:
        return patches(y[1] * y[2], self.window**2 * self.inputs, x[0])


class ConvTranspose2d(Convolution):
    """Each pixel stamps a window of weights: dltutor/kernels/conv2d_transposed.py.

    With stride 2 pictures become twice as large: (side - 1) * stride - 2 * padding + window. Weights are (K, K, M, C).
    """

    operation = "conv2d_transposed"

    def name(self) -> str:
        return _("transposed convolution")

    def shapes(self) -> tuple[Shape, ...]:
        return (self.window, self.window, self.outputs, self.inputs), (self.outputs,)

    def side(self, side: int) -> int:
        larger = (side - 1) * self.stride - 2 * self.padding + self.window
        if larger < 1:
            raise too_small(self, side)
        return larger

    def patches(self, x: Shape, y: Shape) -> Shape:
        return patches(x[1] * x[2], self.window**2 * self.outputs, x[0])


class Pool(Layer):
    """Each window of a picture becomes one pixel. Without a stride, windows stand side by side."""

    operation = ""

    def __init__(self, window: int = 2, stride: int = 0) -> None:
        if window < 1 or stride < 0:
            message = _("no {layer} can have {numbers}")
            numbers = f"window={window}, stride={stride}"
            raise DltutorError(message.format(layer=self.name(), numbers=numbers), _("Both are at least 1."))
        self.window, self.stride = window, stride or window

    def output(self, tape: Tape, x: Value) -> Value:
        N, H, W = pixels(self, x)
        return tape.value((N, places(self, H), places(self, W), x.shape[-1]), _("output"))


class MaxPool2d(Pool):
    """Of each window the largest number, channel by channel; what does not fill a window is left out."""

    def name(self) -> str:
        return _("max pooling")

    def record(self, tape: Tape, x: Value) -> Value:
        y = self.output(tape, x)
        index = tape.array((x.shape[0], math.prod(y.shape[1:])), np.int32)
        tape.run("max_pool_forward", x.data, self.window, self.stride, y.data, index)
        tape.undo("max_pool_backward", self.window, self.stride, index, y.grad, x.grad)
        return y


class AveragePool2d(Pool):
    """Of each window the mean, channel by channel; what does not fill a window is left out."""

    def name(self) -> str:
        return _("average pooling")

    def record(self, tape: Tape, x: Value) -> Value:
        y = self.output(tape, x)
        tape.run("average_pool_forward", x.data, self.window, self.stride, y.data)
        tape.undo("average_pool_backward", self.window, self.stride, y.grad, x.grad)
        return y


class ConvBlock(Chain):
    """Convolution, ReLU and max pooling, some pictures at a time: dltutor/kernels/conv_block.py.

    The numbers are those of Conv2d, ReLU and MaxPool2d one after the other. They come sooner, because what lies between
    the three never leaves the processor's cache; so nobody can look at it either.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        window: int = 3,
        stride: int = 1,
        padding: int = 0,
        pool: int = 2,
        step: int = 0,
    ) -> None:
        self.convolution, self.pool = Conv2d(inputs, outputs, window, stride, padding), MaxPool2d(pool, step)
        super().__init__(self.convolution, ReLU(), self.pool)

    def name(self) -> str:
        return _("convolution block")

    def record(self, tape: Tape, x: Value) -> Value:
        convolution, pool = self.convolution, self.pool
        N, H, W = pixels(convolution, x)
        C, M = x.shape[-1], convolution.width(x.shape[-1])
        H, W = convolution.side(H), convolution.side(W)
        y = tape.value((N, places(pool, H), places(pool, W), M), _("output"))
        index = tape.array((x.shape[0], math.prod(y.shape[1:])), np.int32)
        G, *patch = patches(H * W, convolution.window**2 * C, N)
        room = tape.array((G, *patch)), tape.array((G, H, W, M))
        numbers = convolution.stride, convolution.padding, pool.window, pool.stride
        w, b, dw, db = convolution.w, convolution.b, convolution.dw, convolution.db
        tape.run("conv_block_forward", x.data, w, b, *numbers, *room, y.data, index)
        tape.undo("conv_block_backward", x.data, w, *numbers, *room, index, y.grad, x.grad, dw, db)
        return y


class Flatten(Layer):
    """All numbers of a sample in one row: (N, H, W, C) becomes (N, HWC). Nothing is calculated."""

    def name(self) -> str:
        return _("flatten")

    def width(self, inputs: int) -> int:
        return 0

    def record(self, tape: Tape, x: Value) -> Value:
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))


class Reshape(Layer):
    """The numbers of each sample in another shape: Reshape(4, 4, 32) makes (N, 512) to (N, 4, 4, 32)."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def name(self) -> str:
        return _("reshape")

    def width(self, inputs: int) -> int:
        return self.shape[-1]

    def record(self, tape: Tape, x: Value) -> Value:
        if math.prod(self.shape) != math.prod(x.shape[1:]):
            message = _("samples of shape {old} cannot take the shape {new}")
            hint = _("The product of all sizes stays the same.")
            raise DltutorError(message.format(old=x.shape[1:], new=self.shape), hint)
        return x.reshape(x.shape[0], *self.shape)


# ---------------------------------------------------------------- the parts


def pixels(layer: Layer, x: Value) -> Shape:
    """N, H, W of pictures.

    Raises DltutorError where x are none.
    """
    if len(x.shape) == 4:
        return x.shape[:3]
    message = _("a {layer} cannot take input of shape {shape}").format(layer=layer.name(), shape=x.shape)
    raise DltutorError(message, _("It takes pictures, (N, H, W, C): x.reshape(-1, 8, 8, 1) makes some of digits."))


def places(layer: Any, side: int) -> int:
    """How often the layer's window stands along a side of so many pixels."""
    if side < layer.window:
        raise too_small(layer, side)
    return (side - layer.window) // layer.stride + 1


def too_small(layer: Any, side: int) -> DltutorError:
    message = _("a {layer} with a window of {window} finds no room in a picture of {side} pixels a side")
    message = message.format(layer=layer.name(), window=layer.window, side=side)
    return DltutorError(message, _("Use a smaller window, more padding, or fewer layers that make pictures smaller."))


def patches(places: int, numbers: int, pictures: int) -> Shape:
    """Room for the patches of some pictures, of so many numbers each; on a card, of all of them."""
    some = max(PATCHES // places, 1) if device.name() == "cpu" else pictures
    return min(some, max(pictures, 1)), places, numbers
