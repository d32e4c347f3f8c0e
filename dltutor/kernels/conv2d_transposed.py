"""Transposed convolution of images: every pixel stamps a window of weights, times itself, on a larger picture.

    forward    y[n, sh+k-p, sw+l-p, m] = b[m] + sum_c x[n,h,w,c] W[k,l,m,c], summed over all h, w, k, l that meet there
    backward   dx[n,h,w,c] += sum_k sum_l sum_m dy[n, sh+k-p, sw+l-p, m] W[k,l,m,c]
               dW[k,l,m,c] += sum_n sum_h sum_w dy[n, sh+k-p, sw+l-p, m] x[n,h,w,c];  db[m] += sum_n,h,w dy

s is the stride, p the padding, which is cut off around y. This is the backward pass of the convolution that goes from y
to x with the weights W, taken as a forward pass; and its own backward pass is that convolution.

Shapes   x dx (N, H, W, C); w dw (K, K, M, C); b db (M,); y dy (N, H', W', M) with H' = (H - 1) s - 2p + K;
         patches (G, HW, KKM), room for G pictures at a time, G at least 1. C-contiguous. N may be 0.
         dx may have no rows, (0, H, W, C): then it is left out, as in a first layer.
Dtypes   all float32 or all float64.
Writes   y and patches overwritten; dx, dw, db added to.
Keeps    x.
Cost     2 N HW KKM C flops forward, twice that backward.
Source   Zeiler et al. 2010, doi:10.1109/CVPR.2010.5539957; Dumoulin, Visin 2016, arXiv:1603.07285.
Lesson   17-gan
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.bias import bias_backward, bias_backward_cuda, bias_forward, bias_forward_cuda
from dltutor.kernels.compile import ZERO, Tensor3, Tensor4, Vector, Whole, cuda, cuda_kernel, cuda_sequence, kernel
from dltutor.kernels.conv2d import (
    add_patches,
    clear_patches,
    conv2d_backward_reference,
    conv2d_backward_w_cuda,
    conv2d_backward_x_cuda,
    conv2d_reference,
    copy_patches,
)
from dltutor.kernels.matmul import add_product, add_product_transposed


def conv2d_transposed_reference(x: Tensor4, w: Tensor4, b: Vector, stride: int, padding: int) -> Tensor4:
    N, H, W, _C = x.shape
    K, _K, M, _C = w.shape
    y = np.zeros((N, (H - 1) * stride - 2 * padding + K, (W - 1) * stride - 2 * padding + K, M))
    return conv2d_backward_reference(y, w, x, stride, padding)[0] + b


def conv2d_transposed_backward_reference(
    x: Tensor4, w: Tensor4, dy: Tensor4, stride: int, padding: int
) -> tuple[Tensor4, Tensor4, Vector]:
    dx = conv2d_reference(dy, w, np.zeros(w.shape[3]), stride, padding)
    return dx, conv2d_backward_reference(dy, w, x, stride, padding)[1], dy.sum(axis=(0, 1, 2))


# ---------------------------------------------------------------- CPU


@kernel(rows="x y", scratch="patches")
def conv2d_transposed_forward(
    x: Tensor4, w: Tensor4, b: Vector, stride: Whole, padding: Whole,
    patches: Tensor3, y: Tensor4,
) -> None:  # fmt: skip
    """Some pictures at a time: multiply by W, add up the stamps."""
    N, G = x.shape[0], patches.shape[0]
    M, C = w.shape[2], w.shape[3]
    P, D = patches.shape[1], patches.shape[2]
    weights = w.reshape(D, C)
    pixels = x.reshape(N * P, C)
    bias_forward(b, y.reshape(N * y.shape[1] * y.shape[2], M))  # y = b
    for n in range(0, N, G):
        g = min(G, N - n)
        rows = pixels[n * P : (n + g) * P]
        stamps = patches[:g].reshape(g * P, D)
        clear_patches(stamps)
        add_product_transposed(rows, weights, stamps)  # patches = x W^T
        some = patches[:g]
        add_patches(some, w.shape[0], stride, padding, x, y[n : n + g])


@kernel(rows="x dy dx", sums="dw db", scratch="patches")
def conv2d_transposed_backward(
    x: Tensor4, w: Tensor4, dy: Tensor4, stride: Whole, padding: Whole,
    patches: Tensor3, dx: Tensor4, dw: Tensor4, db: Vector,
) -> None:  # fmt: skip
    """The forward pass, undone from its last line to its first."""
    N, G = x.shape[0], patches.shape[0]
    M, C = w.shape[2], w.shape[3]
    P, D = patches.shape[1], patches.shape[2]
    weights, dweights = w.reshape(D, C), dw.reshape(D, C)
    pixels, dpixels = x.reshape(N * P, C), dx.reshape(dx.shape[0] * P, C)
    for n in range(0, N, G):
        g = min(G, N - n)
        rows = pixels[n * P : (n + g) * P]
        # add_patches(patches, .., y): y += patches
        copy_patches(dy[n : n + g], w.shape[0], stride, padding, x, patches)
        dstamps = patches[:g].reshape(g * P, D)
        # add_product_transposed(rows, weights, stamps): patches = x W^T
        add_product(dstamps.T[:, ::1], rows, dweights)
        if dx.shape[0]:
            drows = dpixels[n * P : (n + g) * P]
            add_product(dstamps[:, ::1], weights, drows)
    # bias_forward(b, y): y = b
    bias_backward(dy.reshape(N * dy.shape[1] * dy.shape[2], M), db)


# ---------------------------------------------------------------- CUDA


@cuda_sequence
def conv2d_transposed_forward_cuda(
    x: Tensor4, w: Tensor4, b: Vector, stride: Whole, padding: Whole,
    patches: Tensor3, y: Tensor4,
) -> None:  # fmt: skip
    """The bias, and on it the other convolution's gradient."""
    bias_forward_cuda(b, y.reshape((y.size // max(b.size, 1), b.size)))
    conv2d_backward_x_cuda(w, x, stride, padding, y)


@cuda_sequence
def conv2d_transposed_backward_cuda(
    x: Tensor4, w: Tensor4, dy: Tensor4, stride: Whole, padding: Whole,
    patches: Tensor3, dx: Tensor4, dw: Tensor4, db: Vector,
) -> None:  # fmt: skip
    """Three results of three shapes: three kernels."""
    conv2d_transposed_backward_x_cuda(w, dy, stride, padding, dx)
    conv2d_backward_w_cuda(dy, x, stride, padding, dw)
    dpixels = dy.reshape((dy.size // max(db.size, 1), db.size))
    bias_backward_cuda(dpixels, db)


@cuda_kernel(threads=128, over="dx")
def conv2d_transposed_backward_x_cuda(
    w: Tensor4, dy: Tensor4, stride: Whole, padding: Whole,
    dx: Tensor4,
) -> None:  # fmt: skip
    """One thread makes one number of dx, from the window it stamped."""
    _N, H, W, C = dx.shape
    K, M = w.shape[0], w.shape[2]
    for e in range(cuda.grid(1), dx.size, cuda.gridsize(1)):
        c, v, h, n = e % C, e // C % W, e // C // W % H, e // C // W // H
        total = ZERO
        k = 0
        while k < K:
            i = h * stride + k - padding
            l = 0  # noqa: E741
            while l < K and 0 <= i < dy.shape[1]:
                j = v * stride + l - padding
                m = 0
                while m < M and 0 <= j < dy.shape[2]:
                    # y[n, i, j, m] += x[n, h, v, c] * w[k, l, m, c]
                    total += dy[n, i, j, m] * w[k, l, m, c]
                    m += 1
                l += 1  # noqa: E741
            k += 1
        dx[n, h, v, c] += total
