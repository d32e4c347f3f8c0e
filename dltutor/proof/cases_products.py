"""Cases of matrix products and of what is built on them."""

from __future__ import annotations

import numpy as np

from dltutor.kernels import bias, dense, matmul
from dltutor.proof.checks import Arrays, Case, named

ROWS = ((0, 3), (1, 1), (4, 2), (7, 10), (33, 5))
PRODUCTS = ((0, 3, 2), (1, 1, 1), (2, 3, 5), (4, 4, 4), (5, 7, 3), (8, 4, 16), (13, 17, 11), (9, 0, 3), (3, 8, 0))


def product(rng: np.random.Generator, shape: tuple[int, int, int]) -> Arrays:
    n, d, m = shape
    return {"a": rng.normal(size=(n, d)), "b": rng.normal(size=(d, m))}


def layer(rng: np.random.Generator, shape: tuple[int, int, int]) -> Arrays:
    n, d, m = shape
    return {"x": rng.normal(size=(n, d)), "w": rng.normal(size=(d, m)), "b": rng.normal(size=m)}


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
)  # fmt: skip
