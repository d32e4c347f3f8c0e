"""Set every number to zero: gradients are added to, so that every backward pass starts with this.

    forward    x[i] = 0

Shapes   x any number of elements, flat.
Dtypes   float32 or float64.
Writes   x overwritten.
Keeps    nothing.
Cost     one pass over x.
Lesson   06-mlp
"""

from __future__ import annotations

from dltutor.kernels.compile import ZERO, Vector, cuda, cuda_kernel, kernel


@kernel
def clear(x: Vector) -> None:
    for i in range(x.size):
        x[i] = ZERO


@cuda_kernel(threads=128, over="x")
def clear_cuda(x: Vector) -> None:
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        x[i] = ZERO
