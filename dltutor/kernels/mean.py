"""Means along one axis of a matrix.

    last axis      y[n] = (1 / C) sum_c x[n,c];    dx[n,c] += dy[n] / C
    first axis     y[c] = (1 / N) sum_n x[n,c];    dx[n,c] += dy[c] / N

Shapes   x dx (N, C); y dy (N,) along the last axis, (C,) along the first. C-contiguous. Of no rows the mean is 0; C at
         least 1.
Dtypes   all float32 or all float64.
Writes   y overwritten; dx added to.
Keeps    nothing.
Cost     1 flop an element forward, 1 backward, and a division for each number of y.
Source   Gauss 1809, Theoria motus, section 177.
Lesson   01-linear-regression, 10-normalisation
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ZERO, Matrix, Vector, cuda, cuda_kernel, kernel
from dltutor.kernels.reduce import WARP, block_sum


def mean_last_reference(x: Matrix) -> Vector:
    return x.mean(axis=1)


def mean_last_backward_reference(x: Matrix, dy: Vector) -> Matrix:
    return np.broadcast_to(dy[:, None] / x.shape[1], x.shape)


def mean_first_reference(x: Matrix) -> Vector:
    return x.sum(axis=0) / max(len(x), 1)


def mean_first_backward_reference(x: Matrix, dy: Vector) -> Matrix:
    return np.broadcast_to(dy / max(len(x), 1), x.shape)


# ---------------------------------------------------------------- CPU


@kernel(rows="x y")
def mean_last_forward(x: Matrix, y: Vector) -> None:
    N, C = x.shape
    for n in range(N):
        total = ZERO
        for c in range(C):
            total += x[n, c]
        y[n] = total / np.float32(C)


@kernel(rows="dy dx")
def mean_last_backward(dy: Vector, dx: Matrix) -> None:
    N, C = dx.shape
    for n in range(N):
        # total += x[n, c], then / C
        share = dy[n] / np.float32(C)
        for c in range(C):
            dx[n, c] += share


@kernel
def mean_first_forward(x: Matrix, y: Vector) -> None:
    N, C = x.shape
    for c in range(C):
        y[c] = ZERO
    for n in range(N):  # row after row, as they stand in memory
        for c in range(C):
            y[c] += x[n, c]
    for c in range(C):
        y[c] /= np.float32(max(N, 1))


@kernel
def mean_first_backward(dy: Vector, dx: Matrix) -> None:
    N, C = dx.shape
    for n in range(N):
        for c in range(C):
            # y[c] += x[n, c], then / N
            dx[n, c] += dy[c] / np.float32(N)


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=WARP, blocks_of="x")
def mean_last_forward_cuda(x: Matrix, y: Vector) -> None:
    """One block does one row: each thread adds up a share."""
    n, C = cuda.blockIdx.x, x.shape[1]
    total = ZERO
    for c in range(cuda.threadIdx.x, C, WARP):
        total += x[n, c]
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        y[n] = total / np.float32(C)


@cuda_kernel(threads=128, over="dx")
def mean_last_backward_cuda(dy: Vector, dx: Matrix) -> None:
    N, C = dx.shape
    for i in range(cuda.grid(1), N * C, cuda.gridsize(1)):
        n, c = i // C, i % C
        # total += x[n, c], then / C
        dx[n, c] += dy[n] / np.float32(C)


@cuda_kernel(threads=128, over="y")
def mean_first_forward_cuda(x: Matrix, y: Vector) -> None:
    """One thread does one column: neighbours read neighbouring numbers."""
    N, C = x.shape
    for c in range(cuda.grid(1), C, cuda.gridsize(1)):
        total = ZERO
        n = 0
        while n < N:
            total += x[n, c]
            n += 1
        y[c] = total / np.float32(max(N, 1))


@cuda_kernel(threads=128, over="dx")
def mean_first_backward_cuda(dy: Vector, dx: Matrix) -> None:
    N, C = dx.shape
    for i in range(cuda.grid(1), N * C, cuda.gridsize(1)):
        n, c = i // C, i % C
        # y[c] += x[n, c], then / N
        dx[n, c] += dy[c] / np.float32(N)
