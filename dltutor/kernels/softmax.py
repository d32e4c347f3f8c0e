"""Softmax: a row of numbers becomes a row of probabilities.

    forward    p[n,c] = e^(x[n,c] - top[n]) / sum_k e^(x[n,k] - top[n]),  top[n] = max_k x[n,k]
    backward   dx[n,c] += p[n,c] (dp[n,c] - sum_k p[n,k] dp[n,k])

Subtracting the largest number changes nothing (it cancels) and keeps every exponential at 1 or below.

Shapes   x p dx dp (N, C). C-contiguous. N may be 0, C at least 1.
Dtypes   all float32 or all float64.
Writes   p overwritten; dx added to.
Keeps    p.
Cost     one exponential and 4 flops an element in three passes forward, 5 flops in two passes backward.
Source   Bridle 1990, doi:10.1007/978-3-642-76153-9_28.
Lesson   06-mlp
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ONE, ZERO, Matrix, cuda, cuda_kernel, kernel
from dltutor.kernels.elementary import exp


def softmax_reference(x: Matrix) -> Matrix:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_backward_reference(x: Matrix, dp: Matrix) -> Matrix:
    p = softmax_reference(x)
    return p * (dp - (p * dp).sum(axis=1, keepdims=True))


# ---------------------------------------------------------------- CPU


@kernel
def softmax_forward(x: Matrix, p: Matrix) -> None:
    N, C = x.shape
    for n in range(N):
        top = x[n, 0]
        for c in range(1, C):
            top = max(top, x[n, c])
        total = ZERO
        for c in range(C):
            p[n, c] = exp(x[n, c] - top)
            total += p[n, c]
        scale = ONE / total
        for c in range(C):
            p[n, c] *= scale


@kernel
def softmax_backward(p: Matrix, dp: Matrix, dx: Matrix) -> None:
    N, C = p.shape
    for n in range(N):
        mean = ZERO
        for c in range(C):
            mean += p[n, c] * dp[n, c]
        for c in range(C):
            # p[n, c] = exp(x[n, c] - top) / total
            dx[n, c] += p[n, c] * (dp[n, c] - mean)


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=32, rows_of="p")
def softmax_forward_cuda(x: Matrix, p: Matrix) -> None:
    """One thread does one row."""
    N, C = x.shape
    for n in range(cuda.grid(1), N, cuda.gridsize(1)):
        top = x[n, 0]
        for c in range(1, C):
            top = max(top, x[n, c])
        total = ZERO
        for c in range(C):
            p[n, c] = exp(x[n, c] - top)
            total += p[n, c]
        scale = ONE / total
        for c in range(C):
            p[n, c] *= scale


@cuda_kernel(threads=32, rows_of="p")
def softmax_backward_cuda(p: Matrix, dp: Matrix, dx: Matrix) -> None:
    """One thread does one row."""
    N, C = p.shape
    for n in range(cuda.grid(1), N, cuda.gridsize(1)):
        mean = ZERO
        for c in range(C):
            mean += p[n, c] * dp[n, c]
        for c in range(C):
            # p[n, c] = exp(x[n, c] - top) / total
            dx[n, c] += p[n, c] * (dp[n, c] - mean)
