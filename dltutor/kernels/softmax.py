"""Softmax: a row of numbers becomes a row of probabilities.

    forward    p[n,c] = e^(x[n,c] - top[n]) / sum_k e^(x[n,k] - top[n]),  top[n] = max_k x[n,k]
    backward   dx[n,c] += p[n,c] (dp[n,c] - sum_k p[n,k] dp[n,k])

Subtracting the largest number changes nothing (it cancels) and keeps every exponential at 1 or below.

Shapes   x p dx dp (N, C). C-contiguous. N may be 0, C at least 1.
Dtypes   all float32 or all float64.
Writes   p overwritten; dx added to.
Keeps    p.
Cost     one exponential and 4 flops an element in four passes forward, 5 flops in two passes backward. The exponentials
         have a pass of their own over all rows: a loop over ten classes is too short to fill vector registers.
Source   Bridle 1990, doi:10.1007/978-3-642-76153-9_28.
Lesson   03-neurons-and-activations, 06-mlp
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import INFINITY, ONE, ZERO, Matrix, cuda, cuda_kernel, kernel
from dltutor.kernels.elementary import exp
from dltutor.kernels.reduce import WARP, block_max, block_sum, largest


def softmax_reference(x: Matrix) -> Matrix:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_backward_reference(x: Matrix, dp: Matrix) -> Matrix:
    p = softmax_reference(x)
    return p * (dp - (p * dp).sum(axis=1, keepdims=True))


# ---------------------------------------------------------------- CPU


@kernel(rows="x p")
def softmax_forward(x: Matrix, p: Matrix) -> None:
    N, C = x.shape
    for n in range(N):
        top = largest(x[n])
        for c in range(C):
            p[n, c] = x[n, c] - top
    flat = p.reshape(N * C)
    for i in range(N * C):
        flat[i] = exp(flat[i])
    for n in range(N):
        total = ZERO
        for c in range(C):
            total += p[n, c]
        scale = ONE / total
        for c in range(C):
            p[n, c] *= scale


@kernel(rows="p dp dx")
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


@cuda_kernel(threads=WARP, blocks_of="p")
def softmax_forward_cuda(x: Matrix, p: Matrix) -> None:
    """One block does one row; each thread takes every 32nd number of it."""
    C = x.shape[1]
    n, first = cuda.blockIdx.x, cuda.threadIdx.x
    top = -INFINITY
    for c in range(first, C, WARP):
        top = max(top, x[n, c])
    top = block_max(top)
    total = ZERO
    for c in range(first, C, WARP):
        p[n, c] = exp(x[n, c] - top)
        total += p[n, c]
    scale = ONE / block_sum(total)
    for c in range(first, C, WARP):
        p[n, c] *= scale


@cuda_kernel(threads=WARP, blocks_of="p")
def softmax_backward_cuda(p: Matrix, dp: Matrix, dx: Matrix) -> None:
    """One block does one row; each thread takes every 32nd number of it."""
    C = p.shape[1]
    n, first = cuda.blockIdx.x, cuda.threadIdx.x
    mean = ZERO
    for c in range(first, C, WARP):
        mean += p[n, c] * dp[n, c]
    mean = block_sum(mean)
    for c in range(first, C, WARP):
        # p[n, c] = exp(x[n, c] - top) / total
        dx[n, c] += p[n, c] * (dp[n, c] - mean)
