"""LSTM, long short-term memory: a recurrent layer with a memory that gates open and close.

    forward    (i, f, g, o)[t] = x[t] w + h[t-1] u + b, the sigmoid of i, f, o and the tanh of g; h[-1] = h0, c[-1] = c0
               c[t] = f c[t-1] + i g,  h[t] = o tanh c[t]
    backward   e[t] = dh[t] + da[t+1] u^T,  s[t] = e[t] o (1 - tanh^2 c[t]) + s[t+1] f[t+1]  for t = T-1, .., 1, 0
               da[t] = (s g i (1-i),  s c[t-1] f (1-f),  s i (1-g^2),  e tanh(c) o (1-o))
               dx[t] += da[t] w^T;  dw += sum_t x[t]^T da[t];  db += sum_t,n da[t,n];  du += sum_t h[t-1]^T da[t]
               dh0 += da[0] u^T;  dc0 += s[0] f[0]

The input gate i lets the candidate g into the memory c, the forget gate f keeps what is there, the output gate o shows
it. e[t] and s[t] are the whole gradients by h[t] and c[t]. From step to step s is only multiplied by f: where that
gate is open, at 1, the gradient reaches far back and does not fade.

Shapes   x dx (T N, D): first the N rows of step 0, then those of step 1, and so on; h c dh e s (T N, H) likewise.
         gates da (T N, 4H), in the order i, f, g, o; h0 c0 dh0 dc0 (N, H); w dw (D, 4H); u du (H, 4H); ut (4H, H);
         b db (4H,). C-contiguous. T, N, D, H may be 0. dx may have no rows, (0, D): then it is left out.
Dtypes   all float32 or all float64.
Writes   h, c, gates overwritten; ut, da, e, s overwritten; dx, dh0, dc0, dw, du, db added to.
Keeps    h, c, gates. The backward pass leaves e and s, the gradients by each h[t] and c[t]; ut is room for u^T.
Cost     8TNH (D + H) flops, 3TNH exponentials and 2TNH tanh forward; 16TNH (D + H) flops, TNH tanh backward.
Source   Hochreiter, Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; Gers, Schmidhuber, Cummins 2000 (forget gate),
         doi:10.1162/089976600300015015.
Lesson   13-lstm
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.clear import clear_cuda
from dltutor.kernels.compile import ONE, ZERO, Matrix, Vector, cuda, cuda_kernel, cuda_sequence, kernel, part
from dltutor.kernels.dense import dense_backward, dense_backward_cuda, dense_forward, dense_forward_cuda
from dltutor.kernels.elementary import exp, tanh
from dltutor.kernels.matmul import add_product
from dltutor.kernels.rnn import (
    add_state_products,
    by_step,
    row_times_column,
    states_before,
    transpose,
    transpose_cuda,
    undo_states_cuda,
)
from dltutor.kernels.sigmoid import sigmoid_reference


def lstm_reference(x: Matrix, h0: Matrix, c0: Matrix, w: Matrix, u: Matrix, b: Vector) -> tuple[Matrix, Matrix, Matrix]:
    """h, c and gates"""
    h, c, gates = [h0], [c0], [np.zeros((0, len(b)))]
    for x_t in by_step(x, h0):
        i, f, g, o = np.split(x_t @ w + h[-1] @ u + b, 4, axis=1)
        i, f, g, o = sigmoid_reference(i), sigmoid_reference(f), np.tanh(g), sigmoid_reference(o)
        gates.append(np.concatenate([i, f, g, o], axis=1))
        c.append(f * c[-1] + i * g)
        h.append(o * np.tanh(c[-1]))
    return np.concatenate([h0[:0], *h[1:]]), np.concatenate([c0[:0], *c[1:]]), np.concatenate(gates)


def lstm_backward_reference(
    x: Matrix, h0: Matrix, c0: Matrix, w: Matrix, u: Matrix,
    h: Matrix, c: Matrix, gates: Matrix, dh: Matrix,
) -> tuple[Matrix, Matrix, Matrix, Matrix, Matrix, Vector]:  # fmt: skip
    """dx, dh0, dc0, dw, du, db"""
    da, from_h, from_c = np.empty_like(gates), np.zeros_like(h0), np.zeros_like(c0)  # from the step after
    steps = zip(*(by_step(v, h0) for v in (states_before(c0, c), c, gates, dh, da)), strict=True)
    for before, c_t, gates_t, dh_t, da_t in reversed([*steps]):
        i, f, g, o = np.split(gates_t, 4, axis=1)
        e = dh_t + from_h
        s = e * o * (1 - np.tanh(c_t) ** 2) + from_c
        parts = s * g * i * (1 - i), s * before * f * (1 - f), s * i * (1 - g**2), e * np.tanh(c_t) * o * (1 - o)
        da_t[...] = np.concatenate(parts, axis=1)
        from_h, from_c = da_t @ u.T, s * f
    return da @ w.T, from_h, from_c, x.T @ da, states_before(h0, h).T @ da, da.sum(axis=0)


# ---------------------------------------------------------------- CPU


@kernel
def lstm_forward(
    x: Matrix, h0: Matrix, c0: Matrix, w: Matrix, u: Matrix, b: Vector,
    h: Matrix, c: Matrix, gates: Matrix,
) -> None:  # fmt: skip
    N = h0.shape[0]
    dense_forward(x, w, b, gates)  # all inputs: a = x w + b
    before, c_before = h0, c0
    for first in range(0, h.shape[0], max(N, 1)):
        last = first + N
        add_product(before[:, ::1], u, gates[first:last])  # a += before u
        before = h[first:last]
        for n in range(N):
            row = first + n
            remember(gates[row], c_before[n], c[row], h[row])
        c_before = c[first:last]


@part
def remember(gates: Vector, c_before: Vector, c: Vector, h: Vector) -> None:
    """One sample at one step. gates are a at first."""
    H = c.size
    i, f = gates[:H], gates[H : 2 * H]
    g, o = gates[2 * H : 3 * H], gates[3 * H :]
    for k in range(2 * H):
        gates[k] = ONE / (ONE + exp(-gates[k]))  # i and f
    for k in range(H):
        g[k] = tanh(g[k])
    for k in range(H):
        o[k] = ONE / (ONE + exp(-o[k]))
    for k in range(H):
        c[k] = f[k] * c_before[k] + i[k] * g[k]
    for k in range(H):
        h[k] = o[k] * tanh(c[k])


@kernel
def lstm_backward(
    x: Matrix, h0: Matrix, c0: Matrix, w: Matrix, u: Matrix,
    h: Matrix, c: Matrix, gates: Matrix, dh: Matrix,
    ut: Matrix, da: Matrix, e: Matrix, s: Matrix,
    dx: Matrix, dh0: Matrix, dc0: Matrix,
    dw: Matrix, du: Matrix, db: Vector,
) -> None:  # fmt: skip
    """From the last step to the first, then all inputs."""
    N, H = h0.shape
    rows = h.shape[0]
    transpose(u, ut)
    for n in range(rows):
        for k in range(H):
            e[n, k] = dh[n, k]
            s[n, k] = ZERO
    for last in range(rows, 0, -max(N, 1)):
        first = last - N
        c_before, d_before, dc_before = c0, dh0, dc0
        if first > 0:
            c_before = c[first - N : first]
            d_before, dc_before = e[first - N : first], s[first - N : first]
        for n in range(N):
            row = first + n
            undo_remember(
                gates[row], c_before[n], c[row], e[row], s[row],
                da[row], dc_before[n],
            )  # fmt: skip
        # a += before u
        add_product(da[first:last][:, ::1], ut, d_before)
    add_state_products(h0, h, da, du)
    # a = x w + b
    dense_backward(x, w, da, dx, dw, db)


@part
def undo_remember(
    gates: Vector, c_before: Vector, c: Vector, e: Vector, s: Vector,
    da: Vector, dc_before: Vector,
) -> None:  # fmt: skip
    """A loop for each result: the compiler sees that nothing overlaps."""
    H = c.size
    i, f = gates[:H], gates[H : 2 * H]
    g, o = gates[2 * H : 3 * H], gates[3 * H :]
    di, df = da[:H], da[H : 2 * H]
    dg, do = da[2 * H : 3 * H], da[3 * H :]
    for k in range(H):
        # h = o * tanh(c)
        shown = tanh(c[k])
        do[k] = e[k] * shown * o[k] * (ONE - o[k])
        s[k] += e[k] * o[k] * (ONE - shown * shown)
    # c = f * c_before + i * g
    for k in range(H):
        dc_before[k] += s[k] * f[k]
    for k in range(H):
        df[k] = s[k] * c_before[k] * f[k] * (ONE - f[k])
    for k in range(H):
        dg[k] = s[k] * i[k] * (ONE - g[k] * g[k])
    for k in range(H):
        di[k] = s[k] * g[k] * i[k] * (ONE - i[k])


# ---------------------------------------------------------------- CUDA


@cuda_sequence
def lstm_forward_cuda(
    x: Matrix, h0: Matrix, c0: Matrix, w: Matrix, u: Matrix, b: Vector,
    h: Matrix, c: Matrix, gates: Matrix,
) -> None:  # fmt: skip
    """One kernel for all inputs, then one for each step."""
    N, before, c_before = h0.shape[0], h0, c0
    dense_forward_cuda(x, w, b, gates)
    for first in range(0, h.shape[0], max(N, 1)):
        now = slice(first, first + N)
        lstm_step_cuda(before, c_before, u, h[now], c[now], gates[now])
        before, c_before = h[now], c[now]


@cuda_sequence
def lstm_backward_cuda(
    x: Matrix, h0: Matrix, c0: Matrix, w: Matrix, u: Matrix,
    h: Matrix, c: Matrix, gates: Matrix, dh: Matrix,
    ut: Matrix, da: Matrix, e: Matrix, s: Matrix,
    dx: Matrix, dh0: Matrix, dc0: Matrix,
    dw: Matrix, du: Matrix, db: Vector,
) -> None:  # fmt: skip
    N, rows = h0.shape[0], h.shape[0]
    transpose_cuda(u, ut)
    clear_cuda(s.reshape(s.size))
    for last in range(rows, 0, -max(N, 1)):
        first = last - N
        now, later = slice(first, last), slice(last, last + N)
        before = slice(first - N, first)
        lstm_step_backward_cuda(
            c[before] if first else c0, c[now], gates[now],
            dh[now], da[later], ut, da[now], e[now], s[now],
            s[before] if first else dc0,
        )  # fmt: skip
    undo_states_cuda(h0, h, u, da, dh0, du)
    dense_backward_cuda(x, w, da, dx, dw, db)


@cuda_kernel(threads=128, over="h")
def lstm_step_cuda(
    before: Matrix, c_before: Matrix, u: Matrix,
    h: Matrix, c: Matrix, gates: Matrix,
) -> None:  # fmt: skip
    """One thread makes one number of h, with its memory and four gates."""
    N, H = h.shape
    for j in range(cuda.grid(1), N * H, cuda.gridsize(1)):
        n, k = j // H, j % H
        kf, kg, ko = k + H, k + 2 * H, k + 3 * H
        i = gates[n, k] + row_times_column(before, u, n, k)
        f = gates[n, kf] + row_times_column(before, u, n, kf)
        g = gates[n, kg] + row_times_column(before, u, n, kg)
        o = gates[n, ko] + row_times_column(before, u, n, ko)
        i, f = ONE / (ONE + exp(-i)), ONE / (ONE + exp(-f))
        g, o = tanh(g), ONE / (ONE + exp(-o))
        gates[n, k], gates[n, kf] = i, f
        gates[n, kg], gates[n, ko] = g, o
        c[n, k] = f * c_before[n, k] + i * g
        h[n, k] = o * tanh(c[n, k])


@cuda_kernel(threads=128, over="e")
def lstm_step_backward_cuda(
    c_before: Matrix, c: Matrix, gates: Matrix,
    dh: Matrix, later: Matrix, ut: Matrix,
    da: Matrix, e: Matrix, s: Matrix, dc_before: Matrix,
) -> None:  # fmt: skip
    """One thread undoes one number of h, with its memory and four gates.

    later is da of the step after; the last step has none: no rows.
    """
    N, H = e.shape
    for j in range(cuda.grid(1), N * H, cuda.gridsize(1)):
        n, k = j // H, j % H
        i, f = gates[n, k], gates[n, k + H]
        g, o = gates[n, k + 2 * H], gates[n, k + 3 * H]
        by_h = dh[n, k]
        if later.shape[0] > 0:
            # a += before u, one step later
            by_h += row_times_column(later, ut, n, k)
        e[n, k] = by_h
        # h = o * tanh(c)
        shown = tanh(c[n, k])
        da[n, k + 3 * H] = by_h * shown * o * (ONE - o)
        by_c = s[n, k] + by_h * o * (ONE - shown * shown)
        s[n, k] = by_c
        # c = f * c_before + i * g
        dc_before[n, k] += by_c * f
        da[n, k + H] = by_c * c_before[n, k] * f * (ONE - f)
        da[n, k + 2 * H] = by_c * i * (ONE - g * g)
        da[n, k] = by_c * g * i * (ONE - i)
