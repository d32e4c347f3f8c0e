"""Nesterov momentum: a heavy ball that looks ahead.

    step       v[i] <- beta v[i] + g[i];  p[i] <- p[i] - lr (g[i] + beta v[i]);  g[i] <- 0

The next step will carry p on by -lr beta v whatever its gradient is. Nesterov takes the gradient there and not here;
written for the point looked at and not for the one left behind, that is the line above. Where plain momentum
overshoots, this one brakes a step sooner.

Shapes   p g v any number of elements, flat. v starts as zeros.
Dtypes   all float32 or all float64. beta from 0 up to, not including, 1.
Writes   p and v updated; g spent, so that the next backward pass can add to zeros.
Keeps    v, as many numbers as p.
Cost     6 flops a parameter.
Source   Nesterov 1983, Soviet Mathematics Doklady 27(2); in this form Sutskever, Martens, Dahl, Hinton 2013, section 2.
Lesson   07-optimizers
"""

from __future__ import annotations

from dltutor.kernels.compile import ZERO, Number, Vector, cuda, cuda_kernel, kernel


def nesterov_reference(p: Vector, g: Vector, v: Vector, lr: float, beta: float) -> tuple[Vector, Vector]:
    v = beta * v + g
    return p - lr * (g + beta * v), v


# ---------------------------------------------------------------- CPU


@kernel(rows="p g v")
def nesterov_step(
    p: Vector, g: Vector, v: Vector, lr: Number, beta: Number
) -> None:  # fmt: skip
    for i in range(p.size):
        v[i] = beta * v[i] + g[i]
        p[i] -= lr * (g[i] + beta * v[i])
        g[i] = ZERO


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="p")
def nesterov_step_cuda(
    p: Vector, g: Vector, v: Vector, lr: Number, beta: Number
) -> None:  # fmt: skip
    for i in range(cuda.grid(1), p.size, cuda.gridsize(1)):
        v[i] = beta * v[i] + g[i]
        p[i] -= lr * (g[i] + beta * v[i])
        g[i] = ZERO
