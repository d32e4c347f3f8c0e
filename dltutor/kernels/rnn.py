"""Recurrent layer: at every time step the same weights see the new input and what the layer said a step before.

    forward    h[t] = tanh(x[t] w + h[t-1] u + b)  for t = 0, 1, .., T-1;  h[-1] = h0
    backward   e[t] = dh[t] + da[t+1] u^T,  da[t] = e[t] (1 - h[t]^2)  for t = T-1, .., 1, 0;  da[T] = 0
               dx[t] += da[t] w^T;  dw += sum_t x[t]^T da[t];  db += sum_t,n da[t,n]
               du += sum_t h[t-1]^T da[t];  dh0 += da[0] u^T

Backpropagation through time: h[t] changes the loss itself, which is dh[t], and by way of all later steps. e[t] is both
together. Each step back multiplies by a slope and by u^T, and so the gradient fades, or grows.

What the inputs contribute does not wait for an earlier step: it is a dense layer with T N rows, forward and backward.
Only the product with u is made step by step.

Shapes   x dx (T N, D): first the N rows of step 0, then those of step 1, and so on; h dh da e (T N, H) likewise.
         h0 dh0 (N, H); w dw (D, H); u du ut (H, H); b db (H,). C-contiguous. T, N, D, H may be 0.
         dx may have no rows, (0, D): then it is left out, as in a first layer.
Dtypes   all float32 or all float64.
Writes   h overwritten; ut, da, e overwritten; dx, dh0, dw, du, db added to.
Keeps    h. The backward pass leaves e, the gradient by each h[t]; ut is room for u^T.
Cost     2TNH (D + H) flops and TNH tanh forward, 4TNH (D + H) flops backward.
Source   Elman 1990, doi:10.1207/s15516709cog1402_1; Werbos 1990, doi:10.1109/5.58337 (backpropagation through time).
Lesson   12-rnn
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import (
    ONE,
    ZERO,
    Matrix,
    Number,
    Vector,
    Whole,
    cuda,
    cuda_kernel,
    cuda_sequence,
    kernel,
    part,
    scalar,
)
from dltutor.kernels.dense import dense_backward, dense_backward_cuda, dense_forward, dense_forward_cuda
from dltutor.kernels.elementary import tanh
from dltutor.kernels.matmul import add_product, matmul_backward_a_cuda, matmul_backward_b_cuda


def rnn_reference(x: Matrix, h0: Matrix, w: Matrix, u: Matrix, b: Vector) -> Matrix:
    h = [h0]
    for x_t in by_step(x, h0):
        h.append(np.tanh(x_t @ w + h[-1] @ u + b))
    return np.concatenate([h0[:0], *h[1:]])


def rnn_backward_reference(
    x: Matrix, h0: Matrix, w: Matrix, u: Matrix, h: Matrix, dh: Matrix
) -> tuple[Matrix, Matrix, Matrix, Matrix, Vector]:
    later, da = np.zeros_like(h0), np.empty_like(h)  # later: what comes back from the step after
    for h_t, dh_t, da_t in reversed([*zip(by_step(h, h0), by_step(dh, h0), by_step(da, h0), strict=True)]):
        da_t[...] = (dh_t + later) * (1 - h_t**2)
        later = da_t @ u.T
    return da @ w.T, later, x.T @ da, states_before(h0, h).T @ da, da.sum(axis=0)


def by_step(x: Matrix, h0: Matrix) -> list[Matrix]:
    """The rows of each step."""
    N = len(h0)
    return [x[first : first + N] for first in range(0, len(x), max(N, 1))]


def states_before(h0: Matrix, h: Matrix) -> Matrix:
    """h[t-1] beside each h[t]"""
    return np.concatenate([h0, h])[: len(h)]


# ---------------------------------------------------------------- CPU


@kernel
def rnn_forward(
    x: Matrix, h0: Matrix, w: Matrix, u: Matrix, b: Vector, h: Matrix
) -> None:  # fmt: skip
    N, H = h0.shape
    dense_forward(x, w, b, h)  # all inputs: h = x w + b
    before = h0
    for first in range(0, h.shape[0], max(N, 1)):
        now = h[first : first + N]
        add_product(before[:, ::1], u, now)  # now += before u
        for n in range(N):
            for k in range(H):
                now[n, k] = tanh(now[n, k])
        before = now


@kernel
def rnn_backward(
    x: Matrix, h0: Matrix, w: Matrix, u: Matrix, h: Matrix, dh: Matrix,
    ut: Matrix, da: Matrix, e: Matrix,
    dx: Matrix, dh0: Matrix, dw: Matrix, du: Matrix, db: Vector,
) -> None:  # fmt: skip
    """From the last step to the first, then all inputs."""
    N, H = h0.shape
    rows = h.shape[0]
    transpose(u, ut)
    for n in range(rows):
        for k in range(H):
            e[n, k] = dh[n, k]
    for last in range(rows, 0, -max(N, 1)):
        first = last - N
        for n in range(first, last):
            for k in range(H):
                # now[n, k] = tanh(now[n, k])
                da[n, k] = e[n, k] * (ONE - h[n, k] * h[n, k])
        # now += before u
        before = e[first - N : first] if first > 0 else dh0
        add_product(da[first:last][:, ::1], ut, before)
    add_state_products(h0, h, da, du)
    # h = x w + b
    dense_backward(x, w, da, dx, dw, db)


@part
def add_state_products(
    h0: Matrix, h: Matrix, da: Matrix, du: Matrix
) -> None:  # fmt: skip
    """du += h0^T da[0], then += h[t - 1]^T da[t] for all t > 0 at once"""
    N, rows = h0.shape[0], h.shape[0]
    if rows > 0:
        add_product(h0.T[:, ::1], da[:N], du)
        add_product(h[: rows - N].T[:, ::1], da[N:], du)


@part
def transpose(a: Matrix, b: Matrix) -> None:
    """b = a^T, in strips of 16 columns: a cache line of each row of a."""
    N, M = a.shape
    for first in range(0, M, 16):
        for n in range(N):
            for m in range(first, min(first + 16, M)):
                b[m, n] = a[n, m]


# ---------------------------------------------------------------- CUDA


@cuda_sequence
def rnn_forward_cuda(
    x: Matrix, h0: Matrix, w: Matrix, u: Matrix, b: Vector, h: Matrix
) -> None:  # fmt: skip
    """One kernel for all inputs, then one for each step."""
    N, before = h0.shape[0], h0
    dense_forward_cuda(x, w, b, h)
    for first in range(0, h.shape[0], max(N, 1)):
        now = h[first : first + N]
        rnn_step_cuda(before, u, now)
        before = now


@cuda_sequence
def rnn_backward_cuda(
    x: Matrix, h0: Matrix, w: Matrix, u: Matrix, h: Matrix, dh: Matrix,
    ut: Matrix, da: Matrix, e: Matrix,
    dx: Matrix, dh0: Matrix, dw: Matrix, du: Matrix, db: Vector,
) -> None:  # fmt: skip
    N, rows = h0.shape[0], h.shape[0]
    transpose_cuda(u, ut)
    for last in range(rows, 0, -max(N, 1)):
        now, later = slice(last - N, last), slice(last, last + N)
        rnn_step_backward_cuda(
            h[now], dh[now], da[later], ut, da[now], e[now]
        )  # fmt: skip
    undo_states_cuda(h0, h, u, da, dh0, du)
    dense_backward_cuda(x, w, da, dx, dw, db)


@cuda_kernel(threads=128, over="now")
def rnn_step_cuda(before: Matrix, u: Matrix, now: Matrix) -> None:
    """now = tanh(now + before u): one thread makes one number."""
    N, H = now.shape
    for i in range(cuda.grid(1), N * H, cuda.gridsize(1)):
        n, k = i // H, i % H
        now[n, k] = tanh(now[n, k] + row_times_column(before, u, n, k))


@cuda_kernel(threads=128, over="e")
def rnn_step_backward_cuda(
    h: Matrix, dh: Matrix, later: Matrix, ut: Matrix,
    da: Matrix, e: Matrix,
) -> None:  # fmt: skip
    """One thread makes one number of e and one of da.

    later is da of the step after; the last step has none: no rows.
    """
    N, H = e.shape
    for i in range(cuda.grid(1), N * H, cuda.gridsize(1)):
        n, k = i // H, i % H
        total = dh[n, k]
        if later.shape[0] > 0:
            # a += before u, one step later
            total += row_times_column(later, ut, n, k)
        e[n, k] = total
        # h = tanh(a)
        da[n, k] = total * (ONE - h[n, k] * h[n, k])


@scalar
def row_times_column(a: Matrix, b: Matrix, n: Whole, m: Whole) -> Number:
    """One number of the product a b."""
    total = ZERO
    d = 0
    while d < b.shape[0]:
        total += a[n, d] * b[d, m]
        d += 1
    return total


@cuda_kernel(threads=128, over="b")
def transpose_cuda(a: Matrix, b: Matrix) -> None:
    """b = a^T, so that neighbouring threads can read u^T side by side."""
    N, M = a.shape
    for i in range(cuda.grid(1), N * M, cuda.gridsize(1)):
        b[i // N, i % N] = a[i % N, i // N]


@cuda_sequence
def undo_states_cuda(
    h0: Matrix, h: Matrix, u: Matrix, da: Matrix, dh0: Matrix, du: Matrix
) -> None:  # fmt: skip
    """The first step sees h0, all others h of the step before."""
    N, rows = h0.shape[0], h.shape[0]
    if rows:
        # a += before u
        matmul_backward_a_cuda(da[:N], u, dh0)
        matmul_backward_b_cuda(h0, da[:N], du)
    if rows > N:
        matmul_backward_b_cuda(h[: rows - N], da[N:], du)
