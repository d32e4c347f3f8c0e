"""Layers that own parameters, and the network that they make up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels import device
from dltutor.layers.losses import overwritten
from dltutor.layers.tape import Array, Shape, Tape, Value, keep_latest

Parameter = tuple[str, Array, Array]  # name, value, gradient


class Layer:
    """One operation of a network: it owns its parameters, and records the kernels that do it."""

    may_stand_first = False  # its backward kernel leaves the gradient by its input out where that has no rows
    rectifies = False  # lets about half of the signal through: the weights before it start larger

    def name(self) -> str:
        """What the learner reads."""
        raise NotImplementedError

    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of its parameters."""
        return ()

    def first_values(self, rng: np.random.Generator, before_relu: bool) -> list[NDArray[Any]]:
        """What its parameters start with."""
        return []

    def bind(self, values: Sequence[Array], gradients: Sequence[Array]) -> None:
        """Take the parameters' places in the network's two arrays."""

    def width(self, inputs: int) -> int:
        """The last axis of the output for such a last axis of the input; 0 stands for: not known before it runs."""
        return inputs

    def parameters(self) -> list[Parameter]:
        return []

    def record(self, tape: Tape, x: Value) -> Value:
        """Add the kernels of both passes to the tape; returns the output."""
        raise NotImplementedError


class Dense(Layer):
    """y = x w + b over the last axis, with D inputs and M outputs.

    Weights are drawn so that signals neither grow nor fade from layer to layer: normal with variance 2 / D before a
    ReLU (He 2015, arXiv:1502.01852), otherwise 2 / (D + M) (Glorot, Bengio 2010); or all zeros with init="zeros". The
    bias starts at zero.
    """

    may_stand_first = True

    def __init__(self, inputs: int, outputs: int, init: str = "normal") -> None:
        if inputs < 1 or outputs < 1 or init not in ("normal", "zeros"):
            message = _("no dense layer can have {inputs} inputs, {outputs} outputs and init={init}")
            hint = _('Give at least one input and one output, and init="normal" or "zeros".')
            raise DltutorError(message.format(inputs=inputs, outputs=outputs, init=init), hint)
        self.inputs, self.outputs, self.init = inputs, outputs, init
        self.w = self.b = self.dw = self.db = None

    def name(self) -> str:
        return _("dense")

    def shapes(self) -> tuple[Shape, ...]:
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

    def record(self, tape: Tape, x: Value) -> Value:
        self.width(x.shape[-1])
        y = tape.value((*x.shape[:-1], self.outputs), _("output"))
        rows, outputs = x.rows, y.rows
        tape.run("dense_forward", rows.data, self.w, self.b, outputs.data)
        tape.undo("dense_backward", rows.data, self.w, outputs.grad, rows.grad, self.dw, self.db)
        return y


class Activation(Layer):
    """A function of each number by itself, or of each row (the last axis) as a whole."""

    operation = ""
    of_rows = False
    keeps_input = False  # its derivative is written with x; otherwise with y

    def record(self, tape: Tape, x: Value) -> Value:
        y = tape.value(x.shape, _("output"))
        before, after = (value.rows if self.of_rows else value.flat for value in (x, y))
        kept = before if self.keeps_input else after
        tape.run(f"{self.operation}_forward", before.data, after.data)
        tape.undo(f"{self.operation}_backward", kept.data, after.grad, before.grad)
        return y


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
    rectifies = True

    def name(self) -> str:
        return _("ReLU")


class Chain(Layer):
    """Layers one after the other, as one layer."""

    def __init__(self, *layers: Layer) -> None:
        self.layers = layers

    @property
    def may_stand_first(self) -> bool:  # type: ignore[override]
        return bool(self.layers) and self.layers[0].may_stand_first

    def name(self) -> str:
        return _("chain")

    def shapes(self) -> tuple[Shape, ...]:
        return tuple(shape for layer in self.layers for shape in layer.shapes())

    def first_values(self, rng: np.random.Generator, before_relu: bool) -> list[NDArray[Any]]:
        followers = [layer.rectifies for layer in self.layers[1:]] + [before_relu]
        pairs = zip(self.layers, followers, strict=True)
        return [value for layer, follower in pairs for value in layer.first_values(rng, follower)]

    def bind(self, values: Sequence[Array], gradients: Sequence[Array]) -> None:
        start = 0
        for layer in self.layers:
            end = start + len(layer.shapes())
            layer.bind(values[start:end], gradients[start:end])
            start = end

    def width(self, inputs: int) -> int:
        for layer in self.layers:
            inputs = layer.width(inputs)
        return inputs

    def parameters(self) -> list[Parameter]:
        """Every parameter with its gradient: ("layer 1 dense: weights", value, gradient)."""
        return [
            (_tensor_name(_layer_name(number, layer), name), value, gradient)
            for number, layer in enumerate(self.layers, 1)
            for name, value, gradient in layer.parameters()
        ]

    def record(self, tape: Tape, x: Value) -> Value:
        for number, layer in enumerate(self.layers, 1):
            with tape.layer(_layer_name(number, layer)):
                for name, value, gradient in [] if isinstance(layer, Chain) else layer.parameters():
                    tape.name(name, value, gradient)
                x = layer.record(tape, x)
                tape.outputs.append(x.data)
        return x


class Residual(Chain):
    """y = x + f(x), where f are the layers: signals and gradients have a way past them."""

    may_stand_first = False

    def name(self) -> str:
        return _("residual")

    def record(self, tape: Tape, x: Value) -> Value:
        y, f = tape.value(x.shape, _("output")), super().record(tape, x)
        tape.run("add_forward", x.flat.data, f.flat.data, y.flat.data)
        tape.undo("add_backward", y.flat.grad, x.flat.grad, f.flat.grad)
        return y


