"""Convolution of images: one small window of weights slides over the whole picture.

    forward    y[n,h,w,m] = b[m] + sum_k sum_l sum_c x[n, sh+k-p, sw+l-p, c] W[k,l,c,m]
    backward   dx[n, sh+k-p, sw+l-p, c] += sum_m dy[n,h,w,m] W[k,l,c,m], for all h, w, k, l
               dW[k,l,c,m] += sum_n sum_h sum_w x[n, sh+k-p, sw+l-p, c] dy[n,h,w,m];  db[m] += sum_n,h,w dy

s is the stride, p the padding; x is 0 outside the picture. What a window sees, K*K*C numbers, is copied into one row of
`patches`, and the convolution of a picture is one matrix product, patches W.

Shapes   x dx (N, H, W, C); w dw (K, K, C, M); b db (M,); y dy (N, H', W', M) with H' = (H + 2p - K) // s + 1;
         patches (G, H'W', KKC), room for G pictures at a time, G at least 1. C-contiguous. N may be 0.
         dx may have no rows, (0, H, W, C): then it is left out, as in a first layer.
Dtypes   all float32 or all float64.
Writes   y and patches overwritten; dx, dw, db added to.
Keeps    x.
Cost     2 N H'W' KKC M flops forward, twice that backward; patches are copied once forward, twice backward.
Source   LeCun et al. 1989, doi:10.1162/neco.1989.1.4.541; patches: Chellapilla, Puri, Simard 2006.
Lesson   11-cnn
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dltutor.kernels.bias import bias_backward, bias_backward_cuda, bias_forward
from dltutor.kernels.compile import (
    ZERO,
    Matrix,
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
from dltutor.kernels.matmul import add_product, add_product_transposed

FEW_CHANNELS = 4  # up to here, a picture's lines are longer than a window's
TILE = 16  # a CUDA block makes TILE x TILE numbers of y


def conv2d_reference(x: Tensor4, w: Tensor4, b: Vector, stride: int, padding: int) -> Tensor4:
    return np.einsum("nhwckl,klcm->nhwm", windows(x, w.shape[0], stride, padding), w) + b


def conv2d_backward_reference(
    x: Tensor4, w: Tensor4, dy: Tensor4, stride: int, padding: int
) -> tuple[Tensor4, Tensor4, Vector]:
    dw = np.einsum("nhwckl,nhwm->klcm", windows(x, w.shape[0], stride, padding), dy)
    N, H, W, C = x.shape
    dx = np.zeros((N, H + 2 * padding, W + 2 * padding, C))
    rows, columns = (stride * (size - 1) + 1 for size in dy.shape[1:3])
    for k, l in np.ndindex(w.shape[:2]):  # noqa: E741 (the letters of the formula)
        dx[:, k : k + rows : stride, l : l + columns : stride] += dy @ w[k, l].T
    return dx[:, padding : padding + H, padding : padding + W], dw, dy.sum(axis=(0, 1, 2))


def windows(x: Tensor4, K: int, stride: int, padding: int) -> Matrix:
    """What the window sees at each place: (N, H', W', C, K, K)."""
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    return sliding_window_view(padded, (K, K), axis=(1, 2))[:, ::stride, ::stride]


# ---------------------------------------------------------------- CPU


@kernel
def conv2d_simple(
    x: Tensor4, w: Tensor4, b: Vector, stride: Whole, padding: Whole,
    y: Tensor4,
) -> None:  # fmt: skip
    """The definition, as seven loops: right, and slow."""
    K, _K, C, M = w.shape
    for n in range(y.shape[0]):
        for h in range(y.shape[1]):
            for v in range(y.shape[2]):
                for m in range(M):
                    total = b[m]
                    for k in range(K):
                        for l in range(K):  # noqa: E741
                            i = h * stride + k - padding
                            j = v * stride + l - padding
                            if 0 <= i < x.shape[1] and 0 <= j < x.shape[2]:
                                for c in range(C):
                                    total += x[n, i, j, c] * w[k, l, c, m]
                    y[n, h, v, m] = total


@kernel(rows="x y", scratch="patches")
def conv2d_forward(
    x: Tensor4, w: Tensor4, b: Vector, stride: Whole, padding: Whole,
    patches: Tensor3, y: Tensor4,
) -> None:  # fmt: skip
    """Some pictures at a time: copy their patches, multiply by W."""
    N, C, K, M = x.shape[0], x.shape[3], w.shape[0], w.shape[3]
    G, P, D = patches.shape
    weights = w.reshape(D, M)
    pixels = y.reshape(N * P, M)
    for n in range(0, N, G):
        some, out = x[n : n + G], y[n : n + G]
        rows = pixels[n * P : (n + G) * P]
        bias_forward(b, rows)  # y = b
        seen = patches[: some.shape[0]]
        # y += patches W
        if C < FEW_CHANNELS:
            columns = seen.reshape(D, rows.shape[0])
            copy_columns(some, K, stride, padding, out, columns)
            add_product(columns.T[:, ::1], weights, rows)
        else:
            copy_patches(some, K, stride, padding, out, seen)
            lines = seen.reshape(rows.shape[0], D)
            add_product(lines[:, ::1], weights, rows)


@kernel(rows="x dy dx", sums="dw db", scratch="patches")
def conv2d_backward(
    x: Tensor4, w: Tensor4, dy: Tensor4, stride: Whole, padding: Whole,
    patches: Tensor3, dx: Tensor4, dw: Tensor4, db: Vector,
) -> None:  # fmt: skip
    """The forward pass, undone from its last line to its first."""
    N, C, K, M = x.shape[0], x.shape[3], w.shape[0], w.shape[3]
    G, P, D = patches.shape
    weights, dweights = w.reshape(D, M), dw.reshape(D, M)
    dpixels = dy.reshape(N * P, M)
    for n in range(0, N, G):
        some, dout = x[n : n + G], dy[n : n + G]
        drows = dpixels[n * P : (n + G) * P]
        seen = patches[: some.shape[0]]
        lines = seen.reshape(drows.shape[0], D)
        # y += patches W, where one column is better taken for a row
        if M == 1:
            copy_patches(some, K, stride, padding, dout, seen)
            add_product(drows.T[:, ::1], lines, dw.reshape(1, D))
        elif C < FEW_CHANNELS:
            columns = seen.reshape(D, drows.shape[0])
            copy_columns(some, K, stride, padding, dout, columns)
            add_product(columns[:, ::1], drows, dweights)
        else:
            copy_patches(some, K, stride, padding, dout, seen)
            add_product(lines.T[:, ::1], drows, dweights)
        # y = b
        bias_backward(drows, db)
        if dx.shape[0]:
            clear_patches(lines)
            add_product_transposed(drows, weights, lines)
            # patches = x
            add_patches(seen, K, stride, padding, dout, dx[n : n + G])


@part
def copy_patches(
    x: Tensor4, K: Whole, stride: Whole, padding: Whole, y: Tensor4,
    patches: Tensor3,
) -> None:  # fmt: skip
    """patches[n, place] = what the window sees at that place of y."""
    N, H, W, C = x.shape
    span = K * C
    lines = x.reshape(N, H, W * C)
    for n in range(N):
        for h in range(y.shape[1]):
            top = h * stride - padding
            for v in range(y.shape[2]):
                i = h * y.shape[2] + v
                left = v * stride - padding
                # of each line of the window, the part inside the picture
                first = min(max(-left, 0), K) * C
                last = max(min(W - left, K) * C, first)
                begin, end = left * C + first, left * C + last
                for k in range(K):
                    to = patches[n, i, k * span : (k + 1) * span]
                    if last - first < span or top + k < 0 or top + k >= H:
                        for d in range(span):
                            to[d] = ZERO
                    if 0 <= top + k < H:
                        to_inside = to[first:last]
                        inside = lines[n, top + k, begin:end]
                        for d in range(inside.size):
                            to_inside[d] = inside[d]


@part
def copy_columns(
    x: Tensor4, K: Whole, stride: Whole, padding: Whole, y: Tensor4,
    columns: Matrix,
) -> None:  # fmt: skip
    """The same patches as columns: long lines where channels are few."""
    N, H, W, C = x.shape
    width = y.shape[2]
    for d in range(columns.shape[0]):
        k, left, c = d // C // K, d // C % K - padding, d % C
        # of the places side by side, those where this pixel is inside
        first = min(max((stride - 1 - left) // stride, 0), width)
        last = max(min((W - 1 - left) // stride + 1, width), first)
        for n in range(N):
            for i in range(y.shape[1]):
                begin = (n * y.shape[1] + i) * width
                to = columns[d, begin : begin + width]
                h = i * stride + k - padding
                if h < 0 or h >= H:
                    for v in range(width):
                        to[v] = ZERO
                else:
                    for v in range(first):
                        to[v] = ZERO
                    for v in range(last, width):
                        to[v] = ZERO
                    inside = x[n, h, first * stride + left :, c]
                    to_inside = to[first:last]
                    for v in range(to_inside.size):
                        to_inside[v] = inside[v * stride]


@part
def clear_patches(patches: Matrix) -> None:
    for i in range(patches.shape[0]):
        for d in range(patches.shape[1]):
            patches[i, d] = ZERO


@part
def add_patches(
    patches: Tensor3, K: Whole, stride: Whole, padding: Whole, y: Tensor4,
    x: Tensor4,
) -> None:  # fmt: skip
    """x += patches, each number back to where copy_patches took it."""
    N, H, W, C = x.shape
    span = K * C
    lines = x.reshape(N, H, W * C)
    for n in range(N):
        for i in range(patches.shape[1]):
            top = i // y.shape[2] * stride - padding
            left = i % y.shape[2] * stride - padding
            first = min(max(-left, 0), K) * C
            last = max(min(W - left, K) * C, first)
            begin = left * C
            for k in range(max(-top, 0), min(H - top, K)):
                inside = patches[n, i, k * span + first : k * span + last]
                to = lines[n, top + k, begin + first : begin + last]
                for d in range(to.size):
                    to[d] += inside[d]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=(TILE, TILE), tiles_of="y")
def conv2d_forward_cuda(
    x: Tensor4, w: Tensor4, b: Vector, stride: Whole, padding: Whole,
    patches: Tensor3, y: Tensor4,
) -> None:  # fmt: skip
    """The matrix product patches W, in tiles through shared memory.

    A block makes 16 numbers of each of 16 neighbouring pixels. The patches
    are never written down: each thread looks up its number of a patch.
    """
    seen = cuda.shared.array((TILE, TILE), np.float32)
    weights = cuda.shared.array((TILE, TILE), np.float32)
    H, W, C = x.shape[1], x.shape[2], x.shape[3]
    K, M = w.shape[0], w.shape[3]
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    n, h = cuda.blockIdx.z // y.shape[1], cuda.blockIdx.z % y.shape[1]
    v = cuda.blockIdx.y * TILE + ty
    m = cuda.blockIdx.x * TILE + tx
    D = K * K * C
    total = ZERO
    start = 0
    while start < D:
        d = start + tx  # of the patch of pixel v
        k, l, c = d // C // K, d // C % K, d % C  # noqa: E741
        i, j = h * stride + k - padding, v * stride + l - padding
        inside = d < D and 0 <= i < H and 0 <= j < W
        seen[ty, tx] = x[n, i, j, c] if inside else ZERO
        d = start + ty
        k, l, c = d // C // K, d // C % K, d % C  # noqa: E741
        weights[ty, tx] = w[k, l, c, m] if d < D and m < M else ZERO
        cuda.syncthreads()  # both tiles are there
        for e in range(TILE):
            total += seen[ty, e] * weights[e, tx]
        cuda.syncthreads()  # everyone has read them
        start += TILE
    if v < y.shape[2] and m < M:
        y[n, h, v, m] = total + b[m]


@cuda_sequence
def conv2d_backward_cuda(
    x: Tensor4, w: Tensor4, dy: Tensor4, stride: Whole, padding: Whole,
    patches: Tensor3, dx: Tensor4, dw: Tensor4, db: Vector,
) -> None:  # fmt: skip
    """Three results of three shapes: three kernels."""
    conv2d_backward_x_cuda(w, dy, stride, padding, dx)
    conv2d_backward_w_cuda(x, dy, stride, padding, dw)
    dpixels = dy.reshape((dy.size // max(db.size, 1), db.size))
    bias_backward_cuda(dpixels, db)


@cuda_kernel(threads=128, over="dx")
def conv2d_backward_x_cuda(
    w: Tensor4, dy: Tensor4, stride: Whole, padding: Whole,
    dx: Tensor4,
) -> None:  # fmt: skip
    """One thread makes one number of dx, from the windows that saw it."""
    _N, H, W, C = dx.shape
    K, M = w.shape[0], w.shape[3]
    for e in range(cuda.grid(1), dx.size, cuda.gridsize(1)):
        c, j, i, n = e % C, e // C % W, e // C // W % H, e // C // W // H
        total = ZERO
        k = 0
        while k < K:
            down = i + padding - k
            h = down // stride
            if 0 <= h < dy.shape[1] and h * stride == down:
                l = 0  # noqa: E741
                while l < K:
                    right = j + padding - l
                    v = right // stride
                    if 0 <= v < dy.shape[2] and v * stride == right:
                        m = 0
                        while m < M:
                            # total += x[n, i, j, c] * w[k, l, c, m]
                            total += dy[n, h, v, m] * w[k, l, c, m]
                            m += 1
                    l += 1  # noqa: E741
            k += 1
        dx[n, i, j, c] += total


@cuda_kernel(threads=128, over="dw")
def conv2d_backward_w_cuda(
    x: Tensor4, dy: Tensor4, stride: Whole, padding: Whole,
    dw: Tensor4,
) -> None:  # fmt: skip
    """One thread makes one number of dw; neighbours read dy in order."""
    K, _K, C, M = dw.shape
    H, W = x.shape[1], x.shape[2]
    for e in range(cuda.grid(1), dw.size, cuda.gridsize(1)):
        m, c = e % M, e // M % C
        l, k = e // M // C % K, e // M // C // K  # noqa: E741
        total = ZERO
        n = 0
        while n < dy.shape[0]:
            h = 0
            while h < dy.shape[1]:
                i = h * stride + k - padding
                v = 0
                while v < dy.shape[2] and 0 <= i < H:
                    j = v * stride + l - padding
                    if 0 <= j < W:
                        # total += x[n, i, j, c] * w[k, l, c, m]
                        total += x[n, i, j, c] * dy[n, h, v, m]
                    v += 1
                h += 1
            n += 1
        dw[k, l, c, m] += total
