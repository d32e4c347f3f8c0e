"""Huber loss: half the square of a small error, and of a large one only what it is off by.

    forward    loss = (1 / n) sum_i h(y[i] - t[i]),  h(e) = e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2)
    backward   dy[i] += (1 / n) e clipped to [-delta, delta],  e = y[i] - t[i]

So the mean of the data where they agree, and the median where they do not: an outlier pulls no harder than delta.

Shapes   y t dy any number of elements, flat; loss (1,). Of no elements the loss is 0.
Dtypes   all float32 or all float64; delta above 0.
Writes   loss overwritten; dy added to.
Keeps    nothing.
Cost     6 flops an element forward, 4 backward.
Source   Huber 1964, doi:10.1214/aoms/1177703732, section 1.
Lesson   04-loss-functions, 18-dqn
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import HALF, ONE, ZERO, Number, Vector, cuda, cuda_kernel, kernel, scalar
from dltutor.kernels.reduce import BLOCK, block_sum


def huber_reference(y: Vector, t: Vector, delta: float) -> float:
    e = np.abs(y - t)
    h = np.where(e <= delta, e * e / 2, delta * (e - delta / 2))
    return float(h.sum() / max(y.size, 1))


def huber_backward_reference(y: Vector, t: Vector, delta: float) -> Vector:
    return np.clip(y - t, -delta, delta) / max(y.size, 1)


@scalar
def clip(x: Number, limit: Number) -> Number:
    """x, or the nearer end of [-limit, limit]; of NaN NaN."""
    not_above = limit if x > limit else x
    return -limit if not_above < -limit else not_above


@scalar
def huber(error: Number, delta: Number) -> Number:
    # with c the clipped error, both branches are the same: c (e - c / 2)
    clipped = clip(error, delta)
    return clipped * (error - HALF * clipped)


# ---------------------------------------------------------------- CPU


@kernel
def huber_forward(y: Vector, t: Vector, delta: Number, loss: Vector) -> None:
    total = ZERO
    for i in range(y.size):
        total += huber(y[i] - t[i], delta)
    loss[0] = total / np.float32(max(y.size, 1))


@kernel
def huber_backward(y: Vector, t: Vector, delta: Number, dy: Vector) -> None:
    share = ONE / np.float32(max(y.size, 1))
    for i in range(y.size):
        # total += huber(y[i] - t[i], delta), then / n
        dy[i] += share * clip(y[i] - t[i], delta)


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=BLOCK)
def huber_forward_cuda(
    y: Vector, t: Vector, delta: Number, loss: Vector
) -> None:  # fmt: skip
    """One block: each thread adds up a share, then all shares are added."""
    n = y.size
    total = ZERO
    for i in range(cuda.grid(1), n, BLOCK):
        total += huber(y[i] - t[i], delta)
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        loss[0] = total / np.float32(max(n, 1))


@cuda_kernel(threads=128, over="y")
def huber_backward_cuda(
    y: Vector, t: Vector, delta: Number, dy: Vector
) -> None:  # fmt: skip
    share = ONE / np.float32(max(y.size, 1))
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        # total += huber(y[i] - t[i], delta), then / n
        dy[i] += share * clip(y[i] - t[i], delta)
