"""Every operation on the processor: against its reference and central differences, by hand, and with bad numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dltutor.kernels.adam import adam_step
from dltutor.kernels.binary_cross_entropy import binary_cross_entropy_backward, binary_cross_entropy_forward
from dltutor.kernels.cross_entropy import cross_entropy_backward, cross_entropy_forward
from dltutor.kernels.dense import dense_backward, dense_forward
from dltutor.kernels.momentum import momentum_step
from dltutor.kernels.mse import mse_backward, mse_forward
from dltutor.kernels.relu import relu_backward, relu_forward
from dltutor.kernels.sgd import sgd_step
from dltutor.kernels.sigmoid import sigmoid_backward, sigmoid_forward
from dltutor.kernels.softmax import softmax_forward
from dltutor.kernels.tanh import tanh_forward
from dltutor.proof.checks import (
    all_cases,
    all_steps,
    check_backward,
    check_central_difference,
    check_forward,
    check_nan,
    check_step,
)

CASES = {case.name: case for case in all_cases()}
STEPS = {step.name: step for step in all_steps()}
WITH_BACKWARD = [name for name, case in CASES.items() if case.backward_reference]


def f32(*values: Any) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.mark.parametrize("name", CASES)
def test_forward_is_the_reference_on_every_shape(name: str) -> None:
    for shape in CASES[name].shapes:
        check_forward(CASES[name], shape)


@pytest.mark.parametrize("name", WITH_BACKWARD)
def test_backward_adds_the_reference_on_every_shape(name: str) -> None:
    for shape in CASES[name].shapes:
        check_backward(CASES[name], shape)


@pytest.mark.parametrize("name", WITH_BACKWARD)
def test_backward_is_the_central_difference_of_forward(name: str) -> None:
    for shape in CASES[name].shapes:
        check_central_difference(CASES[name], shape)


@pytest.mark.parametrize("name", CASES)
def test_nan_in_is_nan_out_where_the_reference_has_it(name: str) -> None:
    check_nan(CASES[name], CASES[name].shapes[-1])


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_is_the_reference_and_spends_the_gradient(name: str, dtype: Any) -> None:
    for n in (0, 1, 2, 7, 33, 130):
        check_step(STEPS[name], n, dtype)


# ---------------------------------------------------------------- the ends of the numbers


def test_sigmoid_and_tanh_hold_at_the_ends_of_the_numbers() -> None:
    x = f32(-np.inf, -1e30, -100, -1e-30, 0, 1e-30, 100, 1e30, np.inf, np.nan)
    y = np.empty_like(x)
    sigmoid_forward(x, y)
    np.testing.assert_allclose(y, f32(0, 0, 0, 0.5, 0.5, 0.5, 1, 1, 1, np.nan), atol=1e-30)
    tanh_forward(x, y)
    np.testing.assert_allclose(y, f32(-1, -1, -1, -1e-30, 0, 1e-30, 1, 1, 1, np.nan))


def test_sigmoid_and_tanh_are_right_to_seven_digits_everywhere() -> None:
    """Relative to the value itself, so that small results are as good as large ones."""
    x = np.linspace(-80, 80, 200_001).astype(np.float32)
    y = np.empty_like(x)
    sigmoid_forward(x, y)
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-x.astype(float))), 6e-7)
    for scale in (1e-6, 1e-3, 1 / 80, 1 / 8):
        tanh_forward(x * np.float32(scale), y)
        np.testing.assert_allclose(y, np.tanh((x * np.float32(scale)).astype(float)), 1e-6)


def test_softmax_takes_numbers_whose_exponentials_would_overflow() -> None:
    p = np.empty((1, 3), np.float32)
    softmax_forward(f32([1000, 1000, -1000]), p)
    np.testing.assert_allclose(p, [[0.5, 0.5, 0]])


def test_a_confident_mistake_costs_its_logit_and_not_infinity() -> None:
    loss = np.empty(1, np.float32)
    binary_cross_entropy_forward(f32(-200), f32(1), loss)
    assert loss[0] == 200
    cross_entropy_forward(f32([200, 0]), np.array([1], np.int32), np.empty((1, 2), np.float32), f32(0), loss)
    assert loss[0] == 200


def test_relu_passes_infinity_and_nan() -> None:
    y, dx = np.empty(3, np.float32), np.zeros(3, np.float32)
    relu_forward(f32(np.inf, -np.inf, np.nan), y)
    np.testing.assert_array_equal(y, f32(np.inf, 0, np.nan))
    relu_backward(y, f32(1, 1, np.nan), dx)
    np.testing.assert_array_equal(dx, f32(1, 0, np.nan))


# ---------------------------------------------------------------- worked by hand


def test_a_dense_layer_by_hand() -> None:
    """x = [1 2], w = [[3 4 5] [6 7 8]], b = [10 20 30]; then every dy 1."""
    x, w, b = f32([1, 2]), f32([3, 4, 5], [6, 7, 8]), f32(10, 20, 30)
    y = np.empty((1, 3), np.float32)
    dense_forward(x, w, b, y)
    assert y.tolist() == [[1 * 3 + 2 * 6 + 10, 1 * 4 + 2 * 7 + 20, 1 * 5 + 2 * 8 + 30]]
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    dense_backward(x, w, f32([1, 1, 1]), dx, dw, db)
    assert dx.tolist() == [[3 + 4 + 5, 6 + 7 + 8]]
    assert dw.tolist() == [[1, 1, 1], [2, 2, 2]]
    assert db.tolist() == [1, 1, 1]


def test_a_dense_layer_leaves_out_the_input_s_gradient_where_it_has_no_rows() -> None:
    x, w = np.ones((5, 2), np.float32), np.ones((2, 3), np.float32)
    dw, db = np.zeros((2, 3), np.float32), np.zeros(3, np.float32)
    dense_backward(x, w, np.ones((5, 3), np.float32), np.empty((0, 2), np.float32), dw, db)
    assert dw.tolist() == [[5, 5, 5], [5, 5, 5]]
    assert db.tolist() == [5, 5, 5]


def test_mean_squared_error_by_hand() -> None:
    """Errors 1 and -3: (1 + 9) / 2 = 5; the gradient is the error itself, 2 / n being 1."""
    loss, dy = np.empty(1, np.float32), np.zeros(2, np.float32)
    mse_forward(f32(3, 2), f32(2, 5), loss)
    mse_backward(f32(3, 2), f32(2, 5), dy)
    assert loss[0] == 5
    assert dy.tolist() == [1, -3]


def test_binary_cross_entropy_by_hand() -> None:
    """At logit 0 the model says one half: the loss is log 2 whatever is true, and the gradient +-1/2, over n = 2."""
    loss, dz = np.empty(1, np.float32), np.zeros(2, np.float32)
    binary_cross_entropy_forward(f32(0, 0), f32(1, 0), loss)
    binary_cross_entropy_backward(f32(0, 0), f32(1, 0), dz)
    assert loss[0] == pytest.approx(math.log(2))
    assert dz.tolist() == [-0.25, 0.25]


def test_cross_entropy_by_hand() -> None:
    """Logits 0 and log 3 are the probabilities 1/4 and 3/4; class 1 is true."""
    p, loss, dz = np.empty((1, 2), np.float32), np.empty(1, np.float32), np.zeros((1, 2), np.float32)
    t = np.array([1], np.int32)
    cross_entropy_forward(f32([0, math.log(3)]), t, p, f32(0), loss)
    cross_entropy_backward(p, t, dz)
    np.testing.assert_allclose(p, [[0.25, 0.75]], 1e-6)
    assert loss[0] == pytest.approx(-math.log(0.75), rel=1e-6)
    np.testing.assert_allclose(dz, [[0.25, -0.25]], 1e-6)


def test_sigmoid_by_hand() -> None:
    """sigmoid(log 3) = 1 / (1 + 1/3) = 3/4, and its slope there 3/4 * 1/4."""
    y, dx = np.empty(1, np.float32), np.zeros(1, np.float32)
    sigmoid_forward(f32(math.log(3)), y)
    sigmoid_backward(y, f32(1), dx)
    assert y[0] == pytest.approx(0.75)
    assert dx[0] == pytest.approx(0.1875)


def test_optimisers_by_hand() -> None:
    """p = 1, gradient 2, rate 0.5: plainly to 0; with momentum from speed 1, v = 0.5 + 2; Adam's first step is lr."""
    lr, half = np.float32(0.5), np.float32(0.5)
    p = f32(1)
    sgd_step(p, f32(2), lr)
    assert p[0] == 0
    p, v = f32(1), f32(1)
    momentum_step(p, f32(2), v, lr, half)
    assert (v[0], p[0]) == (2.5, -0.25)
    p, m, v = f32(1), f32(0), f32(0)
    adam_step(p, f32(2), m, v, lr, half, half, np.float32(0), half, half)
    assert (m[0], v[0], p[0]) == (1, 2, 0.5)
