"""Matrix product.

    forward    c[n,m] = sum_d a[n,d] b[d,m]
    backward   da[n,d] += sum_m dc[n,m] b[d,m];  db[d,m] += sum_n a[n,d] dc[n,m]

Shapes   a da (N, D); b db (D, M); c dc (N, M). C-contiguous. Any of N, D, M may be 0.
Dtypes   all float32 or all float64.
Writes   c overwritten; da, db added to.
Keeps    nothing.
Cost     2NDM flops forward, 4NDM backward. In blocks of 4 x 4 each number loaded from memory is used four times.
Source   Goto, van de Geijn 2008, doi:10.1145/1356052.1356053 (blocking for registers).
Lesson   06-mlp
"""

from __future__ import annotations

from dltutor.kernels.compile import ZERO, Matrix, cuda, cuda_kernel, kernel, part


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


@kernel
def matmul_forward(a: Matrix, b: Matrix, c: Matrix) -> None:
    """c = a b"""
    for n in range(c.shape[0]):
        for m in range(c.shape[1]):
            c[n, m] = 0
    add_product(a[:, ::1], b, c)


@kernel
def matmul_backward_a(dc: Matrix, b: Matrix, da: Matrix) -> None:
    """da += dc b^T"""
    # c = a b
    add_product_transposed(dc, b, da)


@kernel
def matmul_backward_b(a: Matrix, dc: Matrix, db: Matrix) -> None:
    """db += a^T dc"""
    # c = a b
    add_product(a.T[:, ::1], dc, db)


@part
def add_product(a: Matrix, b: Matrix, c: Matrix) -> None:
    """c += a b, in blocks of four rows by four terms; then what is left.

    Callers pass a[:, ::1]: in that form a matrix and a transposed one are
    the same to the compiler, and one piece of machine code serves both.
    """
    N, M = c.shape
    D = b.shape[0]
    whole_n, whole_d = N - N % 4, D - D % 4
    for n in range(0, whole_n, 4):
        n1, n2, n3 = n + 1, n + 2, n + 3
        for d in range(0, whole_d, 4):
            d1, d2, d3 = d + 1, d + 2, d + 3
            # 16 numbers of a stay in registers while 4 rows of b pass by
            a00, a01, a02, a03 = a[n, d], a[n, d1], a[n, d2], a[n, d3]
            a10, a11, a12, a13 = a[n1, d], a[n1, d1], a[n1, d2], a[n1, d3]
            a20, a21, a22, a23 = a[n2, d], a[n2, d1], a[n2, d2], a[n2, d3]
            a30, a31, a32, a33 = a[n3, d], a[n3, d1], a[n3, d2], a[n3, d3]
            for m in range(M):
                b0, b1, b2, b3 = b[d, m], b[d1, m], b[d2, m], b[d3, m]
                c[n, m] += a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
                c[n1, m] += a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
                c[n2, m] += a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
                c[n3, m] += a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3
    for n in range(N):
        first = whole_d if n < whole_n else 0
        for d in range(first, D):
            for m in range(M):
                c[n, m] += a[n, d] * b[d, m]


@part
def add_product_transposed(a: Matrix, b: Matrix, c: Matrix) -> None:
    """c += a b^T: rows times rows, which memory already has side by side."""
    N, D = c.shape
    for n in range(N):
        for d in range(D):
            total = ZERO
            for m in range(b.shape[1]):
                total += a[n, m] * b[d, m]
            c[n, d] += total


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="c")
def matmul_forward_cuda(a: Matrix, b: Matrix, c: Matrix) -> None:
    """One thread makes one number of c.

    Neighbours stand in one row of c, so they read b side by side.
    """
    N, M = c.shape
    D = a.shape[1]
    for i in range(cuda.grid(1), N * M, cuda.gridsize(1)):
        n, m = i // M, i % M
        total = ZERO
        for d in range(D):
            total += a[n, d] * b[d, m]
        c[n, m] = total


@cuda_kernel(threads=128, over="da")
def matmul_backward_a_cuda(dc: Matrix, b: Matrix, da: Matrix) -> None:
    """One thread makes one number of da."""
    N, D = da.shape
    M = b.shape[1]
    for i in range(cuda.grid(1), N * D, cuda.gridsize(1)):
        n, d = i // D, i % D
        total = ZERO
        for m in range(M):
            # c[n, m] += a[n, d] * b[d, m]
            total += dc[n, m] * b[d, m]
        da[n, d] += total


@cuda_kernel(threads=128, over="db")
def matmul_backward_b_cuda(a: Matrix, dc: Matrix, db: Matrix) -> None:
    """One thread makes one number of db."""
    D, M = db.shape
    N = a.shape[0]
    for i in range(cuda.grid(1), D * M, cuda.gridsize(1)):
        d, m = i // M, i % M
        total = ZERO
        for n in range(N):
            # c[n, m] += a[n, d] * b[d, m]
            total += a[n, d] * dc[n, m]
        db[d, m] += total
