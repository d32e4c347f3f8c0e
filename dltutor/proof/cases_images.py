"""Cases of convolution and pooling."""

from __future__ import annotations

import numpy as np

from dltutor.kernels import average_pool, conv2d, conv2d_transposed, conv_block, max_pool
from dltutor.proof.checks import Arrays, Case, named

# N, (H, W), C, K, M, stride, padding. The last one, which NaN is tried on, sees no zeros: NaN times 0 is undecided.
CONVOLUTIONS = (
    (0, (3, 3), 2, 3, 2, 1, 1),
    (1, (1, 1), 1, 1, 1, 1, 0),
    (2, (3, 4), 1, 2, 3, 1, 0),
    (1, (4, 3), 2, 3, 2, 2, 1),
    (2, (5, 4), 3, 3, 17, 1, 1),
    (3, (3, 2), 4, 1, 4, 1, 0),
    (3, (4, 3), 5, 3, 1, 1, 1),
    (1, (2, 3), 1, 4, 2, 3, 2),
    (1, (5, 7), 2, 3, 5, 2, 0),
)
# N, (H, W), C, K, M, stride, padding
TRANSPOSED = (
    (0, (2, 2), 2, 3, 2, 1, 1),
    (1, (1, 1), 1, 1, 1, 1, 0),
    (2, (2, 3), 3, 4, 2, 2, 1),
    (1, (3, 2), 2, 2, 3, 2, 0),
    (2, (3, 3), 1, 3, 5, 1, 1),
    (1, (2, 2), 17, 3, 2, 3, 0),
    (1, (3, 4), 2, 3, 2, 2, 0),
)
# N, (H, W), C, K, M, stride, padding, window and step of the pooling
BLOCKS = (
    (0, (4, 4), 2, 3, 2, 1, 1, 2, 2),
    (1, (1, 1), 1, 1, 1, 1, 0, 1, 1),
    (3, (4, 5), 1, 3, 3, 1, 1, 2, 2),
    (1, (5, 5), 4, 2, 2, 1, 1, 3, 2),
    (3, (3, 4), 5, 2, 17, 1, 0, 2, 1),
)
# N, (H, W), C, window, stride
POOLS = (
    (0, (2, 2), 2, 2, 2),
    (1, (1, 1), 1, 1, 1),
    (2, (4, 4), 1, 2, 2),
    (1, (5, 4), 2, 3, 1),
    (2, (5, 7), 3, 2, 2),
    (1, (4, 5), 17, 2, 3),
)


def convolution(rng: np.random.Generator, shape: tuple) -> Arrays:
    n, (height, width), c, k, m, stride, padding = shape
    pixels = ((height + 2 * padding - k) // stride + 1) * ((width + 2 * padding - k) // stride + 1)
    return {
        "x": rng.normal(size=(n, height, width, c)), "w": rng.normal(size=(k, k, c, m)), "b": rng.normal(size=m),
        "stride": stride, "padding": padding, "patches": rng.normal(size=(2, pixels, k * k * c)),
    }  # fmt: skip


def block(rng: np.random.Generator, shape: tuple) -> Arrays:
    made = convolution(rng, shape[:7])
    z = conv2d.conv2d_reference(*(made[name] for name in ("x", "w", "b", "stride", "padding")))
    room = rng.normal(size=(2, *z.shape[1:]))
    return made | {"window": shape[7], "step": shape[8], "z": room, "dz": room}


def transposed(rng: np.random.Generator, shape: tuple) -> Arrays:
    n, (height, width), c, k, m, stride, padding = shape
    return {
        "x": rng.normal(size=(n, height, width, c)), "w": rng.normal(size=(k, k, m, c)), "b": rng.normal(size=m),
        "stride": stride, "padding": padding, "patches": rng.normal(size=(2, height * width, k * k * m)),
    }  # fmt: skip


def pooled(rng: np.random.Generator, shape: tuple) -> Arrays:
    """Numbers that differ by 0.1 at least: a central difference must not change which one is the largest."""
    n, (height, width), c, window, stride = shape
    x = 0.1 * rng.permutation(n * height * width * c).reshape(n, height, width, c) - 1
    return {"x": x, "window": window, "stride": stride}


CASES = (
    Case(
        "conv2d", conv2d, convolution, CONVOLUTIONS,
        lambda x, w, b, stride, padding, **_: {"y": conv2d.conv2d_reference(x, w, b, stride, padding)},
        lambda x, w, dy, stride, padding, **_: named("dx", "dw", "db")(
            conv2d.conv2d_backward_reference(x, w, dy, stride, padding)
        ),
        scratch=("patches",),
    ),
    Case(
        "conv2d_simple", conv2d, convolution, CONVOLUTIONS,
        lambda x, w, b, stride, padding, **_: {"y": conv2d.conv2d_reference(x, w, b, stride, padding)},
        forward="conv2d_simple", with_cuda=False,
    ),
    Case(
        "conv2d_transposed", conv2d_transposed, transposed, TRANSPOSED,
        lambda x, w, b, stride, padding, **_: {
            "y": conv2d_transposed.conv2d_transposed_reference(x, w, b, stride, padding),
        },
        lambda x, w, dy, stride, padding, **_: named("dx", "dw", "db")(
            conv2d_transposed.conv2d_transposed_backward_reference(x, w, dy, stride, padding)
        ),
        scratch=("patches",),
    ),
    Case(
        "conv_block", conv_block, block, BLOCKS,
        lambda x, w, b, stride, padding, window, step, **_: named("y", "index")(
            conv_block.conv_block_reference(x, w, b, stride, padding, window, step)
        ),
        lambda x, w, b, stride, padding, window, step, index, dy, **_: named("dx", "dw", "db")(
            conv_block.conv_block_backward_reference(x, w, b, stride, padding, window, step, index, dy)
        ),
        kept=("index",), scratch=("patches", "z", "dz"),
    ),
    Case(
        "max_pool", max_pool, pooled, POOLS,
        lambda x, window, stride, **_: named("y", "index")(max_pool.max_pool_reference(x, window, stride)),
        lambda x, window, stride, index, dy, **_: {
            "dx": max_pool.max_pool_backward_reference(x, window, stride, index, dy),
        },
        kept=("index",),
    ),
    Case(
        "average_pool", average_pool, pooled, POOLS,
        lambda x, window, stride, **_: {"y": average_pool.average_pool_reference(x, window, stride)},
        lambda x, window, stride, dy, **_: {
            "dx": average_pool.average_pool_backward_reference(x, window, stride, dy),
        },
    ),
)  # fmt: skip
