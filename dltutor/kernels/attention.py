"""Scaled dot-product attention with A heads: each time asks all times, and takes from those that answer its question.

    forward    s[t,u] = sum_i q[t,i] k[u,i] / sqrt(d);  p[t] = softmax over u of s[t];  y[t,i] = sum_u p[t,u] v[u,i]
    backward   dp[t,u] = sum_i dy[t,i] v[u,i];  ds[t,u] = p[t,u] (dp[t,u] - sum_w p[t,w] dp[t,w]) / sqrt(d)
               dq[t,i] += sum_u ds[t,u] k[u,i];  dk[u,i] += sum_t ds[t,u] q[t,i];  dv[u,i] += sum_t p[t,u] dy[t,i]
    causal     time t sees the times u <= t only: the others have p[t,u] = 0, and are left out of the sums

All of it for every sample n and head a. The heads share the last axis: head a has columns a d to (a + 1) d of the
queries q, of the keys k and of the values v, which stand side by side in qkv, as one dense layer makes them. Dividing
by sqrt(d) keeps the scores of long vectors as small as those of short ones: a softmax of large numbers learns nothing.

Shapes   qkv dqkv (N, T, 3D); p ds (N, A, T, T); y dy (N, T, D); room (attention_room(T, d),). C-contiguous. d = D / A.
         N and T may be 0; A and d at least 1.
Dtypes   all float32 or all float64; causal 0 or 1.
Writes   p, y, ds overwritten; dqkv added to. room is space to work in: one head, in panels that tiles are made from.
Keeps    p.
Cost     4NTTD flops and NATT exponentials forward, 8NTTD flops backward; about half of it where causal.
Source   Vaswani et al. 2017, arXiv:1706.03762, eq. 1 and section 3.2.
Lesson   14-attention
"""

from __future__ import annotations

import math

import numpy as np

from dltutor.kernels.compile import (
    INFINITY,
    ONE,
    ZERO,
    Matrix,
    Number,
    Tensor3,
    Tensor4,
    Vector,
    Whole,
    cuda,
    cuda_kernel,
    cuda_sequence,
    kernel,
    part,
    pasted,
)
from dltutor.kernels.elementary import exp
from dltutor.kernels.reduce import block_max, block_sum, largest
from dltutor.kernels.shared import shared
from dltutor.kernels.stack import WIDE_REGISTERS, stack

ROWS = 8  # queries, or keys, at a time; those that the mask hides from all of them are left out
COLUMNS = 16 if WIDE_REGISTERS else 8
TILE, TILE_GAP = 16, 17  # the gap keeps the rows of a tile in different banks
STORE, ADD = np.int64(0), np.int64(1)


