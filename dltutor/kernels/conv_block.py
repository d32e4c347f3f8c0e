"""Convolution, ReLU and max pooling in one go: what convolutional networks are made of.

    forward    z = convolution of x (conv2d.py);  y = max(max pooling of z (max_pool.py), 0)
    backward   dz is dy where y came from, and 0 elsewhere;  dx, dW, db as in conv2d.py

ReLU may change places with the pooling: the largest number after it is the largest one before it, made 0 if negative.

One after the other, each of the three would send a batch of large pictures out to main memory and fetch it again. Here
some pictures at a time go through all three; z is only room to work in, and never leaves the processor's cache.

Shapes   as in conv2d.py; z dz (G, H', W', M); y dy (N, H", W", M) with H" = (H' - window) // step + 1;
         index (N, H"W"M) int32.
         dx may have no rows, (0, H, W, C): then it is left out, as in a first layer.
Dtypes   all float32 or all float64; index int32.
Writes   y, index, patches and z overwritten; dx, dw, db added to.
Keeps    x and index: where in its window y comes from, k * K + l, or -1 where y is 0.
Cost     the convolution's, and two comparisons for each number of z.
Source   LeCun, Bottou, Bengio, Haffner 1998, doi:10.1109/5.726791.
Lesson   11-cnn
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.clear import clear, clear_cuda
from dltutor.kernels.compile import (
    ZERO,
    Int32Matrix,
    Labels,
    Tensor3,
    Tensor4,
    Vector,
    Whole,
    cuda,
    cuda_kernel,
    cuda_sequence,
    kernel,
)
from dltutor.kernels.conv2d import (
    conv2d_backward,
    conv2d_backward_cuda,
    conv2d_backward_reference,
    conv2d_forward,
    conv2d_forward_cuda,
    conv2d_reference,
)
from dltutor.kernels.max_pool import (
    max_pool_backward,
    max_pool_backward_cuda,
    max_pool_backward_reference,
    max_pool_forward,
    max_pool_forward_cuda,
    max_pool_reference,
)

NOWHERE = np.int32(-1)


def conv_block_reference(
    x: Tensor4, w: Tensor4, b: Vector, stride: int, padding: int, window: int, step: int
) -> tuple[Tensor4, Int32Matrix]:
    """y, index"""
    y, index = max_pool_reference(conv2d_reference(x, w, b, stride, padding), window, step)
    return np.maximum(y, 0), np.where(y.reshape(index.shape) <= 0, NOWHERE, index)


def conv_block_backward_reference(
    x: Tensor4,
    w: Tensor4,
    b: Vector,
    stride: int,
    padding: int,
    window: int,
    step: int,
    index: Int32Matrix,
    dy: Tensor4,
) -> tuple[Tensor4, Tensor4, Vector]:
    z = conv2d_reference(x, w, b, stride, padding)
    dz = max_pool_backward_reference(
        z, window, step, np.maximum(index, 0), np.where(index.reshape(dy.shape) < 0, 0, dy)
    )
    return conv2d_backward_reference(x, w, dz, stride, padding)


# ---------------------------------------------------------------- CPU


@kernel(rows="x y index", scratch="patches z")
def conv_block_forward(
    x: Tensor4, w: Tensor4, b: Vector, stride: Whole, padding: Whole,
    window: Whole, step: Whole, patches: Tensor3, z: Tensor4,
    y: Tensor4, index: Int32Matrix,
) -> None:  # fmt: skip
    N, G = x.shape[0], z.shape[0]
    for n in range(0, N, G):
        top, at = y[n : n + G], index[n : n + G]
        some = z[: top.shape[0]]
        conv2d_forward(
            x[n : n + G], w, b, stride, padding, patches, some
        )  # fmt: skip
        max_pool_forward(some, window, step, top, at)
        cut_negative(top.reshape(top.size), at.reshape(at.size))


@kernel(rows="x index dy dx", sums="dw db", scratch="patches dz")
def conv_block_backward(
    x: Tensor4, w: Tensor4, stride: Whole, padding: Whole,
    window: Whole, step: Whole, patches: Tensor3, dz: Tensor4,
    index: Int32Matrix, dy: Tensor4,
    dx: Tensor4, dw: Tensor4, db: Vector,
) -> None:  # fmt: skip
    """The forward pass, undone from its last line to its first."""
    N, G = x.shape[0], dz.shape[0]
    for n in range(0, N, G):
        at = index[n : n + G]
        some = dz[: at.shape[0]]
        clear(some.reshape(some.size))
        # cut_negative(top, at): no cell has the number NOWHERE
        # max_pool_forward(z, window, step, top, at)
        max_pool_backward(window, step, at, dy[n : n + G], some)
        # conv2d_forward(x, w, b, stride, padding, patches, z)
        conv2d_backward(
            x[n : n + G], w, some, stride, padding, patches,
            dx[n : n + G], dw, db,
        )  # fmt: skip


@kernel
def cut_negative(y: Vector, index: Labels) -> None:
    """ReLU, which also forgets where the number came from."""
    for i in range(y.size):
        index[i] = NOWHERE if y[i] <= ZERO else index[i]
        y[i] = ZERO if y[i] <= ZERO else y[i]


# ---------------------------------------------------------------- CUDA


@cuda_sequence
def conv_block_forward_cuda(
    x: Tensor4, w: Tensor4, b: Vector, stride: Whole, padding: Whole,
    window: Whole, step: Whole, patches: Tensor3, z: Tensor4,
    y: Tensor4, index: Int32Matrix,
) -> None:  # fmt: skip
    """A card wants much to do at a time: there z has room for the batch."""
    G = z.shape[0]
    for n in range(0, x.shape[0], G):
        top, at = y[n : n + G], index[n : n + G]
        some = z[: top.shape[0]]
        conv2d_forward_cuda(
            x[n : n + G], w, b, stride, padding, patches, some
        )  # fmt: skip
        max_pool_forward_cuda(some, window, step, top, at)
    cut_negative_cuda(y.reshape(y.size), index.reshape(index.size))


@cuda_sequence
def conv_block_backward_cuda(
    x: Tensor4, w: Tensor4, stride: Whole, padding: Whole,
    window: Whole, step: Whole, patches: Tensor3, dz: Tensor4,
    index: Int32Matrix, dy: Tensor4,
    dx: Tensor4, dw: Tensor4, db: Vector,
) -> None:  # fmt: skip
    """The forward pass, undone from its last line to its first."""
    G = dz.shape[0]
    for n in range(0, x.shape[0], G):
        at = index[n : n + G]
        some = dz[: at.shape[0]]
        clear_cuda(some.reshape(some.size))
        max_pool_backward_cuda(window, step, at, dy[n : n + G], some)
        conv2d_backward_cuda(
            x[n : n + G], w, some, stride, padding, patches,
            dx[n : n + G], dw, db,
        )  # fmt: skip


@cuda_kernel(threads=128, over="y")
def cut_negative_cuda(y: Vector, index: Labels) -> None:
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        if y[i] <= ZERO:
            y[i] = ZERO
            index[i] = NOWHERE
