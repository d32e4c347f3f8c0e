"""Batch normalisation: every channel with mean 0 and deviation 1 over the batch, then with those that are learned.

    forward    y[n,c] = g[c] z[n,c] + b[c],  z = (x - mu) r,  mu[c] = mean_n x,  r[c] = 1 / sqrt(var_n x + eps)
    backward   dx[n,c] += g r (dy - mean_n dy - z mean_n (dy z));  dg[c] += sum_n dy z;  db[c] += sum_n dy

Later, when one sample has no batch around it, running means of mu and of the variance take their place: after each
batch  running <- running + momentum (now - running),  where the variance is the unbiased one, by N - 1.

A picture's pixels are rows like any others: (N, H, W, C) is handed over as (NHW, C).

Shapes   x y dx dy (N, C); g b dg db (C,); moments (2, C), mu and r; running (2, C), mean and variance; sums (2, C),
         room to work in. C-contiguous. N may be 0; a batch of one is all zeros after normalisation.
Dtypes   all float32 or all float64.
Writes   y, moments overwritten; running updated; dx, dg, db added to.
Keeps    moments, 2C numbers; z is computed again.
Cost     forward 7NC flops in three passes over x; backward 11NC in two.
Source   Ioffe, Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2.
Lesson   10-normalisation, 17-gan
"""

from __future__ import annotations

import math

import numpy as np

from dltutor.kernels.compile import ONE, ZERO, Matrix, Number, Vector, cuda, cuda_kernel, kernel

SIDE, DEEP = 32, 8  # a CUDA block: 32 channels, each summed by 8 threads


def batch_norm_reference(
    x: Matrix, g: Vector, b: Vector, running: Matrix, momentum: float, eps: float
) -> tuple[Matrix, Matrix, Matrix]:
    """y, moments, running"""
    count = max(len(x), 1)
    mean = x.sum(axis=0) / count
    square = ((x - mean) ** 2).sum(axis=0)
    r = 1 / np.sqrt(square / count + eps)
    now = np.stack([mean, square / max(count - 1, 1)])
    moved = running + momentum * (now - running) if len(x) else running
    return g * (x - mean) * r + b, np.stack([mean, r]), moved


def batch_norm_backward_reference(x: Matrix, g: Vector, moments: Matrix, dy: Matrix) -> tuple[Matrix, Vector, Vector]:
    mean, r = moments
    z = (x - mean) * r
    dg, db = (dy * z).sum(axis=0), dy.sum(axis=0)
    return g * r * (dy - (db + z * dg) / max(len(x), 1)), dg, db


def batch_norm_predict_reference(x: Matrix, g: Vector, b: Vector, running: Matrix, eps: float) -> Matrix:
    mean, variance = running
    return g * (x - mean) / np.sqrt(variance + eps) + b


# ---------------------------------------------------------------- CPU


@kernel
def batch_norm_forward(
    x: Matrix, g: Vector, b: Vector, momentum: Number, eps: Number,
    running: Matrix, moments: Matrix, y: Matrix,
) -> None:  # fmt: skip
    """Row after row, as they stand in memory."""
    N, C = x.shape
    count = np.float32(max(N, 1))
    others = np.float32(max(N - 1, 1))
    mean, r = moments[0], moments[1]
    # pass 1: the mean
    for c in range(C):
        mean[c] = ZERO
        r[c] = ZERO
    for n in range(N):
        for c in range(C):
            mean[c] += x[n, c]
    for c in range(C):
        mean[c] /= count
    # pass 2: the variance, around the mean
    for n in range(N):
        for c in range(C):
            r[c] += (x[n, c] - mean[c]) ** 2
    for c in range(C):
        if N > 0:
            running[0, c] += momentum * (mean[c] - running[0, c])
            running[1, c] += momentum * (r[c] / others - running[1, c])
        r[c] = ONE / math.sqrt(r[c] / count + eps)
    # pass 3: the output
    for n in range(N):
        for c in range(C):
            y[n, c] = g[c] * ((x[n, c] - mean[c]) * r[c]) + b[c]


@kernel
def batch_norm_backward(
    x: Matrix, g: Vector, moments: Matrix, dy: Matrix, sums: Matrix,
    dx: Matrix, dg: Vector, db: Vector,
) -> None:  # fmt: skip
    N, C = x.shape
    count = np.float32(max(N, 1))
    mean, r = moments[0], moments[1]
    plain, weighed = sums[0], sums[1]
    # y = g z + b
    for c in range(C):
        plain[c] = ZERO
        weighed[c] = ZERO
    for n in range(N):
        for c in range(C):
            plain[c] += dy[n, c]
            weighed[c] += dy[n, c] * ((x[n, c] - mean[c]) * r[c])
    for c in range(C):
        db[c] += plain[c]
        dg[c] += weighed[c]
        plain[c] /= count
        weighed[c] /= count
    # z = (x - mean) * r, and mean and r are made of x, too
    for n in range(dx.shape[0]):
        for c in range(C):
            z = (x[n, c] - mean[c]) * r[c]
            dx[n, c] += g[c] * r[c] * (dy[n, c] - plain[c] - z * weighed[c])


