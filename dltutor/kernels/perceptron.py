"""The perceptron: a neuron that says yes or no, and the rule by which it learns.

    forward    y[n] = 1 where z = sum_d x[n,d] w[d] + b > 0, otherwise 0
    step       for each sample n in turn:  e = t[n] - y[n];  w[d] <- w[d] + lr e x[n,d];  b <- b + lr e

Only a mistake changes anything: a missed sample's inputs are added to the weights, a false alarm's taken off. If any
line (plane) separates the classes, the rule finds one after a finite number of mistakes; if none does, as for XOR, it
never comes to rest. The step function has no slope to descend, and the rule is not gradient descent on its errors.

Shapes   x (N, D); w (D,); b (1,); y t (N,); mistakes (1,). C-contiguous. N may be 0.
Dtypes   x w b y t all float32 or all float64, t 0 or 1; mistakes int32.
Writes   forward: y overwritten. Step: w and b updated, mistakes overwritten with their number.
Keeps    nothing.
Cost     2D flops a sample forward, 4D in a step.
Source   Rosenblatt 1958, doi:10.1037/h0042519; Novikoff 1962 (that it comes to rest); the unit without learning,
         McCulloch, Pitts 1943, doi:10.1007/BF02478259.
Lesson   03-neurons-and-activations
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import (
    ONE,
    ZERO,
    Labels,
    Matrix,
    Number,
    Vector,
    cuda,
    cuda_kernel,
    kernel,
    scalar,
)
from dltutor.kernels.reduce import WARP, block_sum


def perceptron_reference(x: Matrix, w: Vector, b: Vector) -> Vector:
    z = x @ w + b
    return np.where(np.isnan(z), z, z > 0)


def perceptron_step_reference(x: Matrix, t: Vector, w: Vector, b: Vector, lr: float) -> tuple[Vector, Vector, Labels]:
    mistakes = 0
    for inputs, truth in zip(x, t, strict=True):
        e = truth - perceptron_reference(inputs[None], w, b)[0]
        w, b = w + lr * e * inputs, b + lr * e
        mistakes += e != 0
    return w, b, np.array([mistakes], np.int32)


@scalar
def fires(z: Number) -> Number:
    """The step function; NaN stays NaN."""
    return ONE if z > ZERO else (z if z != z else ZERO)


# ---------------------------------------------------------------- CPU


@kernel
def perceptron_forward(x: Matrix, w: Vector, b: Vector, y: Vector) -> None:
    N, D = x.shape
    for n in range(N):
        z = b[0]
        for d in range(D):
            z += x[n, d] * w[d]
        y[n] = fires(z)


@kernel
def perceptron_step(
    x: Matrix, t: Vector, w: Vector, b: Vector, lr: Number,
    mistakes: Labels,
) -> None:  # fmt: skip
    N, D = x.shape
    mistakes[0] = 0
    for n in range(N):
        z = b[0]
        for d in range(D):
            z += x[n, d] * w[d]
        e = t[n] - fires(z)
        for d in range(D):
            w[d] += lr * e * x[n, d]
        b[0] += lr * e
        mistakes[0] += e != ZERO


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, rows_of="x")
def perceptron_forward_cuda(
    x: Matrix, w: Vector, b: Vector, y: Vector
) -> None:  # fmt: skip
    """One thread does one sample."""
    N, D = x.shape
    for n in range(cuda.grid(1), N, cuda.gridsize(1)):
        z = b[0]
        d = 0
        while d < D:
            z += x[n, d] * w[d]
            d += 1
        y[n] = fires(z)


@cuda_kernel(threads=WARP)
def perceptron_step_cuda(
    x: Matrix, t: Vector, w: Vector, b: Vector, lr: Number,
    mistakes: Labels,
) -> None:  # fmt: skip
    """One block: samples come in turn, the threads share the inputs."""
    N, D = x.shape
    me = cuda.threadIdx.x
    bias, wrong = b[0], 0
    for n in range(N):
        z = ZERO
        for d in range(me, D, WARP):
            z += x[n, d] * w[d]
        # each thread keeps its own bias: all of them do the same to it
        e = t[n] - fires(block_sum(z) + bias)
        for d in range(me, D, WARP):
            w[d] += lr * e * x[n, d]
        bias += lr * e
        wrong += e != ZERO
    cuda.syncthreads()  # everyone has read b, even where there was no sample
    if me == 0:
        b[0], mistakes[0] = bias, wrong
