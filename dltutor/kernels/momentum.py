"""Gradient descent with momentum: a heavy ball keeps some of its speed.

    step       v[i] <- beta v[i] + g[i];  p[i] <- p[i] - lr v[i];  g[i] <- 0

Where gradients agree from step to step, steps grow up to 1 / (1 - beta) times as long; where they alternate, they
cancel.

Shapes   p g v any number of elements, flat. v starts as zeros.
Dtypes   all float32 or all float64. beta from 0 up to, not including, 1.
Writes   p and v updated; g spent, so that the next backward pass can add to zeros.
Keeps    v, as many numbers as p.
Cost     4 flops a parameter.
Source   Polyak 1964, doi:10.1016/0041-5553(64)90137-5.
Lesson   06-mlp, 07-optimizers
"""

from __future__ import annotations

from dltutor.kernels.compile import ZERO, Number, Vector, cuda, cuda_kernel, kernel


def momentum_reference(p: Vector, g: Vector, v: Vector, lr: float, beta: float) -> tuple[Vector, Vector]:
    v = beta * v + g
    return p - lr * v, v


# ---------------------------------------------------------------- CPU


@kernel(rows="p g v")
def momentum_step(
    p: Vector, g: Vector, v: Vector, lr: Number, beta: Number
) -> None:  # fmt: skip
    for i in range(p.size):
        v[i] = beta * v[i] + g[i]
        p[i] -= lr * v[i]
        g[i] = ZERO


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="p")
def momentum_step_cuda(
    p: Vector, g: Vector, v: Vector, lr: Number, beta: Number
) -> None:  # fmt: skip
    for i in range(cuda.grid(1), p.size, cuda.gridsize(1)):
        v[i] = beta * v[i] + g[i]
        p[i] -= lr * v[i]
        g[i] = ZERO
