"""Dense layer and activation in one kernel: the numbers are activated while they are still in the cache.

    forward    y[n,m] = f(z[n,m]),  z[n,m] = sum_d x[n,d] w[d,m] + b[m]
    backward   dz[n,m] = f'(z[n,m]) dy[n,m];  dx[n,d] += sum_m dz[n,m] w[d,m];  dw[d,m] += sum_n x[n,d] dz[n,m];
               db[m] += sum_n dz[n,m]
    f          sigmoid, tanh, ReLU, leaky ReLU, GELU (with tanh); with the identity it is dense.py

Shapes   x dx (N, D); w dw (D, M); b db (M,); y dy z dz (N, M). C-contiguous. N may be 0.
         dx may have no rows, (0, D): then it is left out.
Dtypes   all float32 or all float64.
Writes   y overwritten, and z by GELU; dz overwritten: room for the gradient by z; dx, dw, db added to.
Keeps    x and y, from which f'(z) follows; GELU keeps z in place of y.
Cost     that of dense.py and of the activation, with one pass less over y, and one launch less.
Lesson   06-mlp, 25-fast-kernels
"""

from __future__ import annotations

import math

import numpy as np

from dltutor.kernels.compile import ONE, ZERO, Matrix, Number, Vector, cuda, cuda_kernel, cuda_sequence, kernel, scalar
from dltutor.kernels.dense import dense_backward, dense_backward_cuda, dense_forward
from dltutor.kernels.elementary import exp, tanh
from dltutor.kernels.gelu import gelu_tanh, gelu_tanh_slope
from dltutor.kernels.tiles import EACH, SIDE, column_of, multiply_tiles, row_of

ROWS = 256  # that are finished before the next ones are begun


def dense_sigmoid_reference(x: Matrix, w: Matrix, b: Vector) -> Matrix:
    return 1 / (1 + np.exp(-(x @ w + b)))


def dense_sigmoid_backward_reference(x: Matrix, w: Matrix, y: Matrix, dy: Matrix) -> tuple[Matrix, Matrix, Vector]:
    return _backward(x, w, dy * y * (1 - y))


def dense_tanh_reference(x: Matrix, w: Matrix, b: Vector) -> Matrix:
    return np.tanh(x @ w + b)


def dense_tanh_backward_reference(x: Matrix, w: Matrix, y: Matrix, dy: Matrix) -> tuple[Matrix, Matrix, Vector]:
    return _backward(x, w, dy * (1 - y * y))


def dense_relu_reference(x: Matrix, w: Matrix, b: Vector) -> Matrix:
    return np.maximum(x @ w + b, 0)


def dense_relu_backward_reference(x: Matrix, w: Matrix, y: Matrix, dy: Matrix) -> tuple[Matrix, Matrix, Vector]:
    return _backward(x, w, np.where(y <= 0, 0, dy))


def dense_leaky_relu_reference(x: Matrix, w: Matrix, b: Vector, slope: float) -> Matrix:
    z = x @ w + b
    return np.where(z <= 0, slope * z, z)


def dense_leaky_relu_backward_reference(
    x: Matrix, w: Matrix, y: Matrix, slope: float, dy: Matrix
) -> tuple[Matrix, Matrix, Vector]:
    return _backward(x, w, np.where(y <= 0, slope * dy, dy))


def dense_gelu_reference(x: Matrix, w: Matrix, b: Vector) -> tuple[Matrix, Matrix]:
    """z and y."""
    z = x @ w + b
    return z, z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) / 2


def dense_gelu_backward_reference(x: Matrix, w: Matrix, z: Matrix, dy: Matrix) -> tuple[Matrix, Matrix, Vector]:
    t = np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))
    u_slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z * z)
    return _backward(x, w, dy * ((1 + t) / 2 + z * (1 - t * t) / 2 * u_slope))


def _backward(x: Matrix, w: Matrix, dz: Matrix) -> tuple[Matrix, Matrix, Vector]:
    return dz @ w.T, x.T @ dz, dz.sum(axis=0)


# The activations, and their slopes as functions of what the backward pass has: y, or of GELU z.


@scalar
def sigmoid(z: Number) -> Number:
    return ONE / (ONE + exp(-z))


@scalar
def sigmoid_slope(y: Number) -> Number:
    return y * (ONE - y)


@scalar
def tanh_slope(y: Number) -> Number:
    return (ONE - y) * (ONE + y)


@scalar
def relu(z: Number) -> Number:
    return ZERO if z <= ZERO else z  # asked this way round, NaN stays NaN


