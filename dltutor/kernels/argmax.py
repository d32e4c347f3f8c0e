"""Argmax: the place of the largest number in each row, the first one where there are several.

    forward    k[n] = min { c : x[n,c] = max_j x[n,j] }

It has no gradient: a small change of x changes nothing, or jumps. NaN counts as the largest number, as in NumPy: it is
to be seen, not to be passed over.

Shapes   x (N, C); k (N,). C-contiguous. N may be 0, C at least 1.
Dtypes   x float32 or float64; k int32.
Writes   k overwritten.
Keeps    nothing.
Cost     one comparison an element.
Source   IEEE 754-2019, section 5.11 (NaN is greater than no number, and not equal to itself).
Lesson   06-mlp
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import (
    INFINITY,
    Labels,
    Matrix,
    Number,
    Vector,
    Whole,
    cuda,
    cuda_kernel,
    kernel,
    part,
    scalar,
)
from dltutor.kernels.reduce import BLOCK, WARP, largest


def argmax_reference(x: Matrix) -> Labels:
    return x.argmax(axis=1).astype(np.int32)


@scalar
def beats(x: Number, top: Number) -> bool:
    """Whether x is larger; NaN is larger than any number."""
    return x > top or (x != x and top == top)


@scalar
def block_argmax(mine: Number, place: Number) -> Number:
    """The least place of the largest `mine`, known to the whole block."""
    numbers = cuda.shared.array(BLOCK, np.float32)
    places = cuda.shared.array(BLOCK, np.int32)
    me = cuda.threadIdx.x
    numbers[me], places[me] = mine, place
    cuda.syncthreads()  # all numbers are there
    half = cuda.blockDim.x // 2
    while half > 0:
        if me < half:
            x, top = numbers[me + half], numbers[me]
            tie = not beats(x, top) and not beats(top, x)
            if beats(x, top) or (tie and places[me + half] < places[me]):
                numbers[me], places[me] = x, places[me + half]
        cuda.syncthreads()  # this round's winners are there
        half //= 2
    return places[0]


# ---------------------------------------------------------------- CPU


@part
def place_of_largest(x: Vector) -> Whole:
    """Three fast passes for one slow one: NaN and the largest number are
    found for many numbers at once, and then the place is looked up."""
    bad = 0
    for c in range(x.size):
        bad += x[c] != x[c]
    top = largest(x)
    for c in range(x.size):
        if (x[c] != x[c]) if bad > 0 else (x[c] == top):
            return c
    return 0


@kernel(rows="x k")
def argmax_forward(x: Matrix, k: Labels) -> None:
    for n in range(k.size):
        k[n] = place_of_largest(x[n])


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=WARP, blocks_of="x")
def argmax_forward_cuda(x: Matrix, k: Labels) -> None:
    """One block does one row: each thread looks at a share."""
    n, C = cuda.blockIdx.x, x.shape[1]
    top, best = -INFINITY, C + cuda.threadIdx.x  # behind every real place
    for c in range(cuda.threadIdx.x, C, WARP):
        if best >= C or beats(x[n, c], top):
            top, best = x[n, c], c
    best = block_argmax(top, best)
    if cuda.threadIdx.x == 0:
        k[n] = best
