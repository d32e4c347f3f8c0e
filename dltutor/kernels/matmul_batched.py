"""Matrix products, many at once, of matrices as they are or transposed. A single one is a batch of one: a[None].

    nn    c[z] = a[z] b[z]        backward   da[z] += dc[z] b[z]^T      db[z] += a[z]^T dc[z]
    nt    c[z] = a[z] b[z]^T      backward   da[z] += dc[z] b[z]        db[z] += dc[z]^T a[z]
    tn    c[z] = a[z]^T b[z]      backward   da[z] += b[z] dc[z]^T      db[z] += a[z] dc[z]
    tt    c[z] = a[z]^T b[z]^T    backward   da[z] += b[z]^T dc[z]^T    db[z] += dc[z]^T a[z]^T

The first letter is of a, the second of b: n as it is, t transposed.

Shapes   c dc (Z, N, M); a da (Z, N, D), where transposed (Z, D, N); b db (Z, D, M), where transposed (Z, M, D).
         C-contiguous. All but D may be 0.
Dtypes   all float32 or all float64.
Writes   c overwritten; da, db added to.
Keeps    nothing.
Cost     2ZNDM flops forward, 4ZNDM backward. Transposed or not, the time is nearly the same: see matmul.py.
Lesson   14-attention, 25-fast-kernels
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import Tensor3, Whole, cuda, cuda_kernel, cuda_sequence, kernel, part
from dltutor.kernels.matmul import add_product, add_product_transposed
from dltutor.kernels.tiles import EACH, SIDE, column_of, multiply_tiles, row_of


def turned(a: Tensor3) -> Tensor3:
    return np.swapaxes(a, 1, 2)


def matmul_nn_reference(a: Tensor3, b: Tensor3) -> Tensor3:
    return a @ b


def matmul_nt_reference(a: Tensor3, b: Tensor3) -> Tensor3:
    return a @ turned(b)


def matmul_tn_reference(a: Tensor3, b: Tensor3) -> Tensor3:
    return turned(a) @ b


def matmul_tt_reference(a: Tensor3, b: Tensor3) -> Tensor3:
    return turned(a) @ turned(b)


def matmul_nn_backward_reference(a: Tensor3, b: Tensor3, dc: Tensor3) -> tuple[Tensor3, Tensor3]:
    return dc @ turned(b), turned(a) @ dc


def matmul_nt_backward_reference(a: Tensor3, b: Tensor3, dc: Tensor3) -> tuple[Tensor3, Tensor3]:
    return dc @ b, turned(dc) @ a


def matmul_tn_backward_reference(a: Tensor3, b: Tensor3, dc: Tensor3) -> tuple[Tensor3, Tensor3]:
    return b @ turned(dc), a @ dc


def matmul_tt_backward_reference(a: Tensor3, b: Tensor3, dc: Tensor3) -> tuple[Tensor3, Tensor3]:
    return turned(b) @ turned(dc), turned(dc) @ turned(a)


# ---------------------------------------------------------------- CPU


@part
def clear_all(c: Tensor3) -> None:
    numbers = c.reshape(c.size)
    for i in range(numbers.size):
        numbers[i] = 0


@kernel(rows="a b c")
def matmul_nn_forward(a: Tensor3, b: Tensor3, c: Tensor3) -> None:
    clear_all(c)
    for z in range(c.shape[0]):
        add_product(a[z], b[z], c[z])


@kernel(rows="a b dc da db")
def matmul_nn_backward(
    a: Tensor3, b: Tensor3, dc: Tensor3, da: Tensor3, db: Tensor3,
) -> None:  # fmt: skip
    for z in range(dc.shape[0]):
        # c = a b
        add_product_transposed(dc[z], b[z], da[z])
        add_product(a[z].T, dc[z], db[z])


@kernel(rows="a b c")
def matmul_nt_forward(a: Tensor3, b: Tensor3, c: Tensor3) -> None:
    clear_all(c)
    for z in range(c.shape[0]):
        add_product_transposed(a[z], b[z], c[z])


@kernel(rows="a b dc da db")
def matmul_nt_backward(
    a: Tensor3, b: Tensor3, dc: Tensor3, da: Tensor3, db: Tensor3,
) -> None:  # fmt: skip
    for z in range(dc.shape[0]):
        # c = a b^T
        add_product(dc[z], b[z], da[z])
        add_product(dc[z].T, a[z], db[z])


@kernel(rows="a b c")
def matmul_tn_forward(a: Tensor3, b: Tensor3, c: Tensor3) -> None:
    clear_all(c)
    for z in range(c.shape[0]):
        add_product(a[z].T, b[z], c[z])


@kernel(rows="a b dc da db")
def matmul_tn_backward(
    a: Tensor3, b: Tensor3, dc: Tensor3, da: Tensor3, db: Tensor3,
) -> None:  # fmt: skip
    for z in range(dc.shape[0]):
        # c = a^T b
        add_product_transposed(b[z], dc[z], da[z])
        add_product(a[z], dc[z], db[z])


@kernel(rows="a b c")
def matmul_tt_forward(a: Tensor3, b: Tensor3, c: Tensor3) -> None:
    clear_all(c)
    for z in range(c.shape[0]):
        add_product_transposed(a[z].T, b[z], c[z])


@kernel(rows="a b dc da db")
def matmul_tt_backward(
    a: Tensor3, b: Tensor3, dc: Tensor3, da: Tensor3, db: Tensor3,
) -> None:  # fmt: skip
    for z in range(dc.shape[0]):
        # c = a^T b^T
        add_product_transposed(b[z].T, dc[z], da[z])
        add_product_transposed(dc[z].T, a[z], db[z])


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=(SIDE, SIDE), each=EACH, tiles_of="c")
def product_cuda(
    a: Tensor3, flip_a: Whole, b: Tensor3, flip_b: Whole, add: Whole,
    c: Tensor3,
) -> None:  # fmt: skip
    """c = a b or c += a b, either of them transposed, in tiles: tiles.py."""
    z = cuda.blockIdx.z
    total = cuda.local.array((EACH, EACH), np.float32)
    D = b.shape[2] if flip_b else b.shape[1]
    multiply_tiles(a[z], flip_a, b[z], flip_b, D, total)
    for i in range(EACH):
        for j in range(EACH):
            n, m = row_of(i), column_of(j)
            if n < c.shape[1] and m < c.shape[2]:
                c[z, n, m] = c[z, n, m] + total[i, j] if add else total[i, j]


@cuda_sequence
def matmul_nn_forward_cuda(a: Tensor3, b: Tensor3, c: Tensor3) -> None:
    product_cuda(a, 0, b, 0, 0, c)


@cuda_sequence
def matmul_nn_backward_cuda(
    a: Tensor3, b: Tensor3, dc: Tensor3, da: Tensor3, db: Tensor3,
) -> None:  # fmt: skip
    product_cuda(dc, 0, b, 1, 1, da)
    product_cuda(a, 1, dc, 0, 1, db)


@cuda_sequence
def matmul_nt_forward_cuda(a: Tensor3, b: Tensor3, c: Tensor3) -> None:
    product_cuda(a, 0, b, 1, 0, c)


@cuda_sequence
def matmul_nt_backward_cuda(
    a: Tensor3, b: Tensor3, dc: Tensor3, da: Tensor3, db: Tensor3,
) -> None:  # fmt: skip
    product_cuda(dc, 0, b, 0, 1, da)
    product_cuda(dc, 1, a, 0, 1, db)


@cuda_sequence
def matmul_tn_forward_cuda(a: Tensor3, b: Tensor3, c: Tensor3) -> None:
    product_cuda(a, 1, b, 0, 0, c)


@cuda_sequence
def matmul_tn_backward_cuda(
    a: Tensor3, b: Tensor3, dc: Tensor3, da: Tensor3, db: Tensor3,
) -> None:  # fmt: skip
    product_cuda(b, 0, dc, 1, 1, da)
    product_cuda(a, 0, dc, 0, 1, db)


@cuda_sequence
def matmul_tt_forward_cuda(a: Tensor3, b: Tensor3, c: Tensor3) -> None:
    product_cuda(a, 1, b, 1, 0, c)


@cuda_sequence
def matmul_tt_backward_cuda(
    a: Tensor3, b: Tensor3, dc: Tensor3, da: Tensor3, db: Tensor3,
) -> None:  # fmt: skip
    product_cuda(b, 1, dc, 1, 1, da)
    product_cuda(dc, 1, a, 1, 1, db)
