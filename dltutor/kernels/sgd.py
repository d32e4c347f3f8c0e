"""Gradient descent: one step downhill.

    step       p[i] <- p[i] - lr g[i];  g[i] <- 0

It is called stochastic when g comes from a batch drawn by chance and not from all samples.

Shapes   p g any number of elements, flat: all parameters of a model one after the other.
Dtypes   all float32 or all float64.
Writes   p updated; g spent, so that the next backward pass can add to zeros.
Keeps    nothing.
Cost     2 flops a parameter.
Source   Robbins, Monro 1951, doi:10.1214/aoms/1177729586.
Lesson   01-linear-regression, 07-optimizers
"""

from __future__ import annotations

from dltutor.kernels.compile import ZERO, Number, Vector, cuda, cuda_kernel, kernel


def sgd_reference(p: Vector, g: Vector, lr: float) -> Vector:
    return p - lr * g


# ---------------------------------------------------------------- CPU


@kernel(rows="p g")
def sgd_step(p: Vector, g: Vector, lr: Number) -> None:
    for i in range(p.size):
        p[i] -= lr * g[i]
        g[i] = ZERO


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="p")
def sgd_step_cuda(p: Vector, g: Vector, lr: Number) -> None:
    for i in range(cuda.grid(1), p.size, cuda.gridsize(1)):
        p[i] -= lr * g[i]
        g[i] = ZERO
