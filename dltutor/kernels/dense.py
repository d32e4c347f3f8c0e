"""Dense layer: every output is a weighted sum of every input, plus a bias.

    forward    y[n,m] = sum_d x[n,d] w[d,m] + b[m]
    backward   dx[n,d] += sum_m dy[n,m] w[d,m];  dw[d,m] += sum_n x[n,d] dy[n,m];  db[m] += sum_n dy[n,m]

Shapes   x dx (N, D); w dw (D, M); b db (M,); y dy (N, M). C-contiguous. N may be 0.
         dx may have no rows, (0, D): then it is left out, as in a first layer, whose input learns nothing.
Dtypes   all float32 or all float64.
Writes   y overwritten; dx, dw, db added to.
Keeps    x.
Cost     2NDM flops forward, 4NDM backward.
Source   Rumelhart, Hinton, Williams 1986, doi:10.1038/323533a0.
Lesson   01-linear-regression, 06-mlp
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.bias import bias_backward, bias_backward_cuda, bias_forward
from dltutor.kernels.compile import Matrix, Vector, cuda, cuda_kernel, cuda_sequence, kernel
from dltutor.kernels.matmul import (
    add_product,
    add_product_transposed,
    matmul_backward_a_cuda,
    matmul_backward_b_cuda,
)
from dltutor.kernels.tiles import EACH, SIDE, column_of, multiply_tiles, row_of


def dense_reference(x: Matrix, w: Matrix, b: Vector) -> Matrix:
    return x @ w + b


def dense_backward_reference(x: Matrix, w: Matrix, dy: Matrix) -> tuple[Matrix, Matrix, Vector]:
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


# ---------------------------------------------------------------- CPU


@kernel(rows="x y")
def dense_forward(x: Matrix, w: Matrix, b: Vector, y: Matrix) -> None:
    bias_forward(b, y)  # y = b
    add_product(x, w, y)  # y += x w


@kernel(rows="x dy dx", sums="dw db")
def dense_backward(
    x: Matrix, w: Matrix, dy: Matrix,
    dx: Matrix, dw: Matrix, db: Vector,
) -> None:  # fmt: skip
    """The forward pass, undone from its last line to its first."""
    # add_product(x, w, y): y += x w
    add_product_transposed(dy, w, dx)  # dx += dy w^T
    add_product(x.T, dy, dw)  # dw += x^T dy
    # bias_forward(b, y): y = b
    bias_backward(dy, db)  # db += sum of the rows of dy


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=(SIDE, SIDE), each=EACH, tiles_of="y")
def dense_forward_cuda(x: Matrix, w: Matrix, b: Vector, y: Matrix) -> None:
    """y = x w + b, in tiles: see tiles.py."""
    total = cuda.local.array((EACH, EACH), np.float32)
    multiply_tiles(x, 0, w, 0, w.shape[0], total)
    for i in range(EACH):
        for j in range(EACH):
            n, m = row_of(i), column_of(j)
            if n < y.shape[0] and m < y.shape[1]:
                y[n, m] = total[i, j] + b[m]


@cuda_sequence
def dense_backward_cuda(
    x: Matrix, w: Matrix, dy: Matrix,
    dx: Matrix, dw: Matrix, db: Vector,
) -> None:  # fmt: skip
    """Three results of three shapes: three kernels."""
    matmul_backward_a_cuda(dy, w, dx)
    matmul_backward_b_cuda(x, dy, dw)
    bias_backward_cuda(dy, db)
