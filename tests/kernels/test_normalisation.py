"""Normalisation worked by hand, and its layers: running statistics, prediction, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dltutor.errors import DltutorError
from dltutor.kernels.batch_norm import batch_norm_forward
from dltutor.kernels.layer_norm import layer_norm_forward
from dltutor.layers import BatchNorm, Conv2d, Dense, LayerNorm, Sequential


def f32(*values: Any) -> np.ndarray:
    return np.array(values, np.float32)


def noise(*shape: int) -> np.ndarray:
    return 3 * np.random.default_rng(0).standard_normal(shape).astype(np.float32) + 1


def test_a_batch_by_hand() -> None:
    """1 and 5: mean 3, variance 4 by N and 8 by N - 1. The running ones go a tenth of the way from 0 and 1."""
    running, moments, y = f32([0], [1]), np.empty((2, 1), np.float32), np.empty((2, 1), np.float32)
    batch_norm_forward(f32([1], [5]), f32(10), f32(7), np.float32(0.1), np.float32(0), running, moments, y)
    np.testing.assert_allclose(y.ravel(), [-3, 17], 1e-6)
    np.testing.assert_allclose(moments.ravel(), [3, 0.5], 1e-6)
    np.testing.assert_allclose(running.ravel(), [0.3, 1.7], 1e-6)


def test_a_row_by_hand() -> None:
    """1 and 5 have mean 3 and deviation 2; 2 and 2 have none, and eps keeps them from being divided by 0."""
    mean, r, y = np.empty(2, np.float32), np.empty(2, np.float32), np.empty((2, 2), np.float32)
    layer_norm_forward(f32([1, 5], [2, 2]), f32(10, 100), f32(7, 0), np.float32(1e-6), mean, r, y)
    np.testing.assert_allclose(y, [[-3, 100], [7, 0]], 1e-5)
    np.testing.assert_allclose(np.stack([mean, r]), np.array([[3, 2], [0.5, 1000]]), 1e-5)


def test_training_uses_the_batch_and_prediction_what_was_seen_so_far() -> None:
    layer = BatchNorm(3)
    net, x = Sequential(layer), noise(50, 3)
    np.testing.assert_allclose(net.predict(x), x / np.sqrt(1 + 1e-5), 1e-5)
    for _step in range(200):
        y = net.forward(x)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(y.std(axis=0), 1, 1e-5)
    np.testing.assert_allclose(layer.running, [x.mean(axis=0), x.var(axis=0, ddof=1)], 1e-5)
    seen = layer.running.copy()
    np.testing.assert_allclose(net.predict(x[:1]), (x[:1] - seen[0]) / np.sqrt(seen[1] + 1e-5), 1e-4, 1e-5)
    assert (layer.running == seen).all(), "prediction learns nothing"


def test_a_batch_of_one_sample_is_all_shift() -> None:
    """Nothing is left of it: why a network with batch normalisation cannot learn from one sample at a time."""
    net = Sequential(BatchNorm(4), input_gradient=True)
    assert not net.forward(noise(1, 4)).any()
    gradient = net.backward(noise(1, 4))
    assert gradient is not None and not gradient.any()
    assert np.isfinite(net.gradients).all()


def test_pixels_are_samples_of_their_channel() -> None:
    pictures, rows = BatchNorm(3), BatchNorm(3)
    x, dy = noise(5, 4, 2, 3), noise(5, 4, 2, 3)
    nets = Sequential(pictures, input_gradient=True), Sequential(rows, input_gradient=True)
    ys = nets[0].forward(x), nets[1].forward(x.reshape(40, 3))
    np.testing.assert_array_equal(ys[0].reshape(40, 3), ys[1])
    gradients = nets[0].backward(dy), nets[1].backward(dy.reshape(40, 3))
    np.testing.assert_array_equal(gradients[0].reshape(40, 3), gradients[1])  # type: ignore[union-attr]


def test_each_place_of_a_sequence_is_normalised_by_itself() -> None:
    net, x = Sequential(LayerNorm(6)), noise(3, 4, 6)
    y = net.forward(x)
    assert y.shape == x.shape
    np.testing.assert_allclose(y.mean(axis=-1), 0, atol=1e-6)
    np.testing.assert_allclose(y.std(axis=-1), 1, 1e-3)


@pytest.mark.parametrize("layer", [BatchNorm, LayerNorm])
def test_what_does_not_fit_is_told_with_its_numbers(layer: Any) -> None:
    with pytest.raises(DltutorError, match="channels=0"):
        layer(0)
    with pytest.raises(DltutorError, match="5 channels"):
        Sequential(Dense(2, 4), layer(5))
    with pytest.raises(DltutorError, match="5 channels"):
        Sequential(Conv2d(1, 4), layer(5))
    with pytest.raises(DltutorError, match="5 channels"):
        Sequential(layer(5)).forward(noise(2, 4))
