"""Accuracy: how many samples a classifier gets right.

    forward    right = number of n with argmax_c z[n,c] = t[n]

A count and not a share, so that batches of different sizes can be added up. It has no gradient: that is why one trains
with a loss instead.

Shapes   z (N, C), logits or probabilities; t (N,); right (1,). C-contiguous. N may be 0, C at least 1.
Dtypes   z float32 or float64; t and right int32.
Writes   right overwritten.
Keeps    nothing.
Cost     one comparison an element.
Source   Fisher 1936, doi:10.1111/j.1469-1809.1936.tb02137.x (counts the flowers that a rule puts in the wrong class).
Lesson   02-logistic-regression, 06-mlp
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.argmax import beats, place_of_largest
from dltutor.kernels.compile import Labels, Matrix, cuda, cuda_kernel, kernel
from dltutor.kernels.reduce import BLOCK, block_sum


def accuracy_reference(z: Matrix, t: Labels) -> Labels:
    return np.array([np.sum(z.argmax(axis=1) == t)], np.int32)


# ---------------------------------------------------------------- CPU


@kernel
def accuracy_forward(z: Matrix, t: Labels, right: Labels) -> None:
    count = 0
    for n in range(t.size):
        count += place_of_largest(z[n]) == t[n]
    right[0] = count


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=BLOCK)
def accuracy_forward_cuda(z: Matrix, t: Labels, right: Labels) -> None:
    """One block; each thread takes every BLOCKth row. Then all are added."""
    N, C = z.shape
    count = 0
    for n in range(cuda.threadIdx.x, N, BLOCK):
        best = 0
        for c in range(1, C):
            if beats(z[n, c], z[n, best]):
                best = c
        count += best == t[n]
    total = block_sum(np.float32(count))  # exact up to 2^24 rows
    if cuda.threadIdx.x == 0:
        right[0] = np.int32(total)
