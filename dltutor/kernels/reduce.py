"""Many numbers into one: the largest of a row on the processor; sum and maximum over the threads of a CUDA block.

A block does it in rounds: in each, half of the threads take in the other half's numbers, so that 32 need 5 rounds. The
order is always the same, so a sum is, too, to the bit.
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import Number, Vector, cuda, part, scalar

BLOCK = 256  # the largest block that can do it; any power of two up to there
WARP = 32  # threads that run in step: enough for a row of a few hundred numbers

# ---------------------------------------------------------------- CPU


@part(nan=False)
def largest(x: Vector) -> Number:
    """The largest number of x, which has one at least. NaN may or may not be taken for it.

    Four candidates, so that four comparisons need not wait for each other.
    """
    a = b = c = d = x[0]
    whole = x.size - x.size % 4
    for i in range(0, whole, 4):
        a = x[i] if x[i] > a else a
        b = x[i + 1] if x[i + 1] > b else b
        c = x[i + 2] if x[i + 2] > c else c
        d = x[i + 3] if x[i + 3] > d else d
    for i in range(whole, x.size):
        a = x[i] if x[i] > a else a
    a, c = (a if a > b else b), (c if c > d else d)
    return a if a > c else c


# ---------------------------------------------------------------- CUDA


@scalar
def block_sum(mine: Number) -> Number:
    """The sum of `mine` over the block, known to all of its threads."""
    shares = cuda.shared.array(BLOCK, np.float32)
    me = cuda.threadIdx.x
    shares[me] = mine
    cuda.syncthreads()  # all shares are there
    half = cuda.blockDim.x // 2
    while half > 0:
        if me < half:
            shares[me] += shares[me + half]
        cuda.syncthreads()  # this round's sums are there
        half //= 2
    total = shares[0]
    cuda.syncthreads()  # everyone has it: the shares may be used again
    return total


@scalar
def block_max(mine: Number) -> Number:
    """The largest of `mine` over the block, known to all of its threads."""
    shares = cuda.shared.array(BLOCK, np.float32)
    me = cuda.threadIdx.x
    shares[me] = mine
    cuda.syncthreads()  # all shares are there
    half = cuda.blockDim.x // 2
    while half > 0:
        if me < half:
            shares[me] = max(shares[me], shares[me + half])
        cuda.syncthreads()  # this round's maxima are there
        half //= 2
    top = shares[0]
    cuda.syncthreads()  # everyone has it: the shares may be used again
    return top
