"""Matrix products on a graphics card: tiles in memory that the threads of a block share.

A block of 16 x 16 threads makes a tile of 64 x 64 numbers of c = a b. In each round all of them together copy 16
columns of 64 rows of a, and 16 rows of 64 columns of b, into shared memory; then each thread reads 4 numbers of the one
and 4 of the other, and adds their 16 products to totals that stay in its registers. So a number that comes from the
card's large, slow memory is used 64 times, and one from shared memory 4 times.

Thread (x, y) has rows y, y + 16, y + 32, y + 48 of the tile and columns x, x + 16, ...: threads next to each other read
and write numbers next to each other. What is outside the matrices counts as 0 and is not written.

A kernel that uses this has threads=(SIDE, SIDE), each=EACH and tiles_of what it makes, and looks like this:

    total = cuda.local.array((EACH, EACH), np.float32)
    multiply_tiles(a, 0, b, 0, a.shape[1], total)
    for i in range(EACH):
        for j in range(EACH):
            n, m = row_of(i), column_of(j)
            if n < c.shape[0] and m < c.shape[1]:
                c[n, m] = total[i, j]
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ZERO, Matrix, Whole, cuda, cuda_part

SIDE = 16  # threads along each side of a block; terms of the sums in a round
EACH = 4  # rows, and columns, of a thread
TILE = SIDE * EACH
GAP = TILE + 2  # a row of a shared tile: with 2 more, threads that write below each other use different banks


@cuda_part
def row_of(i: Whole) -> Whole:
    """The row of c that is this thread's i-th."""
    return cuda.blockIdx.y * TILE + cuda.threadIdx.y + SIDE * i


@cuda_part
def column_of(j: Whole) -> Whole:
    """The column of c that is this thread's j-th."""
    return cuda.blockIdx.x * TILE + cuda.threadIdx.x + SIDE * j


@cuda_part
def multiply_tiles(
    a: Matrix, flip_a: Whole, b: Matrix, flip_b: Whole, D: Whole,
    total: Matrix,
) -> None:  # fmt: skip
    """total[i, j] = this thread's number of a b, D terms each.

    With flip_a it is a^T in place of a; with flip_b, b^T.
    """
    a_tile = cuda.shared.array((SIDE, GAP), np.float32)
    b_tile = cuda.shared.array((SIDE, GAP), np.float32)
    x, y = np.uint32(cuda.threadIdx.x), np.uint32(cuda.threadIdx.y)
    for i in range(EACH):
        for j in range(EACH):
            total[i, j] = ZERO
    n0, m0 = cuda.blockIdx.y * TILE, cuda.blockIdx.x * TILE
    d0 = 0
    while d0 < D:
        load_tile(a, n0, d0, flip_a, a_tile)
        load_tile(b, m0, d0, 1 - flip_b, b_tile)
        cuda.syncthreads()  # both tiles are there
        for d in range(SIDE):
            for i in range(EACH):
                a_nd = a_tile[d, y + np.uint32(SIDE * i)]
                for j in range(EACH):
                    b_dm = b_tile[d, x + np.uint32(SIDE * j)]
                    total[i, j] += a_nd * b_dm
        cuda.syncthreads()  # everyone has read them
        d0 += SIDE


@cuda_part
def load_tile(
    a: Matrix, n0: Whole, d0: Whole, flip: Whole, tile: Matrix,
) -> None:  # fmt: skip
    """tile[d, n] = a[n0 + n, d0 + d]; with flip, a[d0 + d, n0 + n]

    Threads next to each other read what is side by side in memory.
    """
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    for i in range(EACH):
        if flip:
            d, n = d0 + y, n0 + x + SIDE * i
            inside = d < a.shape[0] and n < a.shape[1]
            tile[y, x + SIDE * i] = a[d, n] if inside else ZERO
        else:
            n, d = n0 + y + SIDE * i, d0 + x
            inside = n < a.shape[0] and d < a.shape[1]
            tile[x, y + SIDE * i] = a[n, d] if inside else ZERO
