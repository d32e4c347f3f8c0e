"""Softmax cross-entropy of logits: the surprise at the true class, one of C.

    forward    loss = (1 / N) sum_n surprise[n],  surprise[n] = -log p[n,t[n]],  p[n] = softmax(z[n])
    backward   dz[n,c] += (1 / N) (p[n,c] - [c = t[n]])

Taken together, softmax and logarithm need no logarithm of a small number: -log p[n,t] = log(sum_k e^(z[n,k] - top)) -
(z[n,t] - top). And the gradient is what one would wish for: what was said, minus what was true.

Shapes   z p dz (N, C); t surprise (N,); loss (1,). C-contiguous. Of no samples the loss is 0; C at least 1.
Dtypes   all float32 or all float64; t int32, from 0 to C - 1.
Writes   p, surprise and loss overwritten; dz added to.
Keeps    p and t.
Cost     one exponential and 5 flops an element forward, 2 flops backward; see softmax for the passes.
Source   Bridle 1990, doi:10.1007/978-3-642-76153-9_28.
Lesson   04-loss-functions, 06-mlp
"""

from __future__ import annotations

import math

import numpy as np

from dltutor.kernels.compile import (
    INFINITY,
    ONE,
    ZERO,
    Labels,
    Matrix,
    Vector,
    cuda,
    cuda_kernel,
    cuda_sequence,
    kernel,
)
from dltutor.kernels.elementary import exp
from dltutor.kernels.reduce import BLOCK, WARP, block_max, block_sum, largest
from dltutor.kernels.softmax import softmax_reference


def cross_entropy_reference(z: Matrix, t: Labels) -> float:
    return float(surprise_reference(z, t).sum() / max(len(t), 1))


def surprise_reference(z: Matrix, t: Labels) -> Vector:
    top = z.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(z - top).sum(axis=1)) + top[:, 0]
    return log_sum - z[np.arange(len(t)), t]


def cross_entropy_backward_reference(z: Matrix, t: Labels) -> Matrix:
    return (softmax_reference(z) - np.eye(z.shape[1])[t]) / max(len(t), 1)


# ---------------------------------------------------------------- CPU


@kernel
def cross_entropy_forward(
    z: Matrix, t: Labels, p: Matrix, surprise: Vector, loss: Vector
) -> None:  # fmt: skip
    N, C = z.shape
    for n in range(N):
        top = largest(z[n])
        for c in range(C):
            p[n, c] = z[n, c] - top
        surprise[n] = -p[n, t[n]]
    flat = p.reshape(N * C)
    for i in range(N * C):
        flat[i] = exp(flat[i])
    sum_of_all = ZERO
    for n in range(N):
        total = ZERO
        for c in range(C):
            total += p[n, c]
        scale = ONE / total
        for c in range(C):
            p[n, c] *= scale
        surprise[n] += math.log(total)
        sum_of_all += surprise[n]
    loss[0] = sum_of_all / np.float32(max(N, 1))


@kernel
def cross_entropy_backward(p: Matrix, t: Labels, dz: Matrix) -> None:
    N, C = p.shape
    share = ONE / np.float32(max(N, 1))
    for n in range(N):
        # surprise[n] = log(total) - (z[n, t[n]] - top), then / N
        for c in range(C):
            dz[n, c] += share * p[n, c]
        dz[n, t[n]] -= share


# ---------------------------------------------------------------- CUDA


@cuda_sequence
def cross_entropy_forward_cuda(
    z: Matrix, t: Labels, p: Matrix, surprise: Vector, loss: Vector
) -> None:  # fmt: skip
    """First all rows at a time, then their mean."""
    surprise_forward_cuda(z, t, p, surprise)
    mean_surprise_cuda(surprise, loss)


@cuda_kernel(threads=WARP, blocks_of="p")
def surprise_forward_cuda(
    z: Matrix, t: Labels, p: Matrix, surprise: Vector
) -> None:  # fmt: skip
    """One block does one row; each thread takes every 32nd number of it."""
    C = z.shape[1]
    n, first = cuda.blockIdx.x, cuda.threadIdx.x
    top = -INFINITY
    for c in range(first, C, WARP):
        top = max(top, z[n, c])
    top = block_max(top)
    total = ZERO
    for c in range(first, C, WARP):
        p[n, c] = exp(z[n, c] - top)
        total += p[n, c]
    total = block_sum(total)
    scale = ONE / total
    for c in range(first, C, WARP):
        p[n, c] *= scale
    if first == 0:
        surprise[n] = math.log(total) - (z[n, t[n]] - top)


@cuda_kernel(threads=BLOCK)
def mean_surprise_cuda(surprise: Vector, loss: Vector) -> None:
    """One block: each thread adds up a share, then all shares are added."""
    N = surprise.size
    total = ZERO
    for n in range(cuda.grid(1), N, BLOCK):
        total += surprise[n]
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        loss[0] = total / np.float32(max(N, 1))


@cuda_kernel(threads=128, over="dz")
def cross_entropy_backward_cuda(p: Matrix, t: Labels, dz: Matrix) -> None:
    N, C = p.shape
    for i in range(cuda.grid(1), N * C, cuda.gridsize(1)):
        n, c = i // C, i % C
        # surprise[n] = math.log(total) - (z[n, t[n]] - top), then / N
        truth = ONE if c == t[n] else ZERO
        dz[n, c] += (p[n, c] - truth) / np.float32(N)
