"""Dropout: in training, every number is left out with some probability.

    forward    y[i] = m[i] x[i],  m[i] = 1 / keep where u[i] < keep, otherwise 0;  u uniform random numbers
    backward   dx[i] += m[i] dy[i]

No unit can rely on another one being there. Dividing by keep makes up for the missing ones, so that the mean of y is x,
and nothing is to be done when training is over.

The mask is not kept: u is a function of the key (random.py), and the backward pass makes it again.

Shapes   x y dx dy any number of elements, flat; keep (1,); key (4,). dx may be empty: then nothing is added.
Dtypes   all float32 or all float64; key uint32. keep above 0, up to 1.
Writes   y overwritten; dx added to.
Keeps    the key.
Cost     25 integer operations and 2 flops an element, forward and backward.
Source   Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014, Journal of Machine Learning Research 15.
Lesson   09-overfitting
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import (
    ONE,
    ZERO,
    Number,
    Uint32Vector,
    Vector,
    cuda,
    cuda_kernel,
    kernel,
    scalar,
)
from dltutor.kernels.random import NONE, Word, philox, random_uniform_reference, uniform, word


def dropout_reference(x: Vector, key: Uint32Vector, keep: Vector) -> Vector:
    return x * (random_uniform_reference(key, x.size) < keep) / keep


def dropout_backward_reference(key: Uint32Vector, keep: Vector, dy: Vector) -> Vector:
    return dropout_reference(dy, key, keep)


@scalar
def mask(scale: Number, share: Number, r: Word) -> Number:
    """`scale` for a share of all random words, 0 for the others."""
    return scale if uniform(r) < share else ZERO


# ---------------------------------------------------------------- CPU


@kernel
def dropout_forward(
    x: Vector, key: Uint32Vector, keep: Vector, y: Vector
) -> None:  # fmt: skip
    k0, k1, s0, s1 = key[0], key[1], key[2], key[3]
    p, m = keep[0], ONE / keep[0]
    whole = y.size // 4
    for i in range(whole):
        # four numbers share the making of four random words
        a, b, c, d = philox(np.uint32(i), NONE, s0, s1, k0, k1)
        y[4 * i] = mask(m, p, a) * x[4 * i]
        y[4 * i + 1] = mask(m, p, b) * x[4 * i + 1]
        y[4 * i + 2] = mask(m, p, c) * x[4 * i + 2]
        y[4 * i + 3] = mask(m, p, d) * x[4 * i + 3]
    for i in range(4 * whole, y.size):
        y[i] = mask(m, p, word(i, k0, k1, s0, s1)) * x[i]


@kernel
def dropout_backward(
    dy: Vector, key: Uint32Vector, keep: Vector, dx: Vector
) -> None:  # fmt: skip
    k0, k1, s0, s1 = key[0], key[1], key[2], key[3]
    p, m = keep[0], ONE / keep[0]
    whole = dx.size // 4
    for i in range(whole):
        a, b, c, d = philox(np.uint32(i), NONE, s0, s1, k0, k1)
        # y[i] = mask(m, p, word i) * x[i]
        dx[4 * i] += mask(m, p, a) * dy[4 * i]
        dx[4 * i + 1] += mask(m, p, b) * dy[4 * i + 1]
        dx[4 * i + 2] += mask(m, p, c) * dy[4 * i + 2]
        dx[4 * i + 3] += mask(m, p, d) * dy[4 * i + 3]
    for i in range(4 * whole, dx.size):
        dx[i] += mask(m, p, word(i, k0, k1, s0, s1)) * dy[i]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def dropout_forward_cuda(
    x: Vector, key: Uint32Vector, keep: Vector, y: Vector
) -> None:  # fmt: skip
    p, m = keep[0], ONE / keep[0]
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        r = word(i, key[0], key[1], key[2], key[3])
        y[i] = mask(m, p, r) * x[i]


@cuda_kernel(threads=128, over="dx")
def dropout_backward_cuda(
    dy: Vector, key: Uint32Vector, keep: Vector, dx: Vector
) -> None:  # fmt: skip
    p, m = keep[0], ONE / keep[0]
    for i in range(cuda.grid(1), dx.size, cuda.gridsize(1)):
        # y[i] = mask(m, p, r) * x[i]
        r = word(i, key[0], key[1], key[2], key[3])
        dx[i] += mask(m, p, r) * dy[i]
