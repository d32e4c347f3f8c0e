"""Matrix product.

    forward    c[n,m] = sum_d a[n,d] b[d,m]
    backward   da[n,d] += sum_m dc[n,m] b[d,m];  db[d,m] += sum_n a[n,d] dc[n,m]

Shapes   a da (N, D); b db (D, M); c dc (N, M). C-contiguous. Any of N, D, M may be 0.
Dtypes   all float32 or all float64.
Writes   c overwritten; da, db added to.
Keeps    nothing.
Cost     2NDM flops forward, 4NDM backward. Nearly all additions are of numbers in registers: see add_wide_tiles.
Source   Goto, van de Geijn 2008, doi:10.1145/1356052.1356053 (panels for the caches, tiles for the registers).
Lesson   06-mlp, 25-fast-kernels
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ZERO, Matrix, Whole, cuda, cuda_kernel, kernel, pasted
from dltutor.kernels.shared import shared
from dltutor.kernels.stack import WIDE_REGISTERS, stack
from dltutor.kernels.tiles import EACH, SIDE, column_of, multiply_tiles, row_of

AS_IT_IS, FLIPPED = np.int64(0), np.int64(1)
FEW = 4  # rows of a: for fewer, b is not worth copying
HEIGHT = 256  # rows of a and c that pass a panel before it is copied again
DEPTH = 128  # rows of a panel
# Columns of a panel. A tile of 4 x 64 takes half of 32 registers of 16 numbers, one of 4 x 16 half of 16 of 8 numbers.
WIDE = 64 if WIDE_REGISTERS else 16
NARROW = 16


def matmul_reference(a: Matrix, b: Matrix) -> Matrix:
    return a @ b


def matmul_backward_reference(a: Matrix, b: Matrix, dc: Matrix) -> tuple[Matrix, Matrix]:
    return dc @ b.T, a.T @ dc


# ---------------------------------------------------------------- CPU


@kernel
def matmul_simple(a: Matrix, b: Matrix, c: Matrix) -> None:
    """The definition, as three loops: right, and slow."""
    for n in range(a.shape[0]):
        for m in range(b.shape[1]):
            total = ZERO
            for d in range(a.shape[1]):
                total += a[n, d] * b[d, m]
            c[n, m] = total


@kernel(rows="a c")
def matmul_forward(a: Matrix, b: Matrix, c: Matrix) -> None:
    """c = a b"""
    for n in range(c.shape[0]):
        for m in range(c.shape[1]):
            c[n, m] = 0
    add_product(a[:, ::1], b, c)


@kernel(rows="dc da")
def matmul_backward_a(dc: Matrix, b: Matrix, da: Matrix) -> None:
    """da += dc b^T"""
    # c = a b
    add_product_transposed(dc, b, da)


@kernel(rows="a dc", sums="db")
def matmul_backward_b(a: Matrix, dc: Matrix, db: Matrix) -> None:
    """db += a^T dc"""
    # c = a b
    add_product(a.T[:, ::1], dc, db)


# The fast product, for everything above and for whoever imports these two: dense, convolutional, recurrent layers.


@pasted
def add_product(a: Matrix, b: Matrix, c: Matrix) -> None:
    """c += a b. a may be any view of a matrix, such as x.T or x[:, 2:5]."""
    add_panels(a[:, ::1], b, c, AS_IT_IS)


@pasted
def add_product_transposed(a: Matrix, b: Matrix, c: Matrix) -> None:
    """c += a b^T. a may be any view of a matrix."""
    add_panels(a[:, ::1], b, c, FLIPPED)


@shared
def add_panels(a: Matrix, b: Matrix, c: Matrix, flip: Whole) -> None:
    """c += a b; with flip, c += a b^T.

    A panel is a copy of a piece of b, small enough for the fastest cache
    and without gaps. All rows of a pass by it before the next one comes.
    The sum over d is cut into pieces of DEPTH terms, for any a and b.
    """
    N, M = c.shape
    D = a.shape[1]
    if N < FEW and not flip:
        add_rows(a, b, c, 0, 0)
        return
    wide, narrow = stack(c, DEPTH, WIDE), stack(c, DEPTH, NARROW)
    M_wide = M - M % WIDE
    for n in range(0, N, HEIGHT):  # as many rows as the next cache holds
        c_rows = c[n : n + HEIGHT]
        for d in range(0, D, DEPTH):
            a_block = a[n : n + HEIGHT, d : d + DEPTH]
            for m in range(0, M_wide, WIDE):
                copy_panel(b, d, m, a_block.shape[1], flip, wide)
                add_wide_tiles(a_block, wide, c_rows, m)
            for m in range(M_wide, M, NARROW):
                copy_panel(b, d, m, a_block.shape[1], flip, narrow)
                add_narrow_tiles(a_block, narrow, c_rows, m)


@shared
def copy_panel(
    b: Matrix, d0: Whole, m0: Whole, D: Whole, flip: Whole, panel: Matrix,
) -> None:  # fmt: skip
    """panel[d, m] = b[d0 + d, m0 + m]; with flip, b[m0 + m, d0 + d]"""
    M = panel.shape[1]
    width = min(M, (b.shape[0] if flip else b.shape[1]) - m0)
    if width < M:  # beside b there are zeros
        numbers = panel[:D].reshape(D * M)
        for i in range(numbers.size):
            numbers[i] = 0
    if flip:
        last = width - 1
        for m in range(0, width, 4):  # so that it is written in order
            row0 = b[m0 + min(m, last), d0 : d0 + D]
            row1 = b[m0 + min(m + 1, last), d0 : d0 + D]
            row2 = b[m0 + min(m + 2, last), d0 : d0 + D]
            row3 = b[m0 + min(m + 3, last), d0 : d0 + D]
            for d in range(D):
                panel[d, m] = row0[d]
                panel[d, m + 1] = row1[d]
                panel[d, m + 2] = row2[d]
                panel[d, m + 3] = row3[d]
    else:
        for d in range(D):
            row = b[d0 + d, m0 : m0 + M]
            for m in range(width):
                panel[d, m] = row[m]


@shared
def add_wide_tiles(a: Matrix, panel: Matrix, c: Matrix, m0: Whole) -> None:
    """c += a panel, from column m0 of c on: 4 rows of WIDE numbers a time.

    They stay in registers until all terms of the panel are added. Each
    number of a and of the panel, once loaded, is used WIDE or 4 times.
    """
    N, D = a.shape
    tile = stack(c, 4, WIDE)
    for n in range(0, N - N % 4, 4):
        n1, n2, n3 = n + 1, n + 2, n + 3
        for i in range(4):
            for m in range(WIDE):
                tile[i, m] = 0
        for d in range(D):
            a0, a1, a2, a3 = a[n, d], a[n1, d], a[n2, d], a[n3, d]
            for m in range(WIDE):
                b_m = panel[d, m]
                tile[0, m] += a0 * b_m
                tile[1, m] += a1 * b_m
                tile[2, m] += a2 * b_m
                tile[3, m] += a3 * b_m
        for i in range(4):
            row = c[n + i, m0 : m0 + WIDE]
            for m in range(WIDE):
                row[m] += tile[i, m]
    add_rows(a, panel, c, N - N % 4, m0)


@shared
def add_narrow_tiles(
    a: Matrix, panel: Matrix, c: Matrix, m0: Whole,
) -> None:  # fmt: skip
    """The same with 8 rows of NARROW numbers, for the last columns."""
    N, D = a.shape
    last = N - 1
    tile = stack(c, 8, NARROW)
    for n in range(0, N, 8):
        # below the last row it stands in for those that are not there
        n1, n2, n3 = min(n + 1, last), min(n + 2, last), min(n + 3, last)
        n4, n5, n6 = min(n + 4, last), min(n + 5, last), min(n + 6, last)
        n7 = min(n + 7, last)
        for i in range(8):
            for m in range(NARROW):
                tile[i, m] = 0
        for d in range(D):
            a0, a1, a2, a3 = a[n, d], a[n1, d], a[n2, d], a[n3, d]
            a4, a5, a6, a7 = a[n4, d], a[n5, d], a[n6, d], a[n7, d]
            for m in range(NARROW):
                b_m = panel[d, m]
                tile[0, m] += a0 * b_m
                tile[1, m] += a1 * b_m
                tile[2, m] += a2 * b_m
                tile[3, m] += a3 * b_m
                tile[4, m] += a4 * b_m
                tile[5, m] += a5 * b_m
                tile[6, m] += a6 * b_m
                tile[7, m] += a7 * b_m
        if n + 8 <= N and m0 + NARROW <= c.shape[1]:
            for i in range(8):
                row = c[n + i, m0 : m0 + NARROW]
                for m in range(NARROW):  # a known number: no loop is left
                    row[m] += tile[i, m]
        else:
            for i in range(min(8, N - n)):
                row = c[n + i, m0 : m0 + NARROW]
                for m in range(row.size):
                    row[m] += tile[i, m]


@shared
def add_rows(a: Matrix, b: Matrix, c: Matrix, n0: Whole, m0: Whole) -> None:
    """c += a b from row n0 and column m0 on, one row after the other."""
    N, D = a.shape
    for n in range(n0, N):
        row = c[n, m0 : m0 + b.shape[1]]
        for d in range(D):
            a_nd = a[n, d]
            for m in range(row.size):
                row[m] += a_nd * b[d, m]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="c")
def matmul_simple_cuda(a: Matrix, b: Matrix, c: Matrix) -> None:
    """The definition: one thread makes one number of c.

    Neighbours stand in one row of c, so they read b side by side.
    """
    N, M = c.shape
    for i in range(cuda.grid(1), N * M, cuda.gridsize(1)):
        n, m = i // M, i % M
        total = ZERO
        d = 0
        while d < a.shape[1]:
            total += a[n, d] * b[d, m]
            d += 1
        c[n, m] = total


@cuda_kernel(threads=(SIDE, SIDE), each=EACH, tiles_of="c")
def matmul_forward_cuda(a: Matrix, b: Matrix, c: Matrix) -> None:
    """c = a b, in tiles: see tiles.py."""
    total = cuda.local.array((EACH, EACH), np.float32)
    multiply_tiles(a, 0, b, 0, a.shape[1], total)
    for i in range(EACH):
        for j in range(EACH):
            n, m = row_of(i), column_of(j)
            if n < c.shape[0] and m < c.shape[1]:
                c[n, m] = total[i, j]


@cuda_kernel(threads=(SIDE, SIDE), each=EACH, tiles_of="da")
def matmul_backward_a_cuda(dc: Matrix, b: Matrix, da: Matrix) -> None:
    """da += dc b^T, where c = a b"""
    total = cuda.local.array((EACH, EACH), np.float32)
    multiply_tiles(dc, 0, b, 1, dc.shape[1], total)
    for i in range(EACH):
        for j in range(EACH):
            n, d = row_of(i), column_of(j)
            if n < da.shape[0] and d < da.shape[1]:
                da[n, d] += total[i, j]


@cuda_kernel(threads=(SIDE, SIDE), each=EACH, tiles_of="db")
def matmul_backward_b_cuda(a: Matrix, dc: Matrix, db: Matrix) -> None:
    """db += a^T dc, where c = a b"""
    total = cuda.local.array((EACH, EACH), np.float32)
    multiply_tiles(a, 1, dc, 0, dc.shape[0], total)
    for i in range(EACH):
        for j in range(EACH):
            d, m = row_of(i), column_of(j)
            if d < db.shape[0] and m < db.shape[1]:
                db[d, m] += total[i, j]
