"""The node tests of ONNX on our kernels: inputs and outputs that others have written down.

The onnx package makes its node tests from NumPy (onnx.backend.test.case.node), and ships inputs and outputs recorded
from PyTorch (onnx/backend/test/data/pytorch-converted). Here every test of an operator that we have, too, is run by our
kernels on the processor, or stands under `BEYOND` with the reason. What ONNX orders in another way is turned round on
the way in and out: images from (N, C, H, W), gates of recurrent layers, padding that is not the same on all sides.
"""

from __future__ import annotations

import importlib
import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dltutor.kernels import attention, device
from dltutor.kernels.int8_dense import fraction, whole_bias

onnx = pytest.importorskip("onnx", reason="these are its tests")

Array = Any
Attributes = dict[str, Any]


@dataclass(frozen=True)
class Node:
    """One test: an operator with attributes, and what comes out for what goes in."""

    name: str
    operator: str
    attributes: Attributes
    inputs: dict[int, Array]  # by place; those that are left out are missing
    outputs: dict[int, Array]


# ---------------------------------------------------------------- the kernels, as ONNX wants them


def f32(x: Array) -> Array:
    return np.ascontiguousarray(x, np.float32)


def call(operation: str, *arguments: Any) -> None:
    device.op(operation)(*arguments)


def made(shape: tuple[int, ...], operation: str, *arguments: Any) -> Array:
    """What the kernel writes into its last argument."""
    out = np.full(shape, np.nan, np.float32)
    call(operation, *arguments, out)
    return out


def curve(operation: str) -> Callable[..., Array]:
    return lambda _attributes, x: made((x.size,), operation, f32(x).ravel()).reshape(x.shape)


def leaky_relu(attributes: Attributes, x: Array) -> Array:
    slope = np.float32(attributes.get("alpha", 0.01))
    return made((x.size,), "leaky_relu_forward", f32(x).ravel(), slope).reshape(x.shape)


def gelu(attributes: Attributes, x: Array) -> Array:
    form = "gelu_tanh" if attributes.get("approximate") == b"tanh" else "gelu"
    return curve(f"gelu.py:{form}_forward")(attributes, x)


def with_axis_last(x: Array, axis: int) -> tuple[Array, Callable[[Array], Array]]:
    """x as rows along an axis, and what puts such rows back."""
    moved = np.moveaxis(x, axis, -1)
    return f32(moved.reshape(-1, moved.shape[-1])), lambda y: np.moveaxis(y.reshape(moved.shape), -1, axis)


def row_activation(operation: str) -> Callable[..., Array]:
    def run(attributes: Attributes, x: Array) -> Array:
        rows, back = with_axis_last(x, attributes.get("axis", -1))
        return back(made(rows.shape, operation, rows))

    return run


