"""Many numbers into one: the largest of a row on the processor; sum and maximum over the threads of a CUDA block.

A block does it in rounds: in each, half of the threads take in the other half's numbers, so that 32 need 5 rounds. The
order is always the same, so a sum is, too, to the bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dltutor.kernels.compile import Number, Vector, cuda, part, scalar

BLOCK = 256  # the largest block that can do it; any power of two up to there
WARP = 32  # threads that run in step: enough for a row of a few hundred numbers
SIGN_KEPT = np.int32(2**31 - 1)

# ---------------------------------------------------------------- CPU


@part
def largest(x: Vector) -> Number:
    """The largest number of x, which has one at least.

    The maximum of float32 is not found for many at once, because of what NaN would do to it; that of integers is. So
    the numbers are compared by their ranks. NaN may or may not be taken for the largest.
    """
    first = x[0]
    top = rank(first)
    for i in range(1, x.size):
        top = max(top, rank(x[i]))
    return with_rank(first, top)


@scalar
def rank(x: Number) -> Any:
    """Something that compares as x does."""
    return x


@rank.float32
def _rank_float32(x: Number) -> Any:
    """The bits of a float32 are ordered as integers are, but for the negative ones, which run backwards."""
    bits = np.float32(x).view(np.int32)
    return bits if bits >= 0 else np.int32(bits ^ SIGN_KEPT)


@scalar
def with_rank(_like: Number, place: Any) -> Number:
    """The number, of the same type as the first, that has this rank."""
    return place


@with_rank.float32
def _with_rank_float32(_like: Number, place: Any) -> Number:
    bits = np.int32(place)
    return np.int32(bits if bits >= 0 else bits ^ SIGN_KEPT).view(np.float32)


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
