"""Matrix products of every form, around the sizes where the fast loops change their way; layers made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dltutor.errors import DltutorError
from dltutor.kernels import matmul
from dltutor.kernels.bias import bias_forward
from dltutor.kernels.compile import Matrix, kernel
from dltutor.kernels.dense import dense_forward
from dltutor.kernels.fused_dense import dense_gelu_forward, dense_relu_forward, dense_tanh_forward
from dltutor.kernels.gelu import gelu_tanh_forward
from dltutor.kernels.int8_conv2d import int8_conv2d_forward
from dltutor.kernels.int8_dense import fraction, int8_dense_forward, whole_bias
from dltutor.kernels.matmul import DEPTH, HEIGHT, NARROW, WIDE, add_product, add_product_transposed
from dltutor.kernels.matmul_batched import matmul_nt_forward, matmul_tt_forward
from dltutor.kernels.quantise import affine, quantise_forward, symmetric
from dltutor.kernels.relu import relu_forward
from dltutor.kernels.tanh import tanh_forward
from dltutor.layers import Chain, Conv2d, Dense, Flatten, ReLU, Sequential, Tanh
from dltutor.layers.quantised import Quantised

ROWS = (1, 3, 4, 5, 8, 9, HEIGHT, HEIGHT + 3)
TERMS = (1, DEPTH - 1, DEPTH, 2 * DEPTH + 1)
COLUMNS = (1, NARROW, NARROW + 1, WIDE - 1, WIDE, WIDE + 1, 2 * WIDE + NARROW + 5)
EDGES = [(n, d, 70) for n in ROWS for d in TERMS] + [(13, d, m) for d in TERMS for m in COLUMNS]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@kernel
def add_of_views(a: Matrix, b: Matrix, bt: Matrix, c: Matrix) -> None:
    """c += a b twice, where a lacks its first and last columns."""
    add_product(a.T[1:-1].T, b, c)
    add_product_transposed(a[:, 1:-1], bt, c)


# ---------------------------------------------------------------- the product


@pytest.mark.parametrize("shape", EDGES, ids=str)
def test_all_forms_are_right_where_a_block_is_full_or_not(shape: tuple[int, int, int]) -> None:
    n, d, m = shape
    a, b, c = normal(n, d), normal(d, m, seed=1), np.empty((n, m), np.float32)
    dc = normal(n, m, seed=2)
    near = {"rtol": 1e-5, "atol": 1e-6 * (n + d + m)}
    matmul.matmul_forward(a, b, c)
    np.testing.assert_allclose(c, a.astype(float) @ b, **near)
    da, db = np.ones_like(a), np.ones_like(b)
    matmul.matmul_backward_a(dc, b, da)
    np.testing.assert_allclose(da, 1 + dc.astype(float) @ b.T, **near)
    matmul.matmul_backward_b(a, dc, db)
    np.testing.assert_allclose(db, 1 + a.T.astype(float) @ dc, **near)
    turned = np.empty((1, n, m), np.float32)
    matmul_tt_forward(a.T.copy()[None], b.T.copy()[None], turned)
    np.testing.assert_allclose(turned[0], a.astype(float) @ b, **near)


def test_transposed_or_not_the_sums_are_the_same_to_the_bit() -> None:
    """The order of a sum depends on the number of its terms, and not on how the matrices lie in memory."""
    a, b = normal(37, 300), normal(300, 90, seed=1)
    plain, turned = np.empty((37, 90), np.float32), np.empty((1, 37, 90), np.float32)
    matmul.matmul_forward(a, b, plain)
    matmul_nt_forward(a[None], b.T.copy()[None], turned)
    np.testing.assert_array_equal(turned[0], plain)
    matmul_tt_forward(a.T.copy()[None], b.T.copy()[None], turned)
    np.testing.assert_array_equal(turned[0], plain)


def test_a_number_does_not_depend_on_its_neighbours() -> None:
    """Rows of c are the same when they are calculated apart: threads may share them."""
    a, b = normal(64, 200), normal(200, 70, seed=1)
    whole, parts = np.empty((64, 70), np.float32), np.empty((64, 70), np.float32)
    matmul.matmul_forward(a, b, whole)
    for first in (0, 16, 40):
        last = {0: 16, 16: 40, 40: 64}[first]
        matmul.matmul_forward(a[first:last], b, parts[first:last])
    np.testing.assert_array_equal(parts, whole)


def test_the_first_matrix_may_be_a_view() -> None:
    a, b, c = normal(30, 52), normal(50, 70, seed=1), np.ones((30, 70), np.float32)
    add_of_views(a, b, b.T.copy(), c)
    np.testing.assert_allclose(c, 1 + 2 * (a[:, 1:-1].astype(float) @ b), 1e-5, 1e-4)


def test_infinity_and_nan_stay_in_their_rows_and_columns() -> None:
    a, b, c = normal(9, 150), normal(150, 80, seed=1), np.empty((9, 80), np.float32)
    a[2, 5], b[7, 70] = np.inf, np.nan
    matmul.matmul_forward(a, b, c)
    bad = ~np.isfinite(c)
    assert bad[2].all() and bad[:, 70].all()
    assert bad.sum() == 80 + 9 - 1


def test_a_product_by_hand() -> None:
    """[1 2; 3 4] [5 6; 7 8] = [19 22; 43 50]"""
    a, b, c = (np.array(rows, np.float32) for rows in ([[1, 2], [3, 4]], [[5, 6], [7, 8]], np.zeros((2, 2))))
    matmul.matmul_forward(a, b, c)
    assert c.tolist() == [[19, 22], [43, 50]]


# ---------------------------------------------------------------- fused layers


@pytest.mark.parametrize(("fused", "apart"), [(dense_relu_forward, relu_forward), (dense_tanh_forward, tanh_forward)])
def test_a_fused_layer_is_its_two_halves_to_the_bit(fused: Any, apart: Any) -> None:
    x, w, b = normal(300, 40), normal(40, 70, seed=1), normal(70, seed=2)
    y, z, wanted = (np.empty((300, 70), np.float32) for _ in range(3))
    fused(x, w, b, y)
    dense_forward(x, w, b, z)
    apart(z.reshape(-1), wanted.reshape(-1))
    np.testing.assert_array_equal(y, wanted)


def test_gelu_keeps_what_goes_into_it() -> None:
    x, w, b = normal(300, 40), normal(40, 70, seed=1), normal(70, seed=2)
    y, z, plain, wanted = (np.empty((300, 70), np.float32) for _ in range(4))
    dense_gelu_forward(x, w, b, z, y)
    dense_forward(x, w, b, plain)
    gelu_tanh_forward(plain.reshape(-1), wanted.reshape(-1))
    np.testing.assert_array_equal(z, plain)
    np.testing.assert_allclose(y, wanted, 1e-6, 1e-7)


def test_a_bias_alone_is_repeated() -> None:
    y = np.empty((2, 3), np.float32)
    bias_forward(np.array([1, 2, 3], np.float32), y)
    assert y.tolist() == [[1, 2, 3], [1, 2, 3]]


# ---------------------------------------------------------------- whole numbers


def test_quantising_by_hand() -> None:
    """From -1 to 3 in 255 steps of 4/255: 0 is step 63.75 after -128, so zero is -64."""
    scale, zero = affine(-1, 3)
    assert (scale, zero) == (pytest.approx(4 / 255), -64)
    q = np.empty(6, np.int8)
    quantise_forward(np.array([0, -1, 3, 100, -np.inf, np.nan], np.float32), scale, zero, q)
    assert q.tolist() == [-64, -128, 127, 127, -128, -64]


def test_a_range_of_nothing_can_be_quantised() -> None:
    assert affine(0, 0) == (1.0, -128)
    assert symmetric(0) == 1.0


@pytest.mark.parametrize("ratio", [0.0, 1e-7, 0.003, 0.5, 1.0, 300.0])
def test_a_fraction_is_its_ratio_to_nine_digits(ratio: float) -> None:
    multiplier, shift = fraction(ratio)
    assert 0 <= multiplier < 2**31
    assert 1 <= shift <= 62
    assert multiplier / 2**shift == pytest.approx(ratio, rel=2e-9, abs=1e-18)


def test_a_whole_dense_layer_by_hand() -> None:
    """2*3 + 4*5 + 10 = 36, a half of it 18, plus zero 1; and -100*5 + 10 = -490, -245, which does not fit."""
    x, w = np.array([[2, 4], [0, -100]], np.int8), np.array([[3], [5]], np.int8)
    y, sums = np.empty((2, 1), np.int8), np.empty((2, 1), np.int32)
    int8_dense_forward(x, w, np.array([10], np.int32), *fraction(0.5), 1, -128, sums, y)
    assert y.tolist() == [[19], [-128]]
    assert sums.tolist() == [[36], [-490]]


def test_halves_are_rounded_up() -> None:
    x, w, y = np.array([[1], [3], [-1], [-3]], np.int8), np.array([[1]], np.int8), np.empty((4, 1), np.int8)
    int8_dense_forward(x, w, np.zeros(1, np.int32), *fraction(0.5), 0, -128, np.empty((4, 1), np.int32), y)
    assert y.tolist() == [[1], [2], [0], [-1]]


def test_a_relu_is_the_least_output() -> None:
    x, w, y = np.array([[-50]], np.int8), np.array([[1]], np.int8), np.empty((1, 1), np.int8)
    int8_dense_forward(x, w, np.zeros(1, np.int32), *fraction(1), -7, -7, np.empty((1, 1), np.int32), y)
    assert y.tolist() == [[-7]]


def test_the_zero_of_x_is_taken_out_by_the_bias() -> None:
    """x = 3 and 5 stand for 0 and 2 with zero 3; w = [4], b = 1: the sums stand for 1 and 9."""
    w = np.array([[4]], np.int8)
    b = whole_bias(np.ones(1), w, 1.0, 3)
    x, y = np.array([[3], [5]], np.int8), np.empty((2, 1), np.int8)
    int8_dense_forward(x, w, b, *fraction(1), 0, -128, np.empty((2, 1), np.int32), y)
    assert y.tolist() == [[1], [9]]


def test_beside_the_picture_whole_pixels_stand_for_the_real_zero() -> None:
    """A picture of one pixel that stands for 0, as do those around it: only the bias is left."""
    zero_x, w = -7, np.full((3, 3, 1, 1), 11, np.int8)
    b = whole_bias(np.full(1, 5.0), w.reshape(9, 1), 1.0, zero_x)
    y = np.empty((1, 1, 1, 1), np.int8)
    room = np.empty((1, 9), np.int8), np.empty((1, 1), np.int32)
    x = np.full((1, 1, 1, 1), zero_x, np.int8)
    int8_conv2d_forward(x, w, b, 1, 1, zero_x, *fraction(1), 0, -128, *room, y)
    assert y.tolist() == [[[[5]]]]


# ---------------------------------------------------------------- quantised networks


def test_a_quantised_network_predicts_what_the_network_does() -> None:
    """Off by a few steps of 1/255 of the range, in a quarter of the memory."""
    x = normal(64, 6, 6, 2)
    net = Sequential(
        Conv2d(2, 8, 3, padding=1), ReLU(), Flatten(), Chain(Dense(288, 70), Tanh()), Dense(70, 5),
        rng=np.random.default_rng(0),
    )  # fmt: skip
    small = Quantised(net, x)
    for rows in (64, 5):
        wanted = net.predict(x[:rows])
        assert np.abs(small.predict(x[:rows]) - wanted).max() < 0.05 * np.abs(wanted).max()
    assert net.values.nbytes / small.bytes() > 3.7


def test_a_quantised_network_cannot_learn() -> None:
    net = Sequential(Dense(2, 3))
    quantised = Quantised(net, normal(4, 2)).chain.layers[0]
    with pytest.raises(DltutorError, match="cannot learn"):
        Sequential(quantised).forward(normal(4, 2))


def test_quantising_wants_samples() -> None:
    with pytest.raises(DltutorError, match="how large"):
        Quantised(Sequential(Dense(2, 3)), normal(0, 2))
