"""Layers: they own parameters, gradients and buffers, and call kernels. Nothing else happens here.

    net = Sequential(Dense(64, 128), ReLU(), Dense(128, 10), rng=rng)
    loss, opt = SoftmaxCrossEntropy(), Adam(net)
    value = loss(net.forward(x), t)         # a float; loss.grad is its derivative by the network's output
    net.backward(loss.grad)                 # adds to the gradient of every parameter
    opt.step(lr=0.001)                      # changes the parameters and sets the gradients back to zero
    y = net.predict(x_test)                 # looks at other data without disturbing a step under way
    test = loss.value(y, t_test)            # the same for the loss

x is float32 (N, D) and C-contiguous; any N, different from call to call. The array that `forward` or `predict` returns
belongs to the network and is valid until its next call with as many rows. All parameters stand in one array and all
gradients in another, so that an optimiser is one kernel call for the whole network. Once a batch size has been seen,
nothing is allocated.

Use `predict` and `value` for everything that is only looked at (test data, pictures): `backward` needs the buffers of
the `forward` it belongs to, and raises DltutorError where another forward pass has overwritten them.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels import device

Array = Any  # of the device: NumPy's on the processor
Parameter = tuple[str, Array, Array]  # name, value, gradient
KEPT_SIZES = 8  # batch sizes whose buffers are kept; a lab uses two or three


# ---------------------------------------------------------------- layers


class Buffers:
    """What one layer needs for one batch size; the flat views are for kernels that go element by element."""

    __slots__ = ("dx", "dx_flat", "dy", "dy_flat", "x", "x_flat", "y", "y_flat")

    def __init__(self, rows: int, width: int) -> None:
        self.y = device.empty((rows, width))
        self.y_flat = self.y.reshape(rows * width)
        self.x: Array = None
        self.x_flat: Array = None
        self.dx: Array = None
        self.dx_flat: Array = None
        self.dy: Array = None
        self.dy_flat: Array = None


class Layer:
    """One operation: `run` fills y from x, `undo` adds to dx from dy."""

    def name(self) -> str:
        """What the learner reads."""
        raise NotImplementedError

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of its parameters."""
        return ()

    def first_values(self, rng: np.random.Generator, before_relu: bool) -> list[NDArray[Any]]:
        """What its parameters start with."""
        return []

    def bind(self, values: Sequence[Array], gradients: Sequence[Array]) -> None:
        """Take the parameters' places in the network's two arrays."""

    def width(self, inputs: int) -> int:
        """Columns of the output for so many columns of input; 0 stands for: not known yet."""
        return inputs

    def parameters(self) -> list[Parameter]:
        return []

    def run(self, buffers: Buffers) -> None:
        raise NotImplementedError

    def undo(self, buffers: Buffers) -> None:
        raise NotImplementedError


class Dense(Layer):
    """y = x w + b, with D inputs and M outputs.

    Weights are drawn so that signals neither grow nor fade from layer to layer: normal with variance 2 / D before a
    ReLU (He 2015, arXiv:1502.01852), otherwise 2 / (D + M) (Glorot, Bengio 2010); or all zeros with init="zeros". The
    bias starts at zero.
    """

    def __init__(self, inputs: int, outputs: int, init: str = "normal") -> None:
        if inputs < 1 or outputs < 1 or init not in ("normal", "zeros"):
            message = _("no dense layer can have {inputs} inputs, {outputs} outputs and init={init}")
            hint = _('Give at least one input and one output, and init="normal" or "zeros".')
            raise DltutorError(message.format(inputs=inputs, outputs=outputs, init=init), hint)
        self.inputs, self.outputs, self.init = inputs, outputs, init
        self.w = self.b = self.dw = self.db = None
        self._forward, self._backward = device.op("dense_forward"), device.op("dense_backward")

    def name(self) -> str:
        return _("dense")

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return (self.inputs, self.outputs), (self.outputs,)

    def first_values(self, rng: np.random.Generator, before_relu: bool) -> list[NDArray[Any]]:
        shape = self.inputs, self.outputs
        variance = 2 / self.inputs if before_relu else 2 / sum(shape)
        weights = np.zeros(shape) if self.init == "zeros" else math.sqrt(variance) * rng.standard_normal(shape)
        return [weights, np.zeros(self.outputs)]

    def bind(self, values: Sequence[Array], gradients: Sequence[Array]) -> None:
        self.w, self.b = values
        self.dw, self.db = gradients

    def width(self, inputs: int) -> int:
        if inputs not in (0, self.inputs):
            message = _("a dense layer of {inputs} inputs cannot follow a layer of {width} outputs")
            raise DltutorError(message.format(inputs=self.inputs, width=inputs), _("Make the two numbers equal."))
        return self.outputs

    def parameters(self) -> list[Parameter]:
        return [(_("weights"), self.w, self.dw), (_("bias"), self.b, self.db)]

    def run(self, buffers: Buffers) -> None:
        self._forward(buffers.x, self.w, self.b, buffers.y)

    def undo(self, buffers: Buffers) -> None:
        self._backward(buffers.x, self.w, buffers.dy, buffers.dx, self.dw, self.db)


