"""RMSProp: a step length of its own for every parameter, by how large its gradients have been of late.

    step       v[i] <- alpha v[i] + (1 - alpha) g[i]^2         running mean of the gradient's square
               p[i] <- p[i] - lr g[i] / (sqrt(v[i]) + eps);  g[i] <- 0

Steep directions are divided by a large number and flat ones by a small one, so all move at about the speed lr. v starts
at zero and is too small at first: the first steps are up to 1 / sqrt(1 - alpha) times as long. Adam makes up for it.

Shapes   p g v any number of elements, flat. v starts as zeros.
Dtypes   all float32 or all float64. alpha from 0 up to, not including, 1.
Writes   p and v updated; g spent, so that the next backward pass can add to zeros.
Keeps    v, as many numbers as p.
Cost     7 flops, a square root and a division a parameter.
Source   Tieleman, Hinton 2012, Neural Networks for Machine Learning, lecture 6e.
Lesson   07-optimizers
"""

from __future__ import annotations

import math

import numpy as np

from dltutor.kernels.compile import ONE, ZERO, Number, Vector, cuda, cuda_kernel, kernel


def rmsprop_reference(p: Vector, g: Vector, v: Vector, lr: float, alpha: float, eps: float) -> tuple[Vector, Vector]:
    v = alpha * v + (1 - alpha) * g**2
    return p - lr * g / (np.sqrt(v) + eps), v


# ---------------------------------------------------------------- CPU


@kernel(rows="p g v")
def rmsprop_step(
    p: Vector, g: Vector, v: Vector,
    lr: Number, alpha: Number, eps: Number,
) -> None:  # fmt: skip
    for i in range(p.size):
        v[i] = alpha * v[i] + (ONE - alpha) * g[i] * g[i]
        p[i] -= lr * g[i] / (math.sqrt(v[i]) + eps)
        g[i] = ZERO


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="p")
def rmsprop_step_cuda(
    p: Vector, g: Vector, v: Vector,
    lr: Number, alpha: Number, eps: Number,
) -> None:  # fmt: skip
    for i in range(cuda.grid(1), p.size, cuda.gridsize(1)):
        v[i] = alpha * v[i] + (ONE - alpha) * g[i] * g[i]
        p[i] -= lr * g[i] / (math.sqrt(v[i]) + eps)
        g[i] = ZERO