@kernel(rows="x y")
def batch_norm_predict(
    x: Matrix, g: Vector, b: Vector, running: Matrix, eps: Number,
    y: Matrix,
) -> None:  # fmt: skip
    """With the running mean and variance."""
    N, C = x.shape
    for n in range(N):
        for c in range(C):
            r = ONE / math.sqrt(running[1, c] + eps)
            y[n, c] = g[c] * ((x[n, c] - running[0, c]) * r) + b[c]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=(SIDE, DEEP), tiles_of="moments")
def batch_norm_forward_cuda(
    x: Matrix, g: Vector, b: Vector, momentum: Number, eps: Number,
    running: Matrix, moments: Matrix, y: Matrix,
) -> None:  # fmt: skip
    """A block does 32 channels, side by side in memory, 8 threads each."""
    shares = cuda.shared.array((DEEP, SIDE), np.float32)
    N, C = x.shape
    count, others = np.float32(max(N, 1)), np.float32(max(N - 1, 1))
    me, first = cuda.threadIdx.x, cuda.threadIdx.y
    c = cuda.blockIdx.x * SIDE + me
    # the last block has threads without a channel; they only wait
    last = N if c < C else 0
    c = min(c, C - 1)
    total = ZERO
    for n in range(first, last, DEEP):
        total += x[n, c]
    shares[first, me] = total
    cuda.syncthreads()  # all shares are there
    mean = ZERO
    for i in range(DEEP):
        mean += shares[i, me]
    mean /= count
    cuda.syncthreads()  # everyone has read them
    total = ZERO
    for n in range(first, last, DEEP):
        away = x[n, c] - mean
        total += away * away
    shares[first, me] = total
    cuda.syncthreads()  # all shares are there
    square = ZERO
    for i in range(DEEP):
        square += shares[i, me]
    r = ONE / math.sqrt(square / count + eps)
    for n in range(first, last, DEEP):
        y[n, c] = g[c] * ((x[n, c] - mean) * r) + b[c]
    if first == 0 and cuda.blockIdx.x * SIDE + me < C:
        moments[0, c] = mean
        moments[1, c] = r
        if N > 0:
            running[0, c] += momentum * (mean - running[0, c])
            running[1, c] += momentum * (square / others - running[1, c])


@cuda_kernel(threads=(SIDE, DEEP), tiles_of="moments")
def batch_norm_backward_cuda(
    x: Matrix, g: Vector, moments: Matrix, dy: Matrix, sums: Matrix,
    dx: Matrix, dg: Vector, db: Vector,
) -> None:  # fmt: skip
    """A block does 32 channels, side by side in memory, 8 threads each."""
    shares = cuda.shared.array((DEEP, SIDE), np.float32)
    more_shares = cuda.shared.array((DEEP, SIDE), np.float32)
    N, C = x.shape
    count = np.float32(max(N, 1))
    me, first = cuda.threadIdx.x, cuda.threadIdx.y
    c = cuda.blockIdx.x * SIDE + me
    # the last block has threads without a channel; they only wait
    last = N if c < C else 0
    c = min(c, C - 1)
    mean, r = moments[0, c], moments[1, c]
    plain = ZERO
    weighed = ZERO
    for n in range(first, last, DEEP):
        # y = g z + b
        plain += dy[n, c]
        weighed += dy[n, c] * ((x[n, c] - mean) * r)
    shares[first, me] = plain
    more_shares[first, me] = weighed
    cuda.syncthreads()  # all shares are there
    plain = ZERO
    weighed = ZERO
    for i in range(DEEP):
        plain += shares[i, me]
        weighed += more_shares[i, me]
    for n in range(first, min(last, dx.shape[0]), DEEP):
        # z = (x - mean) * r, and mean and r are made of x, too
        z = (x[n, c] - mean) * r
        dx[n, c] += g[c] * r * (dy[n, c] - (plain + z * weighed) / count)
    if first == 0 and cuda.blockIdx.x * SIDE + me < C:
        sums[0, c] = plain
        sums[1, c] = weighed
        db[c] += plain
        dg[c] += weighed


@cuda_kernel(threads=128, over="y")
def batch_norm_predict_cuda(
    x: Matrix, g: Vector, b: Vector, running: Matrix, eps: Number,
    y: Matrix,
) -> None:  # fmt: skip
    """One thread makes one number of y."""
    C = y.shape[1]
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        n, c = i // C, i % C
        r = ONE / math.sqrt(running[1, c] + eps)
        y[n, c] = g[c] * ((x[n, c] - running[0, c]) * r) + b[c]