def matmul(_attributes: Attributes, a: Array, b: Array) -> Array:
    """Batches one by one."""
    left, right = (a[None] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left, right = (np.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (left, right))
    c = np.empty((*batch, left.shape[-2], right.shape[-1]), np.float32)
    for place in np.ndindex(batch):
        c[place] = made(c.shape[-2:], "matmul_forward", f32(left[place]), f32(right[place]))
    c = c[..., 0, :] if a.ndim == 1 else c
    return c[..., 0] if b.ndim == 1 else c


def gemm(attributes: Attributes, a: Array, b: Array, c: Array | None = None) -> Array:
    """alpha a b + beta c: a dense layer where c is a row."""
    a, b = a.T if attributes.get("transA") else a, b.T if attributes.get("transB") else b
    a, c = attributes.get("alpha", 1) * a, attributes.get("beta", 1) * (np.zeros(1) if c is None else c)
    shape = a.shape[0], b.shape[1]
    if c.size > shape[1]:
        product = made(shape, "matmul_forward", f32(a), f32(b))
        return made((product.size,), "add_forward", product.ravel(), f32(c).ravel()).reshape(shape)
    return made(shape, "dense_forward", f32(a), f32(b), f32(np.broadcast_to(c.ravel(), shape[1])))


def conv(attributes: Attributes, x: Array, w: Array, b: Array | None = None) -> Array:
    """Padding that is the same on all sides is the kernel's; any other is added here."""
    window, stride, pads = w.shape[-1], strides(attributes)[0], padding(attributes, x, w.shape[2:])
    inside = pads[0] if len(set(pads)) == 1 else 0
    image = channels_last(x if inside else pad(x, pads, 0))
    sizes = [(size + 2 * inside - window) // stride + 1 for size in image.shape[1:3]]
    patches = np.empty((1, math.prod(sizes), window * window * w.shape[1]), np.float32)
    bias = f32(np.zeros(w.shape[0]) if b is None else b)
    weights = f32(w.transpose(2, 3, 1, 0))
    shape = image.shape[0], *sizes, w.shape[0]
    return channels_first(made(shape, "conv2d_forward", image, weights, bias, stride, inside, patches))


def conv_transposed(attributes: Attributes, x: Array, w: Array, b: Array | None = None) -> Array:
    """The kernel's weights are (K, K, out, in), ONNX's (in, out, K, K); what it cuts off, is cut off here."""
    window, stride = w.shape[-1], strides(attributes)[0]
    image, bias = channels_last(x), f32(np.zeros(w.shape[1]) if b is None else b)
    sizes = [(size - 1) * stride + window for size in image.shape[1:3]]
    patches = np.empty((1, math.prod(image.shape[1:3]), window * window * w.shape[1]), np.float32)
    weights = f32(w.transpose(2, 3, 1, 0))
    shape = image.shape[0], *sizes, w.shape[1]
    y = channels_first(made(shape, "conv2d_transposed_forward", image, weights, bias, stride, 0, patches))
    if "auto_pad" in attributes:  # SAME_UPPER: as many as x, times the stride
        return y[:, :, : stride * x.shape[2], : stride * x.shape[3]]
    top, left, bottom, right = attributes.get("pads", [0] * 4)
    return y[:, :, top : sizes[0] - bottom, left : sizes[1] - right]


def max_pool(attributes: Attributes, x: Array) -> tuple[Array, Array]:
    window, stride = attributes["kernel_shape"][0], strides(attributes)[0]
    top, left, bottom, right = padding(attributes, x, attributes["kernel_shape"])
    image = channels_last(pad(x.astype(np.float32), [top, left, bottom, right], -np.inf))
    shape = pooled(image, window, stride)
    y, index = np.empty(shape, np.float32), np.empty((shape[0], math.prod(shape[1:])), np.int32)
    call("max_pool_forward", image, window, stride, y, index)
    rows, columns = np.divmod(channels_first(index.reshape(shape)), window)  # within the window
    h = rows + stride * np.arange(shape[1])[:, None] - top
    v = columns + stride * np.arange(shape[2]) - left
    inside = v * x.shape[2] + h if attributes.get("storage_order") else h * x.shape[3] + v
    planes = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], 1, 1)
    return channels_first(y), planes * x.shape[2] * x.shape[3] + inside


def average_pool(attributes: Attributes, x: Array) -> Array:
    window, stride = attributes["kernel_shape"][0], strides(attributes)[0]
    image = channels_last(pad(x, padding(attributes, x, attributes["kernel_shape"]), 0))
    return channels_first(made(pooled(image, window, stride), "average_pool_forward", image, window, stride))


