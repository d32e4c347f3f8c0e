"""Wasserstein loss of a critic, whose outputs are scores and not probabilities.

    forward    loss = (1 / n) sum_i t[i] y[i],  t = 1 for what was generated and -1 for what is real
    backward   dy[i] += (1 / n) t[i]

Of as many real samples as generated ones, added: mean score of the generated minus mean score of the real ones. The
critic makes it small; minus its smallest value is the distance between the two distributions, as long as the critic is
nowhere steeper than 1 (see gradient_penalty). The generator wants its samples scored as real: t = -1 for them.

Shapes   y t dy any number of elements, flat; loss (1,). Of no elements the loss is 0.
Dtypes   all float32 or all float64.
Writes   loss overwritten; dy added to.
Keeps    t.
Cost     2 flops an element, forward and backward.
Source   Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875, eq. 2.
Lesson   17-gan
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ONE, ZERO, Vector, cuda, cuda_kernel, kernel
from dltutor.kernels.reduce import BLOCK, block_sum


def wasserstein_reference(y: Vector, t: Vector) -> float:
    return float(np.sum(t * y) / max(y.size, 1))


def wasserstein_backward_reference(t: Vector) -> Vector:
    return t / max(t.size, 1)


# ---------------------------------------------------------------- CPU


@kernel
def wasserstein_forward(y: Vector, t: Vector, loss: Vector) -> None:
    total = ZERO
    for i in range(y.size):
        total += t[i] * y[i]
    loss[0] = total / np.float32(max(y.size, 1))


@kernel
def wasserstein_backward(y: Vector, t: Vector, dy: Vector) -> None:
    share = ONE / np.float32(max(y.size, 1))
    for i in range(y.size):
        # total += t[i] * y[i], then / n
        dy[i] += share * t[i]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=BLOCK)
def wasserstein_forward_cuda(y: Vector, t: Vector, loss: Vector) -> None:
    """One block: each thread adds up a share, then all shares are added."""
    n = y.size
    total = ZERO
    for i in range(cuda.grid(1), n, BLOCK):
        total += t[i] * y[i]
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        loss[0] = total / np.float32(max(n, 1))


@cuda_kernel(threads=128, over="y")
def wasserstein_backward_cuda(y: Vector, t: Vector, dy: Vector) -> None:
    share = ONE / np.float32(max(y.size, 1))
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        # total += t[i] * y[i], then / n
        dy[i] += share * t[i]
