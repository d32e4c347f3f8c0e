"""Adam: momentum, with a step length of its own for every parameter.

    step       m[i] <- beta1 m[i] + (1 - beta1) g[i]           running mean of the gradient
               v[i] <- beta2 v[i] + (1 - beta2) g[i]^2         running mean of its square
               p[i] <- p[i] - lr (m[i] / c1) / (sqrt(v[i] / c2) + eps);  g[i] <- 0
    where      c1 = 1 - beta1^k and c2 = 1 - beta2^k at step k = 1, 2, ...

Both means start at zero and so are too small at first; dividing by c1 and c2 makes up for it.

Shapes   p g m v any number of elements, flat. m and v start as zeros.
Dtypes   all float32 or all float64.
Writes   p, m, v updated; g spent, so that the next backward pass can add to zeros.
Keeps    m and v, twice as many numbers as p.
Cost     11 flops, a square root and a division a parameter.
Source   Kingma, Ba 2014, arXiv:1412.6980, algorithm 1.
Lesson   06-mlp, 07-optimizers
"""

from __future__ import annotations

import math

import numpy as np

from dltutor.kernels.compile import ONE, ZERO, Number, Vector, cuda, cuda_kernel, kernel


def adam_reference(
    p: Vector,
    g: Vector,
    m: Vector,
    v: Vector,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    c1: float,
    c2: float,
) -> tuple[Vector, Vector, Vector]:
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return p - lr * (m / c1) / (np.sqrt(v / c2) + eps), m, v


# ---------------------------------------------------------------- CPU


@kernel(rows="p g m v")
def adam_step(
    p: Vector, g: Vector, m: Vector, v: Vector,
    lr: Number, beta1: Number, beta2: Number, eps: Number,
    c1: Number, c2: Number,
) -> None:  # fmt: skip
    for i in range(p.size):
        m[i] = beta1 * m[i] + (ONE - beta1) * g[i]
        v[i] = beta2 * v[i] + (ONE - beta2) * g[i] * g[i]
        p[i] -= lr * (m[i] / c1) / (math.sqrt(v[i] / c2) + eps)
        g[i] = ZERO


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="p")
def adam_step_cuda(
    p: Vector, g: Vector, m: Vector, v: Vector,
    lr: Number, beta1: Number, beta2: Number, eps: Number,
    c1: Number, c2: Number,
) -> None:  # fmt: skip
    for i in range(cuda.grid(1), p.size, cuda.gridsize(1)):
        m[i] = beta1 * m[i] + (ONE - beta1) * g[i]
        v[i] = beta2 * v[i] + (ONE - beta2) * g[i] * g[i]
        p[i] -= lr * (m[i] / c1) / (math.sqrt(v[i] / c2) + eps)
        g[i] = ZERO
