"""Gaussian error linear unit: each number times the share of standard normal numbers that are below it.

    gelu        forward    y[i] = x[i] Phi(x[i]),  Phi(x) = 1/2 + erf(x / sqrt 2) / 2
                backward   dx[i] += dy[i] (Phi(x[i]) + x[i] phi(x[i])),  phi(x) = e^(-x^2 / 2) / sqrt(2 pi)
    gelu_tanh   forward    y[i] = x[i] s(x[i]),  s = 1/2 + tanh(u) / 2,  u(x) = sqrt(2 / pi) (x + 0.044715 x^3)
                backward   dx[i] += dy[i] (s + 2 x[i] s (1 - s) u'(x[i]))

The second form is nearly the same (less than a thousandth apart) and was that of the first GPTs. Its s is sigmoid(2u).

Shapes   x y dx dy any number of elements, flat.
Dtypes   all float32 or all float64.
Writes   y overwritten; dx added to.
Keeps    x.
Cost     one exponential, one division and a polynomial an element, forward and backward.
Limits   of -infinity NaN: 0 times infinity.
Source   Hendrycks, Gimpel 2016, arXiv:1606.08415, section 2.
Lesson   03-neurons-and-activations, 14-attention
"""

from __future__ import annotations

import math

import numpy as np

from dltutor.kernels.compile import ONE, Number, Vector, cuda, cuda_kernel, kernel, scalar
from dltutor.kernels.elementary import exp, normal_cdf, normal_density

TWICE_ROOT = np.float32(2 * math.sqrt(2 / math.pi))
CUBIC, CUBIC_SLOPE = np.float32(0.044715), np.float32(3 * 0.044715)


def gelu_reference(x: Vector) -> Vector:
    return x * _cdf(x)


def gelu_backward_reference(x: Vector, dy: Vector) -> Vector:
    return dy * (_cdf(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi))


def gelu_tanh_reference(x: Vector) -> Vector:
    return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2


def gelu_tanh_backward_reference(x: Vector, dy: Vector) -> Vector:
    t = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    return dy * ((1 + t) / 2 + x * (1 - t * t) / 2 * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2))


def _cdf(x: Vector) -> Vector:
    return np.vectorize(lambda number: math.erfc(-number / math.sqrt(2)) / 2, otypes=[float])(x)


@scalar
def gelu(x: Number) -> Number:
    return x * normal_cdf(x)


@scalar
def gelu_slope(x: Number) -> Number:
    return normal_cdf(x) + x * normal_density(x)


@scalar
def gelu_tanh(x: Number) -> Number:
    return x * smooth_step(x)


@scalar
def gelu_tanh_slope(x: Number) -> Number:
    s = smooth_step(x)
    twice_u_slope = TWICE_ROOT * (ONE + CUBIC_SLOPE * x * x)
    return s + x * s * (ONE - s) * twice_u_slope


@scalar
def smooth_step(x: Number) -> Number:
    """sigmoid(2 u(x)), which is 1/2 + tanh(u(x)) / 2"""
    twice_u = TWICE_ROOT * (x + CUBIC * x * x * x)
    return ONE / (ONE + exp(-twice_u))


# ---------------------------------------------------------------- CPU


@kernel(rows="x y")
def gelu_forward(x: Vector, y: Vector) -> None:
    for i in range(x.size):
        y[i] = gelu(x[i])


@kernel(rows="x dy dx")
def gelu_backward(x: Vector, dy: Vector, dx: Vector) -> None:
    for i in range(x.size):
        # y[i] = gelu(x[i])
        dx[i] += dy[i] * gelu_slope(x[i])


@kernel(rows="x y")
def gelu_tanh_forward(x: Vector, y: Vector) -> None:
    for i in range(x.size):
        y[i] = gelu_tanh(x[i])


@kernel(rows="x dy dx")
def gelu_tanh_backward(x: Vector, dy: Vector, dx: Vector) -> None:
    for i in range(x.size):
        # y[i] = gelu_tanh(x[i])
        dx[i] += dy[i] * gelu_tanh_slope(x[i])


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def gelu_forward_cuda(x: Vector, y: Vector) -> None:
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        y[i] = gelu(x[i])


@cuda_kernel(threads=128, over="x")
def gelu_backward_cuda(x: Vector, dy: Vector, dx: Vector) -> None:
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        # y[i] = gelu(x[i])
        dx[i] += dy[i] * gelu_slope(x[i])


@cuda_kernel(threads=128, over="y")
def gelu_tanh_forward_cuda(x: Vector, y: Vector) -> None:
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        y[i] = gelu_tanh(x[i])


@cuda_kernel(threads=128, over="x")
def gelu_tanh_backward_cuda(x: Vector, dy: Vector, dx: Vector) -> None:
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        # y[i] = gelu_tanh(x[i])
        dx[i] += dy[i] * gelu_tanh_slope(x[i])
