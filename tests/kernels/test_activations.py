"""Elementary functions and activations: what the tables of cases cannot say."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dltutor.errors import DltutorError
from dltutor.kernels import gelu, leaky_relu, log_softmax, relu, sigmoid, softmax, softplus, tanh
from dltutor.kernels.compile import Vector, cuda_run_with, kernel
from dltutor.kernels.elementary import exp, log, log_one_plus_exp, normal_cdf
from dltutor.kernels.elementary import tanh as tanh_of
from dltutor.layers import GELU, Dense, LeakyReLU, Sequential

ENDS = (-np.inf, -1e30, -100, -1, -1e-30, -0.0, 0, 1e-30, 1, 100, 1e30, np.inf, np.nan)


def f32(*values: Any) -> np.ndarray:
    return np.array(values, np.float32)


@kernel
def all_exp(x: Vector, y: Vector) -> None:
    for i in range(x.size):
        y[i] = exp(x[i])


@kernel
def all_log(x: Vector, y: Vector) -> None:
    for i in range(x.size):
        y[i] = log(x[i])


@kernel
def all_log_one_plus_exp(x: Vector, y: Vector) -> None:
    for i in range(x.size):
        y[i] = log_one_plus_exp(x[i])


@kernel
def all_tanh(x: Vector, y: Vector) -> None:
    for i in range(x.size):
        y[i] = tanh_of(x[i])


@kernel
def all_normal_cdf(x: Vector, y: Vector) -> None:
    for i in range(x.size):
        y[i] = normal_cdf(x[i])


def of(function: Any, x: np.ndarray) -> np.ndarray:
    y = np.empty_like(x)
    function(x, y)
    return y


def spread(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 200_001).astype(np.float32)


def every_size(low: float, high: float) -> np.ndarray:
    return np.logspace(math.log10(low), math.log10(high), 200_001).astype(np.float32)


def phi(x: np.ndarray) -> np.ndarray:
    return np.vectorize(lambda number: math.erfc(-number / math.sqrt(2)) / 2)(x)


PROMISED: dict[str, tuple[Any, Callable[[np.ndarray], np.ndarray], np.ndarray, float]] = {
    "exp": (all_exp, np.exp, spread(-87.3, 88.3), 3e-7),
    "log": (all_log, np.log, every_size(1e-44, 3e38), 1e-7),
    "log near 1": (all_log, np.log, spread(0.5, 2), 1e-7),
    "log_one_plus_exp": (all_log_one_plus_exp, lambda x: np.log1p(np.exp(x)), spread(-87, 0), 3e-7),
    "tanh": (all_tanh, np.tanh, spread(-12, 12), 4e-7),
    "tanh near 0": (all_tanh, np.tanh, every_size(1e-44, 1), 4e-7),
    "normal_cdf": (all_normal_cdf, phi, spread(-3, 12)[::10], 6e-7),
    "normal_cdf far left": (all_normal_cdf, phi, spread(-13, -3)[::10], 5e-6),
}


@pytest.mark.parametrize("name", PROMISED)
def test_elementary_functions_keep_the_error_that_their_file_states(name: str) -> None:
    function, truth, x, error = PROMISED[name]
    np.testing.assert_allclose(of(function, x), truth(x.astype(float)), error, 2e-45)


def test_logarithms_at_the_ends_of_the_numbers() -> None:
    for dtype in (np.float32, np.float64):
        found = of(all_log, np.array([-np.inf, -1, -0.0, 0, 1, np.inf, np.nan], dtype))
        np.testing.assert_array_equal(found, [np.nan, np.nan, -np.inf, -np.inf, 0, np.inf, np.nan])
    np.testing.assert_array_equal(of(all_log_one_plus_exp, f32(-np.inf, -1000, np.nan)), f32(0, 0, np.nan))


def test_tanh_and_the_normal_distribution_never_leave_their_range() -> None:
    far = spread(7, 12)
    assert of(all_tanh, far).max() == 1
    assert of(all_tanh, -far).min() == -1
    np.testing.assert_array_equal(of(all_normal_cdf, f32(-np.inf, np.inf, np.nan)), f32(0, 1, np.nan))


POINTWISE = {
    "sigmoid": (sigmoid, ()), "tanh": (tanh, ()), "relu": (relu, ()), "softplus": (softplus, ()),
    "gelu": (gelu, ()), "gelu_tanh": (gelu, ()), "leaky_relu": (leaky_relu, (0.2,)),
}  # fmt: skip


@pytest.mark.parametrize("name", POINTWISE)
def test_both_devices_agree_at_the_ends_of_the_numbers(name: str) -> None:
    pytest.importorskip("numba_cuda", reason="the emulated card needs numba-cuda")
    from dltutor.emulate.native import Native

    module, numbers = POINTWISE[name]
    x, found = f32(*ENDS), {}
    with cuda_run_with(Native()):
        for suffix in ("", "_cuda"):
            y, dx = np.empty_like(x), np.zeros_like(x)
            kept = x if name in ("gelu", "gelu_tanh", "softplus") else y
            getattr(module, f"{name}_forward{suffix}")(x, *map(np.float32, numbers), y)
            getattr(module, f"{name}_backward{suffix}")(kept, *map(np.float32, numbers), np.ones_like(x), dx)
            found[suffix] = y, dx
    for cpu, card in zip(found[""], found["_cuda"], strict=True):
        np.testing.assert_allclose(cpu, card, 1e-6, 1e-30)


@pytest.mark.parametrize("suffix", ["", "_cuda"])
def test_the_backward_pass_of_tanh_has_the_derivative_that_tanh_twice_adds(suffix: str) -> None:
    pytest.importorskip("numba_cuda", reason="the emulated card needs numba-cuda")
    from dltutor.emulate.native import Native

    y, dy, ddx, start = np.random.default_rng(1).uniform(-1, 1, (4, 300)).astype(np.float32)
    by_y = start.copy()
    with cuda_run_with(Native()):
        for _twice in range(2):
            getattr(tanh, f"tanh_twice{suffix}")(y, dy, ddx, by_y)
    h, wide = 1e-6, y.astype(float)  # of sum (1 - y^2) dy ddx
    slope = ((1 - (wide + h) ** 2) - (1 - (wide - h) ** 2)) / (2 * h) * dy * ddx
    np.testing.assert_allclose(by_y, start + 2 * slope, 1e-5, 1e-6)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "gelu", "gelu_tanh", "softplus"])
def test_what_is_far_right_passes_as_it_is(name: str) -> None:
    module, numbers = POINTWISE[name]
    x, y = f32(50, 1e30, np.inf, np.nan), f32(0, 0, 0, 0)
    getattr(module, f"{name}_forward")(x, *map(np.float32, numbers), y)
    np.testing.assert_array_equal(y, x)


def test_leaky_relu_by_hand() -> None:
    y, dx = f32(0, 0, 0), f32(0, 0, 0)
    leaky_relu.leaky_relu_forward(f32(-2, 0, 3), np.float32(0.25), y)
    leaky_relu.leaky_relu_backward(y, np.float32(0.25), f32(4, 4, 4), dx)
    assert y.tolist() == [-0.5, 0, 3]
    assert dx.tolist() == [1, 1, 4]


def test_gelu_by_hand() -> None:
    """Half of all standard normal numbers are below 0, and 84.1% below 1, where the bell is 0.242 high."""
    x, y, dx = f32(0, 1, -1), f32(0, 0, 0), f32(0, 0, 0)
    gelu.gelu_forward(x, y)
    gelu.gelu_backward(x, f32(1, 1, 1), dx)
    np.testing.assert_allclose(y, [0, 0.8413447, -0.1586553], 1e-6)
    np.testing.assert_allclose(dx, [0.5, 0.8413447 + 0.2419707, 0.1586553 - 0.2419707], 1e-6)


def test_the_two_forms_of_gelu_are_less_than_a_thousandth_apart() -> None:
    x = spread(-6, 6)
    y, z = np.empty_like(x), np.empty_like(x)
    gelu.gelu_forward(x, y)
    gelu.gelu_tanh_forward(x, z)
    assert 1e-4 < abs(y - z).max() < 1e-3


def test_softplus_by_hand() -> None:
    """ln 2 at 0; and its slope is the sigmoid, one half there."""
    y, dx = f32(0), f32(0)
    softplus.softplus_forward(f32(0), y)
    softplus.softplus_backward(f32(0), f32(1), dx)
    assert y[0] == pytest.approx(math.log(2))
    assert dx[0] == 0.5


def test_log_softmax_takes_numbers_whose_exponentials_would_overflow_or_vanish() -> None:
    y, dx = np.empty((1, 3), np.float32), np.zeros((1, 3), np.float32)
    log_softmax.log_softmax_forward(f32([1000, 1000, -1000]), y)
    log_softmax.log_softmax_backward(y, f32([0, 0, 1]), dx)
    np.testing.assert_allclose(y, [[-math.log(2), -math.log(2), -2000 - math.log(2)]], 1e-6)
    np.testing.assert_allclose(dx, [[-0.5, -0.5, 1]], 1e-6)


@pytest.mark.parametrize("columns", [1, 2, 3, 15, 16, 17, 31, 64, 100])
def test_the_largest_of_a_row_is_found_wherever_it_stands(columns: int) -> None:
    """Softmax of a number far above all others is 1 there, and 0 elsewhere."""
    for place in range(columns):
        for other in (-1e30, -1, 0):
            x, p = np.full((1, columns), other, np.float32), np.empty((1, columns), np.float32)
            x[0, place] = other + max(abs(other), 200)
            softmax.softmax_forward(x, p)
            np.testing.assert_array_equal(p[0], np.arange(columns) == place)


def test_layers_refuse_what_they_cannot_be() -> None:
    with pytest.raises(DltutorError, match="slope=-1"):
        LeakyReLU(-1)
    with pytest.raises(DltutorError, match="sigmoid"):
        GELU("sigmoid")


def test_weights_before_a_leaky_relu_start_as_before_a_relu() -> None:
    net = Sequential(Dense(1000, 50), LeakyReLU(), Dense(50, 1000), rng=np.random.default_rng(1))
    first, _b, last, _b2 = (value for _name, value, _gradient in net.parameters())
    assert first.std() == pytest.approx(math.sqrt(2 / 1000), rel=0.05)
    assert last.std() == pytest.approx(math.sqrt(2 / 1050), rel=0.05)
