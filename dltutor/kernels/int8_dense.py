"""Dense layer in whole numbers, for inference: 8 bits in, 8 bits out, and sums of 32 bits in between.

    sum        s[n,m] = b[m] + sum_d x[n,d] w[d,m]
    output     y[n,m] = round(s[n,m] multiplier / 2^shift) + zero, and the nearest end where that is outside

With real x = sx (x - zx), w = sw w and y = sy (y - zero), the sum stands for real numbers in units of sx sw; so
multiplier / 2^shift is sx sw / sy, as a fraction: then no real number takes part, and every machine agrees to the last
bit. What zx adds to the sum does not depend on x, so it belongs to b: b[m] = round(b_real[m] / (sx sw)) - zx sum_d
w[d,m]. See `fraction` and `whole_bias`. A ReLU costs nothing: let `low`, the least output, be zero instead of -128.

Shapes   x (N, D); w (D, M); b (M,); y sums (N, M). C-contiguous. N may be 0.
Dtypes   x w y int8, b sums int32; multiplier from 0 below 2^31, shift 1 to 62; zero and low from -128 to 127.
Writes   y overwritten; sums too: room for the sums.
Keeps    nothing: this is for inference.
Limits   D up to 2^17 - 2^10, so that sums fit into 32 bits. Halves are rounded up.
Cost     NDM products and additions of whole numbers.
Source   Jacob et al. 2018, arXiv:1712.05877, sections 2.2 and 2.4.
Lesson   21-compression
"""

from __future__ import annotations

import math

import numpy as np

from dltutor.kernels.compile import (
    Int8Matrix,
    Int32Matrix,
    Labels,
    Matrix,
    Vector,
    Whole,
    cuda,
    cuda_kernel,
    kernel,
    scalar,
)
from dltutor.kernels.matmul import add_product

BITS = 31  # of a multiplier
SIDE = 16  # of a tile, on a card


def int8_dense_reference(
    x: Int8Matrix, w: Int8Matrix, b: Labels, multiplier: int, shift: int, zero: int, low: int
) -> Int8Matrix:
    return requantise_reference(x.astype(np.int64) @ w.astype(np.int64) + b, multiplier, shift, zero, low)


def requantise_reference(s: Int32Matrix, multiplier: int, shift: int, zero: int, low: int) -> Int8Matrix:
    rounded = (s.astype(np.int64) * multiplier + (1 << (shift - 1))) >> shift
    return np.clip(rounded + zero, low, 127).astype(np.int8)


def fraction(ratio: float) -> tuple[int, int]:
    """Multiplier and shift: multiplier / 2^shift is `ratio`, from 0 up to 2^30, to nine digits."""
    digits, exponent = math.frexp(ratio)  # digits from 1/2 to 1
    shift = min(BITS - exponent, 62)
    multiplier = min(round(math.ldexp(ratio, shift)), 2**BITS - 1)
    assert digits >= 0 and shift >= 1, f"{ratio} is no ratio of scales"
    return multiplier, shift


def whole_bias(b: Vector, w: Matrix, unit: float, zero_x: int) -> Labels:
    """The bias in units of sx sw, and with it what the zero of x takes away from each sum. w is quantised, (D, M)."""
    whole = np.floor(b.astype(float) / unit + 0.5) - zero_x * w.astype(np.int64).sum(axis=0)
    return np.clip(whole, -(2**31), 2**31 - 1).astype(np.int32)


@scalar
def requantise(s: Whole, multiplier: Whole, shift: Whole, zero: Whole, low: Whole) -> Whole:
    """The sum in units of the output: >> divides by two so many times, rounding down."""
    half = np.int64(1) << (shift - 1)
    y = ((np.int64(s) * multiplier + half) >> shift) + zero
    return min(max(y, low), 127)


# ---------------------------------------------------------------- CPU


@kernel(rows="x sums y")
def int8_dense_forward(
    x: Int8Matrix, w: Int8Matrix, b: Labels,
    multiplier: Whole, shift: Whole, zero: Whole, low: Whole,
    sums: Int32Matrix, y: Int8Matrix,
) -> None:  # fmt: skip
    for n in range(y.shape[0]):
        for m in range(y.shape[1]):
            sums[n, m] = b[m]
    add_product(x, w, sums)  # the loops of matmul.py, for whole numbers
    for n in range(y.shape[0]):
        for m in range(y.shape[1]):
            y[n, m] = requantise(sums[n, m], multiplier, shift, zero, low)


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=(SIDE, SIDE), tiles_of="y")
def int8_dense_forward_cuda(
    x: Int8Matrix, w: Int8Matrix, b: Labels,
    multiplier: Whole, shift: Whole, zero: Whole, low: Whole,
    sums: Int32Matrix, y: Int8Matrix,
) -> None:  # fmt: skip
    """One thread makes one number, 16 x 16 of them share what they read."""
    x_tile = cuda.shared.array((SIDE, SIDE), np.int32)
    w_tile = cuda.shared.array((SIDE, SIDE), np.int32)
    N, M = y.shape
    D = x.shape[1]
    i, j = cuda.threadIdx.y, cuda.threadIdx.x
    n, m = cuda.blockIdx.y * SIDE + i, cuda.blockIdx.x * SIDE + j
    s = b[m] if m < M else np.int32(0)
    start = 0
    while start < D:
        d = start + j
        x_tile[i, j] = x[n, d] if n < N and d < D else np.int8(0)
        d = start + i
        w_tile[i, j] = w[d, m] if d < D and m < M else np.int8(0)
        cuda.syncthreads()  # both tiles are there
        for k in range(SIDE):
            s = np.int32(s + x_tile[i, k] * w_tile[k, j])
        cuda.syncthreads()  # everyone has read them
        start += SIDE
    if n < N and m < M:
        y[n, m] = requantise(s, multiplier, shift, zero, low)