def attention_room(times: int, columns: int) -> int:
    """How many numbers the kernels need to work in, for heads of so many columns."""
    wide, high = -(-columns // COLUMNS) * COLUMNS, -(-times // COLUMNS) * COLUMNS
    return columns * high + 3 * times * wide


def attention_reference(qkv: Tensor3, causal: int, heads: int) -> tuple[Tensor4, Tensor3]:
    q, k, v = split_heads(qkv, heads)
    s = q @ k.swapaxes(2, 3) / math.sqrt(q.shape[-1])
    seen = np.tri(s.shape[-1], dtype=bool) | (not causal)
    s = np.where(seen, s, -np.inf)
    e = np.exp(s - s.max(axis=-1, keepdims=True, initial=-np.inf))
    p = np.where(seen, e / e.sum(axis=-1, keepdims=True), 0)
    return p, join_heads(p @ v)


def attention_backward_reference(qkv: Tensor3, p: Tensor4, dy: Tensor3) -> Tensor3:
    """The gradient by qkv. What the mask hides has p = 0."""
    heads = p.shape[1]
    q, k, v = split_heads(qkv, heads)
    (dy_heads,) = split_heads(dy, heads, 1)
    dp = dy_heads @ v.swapaxes(2, 3)
    ds = p * (dp - (p * dp).sum(axis=-1, keepdims=True)) / math.sqrt(q.shape[-1])
    dq, dk, dv = ds @ k, ds.swapaxes(2, 3) @ q, p.swapaxes(2, 3) @ dy_heads
    return np.concatenate([join_heads(dq), join_heads(dk), join_heads(dv)], axis=2)


def split_heads(x: Tensor3, heads: int, kinds: int = 3) -> tuple[Tensor4, ...]:
    """(N, T, kinds A d) as so many arrays (N, A, T, d)."""
    N, T, columns = x.shape
    return tuple(np.moveaxis(x.reshape(N, T, kinds, heads, columns // (kinds * heads)), (2, 3), (0, 2)))


def join_heads(x: Tensor4) -> Tensor3:
    """(N, A, T, d) as (N, T, A d)."""
    N, A, T, d = x.shape
    return x.swapaxes(1, 2).reshape(N, T, A * d)


# ---------------------------------------------------------------- CPU


@kernel(rows="qkv p y", scratch="room")
def attention_forward(
    qkv: Tensor3, causal: Whole, room: Vector, p: Tensor4, y: Tensor3
) -> None:  # fmt: skip
    A, T = p.shape[1:3]
    D = y.shape[2]
    d = D // A
    k, rest = panels(room, d, T)
    v, rest = panels(rest, T, d)
    for n in range(qkv.shape[0]):
        for a in range(A):
            first = a * d
            copy_turned(qkv[n], D + first, k)
            copy_columns(qkv[n], 2 * D + first, d, v)
            q = qkv[n, :, first : first + d]
            attend(q, k, v, causal, p[n, a], y[n], first)


@pasted
def attend(
    q: Matrix, k: Tensor3, v: Tensor3, causal: Whole,
    p: Matrix, y: Matrix, first: Whole,
) -> None:  # fmt: skip
    """One head, some queries at a time. k is turned."""
    T, d = q.shape
    scale = ONE / np.float32(math.sqrt(d))
    for t in range(0, T, ROWS):
        end = min(t + ROWS, T)
        seen = end if causal else T
        near = min(seen + -seen % COLUMNS, T)  # whole tiles are faster
        rows = p[t:end]
        product(q[t:end, ::1], k, 0, STORE, rows, 0, near)  # s = q k^T
        own = t + 1 if causal else T
        softmax_rows(rows, scale, own, near)
        a = rows[:, :seen]
        product(a, v, 0, STORE, y[t:end], first, d)  # y = p v


@kernel(rows="qkv p dy ds dqkv", scratch="room")
def attention_backward(
    qkv: Tensor3, causal: Whole, p: Tensor4, dy: Tensor3,
    room: Vector, ds: Tensor4, dqkv: Tensor3,
) -> None:  # fmt: skip
    A, T = p.shape[1:3]
    D = dy.shape[2]
    d = D // A
    v, rest = panels(room, d, T)
    k, rest = panels(rest, T, d)
    q, rest = panels(rest, T, d)
    dmix, rest = panels(rest, T, d)
    for n in range(qkv.shape[0]):
        for a in range(A):
            first = a * d
            copy_turned(qkv[n], 2 * D + first, v)
            copy_columns(qkv[n], D + first, d, k)
            copy_columns(qkv[n], first, d, q)
            copy_columns(dy[n], first, d, dmix)
            dys = dy[n, :, first : first + d]
            P, dS, to = p[n, a], ds[n, a], dqkv[n]
            back_to_queries(dys, k, v, causal, P, dS, to, first)
            back_to_keys(q, dmix, causal, P, dS, to, first, d)


@pasted
def back_to_queries(
    dy: Matrix, k: Tensor3, v: Tensor3, causal: Whole, p: Matrix,
    ds: Matrix, dqkv: Matrix, first: Whole,
) -> None:  # fmt: skip
    """ds and dq of one head, some queries at a time. v is turned."""
    T, d = dy.shape
    scale = ONE / np.float32(math.sqrt(d))
    for t in range(0, T, ROWS):
        end = min(t + ROWS, T)
        seen = end if causal else T
        near = min(seen + -seen % COLUMNS, T)
        rows = ds[t:end]
        # y = p v
        product(dy[t:end], v, 0, STORE, rows, 0, near)  # dp = dy v^T
        # softmax_rows(p, scale, own, near)
        softmax_rows_back(p[t:end], scale, near, rows)
        # s = q k^T
        a = rows[:, :seen]
        product(a, k, 0, ADD, dqkv[t:end], first, d)  # dq += ds k


@pasted
def back_to_keys(
    q: Tensor3, dy: Tensor3, causal: Whole, p: Matrix, ds: Matrix,
    dqkv: Matrix, first: Whole, d: Whole,
) -> None:  # fmt: skip
    """dk and dv of one head, some keys at a time: from who saw them."""
    T, D = p.shape[0], dqkv.shape[1] // 3
    for u in range(0, T, ROWS):
        end = min(u + ROWS, T)
        t = u if causal else 0
        rows = dqkv[u:end]
        # s = q k^T
        a = ds[t:, u:end].T
        product(a, q, t, ADD, rows, D + first, d)  # dk += ds^T q
        # y = p v
        a = p[t:, u:end].T
        product(a, dy, t, ADD, rows, 2 * D + first, d)  # dv += p^T dy


@shared
def softmax_rows(
    s: Matrix, scale: Number, own: Whole, near: Whole
) -> None:  # fmt: skip
    """Scores become probabilities: the first row's first `own` ones, one
    more in each row that follows, and zeros beyond.

    In three passes: so one row need not wait for another's sum.
    """
    R, T = s.shape
    numbers = stack(s, 2, ROWS)
    for r in range(R):
        row, mine = s[r, :near], own + r
        for u in range(near):
            row[u] = row[u] if u < mine else -INFINITY
        numbers[0, r] = largest(row)
    for r in range(R):
        row, top = s[r, :near], numbers[0, r]
        total = ZERO
        for u in range(near):
            row[u] = exp(scale * (row[u] - top))
            total += row[u]
        numbers[1, r] = ONE / total
    for r in range(R):
        row, mine, share = s[r], own + r, numbers[1, r]
        for u in range(T):
            row[u] = row[u] * share if u < mine else ZERO


@pasted
def softmax_rows_back(
    p: Matrix, scale: Number, near: Whole, dp: Matrix
) -> None:  # fmt: skip
    """dp becomes ds."""
    means = stack(dp, 1, ROWS)
    for r in range(dp.shape[0]):
        row, drow = p[r, :near], dp[r, :near]
        mean = ZERO
        for u in range(near):
            mean += row[u] * drow[u]
        means[0, r] = mean
    for r in range(dp.shape[0]):
        row, drow, mean = p[r, :near], dp[r, :near], means[0, r]
        for u in range(near):
            # p = exp(scale (s - top)) / total
            drow[u] = scale * (row[u] * (drow[u] - mean))


@shared
def product(
    a: Matrix, b: Tensor3, start: Whole, add: Whole,
    c: Matrix, first: Whole, width: Whole,
) -> None:  # fmt: skip
    """c = a b, or c += a b, for up to 8 rows: `width` columns from `first`.

    a is any view; b stands in panels, of which the rows from `start` on
    are used. Tiles of 8 x 16 numbers stay in registers until complete.
    """
    R, D = a.shape
    last = R - 1
    r1, r2, r3 = min(1, last), min(2, last), min(3, last)
    r4, r5, r6 = min(4, last), min(5, last), min(6, last)
    r7 = min(7, last)
    tile = stack(c, ROWS, COLUMNS)
    for j in range(-(-width // COLUMNS)):
        panel = b[j, start : start + D]
        for r in range(ROWS):
            for m in range(COLUMNS):
                tile[r, m] = 0
        for d in range(D):
            a0, a1, a2, a3 = a[0, d], a[r1, d], a[r2, d], a[r3, d]
            a4, a5, a6, a7 = a[r4, d], a[r5, d], a[r6, d], a[r7, d]
            for m in range(COLUMNS):
                b_m = panel[d, m]
                tile[0, m] += a0 * b_m
                tile[1, m] += a1 * b_m
                tile[2, m] += a2 * b_m
                tile[3, m] += a3 * b_m
                tile[4, m] += a4 * b_m
                tile[5, m] += a5 * b_m
                tile[6, m] += a6 * b_m
                tile[7, m] += a7 * b_m
        done = j * COLUMNS
        put(tile, add, c, first + done, min(width - done, COLUMNS))


@pasted
def put(
    tile: Matrix, add: Whole, c: Matrix, first: Whole, width: Whole
) -> None:  # fmt: skip
    """c = tile, or c += tile, as far as c goes."""
    R = c.shape[0]
    if R == ROWS and width == COLUMNS:
        for r in range(ROWS):
            row = c[r, first : first + COLUMNS]
            for m in range(COLUMNS):
                row[m] = tile[r, m] + (row[m] if add else ZERO)
    else:  # by way of a copy: only so can the tile stay in registers
        rest = stack(c, ROWS, COLUMNS)
        for r in range(ROWS):
            for m in range(COLUMNS):
                rest[r, m] = tile[r, m]
        for r in range(R):
            row = c[r, first : first + width]
            for m in range(row.size):
                row[m] = rest[r, m] + (row[m] if add else ZERO)


@part
def panels(
    room: Vector, rows: Whole, columns: Whole
) -> tuple[Tensor3, Vector]:  # fmt: skip
    """Room for a matrix as upright panels of 16 columns, and what is left."""
    count = -(-columns // COLUMNS)
    size = count * rows * COLUMNS
    return room[:size].reshape(count, rows, COLUMNS), room[size:]


@shared
def copy_columns(
    x: Matrix, first: Whole, width: Whole, out: Tensor3
) -> None:  # fmt: skip
    """out[j, t, m] = x[t, first + 16 j + m]; zeros beyond the width"""
    for j in range(out.shape[0]):
        start, end = first + j * COLUMNS, first + width
        for t in range(x.shape[0]):
            row = x[t, start : min(start + COLUMNS, end)]
            for m in range(row.size):
                out[j, t, m] = row[m]
            for m in range(row.size, COLUMNS):
                out[j, t, m] = 0


@pasted
def copy_turned(x: Matrix, first: Whole, out: Tensor3) -> None:
    """out[j, i, m] = x[16 j + m, first + i]; zeros beyond the last row"""
    for j in range(out.shape[0]):
        rows = x[j * COLUMNS : (j + 1) * COLUMNS]
        for i in range(out.shape[1]):
            for m in range(rows.shape[0]):
                out[j, i, m] = rows[m, first + i]
            for m in range(rows.shape[0], COLUMNS):
                out[j, i, m] = 0


# ---------------------------------------------------------------- CUDA


@cuda_sequence
def attention_forward_cuda(
    qkv: Tensor3, causal: Whole, room: Vector, p: Tensor4, y: Tensor3
) -> None:  # fmt: skip
    D = y.shape[2]
    scores_cuda(qkv, qkv, D, causal, p)  # s = q k^T
    softmax_rows_cuda(causal, D, p)
    mix_cuda(p, qkv, causal, y)  # y = p v


@cuda_sequence
def attention_backward_cuda(
    qkv: Tensor3, causal: Whole, p: Tensor4, dy: Tensor3,
    room: Vector, ds: Tensor4, dqkv: Tensor3,
) -> None:  # fmt: skip
    D = dy.shape[2]
    scores_cuda(dy, qkv, 2 * D, causal, ds)  # dp = dy v^T
    softmax_rows_back_cuda(p, causal, D, ds)
    unmix_cuda(qkv, p, dy, ds, causal, dqkv)


@cuda_kernel(threads=(16, 16), tiles_of="s")
def scores_cuda(
    x: Tensor3, qkv: Tensor3, where: Whole, causal: Whole, s: Tensor4
) -> None:  # fmt: skip
    """s = q k^T for x = qkv, the keys being in qkv from column D on; and
    dy v^T for x = dy, the values being there from column 2D on.

    A block makes 16 x 16 numbers of one head. Its threads read what all
    of them need into shared memory, 16 columns at a time, and use each
    number 16 times. Tiles that the mask hides are left out.
    """
    A, T = s.shape[1], s.shape[3]
    d = qkv.shape[2] // 3 // A
    column, row = cuda.threadIdx.x, cuda.threadIdx.y
    first_u, first_t = cuda.blockIdx.x * TILE, cuda.blockIdx.y * TILE
    n, a = cuda.blockIdx.z // A, cuda.blockIdx.z % A
    queries = cuda.shared.array((TILE, TILE), np.float32)
    keys = cuda.shared.array((TILE, TILE_GAP), np.float32)
    if causal and first_u > first_t:
        return  # the whole block: nobody waits for it
    t, u = first_t + row, first_u + column
    total = ZERO
    i = 0
    while i < d:
        c = a * d + i + column
        inside = first_t + row < T and i + column < d
        queries[row, column] = x[n, first_t + row, c] if inside else ZERO
        inside = first_u + row < T and i + column < d
        keys[row, column] = (
            qkv[n, first_u + row, where + c] if inside else ZERO
        )  # fmt: skip
        cuda.syncthreads()  # the tiles are there
        for j in range(TILE):
            total += queries[row, j] * keys[column, j]
        cuda.syncthreads()  # nobody reads them any more
        i += TILE
    if t < T and u < T:
        s[n, a, t, u] = total


@cuda_kernel(threads=32, blocks_of="p")
def softmax_rows_cuda(causal: Whole, D: Whole, p: Tensor4) -> None:
    """A block makes one row of scores probabilities."""
    A, T = p.shape[1], p.shape[3]
    scale = ONE / math.sqrt(np.float32(D // A))
    place, me = cuda.blockIdx.x, cuda.threadIdx.x
    n, a, t = place // (A * T), place // T % A, place % T
    seen = t + 1 if causal else T
    top = -INFINITY
    for u in range(me, seen, cuda.blockDim.x):
        top = max(top, p[n, a, t, u])
    top = block_max(top)
    total = ZERO
    for u in range(me, seen, cuda.blockDim.x):
        e = exp(scale * (p[n, a, t, u] - top))
        p[n, a, t, u] = e
        total += e
    share = ONE / block_sum(total)
    for u in range(me, T, cuda.blockDim.x):
        p[n, a, t, u] = p[n, a, t, u] * share if u < seen else ZERO


@cuda_kernel(threads=32, blocks_of="p")
def softmax_rows_back_cuda(
    p: Tensor4, causal: Whole, D: Whole, ds: Tensor4
) -> None:  # fmt: skip
    """A block makes one row of dp a row of ds."""
    A, T = p.shape[1], p.shape[3]
    scale = ONE / math.sqrt(np.float32(D // A))
    place, me = cuda.blockIdx.x, cuda.threadIdx.x
    n, a, t = place // (A * T), place // T % A, place % T
    seen = t + 1 if causal else T
    mean = ZERO
    for u in range(me, seen, cuda.blockDim.x):
        mean += p[n, a, t, u] * ds[n, a, t, u]
    mean = block_sum(mean)
    for u in range(me, T, cuda.blockDim.x):
        weight = p[n, a, t, u] if u < seen else ZERO
        change = ds[n, a, t, u] - mean if u < seen else ZERO
        ds[n, a, t, u] = scale * (weight * change)


@cuda_kernel(threads=(16, 16), tiles_of="y")
def mix_cuda(p: Tensor4, qkv: Tensor3, causal: Whole, y: Tensor3) -> None:
    """y = p v: a block makes 16 x 16 numbers of one sample.

    Its columns may belong to several heads: so only the values are
    shared, and each thread reads the probabilities of its own head.
    """
    T, D = y.shape[1:]
    A = p.shape[1]
    column, row = cuda.threadIdx.x, cuda.threadIdx.y
    c, t = cuda.blockIdx.x * TILE + column, cuda.blockIdx.y * TILE + row
    n, a = cuda.blockIdx.z, c // (D // A)
    values = cuda.shared.array((TILE, TILE), np.float32)
    seen = min(T, (cuda.blockIdx.y + 1) * TILE) if causal else T
    total = ZERO
    u = 0
    while u < seen:
        inside = u + row < T and c < D
        values[row, column] = qkv[n, u + row, 2 * D + c] if inside else ZERO
        cuda.syncthreads()  # the tile is there
        if t < T and c < D:
            here = min(TILE, seen - u)
            j = 0
            while j < here:
                total += p[n, a, t, u + j] * values[j, column]
                j += 1
        cuda.syncthreads()  # nobody reads it any more
        u += TILE
    if t < T and c < D:
        y[n, t, c] = total


@cuda_kernel(threads=(16, 16), tiles_of="dqkv")
def unmix_cuda(
    qkv: Tensor3, p: Tensor4, dy: Tensor3, ds: Tensor4,
    causal: Whole, dqkv: Tensor3,
) -> None:  # fmt: skip
    """A block adds 16 x 16 numbers to dqkv; columns say to which part.

    dq[t] += sum_u ds[t,u] k[u];  dk[t] += sum_u ds[u,t] q[u];
    dv[t] += sum_u p[u,t] dy[u]
    """
    T, D = dy.shape[1:]
    A = p.shape[1]
    column, row = cuda.threadIdx.x, cuda.threadIdx.y
    c, t = cuda.blockIdx.x * TILE + column, cuda.blockIdx.y * TILE + row
    n, kind = cuda.blockIdx.z, c // D
    a = (c - kind * D) // (D // A)
    shared = cuda.shared.array((TILE, TILE), np.float32)
    total = ZERO
    u = 0
    while u < T:
        inside = u + row < T and c < 3 * D
        if inside and kind == 0:
            shared[row, column] = qkv[n, u + row, D + c]
        elif inside and kind == 1:
            shared[row, column] = qkv[n, u + row, c - D]
        elif inside:
            shared[row, column] = dy[n, u + row, c - 2 * D]
        cuda.syncthreads()  # the tile is there
        here = min(TILE, T - u) if t < T and c < 3 * D else 0
        j = 0
        while j < here:
            if kind == 0:
                weight = ds[n, a, t, u + j]
            elif kind == 1:
                weight = ds[n, a, u + j, t]
            else:
                weight = p[n, a, u + j, t]
            total += weight * shared[j, column]
            j += 1
        cuda.syncthreads()  # nobody reads it any more
        u += TILE
    if t < T and c < 3 * D:
        dqkv[n, t, c] += total
