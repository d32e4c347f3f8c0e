"""Binary cross-entropy of logits: how surprised the model is by the truth.

    forward    loss = (1 / n) sum_i -t[i] log p[i] - (1 - t[i]) log(1 - p[i]),  p[i] = sigmoid(z[i])
                    = (1 / n) sum_i max(z[i], 0) - z[i] t[i] + log(1 + e^-|z[i]|)
    backward   dz[i] += (1 / n) (p[i] - t[i])

The second form takes the logarithm of no number below 1, so that a confident mistake costs |z| and not infinity. In the
gradient the sigmoid's own derivative has cancelled: a confident mistake is corrected at full strength.

Shapes   z t dz any number of elements, flat; loss (1,). Of no elements the loss is 0.
Dtypes   all float32 or all float64. t from 0 to 1.
Writes   loss overwritten; dz added to.
Keeps    z.
Cost     an exponential and a logarithm an element forward, an exponential and a division backward.
Source   Cox 1958, doi:10.1111/j.2517-6161.1958.tb00292.x.
Lesson   02-logistic-regression, 04-loss-functions
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ONE, ZERO, Number, Vector, cuda, cuda_kernel, kernel, scalar
from dltutor.kernels.elementary import exp, log_one_plus_exp
from dltutor.kernels.reduce import BLOCK, block_sum
from dltutor.kernels.sigmoid import sigmoid_reference


def binary_cross_entropy_reference(z: Vector, t: Vector) -> float:
    surprise = np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))
    return float(surprise.sum() / max(z.size, 1))


def binary_cross_entropy_backward_reference(z: Vector, t: Vector) -> Vector:
    return (sigmoid_reference(z) - t) / max(z.size, 1)


@scalar
def surprise(z: Number, t: Number) -> Number:
    """-t log p - (1 - t) log(1 - p) with p = sigmoid(z)"""
    positive = ZERO if z <= ZERO else z
    return positive - z * t + log_one_plus_exp(-abs(z))


# ---------------------------------------------------------------- CPU


@kernel
def binary_cross_entropy_forward(
    z: Vector, t: Vector, loss: Vector
) -> None:  # fmt: skip
    total = ZERO
    for i in range(z.size):
        total += surprise(z[i], t[i])
    loss[0] = total / np.float32(max(z.size, 1))


@kernel
def binary_cross_entropy_backward(z: Vector, t: Vector, dz: Vector) -> None:
    share = ONE / np.float32(max(z.size, 1))
    for i in range(z.size):
        # total += surprise(z[i], t[i]), then / n
        p = ONE / (ONE + exp(-z[i]))
        dz[i] += share * (p - t[i])


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=BLOCK)
def binary_cross_entropy_forward_cuda(
    z: Vector, t: Vector, loss: Vector
) -> None:  # fmt: skip
    """One block: each thread adds up a share, then all shares are added."""
    n = z.size
    total = ZERO
    for i in range(cuda.grid(1), n, BLOCK):
        total += surprise(z[i], t[i])
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        loss[0] = total / np.float32(max(n, 1))


@cuda_kernel(threads=128, over="z")
def binary_cross_entropy_backward_cuda(
    z: Vector, t: Vector, dz: Vector
) -> None:  # fmt: skip
    share = ONE / np.float32(max(z.size, 1))
    for i in range(cuda.grid(1), z.size, cuda.gridsize(1)):
        # total += surprise(z[i], t[i]), then / n
        p = ONE / (ONE + exp(-z[i]))
        dz[i] += share * (p - t[i])
