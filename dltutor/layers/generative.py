"""What generative models need beside ordinary layers: a VAE's random layer, and a Wasserstein critic's penalty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels import device
from dltutor.kernels.random import first_key
from dltutor.layers.activations import LeakyReLU
from dltutor.layers.images import Conv2d, Convolution, ConvTranspose2d, Flatten, Reshape
from dltutor.layers.network import Chain, Dense, Layer, ReLU, Sequential, Tanh
from dltutor.layers.tape import Array, Shape, Tape, Value, keep_latest


class GaussianSample(Layer):
    """Draws from the Gaussian that its input describes: a row of x is [mu, ln sigma^2], z = mu + sigma eps.

    In `predict`, z = mu. To the loss it adds beta times the Kullback-Leibler divergence from the standard normal
    distribution, summed over a row and averaged over the rows: `net.backward` includes its gradient, `kl` is its value
    (without beta) in the last forward pass. `beta` may change between steps.
    """

    def __init__(self, beta: float = 1.0) -> None:
        self._key = device.zeros((4,), np.uint32)
        self._beta, self._kl = device.zeros((1,)), device.zeros((1,))
        self.beta = beta

    @property
    def beta(self) -> float:
        return self._value

    @beta.setter
    def beta(self, beta: float) -> None:
        self._value = beta
        device.copy(self._beta, np.array([beta], np.float32))

    @property
    def kl(self) -> float:
        return float(device.host(self._kl)[0])

    def name(self) -> str:
        return _("Gaussian sample")

    def first_values(self, rng: np.random.Generator, before_relu: bool) -> list[NDArray[Any]]:
        """No parameters, but a random stream: the network's generator seeds it."""
        device.copy(self._key, first_key(int(rng.integers(2**63))))
        return []

    def width(self, inputs: int) -> int:
        if inputs % 2:
            message = _("a Gaussian cannot be described by {inputs} numbers").format(inputs=inputs)
            hint = _("It takes as many logarithms of variances as means: make the layer before it twice as wide.")
            raise DltutorError(message, hint)
        return inputs // 2

    def record(self, tape: Tape, x: Value) -> Value:
        z = tape.value((*x.shape[:-1], self.width(x.shape[-1])), _("output"))
        rows, sample = x.rows, z.rows
        eps = tape.array(sample.shape)  # stays zero where nothing is drawn
        if tape.training:
            tape.run("random.py:random_normal", self._key, eps.reshape(eps.size))
            tape.run("random.py:random_advance", self._key)
            tape.run("gaussian.py:gaussian_kl_forward", rows.data, self._kl)
        tape.run("gaussian.py:gaussian_sample_forward", rows.data, eps, sample.data)
        tape.undo("gaussian.py:gaussian_sample_backward", rows.data, eps, sample.grad, rows.grad)
        tape.undo("gaussian.py:gaussian_kl_backward", rows.data, self._beta, rows.grad)
        return z


class GradientPenalty:
    """Keeps a Wasserstein critic about as steep as 1: dltutor/kernels/gradient_penalty.py.

        penalty = GradientPenalty(critic, weight=10, rng=rng)
        value = penalty(real, fake)         # adds its derivative to the gradients of the critic

    Between each real sample and the generated one in the same row a point is drawn, and there the length of the
    gradient of the critic's score is taken. Its derivative by the weights is a second derivative: the backward pass is
    recorded as if it were forward, and then undone. So critics are made of layers for which that is written here:
    dense, convolutions, ReLU, leaky ReLU, tanh, flatten and reshape.
    """

    def __init__(self, critic: Sequential, weight: float = 10.0, rng: np.random.Generator | None = None) -> None:
        self.critic, self.weight = critic, weight
        self.layers = _plain_layers(critic.layers)
        self._key = device.array(first_key(int((rng or np.random.default_rng(0)).integers(2**63))))
        self._recorded: dict[Shape, Twice] = {}

    def __call__(self, real: Array, fake: Array) -> float:
        """The penalty between these samples.

        Raises DltutorError where they do not fit each other or the critic.
        """
        if real.shape != fake.shape or real.dtype != np.float32 or fake.dtype != np.float32:
            message = _("no points lie between real samples of shape {real} and generated ones of shape {fake}")
            hint = _("Give as many generated samples as real ones, both float32.")
            raise DltutorError(message.format(real=real.shape, fake=fake.shape), hint)
        found = self._recorded.get(real.shape) or Twice(self, real.shape)
        return keep_latest(self._recorded, real.shape, found).run(real, fake)


