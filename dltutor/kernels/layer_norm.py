"""Layer normalisation: every row with mean 0 and deviation 1, then with those that are learned.

    forward    y[n,c] = g[c] z[n,c] + b[c],  z = (x - mu) r,  mu[n] = mean_c x,  r[n] = 1 / sqrt(var_c x + eps)
    backward   dx[n,c] += r (h - mean_c h - z mean_c (h z)),  h = g dy;  dg[c] += sum_n dy z;  db[c] += sum_n dy

Shapes   x y dx dy (N, C); g b dg db (C,); mean r (N,). C-contiguous. N may be 0, C at least 1.
         dx may have no rows, (0, C): then it is left out.
Dtypes   all float32 or all float64.
Writes   y, mean, r overwritten; dx, dg, db added to.
Keeps    mean and r, 2N numbers; z is computed again.
Cost     forward 8NC flops in three passes over a row; backward 15NC in two.
Source   Ba, Kiros, Hinton 2016, arXiv:1607.06450, equations 3 and 4.
Lesson   10-normalisation, 14-attention
"""

from __future__ import annotations

import math

import numpy as np

from dltutor.kernels.bias import bias_backward_cuda
from dltutor.kernels.compile import ONE, ZERO, Matrix, Number, Vector, cuda, cuda_kernel, cuda_sequence, kernel
from dltutor.kernels.reduce import WARP, block_sum


def layer_norm_reference(x: Matrix, g: Vector, b: Vector, eps: float) -> tuple[Matrix, Vector, Vector]:
    """y, mean, r"""
    mean = x.mean(axis=1, keepdims=True)
    r = 1 / np.sqrt(((x - mean) ** 2).mean(axis=1, keepdims=True) + eps)
    return g * (x - mean) * r + b, mean[:, 0], r[:, 0]


def layer_norm_backward_reference(
    x: Matrix, g: Vector, mean: Vector, r: Vector, dy: Matrix
) -> tuple[Matrix, Vector, Vector]:
    z, h = (x - mean[:, None]) * r[:, None], g * dy
    inner = h - h.mean(axis=1, keepdims=True) - z * (h * z).mean(axis=1, keepdims=True)
    return r[:, None] * inner, (dy * z).sum(axis=0), dy.sum(axis=0)


# ---------------------------------------------------------------- CPU


@kernel(rows="x mean r y")
def layer_norm_forward(
    x: Matrix, g: Vector, b: Vector, eps: Number,
    mean: Vector, r: Vector, y: Matrix,
) -> None:  # fmt: skip
    N, C = x.shape
    count = np.float32(C)
    for n in range(N):
        total = ZERO
        for c in range(C):
            total += x[n, c]
        mu = total / count
        square = ZERO
        for c in range(C):
            square += (x[n, c] - mu) ** 2
        scale = ONE / math.sqrt(square / count + eps)
        for c in range(C):
            y[n, c] = g[c] * ((x[n, c] - mu) * scale) + b[c]
        mean[n] = mu
        r[n] = scale


@kernel(rows="x mean r dy dx", sums="dg db")
def layer_norm_backward(
    x: Matrix, g: Vector, mean: Vector, r: Vector, dy: Matrix,
    dx: Matrix, dg: Vector, db: Vector,
) -> None:  # fmt: skip
    N, C = x.shape
    count = np.float32(C)
    for n in range(N):
        mu, scale = mean[n], r[n]
        plain = ZERO
        weighed = ZERO
        for c in range(C):
            # y[n, c] = g[c] * z + b[c]
            z = (x[n, c] - mu) * scale
            dg[c] += dy[n, c] * z
            db[c] += dy[n, c]
            h = g[c] * dy[n, c]
            plain += h
            weighed += h * z
        if n < dx.shape[0]:
            plain /= count
            weighed /= count
            for c in range(C):
                # z = (x[n, c] - mu) * scale, made of x, too
                z = (x[n, c] - mu) * scale
                h = g[c] * dy[n, c]
                dx[n, c] += scale * (h - plain - z * weighed)


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=WARP, blocks_of="y")
def layer_norm_forward_cuda(
    x: Matrix, g: Vector, b: Vector, eps: Number,
    mean: Vector, r: Vector, y: Matrix,
) -> None:  # fmt: skip
    """One block does one row."""
    n, C = cuda.blockIdx.x, x.shape[1]
    me, count = cuda.threadIdx.x, np.float32(x.shape[1])
    total = ZERO
    for c in range(me, C, WARP):
        total += x[n, c]
    mu = block_sum(total) / count
    square = ZERO
    for c in range(me, C, WARP):
        away = x[n, c] - mu
        square += away * away
    scale = ONE / math.sqrt(block_sum(square) / count + eps)
    for c in range(me, C, WARP):
        y[n, c] = g[c] * ((x[n, c] - mu) * scale) + b[c]
    if me == 0:
        mean[n] = mu
        r[n] = scale


@cuda_sequence
def layer_norm_backward_cuda(
    x: Matrix, g: Vector, mean: Vector, r: Vector, dy: Matrix,
    dx: Matrix, dg: Vector, db: Vector,
) -> None:  # fmt: skip
    """Sums over rows and over columns: different kernels."""
    layer_norm_backward_x_cuda(x, g, mean, r, dy, dx)
    layer_norm_backward_g_cuda(x, mean, r, dy, dg)
    bias_backward_cuda(dy, db)


@cuda_kernel(threads=WARP, blocks_of="dx")
def layer_norm_backward_x_cuda(
    x: Matrix, g: Vector, mean: Vector, r: Vector, dy: Matrix,
    dx: Matrix,
) -> None:  # fmt: skip
    """One block does one row."""
    n, C = cuda.blockIdx.x, x.shape[1]
    me, count = cuda.threadIdx.x, np.float32(x.shape[1])
    mu, scale = mean[n], r[n]
    plain = ZERO
    weighed = ZERO
    for c in range(me, C, WARP):
        h = g[c] * dy[n, c]
        plain += h
        weighed += h * ((x[n, c] - mu) * scale)
    plain = block_sum(plain) / count
    weighed = block_sum(weighed) / count
    for c in range(me, C, WARP):
        # z = (x[n, c] - mu) * scale, made of x, too
        z = (x[n, c] - mu) * scale
        dx[n, c] += scale * (g[c] * dy[n, c] - plain - z * weighed)


@cuda_kernel(threads=WARP, over="dg")
def layer_norm_backward_g_cuda(
    x: Matrix, mean: Vector, r: Vector, dy: Matrix, dg: Vector
) -> None:  # fmt: skip
    """One thread adds up one column."""
    N, C = x.shape
    for c in range(cuda.grid(1), C, cuda.gridsize(1)):
        total = ZERO
        for n in range(N):
            # y[n, c] = g[c] * z + b[c]
            total += dy[n, c] * ((x[n, c] - mean[n]) * r[n])
        dg[c] += total
