"""The same bias for every sample.

    forward    y[n,m] = b[m]
    backward   db[m] += sum_n dy[n,m]

Shapes   b db (M,); y dy (N, M). C-contiguous. N and M may be 0.
Dtypes   all float32 or all float64.
Writes   y overwritten (a dense layer then adds its products); db added to.
Keeps    nothing.
Cost     NM numbers written forward, NM additions backward.
Lesson   01-linear-regression
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ZERO, Matrix, Vector, cuda, cuda_kernel, kernel


def bias_reference(b: Vector, n: int) -> Matrix:
    return np.tile(b, (n, 1))


def bias_backward_reference(dy: Matrix) -> Vector:
    return dy.sum(axis=0)


# ---------------------------------------------------------------- CPU


@kernel(rows="y")
def bias_forward(b: Vector, y: Matrix) -> None:
    N, M = y.shape
    for n in range(N):
        for m in range(M):
            y[n, m] = b[m]


@kernel(rows="dy", sums="db")
def bias_backward(dy: Matrix, db: Vector) -> None:
    N, M = dy.shape
    for n in range(N):
        for m in range(M):
            # y[n, m] = b[m]
            db[m] += dy[n, m]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def bias_forward_cuda(b: Vector, y: Matrix) -> None:
    """One thread writes one number of y."""
    N, M = y.shape
    for i in range(cuda.grid(1), N * M, cuda.gridsize(1)):
        y[i // M, i % M] = b[i % M]


@cuda_kernel(threads=32, over="db")
def bias_backward_cuda(dy: Matrix, db: Vector) -> None:
    """One thread adds up one column of dy."""
    N, M = dy.shape
    for m in range(cuda.grid(1), M, cuda.gridsize(1)):
        total = ZERO
        n = 0
        while n < N:
            # y[n, m] = b[m]
            total += dy[n, m]
            n += 1
        db[m] += total
