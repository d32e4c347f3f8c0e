"""Set every number to zero: for a graphics card only, since NumPy does it on the processor.

    forward    x[i] = 0

Shapes   x any number of elements, flat.
Dtypes   float32 or float64.
Writes   x overwritten.
Keeps    nothing.
Cost     one pass over x.
Lesson   06-mlp (gradients are added to, so they have to start from zero)
"""

from __future__ import annotations

from dltutor.kernels.compile import ZERO, Vector, cuda, cuda_kernel


@cuda_kernel(threads=128, over="x")
def clear_cuda(x: Vector) -> None:
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        x[i] = ZERO
