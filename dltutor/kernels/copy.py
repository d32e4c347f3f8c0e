"""Copy: the state that a recurrent layer starts with, or the last of many time steps.

    forward    y[i] = x[i]
    backward   dx[i] += dy[i]

Shapes   x y dx dy any number of elements, flat.
Dtypes   all float32 or all float64.
Writes   y overwritten; dx added to.
Keeps    nothing.
Cost     one pass over x, one over dy.
Lesson   12-rnn, 13-lstm
"""

from __future__ import annotations

from dltutor.kernels.compile import Vector, cuda, cuda_kernel, kernel


def copy_reference(x: Vector) -> Vector:
    return x.copy()


def copy_backward_reference(dy: Vector) -> Vector:
    return dy


# ---------------------------------------------------------------- CPU


@kernel
def copy_forward(x: Vector, y: Vector) -> None:
    for i in range(x.size):
        y[i] = x[i]


@kernel
def copy_backward(dy: Vector, dx: Vector) -> None:
    for i in range(dy.size):
        # y[i] = x[i]
        dx[i] += dy[i]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def copy_forward_cuda(x: Vector, y: Vector) -> None:
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        y[i] = x[i]


@cuda_kernel(threads=128, over="dy")
def copy_backward_cuda(dy: Vector, dx: Vector) -> None:
    for i in range(cuda.grid(1), dy.size, cuda.gridsize(1)):
        # y[i] = x[i]
        dx[i] += dy[i]
