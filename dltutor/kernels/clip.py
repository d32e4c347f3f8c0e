"""Clip gradients that have grown too large, before an optimiser takes a step along them.

    by norm    norm = sqrt(sum_i g[i]^2);  g[i] <- g[i] limit / norm where norm is greater than limit
    by value   g[i] <- max(-limit, min(limit, g[i]))

By norm, over all parameters at once, the step gets shorter and keeps its direction; by value it turns. NaN stays NaN.

The squares are added up in P shares, every P-th number in one, and then the shares: so many can work at it at a time,
the sum is always made in the same order, and in a long one less is lost to rounding.

Shapes   g any number of elements, flat; parts (P,), P at least 1; norm (1,).
Dtypes   all float32 or all float64. limit above 0.
Writes   g changed in place; norm (before clipping) and parts overwritten.
Keeps    nothing.
Cost     by norm 3 flops an element in two passes, one where nothing is clipped; by value 2 comparisons.
Source   Pascanu, Mikolov, Bengio 2012, arXiv:1211.5063, algorithm 1.
Lesson   08-initialisation-and-gradients, 12-rnn
"""

from __future__ import annotations

import math

import numpy as np

from dltutor.kernels.compile import ZERO, Number, Vector, cuda, cuda_kernel, cuda_sequence, kernel
from dltutor.kernels.reduce import BLOCK, block_sum


def clip_norm_reference(g: Vector, limit: float) -> tuple[Vector, float]:
    norm = float(np.sqrt(np.sum(g**2)))
    return (g * (limit / norm) if norm > limit else g), norm


def clip_value_reference(g: Vector, limit: float) -> Vector:
    return np.clip(g, -limit, limit)


# ---------------------------------------------------------------- CPU


@kernel
def clip_norm(
    g: Vector, limit: Number, parts: Vector, norm: Vector
) -> None:  # fmt: skip
    P = parts.size
    whole = g.size // P
    for j in range(P):
        parts[j] = ZERO
    for k in range(whole):
        for j in range(P):
            parts[j] += g[k * P + j] * g[k * P + j]
    for j in range(g.size - whole * P):
        parts[j] += g[whole * P + j] * g[whole * P + j]
    total = ZERO
    for j in range(P):
        total += parts[j]
    norm[0] = math.sqrt(total)
    if norm[0] > limit:
        scale = limit / norm[0]
        for i in range(g.size):
            g[i] *= scale


@kernel
def clip_value(g: Vector, limit: Number) -> None:
    for i in range(g.size):
        below = limit if g[i] > limit else g[i]
        g[i] = -limit if below < -limit else below


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="parts")
def clip_parts_cuda(g: Vector, parts: Vector) -> None:
    """Neighbouring threads read neighbouring numbers."""
    for j in range(cuda.grid(1), parts.size, cuda.gridsize(1)):
        squares = ZERO
        for i in range(j, g.size, parts.size):
            squares += g[i] * g[i]
        parts[j] = squares


@cuda_kernel(threads=BLOCK)
def clip_total_cuda(parts: Vector, norm: Vector) -> None:
    total = ZERO
    for j in range(cuda.threadIdx.x, parts.size, BLOCK):
        total += parts[j]
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        norm[0] = math.sqrt(total)


@cuda_kernel(threads=128, over="g")
def clip_scale_cuda(g: Vector, limit: Number, norm: Vector) -> None:
    if norm[0] > limit:
        scale = limit / norm[0]
        for i in range(cuda.grid(1), g.size, cuda.gridsize(1)):
            g[i] *= scale


@cuda_sequence
def clip_norm_cuda(
    g: Vector, limit: Number, parts: Vector, norm: Vector
) -> None:  # fmt: skip
    clip_parts_cuda(g, parts)
    clip_total_cuda(parts, norm)
    clip_scale_cuda(g, limit, norm)


@cuda_kernel(threads=128, over="g")
def clip_value_cuda(g: Vector, limit: Number) -> None:
    for i in range(cuda.grid(1), g.size, cuda.gridsize(1)):
        below = limit if g[i] > limit else g[i]
        g[i] = -limit if below < -limit else below
