"""Convolution and pooling worked by hand, and their layers: shapes, parts of a batch, threads, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dltutor.errors import DltutorError
from dltutor.kernels.average_pool import average_pool_backward, average_pool_forward
from dltutor.kernels.conv2d import conv2d_backward, conv2d_forward
from dltutor.kernels.conv2d_transposed import conv2d_transposed_forward
from dltutor.kernels.max_pool import max_pool_backward, max_pool_forward
from dltutor.layers import (
    AveragePool2d,
    Conv2d,
    ConvBlock,
    ConvTranspose2d,
    Dense,
    Flatten,
    Layer,
    MaxPool2d,
    ReLU,
    Reshape,
    Sequential,
)


def f32(*values: Any) -> np.ndarray:
    return np.array(values, np.float32)


def picture(*rows: Any) -> np.ndarray:
    """One picture with one channel."""
    return np.array(rows, np.float32)[None, :, :, None]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


# ---------------------------------------------------------------- worked by hand


def test_an_edge_is_where_neighbours_differ() -> None:
    """The window (-1, 1) on 0 0 5 5 is zero but where the step is."""
    w, b = f32([[[0]], [[0]]], [[[-1]], [[1]]]), f32(10)
    x = picture([9, 9, 9, 9], [0, 0, 5, 5])
    y, patches = np.empty((1, 1, 3, 1), np.float32), np.empty((1, 3, 4), np.float32)
    conv2d_forward(x, w, b, 1, 0, patches, y)
    assert y.ravel().tolist() == [10, 15, 10]
    assert patches.reshape(4, 3).T.tolist() == [[9, 9, 0, 0], [9, 9, 0, 5], [9, 9, 5, 5]], "few channels: as columns"
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    conv2d_backward(x, w, picture([1, 2, 3]), 1, 0, patches, dx, dw, db)
    assert dx[0, :, :, 0].tolist() == [[0, 0, 0, 0], [-1, -1, -1, 3]]
    assert dw[:, :, 0, 0].tolist() == [[54, 54], [0 + 0 + 15, 0 + 10 + 15]]
    assert db.tolist() == [6]


def test_padding_keeps_the_size_and_stride_halves_it() -> None:
    """A window of ones counts the pixels that it sees."""
    ones, b, x = np.ones((3, 3, 1, 1), np.float32), f32(0), np.ones((1, 4, 4, 1), np.float32)
    for stride, wanted in ((1, [[4, 6, 6, 4], [6, 9, 9, 6], [6, 9, 9, 6], [4, 6, 6, 4]]), (2, [[4, 6], [6, 9]])):
        side = len(wanted)
        y = np.empty((1, side, side, 1), np.float32)
        conv2d_forward(x, ones, b, stride, 1, np.empty((1, side * side, 9), np.float32), y)
        assert y[0, :, :, 0].tolist() == wanted


def test_a_pixel_stamps_its_window() -> None:
    """Two pixels, 1 and 10, stamp (1, 2, 3) two pixels apart: where the stamps meet, they add up."""
    x, y = picture([1, 10], [0, 0]), np.empty((1, 5, 5, 1), np.float32)
    w = np.zeros((3, 3, 1, 1), np.float32)
    w[0, :, 0, 0] = 1, 2, 3
    conv2d_transposed_forward(x, w, f32(0), 2, 0, np.empty((1, 4, 9), np.float32), y)
    assert y[0, 0, :, 0].tolist() == [1, 2, 3 + 10, 20, 30]
    assert not y[0, 1:].any()


def test_max_pooling_hands_the_gradient_to_the_first_of_the_largest() -> None:
    """5 stands twice in the second window; a third column does not fill a window and is left out."""
    x = picture([1, 2, 5, 5, 9], [4, 3, 0, 0, 9])
    y, index, dx = np.empty((1, 1, 2, 1), np.float32), np.empty((1, 2), np.int32), np.zeros_like(x)
    max_pool_forward(x, 2, 2, y, index)
    assert (y.ravel().tolist(), index.tolist()) == ([4, 5], [[2, 0]])
    max_pool_backward(2, 2, index, picture([10, 20]), dx)
    assert dx[0, :, :, 0].tolist() == [[0, 0, 20, 0, 0], [10, 0, 0, 0, 0]]


def test_average_pooling_shares_the_gradient() -> None:
    x = picture([1, 2], [3, 6])
    y, dx = np.empty((1, 1, 1, 1), np.float32), np.zeros_like(x)
    average_pool_forward(x, 2, 2, y)
    average_pool_backward(2, 2, picture([8]), dx)
    assert y.item() == 3
    assert (dx == 2).all()


# ---------------------------------------------------------------- layers

SHAPES: dict[str, tuple[Layer, tuple[int, ...], tuple[int, ...]]] = {
    "same size": (Conv2d(2, 3, 3, padding=1), (5, 8, 6, 2), (5, 8, 6, 3)),
    "stride": (Conv2d(2, 3, 5, stride=2, padding=2), (5, 7, 8, 2), (5, 4, 4, 3)),
    "twice the size": (ConvTranspose2d(2, 3, 4, stride=2, padding=1), (5, 4, 3, 2), (5, 8, 6, 3)),
    "pooled": (MaxPool2d(2), (5, 7, 4, 3), (5, 3, 2, 3)),
    "pooled, overlapping": (AveragePool2d(3, stride=1), (5, 7, 4, 3), (5, 5, 2, 3)),
    "block": (ConvBlock(1, 3, 3, padding=1), (5, 8, 6, 1), (5, 4, 3, 3)),
    "flat": (Flatten(), (5, 2, 3, 4), (5, 24)),
    "picture": (Reshape(2, 3, 4), (5, 24), (5, 2, 3, 4)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_of_outputs_and_of_gradients(name: str) -> None:
    layer, before, after = SHAPES[name]
    net = Sequential(layer, input_gradient=True)
    for count in (before[0], 1, 0):
        x = noise(count, *before[1:])
        assert net.forward(x).shape == (count, *after[1:]) == net.predict(x).shape
        gradient = net.backward(noise(count, *after[1:]))
        assert gradient is not None and gradient.shape == x.shape


def test_a_block_is_its_three_layers_to_the_bit() -> None:
    plain = Sequential(Conv2d(2, 5, 3, padding=1), ReLU(), MaxPool2d(2), Flatten(), Dense(60, 2), input_gradient=True)
    block = Sequential(ConvBlock(2, 5, 3, padding=1), Flatten(), Dense(60, 2), input_gradient=True)
    x, dy = noise(9, 8, 6, 2), noise(9, 2)
    np.testing.assert_array_equal(plain.forward(x), block.forward(x))
    np.testing.assert_array_equal(plain.backward(dy), block.backward(dy))
    np.testing.assert_array_equal(plain.gradients, block.gradients)


def test_a_first_convolution_leaves_out_what_nobody_asks_for() -> None:
    first, whole = (
        Sequential(Conv2d(1, 4, 3), rng=np.random.default_rng(1), input_gradient=on) for on in (False, True)
    )
    x, dy = noise(3, 5, 5, 1), noise(3, 3, 3, 4)
    for net in (first, whole):
        net.forward(x)
    assert first.backward(dy) is None
    assert whole.backward(dy) is not None
    np.testing.assert_array_equal(first.gradients, whole.gradients)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no window": (lambda: Conv2d(1, 4, 0), "window=0"),
    "negative padding": (lambda: ConvTranspose2d(1, 4, 3, padding=-1), "padding=-1"),
    "no pool": (lambda: MaxPool2d(0), "window=0"),
    "channels": (lambda: Sequential(Conv2d(1, 4), Conv2d(3, 4)), "3 channels"),
    "no picture": (lambda: Sequential(Conv2d(64, 4)).forward(noise(2, 64)), r"\(2, 64\)"),
    "channels of the input": (lambda: Sequential(Conv2d(3, 4)).forward(noise(2, 8, 8, 1)), "3 channels"),
    "window too large": (lambda: Sequential(MaxPool2d(9)).forward(noise(2, 8, 8, 1)), "9"),
    "numbers": (lambda: Sequential(Reshape(3, 3, 1)).forward(noise(2, 8)), r"\(3, 3, 1\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_told_with_its_numbers(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(DltutorError, match=words) as raised:
        make()
    assert raised.value.hint
