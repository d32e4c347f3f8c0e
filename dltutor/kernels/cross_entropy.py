"""Softmax cross-entropy of logits: the surprise at the true class, one of C.

    forward    loss = (1 / N) sum_n -log p[n,t[n]],  p[n] = softmax(z[n])
    backward   dz[n,c] += (1 / N) (p[n,c] - [c = t[n]])

Taken together, softmax and logarithm need no logarithm of a small number: -log p[n,t] = log(sum_k e^(z[n,k] - top)) -
(z[n,t] - top). And the gradient is what one would wish for: what was said, minus what was true.

Shapes   z p dz (N, C); t (N,); loss (1,). C-contiguous. Of no samples the loss is 0; C at least 1.
Dtypes   all float32 or all float64; t int32, from 0 to C - 1.
Writes   p and loss overwritten; dz added to.
Keeps    p and t.
Cost     one exponential and 5 flops an element forward, 2 flops backward.
Source   Bridle 1990, doi:10.1007/978-3-642-76153-9_28.
Lesson   06-mlp
"""

from __future__ import annotations

import math

import numpy as np

from dltutor.kernels.compile import ONE, ZERO, Labels, Matrix, Vector, cuda, cuda_kernel, kernel
from dltutor.kernels.elementary import exp
from dltutor.kernels.reduce import BLOCK, block_sum
from dltutor.kernels.softmax import softmax_reference


def cross_entropy_reference(z: Matrix, t: Labels) -> float:
    top = z.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(z - top).sum(axis=1)) + top[:, 0]
    return float(np.sum(log_sum - z[np.arange(len(t)), t]) / max(len(t), 1))


def cross_entropy_backward_reference(z: Matrix, t: Labels) -> Matrix:
    return (softmax_reference(z) - np.eye(z.shape[1])[t]) / max(len(t), 1)


# ---------------------------------------------------------------- CPU


@kernel
def cross_entropy_forward(
    z: Matrix, t: Labels, p: Matrix, loss: Vector
) -> None:  # fmt: skip
    N, C = z.shape
    surprise = ZERO
    for n in range(N):
        top = z[n, 0]
        for c in range(1, C):
            top = max(top, z[n, c])
        total = ZERO
        for c in range(C):
            p[n, c] = exp(z[n, c] - top)
            total += p[n, c]
        scale = ONE / total
        for c in range(C):
            p[n, c] *= scale
        surprise += math.log(total) - (z[n, t[n]] - top)
    loss[0] = surprise / np.float32(max(N, 1))


@kernel
def cross_entropy_backward(p: Matrix, t: Labels, dz: Matrix) -> None:
    N, C = p.shape
    for n in range(N):
        for c in range(C):
            # surprise += log(total) - (z[n, t[n]] - top), then / N
            truth = ONE if c == t[n] else ZERO
            dz[n, c] += (p[n, c] - truth) / np.float32(N)


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=BLOCK)
def cross_entropy_forward_cuda(
    z: Matrix, t: Labels, p: Matrix, loss: Vector
) -> None:  # fmt: skip
    """One block; each thread takes every 32nd row. Then all are added."""
    N, C = z.shape
    surprise = ZERO
    for n in range(cuda.grid(1), N, BLOCK):
        top = z[n, 0]
        for c in range(1, C):
            top = max(top, z[n, c])
        total = ZERO
        for c in range(C):
            p[n, c] = exp(z[n, c] - top)
            total += p[n, c]
        scale = ONE / total
        for c in range(C):
            p[n, c] *= scale
        surprise += math.log(total) - (z[n, t[n]] - top)
    surprise = block_sum(surprise)
    if cuda.threadIdx.x == 0:
        loss[0] = surprise / np.float32(max(N, 1))


@cuda_kernel(threads=128, over="dz")
def cross_entropy_backward_cuda(p: Matrix, t: Labels, dz: Matrix) -> None:
    N, C = p.shape
    for i in range(cuda.grid(1), N * C, cuda.gridsize(1)):
        n, c = i // C, i % C
        # surprise += log(total) - (z[n, t[n]] - top), then / N
        truth = ONE if c == t[n] else ZERO
        dz[n, c] += (p[n, c] - truth) / np.float32(N)
