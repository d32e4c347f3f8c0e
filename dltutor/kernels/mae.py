"""Mean absolute error: an outlier costs what it is off by, not the square of it.

    forward    loss = (1 / n) sum_i |y[i] - t[i]|,  n the number of elements
    backward   dy[i] += (1 / n) sign(y[i] - t[i])

At an error of 0 there is a corner; any slope from -1 to 1 is a derivative there, and we take 0.

Shapes   y t dy any number of elements, flat; loss (1,). Of no elements the loss is 0.
Dtypes   all float32 or all float64.
Writes   loss overwritten; dy added to.
Keeps    nothing.
Cost     3 flops an element, forward and backward.
Source   Laplace 1774, Memoire sur la probabilite des causes par les evenements.
Lesson   04-loss-functions
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ONE, ZERO, Number, Vector, cuda, cuda_kernel, kernel, scalar
from dltutor.kernels.reduce import BLOCK, block_sum


def mae_reference(y: Vector, t: Vector) -> float:
    return float(np.abs(y - t).sum() / max(y.size, 1))


def mae_backward_reference(y: Vector, t: Vector) -> Vector:
    return np.sign(y - t) / max(y.size, 1)


@scalar
def sign(x: Number) -> Number:
    """1, -1 or 0; of NaN NaN."""
    return ONE if x > ZERO else -ONE if x < ZERO else x


# ---------------------------------------------------------------- CPU


@kernel
def mae_forward(y: Vector, t: Vector, loss: Vector) -> None:
    total = ZERO
    for i in range(y.size):
        total += abs(y[i] - t[i])
    loss[0] = total / np.float32(max(y.size, 1))


@kernel
def mae_backward(y: Vector, t: Vector, dy: Vector) -> None:
    share = ONE / np.float32(max(y.size, 1))
    for i in range(y.size):
        # total += abs(y[i] - t[i]), then / n
        dy[i] += share * sign(y[i] - t[i])


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=BLOCK)
def mae_forward_cuda(y: Vector, t: Vector, loss: Vector) -> None:
    """One block: each thread adds up a share, then all shares are added."""
    n = y.size
    total = ZERO
    for i in range(cuda.grid(1), n, BLOCK):
        total += abs(y[i] - t[i])
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        loss[0] = total / np.float32(max(n, 1))


@cuda_kernel(threads=128, over="y")
def mae_backward_cuda(y: Vector, t: Vector, dy: Vector) -> None:
    share = ONE / np.float32(max(y.size, 1))
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        # total += abs(y[i] - t[i]), then / n
        dy[i] += share * sign(y[i] - t[i])
