"""Max pooling: of each window of a picture, the largest number, channel by channel.

    forward    y[n,h,w,c] = max over k, l < K of x[n, sh+k, sw+l, c]
    backward   dx[n, sh+k, sw+l, c] += dy[n,h,w,c] at the one place k, l that was the largest, else nothing

s is the stride. Where several are the largest, the first one, line by line, gets the gradient. What is left over at the
right and lower edge, too little for a window, is left out.

Shapes   x dx (N, H, W, C); y dy (N, H', W', C) with H' = (H - K) // s + 1; index (N, H'W'C) int32. C-contiguous.
         N may be 0.
Dtypes   all float32 or all float64; index int32.
Writes   y, index overwritten; dx added to.
Keeps    index: where the largest number stood in its window, k * K + l.
Cost     K*K comparisons an output forward, K*K comparisons and additions backward.
Source   Riesenhuber, Poggio 1999, doi:10.1038/14819.
Lesson   11-cnn
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dltutor.kernels.compile import ZERO, Int32Matrix, Tensor4, Whole, cuda, cuda_kernel, kernel


def max_pool_reference(x: Tensor4, window: int, stride: int) -> tuple[Tensor4, Int32Matrix]:
    views = sliding_window_view(x, (window, window), axis=(1, 2))[:, ::stride, ::stride]
    cells = views.reshape(*views.shape[:4], window * window)
    index = cells.argmax(axis=-1).astype(np.int32)
    return cells.max(axis=-1), index.reshape(len(x), math.prod(index.shape[1:]))


def max_pool_backward_reference(x: Tensor4, window: int, stride: int, index: Int32Matrix, dy: Tensor4) -> Tensor4:
    dx = np.zeros_like(x)
    for n, h, w, c in np.ndindex(dy.shape):
        k, l = divmod(int(index.reshape(dy.shape)[n, h, w, c]), window)  # noqa: E741 (the letters of the formula)
        dx[n, h * stride + k, w * stride + l, c] += dy[n, h, w, c]
    return dx


# ---------------------------------------------------------------- CPU


@kernel(rows="x y index")
def max_pool_forward(
    x: Tensor4, window: Whole, stride: Whole,
    y: Tensor4, index: Int32Matrix,
) -> None:  # fmt: skip
    """All channels of a place at a time: they stand side by side."""
    N, H, W, C = y.shape
    for n in range(N):
        for h in range(H):
            for w in range(W):
                i = (h * W + w) * C
                top, at = y[n, h, w], index[n, i : i + C]
                for k in range(window):
                    for l in range(window):  # noqa: E741
                        here = x[n, h * stride + k, w * stride + l]
                        cell = np.int32(k * window + l)
                        for c in range(C):
                            best, new = top[c], here[c]
                            # asked this way round, NaN counts as largest
                            stays = new <= best or best != best
                            wins = cell == 0 or not stays
                            top[c] = new if wins else best
                            at[c] = cell if wins else at[c]


@kernel(rows="index dy dx")
def max_pool_backward(
    window: Whole, stride: Whole, index: Int32Matrix, dy: Tensor4,
    dx: Tensor4,
) -> None:  # fmt: skip
    N, H, W, C = dy.shape
    for n in range(N):
        for h in range(H):
            for w in range(W):
                i = (h * W + w) * C
                dtop, at = dy[n, h, w], index[n, i : i + C]
                for k in range(window):
                    for l in range(window):  # noqa: E741
                        dhere = dx[n, h * stride + k, w * stride + l]
                        cell = np.int32(k * window + l)
                        for c in range(C):
                            # top[c] = new, of the cell that has this number
                            dhere[c] += dtop[c] if at[c] == cell else ZERO


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def max_pool_forward_cuda(
    x: Tensor4, window: Whole, stride: Whole,
    y: Tensor4, index: Int32Matrix,
) -> None:  # fmt: skip
    """One thread makes one number of y; neighbours do channels in order."""
    _N, H, W, C = y.shape
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        c, w, h, n = i % C, i // C % W, i // C // W % H, i // C // W // H
        top, at = x[n, h * stride, w * stride, c], 0
        for cell in range(1, window * window):
            k, l = cell // window, cell % window  # noqa: E741
            here = x[n, h * stride + k, w * stride + l, c]
            stays = here <= top or top != top
            top = top if stays else here
            at = at if stays else cell
        y[n, h, w, c] = top
        index[n, (h * W + w) * C + c] = at


@cuda_kernel(threads=128, over="dx")
def max_pool_backward_cuda(
    window: Whole, stride: Whole, index: Int32Matrix, dy: Tensor4,
    dx: Tensor4,
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
                inside = h < dy.shape[1] and w < dy.shape[2]
                if fits and inside:
                    at = (h * dy.shape[2] + w) * C + c
                    won = index[n, at] == k * window + l
                    total += dy[n, h, w, c] if won else ZERO
        dx[n, i, j, c] += total
