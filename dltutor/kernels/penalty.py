"""L1 and L2 penalties: large weights cost something.

    L1         loss <- loss + strength sum_i |w[i]|;        dw[i] += strength sign(w[i]),  sign(0) = 0
    L2         loss <- loss + strength / 2 sum_i w[i]^2;    dw[i] += strength w[i]

L2 pulls at a weight the less, the smaller it is, and leaves many small ones; L1 pulls always alike, to zero in the end.
With plain gradient descent the L2 penalty is weight decay.

Shapes   w dw any number of elements, flat; loss (1,).
Dtypes   all float32 or all float64.
Writes   loss and dw added to.
Keeps    w.
Cost     2 flops a weight, forward and backward.
Source   Hoerl, Kennard 1970, doi:10.1080/00401706.1970.10488634 (L2); Tibshirani 1996,
         doi:10.1111/j.2517-6161.1996.tb02080.x (L1).
Lesson   09-overfitting
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import HALF, ONE, ZERO, Number, Vector, cuda, cuda_kernel, kernel, scalar
from dltutor.kernels.reduce import BLOCK, block_sum


def l1_reference(w: Vector, strength: float, loss: Vector) -> Vector:
    return loss + strength * np.sum(np.abs(w))


def l1_backward_reference(w: Vector, strength: float) -> Vector:
    return strength * np.sign(w)


def l2_reference(w: Vector, strength: float, loss: Vector) -> Vector:
    return loss + strength / 2 * np.sum(w**2)


def l2_backward_reference(w: Vector, strength: float) -> Vector:
    return strength * w


@scalar
def sign(x: Number) -> Number:
    """1, -1, or x itself, which then is 0 or NaN."""
    return ONE if x > ZERO else (-ONE if x < ZERO else x)


# ---------------------------------------------------------------- CPU


@kernel
def l1_forward(w: Vector, strength: Number, loss: Vector) -> None:
    total = ZERO
    for i in range(w.size):
        total += abs(w[i])
    loss[0] += strength * total


@kernel(rows="w dw")
def l1_backward(w: Vector, strength: Number, dw: Vector) -> None:
    for i in range(w.size):
        # total += abs(w[i])
        dw[i] += strength * sign(w[i])


@kernel
def l2_forward(w: Vector, strength: Number, loss: Vector) -> None:
    total = ZERO
    for i in range(w.size):
        total += w[i] * w[i]
    loss[0] += HALF * strength * total


@kernel(rows="w dw")
def l2_backward(w: Vector, strength: Number, dw: Vector) -> None:
    for i in range(w.size):
        # total += w[i] * w[i], then half of it
        dw[i] += strength * w[i]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=BLOCK)
def l1_forward_cuda(w: Vector, strength: Number, loss: Vector) -> None:
    """One block: each thread adds up a share, then all shares are added."""
    total = ZERO
    for i in range(cuda.threadIdx.x, w.size, BLOCK):
        total += abs(w[i])
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        loss[0] += strength * total


@cuda_kernel(threads=128, over="w")
def l1_backward_cuda(w: Vector, strength: Number, dw: Vector) -> None:
    for i in range(cuda.grid(1), w.size, cuda.gridsize(1)):
        # total += abs(w[i])
        dw[i] += strength * sign(w[i])


@cuda_kernel(threads=BLOCK)
def l2_forward_cuda(w: Vector, strength: Number, loss: Vector) -> None:
    """One block: each thread adds up a share, then all shares are added."""
    total = ZERO
    for i in range(cuda.threadIdx.x, w.size, BLOCK):
        total += w[i] * w[i]
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        loss[0] += HALF * strength * total


@cuda_kernel(threads=128, over="w")
def l2_backward_cuda(w: Vector, strength: Number, dw: Vector) -> None:
    for i in range(cuda.grid(1), w.size, cuda.gridsize(1)):
        # total += w[i] * w[i], then half of it
        dw[i] += strength * w[i]