def global_pool(pool: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _attributes, x: pool({"kernel_shape": x.shape[2:]}, x)


def channels_last(x: Array) -> Array:
    return f32(x.transpose(0, 2, 3, 1))


def channels_first(y: Array) -> Array:
    return y.transpose(0, 3, 1, 2)


def strides(attributes: Attributes) -> list[int]:
    return attributes.get("strides", [1, 1])


def padding(attributes: Attributes, x: Array, windows: Any) -> list[int]:
    """Top, left, bottom, right."""
    if attributes.get("auto_pad", b"NOTSET") == b"NOTSET":
        top, left, bottom, right = attributes.get("pads", [0] * 4)
        more = [0, 0]
        if attributes.get("ceil_mode"):  # what is left over gets a window, too, if that starts inside
            for axis, before, after in ((0, top, bottom), (1, left, right)):
                size, step = x.shape[2 + axis] + before + after, strides(attributes)[axis]
                count = -(-(size - windows[axis]) // step) + 1
                count -= (count - 1) * step >= x.shape[2 + axis] + before
                more[axis] = max(0, (count - 1) * step + windows[axis] - size)
        return [top, left, bottom + more[0], right + more[1]]
    totals = [
        max(0, (-(-size // step) - 1) * step + window - size)
        for size, step, window in zip(x.shape[2:], strides(attributes), windows, strict=True)
    ]
    first = [total // 2 if attributes["auto_pad"] == b"SAME_UPPER" else -(-total // 2) for total in totals]
    return [*first, *(total - start for total, start in zip(totals, first, strict=True))]


def pad(x: Array, pads: list[int], number: float) -> Array:
    top, left, bottom, right = pads
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=number)


def pooled(image: Array, window: int, stride: int) -> tuple[int, ...]:
    n, *sizes, channels = image.shape
    return (n, *((size - window) // stride + 1 for size in sizes), channels)


def batch_norm(attributes: Attributes, x: Array, g: Array, b: Array, mean: Array, var: Array) -> tuple[Array, ...]:
    """ONNX keeps what is left of the old, 0.9, we what comes of the new; and its variance is the biased one."""
    eps, momentum = np.float32(attributes.get("epsilon", 1e-5)), 1 - attributes.get("momentum", 0.9)
    rows, back = with_axis_last(x, 1)
    running = f32(np.stack([mean, var]))
    if not attributes.get("training_mode"):
        return (back(made(rows.shape, "batch_norm.py:batch_norm_predict", rows, f32(g), f32(b), running, eps)),)
    y = made(
        rows.shape, "batch_norm_forward", rows, f32(g), f32(b), np.float32(momentum), eps, running,
        np.empty((2, len(g)), np.float32),
    )  # fmt: skip
    old = (1 - momentum) * var
    return back(y), running[0], old + (running[1] - old) * (len(rows) - 1) / len(rows)


def layer_norm(attributes: Attributes, x: Array, g: Array, b: Array | None = None) -> tuple[Array, ...]:
    axis = attributes.get("axis", -1) % x.ndim
    rows = f32(x).reshape(math.prod(x.shape[:axis]), -1)
    mean, r = np.empty((2, len(rows)), np.float32)
    shift = f32(np.zeros(g.size) if b is None else b).ravel()
    eps = np.float32(attributes.get("epsilon", 1e-5))
    y = made(rows.shape, "layer_norm_forward", rows, f32(g).ravel(), shift, eps, mean, r)
    kept = x.shape[:axis] + (1,) * (x.ndim - axis)
    return y.reshape(x.shape), mean.reshape(kept), r.reshape(kept)


Pass = Callable[..., tuple[Array, ...]]  # one direction of a recurrent layer: x, w, r, both biases -> h, or h and c


def recurrent(gates: int, one_way: Pass) -> Callable[..., tuple[Array, ...]]:
    """Both directions, and both orders of the axes."""

    def run(attributes: Attributes, x: Array, w: Array, r: Array, b: Array | None = None) -> tuple[Array, ...]:
        hidden, batch_first = attributes["hidden_size"], attributes.get("layout", 0)
        steps = f32(x.swapaxes(0, 1) if batch_first else x)
        biases = np.zeros((len(w), 2 * gates * hidden)) if b is None else b
        turns = {b"reverse": [-1], b"bidirectional": [1, -1]}.get(attributes.get("direction", b"forward"), [1])
        found = [
            [state[::turn] for state in one_way(f32(steps[::turn]), w[way], r[way], *np.split(biases[way], 2))]
            for way, turn in enumerate(turns)
        ]
        y = np.stack([states[0] for states in found], axis=1)  # T, directions, N, H
        last = [
            np.stack([states[kind][:: turns[way]][-1] for way, states in enumerate(found)])
            for kind in range(len(found[0]))
        ]
        if batch_first:
            return y.transpose(2, 0, 1, 3), *(state.swapaxes(0, 1) for state in last)
        return y, *last

    return run


def turned(matrix: Array, order: list[int]) -> Array:
    """ONNX's (gates H, D) as (D, gates H), with the gates in another order."""
    blocks = np.split(matrix, len(order))
    return f32(np.concatenate([blocks[place] for place in order]).T)


def rnn_pass(x: Array, w: Array, r: Array, wb: Array, rb: Array) -> tuple[Array, ...]:
    (steps, samples, columns), hidden = x.shape, r.shape[-1]
    start = np.zeros((samples, hidden), np.float32)
    arguments = x.reshape(-1, columns), start, turned(w, [0]), turned(r, [0]), f32(wb + rb)
    return (made((steps * samples, hidden), "rnn_forward", *arguments).reshape(steps, samples, hidden),)


def lstm_pass(x: Array, w: Array, r: Array, wb: Array, rb: Array) -> tuple[Array, ...]:
    """ONNX's gates are i, o, f, c; ours i, f, g, o."""
    (steps, samples, columns), hidden, order = x.shape, r.shape[-1], [0, 2, 3, 1]
    starts = np.zeros((2, samples, hidden), np.float32)
    h, c = np.empty((2, steps * samples, hidden), np.float32)
    gates = np.empty((steps * samples, 4 * hidden), np.float32)
    weights = turned(w, order), turned(r, order), turned(wb + rb, order).ravel()
    call("lstm_forward", x.reshape(-1, columns), *starts, *weights, h, c, gates)
    return h.reshape(steps, samples, hidden), c.reshape(steps, samples, hidden)


def gru_pass(x: Array, w: Array, r: Array, wb: Array, rb: Array) -> tuple[Array, ...]:
    """ONNX's gates are z, r, h; ours r, z, n. Of one step from zeros, in which r has nothing to do."""
    (steps, samples, columns), hidden, order = x.shape, r.shape[-1], [1, 0, 2]
    assert steps == 1, "ONNX's r acts before the product with the state, ours after it"
    start = np.zeros((samples, hidden), np.float32)
    h, (gates, q) = np.empty((samples, hidden), np.float32), np.empty((2, samples, 3 * hidden), np.float32)
    weights = turned(w, order), turned(r, order), turned(wb + rb, order).ravel(), np.zeros(3 * hidden, np.float32)
    call("gru_forward", x.reshape(-1, columns), start, *weights, h, gates, q)
    return (h.reshape(steps, samples, hidden),)


def cross_entropy(attributes: Attributes, x: Array, t: Array) -> tuple[Array, ...]:
    z, back = with_axis_last(x, 1)
    labels = t.astype(np.int32).ravel()
    p, surprise, loss = np.empty_like(z), np.empty(len(z), np.float32), np.empty(1, np.float32)
    call("cross_entropy_forward", z, labels, p, surprise, loss)
    total = made((1,), "sum.py:sum_last_forward", surprise[None])[0]
    reduced = {b"none": surprise.reshape(t.shape), b"sum": total, b"mean": loss[0]}[
        attributes.get("reduction", b"mean")
    ]
    return reduced, back(made(z.shape, "log_softmax_forward", z))


def gather(attributes: Attributes, x: Array, places: Array) -> Array:
    """An embedding, where the axis is the first one."""
    axis = attributes.get("axis", 0)
    table = np.moveaxis(x, axis, 0)
    tokens = np.where(places < 0, places + len(table), places).astype(np.int32).ravel()
    w = f32(table.reshape(len(table), -1))
    rows = made((tokens.size, w.shape[1]), "embedding_forward", tokens, w)
    y = rows.reshape(*places.shape, *table.shape[1:])
    return np.moveaxis(y, range(places.ndim), range(axis, axis + places.ndim))


def one_hot(attributes: Attributes, places: Array, depth: Array, values: Array) -> Array:
    count = int(depth.item())
    labels = np.where(places < 0, places + count, places).astype(np.int32)
    rows = made((labels.size, count), "one_hot_forward", labels.ravel()).reshape(*labels.shape, count)
    return np.moveaxis(values[0] + (values[1] - values[0]) * rows, -1, attributes.get("axis", -1))


def argmax(attributes: Attributes, x: Array) -> Array:
    axis = attributes.get("axis", 0)
    rows, _back = with_axis_last(x, axis)
    k = np.empty(len(rows), np.int32)
    call("argmax_forward", rows, k)
    found = np.expand_dims(k.reshape(np.delete(x.shape, axis)), axis)
    return found if attributes.get("keepdims", 1) else found.squeeze(axis)


def reduction(operation: str, along: str) -> Callable[..., Array]:
    """Over all axes named, which are brought to one end and made one."""

    def run(attributes: Attributes, x: Array, axes: Array | None = None) -> Array:
        if axes is None or not axes.size:
            if attributes.get("noop_with_empty_axes"):
                return x
            axes = np.arange(x.ndim)
        gone = sorted(int(axis) % x.ndim for axis in axes)
        rest = [axis for axis in range(x.ndim) if axis not in gone]
        order = rest + gone if along == "last" else gone + rest
        kept = [x.shape[axis] for axis in rest]
        counts = math.prod(kept), math.prod(x.shape[axis] for axis in gone)
        rows = f32(x.transpose(order).reshape(counts if along == "last" else counts[::-1]))
        y = np.empty(counts[0], np.float32)
        places = [np.empty(counts[0], np.int32)] if operation == "max" else []
        call(f"{operation}.py:{operation}_{along}_forward", rows, y, *places)
        return np.expand_dims(y.reshape(kept), gone) if attributes.get("keepdims", 1) else y.reshape(kept)

    return run


def dropout(_attributes: Attributes, x: Array, *_ratio: Array) -> tuple[Array, Array]:
    """With nothing left out."""
    numbers = f32(np.concatenate([x.ravel(), np.ones(x.size)]))
    y = made(numbers.shape, "dropout_forward", numbers, np.arange(4, dtype=np.uint32), np.ones(1, np.float32))
    return y[: x.size].reshape(x.shape), y[x.size :].reshape(x.shape) != 0


def optimiser(states: int, step: Callable[..., None]) -> Callable[..., tuple[Array, ...]]:
    """Of several tensors: first all values, then all gradients, then each kind of running mean."""

    def run(attributes: Attributes, rate: Array, count: Array, *tensors: Array) -> tuple[Array, ...]:
        assert count == 0, "at later steps ONNX corrects the means in a way of its own"
        many = len(tensors) // (2 + states)
        kinds = [[f32(x).copy() for x in tensors[kind * many : (kind + 1) * many]] for kind in range(2 + states)]
        for p, g, *means in zip(*kinds, strict=True):
            g += attributes["norm_coefficient"] * p  # weight decay, which we leave to penalty.py
            step(attributes, p, g, *means, np.float32(rate))
        return tuple(itertools.chain(kinds[0], *kinds[2:]))

    return run


def adam_step(attributes: Attributes, p: Array, g: Array, m: Array, v: Array, rate: Any) -> None:
    numbers = (attributes["alpha"], attributes["beta"], attributes["epsilon"], 1, 1)
    call("adam_step", p, g, m, v, rate, *map(np.float32, numbers))


def momentum_step(attributes: Attributes, p: Array, g: Array, v: Array, rate: Any) -> None:
    name = "nesterov" if attributes["mode"] == b"nesterov" else "momentum"
    call(f"{name}_step", p, g, v, rate, np.float32(attributes["alpha"]))


def attend(attributes: Attributes, q: Array, k: Array, v: Array) -> Array:
    """Fewer queries than keys, and narrower heads, are filled up with zeros; heads that share keys get copies."""
    flat = q.ndim == 3
    if flat:
        groups = attributes["q_num_heads"], attributes["kv_num_heads"], attributes["kv_num_heads"]
        q, k, v = (
            x.reshape(*x.shape[:2], count, -1).swapaxes(1, 2) for x, count in zip((q, k, v), groups, strict=True)
        )
    samples, heads, asked, narrow = q.shape
    k, v = (np.repeat(x, heads // x.shape[1], axis=1) for x in (k, v))
    times, wide = k.shape[2], max(narrow, v.shape[3])
    scale = attributes.get("scale", 1 / math.sqrt(narrow)) * math.sqrt(wide)
    parts = np.zeros((3, samples, heads, times, wide), np.float32)
    parts[0, :, :, :asked, :narrow], parts[1, ..., :narrow], parts[2, ..., : v.shape[3]] = q * scale, k, v
    qkv = f32(parts.transpose(1, 3, 0, 2, 4).reshape(samples, times, -1))
    room = np.empty(attention.attention_room(times, wide), np.float32)
    p = np.empty((samples, heads, times, times), np.float32)
    causal = int(attributes.get("is_causal", 0))
    y = made((samples, times, heads * wide), "attention_forward", qkv, causal, room, p)
    y = y.reshape(samples, times, heads, wide)[:, :asked, :, : v.shape[3]]
    return y.reshape(samples, asked, -1) if flat else y.swapaxes(1, 2)


# Whole numbers. Ours are int8; uint8 is the same, 128 lower. The weights' zero is 0 here, so it is taken off before.
# QLinearConv is left out: its one test has a weight of 0 about a zero of 255, and -255 is no int8.


def as_int8(q: Array) -> Array:
    return np.ascontiguousarray((q.astype(np.int64) - np.iinfo(q.dtype).min - 128).astype(np.int8))


def as_dtype(q: Array, dtype: Any) -> Array:
    return (q.astype(np.int64) + np.iinfo(dtype).min + 128).astype(dtype)


def zero_of(zero: Array) -> int:
    return int(as_int8(np.asarray(zero)).item())


def by_channel(run: Callable[..., Array]) -> Callable[..., Array]:
    """With one scale for all numbers, or one for each channel."""

    def both(attributes: Attributes, x: Array, scale: Array, zero: Array) -> Array:
        if not scale.size > 1:
            return run(x, scale, zero)
        axis = attributes.get("axis", 1)
        parts = zip(np.moveaxis(x, axis, 0), scale, zero, strict=True)
        return np.stack([run(*part) for part in parts], axis=axis)

    return both


def quantise(x: Array, scale: Array, zero: Array) -> Array:
    q = np.empty(x.size, np.int8)
    call("quantise_forward", f32(x).ravel(), np.float32(scale.item()), zero_of(zero), q)
    return as_dtype(q, zero.dtype).reshape(x.shape)


def dequantise(q: Array, scale: Array, zero: Array) -> Array:
    numbers = as_int8(q).ravel(), np.float32(scale.item()), zero_of(zero)
    return made((q.size,), "quantise.py:dequantise_forward", *numbers).reshape(q.shape)


def weights_about_zero(w: Array, zero: Array | None) -> Array:
    return w.astype(np.int64) - (0 if zero is None else zero.astype(np.int64))


def int8_dense(a: Array, b: Array, a_zero: int, ratio: float, zero: int) -> tuple[Array, Array]:
    """The sums, and what they become as int8; batches one by one."""
    sums, y = np.empty((*a.shape[:-1], b.shape[-1]), np.int32), np.empty((*a.shape[:-1], b.shape[-1]), np.int8)
    for place in np.ndindex(a.shape[:-2]):
        w = np.ascontiguousarray(b[place].astype(np.int8))
        bias = whole_bias(np.zeros(w.shape[1]), w, 1.0, a_zero)
        call("int8_dense_forward", as_int8(a[place]), w, bias, *fraction(ratio), zero, -128, sums[place], y[place])
    return sums, y


def matmul_integer(_attributes: Attributes, a: Array, b: Array, a_zero: Array, b_zero: Array) -> Array:
    return int8_dense(a, weights_about_zero(b, b_zero), zero_of(a_zero), 1.0, 0)[0]


def quantised_matmul(
    _attributes: Attributes, a: Array, a_scale: Array, a_zero: Array, b: Array, b_scale: Array, b_zero: Array,
    y_scale: Array, y_zero: Array,
) -> Array:  # fmt: skip
    """Transposed: in these tests it is a that has 8 bits about its zero, and so can be the weights."""
    ratio = float(a_scale.item()) * float(b_scale.item()) / float(y_scale.item())
    weights = weights_about_zero(a, a_zero).swapaxes(-1, -2)
    found = int8_dense(b.swapaxes(-1, -2), weights, zero_of(b_zero), ratio, zero_of(y_zero))[1]
    return as_dtype(found.swapaxes(-1, -2), y_zero.dtype)


def conv_integer(attributes: Attributes, x: Array, w: Array, x_zero: Array, w_zero: Array | None = None) -> Array:
    """Of one picture: the sums are those of the last one."""
    zero, inside = zero_of(x_zero), attributes.get("pads", [0])[0]
    image = np.ascontiguousarray(as_int8(x).transpose(0, 2, 3, 1))
    zeros = None if w_zero is None else np.reshape(w_zero, (-1, 1, 1, 1))
    weights = np.ascontiguousarray(weights_about_zero(w, zeros).transpose(2, 3, 1, 0).astype(np.int8))
    y = np.empty((1, *(size + 2 * inside - w.shape[-1] + 1 for size in x.shape[2:]), len(w)), np.int8)
    places, terms = y[0, :, :, 0].size, math.prod(w.shape[1:])
    patches, sums = np.empty((places, terms), np.int8), np.empty((places, len(w)), np.int32)
    bias = whole_bias(np.zeros(len(w)), weights.reshape(terms, -1), 1.0, zero)
    call("int8_conv2d_forward", image, weights, bias, 1, inside, zero, *fraction(1.0), 0, -128, patches, sums, y)
    return channels_first(sums.reshape(y.shape))


@dataclass(frozen=True)
class Operator:
    run: Callable[..., Any]
    tests: int  # that our kernels pass, at least


RUN: dict[str, Operator] = {
    "Relu": Operator(curve("relu_forward"), 2),
    "LeakyRelu": Operator(leaky_relu, 5),
    "Sigmoid": Operator(curve("sigmoid_forward"), 3),
    "Tanh": Operator(curve("tanh_forward"), 3),
    "Gelu": Operator(gelu, 4),
    "Softplus": Operator(curve("softplus_forward"), 3),
    "Softmax": Operator(row_activation("softmax_forward"), 10),
    "LogSoftmax": Operator(row_activation("log_softmax_forward"), 10),
    "MatMul": Operator(matmul, 7),
    "Gemm": Operator(gemm, 12),
    "Conv": Operator(conv, 8),
    "ConvTranspose": Operator(conv_transposed, 2),
    "MaxPool": Operator(max_pool, 14),
    "GlobalMaxPool": Operator(global_pool(max_pool), 2),
    "AveragePool": Operator(average_pool, 7),
    "GlobalAveragePool": Operator(global_pool(average_pool), 2),
    "BatchNormalization": Operator(batch_norm, 9),
    "LayerNormalization": Operator(layer_norm, 19),
    "RNN": Operator(recurrent(1, rnn_pass), 6),
    "LSTM": Operator(recurrent(4, lstm_pass), 5),
    "GRU": Operator(recurrent(3, gru_pass), 3),
    "SoftmaxCrossEntropyLoss": Operator(cross_entropy, 10),
    "Gather": Operator(gather, 6),
    "OneHot": Operator(one_hot, 6),
    "ArgMax": Operator(argmax, 8),
    "ReduceSum": Operator(reduction("sum", "last"), 12),
    "ReduceMean": Operator(reduction("mean", "first"), 8),
    "ReduceMax": Operator(reduction("max", "last"), 9),
    "Dropout": Operator(dropout, 8),
    "Adam": Operator(optimiser(2, adam_step), 2),
    "Momentum": Operator(optimiser(1, momentum_step), 3),
    "Attention": Operator(attend, 20),
    "QuantizeLinear": Operator(by_channel(quantise), 2),
    "DequantizeLinear": Operator(by_channel(dequantise), 2),
    "MatMulInteger": Operator(matmul_integer, 1),
    "ConvInteger": Operator(conv_integer, 2),
    "QLinearMatMul": Operator(quantised_matmul, 4),
}

# ---------------------------------------------------------------- what there is


SOURCES = {
    "BatchNormalization": "batch_normalization",
    "ReduceSum": "reducesum",
    "SoftmaxCrossEntropyLoss": "softmax_cross_entropy_loss",
}  # where the module is not named like the operator
RECORDED = "pytorch-converted"  # folder of inputs and outputs recorded from PyTorch


@cache
def nodes(operator: str) -> dict[str, Node]:
    """Its tests by name, those made by the package and those recorded."""
    return {node.name: node for node in itertools.chain(collected(operator), recorded(operator))}


def collected(operator: str) -> Iterator[Node]:
    from onnx.backend.test.case import node

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(f"{node.__name__}.{SOURCES.get(operator, operator.lower())}")
    for case in node._NodeTestCases:
        graph = case.model.graph
        if "_expanded" not in case.name and graph.node[0].op_type == operator:
            inputs, outputs = case.data_sets[0]
            yield as_node(case.name.removeprefix("test_"), graph.node[0], inputs, outputs)


def recorded(operator: str) -> Iterator[Node]:
    for name, graph, folder in recordings():
        if graph.node[0].op_type == operator:
            known = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
            free = [value.name for value in graph.input if value.name not in known]
            known |= {name: tensor(folder / f"input_{place}.pb") for place, name in enumerate(free)}
            inputs = [known[name] for name in graph.node[0].input]
            yield as_node(name, graph.node[0], inputs, [tensor(folder / "output_0.pb")])


@cache
def recordings() -> list[tuple[str, Any, Path]]:
    """Name, graph and folder of every recording of one node."""
    folders = sorted((Path(onnx.__file__).parent / "backend/test/data" / RECORDED).iterdir())
    graphs = [(folder.name.removeprefix("test_"), onnx.load(folder / "model.onnx").graph, folder) for folder in folders]
    return [(name, graph, folder / "test_data_set_0") for name, graph, folder in graphs if len(graph.node) == 1]


def tensor(file: Path) -> Array:
    return onnx.numpy_helper.to_array(onnx.load_tensor(file))


def as_node(name: str, node: Any, inputs: Any, outputs: Any) -> Node:
    attributes = {found.name: onnx.helper.get_attribute_value(found) for found in node.attribute}
    given, wanted = ([place for place, name in enumerate(names) if name] for names in (node.input, node.output))
    return Node(
        name, node.op_type, attributes, dict(zip(given, inputs, strict=False)), dict(zip(wanted, outputs, strict=False))
    )


# ---------------------------------------------------------------- what our kernels do not do, and so are not asked


IMAGES = {"Conv", "ConvTranspose", "MaxPool", "AveragePool"}


def beyond(node: Node) -> str:
    """Why our kernels cannot run this test; nothing where they can."""
    return next((why for why, applies in REASONS.items() if applies(node)), "")


def is_one_of(*operators: str) -> Callable[[Callable[[Node], Any]], Callable[[Node], bool]]:
    return lambda test: lambda node: node.operator in operators and bool(test(node))


def uneven(node: Node) -> bool:
    """Whether rows are treated in another way than columns."""
    window = node.inputs[1].shape[2:] if node.operator.startswith("Conv") else node.attributes["kernel_shape"]
    return len(set(window)) > 1 or len(set(strides(node.attributes))) > 1


def padded(node: Node) -> bool:
    return any(padding(node.attributes, node.inputs[0], node.attributes["kernel_shape"]))


QUANTISED = {"QuantizeLinear", "DequantizeLinear", "MatMulInteger", "ConvInteger", "QLinearMatMul"}


def has_other_numbers(node: Node) -> bool:
    """Anything but int8, uint8, float32, and scales in float16."""
    kinds = {getattr(array, "dtype", None) for array in (*node.inputs.values(), *node.outputs.values())}
    return not kinds <= {np.dtype(kind) for kind in (np.int8, np.uint8, np.int32, np.float32, np.float16)}


def overflows(node: Node) -> bool:
    """Whether weights less their zero are beyond int8."""
    w, zero = {"QLinearMatMul": (0, 2), "MatMulInteger": (1, 3), "ConvInteger": (1, 3)}[node.operator]
    about_zero = weights_about_zero(node.inputs[w], node.inputs.get(zero))
    return about_zero.min() < -128 or about_zero.max() > 127


REASONS: dict[str, Callable[[Node], bool]] = {
    "images have two axes here": is_one_of(*IMAGES)(lambda node: node.inputs[0].ndim != 4),
    "windows have no gaps here": is_one_of(*IMAGES)(lambda node: set(node.attributes.get("dilations", [1])) != {1}),
    "every channel sees all channels here": is_one_of("Conv", "ConvTranspose")(
        lambda node: node.attributes.get("group", 1) > 1
    ),
    "rows and columns are treated alike here": is_one_of(*IMAGES)(uneven),
    "a mean is over the whole window here, padding and all": is_one_of("AveragePool")(
        lambda node: padded(node) and (node.attributes.get("ceil_mode") or not node.attributes.get("count_include_pad"))
    ),
    "all classes weigh the same here": is_one_of("SoftmaxCrossEntropyLoss")(lambda node: 2 in node.inputs),
    "no class is passed over here": is_one_of("SoftmaxCrossEntropyLoss")(
        lambda node: "ignore_index" in node.attributes
    ),
    "of several largest numbers the first counts here": is_one_of("ArgMax")(
        lambda node: node.attributes.get("select_last_index")
    ),
    "a largest number is of one at least here": is_one_of("ReduceMax")(lambda node: not node.inputs[0].size),
    "random numbers are others here": is_one_of("Dropout")(lambda node: node.inputs.get(2) and node.inputs[1] > 0),
    "gates do not see the cell here": is_one_of("LSTM")(lambda node: 7 in node.inputs),
    "the reset gate acts after the product here": is_one_of("GRU")(
        lambda node: node.inputs[0].shape[node.attributes.get("layout", 0)] > 1
    ),
    "attention has no mask but the causal one, and no cache here": is_one_of("Attention")(
        lambda node: len(node.inputs) > 3
    ),
    "scores have no cap here": is_one_of("Attention")(lambda node: node.attributes.get("softcap", 0)),
    "attention has no window here": is_one_of("Attention")(
        lambda node: any(node.attributes.get(f"{side}_window_size", -1) >= 0 for side in ("left", "right"))
    ),
    "scores are not kept here": is_one_of("Attention")(lambda node: len(node.outputs) > 1),
    "numbers have 32 bits here": is_one_of("Attention")(lambda node: node.inputs[0].dtype != np.float32),
    "whole numbers have 8 bits here": is_one_of(*QUANTISED)(has_other_numbers),
    "a scale is for all or for a channel here": is_one_of(*QUANTISED)(lambda node: "block_size" in node.attributes),
    "weights have 8 bits about zero here": is_one_of("QLinearMatMul", "MatMulInteger", "ConvInteger")(overflows),
}


# ---------------------------------------------------------------- the tests


@pytest.mark.parametrize("operator", RUN)
def test_our_kernels_give_what_is_written_down(operator: str) -> None:
    """All tests of an operator but those with a reason; and there are as many as there used to be."""
    asked = [node for node in nodes(operator).values() if not beyond(node)]
    for node in asked:
        check(node)
    assert len(asked) >= RUN[operator].tests


def check(node: Node) -> None:
    inputs = [node.inputs.get(place) for place in range(max(node.inputs) + 1)]
    found = RUN[node.operator].run(node.attributes, *inputs)
    for place, wanted in node.outputs.items():
        value = np.asarray(found[place] if isinstance(found, tuple) else found)
        assert value.shape == wanted.shape, node.name
        np.testing.assert_allclose(value.astype(wanted.dtype), wanted, 1e-5, 1e-5, err_msg=node.name)


def test_every_reason_has_its_test() -> None:
    given = {beyond(node) for operator in RUN for node in nodes(operator).values()}
    assert given - {""} == set(REASONS)
