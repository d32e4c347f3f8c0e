"""Dense layers and matrix products are PyTorch's: outputs and all gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dltutor.kernels import fused_dense
from dltutor.kernels.dense import dense_backward, dense_forward
from dltutor.kernels.matmul_batched import (
    matmul_nn_backward,
    matmul_nn_forward,
    matmul_nt_backward,
    matmul_nt_forward,
    matmul_tn_backward,
    matmul_tn_forward,
    matmul_tt_backward,
    matmul_tt_forward,
)

torch = pytest.importorskip("torch")

FORMS = {
    "nn": (matmul_nn_forward, matmul_nn_backward),
    "nt": (matmul_nt_forward, matmul_nt_backward),
    "tn": (matmul_tn_forward, matmul_tn_backward),
    "tt": (matmul_tt_forward, matmul_tt_backward),
}
ACTIVATIONS: dict[str, Any] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "gelu": lambda z: torch.nn.functional.gelu(z, approximate="tanh"),
}
N, D, M = 70, 150, 130


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def watched(*arrays: np.ndarray) -> list[Any]:
    return [torch.from_numpy(array).requires_grad_() for array in arrays]


@pytest.mark.parametrize("form", FORMS)
def test_products_and_their_gradients(form: str) -> None:
    forward, backward = FORMS[form]
    a = normal(3, *((D, N) if form[0] == "t" else (N, D)))
    b = normal(3, *((M, D) if form[1] == "t" else (D, M)), seed=1)
    c, dc, da, db = np.empty((3, N, M), np.float32), normal(3, N, M, seed=2), np.zeros_like(a), np.zeros_like(b)
    forward(a, b, c)
    backward(a, b, dc, da, db)
    their_a, their_b = watched(a, b)
    turned_a = their_a.mT if form[0] == "t" else their_a
    their_c = turned_a @ (their_b.mT if form[1] == "t" else their_b)
    their_c.backward(torch.from_numpy(dc))
    compare((c, da, db), (their_c.detach(), their_a.grad, their_b.grad))


def test_a_dense_layer() -> None:
    x, w, b, dy = normal(N, D), normal(D, M, seed=1), normal(M, seed=2), normal(N, M, seed=3)
    y, dx, dw, db = np.empty((N, M), np.float32), np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    dense_forward(x, w, b, y)
    dense_backward(x, w, dy, dx, dw, db)
    compare((y, dx, dw, db), theirs(x, w, b, dy, lambda z: z))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_fused_dense_layer(name: str) -> None:
    x, w, b, dy = normal(N, D), normal(D, M, seed=1), normal(M, seed=2), normal(N, M, seed=3)
    y, z, dz = (np.empty((N, M), np.float32) for _ in range(3))
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    made = (z, y) if name == "gelu" else (y,)
    getattr(fused_dense, f"dense_{name}_forward")(x, w, b, *made)
    getattr(fused_dense, f"dense_{name}_backward")(x, w, made[0], dy, dz, dx, dw, db)
    compare((y, dx, dw, db), theirs(x, w, b, dy, ACTIVATIONS[name]))


def test_a_leaky_dense_layer() -> None:
    x, w, b, dy = normal(N, D), normal(D, M, seed=1), normal(M, seed=2), normal(N, M, seed=3)
    y, dz = np.empty((N, M), np.float32), np.empty((N, M), np.float32)
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    slope = np.float32(0.25)
    fused_dense.dense_leaky_relu_forward(x, w, b, slope, y)
    fused_dense.dense_leaky_relu_backward(x, w, y, slope, dy, dz, dx, dw, db)
    compare((y, dx, dw, db), theirs(x, w, b, dy, lambda z: torch.nn.functional.leaky_relu(z, 0.25)))


def theirs(x: np.ndarray, w: np.ndarray, b: np.ndarray, dy: np.ndarray, activation: Any) -> tuple[Any, ...]:
    """The output, and the gradients by x, w and b."""
    their_x, their_w, their_b = watched(x, w, b)
    y = activation(their_x @ their_w + their_b)
    y.backward(torch.from_numpy(dy))
    return y.detach(), their_x.grad, their_w.grad, their_b.grad


def compare(ours: tuple[np.ndarray, ...], wanted: tuple[Any, ...]) -> None:
    for array, tensor in zip(ours, wanted, strict=True):
        np.testing.assert_allclose(array, tensor.numpy(), 1e-4, 1e-4)
