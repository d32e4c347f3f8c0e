"""Average pooling: of each window of a picture the mean, channel by channel.

    forward    y[n,h,w,c] = 1/K^2 sum_k sum_l x[n, sh+k, sw+l, c]
    backward   dx[n, sh+k, sw+l, c] += dy[n,h,w,c] / K^2, for all h, w, k, l

s is the stride. What is left over at the right and lower edge, too little for a window, is left out.

Shapes   x dx (N, H, W, C); y dy (N, H', W', C) with H' = (H - K) // s + 1. C-contiguous. N may be 0.
Dtypes   all float32 or all float64.
Writes   y overwritten; dx added to.
Keeps    nothing.
Cost     K*K additions an output, forward and backward.
Source   LeCun et al. 1989, doi:10.1162/neco.1989.1.4.541.
Lesson   11-cnn
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dltutor.kernels.compile import ZERO, Tensor4, Whole, cuda, cuda_kernel, kernel


def average_pool_reference(x: Tensor4, window: int, stride: int) -> Tensor4:
    views = sliding_window_view(x, (window, window), axis=(1, 2))
    return views[:, ::stride, ::stride].mean(axis=(-2, -1))


def average_pool_backward_reference(x: Tensor4, window: int, stride: int, dy: Tensor4) -> Tensor4:
    dx = np.zeros_like(x)
    for k, l in np.ndindex(window, window):  # noqa: E741 (the letters of the formula)
        rows, columns = (stride * (size - 1) + 1 for size in dy.shape[1:3])
        dx[:, k : k + rows : stride, l : l + columns : stride] += dy / window**2
    return dx


# ---------------------------------------------------------------- CPU


@kernel(rows="x y")
def average_pool_forward(
    x: Tensor4, window: Whole, stride: Whole, y: Tensor4
) -> None:  # fmt: skip
    """All channels of a place at a time: they stand side by side."""
    N, H, W, C = y.shape
    cells = window * window
    for n in range(N):
        for h in range(H):
            for w in range(W):
                mean = y[n, h, w]
                for c in range(C):
                    mean[c] = ZERO
                for cell in range(cells):
                    i = h * stride + cell // window
                    j = w * stride + cell % window
                    here = x[n, i, j]
                    for c in range(C):
                        mean[c] += here[c]
                for c in range(C):
                    mean[c] /= np.float32(cells)


@kernel(rows="dy dx")
def average_pool_backward(
    window: Whole, stride: Whole, dy: Tensor4, dx: Tensor4
) -> None:  # fmt: skip
    N, H, W, C = dy.shape
    cells = window * window
    for n in range(N):
        for h in range(H):
            for w in range(W):
                dmean = dy[n, h, w]
                for cell in range(cells):
                    i = h * stride + cell // window
                    j = w * stride + cell % window
                    dhere = dx[n, i, j]
                    for c in range(C):
                        # mean[c] += here[c], then / cells
                        dhere[c] += dmean[c] / np.float32(cells)


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def average_pool_forward_cuda(
    x: Tensor4, window: Whole, stride: Whole, y: Tensor4
) -> None:  # fmt: skip
    """One thread makes one number of y; neighbours do channels in order."""
    _N, H, W, C = y.shape
    cells = window * window
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        c, w, h, n = i % C, i // C % W, i // C // W % H, i // C // W // H
        total = ZERO
        for k in range(window):
            for l in range(window):  # noqa: E741
                total += x[n, h * stride + k, w * stride + l, c]
        y[n, h, w, c] = total / np.float32(cells)


@cuda_kernel(threads=128, over="dx")
def average_pool_backward_cuda(
    window: Whole, stride: Whole, dy: Tensor4, dx: Tensor4
) -> None:  # fmt: skip
    """One thread makes one number of dx, from the windows that saw it."""
    _N, H, W, C = dx.shape
    for e in range(cuda.grid(1), dx.size, cuda.gridsize(1)):
        c, j, i, n = e % C, e // C % W, e // C // W % H, e // C // W // H
        total = ZERO
        for k in range(min(window, i + 1)):
            for l in range(min(window, j + 1)):  # noqa: E741
                h, w = (i - k) // stride, (j - l) // stride
                fits = h * stride + k == i and w * stride + l == j
                if fits and h < dy.shape[1] and w < dy.shape[2]:
                    total += dy[n, h, w, c]
        dx[n, i, j, c] += total / np.float32(window * window)
