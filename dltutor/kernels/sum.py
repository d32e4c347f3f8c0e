"""Sums along one axis of a matrix.

    last axis      y[n] = sum_c x[n,c];    dx[n,c] += dy[n]
    first axis     y[c] = sum_n x[n,c];    dx[n,c] += dy[c]

What was added up hands the same gradient back to all its parts: a sum undone is a broadcast, and a broadcast undone (a
bias added to every row) is a sum.

Shapes   x dx (N, C); y dy (N,) along the last axis, (C,) along the first. C-contiguous. N may be 0, C at least 1.
Dtypes   all float32 or all float64.
Writes   y overwritten; dx added to.
Keeps    nothing.
Cost     1 flop an element, forward and backward.
Source   Harris 2007, Optimizing Parallel Reduction in CUDA, NVIDIA (adding in log2 N rounds, as block_sum does).
Lesson   05-backpropagation, 26-gpu-kernels
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ZERO, Matrix, Vector, cuda, cuda_kernel, kernel
from dltutor.kernels.reduce import WARP, block_sum


def sum_last_reference(x: Matrix) -> Vector:
    return x.sum(axis=1)


def sum_last_backward_reference(x: Matrix, dy: Vector) -> Matrix:
    return np.broadcast_to(dy[:, None], x.shape)


def sum_first_reference(x: Matrix) -> Vector:
    return x.sum(axis=0)


def sum_first_backward_reference(x: Matrix, dy: Vector) -> Matrix:
    return np.broadcast_to(dy, x.shape)


# ---------------------------------------------------------------- CPU


@kernel(rows="x y")
def sum_last_forward(x: Matrix, y: Vector) -> None:
    N, C = x.shape
    for n in range(N):
        total = ZERO
        for c in range(C):
            total += x[n, c]
        y[n] = total


@kernel(rows="dy dx")
def sum_last_backward(dy: Vector, dx: Matrix) -> None:
    N, C = dx.shape
    for n in range(N):
        for c in range(C):
            # total += x[n, c]
            dx[n, c] += dy[n]


@kernel
def sum_first_forward(x: Matrix, y: Vector) -> None:
    N, C = x.shape
    for c in range(C):
        y[c] = ZERO
    for n in range(N):  # row after row, as they stand in memory
        for c in range(C):
            y[c] += x[n, c]


@kernel(rows="dx")
def sum_first_backward(dy: Vector, dx: Matrix) -> None:
    N, C = dx.shape
    for n in range(N):
        for c in range(C):
            # y[c] += x[n, c]
            dx[n, c] += dy[c]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=WARP, blocks_of="x")
def sum_last_forward_cuda(x: Matrix, y: Vector) -> None:
    """One block does one row: each thread adds up a share."""
    n, C = cuda.blockIdx.x, x.shape[1]
    total = ZERO
    for c in range(cuda.threadIdx.x, C, WARP):
        total += x[n, c]
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        y[n] = total


@cuda_kernel(threads=128, over="dx")
def sum_last_backward_cuda(dy: Vector, dx: Matrix) -> None:
    N, C = dx.shape
    for i in range(cuda.grid(1), N * C, cuda.gridsize(1)):
        n, c = i // C, i % C
        # total += x[n, c]
        dx[n, c] += dy[n]


@cuda_kernel(threads=128, over="y")
def sum_first_forward_cuda(x: Matrix, y: Vector) -> None:
    """One thread does one column: neighbours read neighbouring numbers."""
    N, C = x.shape
    for c in range(cuda.grid(1), C, cuda.gridsize(1)):
        total = ZERO
        n = 0
        while n < N:
            total += x[n, c]
            n += 1
        y[c] = total


@cuda_kernel(threads=128, over="dx")
def sum_first_backward_cuda(dy: Vector, dx: Matrix) -> None:
    N, C = dx.shape
    for i in range(cuda.grid(1), N * C, cuda.gridsize(1)):
        n, c = i // C, i % C
        # y[c] += x[n, c]
        dx[n, c] += dy[c]