@scalar
def leaky_relu(z: Number, slope: Number) -> Number:
    return slope * z if z <= ZERO else z


@scalar
def leaky_relu_slope(y: Number, slope: Number) -> Number:
    return slope if y <= ZERO else ONE


# ---------------------------------------------------------------- CPU


@kernel(rows="x y")
def dense_sigmoid_forward(
    x: Matrix, w: Matrix, b: Vector, y: Matrix
) -> None:  # fmt: skip
    for first in range(0, y.shape[0], ROWS):
        y_rows = y[first : first + ROWS]
        dense_forward(x[first : first + ROWS], w, b, y_rows)
        for n in range(y_rows.shape[0]):
            for m in range(y.shape[1]):
                y_rows[n, m] = sigmoid(y_rows[n, m])


@kernel(rows="x y dy dz dx", sums="dw db")
def dense_sigmoid_backward(
    x: Matrix, w: Matrix, y: Matrix, dy: Matrix, dz: Matrix,
    dx: Matrix, dw: Matrix, db: Vector,
) -> None:  # fmt: skip
    for n in range(dy.shape[0]):
        for m in range(dy.shape[1]):
            # y[n, m] = sigmoid(z[n, m])
            dz[n, m] = sigmoid_slope(y[n, m]) * dy[n, m]
    # dense_forward(x, w, b, z)
    dense_backward(x, w, dz, dx, dw, db)


@kernel(rows="x y")
def dense_tanh_forward(
    x: Matrix, w: Matrix, b: Vector, y: Matrix
) -> None:  # fmt: skip
    for first in range(0, y.shape[0], ROWS):
        y_rows = y[first : first + ROWS]
        dense_forward(x[first : first + ROWS], w, b, y_rows)
        for n in range(y_rows.shape[0]):
            for m in range(y.shape[1]):
                y_rows[n, m] = tanh(y_rows[n, m])


@kernel(rows="x y dy dz dx", sums="dw db")
def dense_tanh_backward(
    x: Matrix, w: Matrix, y: Matrix, dy: Matrix, dz: Matrix,
    dx: Matrix, dw: Matrix, db: Vector,
) -> None:  # fmt: skip
    for n in range(dy.shape[0]):
        for m in range(dy.shape[1]):
            # y[n, m] = tanh(z[n, m])
            dz[n, m] = tanh_slope(y[n, m]) * dy[n, m]
    # dense_forward(x, w, b, z)
    dense_backward(x, w, dz, dx, dw, db)


@kernel(rows="x y")
def dense_relu_forward(
    x: Matrix, w: Matrix, b: Vector, y: Matrix
) -> None:  # fmt: skip
    for first in range(0, y.shape[0], ROWS):
        y_rows = y[first : first + ROWS]
        dense_forward(x[first : first + ROWS], w, b, y_rows)
        for n in range(y_rows.shape[0]):
            for m in range(y.shape[1]):
                y_rows[n, m] = relu(y_rows[n, m])


@kernel(rows="x y dy dz dx", sums="dw db")
def dense_relu_backward(
    x: Matrix, w: Matrix, y: Matrix, dy: Matrix, dz: Matrix,
    dx: Matrix, dw: Matrix, db: Vector,
) -> None:  # fmt: skip
    for n in range(dy.shape[0]):
        for m in range(dy.shape[1]):
            # y[n, m] = relu(z[n, m])
            dz[n, m] = ZERO if y[n, m] <= ZERO else dy[n, m]
    # dense_forward(x, w, b, z)
    dense_backward(x, w, dz, dx, dw, db)


@kernel(rows="x y")
def dense_leaky_relu_forward(
    x: Matrix, w: Matrix, b: Vector, slope: Number, y: Matrix
) -> None:  # fmt: skip
    for first in range(0, y.shape[0], ROWS):
        y_rows = y[first : first + ROWS]
        dense_forward(x[first : first + ROWS], w, b, y_rows)
        for n in range(y_rows.shape[0]):
            for m in range(y.shape[1]):
                y_rows[n, m] = leaky_relu(y_rows[n, m], slope)


@kernel(rows="x y dy dz dx", sums="dw db")
def dense_leaky_relu_backward(
    x: Matrix, w: Matrix, y: Matrix, slope: Number, dy: Matrix, dz: Matrix,
    dx: Matrix, dw: Matrix, db: Vector,
) -> None:  # fmt: skip
    for n in range(dy.shape[0]):
        for m in range(dy.shape[1]):
            # y[n, m] = leaky_relu(z[n, m], slope)
            dz[n, m] = leaky_relu_slope(y[n, m], slope) * dy[n, m]
    # dense_forward(x, w, b, z)
    dense_backward(x, w, dz, dx, dw, db)


