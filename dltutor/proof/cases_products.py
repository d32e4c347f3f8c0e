"""Cases of matrix products and of what is built on them."""

from __future__ import annotations

import numpy as np

from dltutor.kernels import bias, dense, fused_dense, int8_conv2d, int8_dense, matmul, matmul_batched, quantise
from dltutor.proof.checks import Arrays, Case, named

ROWS = ((0, 3), (1, 1), (4, 2), (7, 10), (33, 5))
PRODUCTS = ((0, 3, 2), (1, 1, 1), (2, 3, 5), (4, 4, 4), (5, 7, 3), (8, 4, 16), (13, 17, 11), (9, 0, 3), (3, 8, 0))


def product(rng: np.random.Generator, shape: tuple[int, int, int]) -> Arrays:
    n, d, m = shape
    return {"a": rng.normal(size=(n, d)), "b": rng.normal(size=(d, m))}


def layer(rng: np.random.Generator, shape: tuple[int, int, int]) -> Arrays:
    n, d, m = shape
    return {"x": rng.normal(size=(n, d)), "w": rng.normal(size=(d, m)), "b": rng.normal(size=m)}


def activated(rng: np.random.Generator, shape: tuple[int, int, int]) -> Arrays:
    """A layer none of whose sums is near 0, where ReLU has a corner; and room for the gradient by them."""
    made = layer(rng, shape)
    z = made["x"] @ made["w"] + made["b"]
    while np.abs(z).min(initial=1) < 0.01:
        made["b"] = rng.normal(size=shape[2])
        z = made["x"] @ made["w"] + made["b"]
    return made | {"dz": np.zeros_like(z)}


def batch(rng: np.random.Generator, shape: tuple[int, int, int, int], turn_a: bool, turn_b: bool) -> Arrays:
    z, n, d, m = shape
    return {
        "a": rng.normal(size=(z, d, n) if turn_a else (z, n, d)),
        "b": rng.normal(size=(z, m, d) if turn_b else (z, d, m)),
    }


BATCHES = ((0, 2, 3, 4), (1, 1, 1, 1), (2, 3, 4, 5), (3, 5, 7, 2), (2, 4, 3, 1), (1, 13, 17, 11), (2, 9, 2, 18))


def batched(form: str) -> Case:
    """The product of matrices as they are (n) or transposed (t)."""
    forward = getattr(matmul_batched, f"matmul_{form}_reference")
    backward = getattr(matmul_batched, f"matmul_{form}_backward_reference")
    return Case(
        f"matmul_{form}", matmul_batched, lambda rng, s: batch(rng, s, form[0] == "t", form[1] == "t"), BATCHES,
        lambda a, b, **_: {"c": forward(a, b)},
        lambda a, b, dc, **_: named("da", "db")(backward(a, b, dc)),
    )  # fmt: skip


def fused(name: str) -> Case:
    """A dense layer with an activation that keeps y."""
    forward = getattr(fused_dense, f"dense_{name}_reference")
    backward = getattr(fused_dense, f"dense_{name}_backward_reference")
    return Case(
        f"dense_{name}", fused_dense, activated, PRODUCTS,
        lambda x, w, b, **_: {"y": forward(x, w, b)},
        lambda x, w, y, dy, **_: named("dx", "dw", "db")(backward(x, w, y, dy)),
        scratch=("dz",),
    )  # fmt: skip


