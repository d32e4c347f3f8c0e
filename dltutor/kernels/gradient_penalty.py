"""Gradient penalty of a Wasserstein critic: it is to be as steep as 1, between the real samples and the generated ones.

    interpolate        forward    x[n,d] = u[n] real[n,d] + (1 - u[n]) fake[n,d]
    gradient_penalty   forward    loss = (weight / N) sum_n (|g[n]| - 1)^2,  |g[n]| = sqrt(sum_d g[n,d]^2)
                       backward   dg[n,d] += (2 weight / N) (|g[n]| - 1) g[n,d] / |g[n]|;  0 where |g[n]| is 0

g[n] is the derivative of the critic's score by its input x[n]. Its own derivative by the critic's weights is a second
derivative: the layers make it, from dg.

Shapes   real fake x g dg (N, D); u norm (N,); loss (1,). C-contiguous. Of no samples the loss is 0.
Dtypes   all float32 or all float64; u from 0 to 1.
Writes   x, norm, loss overwritten; dg added to.
Keeps    g and norm.
Cost     3 flops a number to interpolate; 2 flops forward, 2 flops backward.
Source   Gulrajani et al. 2017, arXiv:1704.00028, eq. 3 and algorithm 1.
Lesson   17-gan
"""

from __future__ import annotations

import math

import numpy as np

from dltutor.kernels.compile import (
    ONE,
    TWO,
    ZERO,
    Matrix,
    Number,
    Vector,
    cuda,
    cuda_kernel,
    cuda_sequence,
    kernel,
)
from dltutor.kernels.reduce import BLOCK, WARP, block_sum


def interpolate_reference(real: Matrix, fake: Matrix, u: Vector) -> Matrix:
    return u[:, None] * real + (1 - u[:, None]) * fake


def row_norms_reference(g: Matrix) -> Vector:
    return np.sqrt((g * g).sum(axis=1))


def gradient_penalty_reference(g: Matrix, weight: float) -> float:
    return float(weight * np.sum((row_norms_reference(g) - 1) ** 2) / max(len(g), 1))


def gradient_penalty_backward_reference(g: Matrix, weight: float) -> Matrix:
    norm = row_norms_reference(g)[:, None]
    unit = g / np.where(norm == 0, 1, norm)
    return 2 * weight * (norm - 1) * unit / max(len(g), 1)


# ---------------------------------------------------------------- CPU


@kernel(rows="real fake u x")
def interpolate_forward(
    real: Matrix, fake: Matrix, u: Vector, x: Matrix
) -> None:  # fmt: skip
    N, D = x.shape
    for n in range(N):
        part = u[n]
        for d in range(D):
            x[n, d] = part * real[n, d] + (ONE - part) * fake[n, d]


@kernel
def gradient_penalty_forward(
    g: Matrix, weight: Number, norm: Vector, loss: Vector
) -> None:  # fmt: skip
    N, D = g.shape
    total = ZERO
    for n in range(N):
        square = ZERO
        for d in range(D):
            square += g[n, d] * g[n, d]
        norm[n] = math.sqrt(square)
        total += (norm[n] - ONE) * (norm[n] - ONE)
    loss[0] = weight * total / np.float32(max(N, 1))


@kernel
def gradient_penalty_backward(
    g: Matrix, weight: Number, norm: Vector, dg: Matrix
) -> None:  # fmt: skip
    N, D = g.shape
    share = TWO * weight / np.float32(max(N, 1))
    for n in range(N):
        # total += (norm[n] - ONE) * (norm[n] - ONE), then * weight / N
        dnorm = share * (norm[n] - ONE)
        scale = ZERO if norm[n] == ZERO else dnorm / norm[n]
        for d in range(D):
            # norm[n] = sqrt(sum of g[n, d] * g[n, d])
            dg[n, d] += scale * g[n, d]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="x")
def interpolate_forward_cuda(
    real: Matrix, fake: Matrix, u: Vector, x: Matrix
) -> None:  # fmt: skip
    N, D = x.shape
    for i in range(cuda.grid(1), N * D, cuda.gridsize(1)):
        n, d = i // D, i % D
        x[n, d] = u[n] * real[n, d] + (ONE - u[n]) * fake[n, d]


@cuda_sequence
def gradient_penalty_forward_cuda(
    g: Matrix, weight: Number, norm: Vector, loss: Vector
) -> None:  # fmt: skip
    """First all rows at a time, then their mean."""
    row_norms_cuda(g, norm)
    mean_penalty_cuda(norm, weight, loss)


@cuda_kernel(threads=WARP, blocks_of="g")
def row_norms_cuda(g: Matrix, norm: Vector) -> None:
    """One block does one row; each thread takes every 32nd number of it."""
    D = g.shape[1]
    n, first = cuda.blockIdx.x, cuda.threadIdx.x
    square = ZERO
    for d in range(first, D, WARP):
        square += g[n, d] * g[n, d]
    square = block_sum(square)
    if first == 0:
        norm[n] = math.sqrt(square)


@cuda_kernel(threads=BLOCK)
def mean_penalty_cuda(norm: Vector, weight: Number, loss: Vector) -> None:
    """One block: each thread adds up a share, then all shares are added."""
    N = norm.size
    total = ZERO
    for n in range(cuda.grid(1), N, BLOCK):
        total += (norm[n] - ONE) * (norm[n] - ONE)
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        loss[0] = weight * total / np.float32(max(N, 1))


@cuda_kernel(threads=128, over="g")
def gradient_penalty_backward_cuda(
    g: Matrix, weight: Number, norm: Vector, dg: Matrix
) -> None:  # fmt: skip
    N, D = g.shape
    share = TWO * weight / np.float32(max(N, 1))
    for i in range(cuda.grid(1), N * D, cuda.gridsize(1)):
        n, d = i // D, i % D
        # total += (norm[n] - ONE) * (norm[n] - ONE), then * weight / N
        dnorm = share * (norm[n] - ONE)
        scale = ZERO if norm[n] == ZERO else dnorm / norm[n]
        # norm[n] = sqrt(sum of g[n, d] * g[n, d])
        dg[n, d] += scale * g[n, d]
