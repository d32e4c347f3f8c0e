"""Rectified linear unit: what is negative becomes 0.

    forward    y[i] = max(x[i], 0)
    backward   dx[i] += dy[i] where x[i] > 0, else 0

Shapes   x y dx dy any number of elements, flat.
Dtypes   all float32 or all float64.
Writes   y overwritten; dx added to.
Keeps    y: it is positive exactly where x is.
Cost     one comparison an element, forward and backward.
Source   Nair, Hinton 2010, Rectified Linear Units Improve Restricted Boltzmann Machines.
Lesson   03-neurons-and-activations, 06-mlp
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ZERO, Vector, cuda, cuda_kernel, kernel


def relu_reference(x: Vector) -> Vector:
    return np.maximum(x, 0)


def relu_backward_reference(x: Vector, dy: Vector) -> Vector:
    return np.where(x <= 0, 0, dy)


# ---------------------------------------------------------------- CPU


@kernel(rows="x y")
def relu_forward(x: Vector, y: Vector) -> None:
    for i in range(x.size):
        # asked this way round, NaN stays NaN
        y[i] = ZERO if x[i] <= ZERO else x[i]


@kernel(rows="y dy dx")
def relu_backward(y: Vector, dy: Vector, dx: Vector) -> None:
    for i in range(y.size):
        # y[i] = ZERO if x[i] <= ZERO else x[i]
        dx[i] += ZERO if y[i] <= ZERO else dy[i]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def relu_forward_cuda(x: Vector, y: Vector) -> None:
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        y[i] = ZERO if x[i] <= ZERO else x[i]


@cuda_kernel(threads=128, over="y")
def relu_backward_cuda(y: Vector, dy: Vector, dx: Vector) -> None:
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        # y[i] = ZERO if x[i] <= ZERO else x[i]
        dx[i] += ZERO if y[i] <= ZERO else dy[i]
