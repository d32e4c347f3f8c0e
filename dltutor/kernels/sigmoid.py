"""Logistic sigmoid: any number becomes a probability.

    forward    y[i] = 1 / (1 + e^-x[i])
    backward   dx[i] += dy[i] y[i] (1 - y[i])

Shapes   x y dx dy any number of elements, flat.
Dtypes   all float32 or all float64.
Writes   y overwritten; dx added to.
Keeps    y: the derivative needs no more.
Cost     one exponential and one division an element forward, 4 flops backward.
Source   Rumelhart, Hinton, Williams 1986, doi:10.1038/323533a0, eq. 2.
Lesson   02-logistic-regression, 03-neurons-and-activations
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ONE, Vector, cuda, cuda_kernel, kernel
from dltutor.kernels.elementary import exp


def sigmoid_reference(x: Vector) -> Vector:
    return 0.5 + 0.5 * np.tanh(0.5 * x)  # the same function; overflows nowhere


def sigmoid_backward_reference(x: Vector, dy: Vector) -> Vector:
    y = sigmoid_reference(x)
    return dy * y * (1 - y)


# ---------------------------------------------------------------- CPU


@kernel(rows="x y")
def sigmoid_forward(x: Vector, y: Vector) -> None:
    for i in range(x.size):
        y[i] = ONE / (ONE + exp(-x[i]))


@kernel(rows="y dy dx")
def sigmoid_backward(y: Vector, dy: Vector, dx: Vector) -> None:
    for i in range(y.size):
        # y[i] = ONE / (ONE + exp(-x[i]))
        dx[i] += dy[i] * y[i] * (ONE - y[i])


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def sigmoid_forward_cuda(x: Vector, y: Vector) -> None:
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        y[i] = ONE / (ONE + exp(-x[i]))


@cuda_kernel(threads=128, over="y")
def sigmoid_backward_cuda(y: Vector, dy: Vector, dx: Vector) -> None:
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        # y[i] = ONE / (ONE + exp(-x[i]))
        dx[i] += dy[i] * y[i] * (ONE - y[i])
