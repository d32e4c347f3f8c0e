"""Positions: each time adds a vector of its own, so that attention, which sees a set, can tell first from last.

    forward    y[n,t,d] = x[n,t,d] + w[t,d]
    backward   dx[n,t,d] += dy[n,t,d];  dw[t,d] += sum_n dy[n,t,d]
    sinusoids  w[t,2i] = sin(t / 10000^(2i/D)),  w[t,2i+1] = cos(t / 10000^(2i/D))

The table w is learned, or made of waves of growing length: then the step from t to t + k turns each pair by the same
angle, whatever t is.

Shapes   x y dx dy (N, T, D); w dw (times, D), with at least T times. C-contiguous. N and T may be 0.
         dx may have no samples, (0, T, D), and dw no times, (0, D): then they are left out.
Dtypes   all float32 or all float64.
Writes   y overwritten; dx and dw added to.
Keeps    nothing.
Cost     NTD flops forward, 2NTD backward.
Source   Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
Lesson   14-attention
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ZERO, Matrix, Tensor3, cuda, cuda_kernel, cuda_sequence, kernel

LONGEST = 10_000  # wave, over 2 pi


def positions_reference(x: Tensor3, w: Matrix) -> Tensor3:
    return x + w[: x.shape[1]]


def positions_backward_reference(w: Matrix, dy: Tensor3) -> tuple[Tensor3, Matrix]:
    dw = np.zeros_like(w)
    dw[: dy.shape[1]] = dy.sum(axis=0)
    return dy, dw


def sinusoids(times: int, columns: int) -> Matrix:
    """The table of waves, float32."""
    pair = np.arange(columns) // 2
    angle = np.arange(times)[:, None] / LONGEST ** (2 * pair / columns)
    return np.where(np.arange(columns) % 2, np.cos(angle), np.sin(angle)).astype(np.float32)


# ---------------------------------------------------------------- CPU


@kernel(rows="x y")
def positions_forward(x: Tensor3, w: Matrix, y: Tensor3) -> None:
    N, T, D = x.shape
    for n in range(N):
        for t in range(T):
            for d in range(D):
                y[n, t, d] = x[n, t, d] + w[t, d]


@kernel(rows="dy dx", sums="dw")
def positions_backward(dy: Tensor3, dx: Tensor3, dw: Matrix) -> None:
    N, T, D = dy.shape
    for n in range(N):
        for t in range(T):
            # y[n, t, d] = x[n, t, d] + w[t, d]
            if dx.shape[0]:
                for d in range(D):
                    dx[n, t, d] += dy[n, t, d]
            if dw.shape[0]:
                for d in range(D):
                    dw[t, d] += dy[n, t, d]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def positions_forward_cuda(x: Tensor3, w: Matrix, y: Tensor3) -> None:
    N, T, D = x.shape
    for i in range(cuda.grid(1), N * T * D, cuda.gridsize(1)):
        n, t, d = i // (T * D), i // D % T, i % D
        y[n, t, d] = x[n, t, d] + w[t, d]


@cuda_sequence
def positions_backward_cuda(dy: Tensor3, dx: Tensor3, dw: Matrix) -> None:
    """Two results of two shapes: two kernels."""
    positions_backward_x_cuda(dy, dx)
    positions_backward_w_cuda(dy, dw)


@cuda_kernel(threads=128, over="dx")
def positions_backward_x_cuda(dy: Tensor3, dx: Tensor3) -> None:
    N, T, D = dx.shape
    for i in range(cuda.grid(1), N * T * D, cuda.gridsize(1)):
        n, t, d = i // (T * D), i // D % T, i % D
        dx[n, t, d] += dy[n, t, d]


@cuda_kernel(threads=128, over="dw")
def positions_backward_w_cuda(dy: Tensor3, dw: Matrix) -> None:
    """One thread makes one number of dw."""
    N, T, D = dy.shape
    times = min(T, dw.shape[0])
    for i in range(cuda.grid(1), times * D, cuda.gridsize(1)):
        t, d = i // D, i % D
        total = ZERO
        for n in range(N):
            total += dy[n, t, d]
        dw[t, d] += total