class Activation(Layer):
    """A function of each number by itself. Its derivative is written with y, so x is not kept."""

    operation = ""

    def __init__(self) -> None:
        self._forward = device.op(f"{self.operation}_forward")
        self._backward = device.op(f"{self.operation}_backward")

    def run(self, buffers: Buffers) -> None:
        self._forward(buffers.x_flat, buffers.y_flat)

    def undo(self, buffers: Buffers) -> None:
        self._backward(buffers.y_flat, buffers.dy_flat, buffers.dx_flat)


class Sigmoid(Activation):
    """y = 1 / (1 + e^-x)"""

    operation = "sigmoid"

    def name(self) -> str:
        return _("sigmoid")


class Tanh(Activation):
    """y = tanh x"""

    operation = "tanh"

    def name(self) -> str:
        return _("tanh")


class ReLU(Activation):
    """y = max(x, 0)"""

    operation = "relu"

    def name(self) -> str:
        return _("ReLU")


# ---------------------------------------------------------------- the network


class Tape:
    """The buffers of all layers for one batch size: each layer's y is the next one's x, each dx the former one's dy."""

    def __init__(self, layers: Sequence[Layer], rows: int, inputs: int, with_dx: bool) -> None:
        self.rows, self.inputs, self.with_dx = rows, inputs, with_dx
        self.latest: Array = None  # what the last forward pass returned
        self.gradients: Array = None  # every dx, one after the other; made by the first backward pass
        self.steps: list[tuple[Layer, Buffers]] = []
        width = inputs
        for layer in layers:
            width = layer.width(width)
            self.steps.append((layer, Buffers(rows, width)))
        self.buffers = [buffers for _layer, buffers in self.steps]
        for before, after in zip(self.buffers, self.buffers[1:], strict=False):
            after.x, after.x_flat = before.y, before.y_flat

    def forward(self, x: Array) -> Array:
        first = self.buffers[0]
        first.x, first.x_flat = x, x.reshape(x.size)
        for layer, buffers in self.steps:
            layer.run(buffers)
        last = self.buffers[-1].y
        self.latest = last.reshape(last.shape)  # a new view each time: `backward` can tell one pass from another
        return self.latest

    def backward(self, dy: Array) -> None:
        if self.gradients is None:
            self._make_gradients()
        device.clear(self.gradients)
        last = self.buffers[-1]
        last.dy, last.dy_flat = dy, dy.reshape(dy.size)
        for layer, buffers in reversed(self.steps):
            layer.undo(buffers)

    def _make_gradients(self) -> None:
        """The first dx has no rows unless it is wanted: nothing learns from it, and dense_backward leaves it out."""
        rows = [self.rows for _buffers in self.buffers]
        rows[0] *= self.with_dx
        widths = [buffers.x.shape[1] for buffers in self.buffers]
        self.gradients = device.empty((sum(map(math.prod, zip(rows, widths, strict=True))),))
        start = 0
        for buffers, n, width in zip(self.buffers, rows, widths, strict=True):
            buffers.dx_flat = self.gradients[start : start + n * width]
            buffers.dx = buffers.dx_flat.reshape((n, width))
            start += n * width
        for before, after in zip(self.buffers, self.buffers[1:], strict=False):
            before.dy, before.dy_flat = after.dx, after.dx_flat


