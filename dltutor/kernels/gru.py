"""GRU, gated recurrent unit: a recurrent layer that mixes what it said before with something new.

    forward    p[t] = x[t] w + b,  q[t] = h[t-1] u + v,  each in three parts r, z, n;  h[-1] = h0
               r = sigmoid(p_r + q_r),  z = sigmoid(p_z + q_z),  n = tanh(p_n + r q_n),  h[t] = (1 - z) n + z h[t-1]
    backward   e[t] = dh[t] + dq[t+1] u^T + z[t+1] e[t+1]  for t = T-1, .., 1, 0
               dp[t] = (dn q_n r (1-r),  e (h[t-1] - n) z (1-z),  dn),  dn = e (1-z) (1-n^2);  dq[t] = dp[t], its n part
               times r
               dx[t] += dp[t] w^T;  dw += sum_t x[t]^T dp[t];  db += sum_t,n dp[t,n]
               du += sum_t h[t-1]^T dq[t];  dv += sum_t,n dq[t,n];  dh0 += dq[0] u^T + z[0] e[0]

The update gate z keeps what was there, where it is open; else the candidate n takes its place. The reset gate r decides
how much of the past the candidate sees. e[t] is the whole gradient by h[t].

Shapes   x dx (T N, D): first the N rows of step 0, then those of step 1, and so on; h dh e (T N, H) likewise.
         gates q dp dq (T N, 3H), in the order r, z, n; h0 dh0 (N, H); w dw (D, 3H); u du (H, 3H); ut (3H, H);
         b v db dv (3H,). C-contiguous. T, N, D, H may be 0. dx may have no rows, (0, D): then it is left out.
Dtypes   all float32 or all float64.
Writes   h, gates, q overwritten; ut, dp, dq, e overwritten; dx, dh0, dw, du, db, dv added to.
Keeps    h, gates, q. The backward pass leaves e, the gradient by each h[t]; ut is room for u^T.
Cost     6TNH (D + H) flops, 2TNH exponentials and TNH tanh forward, 12TNH (D + H) flops backward.
Source   Cho et al. 2014, arXiv:1406.1078; r after the product, with a bias of its own, as in cuDNN and PyTorch.
Lesson   13-lstm
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.bias import bias_backward, bias_backward_cuda, bias_forward
from dltutor.kernels.compile import ONE, Matrix, Vector, cuda, cuda_kernel, cuda_sequence, kernel, part
from dltutor.kernels.copy import copy_forward_cuda
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


def gru_reference(x: Matrix, h0: Matrix, w: Matrix, u: Matrix, b: Vector, v: Vector) -> tuple[Matrix, Matrix, Matrix]:
    """h, gates and q"""
    h, gates, qs = [h0], [np.zeros((0, len(b)))], [np.zeros((0, len(b)))]
    for x_t in by_step(x, h0):
        qs.append(h[-1] @ u + v)
        (p_r, p_z, p_n), (q_r, q_z, q_n) = np.split(x_t @ w + b, 3, axis=1), np.split(qs[-1], 3, axis=1)
        r, z = sigmoid_reference(p_r + q_r), sigmoid_reference(p_z + q_z)
        n = np.tanh(p_n + r * q_n)
        gates.append(np.concatenate([r, z, n], axis=1))
        h.append((1 - z) * n + z * h[-1])
    return np.concatenate([h0[:0], *h[1:]]), np.concatenate(gates), np.concatenate(qs)


def gru_backward_reference(
    x: Matrix, h0: Matrix, w: Matrix, u: Matrix,
    h: Matrix, gates: Matrix, q: Matrix, dh: Matrix,
) -> tuple[Matrix, Matrix, Matrix, Matrix, Vector, Vector]:  # fmt: skip
    """dx, dh0, dw, du, db, dv"""
    dp, dq, later = np.empty_like(gates), np.empty_like(gates), np.zeros_like(h0)
    before = states_before(h0, h)
    steps = zip(*(by_step(of, h0) for of in (before, gates, q, dh, dp, dq)), strict=True)
    for before_t, gates_t, q_t, dh_t, dp_t, dq_t in reversed([*steps]):
        r, z, n = np.split(gates_t, 3, axis=1)
        q_n = np.split(q_t, 3, axis=1)[2]
        e = dh_t + later
        dn = e * (1 - z) * (1 - n**2)
        d_gates = dn * q_n * r * (1 - r), e * (before_t - n) * z * (1 - z)
        dp_t[...] = np.concatenate([*d_gates, dn], axis=1)
        dq_t[...] = np.concatenate([*d_gates, dn * r], axis=1)
        later = dq_t @ u.T + z * e
    return dp @ w.T, later, x.T @ dp, before.T @ dq, dp.sum(axis=0), dq.sum(axis=0)


# ---------------------------------------------------------------- CPU


@kernel
def gru_forward(
    x: Matrix, h0: Matrix, w: Matrix, u: Matrix, b: Vector, v: Vector,
    h: Matrix, gates: Matrix, q: Matrix,
) -> None:  # fmt: skip
    N = h0.shape[0]
    dense_forward(x, w, b, gates)  # all inputs: p = x w + b
    bias_forward(v, q)  # q = v
    before = h0
    for first in range(0, h.shape[0], max(N, 1)):
        last = first + N
        add_product(before[:, ::1], u, q[first:last])  # += before u
        now = h[first:last]
        for n in range(N):
            mix(gates[first + n], q[first + n], before[n], now[n])
        before = now


@part
def mix(gates: Vector, q: Vector, before: Vector, h: Vector) -> None:
    """One sample at one step. gates are p at first."""
    H = h.size
    candidate, q_candidate = gates[2 * H :], q[2 * H :]
    for k in range(2 * H):
        gates[k] = ONE / (ONE + exp(-gates[k] - q[k]))  # r and z
    r, z = gates[:H], gates[H : 2 * H]
    for k in range(H):
        n = tanh(candidate[k] + r[k] * q_candidate[k])
        candidate[k] = n
        h[k] = n + z[k] * (before[k] - n)


@kernel
def gru_backward(
    x: Matrix, h0: Matrix, w: Matrix, u: Matrix,
    h: Matrix, gates: Matrix, q: Matrix, dh: Matrix,
    ut: Matrix, dp: Matrix, dq: Matrix, e: Matrix,
    dx: Matrix, dh0: Matrix, dw: Matrix, du: Matrix,
    db: Vector, dv: Vector,
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
        before, d_before = h0, dh0
        if first > 0:
            before, d_before = h[first - N : first], e[first - N : first]
        for n in range(N):
            row = first + n
            undo_mix(
                gates[row], q[row], before[n], e[row],
                dp[row], dq[row], d_before[n],
            )  # fmt: skip
        # q += before u
        add_product(dq[first:last][:, ::1], ut, d_before)
    # q = v
    bias_backward(dq, dv)
    add_state_products(h0, h, dq, du)
    # p = x w + b
    dense_backward(x, w, dp, dx, dw, db)


@part
def undo_mix(
    gates: Vector, q: Vector, before: Vector, e: Vector,
    dp: Vector, dq: Vector, d_before: Vector,
) -> None:  # fmt: skip
    H = e.size
    r, z, n = gates[:H], gates[H : 2 * H], gates[2 * H :]
    dr, dz, dn = dp[:H], dp[H : 2 * H], dp[2 * H :]
    q_n, dq_n = q[2 * H :], dq[2 * H :]
    # one result a loop: so the compiler can see that nothing overlaps
    # h = n + z * (before - n)
    for k in range(H):
        d_before[k] += e[k] * z[k]
    for k in range(H):
        dz[k] = e[k] * (before[k] - n[k]) * z[k] * (ONE - z[k])
    for k in range(H):
        dn[k] = e[k] * (ONE - z[k]) * (ONE - n[k] * n[k])
    # n = tanh(p_n + r * q_n)
    for k in range(H):
        dq_n[k] = dn[k] * r[k]
    for k in range(H):
        dr[k] = dn[k] * q_n[k] * r[k] * (ONE - r[k])
    # r and z see p + q
    for k in range(2 * H):
        dq[k] = dp[k]


# ---------------------------------------------------------------- CUDA


@cuda_sequence
def gru_forward_cuda(
    x: Matrix, h0: Matrix, w: Matrix, u: Matrix, b: Vector, v: Vector,
    h: Matrix, gates: Matrix, q: Matrix,
) -> None:  # fmt: skip
    """One kernel for all inputs, then one for each step."""
    N, before = h0.shape[0], h0
    dense_forward_cuda(x, w, b, gates)
    for first in range(0, h.shape[0], max(N, 1)):
        now = slice(first, first + N)
        gru_step_cuda(before, u, v, h[now], gates[now], q[now])
        before = h[now]


@cuda_sequence
def gru_backward_cuda(
    x: Matrix, h0: Matrix, w: Matrix, u: Matrix,
    h: Matrix, gates: Matrix, q: Matrix, dh: Matrix,
    ut: Matrix, dp: Matrix, dq: Matrix, e: Matrix,
    dx: Matrix, dh0: Matrix, dw: Matrix, du: Matrix,
    db: Vector, dv: Vector,
) -> None:  # fmt: skip
    N, rows = h0.shape[0], h.shape[0]
    transpose_cuda(u, ut)
    copy_forward_cuda(dh.reshape(dh.size), e.reshape(e.size))
    for last in range(rows, 0, -max(N, 1)):
        first = last - N
        now, later = slice(first, last), slice(last, last + N)
        before = slice(first - N, first)
        gru_step_backward_cuda(
            h[before] if first else h0, gates[now], q[now],
            dq[later], ut, dp[now], dq[now], e[now],
            e[before] if first else dh0,
        )  # fmt: skip
    bias_backward_cuda(dq, dv)
    undo_states_cuda(h0, h, u, dq, dh0, du)
    dense_backward_cuda(x, w, dp, dx, dw, db)


@cuda_kernel(threads=128, over="h")
def gru_step_cuda(
    before: Matrix, u: Matrix, v: Vector,
    h: Matrix, gates: Matrix, q: Matrix,
) -> None:  # fmt: skip
    """One thread makes one number of h, with its gates and its candidate."""
    N, H = h.shape
    for i in range(cuda.grid(1), N * H, cuda.gridsize(1)):
        row, k = i // H, i % H
        kz, kn = k + H, k + 2 * H
        q_r = v[k] + row_times_column(before, u, row, k)
        q_z = v[kz] + row_times_column(before, u, row, kz)
        q_n = v[kn] + row_times_column(before, u, row, kn)
        r = ONE / (ONE + exp(-gates[row, k] - q_r))
        z = ONE / (ONE + exp(-gates[row, kz] - q_z))
        n = tanh(gates[row, kn] + r * q_n)
        q[row, k], q[row, kz], q[row, kn] = q_r, q_z, q_n
        gates[row, k], gates[row, kz], gates[row, kn] = r, z, n
        h[row, k] = n + z * (before[row, k] - n)


@cuda_kernel(threads=128, over="e")
def gru_step_backward_cuda(
    before: Matrix, gates: Matrix, q: Matrix,
    later: Matrix, ut: Matrix,
    dp: Matrix, dq: Matrix, e: Matrix, d_before: Matrix,
) -> None:  # fmt: skip
    """One thread undoes one number of h, with its gates and its candidate.

    later is dq of the step after; the last step has none: no rows.
    """
    N, H = e.shape
    for i in range(cuda.grid(1), N * H, cuda.gridsize(1)):
        row, k = i // H, i % H
        kz, kn = k + H, k + 2 * H
        r, z, n = gates[row, k], gates[row, kz], gates[row, kn]
        by_h = e[row, k]
        if later.shape[0] > 0:
            # q += before u, one step later
            by_h += row_times_column(later, ut, row, k)
        e[row, k] = by_h
        # h = n + z * (before - n)
        d_before[row, k] += by_h * z
        dz = by_h * (before[row, k] - n) * z * (ONE - z)
        dn = by_h * (ONE - z) * (ONE - n * n)
        # n = tanh(p_n + r * q_n)
        dr = dn * q[row, kn] * r * (ONE - r)
        dp[row, k], dp[row, kz], dp[row, kn] = dr, dz, dn
        dq[row, k], dq[row, kz], dq[row, kn] = dr, dz, dn * r
