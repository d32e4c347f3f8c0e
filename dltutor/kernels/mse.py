"""Mean squared error.

    forward    loss = (1 / n) sum_i (y[i] - t[i])^2,  n the number of elements
    backward   dy[i] += (2 / n) (y[i] - t[i])

Shapes   y t dy any number of elements, flat; loss (1,). Of no elements the loss is 0.
Dtypes   all float32 or all float64.
Writes   loss overwritten; dy added to.
Keeps    nothing.
Cost     3 flops an element, forward and backward.
Source   Gauss 1809, Theoria motus, section 179.
Lesson   01-linear-regression, 04-loss-functions
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import TWO, ZERO, Vector, cuda, cuda_kernel, kernel
from dltutor.kernels.reduce import BLOCK, block_sum


def mse_reference(y: Vector, t: Vector) -> float:
    return float(np.sum((y - t) ** 2) / max(y.size, 1))


def mse_backward_reference(y: Vector, t: Vector) -> Vector:
    return 2 * (y - t) / max(y.size, 1)


# ---------------------------------------------------------------- CPU


@kernel
def mse_forward(y: Vector, t: Vector, loss: Vector) -> None:
    total = ZERO
    for i in range(y.size):
        error = y[i] - t[i]
        total += error * error
    loss[0] = total / np.float32(max(y.size, 1))


@kernel
def mse_backward(y: Vector, t: Vector, dy: Vector) -> None:
    share = TWO / np.float32(max(y.size, 1))
    for i in range(y.size):
        # total += (y[i] - t[i]) * (y[i] - t[i]), then / n
        dy[i] += share * (y[i] - t[i])


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=BLOCK)
def mse_forward_cuda(y: Vector, t: Vector, loss: Vector) -> None:
    """One block: each thread adds up a share, then all shares are added."""
    n = y.size
    total = ZERO
    for i in range(cuda.grid(1), n, BLOCK):
        error = y[i] - t[i]
        total += error * error
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        loss[0] = total / np.float32(max(n, 1))


@cuda_kernel(threads=128, over="y")
def mse_backward_cuda(y: Vector, t: Vector, dy: Vector) -> None:
    share = TWO / np.float32(max(y.size, 1))
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        # total += (y[i] - t[i]) * (y[i] - t[i]), then / n
        dy[i] += share * (y[i] - t[i])
