"""Leaky rectified linear unit: what is negative keeps a small part of itself, so that no unit dies for good.

    forward    y[i] = x[i] where x[i] > 0, else slope x[i]
    backward   dx[i] += dy[i] where x[i] > 0, else slope dy[i]

Shapes   x y dx dy any number of elements, flat.
Dtypes   all float32 or all float64; slope from 0 up.
Writes   y overwritten; dx added to.
Keeps    y: it is positive exactly where x is.
Cost     one comparison and one product an element, forward and backward.
Source   Maas, Hannun, Ng 2013, Rectifier Nonlinearities Improve Neural Network Acoustic Models, section 2.
Lesson   03-neurons-and-activations, 17-gan
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ZERO, Number, Vector, cuda, cuda_kernel, kernel


def leaky_relu_reference(x: Vector, slope: float) -> Vector:
    return np.where(x <= 0, slope * x, x)


def leaky_relu_backward_reference(x: Vector, slope: float, dy: Vector) -> Vector:
    return np.where(x <= 0, slope * dy, dy)


# ---------------------------------------------------------------- CPU


@kernel(rows="x y")
def leaky_relu_forward(x: Vector, slope: Number, y: Vector) -> None:
    for i in range(x.size):
        # asked this way round, NaN stays NaN
        y[i] = slope * x[i] if x[i] <= ZERO else x[i]


@kernel(rows="y dy dx")
def leaky_relu_backward(
    y: Vector, slope: Number, dy: Vector, dx: Vector
) -> None:  # fmt: skip
    for i in range(y.size):
        # y[i] = slope * x[i] if x[i] <= ZERO else x[i]
        dx[i] += slope * dy[i] if y[i] <= ZERO else dy[i]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def leaky_relu_forward_cuda(x: Vector, slope: Number, y: Vector) -> None:
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        y[i] = slope * x[i] if x[i] <= ZERO else x[i]


@cuda_kernel(threads=128, over="y")
def leaky_relu_backward_cuda(
    y: Vector, slope: Number, dy: Vector, dx: Vector
) -> None:  # fmt: skip
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        # y[i] = slope * x[i] if x[i] <= ZERO else x[i]
        dx[i] += slope * dy[i] if y[i] <= ZERO else dy[i]
