"""One-hot: a class number as a row of zeros with one 1.

    forward    y[n,c] = [c = t[n]]

Class numbers have no gradient. A one-hot row times a matrix is a row of that matrix: an embedding takes it at once.

Shapes   t (N,); y (N, C). C-contiguous. N may be 0.
Dtypes   t int32, from 0 to C - 1; any other number gives a row of zeros. y float32 or float64.
Writes   y overwritten.
Keeps    nothing.
Cost     one number written an element.
Source   Bridle 1990, doi:10.1007/978-3-642-76153-9_28 (targets 1 for the true class, 0 for the others).
Lesson   06-mlp
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ONE, ZERO, Labels, Matrix, cuda, cuda_kernel, kernel


def one_hot_reference(t: Labels, classes: int) -> Matrix:
    return (t[:, None] == np.arange(classes)).astype(float)


# ---------------------------------------------------------------- CPU


@kernel(rows="t y")
def one_hot_forward(t: Labels, y: Matrix) -> None:
    N, C = y.shape
    for n in range(N):
        for c in range(C):
            y[n, c] = ZERO
        if 0 <= t[n] < C:
            y[n, t[n]] = ONE


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def one_hot_forward_cuda(t: Labels, y: Matrix) -> None:
    N, C = y.shape
    for i in range(cuda.grid(1), N * C, cuda.gridsize(1)):
        n, c = i // C, i % C
        y[n, c] = ONE if c == t[n] else ZERO