class Twice:
    """A critic's forward and backward pass, the penalty, and all of it undone, recorded for one shape of samples."""

    def __init__(self, penalty: GradientPenalty, shape: Shape) -> None:
        self.tape = Tape()
        self.real, self.fake = self.tape.array(shape), self.tape.array(shape)
        x = self._between(penalty, shape)
        values = self._forward(penalty.layers, x)
        slope = self._backward(penalty.layers, values)
        self.loss = self.tape.value((1,))
        rows = slope.reshape(shape[0], -1)
        norm, weight = self.tape.array((shape[0],)), float(penalty.weight)
        self.tape.run("gradient_penalty_forward", rows.data, weight, norm, self.loss.data)
        self.tape.undo("gradient_penalty_backward", rows.data, weight, norm, rows.grad)
        self.one = device.array(np.ones(1, np.float32))

    def run(self, real: Array, fake: Array) -> float:
        device.copy(self.real, real)
        device.copy(self.fake, fake)
        self.tape.forward()
        self.tape.backward(self.loss, self.one)
        return float(device.host(self.loss.data)[0])

    def _between(self, penalty: GradientPenalty, shape: Shape) -> Value:
        x = self.tape.input(shape, np.float32, with_grad=not penalty.critic.chain.may_stand_first)
        u, rows = self.tape.array((shape[0],)), (shape[0], int(np.prod(shape[1:])))
        self.tape.run("random.py:random_uniform", penalty._key, u)
        self.tape.run("random.py:random_advance", penalty._key)
        real, fake = self.real.reshape(rows), self.fake.reshape(rows)
        self.tape.run("gradient_penalty.py:interpolate_forward", real, fake, u, x.data.reshape(rows))
        return x

    def _forward(self, layers: list[Layer], x: Value) -> list[Value]:
        """The input, and each layer's output.

        Only what bends has a second derivative, so behind the last such layer nothing needs a gradient of its own.
        """
        values = [x]
        last = max((place for place, layer in enumerate(layers) if isinstance(layer, BENT)), default=-1)
        for place, layer in enumerate(layers):
            self.tape.training = place <= last
            values.append(layer.record(self.tape, values[-1]))
        self.tape.training = True
        return values

    def _backward(self, layers: list[Layer], values: list[Value]) -> Value:
        """The derivative of the sum of all scores by the input."""
        slope = self.tape.value(values[-1].shape)
        device.copy(slope.data, np.ones(slope.shape, np.float32))
        for layer, x, y in reversed(list(zip(layers, values, values[1:], strict=False))):
            slope = BACKWARD[type(layer)](self.tape, layer, x, y, slope)
        return slope


# ---------------------------------------------------------------- backward passes that can be undone
#
# Each makes dx of dy. Both are values, and their own gradients, ddx and ddy, are the derivatives of the penalty by
# them; dx is linear in dy, so that ddy is made of ddx by the layer's forward kernel, without its bias.


def _dense_backward(tape: Tape, layer: Dense, x: Value, _y: Value, dy: Value) -> Value:
    dx = _zeros(tape, x.shape)
    rows, outputs = dx.rows, dy.rows
    tape.run("matmul.py:matmul_backward_a", outputs.data, layer.w, rows.data)  # dx += dy w^T
    tape.undo("matmul.py:matmul_forward", rows.grad, layer.w, outputs.grad)  # ddy = ddx w
    tape.undo("matmul.py:matmul_backward_b", rows.grad, outputs.data, layer.dw)  # dw += ddx^T dy
    return dx


def _convolution_backward(tape: Tape, layer: Convolution, x: Value, y: Value, dy: Value) -> Value:
    dx = _zeros(tape, x.shape)
    numbers, room = (layer.stride, layer.padding), tape.array(layer.patches(x.shape, y.shape))
    w_shape, b_shape = layer.shapes()
    no_bias, unused_w, unused_b = tape.array(b_shape), tape.array(w_shape), tape.array(b_shape)
    left_out = device.empty((0, *x.shape[1:]))
    forward, backward = f"{layer.operation}_forward", f"{layer.operation}_backward"
    tape.run(backward, x.data, layer.w, dy.data, *numbers, room, dx.data, unused_w, unused_b)
    tape.undo(forward, dx.grad, layer.w, no_bias, *numbers, room, dy.grad)
    tape.undo(backward, dx.grad, layer.w, dy.data, *numbers, room, left_out, layer.dw, unused_b)
    return dx


def _activation_backward(tape: Tape, layer: Any, x: Value, y: Value, dy: Value) -> Value:
    """dx = dy times the slope at y; the slope does not depend on y where the function is made of straight lines."""
    dx = _zeros(tape, x.shape)
    numbers = (float(layer.slope),) if isinstance(layer, LeakyReLU) else ()
    operation = "leaky_relu_backward" if numbers else f"{layer.operation}_backward"
    tape.run(operation, y.flat.data, *numbers, dy.flat.data, dx.flat.data)
    tape.undo(operation, y.flat.data, *numbers, dx.flat.grad, dy.flat.grad)
    if isinstance(layer, BENT):
        tape.undo(f"{layer.operation}.py:{layer.operation}_twice", y.flat.data, dy.flat.data, dx.flat.grad, y.flat.grad)
    return dx


def _shape_backward(_tape: Tape, _layer: Layer, x: Value, _y: Value, dy: Value) -> Value:
    return dy.reshape(*x.shape)


def _zeros(tape: Tape, shape: Shape) -> Value:
    """A value that starts every forward pass at zero: backward kernels add."""
    value = tape.value(shape)
    tape.run("clear.py:clear", value.flat.data)
    return value


def _plain_layers(layers: Any) -> list[Layer]:
    """Chains taken apart. Raises DltutorError where a layer is none of BACKWARD."""
    found: list[Layer] = []
    for layer in layers:
        if type(layer) is Chain:
            found += _plain_layers(layer.layers)
        elif type(layer) in BACKWARD:
            found.append(layer)
        else:
            message = _("the gradient penalty cannot take the second derivative of a {layer} layer")
            hint = _("Make the critic of dense or convolutional layers with ReLU, leaky ReLU or tanh.")
            raise DltutorError(message.format(layer=layer.name()), hint)
    return found


BENT = (Tanh,)
BACKWARD: dict[type[Layer], Callable[[Tape, Any, Value, Value, Value], Value]] = {
    Dense: _dense_backward,
    Conv2d: _convolution_backward,
    ConvTranspose2d: _convolution_backward,
    ReLU: _activation_backward,
    LeakyReLU: _activation_backward,
    Tanh: _activation_backward,
    Flatten: _shape_backward,
    Reshape: _shape_backward,
}
