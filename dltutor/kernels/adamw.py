"""AdamW: Adam, and beside it every parameter shrinks a little towards zero.

    step       p[i] <- p[i] - lr decay p[i]
               m[i] <- beta1 m[i] + (1 - beta1) g[i];  v[i] <- beta2 v[i] + (1 - beta2) g[i]^2
               p[i] <- p[i] - lr (m[i] / c1) / (sqrt(v[i] / c2) + eps);  g[i] <- 0
    where      c1 = 1 - beta1^k and c2 = 1 - beta2^k at step k = 1, 2, ...

The same shrinking as a part of the gradient (an L2 penalty) would be divided by sqrt(v), too: parameters with large
gradients would hardly shrink. Kept apart, decay acts on all alike.

Shapes   p g m v any number of elements, flat. m and v start as zeros.
Dtypes   all float32 or all float64.
Writes   p, m, v updated; g spent, so that the next backward pass can add to zeros.
Keeps    m and v, twice as many numbers as p.
Cost     13 flops, a square root and a division a parameter.
Source   Loshchilov, Hutter 2017, arXiv:1711.05101, algorithm 2.
Lesson   07-optimizers
"""

from __future__ import annotations

import math

from dltutor.kernels.adam import adam_reference
from dltutor.kernels.compile import ONE, ZERO, Number, Vector, cuda, cuda_kernel, kernel


def adamw_reference(
    p: Vector,
    g: Vector,
    m: Vector,
    v: Vector,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    decay: float,
    c1: float,
    c2: float,
) -> tuple[Vector, Vector, Vector]:
    return adam_reference(p - lr * decay * p, g, m, v, lr, beta1, beta2, eps, c1, c2)


# ---------------------------------------------------------------- CPU


@kernel(rows="p g m v")
def adamw_step(
    p: Vector, g: Vector, m: Vector, v: Vector,
    lr: Number, beta1: Number, beta2: Number, eps: Number,
    decay: Number, c1: Number, c2: Number,
) -> None:  # fmt: skip
    for i in range(p.size):
        p[i] -= lr * decay * p[i]
        m[i] = beta1 * m[i] + (ONE - beta1) * g[i]
        v[i] = beta2 * v[i] + (ONE - beta2) * g[i] * g[i]
        p[i] -= lr * (m[i] / c1) / (math.sqrt(v[i] / c2) + eps)
        g[i] = ZERO


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="p")
def adamw_step_cuda(
    p: Vector, g: Vector, m: Vector, v: Vector,
    lr: Number, beta1: Number, beta2: Number, eps: Number,
    decay: Number, c1: Number, c2: Number,
) -> None:  # fmt: skip
    for i in range(cuda.grid(1), p.size, cuda.gridsize(1)):
        p[i] -= lr * decay * p[i]
        m[i] = beta1 * m[i] + (ONE - beta1) * g[i]
        v[i] = beta2 * v[i] + (ONE - beta2) * g[i] * g[i]
        p[i] -= lr * (m[i] / c1) / (math.sqrt(v[i] / c2) + eps)
        g[i] = ZERO
