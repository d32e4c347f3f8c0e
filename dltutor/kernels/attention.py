"""Scaled dot-product attention with A heads: each time asks all times, and takes from those that answer its question.

    forward    s[t,u] = sum_i q[t,i] k[u,i] / sqrt(d);  p[t] = softmax over u of s[t];  y[t,i] = sum_u p[t,u] v[u,i]
    backward   dp[t,u] = sum_i dy[t,i] v[u,i];  ds[t,u] = p[t,u] (dp[t,u] - sum_w p[t,w] dp[t,w]) / sqrt(d)
               dq[t,i] += sum_u ds[t,u] k[u,i];  dk[u,i] += sum_t ds[t,u] q[t,i];  dv[u,i] += sum_t p[t,u] dy[t,i]
    causal     time t sees the times u <= t only: the others have p[t,u] = 0, and are left out of the sums

All of it for every sample n and head a. The heads share the last axis: head a has columns a d to (a + 1) d of the
queries q, of the keys k and of the values v, which stand side by side in qkv, as one dense layer makes them. Dividing
by sqrt(d) keeps the scores of long vectors as small as those of short ones: a softmax of large numbers learns nothing.

Shapes   qkv dqkv (N, T, 3D); turned dturned (N, 2D, T); p ds (N, A, T, T); y dy (N, T, D). C-contiguous. d = D / A.
         N and T may be 0; A and d at least 1.
Dtypes   all float32 or all float64; causal 0 or 1.
Writes   turned, p, y overwritten; dqkv added to. dturned and ds are room for the backward pass to work in.
Keeps    p, and turned: the keys above the values with time as the last axis, so that loops over time are over
         neighbours in memory.
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
)
from dltutor.kernels.elementary import exp
from dltutor.kernels.reduce import block_max, block_sum, largest

ROWS = 32  # queries at a time: none of them sees a key after the last one's
TILE = 16


def attention_reference(qkv: Tensor3, causal: int, heads: int) -> tuple[Tensor3, Tensor4, Tensor3]:
    q, k, v = split_heads(qkv, heads)
    s = q @ k.swapaxes(2, 3) / math.sqrt(q.shape[-1])
    seen = np.tri(s.shape[-1], dtype=bool) | (not causal)
    s = np.where(seen, s, -np.inf)
    e = np.exp(s - s.max(axis=-1, keepdims=True, initial=-np.inf))
    p = np.where(seen, e / e.sum(axis=-1, keepdims=True), 0)
    turned = np.ascontiguousarray(qkv[:, :, qkv.shape[2] // 3 :].swapaxes(1, 2))
    return turned, p, join_heads(p @ v)


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


@kernel(rows="qkv turned p y")
def attention_forward(
    qkv: Tensor3, causal: Whole,
    turned: Tensor3, p: Tensor4, y: Tensor3,
) -> None:  # fmt: skip
    N, A = p.shape[:2]
    D = y.shape[2]
    d = D // A
    for n in range(N):
        turn(qkv[n], turned[n])
        clear_columns(y[n], D)
        for a in range(A):
            q = qkv[n, :, a * d : (a + 1) * d]
            k = turned[n, a * d : (a + 1) * d]
            v = turned[n, D + a * d : D + (a + 1) * d]
            attend(q, k, v, causal, p[n, a], y[n, :, a * d : (a + 1) * d])


@part
def attend(
    q: Matrix, k: Matrix, v: Matrix, causal: Whole, p: Matrix, y: Matrix
) -> None:  # fmt: skip
    """One head. k and v are turned; y starts as zeros."""
    T, d = q.shape
    scale = ONE / np.float32(math.sqrt(d))
    for t in range(0, T, ROWS):
        end = min(t + ROWS, T)
        seen = end if causal else T
        rows = p[t:end]
        clear_columns(rows, seen)
        add_seen(q[t:end], k, rows, seen)  # s = q k^T
        for r in range(end - t):
            softmax_seen(rows[r], scale, t + r + 1 if causal else T, seen)
        add_dots(rows, v, y[t:end], seen)  # y = p v


@kernel(rows="qkv turned p dy dturned ds dqkv")
def attention_backward(
    qkv: Tensor3, causal: Whole, turned: Tensor3, p: Tensor4, dy: Tensor3,
    dturned: Tensor3, ds: Tensor4, dqkv: Tensor3,
) -> None:  # fmt: skip
    N, A, T, _T = p.shape
    D = dy.shape[2]
    d = D // A
    for n in range(N):
        clear_columns(dturned[n], T)
        for a in range(A):
            first, end = a * d, (a + 1) * d
            attend_back(
                qkv[n, :, first:end],
                turned[n, first:end],
                turned[n, D + first : D + end],
                causal,
                p[n, a],
                dy[n, :, first:end],
                ds[n, a],
                dqkv[n, :, first:end],
                dturned[n, first:end],
                dturned[n, D + first : D + end],
            )
        # turn(qkv[n], turned[n])
        add_turned(dturned[n], dqkv[n])


@part
def attend_back(
    q: Matrix, k: Matrix, v: Matrix, causal: Whole, p: Matrix, dy: Matrix,
    ds: Matrix, dq: Matrix, dk: Matrix, dv: Matrix,
) -> None:  # fmt: skip
    """One head, undone from its last line to its first."""
    T, d = q.shape
    scale = ONE / np.float32(math.sqrt(d))
    for t in range(0, T, ROWS):
        end = min(t + ROWS, T)
        seen = end if causal else T
        rows, drows = p[t:end], ds[t:end]
        # add_dots(rows, v, y[t:end], seen): y = p v
        add_seen(dy[t:end].T, rows, dv, seen)  # dv^T += dy^T p
        clear_columns(drows, seen)
        add_seen(dy[t:end], v, drows, seen)  # dp = dy v^T
        # softmax_seen(rows[r], scale, ..)
        for r in range(end - t):
            softmax_seen_back(rows[r], drows[r], scale, seen)
        # add_seen(q[t:end], k, rows, seen): s = q k^T
        add_dots(drows, k, dq[t:end], seen)  # dq += ds k
        add_seen(q[t:end].T, drows, dk, seen)  # dk^T += q^T ds


@part
def softmax_seen(
    s: Vector, scale: Number, own: Whole, seen: Whole
) -> None:  # fmt: skip
    """Scores become probabilities, and zero beyond a query's own ones.

    Whole blocks are calculated: that is faster than an odd number.
    """
    for u in range(own, seen):
        s[u] = -INFINITY
    top = largest(s[:seen])
    total = ZERO
    for u in range(seen):
        e = exp(scale * (s[u] - top))
        s[u] = e
        total += e
    share = ONE / total
    for u in range(seen):
        s[u] *= share
    for u in range(own, s.size):
        s[u] = 0


@part
def softmax_seen_back(
    p: Vector, dp: Vector, scale: Number, seen: Whole
) -> None:  # fmt: skip
    """dp becomes ds."""
    mean = ZERO
    for u in range(seen):
        mean += p[u] * dp[u]
    for u in range(seen):
        dp[u] = scale * (p[u] * (dp[u] - mean))


@part
def add_seen(a: Matrix, b: Matrix, c: Matrix, seen: Whole) -> None:
    """c += a b in the first columns, as add_product of matmul.py."""
    N, D = a.shape
    whole_n, whole_d = N - N % 4, D - D % 4
    for n in range(0, whole_n, 4):
        n1, n2, n3 = n + 1, n + 2, n + 3
        for d in range(0, whole_d, 4):
            d1, d2, d3 = d + 1, d + 2, d + 3
            a00, a01, a02, a03 = a[n, d], a[n, d1], a[n, d2], a[n, d3]
            a10, a11, a12, a13 = a[n1, d], a[n1, d1], a[n1, d2], a[n1, d3]
            a20, a21, a22, a23 = a[n2, d], a[n2, d1], a[n2, d2], a[n2, d3]
            a30, a31, a32, a33 = a[n3, d], a[n3, d1], a[n3, d2], a[n3, d3]
            for m in range(seen):
                b0, b1, b2, b3 = b[d, m], b[d1, m], b[d2, m], b[d3, m]
                c[n, m] += a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
                c[n1, m] += a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
                c[n2, m] += a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
                c[n3, m] += a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3
    for n in range(N):
        first = whole_d if n < whole_n else 0
        for d in range(first, D):
            for m in range(seen):
                c[n, m] += a[n, d] * b[d, m]


@part
def add_dots(a: Matrix, b: Matrix, c: Matrix, seen: Whole) -> None:
    """c += a b^T, of the first columns of a and b."""
    N, D = c.shape
    whole_n, whole_d = N - N % 2, D - D % 4
    for n in range(0, whole_n, 2):
        n1 = n + 1
        for d in range(0, whole_d, 4):
            d1, d2, d3 = d + 1, d + 2, d + 3
            c00 = c01 = c02 = c03 = c10 = c11 = c12 = c13 = ZERO
            for m in range(seen):
                a0, a1 = a[n, m], a[n1, m]
                b0, b1, b2, b3 = b[d, m], b[d1, m], b[d2, m], b[d3, m]
                c00 += a0 * b0
                c01 += a0 * b1
                c02 += a0 * b2
                c03 += a0 * b3
                c10 += a1 * b0
                c11 += a1 * b1
                c12 += a1 * b2
                c13 += a1 * b3
            c[n, d] += c00
            c[n, d1] += c01
            c[n, d2] += c02
            c[n, d3] += c03
            c[n1, d] += c10
            c[n1, d1] += c11
            c[n1, d2] += c12
            c[n1, d3] += c13
    for n in range(N):
        first = whole_d if n < whole_n else 0
        for d in range(first, D):
            total = ZERO
            for m in range(seen):
                total += a[n, m] * b[d, m]
            c[n, d] += total


@part
def turn(x: Matrix, turned: Matrix) -> None:
    """turned = the last columns of x, as rows."""
    C, T = turned.shape
    first = x.shape[1] - C
    for c in range(C):
        for t in range(T):
            turned[c, t] = x[t, first + c]


@part
def add_turned(turned: Matrix, x: Matrix) -> None:
    """The last columns of x += the rows of turned."""
    C, T = turned.shape
    first = x.shape[1] - C
    for t in range(T):
        for c in range(C):
            x[t, first + c] += turned[c, t]


@part
def clear_columns(x: Matrix, columns: Whole) -> None:
    """x = 0 in the first columns."""
    for n in range(x.shape[0]):
        for c in range(columns):
            x[n, c] = 0


# ---------------------------------------------------------------- CUDA


@cuda_sequence
def attention_forward_cuda(
    qkv: Tensor3, causal: Whole,
    turned: Tensor3, p: Tensor4, y: Tensor3,
) -> None:  # fmt: skip
    D = y.shape[2]
    turn_cuda(qkv, turned)
    scores_cuda(qkv, turned, 0, causal, p)  # s = q k^T
    softmax_seen_cuda(causal, D, p)
    mix_cuda(p, qkv, causal, y)  # y = p v


@cuda_sequence
def attention_backward_cuda(
    qkv: Tensor3, causal: Whole, turned: Tensor3, p: Tensor4, dy: Tensor3,
    dturned: Tensor3, ds: Tensor4, dqkv: Tensor3,
) -> None:  # fmt: skip
    D = dy.shape[2]
    scores_cuda(dy, turned, D, causal, ds)  # dp = dy v^T
    softmax_seen_back_cuda(p, causal, D, ds)
    unmix_cuda(qkv, p, dy, ds, causal, dqkv)


@cuda_kernel(threads=128, over="turned")
def turn_cuda(qkv: Tensor3, turned: Tensor3) -> None:
    """turned = keys and values, time as the last axis."""
    N, C, T = turned.shape
    for i in range(cuda.grid(1), N * C * T, cuda.gridsize(1)):
        n, c, t = i // (C * T), i // T % C, i % T
        turned[n, c, t] = qkv[n, t, C // 2 + c]


@cuda_kernel(threads=(16, 16), tiles_of="s")
def scores_cuda(
    x: Tensor3, turned: Tensor3, below: Whole, causal: Whole, s: Tensor4
) -> None:  # fmt: skip
    """s = q k^T for x = qkv and below = 0; dy v^T for dy and below = D.

    A block makes 16 x 16 numbers of one head. Its threads read what all
    of them need into shared memory, 16 columns at a time, and use each
    number 16 times. Tiles that the mask hides are left out.
    """
    T, A = s.shape[3], s.shape[1]
    d = turned.shape[1] // 2 // A
    column, row = cuda.threadIdx.x, cuda.threadIdx.y
    u, t = cuda.blockIdx.x * TILE + column, cuda.blockIdx.y * TILE + row
    n, a = cuda.blockIdx.z // A, cuda.blockIdx.z % A
    first = a * d
    queries = cuda.shared.array((TILE, TILE), np.float32)
    keys = cuda.shared.array((TILE, TILE), np.float32)
    if causal and cuda.blockIdx.x > cuda.blockIdx.y:
        return  # the whole block: nobody waits for it
    total = ZERO
    i = 0
    while i < d:
        inside = t < T and i + column < d
        queries[row, column] = x[n, t, first + i + column] if inside else ZERO
        inside = u < T and i + row < d
        keys[row, column] = turned[n, below + first + i + row, u] if inside else ZERO
        cuda.syncthreads()  # the tiles are there
        for j in range(TILE):
            total += queries[row, j] * keys[j, column]
        cuda.syncthreads()  # nobody reads them any more
        i += TILE
    if t < T and u < T:
        s[n, a, t, u] = total


@cuda_kernel(threads=32, blocks_of="p")
def softmax_seen_cuda(causal: Whole, D: Whole, p: Tensor4) -> None:
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
def softmax_seen_back_cuda(
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
        change = p[n, a, t, u] * (ds[n, a, t, u] - mean) if u < seen else ZERO
        ds[n, a, t, u] = scale * change


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