class Sequential:
    """Layers one after the other.

    `rng` draws the first weights: the same generator state gives the same network, to the bit. With `input_gradient`,
    `backward` also calculates the gradient by the network's input, and returns it.
    """

    def __init__(self, *layers: Layer, rng: np.random.Generator | None = None, input_gradient: bool = False) -> None:
        if not layers:
            raise DltutorError(_("a network needs at least one layer"), _("For example: Sequential(Dense(2, 1))"))
        self.layers = layers
        self.input_gradient = input_gradient
        self.inputs = self._check_widths()
        self.values, self.gradients = self._make_parameters(rng or np.random.default_rng(0))
        self._tapes: dict[int, Tape] = {}
        self._side_tapes: dict[int, Tape] = {}
        self._latest: Tape | None = None

    def forward(self, x: Array) -> Array:
        """The network's output for x, (N, M); keeps what `backward` needs.

        Raises DltutorError where x does not fit the network.
        """
        tape = self._latest = self._tape(self._tapes, x)
        return tape.forward(device.array(x))

    def predict(self, x: Array) -> Array:
        """The network's output for x, in buffers of its own: a step under way is not disturbed."""
        return self._tape(self._side_tapes, x).forward(device.array(x))

    def backward(self, dy: Array) -> Array | None:
        """Add to all gradients, given the loss's derivative by the output of the last `forward` with as many rows."""
        tape = self._tapes.get(dy.shape[0])
        if tape is None or _overwritten(dy, tape.latest):
            message = _("backward for {rows} samples does not belong to the last forward pass")
            hint = _("Between forward and backward, use net.predict(x) and loss.value(y, t) to look at other data.")
            raise DltutorError(message.format(rows=dy.shape[0]), hint)
        tape.backward(dy)
        return tape.buffers[0].dx if self.input_gradient else None

    def parameters(self) -> list[Parameter]:
        """Every parameter with its gradient: ("layer 1 dense: weights", value, gradient), arrays of the device."""
        return [
            (_tensor_name(number, layer, name), value, gradient)
            for number, layer in enumerate(self.layers, 1)
            for name, value, gradient in layer.parameters()
        ]

    def tensors(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Every array by name, in the order in which a step calculates them: for finding the first bad number.

        What the last forward and backward passes have not made is left out.
        """
        steps = self._latest.steps if self._latest else [(layer, None) for layer in self.layers]
        numbered = list(enumerate(steps, 1))
        if self._latest:
            yield _("input"), self.host(self._latest.buffers[0].x)
        for number, (layer, buffers) in numbered:
            for name, value, _gradient in layer.parameters():
                yield _tensor_name(number, layer, name), self.host(value)
            if buffers:
                yield _tensor_name(number, layer, _("output")), self.host(buffers.y)
        if self._latest and self._latest.gradients is not None:
            yield from self._gradient_tensors(numbered)

    def host(self, array: Array) -> NDArray[Any]:
        """An array of the device as a NumPy array; on the processor the very same one."""
        return device.host(array)

    def _gradient_tensors(self, numbered: list[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
        for number, (layer, buffers) in reversed(numbered):
            yield _tensor_name(number, layer, _("output gradient")), self.host(buffers.dy)
            for name, _value, gradient in layer.parameters():
                label = _("{parameter} gradient").format(parameter=name)
                yield _tensor_name(number, layer, label), self.host(gradient)

    def _tape(self, tapes: dict[int, Tape], x: Array) -> Tape:
        if isinstance(x, np.ndarray):
            self._check_input(x)
        rows, inputs = x.shape
        tape = tapes.pop(rows, None)
        if tape is None or tape.inputs != inputs:
            with_dx = self.input_gradient or not isinstance(self.layers[0], Dense)
            tape = Tape(self.layers, rows, inputs, with_dx)
        tapes[rows] = tape  # the one used last stands last
        if len(tapes) > KEPT_SIZES:
            del tapes[next(iter(tapes))]
        return tape

    def _check_input(self, x: NDArray[Any]) -> None:
        if x.ndim == 2 and x.shape[1] == (self.inputs or x.shape[1]) and x.dtype == np.float32 and x.flags.c_contiguous:
            return
        message = _("the network cannot take {dtype} input of shape {shape}").format(dtype=x.dtype, shape=x.shape)
        columns = self.inputs or "D"
        hint = _("It takes float32 of shape (N, {columns}), C-contiguous.").format(columns=columns)
        raise DltutorError(message, hint)

    def _check_widths(self) -> int:
        """The number of inputs; 0 where any number fits."""
        width, inputs = 0, 0
        for layer in self.layers:
            width = layer.width(width)
            inputs = inputs or getattr(layer, "inputs", 0)
        return inputs

    def _make_parameters(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """All parameters in one array, all gradients in another; each layer gets its parts."""
        after = (*self.layers[1:], None)
        pairs = zip(self.layers, after, strict=True)
        start = [layer.first_values(rng, isinstance(follower, ReLU)) for layer, follower in pairs]
        flat = [value.ravel() for values in start for value in values] or [np.zeros(0)]
        values = device.array(np.concatenate(flat).astype(np.float32))
        gradients = device.zeros(values.shape)
        offset = 0
        for layer in self.layers:
            parts = []
            for shape in layer.shapes():
                parts.append((slice(offset, offset + math.prod(shape)), shape))
                offset += math.prod(shape)
            layer.bind(*([array[place].reshape(shape) for place, shape in parts] for array in (values, gradients)))
        return values, gradients


def _tensor_name(number: int, layer: Layer, tensor: str) -> str:
    return _("layer {number} {kind}: {tensor}").format(number=number, kind=layer.name(), tensor=tensor)


# ---------------------------------------------------------------- losses


class Loss:
    """How wrong an output is: one number for a batch, and in `grad` its derivative by the output, for `backward`."""

    operation = ""

    def __init__(self) -> None:
        self.grad: Array = None
        self._grads: dict[tuple[int, ...], Array] = {}
        self._number = device.empty((1,))
        self._forward = device.op(f"{self.operation}_forward")
        self._backward = device.op(f"{self.operation}_backward")

    def __call__(self, y: Array, t: Array) -> float:
        """The loss of y against the targets t, and in `grad` its derivative by y.

        Raises DltutorError where shapes, types or labels do not fit.
        """
        self._check(y, t)
        t = device.array(t)
        self._measure(y, t)
        self.grad = self._zeros_like(y)
        self._differentiate(y, t)
        _remember(self.grad, y)
        return float(device.host(self._number)[0])

    def value(self, y: Array, t: Array) -> float:
        """The loss alone: `grad` stays as it is, so a step under way is not disturbed."""
        self._check(y, t)
        self._measure(y, device.array(t))
        return float(device.host(self._number)[0])

    def _check(self, y: Array, t: Array) -> None:
        if t.shape != y.shape or t.dtype != np.float32:
            raise _misfit(y, t, _("Targets are float32 and have the outputs' shape, {shape}.").format(shape=y.shape))

    def _measure(self, y: Array, t: Array) -> None:
        self._forward(y.reshape(y.size), t.reshape(t.size), self._number)

    def _differentiate(self, y: Array, t: Array) -> None:
        self._backward(y.reshape(y.size), t.reshape(t.size), self.grad.reshape(y.size))

    def _zeros_like(self, y: Array) -> Array:
        grad = _kept(self._grads, y.shape)
        device.clear(grad.reshape(grad.size))
        return grad


class MSE(Loss):
    """Mean squared error over all numbers of the batch. y and t float32, (N, M)."""

    operation = "mse"


class BCEWithLogits(Loss):
    """Mean binary cross-entropy; y are logits, t from 0 to 1. y and t float32, (N, M)."""

    operation = "binary_cross_entropy"


class SoftmaxCrossEntropy(Loss):
    """Mean cross-entropy over classes; y are logits, float32 (N, C); t are class numbers, int32 (N,)."""

    operation = "cross_entropy"

    def __init__(self) -> None:
        super().__init__()
        self._all_p: dict[tuple[int, ...], Array] = {}
        self._p: Array = None

    def _check(self, y: Array, t: Array) -> None:
        classes = y.shape[1]
        if t.shape != y.shape[:1] or t.dtype != np.int32:
            raise _misfit(y, t, _("Labels are int32 of shape ({rows},), one a row.").format(rows=y.shape[0]))
        labels = device.host(t)
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise _misfit(y, t, _("Labels go from 0 to {last}.").format(last=classes - 1))

    def _measure(self, y: Array, t: Array) -> None:
        self._p = _kept(self._all_p, y.shape)
        self._forward(y, t, self._p, self._number)

    def _differentiate(self, y: Array, t: Array) -> None:
        self._backward(self._p, t, self.grad)


_answers: dict[int, tuple[weakref.ref[Any], weakref.ref[Any]]] = {}  # gradients of losses, and the outputs they are by


def _remember(grad: Array, y: Array) -> None:
    place = id(grad)
    _answers[place] = weakref.ref(grad, lambda _gone: _answers.pop(place, None)), weakref.ref(y)


def _overwritten(grad: Array, latest: Array) -> bool:
    """Whether a loss made `grad` from an output that is no longer the `latest` one."""
    of_grad, of_y = _answers.get(id(grad), (None, None))
    return of_grad is not None and of_grad() is grad and of_y is not None and of_y() is not latest


def _kept(arrays: dict[tuple[int, ...], Array], shape: tuple[int, ...]) -> Array:
    """The array of this shape, made at its first use."""
    found = arrays.pop(shape, None)
    arrays[shape] = device.empty(shape) if found is None else found
    if len(arrays) > KEPT_SIZES:
        del arrays[next(iter(arrays))]
    return arrays[shape]


def _misfit(y: Array, t: Array, hint: str) -> DltutorError:
    message = _("targets of shape {targets} and type {dtype} do not fit outputs of shape {outputs}")
    return DltutorError(message.format(targets=t.shape, dtype=t.dtype, outputs=y.shape), hint)


# ---------------------------------------------------------------- optimisers


class Optimiser:
    """Changes all parameters of a network by their gradients, and sets the gradients back to zero."""

    operation = ""

    def __init__(self, net: Sequential) -> None:
        self._p, self._g = net.values, net.gradients
        self._step = device.op(f"{self.operation}_step")

    def step(self, lr: float) -> None:
        """One step with learning rate `lr`."""
        raise NotImplementedError


class SGD(Optimiser):
    """p <- p - lr g"""

    operation = "sgd"

    def step(self, lr: float) -> None:
        self._step(self._p, self._g, np.float32(lr))


class Momentum(Optimiser):
    """v <- beta v + g;  p <- p - lr v"""

    operation = "momentum"

    def __init__(self, net: Sequential, beta: float = 0.9) -> None:
        super().__init__(net)
        self.beta = beta
        self._v = device.zeros(self._p.shape)

    def step(self, lr: float) -> None:
        self._step(self._p, self._g, self._v, np.float32(lr), np.float32(self.beta))


class Adam(Optimiser):
    """Momentum, with a step length of its own for every parameter: dltutor/kernels/adam.py."""

    operation = "adam"

    def __init__(self, net: Sequential, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        super().__init__(net)
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.steps = 0
        self._m, self._v = device.zeros(self._p.shape), device.zeros(self._p.shape)

    def step(self, lr: float) -> None:
        self.steps += 1
        c1, c2 = 1 - self.beta1**self.steps, 1 - self.beta2**self.steps
        numbers = map(np.float32, (lr, self.beta1, self.beta2, self.eps, c1, c2))
        self._step(self._p, self._g, self._m, self._v, *numbers)
