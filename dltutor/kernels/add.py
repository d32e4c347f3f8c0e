"""Add two arrays: a residual connection, y = x + f(x).

    forward    y[i] = a[i] + b[i]
    backward   da[i] += dy[i];  db[i] += dy[i]

A sum hands its gradient on unchanged to both sides. So a block of layers with a way past it can't make it vanish.

Shapes   a b y da db dy any number of elements, flat.
Dtypes   all float32 or all float64.
Writes   y overwritten; da and db added to.
Keeps    nothing.
Cost     1 flop an element forward, 2 backward.
Source   He, Zhang, Ren, Sun 2015, arXiv:1512.03385, eq. 1.
Lesson   08-initialisation-and-gradients, 14-attention
"""

from __future__ import annotations

from dltutor.kernels.compile import Vector, cuda, cuda_kernel, kernel


def add_reference(a: Vector, b: Vector) -> Vector:
    return a + b


def add_backward_reference(dy: Vector) -> tuple[Vector, Vector]:
    return dy, dy


# ---------------------------------------------------------------- CPU


@kernel(rows="a b y")
def add_forward(a: Vector, b: Vector, y: Vector) -> None:
    for i in range(y.size):
        y[i] = a[i] + b[i]


@kernel(rows="dy da db")
def add_backward(dy: Vector, da: Vector, db: Vector) -> None:
    for i in range(dy.size):
        # y[i] = a[i] + b[i]
        da[i] += dy[i]
        db[i] += dy[i]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def add_forward_cuda(a: Vector, b: Vector, y: Vector) -> None:
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        y[i] = a[i] + b[i]


@cuda_kernel(threads=128, over="dy")
def add_backward_cuda(dy: Vector, da: Vector, db: Vector) -> None:
    for i in range(cuda.grid(1), dy.size, cuda.gridsize(1)):
        # y[i] = a[i] + b[i]
        da[i] += dy[i]
        db[i] += dy[i]
