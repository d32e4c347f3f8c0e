"""Hyperbolic tangent: a sigmoid stretched to (-1, 1), centred on 0.

    forward    y[i] = tanh(x[i])
    backward   dx[i] += dy[i] (1 - y[i]^2)
    twice      by_y[i] += -2 y[i] dy[i] ddx[i]: what the backward pass itself, followed by anything with the derivative
               ddx by its dx, contributes to the gradient by y. For penalties on gradients.

Shapes   x y dx dy ddx by_y any number of elements, flat.
Dtypes   all float32 or all float64.
Writes   y overwritten; dx, by_y added to.
Keeps    y: the derivative needs no more.
Cost     one exponential and one division an element forward, 4 flops backward.
Source   LeCun, Bottou, Orr, Mueller 1998, Efficient BackProp, section 4.4.
Lesson   03-neurons-and-activations, 06-mlp
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ONE, TWO, Vector, cuda, cuda_kernel, kernel
from dltutor.kernels.elementary import tanh


def tanh_reference(x: Vector) -> Vector:
    return np.tanh(x)


def tanh_backward_reference(x: Vector, dy: Vector) -> Vector:
    return dy * (1 - np.tanh(x) ** 2)


# ---------------------------------------------------------------- CPU


@kernel(rows="x y")
def tanh_forward(x: Vector, y: Vector) -> None:
    for i in range(x.size):
        y[i] = tanh(x[i])


@kernel(rows="y dy dx")
def tanh_backward(y: Vector, dy: Vector, dx: Vector) -> None:
    for i in range(y.size):
        # y[i] = tanh(x[i])
        dx[i] += dy[i] * (ONE - y[i] * y[i])


@kernel(rows="y dy ddx by_y")
def tanh_twice(y: Vector, dy: Vector, ddx: Vector, by_y: Vector) -> None:
    for i in range(y.size):
        # dx[i] += dy[i] * (ONE - y[i] * y[i])
        by_y[i] -= TWO * y[i] * dy[i] * ddx[i]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def tanh_forward_cuda(x: Vector, y: Vector) -> None:
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        y[i] = tanh(x[i])


@cuda_kernel(threads=128, over="y")
def tanh_backward_cuda(y: Vector, dy: Vector, dx: Vector) -> None:
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        # y[i] = tanh(x[i])
        dx[i] += dy[i] * (ONE - y[i] * y[i])


@cuda_kernel(threads=128, over="y")
def tanh_twice_cuda(y: Vector, dy: Vector, ddx: Vector, by_y: Vector) -> None:
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        # dx[i] += dy[i] * (ONE - y[i] * y[i])
        by_y[i] -= TWO * y[i] * dy[i] * ddx[i]