def int8(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(-128, 128, shape).astype(np.int8)


def scaled(rng: np.random.Generator, n: int) -> Arrays:
    """Numbers some of which are outside of what int8 can stand for."""
    return {"x": rng.normal(size=n) * 3, "scale": 0.0625, "zero": 5}


def whole_numbers(rng: np.random.Generator, outputs: int, terms: int) -> Arrays:
    """A bias, and what makes outputs of all sizes, some too large, from sums of so many products."""
    multiplier, shift = int8_dense.fraction(0.007 / max(terms, 1) ** 0.5)
    bias_ = rng.integers(-9999, 9999, outputs).astype(np.int32)
    return {"b": bias_, "multiplier": multiplier, "shift": shift, "zero": 3, "low": -100}


def whole_layer(rng: np.random.Generator, shape: tuple[int, int, int]) -> Arrays:
    n, d, m = shape
    room = {"sums": np.zeros((n, m), np.int32)}
    return {"x": int8(rng, (n, d)), "w": int8(rng, (d, m))} | whole_numbers(rng, m, d) | room


def whole_windows(rng: np.random.Generator, shape: tuple[int, ...]) -> Arrays:
    n, h, w, c, k, m, stride, padding = shape
    arrays = {"x": int8(rng, (n, h, w, c)), "w": int8(rng, (k, k, c, m))}
    places = ((h + 2 * padding - k) // stride + 1) * ((w + 2 * padding - k) // stride + 1)
    room = {"patches": np.zeros((places, k * k * c), np.int8), "sums": np.zeros((places, m), np.int32)}
    return arrays | {"stride": stride, "padding": padding, "zero_x": -7} | whole_numbers(rng, m, k * k * c) | room


FLAT = (0, 1, 2, 7, 33, 130)
WINDOWS = (
    (0, 3, 3, 1, 1, 1, 1, 0), (1, 1, 1, 1, 1, 1, 1, 0), (2, 5, 4, 3, 3, 2, 1, 1), (1, 6, 7, 2, 2, 5, 2, 0),
    (3, 5, 5, 1, 5, 3, 2, 2), (1, 3, 2, 2, 2, 67, 1, 1),
)  # fmt: skip


CASES = (
    Case(
        "matmul", matmul, product, PRODUCTS,
        lambda a, b, **_: {"c": matmul.matmul_reference(a, b)},
        lambda a, b, dc, **_: named("da", "db")(matmul.matmul_backward_reference(a, b, dc)),
        backward=("matmul_backward_a", "matmul_backward_b"),
    ),
    Case(
        "matmul_simple", matmul, product, PRODUCTS,
        lambda a, b, **_: {"c": matmul.matmul_reference(a, b)}, forward="matmul_simple",
    ),
    Case(
        "bias", bias, lambda rng, s: {"b": rng.normal(size=s[1]), "n": s[0]}, ROWS,
        lambda b, n, **_: {"y": bias.bias_reference(b, n)},
        lambda dy, **_: {"db": bias.bias_backward_reference(dy)},
    ),
    Case(
        "dense", dense, layer, PRODUCTS,
        lambda x, w, b, **_: {"y": dense.dense_reference(x, w, b)},
        lambda x, w, dy, **_: named("dx", "dw", "db")(dense.dense_backward_reference(x, w, dy)),
    ),
    *map(batched, ("nn", "nt", "tn", "tt")),
    *map(fused, ("sigmoid", "tanh", "relu")),
    Case(
        "dense_leaky_relu", fused_dense, lambda rng, s: activated(rng, s) | {"slope": 0.25}, PRODUCTS,
        lambda x, w, b, slope, **_: {"y": fused_dense.dense_leaky_relu_reference(x, w, b, slope)},
        lambda x, w, y, slope, dy, **_: named("dx", "dw", "db")(
            fused_dense.dense_leaky_relu_backward_reference(x, w, y, slope, dy)
        ),
        scratch=("dz",),
    ),
    Case(
        "dense_gelu", fused_dense, activated, PRODUCTS,
        lambda x, w, b, **_: named("z", "y")(fused_dense.dense_gelu_reference(x, w, b)),
        lambda x, w, z, dy, **_: named("dx", "dw", "db")(
            fused_dense.dense_gelu_backward_reference(x, w, z, dy)
        ),
        kept=("z",), scratch=("dz",),
    ),
    Case(
        "quantise", quantise, scaled, FLAT,
        lambda x, scale, zero, **_: {"q": quantise.quantise_reference(x, scale, zero)},
    ),
    Case(
        "dequantise", quantise, lambda rng, n: {"q": int8(rng, (n,)), "scale": 0.0625, "zero": 5}, FLAT,
        lambda q, scale, zero, **_: {"x": quantise.dequantise_reference(q, scale, zero)},
    ),
    Case(
        "int8_dense", int8_dense, whole_layer, (*PRODUCTS, (6, 20, 70)),
        lambda x, w, b, multiplier, shift, zero, low, **_: {
            "y": int8_dense.int8_dense_reference(x, w, b, multiplier, shift, zero, low)
        },
        scratch=("sums",),
    ),
    Case(
        "int8_conv2d", int8_conv2d, whole_windows, WINDOWS,
        lambda patches, sums, **arrays: {"y": int8_conv2d.int8_conv2d_reference(**arrays)},
        scratch=("patches", "sums"),
    ),
)  # fmt: skip
