"""Real numbers as whole ones from -128 to 127, and back: a quarter of the memory, and integer arithmetic.

    quantise      q[i] = round(x[i] / scale) + zero, and the nearest end where that is outside
    dequantise    x[i] = scale (q[i] - zero)

x, quantised and back, is off by at most scale / 2 inside the range. Affine: scale and zero are such that the least and
the greatest number of the range fall on -128 and 127, and 0 on a whole number, `zero`, exactly. Symmetric: zero is 0,
and -127 to 127 are used, as for weights, which spread to both sides.

Shapes   x q any number of elements, flat.
Dtypes   x float32, q int8; scale a positive float32, zero a whole number from -128 to 127.
Writes   q, or x, overwritten.
Keeps    nothing: this is for inference.
Limits   a half is rounded up. NaN becomes zero: there is no whole number for it.
Cost     a product, a rounding and two comparisons an element.
Source   Jacob et al. 2018, arXiv:1712.05877, section 2.1.
Lesson   21-compression
"""

from __future__ import annotations

import math

import numpy as np

from dltutor.kernels.compile import HALF, Int8Vector, Number, Vector, Whole, cuda, cuda_kernel, kernel, scalar

BEYOND = np.float32(256)  # steps from any zero, there is nothing


def quantise_reference(x: Vector, scale: float, zero: int) -> Int8Vector:
    steps = np.floor(np.where(np.isnan(x), 0, x) / scale + 0.5)
    return np.clip(steps + zero, -128, 127).astype(np.int8)


def dequantise_reference(q: Int8Vector, scale: float, zero: int) -> Vector:
    return scale * (q.astype(float) - zero)


def affine(low: float, high: float) -> tuple[float, int]:
    """Scale and zero for numbers from `low` to `high`, and 0."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255 or 1.0
    return scale, int(np.clip(np.floor(-128 - low / scale + 0.5), -128, 127))


def symmetric(largest: float) -> float:
    """Scale for numbers from -largest to largest; zero is 0."""
    return largest / 127 or 1.0


@scalar
def to_int8(steps: Number, zero: Whole) -> Whole:
    """The whole number nearest to steps + zero, of those that fit."""
    if steps != steps:
        return zero
    inside = min(max(steps, -BEYOND), BEYOND)
    return min(max(np.int64(math.floor(inside + HALF)) + zero, -128), 127)


# ---------------------------------------------------------------- CPU


@kernel(rows="x q")
def quantise_forward(
    x: Vector, scale: Number, zero: Whole, q: Int8Vector,
) -> None:  # fmt: skip
    for i in range(x.size):
        q[i] = np.int8(to_int8(x[i] / scale, zero))


@kernel(rows="q x")
def dequantise_forward(
    q: Int8Vector, scale: Number, zero: Whole, x: Vector,
) -> None:  # fmt: skip
    offset = np.float32(zero)
    for i in range(q.size):
        x[i] = scale * (np.float32(q[i]) - offset)


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="q")
def quantise_forward_cuda(
    x: Vector, scale: Number, zero: Whole, q: Int8Vector,
) -> None:  # fmt: skip
    for i in range(cuda.grid(1), q.size, cuda.gridsize(1)):
        q[i] = np.int8(to_int8(x[i] / scale, zero))


@cuda_kernel(threads=128, over="x")
def dequantise_forward_cuda(
    q: Int8Vector, scale: Number, zero: Whole, x: Vector,
) -> None:  # fmt: skip
    offset = np.float32(zero)
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        x[i] = scale * (np.float32(q[i]) - offset)