@kernel(rows="x z y")
def dense_gelu_forward(
    x: Matrix, w: Matrix, b: Vector, z: Matrix, y: Matrix
) -> None:  # fmt: skip
    for first in range(0, y.shape[0], ROWS):
        z_rows = z[first : first + ROWS]
        dense_forward(x[first : first + ROWS], w, b, z_rows)
        for n in range(z_rows.shape[0]):
            for m in range(z.shape[1]):
                y[first + n, m] = gelu_tanh(z_rows[n, m])


@kernel(rows="x z dy dz dx", sums="dw db")
def dense_gelu_backward(
    x: Matrix, w: Matrix, z: Matrix, dy: Matrix, dz: Matrix,
    dx: Matrix, dw: Matrix, db: Vector,
) -> None:  # fmt: skip
    for n in range(dy.shape[0]):
        for m in range(dy.shape[1]):
            # y[n, m] = gelu_tanh(z[n, m])
            dz[n, m] = gelu_tanh_slope(z[n, m]) * dy[n, m]
    # dense_forward(x, w, b, z)
    dense_backward(x, w, dz, dx, dw, db)


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=(SIDE, SIDE), each=EACH, tiles_of="y")
def dense_sigmoid_forward_cuda(
    x: Matrix, w: Matrix, b: Vector, y: Matrix
) -> None:  # fmt: skip
    """As dense_forward_cuda, with one line more."""
    total = cuda.local.array((EACH, EACH), np.float32)
    multiply_tiles(x, 0, w, 0, w.shape[0], total)
    for i in range(EACH):
        for j in range(EACH):
            n, m = row_of(i), column_of(j)
            if n < y.shape[0] and m < y.shape[1]:
                y[n, m] = sigmoid(total[i, j] + b[m])


@cuda_kernel(threads=128, over="dz")
def undo_sigmoid_cuda(y: Matrix, dy: Matrix, dz: Matrix) -> None:
    M = dy.shape[1]
    for i in range(cuda.grid(1), dy.size, cuda.gridsize(1)):
        n, m = i // M, i % M
        # y[n, m] = sigmoid(z[n, m])
        dz[n, m] = sigmoid_slope(y[n, m]) * dy[n, m]


@cuda_sequence
def dense_sigmoid_backward_cuda(
    x: Matrix, w: Matrix, y: Matrix, dy: Matrix, dz: Matrix,
    dx: Matrix, dw: Matrix, db: Vector,
) -> None:  # fmt: skip
    undo_sigmoid_cuda(y, dy, dz)
    dense_backward_cuda(x, w, dz, dx, dw, db)


@cuda_kernel(threads=(SIDE, SIDE), each=EACH, tiles_of="y")
def dense_tanh_forward_cuda(
    x: Matrix, w: Matrix, b: Vector, y: Matrix
) -> None:  # fmt: skip
    """As dense_forward_cuda, with one line more."""
    total = cuda.local.array((EACH, EACH), np.float32)
    multiply_tiles(x, 0, w, 0, w.shape[0], total)
    for i in range(EACH):
        for j in range(EACH):
            n, m = row_of(i), column_of(j)
            if n < y.shape[0] and m < y.shape[1]:
                y[n, m] = tanh(total[i, j] + b[m])


@cuda_kernel(threads=128, over="dz")
def undo_tanh_cuda(y: Matrix, dy: Matrix, dz: Matrix) -> None:
    M = dy.shape[1]
    for i in range(cuda.grid(1), dy.size, cuda.gridsize(1)):
        n, m = i // M, i % M
        # y[n, m] = tanh(z[n, m])
        dz[n, m] = tanh_slope(y[n, m]) * dy[n, m]


@cuda_sequence
def dense_tanh_backward_cuda(
    x: Matrix, w: Matrix, y: Matrix, dy: Matrix, dz: Matrix,
    dx: Matrix, dw: Matrix, db: Vector,
) -> None:  # fmt: skip
    undo_tanh_cuda(y, dy, dz)
    dense_backward_cuda(x, w, dz, dx, dw, db)


