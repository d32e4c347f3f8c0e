"""The largest number along one axis of a matrix, and its place.

    last axis      y[n] = x[n,k[n]],  k[n] = argmax_c x[n,c];    dx[n,k[n]] += dy[n]
    first axis     y[c] = x[k[c],c],  k[c] = argmax_n x[n,c];    dx[k[c],c] += dy[c]

Only the largest number has a say in y, so only it gets the gradient; of several equal ones, the first. NaN counts as
the largest.

Shapes   x dx (N, C); y dy k (N,) along the last axis, (C,) along the first. C-contiguous. C at least 1; N may be 0
         along the last axis and is at least 1 along the first.
Dtypes   all float32 or all float64; k int32.
Writes   y and k overwritten; dx added to.
Keeps    k.
Cost     one comparison an element forward, 1 flop for each number of y backward.
Source   Danskin 1966, doi:10.1137/0114053 (the derivative of a maximum is the one at the place where it is taken).
Lesson   11-cnn, 18-dqn
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.argmax import beats, block_argmax, place_of_largest
from dltutor.kernels.compile import INFINITY, Labels, Matrix, Vector, cuda, cuda_kernel, kernel
from dltutor.kernels.reduce import WARP


def max_last_reference(x: Matrix) -> tuple[Vector, Labels]:
    return x.max(axis=1), x.argmax(axis=1).astype(np.int32)


def max_last_backward_reference(x: Matrix, dy: Vector) -> Matrix:
    return np.where(np.arange(x.shape[1]) == x.argmax(axis=1)[:, None], dy[:, None], 0)


def max_first_reference(x: Matrix) -> tuple[Vector, Labels]:
    return max_last_reference(x.T)


def max_first_backward_reference(x: Matrix, dy: Vector) -> Matrix:
    return max_last_backward_reference(x.T, dy).T


# ---------------------------------------------------------------- CPU


@kernel(rows="x y k")
def max_last_forward(x: Matrix, y: Vector, k: Labels) -> None:
    for n in range(y.size):
        best = place_of_largest(x[n])
        y[n], k[n] = x[n, best], best


@kernel(rows="dy k dx")
def max_last_backward(dy: Vector, k: Labels, dx: Matrix) -> None:
    for n in range(dy.size):
        # y[n] = x[n, k[n]]
        dx[n, k[n]] += dy[n]


@kernel
def max_first_forward(x: Matrix, y: Vector, k: Labels) -> None:
    N, C = x.shape
    for c in range(C):
        y[c], k[c] = x[0, c], 0
    for n in range(1, N):  # row after row, as they stand in memory
        for c in range(C):
            better = beats(x[n, c], y[c])
            y[c] = x[n, c] if better else y[c]
            k[c] = n if better else k[c]


@kernel
def max_first_backward(dy: Vector, k: Labels, dx: Matrix) -> None:
    for c in range(dy.size):
        # y[c] = x[k[c], c]
        dx[k[c], c] += dy[c]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=WARP, blocks_of="x")
def max_last_forward_cuda(x: Matrix, y: Vector, k: Labels) -> None:
    """One block does one row: each thread looks at a share."""
    n, C = cuda.blockIdx.x, x.shape[1]
    top, best = -INFINITY, C + cuda.threadIdx.x  # behind every real place
    for c in range(cuda.threadIdx.x, C, WARP):
        if best >= C or beats(x[n, c], top):
            top, best = x[n, c], c
    best = block_argmax(top, best)
    if cuda.threadIdx.x == 0:
        y[n], k[n] = x[n, best], best


@cuda_kernel(threads=128, over="dy")
def max_last_backward_cuda(dy: Vector, k: Labels, dx: Matrix) -> None:
    for n in range(cuda.grid(1), dy.size, cuda.gridsize(1)):
        # y[n] = x[n, k[n]]
        dx[n, k[n]] += dy[n]


@cuda_kernel(threads=128, over="y")
def max_first_forward_cuda(x: Matrix, y: Vector, k: Labels) -> None:
    """One thread does one column: neighbours read neighbouring numbers."""
    N, C = x.shape
    for c in range(cuda.grid(1), C, cuda.gridsize(1)):
        top, best = x[0, c], 0
        for n in range(1, N):
            if beats(x[n, c], top):
                top, best = x[n, c], n
        y[c], k[c] = top, best


@cuda_kernel(threads=128, over="dy")
def max_first_backward_cuda(dy: Vector, k: Labels, dx: Matrix) -> None:
    for c in range(cuda.grid(1), dy.size, cuda.gridsize(1)):
        # y[c] = x[k[c], c]
        dx[k[c], c] += dy[c]
