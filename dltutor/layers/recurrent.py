"""Layers for sequences: they go over time steps one by one and hand a state from each to the next.

    net = Sequential(Embedding(27, 16), LSTM(16, 128, layers=3), Last(), Dense(128, 27), rng=rng)
    y = net.forward(tokens)                     # (T, N) int32 -> (N, 27)

Sequences are time-major: x is (T, N, D), all samples of step 0 first. A recurrent layer gives its state at every step,
(T, N, H); `Last` keeps that of the last one.

Truncated backpropagation through time: with stateful=True a layer starts where its last forward pass ended, so that a
long sequence can be cut into pieces; no gradient goes back from a piece to the one before. `reset` makes a new start.

What a layer did at each step can be looked at afterwards:

    norms = np.linalg.norm(rnn.over_time("e", x.shape), axis=(1, 2))        # of the gradient, by time step
    forget = lstm.over_time("f", x.shape, training=False)                   # a gate, in the last `predict`
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels import device
from dltutor.layers.network import Layer, Parameter
from dltutor.layers.tape import KEPT, Array, Shape, Tape, Value, keep_latest


class Embedding(Layer):
    """y = w[tokens]: each of V words has D learned numbers. They start standard normal."""

    may_stand_first = True

    def __init__(self, words: int, outputs: int) -> None:
        check_sizes(words=words, outputs=outputs)
        self.words, self.outputs = words, outputs
        self.w = self.dw = None

    def name(self) -> str:
        return _("embedding")

    def shapes(self) -> tuple[Shape, ...]:
        return ((self.words, self.outputs),)

    def first_values(self, rng: np.random.Generator, before_relu: bool) -> list[NDArray[Any]]:
        return [rng.standard_normal((self.words, self.outputs))]

    def bind(self, values: Sequence[Array], gradients: Sequence[Array]) -> None:
        (self.w,), (self.dw,) = values, gradients

    def width(self, inputs: int) -> int:
        return self.outputs

    def parameters(self) -> list[Parameter]:
        return [(_("table"), self.w, self.dw)]

    def record(self, tape: Tape, x: Value) -> Value:
        if x.data.dtype != np.int32:
            message = _("an embedding cannot look up {dtype}").format(dtype=x.data.dtype)
            raise DltutorError(message, _("It takes the numbers of words, as int32."))
        y = tape.value((*x.shape, self.outputs), _("output"))
        tokens = x.flat.data
        tape.run("embedding_forward", tokens, self.w, y.rows.data)
        tape.undo("embedding_backward", tokens, y.rows.grad, self.dw)
        return y


class Last(Layer):
    """y = x[T-1]: of all time steps the last one."""

    def name(self) -> str:
        return _("last step")

    def record(self, tape: Tape, x: Value) -> Value:
        if not x.shape[0]:
            raise DltutorError(_("a sequence of 0 steps has no last one"), _("Give at least one time step."))
        y = tape.value(x.shape[1:], _("output"))
        end = x.shape[0] - 1
        last = Value(x.data[end], None if x.grad is None else x.grad[end])
        tape.run("copy_forward", last.flat.data, y.flat.data)
        tape.undo("copy_backward", y.flat.grad, last.flat.grad)
        return y


class Recurrent(Layer):
    """What RNN, LSTM and GRU have in common: `layers` of them, each over the states of the one below.

    Weights of the input start normal with variance 2 / (D + H) (Glorot, Bengio 2010), those of the state orthogonal,
    which keeps lengths on the way through time (Saxe, McClelland, Ganguli 2013, arXiv:1312.6120); biases at zero.
    """

    may_stand_first = True
    operation = ""
    gates = ""  # a letter each, in the order of their columns
    states = 1  # what goes from one step to the next: h, and c in an LSTM
    biases = 1

    def __init__(self, inputs: int, outputs: int, layers: int = 1, stateful: bool = False) -> None:
        check_sizes(inputs=inputs, outputs=outputs, layers=layers)
        self.inputs, self.outputs, self.layers, self.stateful = inputs, outputs, layers, stateful
        self.values: list[Sequence[Array]] = []
        self.gradients: list[Sequence[Array]] = []
        self._carried: dict[tuple[bool, int], list[list[Array]]] = {}  # by samples, for each layer its states
        self._seen: dict[tuple[int, ...], list[dict[str, Array]]] = {}  # by steps and samples

    # parameters

    def shapes(self) -> tuple[Shape, ...]:
        return tuple(shape for number in range(self.layers) for shape in self._shapes(number))

    def first_values(self, rng: np.random.Generator, before_relu: bool) -> list[NDArray[Any]]:
        return [value for number in range(self.layers) for value in self._first_values(rng, number)]

    def bind(self, values: Sequence[Array], gradients: Sequence[Array]) -> None:
        each = 2 + self.biases
        self.values = [values[first : first + each] for first in range(0, len(values), each)]
        self.gradients = [gradients[first : first + each] for first in range(0, len(values), each)]

    def width(self, inputs: int) -> int:
        if inputs not in (0, self.inputs):
            message = _("a recurrent layer of {inputs} inputs cannot follow a layer of {width} outputs")
            raise DltutorError(message.format(inputs=self.inputs, width=inputs), _("Make the two numbers equal."))
        return self.outputs

    def parameters(self) -> list[Parameter]:
        labels = (_("input weights"), _("state weights"), _("bias"), _("state bias"))
        return [
            (self._label(label, number), value, gradient)
            for number in range(self.layers)
            for label, value, gradient in zip(labels, self.values[number], self.gradients[number], strict=False)
        ]

    def _shapes(self, number: int) -> tuple[Shape, ...]:
        columns = max(len(self.gates), 1) * self.outputs
        inputs = self.outputs if number else self.inputs
        return (inputs, columns), (self.outputs, columns), *[(columns,)] * self.biases

    def _first_values(self, rng: np.random.Generator, number: int) -> list[NDArray[Any]]:
        w, _u, *biases = self._shapes(number)
        scale = math.sqrt(2 / (w[0] + self.outputs))
        blocks = [orthogonal(rng, self.outputs) for _gate in self.gates or "h"]
        return [scale * rng.standard_normal(w), np.concatenate(blocks, axis=1), *map(np.zeros, biases)]

    def _label(self, label: str, number: int) -> str:
        return f"{label} {number + 1}" if self.layers > 1 else label

    # what it does

    def record(self, tape: Tape, x: Value) -> Value:
        self._check(x)
        steps, samples = x.shape[:2]
        seen = self._forget_and_see(tape.training, steps, samples)
        for number in range(self.layers):
            h = tape.value((steps, samples, self.outputs), self._label(_("output"), number))
            starts = [start_of(tape, (samples, self.outputs)) for _state in range(self.states)]
            self._start(tape, starts, number)
            seen.append({"h": h.data} | self.record_one(tape, x, h, starts, number))
            self._end(tape, seen[-1], number)
            x = h
        return x

    def record_one(self, tape: Tape, x: Value, h: Value, starts: list[Value], number: int) -> dict[str, Array]:
        """Record one of the layers; what it leaves behind: states, "gates", and "e", the gradient by h."""
        raise NotImplementedError

    def _check(self, x: Value) -> None:
        self.width(x.shape[-1])
        if len(x.shape) != 3 or x.data.dtype != np.float32:
            message = _("a recurrent layer cannot take {dtype} of shape {shape}")
            hint = _("It takes float32 of shape (T, N, {inputs}): time steps, samples, inputs.")
            message = message.format(dtype=x.data.dtype, shape=x.shape)
            raise DltutorError(message, hint.format(inputs=self.inputs))

    # from one batch to the next

    def reset(self, training: bool = True, predicting: bool = True) -> None:
        """Begin the next pass with a state of zeros: in training, where one predicts, or both."""
        for (kind, samples), layers in self._carried.items():
            if training if kind else predicting:
                for state in (state for states in layers for state in states):
                    device.copy(state, np.zeros((samples, self.outputs), np.float32))

    def _start(self, tape: Tape, starts: list[Value], number: int) -> None:
        """A stateful layer starts with what it ended with. Nothing undoes this copy: no gradient goes back."""
        if self.stateful:
            for carried, start in zip(self._carry(tape, starts)[number], starts, strict=True):
                tape.run("copy_forward", carried.reshape(carried.size), start.flat.data)

    def _end(self, tape: Tape, seen: dict[str, Array], number: int) -> None:
        steps, samples, outputs = seen["h"].shape
        if self.stateful and steps:
            carried = self._carried[tape.training, samples][number]
            for name, target in zip("hc", carried, strict=False):
                last = seen[name].reshape(steps, samples, outputs)[steps - 1]
                tape.run("copy_forward", last.reshape(last.size), target.reshape(target.size))

    def _carry(self, tape: Tape, starts: list[Value]) -> list[list[Array]]:
        key = tape.training, starts[0].shape[0]
        if key not in self._carried:
            self._carried[key] = [[device.zeros(start.shape) for start in starts] for _layer in range(self.layers)]
        return self._carried[key]

    # what can be looked at

    def _forget_and_see(self, *shape: int) -> list[dict[str, Array]]:
        """A new list for what the layers leave behind; as many are kept as a network keeps tapes."""
        return keep_latest(self._seen, shape, [], 2 * KEPT)

    def over_time(self, name: str, shape: Shape, layer: int = 0, training: bool = True) -> NDArray[Any]:
        """One quantity at each step, (T, N, H), of the last pass with an input of this shape.

        Its name is a letter of the formulas: "h"; "e", the gradient by h; a gate; "c" and "s", its gradient, in an
        LSTM. With training=False, of the last `predict`. Valid until the next such pass. Raises DltutorError where
        there was none.
        """
        steps, samples = shape[:2]
        try:
            seen = self._seen[training, steps, samples][layer]
            if name not in self.gates:
                return device.host(seen[name]).reshape(steps, samples, self.outputs)
            gates = device.host(seen["gates"]).reshape(steps, samples, len(self.gates), self.outputs)
        except LookupError as error:
            message = _("nothing is known of {name} over time for an input of shape {shape}")
            hint = _("Run forward (or predict, with training=False) with such an input first.")
            raise DltutorError(message.format(name=name, shape=shape), hint) from error
        return gates[:, :, self.gates.index(name)]


class RNN(Recurrent):
    """h[t] = tanh(x[t] w + h[t-1] u + b)"""

    def name(self) -> str:
        return _("recurrent")

    def record_one(self, tape: Tape, x: Value, h: Value, starts: list[Value], number: int) -> dict[str, Array]:
        (w, u, b), (dw, du, db) = self.values[number], self.gradients[number]
        (h0,), x, h = starts, x.rows, h.rows
        tape.run("rnn_forward", x.data, h0.data, w, u, b, h.data)
        if not tape.training:
            return {}
        ut, da, e = (tape.array(like) for like in (u.shape, h.shape, h.shape))
        tape.undo(
            "rnn_backward", x.data, h0.data, w, u, h.data, h.grad, ut, da, e, x.grad, h0.grad, dw, du, db
        )  # fmt: skip
        return {"e": e}


class LSTM(Recurrent):
    """A memory c beside the state h, with an input gate i, a forget gate f, a candidate g and an output gate o.

    The bias of the forget gate starts at one, so that at first nothing is forgotten (Jozefowicz, Zaremba, Sutskever
    2015).
    """

    gates = "ifgo"
    states = 2

    def name(self) -> str:
        return _("LSTM")

    def _first_values(self, rng: np.random.Generator, number: int) -> list[NDArray[Any]]:
        w, u, b = super()._first_values(rng, number)
        b[self.outputs : 2 * self.outputs] = 1
        return [w, u, b]

    def record_one(self, tape: Tape, x: Value, h: Value, starts: list[Value], number: int) -> dict[str, Array]:
        (w, u, b), (dw, du, db) = self.values[number], self.gradients[number]
        (h0, c0), x, h = starts, x.rows, h.rows
        wide = h.shape[0], w.shape[1]
        c, gates = tape.array(h.shape), tape.array(wide)
        tape.name(self._label(_("memory"), number), c)
        tape.name(self._label(_("gates"), number), gates)
        tape.run("lstm_forward", x.data, h0.data, c0.data, w, u, b, h.data, c, gates)
        if not tape.training:
            return {"c": c, "gates": gates}
        ut, da, e, s = (tape.array(like) for like in (u.shape[::-1], wide, h.shape, h.shape))
        tape.undo(
            "lstm_backward", x.data, h0.data, c0.data, w, u, h.data, c, gates, h.grad, ut, da, e, s,
            x.grad, h0.grad, c0.grad, dw, du, db,
        )  # fmt: skip
        return {"c": c, "gates": gates, "e": e, "s": s}


class GRU(Recurrent):
    """A reset gate r, an update gate z and a candidate n: h[t] = (1 - z) n + z h[t-1]."""

    gates = "rzn"
    biases = 2

    def name(self) -> str:
        return _("GRU")

    def record_one(self, tape: Tape, x: Value, h: Value, starts: list[Value], number: int) -> dict[str, Array]:
        (w, u, b, v), (dw, du, db, dv) = self.values[number], self.gradients[number]
        (h0,), x, h = starts, x.rows, h.rows
        wide = h.shape[0], w.shape[1]
        gates, q = tape.array(wide), tape.array(wide)
        tape.name(self._label(_("gates"), number), gates)
        tape.run("gru_forward", x.data, h0.data, w, u, b, v, h.data, gates, q)
        if not tape.training:
            return {"gates": gates}
        ut, dp, dq, e = (tape.array(like) for like in (u.shape[::-1], wide, wide, h.shape))
        tape.undo(
            "gru_backward", x.data, h0.data, w, u, h.data, gates, q, h.grad, ut, dp, dq, e,
            x.grad, h0.grad, dw, du, db, dv,
        )  # fmt: skip
        return {"gates": gates, "e": e}


# ---------------------------------------------------------------- the parts


def check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            message = _("no layer can have {name}={size}").format(name=name, size=size)
            raise DltutorError(message, _("Give at least one."))


def orthogonal(rng: np.random.Generator, size: int) -> NDArray[Any]:
    """A random rotation, or reflection: it changes no length."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.where(np.diag(r) < 0, -1, 1)  # otherwise some rotations would be more likely than others


def start_of(tape: Tape, shape: Shape) -> Value:
    """A first state of zeros."""
    start = tape.value(shape)
    device.copy(start.data, np.zeros(shape, np.float32))
    return start
