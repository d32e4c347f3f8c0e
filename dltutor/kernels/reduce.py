"""Add up one number from each thread of a block: what every mean over many numbers needs on a graphics card.

In each round half of the threads add the other half's numbers to their own: 32 numbers take 5 rounds. The order of
the additions is always the same, so the sum is, too, to the bit.
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import Number, cuda, scalar

BLOCK = 32


@scalar
def block_sum(mine: Number) -> Number:
    """The sum of `mine` over the block, known to thread 0."""
    shares = cuda.shared.array(BLOCK, np.float32)
    me = cuda.threadIdx.x
    shares[me] = mine
    cuda.syncthreads()  # all shares are there
    half = BLOCK // 2
    while half > 0:
        if me < half:
            shares[me] += shares[me + half]
        cuda.syncthreads()  # this round's sums are there
        half //= 2
    return shares[0]
