"""Convolution in whole numbers, for inference: 8 bits in, 8 bits out, and sums of 32 bits in between.

    sum        s[n,h,v,m] = b[m] + sum_k sum_l sum_c x[n,i,j,c] w[k,l,c,m],
               i = h stride + k - padding, j = v stride + l - padding
    output     y[n,h,v,m] = round(s[n,h,v,m] multiplier / 2^shift) + zero, and the nearest end where that is outside

It is int8_dense.py at each place of the window. Beside the picture x counts as zero_x, which stands for the real 0.

Shapes   x (N, H, W, C); w (K, K, C, M); b (M,); y (N, H', W', M), H' = (H + 2 padding - K) // stride + 1, W' likewise;
         patches (H'W', KKC); sums (H'W', M). C-contiguous. N may be 0.
Dtypes   x w y patches int8, b sums int32; the numbers as in int8_dense.py; zero_x from -128 to 127.
Writes   y overwritten; patches and sums, room to work in, too. On a card neither is used.
Keeps    nothing: this is for inference.
Limits   KKC up to 2^17 - 2^10, so that sums fit into 32 bits. Halves are rounded up.
Cost     NH'W'KKCM products and additions of whole numbers.
Source   Jacob et al. 2018, arXiv:1712.05877, sections 2.2 and 2.4.
Lesson   21-compression
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import (
    Int8Matrix,
    Int8Tensor4,
    Int32Matrix,
    Labels,
    Tensor3,
    Whole,
    cuda,
    cuda_kernel,
    kernel,
    part,
)
from dltutor.kernels.int8_dense import requantise, requantise_reference
from dltutor.kernels.matmul import add_product


def int8_conv2d_reference(
    x: Int8Tensor4, w: Int8Tensor4, b: Labels, stride: int, padding: int,
    zero_x: int, multiplier: int, shift: int, zero: int, low: int,
) -> Int8Tensor4:  # fmt: skip
    K = w.shape[0]
    beside = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    padded = np.pad(x.astype(np.int64), beside, constant_values=zero_x)
    seen = np.lib.stride_tricks.sliding_window_view(padded, (K, K), axis=(1, 2))[:, ::stride, ::stride]
    s = np.einsum("nhvckl,klcm->nhvm", seen, w.astype(np.int64)) + b
    return requantise_reference(s, multiplier, shift, zero, low)


# ---------------------------------------------------------------- CPU


@kernel(rows="x y", scratch="patches sums")
def int8_conv2d_forward(
    x: Int8Tensor4, w: Int8Tensor4, b: Labels, stride: Whole, padding: Whole,
    zero_x: Whole, multiplier: Whole, shift: Whole, zero: Whole, low: Whole,
    patches: Int8Matrix, sums: Int32Matrix, y: Int8Tensor4,
) -> None:  # fmt: skip
    """Picture by picture: copy its patches, multiply by w."""
    M = w.shape[3]
    weights = w.reshape(w.size // max(M, 1), M)
    for n in range(y.shape[0]):
        copy_int8_patches(x[n], w.shape[0], stride, padding, zero_x, y, patches)
        for i in range(sums.shape[0]):
            for m in range(M):
                sums[i, m] = b[m]
        add_product(patches, weights, sums)
        out = y[n].reshape(sums.shape)
        for i in range(sums.shape[0]):
            for m in range(M):
                s = sums[i, m]
                out[i, m] = requantise(s, multiplier, shift, zero, low)


@part
def copy_int8_patches(
    x: Tensor3, K: Whole, stride: Whole, padding: Whole, zero_x: Whole,
    y: Int8Tensor4, patches: Int8Matrix,
) -> None:  # fmt: skip
    """patches[place] = what the window sees at that place of y."""
    H, W, C = x.shape
    for place in range(patches.shape[0]):
        top = place // y.shape[2] * stride - padding
        left = place % y.shape[2] * stride - padding
        for k in range(K):
            for l in range(K):  # noqa: E741
                i, j = top + k, left + l
                start = (k * K + l) * C
                to = patches[place, start : start + C]
                if 0 <= i < H and 0 <= j < W:
                    pixel = x[i, j]
                    for c in range(C):
                        to[c] = pixel[c]
                else:
                    for c in range(C):
                        to[c] = zero_x


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def int8_conv2d_forward_cuda(
    x: Int8Tensor4, w: Int8Tensor4, b: Labels, stride: Whole, padding: Whole,
    zero_x: Whole, multiplier: Whole, shift: Whole, zero: Whole, low: Whole,
    patches: Int8Matrix, sums: Int32Matrix, y: Int8Tensor4,
) -> None:  # fmt: skip
    """One thread makes one number. Neighbours read w side by side."""
    _N, H, W, C = x.shape
    K, M = w.shape[0], w.shape[3]
    for e in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        m, v = e % M, e // M % y.shape[2]
        h = e // M // y.shape[2] % y.shape[1]
        n = e // M // y.shape[2] // y.shape[1]
        s = b[m]
        k = 0
        while k < K:
            l = 0  # noqa: E741
            while l < K:
                i, j = h * stride + k - padding, v * stride + l - padding
                inside = 0 <= i < H and 0 <= j < W
                c = 0
                while c < C:
                    seen = np.int64(x[n, i, j, c]) if inside else zero_x
                    s = np.int32(s + seen * w[k, l, c, m])
                    c += 1
                l += 1  # noqa: E741
            k += 1
        y[n, h, v, m] = requantise(s, multiplier, shift, zero, low)
