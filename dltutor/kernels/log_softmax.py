"""Log-softmax: the logarithms of softmax's probabilities, without ever taking one of a small number.

    forward    y[n,c] = x[n,c] - top[n] - log sum_k e^(x[n,k] - top[n]),  top[n] = max_k x[n,k]
    backward   dx[n,c] += dy[n,c] - e^y[n,c] sum_k dy[n,k]

top[n] + log sum_k e^(x[n,k] - top[n]) is the "log-sum-exp" of a row: a smooth maximum. One of its terms is e^0, so its
logarithm is never of less than 1, however far apart the numbers are.

Shapes   x y dx dy (N, C). C-contiguous. N may be 0, C at least 1.
Dtypes   all float32 or all float64.
Writes   y overwritten; dx added to.
Keeps    y: e^y are the probabilities.
Cost     one exponential and 5 flops an element in four passes forward; one exponential and 4 flops backward.
Source   Blanchard, Higham, Higham 2021, doi:10.1093/imanum/draa038.
Lesson   04-loss-functions
"""

from __future__ import annotations

import math

import numpy as np

from dltutor.kernels.compile import INFINITY, ZERO, Matrix, Number, cuda, cuda_kernel, kernel, scalar
from dltutor.kernels.elementary import exp
from dltutor.kernels.reduce import WARP, block_max, block_sum, largest


def log_softmax_reference(x: Matrix) -> Matrix:
    below = x - x.max(axis=1, keepdims=True)
    return below - np.log(np.exp(below).sum(axis=1, keepdims=True))


def log_softmax_backward_reference(x: Matrix, dy: Matrix) -> Matrix:
    return dy - np.exp(log_softmax_reference(x)) * dy.sum(axis=1, keepdims=True)


@scalar
def below(x: Number, top: Number, log_total: Number) -> Number:
    """x - top - log_total, in this order: top may be so large that log_total would be lost in it."""
    return (x - top) - log_total


# ---------------------------------------------------------------- CPU


@kernel(rows="x y")
def log_softmax_forward(x: Matrix, y: Matrix) -> None:
    N, C = x.shape
    for n in range(N):
        top = largest(x[n])
        for c in range(C):
            y[n, c] = x[n, c] - top
    flat = y.reshape(N * C)
    for i in range(N * C):
        flat[i] = exp(flat[i])
    for n in range(N):
        top = largest(x[n])
        total = ZERO
        for c in range(C):
            total += y[n, c]
        log_total = math.log(total)
        for c in range(C):
            y[n, c] = below(x[n, c], top, log_total)


@kernel(rows="y dy dx")
def log_softmax_backward(y: Matrix, dy: Matrix, dx: Matrix) -> None:
    N, C = y.shape
    for n in range(N):
        total = ZERO
        for c in range(C):
            total += dy[n, c]
        for c in range(C):
            # y[n, c] = x[n, c] - top - math.log(total)
            dx[n, c] += dy[n, c] - exp(y[n, c]) * total


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=WARP, blocks_of="y")
def log_softmax_forward_cuda(x: Matrix, y: Matrix) -> None:
    """One block does one row; each thread takes every 32nd number of it."""
    C = x.shape[1]
    n, first = cuda.blockIdx.x, cuda.threadIdx.x
    top = -INFINITY
    for c in range(first, C, WARP):
        top = max(top, x[n, c])
    top = block_max(top)
    total = ZERO
    for c in range(first, C, WARP):
        total += exp(x[n, c] - top)
    log_total = math.log(block_sum(total))
    for c in range(first, C, WARP):
        y[n, c] = below(x[n, c], top, log_total)


@cuda_kernel(threads=WARP, blocks_of="y")
def log_softmax_backward_cuda(y: Matrix, dy: Matrix, dx: Matrix) -> None:
    """One block does one row; each thread takes every 32nd number of it."""
    C = y.shape[1]
    n, first = cuda.blockIdx.x, cuda.threadIdx.x
    total = ZERO
    for c in range(first, C, WARP):
        total += dy[n, c]
    total = block_sum(total)
    for c in range(first, C, WARP):
        # y[n, c] = x[n, c] - top - math.log(total)
        dx[n, c] += dy[n, c] - exp(y[n, c]) * total
