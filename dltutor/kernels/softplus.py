"""Softplus: a ReLU with a round corner; its derivative is the sigmoid.

    forward    y[i] = log(1 + e^x[i]) = max(x[i], 0) + log(1 + e^-|x[i]|)
    backward   dx[i] += dy[i] / (1 + e^-x[i])

In the second form the exponential is never above 1, so that it overflows nowhere.

Shapes   x y dx dy any number of elements, flat.
Dtypes   all float32 or all float64.
Writes   y overwritten; dx added to.
Keeps    x.
Cost     an exponential and a logarithm an element forward, an exponential and a division backward.
Source   Dugas, Bengio, Belisle, Nadeau, Garcia 2000, Incorporating Second-Order Functional Knowledge, section 3.
Lesson   03-neurons-and-activations, 17-gan
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ONE, ZERO, Number, Vector, cuda, cuda_kernel, kernel, scalar
from dltutor.kernels.elementary import exp, log_one_plus_exp
from dltutor.kernels.sigmoid import sigmoid_reference


def softplus_reference(x: Vector) -> Vector:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softplus_backward_reference(x: Vector, dy: Vector) -> Vector:
    return dy * sigmoid_reference(x)


@scalar
def softplus(x: Number) -> Number:
    positive = ZERO if x <= ZERO else x
    return positive + log_one_plus_exp(-abs(x))


# ---------------------------------------------------------------- CPU


@kernel(rows="x y")
def softplus_forward(x: Vector, y: Vector) -> None:
    for i in range(x.size):
        y[i] = softplus(x[i])


@kernel(rows="x dy dx")
def softplus_backward(x: Vector, dy: Vector, dx: Vector) -> None:
    for i in range(x.size):
        # y[i] = log(1 + exp(x[i]))
        dx[i] += dy[i] / (ONE + exp(-x[i]))


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def softplus_forward_cuda(x: Vector, y: Vector) -> None:
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        y[i] = softplus(x[i])


@cuda_kernel(threads=128, over="x")
def softplus_backward_cuda(x: Vector, dy: Vector, dx: Vector) -> None:
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        # y[i] = log(1 + exp(x[i]))
        dx[i] += dy[i] / (ONE + exp(-x[i]))
