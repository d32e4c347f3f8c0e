"""Attention: layers in which every time step looks at the others, and the transformer's block made of them.

    net = gpt(words=64, times=64)           # tokens (N, T), int32 -> logits (N, T, 64)
    y = net.predict(tokens)
    token = sample(y[0, -1], rng, temperature=0.8, top_k=10)

x is (N, T, D): samples, time steps, columns. T may be different from call to call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels import device
from dltutor.kernels.attention import attention_room
from dltutor.kernels.positions import sinusoids
from dltutor.layers.activations import GELU
from dltutor.layers.network import Chain, Dense, Layer, Parameter, Residual, Sequential
from dltutor.layers.normalisation import LayerNorm
from dltutor.layers.recurrent import Embedding, check_sizes
from dltutor.layers.tape import KEPT, Array, Shape, Tape, Value, keep_latest

SMALL = 0.02  # deviation of learned positions at first: words are to be told apart before places


class MultiHeadAttention(Layer):
    """Each time asks all times, or with `causal` itself and those before it: dltutor/kernels/attention.py.

    One dense layer makes queries, keys and values of `heads` heads, D / heads columns each; another one mixes what the
    heads bring. Their weights start as those of any dense layer.
    """

    may_stand_first = True

    def __init__(self, inputs: int, heads: int, causal: bool = False) -> None:
        check_sizes(inputs=inputs, heads=heads)
        if inputs % heads:
            message = _("{heads} heads cannot share {inputs} columns").format(heads=heads, inputs=inputs)
            raise DltutorError(message, _("The number of heads must divide the number of columns."))
        self.inputs, self.heads, self.causal = inputs, heads, causal
        self.asking, self.mixing = Dense(inputs, 3 * inputs), Dense(inputs, inputs)
        self._maps: dict[tuple[int, ...], Array] = {}  # by training, samples and times

    def name(self) -> str:
        return _("attention")

    def shapes(self) -> tuple[Shape, ...]:
        return (*self.asking.shapes(), *self.mixing.shapes())

    def first_values(self, rng: np.random.Generator, before_relu: bool) -> list[NDArray[Any]]:
        return [value for dense in (self.asking, self.mixing) for value in dense.first_values(rng, False)]

    def bind(self, values: Sequence[Array], gradients: Sequence[Array]) -> None:
        self.asking.bind(values[:2], gradients[:2])
        self.mixing.bind(values[2:], gradients[2:])

    def width(self, inputs: int) -> int:
        if inputs not in (0, self.inputs):
            message = _("attention over {inputs} columns cannot follow a layer of {width} outputs")
            raise DltutorError(message.format(inputs=self.inputs, width=inputs), _("Make the two numbers equal."))
        return self.inputs

    def parameters(self) -> list[Parameter]:
        labels = _("query, key and value weights"), _("query, key and value bias"), _("weights"), _("bias")
        found = self.asking.parameters() + self.mixing.parameters()
        return [(label, value, gradient) for label, (_name, value, gradient) in zip(labels, found, strict=True)]

    def record(self, tape: Tape, x: Value) -> Value:
        self._check(x)
        samples, times, columns = x.shape
        qkv, mixed = self.asking.record(tape, x), tape.value(x.shape, _("mixed values"))
        p = tape.array((samples, self.heads, times, times))
        tape.name(_("attention map"), p)
        keep_latest(self._maps, (tape.training, samples, times), p, 2 * KEPT)  # as many as a network keeps tapes
        room = tape.array((attention_room(times, columns // self.heads),))
        tape.run("attention_forward", qkv.data, int(self.causal), room, p, mixed.data)
        if tape.training:
            ds = tape.array(p.shape)
            tape.undo("attention_backward", qkv.data, int(self.causal), p, mixed.grad, room, ds, qkv.grad)
        return self.mixing.record(tape, mixed)

    def _check(self, x: Value) -> None:
        self.width(x.shape[-1])
        if len(x.shape) != 3:
            message = _("attention cannot take an input of shape {shape}").format(shape=x.shape)
            hint = _("It takes (N, T, {inputs}): samples, time steps, columns.").format(inputs=self.inputs)
            raise DltutorError(message, hint)

    # what can be looked at

    def maps(self, shape: Shape, training: bool = True) -> NDArray[Any]:
        """Who looked at whom in the last pass with an input of this shape, (N, A, T, T): each row adds up to 1.

        With training=False, in the last `predict`. Raises DltutorError where there was no such pass.
        """
        try:
            return device.host(self._maps[training, *shape[:2]])
        except KeyError as error:
            message = _("there are no attention maps for an input of shape {shape}").format(shape=shape)
            hint = _("Run forward (or predict, with training=False) with such an input first.")
            raise DltutorError(message, hint) from error


class Positions(Layer):
    """y[t] = x[t] + w[t]: attention alone cannot tell first from last. dltutor/kernels/positions.py.

    w is learned, or, with learned=False, made of waves.
    """

    may_stand_first = True

    def __init__(self, times: int, inputs: int, learned: bool = True) -> None:
        check_sizes(times=times, inputs=inputs)
        self.times, self.inputs, self.learned = times, inputs, learned
        self.w = None if learned else device.array(sinusoids(times, inputs))
        self.dw = device.empty((0, inputs))

    def name(self) -> str:
        return _("positions")

    def shapes(self) -> tuple[Shape, ...]:
        return ((self.times, self.inputs),) if self.learned else ()

    def first_values(self, rng: np.random.Generator, before_relu: bool) -> list[NDArray[Any]]:
        return [SMALL * rng.standard_normal(shape) for shape in self.shapes()]

    def bind(self, values: Sequence[Array], gradients: Sequence[Array]) -> None:
        if self.learned:
            (self.w,), (self.dw,) = values, gradients

    def parameters(self) -> list[Parameter]:
        return [(_("table"), self.w, self.dw)] if self.learned else []

    def record(self, tape: Tape, x: Value) -> Value:
        if len(x.shape) != 3 or x.shape[1] > self.times or x.shape[2] != self.inputs:
            message = _("{times} positions of {inputs} columns do not fit an input of shape {shape}")
            hint = _("The input is (N, T, {inputs}), with at most {times} time steps.")
            numbers = {"times": self.times, "inputs": self.inputs, "shape": x.shape}
            raise DltutorError(message.format(**numbers), hint.format(**numbers))
        y = tape.value(x.shape, _("output"))
        tape.run("positions_forward", x.data, self.w, y.data)
        tape.undo("positions_backward", y.grad, x.grad, self.dw)
        return y


class TransformerBlock(Chain):
    """Look around, then think: attention, and a dense layer four times as wide, each beside a way past it.

    Both are normalised first ("pre-norm": Xiong et al. 2020, arXiv:2002.04745), so that deep stacks train from the
    start.
    """

    def __init__(self, inputs: int, heads: int, causal: bool = True) -> None:
        self.attention = MultiHeadAttention(inputs, heads, causal)
        super().__init__(
            Residual(LayerNorm(inputs), self.attention),
            Residual(LayerNorm(inputs), Dense(inputs, 4 * inputs), GELU("tanh"), Dense(4 * inputs, inputs)),
        )

    def name(self) -> str:
        return _("transformer block")


def gpt(
    words: int, times: int, width: int = 64, heads: int = 4, blocks: int = 2, rng: np.random.Generator | None = None
) -> Sequential:
    """A small GPT (Radford et al. 2019): from the tokens up to each place, the logits of the next one."""
    return Sequential(
        Embedding(words, width),
        Positions(times, width),
        *(TransformerBlock(width, heads) for _block in range(blocks)),
        LayerNorm(width),
        Dense(width, words),
        rng=rng,
    )


def sample(
    logits: NDArray[Any], rng: np.random.Generator, temperature: float = 1.0, top_k: int = 0
) -> NDArray[np.int32]:
    """Draw a token by the logits over the last axis: softmax(logits / temperature).

    Of temperature 0, the likeliest. With top_k, only the k likeliest take part.
    """
    if temperature < 0 or top_k < 0:
        message = _("no token can be drawn with temperature={temperature} and top_k={top_k}")
        raise DltutorError(
            message.format(temperature=temperature, top_k=top_k),
            _("Give a temperature of 0 or more, and how many of the likeliest may be drawn, or top_k=0 for all."),
        )
    z = np.asarray(logits, np.float64)
    if temperature == 0:
        return z.argmax(axis=-1).astype(np.int32)
    if 0 < top_k < z.shape[-1]:
        z = np.where(z < np.sort(z, axis=-1)[..., -top_k, None], -np.inf, z)
    # The largest of z + noise falls on each class as often as softmax says (Gumbel 1954).
    return (z / temperature + rng.gumbel(size=z.shape)).argmax(axis=-1).astype(np.int32)