@cuda_kernel(threads=(SIDE, SIDE), each=EACH, tiles_of="y")
def dense_relu_forward_cuda(
    x: Matrix, w: Matrix, b: Vector, y: Matrix
) -> None:  # fmt: skip
    """As dense_forward_cuda, with one line more."""
    total = cuda.local.array((EACH, EACH), np.float32)
    multiply_tiles(x, 0, w, 0, w.shape[0], total)
    for i in range(EACH):
        for j in range(EACH):
            n, m = row_of(i), column_of(j)
            if n < y.shape[0] and m < y.shape[1]:
                y[n, m] = relu(total[i, j] + b[m])


@cuda_kernel(threads=128, over="dz")
def undo_relu_cuda(y: Matrix, dy: Matrix, dz: Matrix) -> None:
    M = dy.shape[1]
    for i in range(cuda.grid(1), dy.size, cuda.gridsize(1)):
        n, m = i // M, i % M
        # y[n, m] = relu(z[n, m])
        dz[n, m] = ZERO if y[n, m] <= ZERO else dy[n, m]


@cuda_sequence
def dense_relu_backward_cuda(
    x: Matrix, w: Matrix, y: Matrix, dy: Matrix, dz: Matrix,
    dx: Matrix, dw: Matrix, db: Vector,
) -> None:  # fmt: skip
    undo_relu_cuda(y, dy, dz)
    dense_backward_cuda(x, w, dz, dx, dw, db)


@cuda_kernel(threads=(SIDE, SIDE), each=EACH, tiles_of="y")
def dense_leaky_relu_forward_cuda(
    x: Matrix, w: Matrix, b: Vector, slope: Number, y: Matrix
) -> None:  # fmt: skip
    """As dense_forward_cuda, with one line more."""
    total = cuda.local.array((EACH, EACH), np.float32)
    multiply_tiles(x, 0, w, 0, w.shape[0], total)
    for i in range(EACH):
        for j in range(EACH):
            n, m = row_of(i), column_of(j)
            if n < y.shape[0] and m < y.shape[1]:
                y[n, m] = leaky_relu(total[i, j] + b[m], slope)


@cuda_kernel(threads=128, over="dz")
def undo_leaky_relu_cuda(
    y: Matrix, slope: Number, dy: Matrix, dz: Matrix,
) -> None:  # fmt: skip
    M = dy.shape[1]
    for i in range(cuda.grid(1), dy.size, cuda.gridsize(1)):
        n, m = i // M, i % M
        # y[n, m] = leaky_relu(z[n, m], slope)
        dz[n, m] = leaky_relu_slope(y[n, m], slope) * dy[n, m]


@cuda_sequence
def dense_leaky_relu_backward_cuda(
    x: Matrix, w: Matrix, y: Matrix, slope: Number, dy: Matrix, dz: Matrix,
    dx: Matrix, dw: Matrix, db: Vector,
) -> None:  # fmt: skip
    undo_leaky_relu_cuda(y, slope, dy, dz)
    dense_backward_cuda(x, w, dz, dx, dw, db)


@cuda_kernel(threads=(SIDE, SIDE), each=EACH, tiles_of="y")
def dense_gelu_forward_cuda(
    x: Matrix, w: Matrix, b: Vector, z: Matrix, y: Matrix
) -> None:  # fmt: skip
    """As dense_forward_cuda, with one line more."""
    total = cuda.local.array((EACH, EACH), np.float32)
    multiply_tiles(x, 0, w, 0, w.shape[0], total)
    for i in range(EACH):
        for j in range(EACH):
            n, m = row_of(i), column_of(j)
            if n < y.shape[0] and m < y.shape[1]:
                z[n, m] = total[i, j] + b[m]
                y[n, m] = gelu_tanh(total[i, j] + b[m])


@cuda_kernel(threads=128, over="dz")
def undo_gelu_cuda(z: Matrix, dy: Matrix, dz: Matrix) -> None:
    M = dy.shape[1]
    for i in range(cuda.grid(1), dy.size, cuda.gridsize(1)):
        n, m = i // M, i % M
        # y[n, m] = gelu_tanh(z[n, m])
        dz[n, m] = gelu_tanh_slope(z[n, m]) * dy[n, m]


@cuda_sequence
def dense_gelu_backward_cuda(
    x: Matrix, w: Matrix, z: Matrix, dy: Matrix, dz: Matrix,
    dx: Matrix, dw: Matrix, db: Vector,
) -> None:  # fmt: skip
    undo_gelu_cuda(z, dy, dz)
    dense_backward_cuda(x, w, dz, dx, dw, db)