class Sequential:
    """Layers one after the other: a network.

    `rng` draws the first weights: the same generator state gives the same network, to the bit. With `input_gradient`,
    `backward` also calculates the gradient by the network's input, and returns it.
    """

    def __init__(self, *layers: Layer, rng: np.random.Generator | None = None, input_gradient: bool = False) -> None:
        if not layers:
            raise DltutorError(_("a network needs at least one layer"), _("For example: Sequential(Dense(2, 1))"))
        self.layers, self.chain = layers, Chain(*layers)
        self.input_gradient = input_gradient
        self.chain.width(0)  # layers that do not fit each other are told now
        self.inputs = layers[0].inputs if isinstance(layers[0], Dense) else 0
        self.values, self.gradients = self._make_parameters(rng or np.random.default_rng(0))
        self._passes: dict[Any, Pass] = {}
        self._side_passes: dict[Any, Pass] = {}
        self._latest: Pass | None = None

    def forward(self, x: Array) -> Array:
        """The network's output for x; keeps what `backward` needs.

        Raises DltutorError where x does not fit the network.
        """
        self._latest = self._pass(self._passes, x, training=True)
        return self._latest.forward(x)

    def predict(self, x: Array) -> Array:
        """The network's output for x, in buffers of its own: a step under way is not disturbed."""
        return self._pass(self._side_passes, x, training=False).forward(x)

    def outputs(self, x: Array) -> list[Array]:
        """What each layer makes of x, the last one as well; in buffers of its own, as `predict`."""
        side = self._pass(self._side_passes, x, training=False)
        side.forward(x)
        return side.tape.outputs

    def backward(self, dy: Array) -> Array | None:
        """Add to all gradients, given the loss's derivative by the output of the last `forward`."""
        latest = self._latest
        if latest is None or dy.shape != latest.output.shape or overwritten(dy, latest.returned):
            message = _("backward for {rows} samples does not belong to the last forward pass")
            hint = _("Between forward and backward, use net.predict(x) and loss.value(y, t) to look at other data.")
            raise DltutorError(message.format(rows=dy.shape[0]), hint)
        latest.tape.backward(latest.output, dy)
        return latest.input.grad if self.input_gradient else None

    def clear_gradients(self) -> None:
        """Forget all gradients; an optimiser's step does so, too."""
        device.copy(self.gradients, self._zeros)

    def parameters(self) -> list[Parameter]:
        """Every parameter with its gradient: ("layer 1 dense: weights", value, gradient), arrays of the device."""
        return self.chain.parameters()

    def tensors(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Every array by name, in the order in which a step calculates them: for finding the first bad number.

        What the last forward and backward passes have not made is left out.
        """
        if self._latest is None:
            yield from ((name, self.host(value)) for name, value, _gradient in self.parameters())
            return
        named = self._latest.tape.named
        yield from ((name, self.host(data)) for name, data, _grad in named)
        if self._latest.tape.went_back:
            label = _("{tensor} gradient")
            yield from ((label.format(tensor=n), self.host(g)) for n, _data, g in reversed(named) if g is not None)

    def host(self, array: Array) -> NDArray[Any]:
        """An array of the device as a NumPy array; on the processor the very same one."""
        return device.host(array)

    def _pass(self, passes: dict[Any, Pass], x: Array, training: bool) -> Pass:
        kind = x.shape, x.dtype
        found = passes.get(kind)
        if found is None:
            self._check_input(x)
            found = Pass(self, x, training)
        return keep_latest(passes, kind, found)

    def _check_input(self, x: Array) -> None:
        columns = self.inputs or "D"
        if x.dtype in (np.float32, np.int32) and x.ndim > (x.dtype == np.float32) and self.inputs in (0, x.shape[-1]):
            return
        message = _("the network cannot take {dtype} input of shape {shape}").format(dtype=x.dtype, shape=x.shape)
        hint = _("It takes float32 of shape (N, {columns}).").format(columns=columns)
        raise DltutorError(message, hint)

    def _make_parameters(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """All parameters in one array, all gradients in another; each layer gets its parts."""
        flat = [value.ravel() for value in self.chain.first_values(rng, before_relu=False)] or [np.zeros(0)]
        values = device.array(np.concatenate(flat).astype(np.float32))
        gradients, self._zeros = device.zeros(values.shape), device.zeros(values.shape)
        sizes = [math.prod(shape) for shape in self.chain.shapes()]
        ends = np.cumsum(sizes).tolist()
        places = [
            (slice(end - size, end), shape) for end, size, shape in zip(ends, sizes, self.chain.shapes(), strict=True)
        ]
        self.chain.bind(*([array[place].reshape(shape) for place, shape in places] for array in (values, gradients)))
        return values, gradients


class Pass:
    """A network's tape for one shape of input, with that input and its output."""

    def __init__(self, net: Sequential, x: Array, training: bool) -> None:
        self.tape = Tape(training)
        with_grad = net.input_gradient or not net.chain.may_stand_first
        self.input = self.tape.input(x.shape, x.dtype, with_grad)
        self.output = net.chain.record(self.tape, self.input)
        self.returned: Array = None

    def forward(self, x: Array) -> Array:
        device.copy(self.input.data, x)
        self.tape.forward()
        self.returned = self.output.data.reshape(self.output.shape)  # a new view: `backward` can tell one from another
        return self.returned


def _layer_name(number: int, layer: Layer) -> str:
    return _("layer {number} {kind}").format(number=number, kind=layer.name())


def _tensor_name(layer: str, tensor: str) -> str:
    return _("{layer}: {tensor}").format(layer=layer, tensor=tensor)
