"""Losses are PyTorch's: values and gradients, at small and at huge numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dltutor.layers import MAE, MSE, BCEWithLogits, Huber, Loss, SoftmaxCrossEntropy, Wasserstein

torch = pytest.importorskip("torch")
nn = torch.nn

REGRESSION: dict[str, tuple[Loss, Any]] = {
    "mse": (MSE(), nn.MSELoss()),
    "mae": (MAE(), nn.L1Loss()),
    "huber": (Huber(0.7), nn.HuberLoss(delta=0.7)),
    "bce": (BCEWithLogits(), nn.BCEWithLogitsLoss()),
    "wasserstein": (Wasserstein(), lambda y, t: (y * t).mean()),
}


def check(ours: Loss, theirs: Any, y: np.ndarray, t: np.ndarray, their_t: Any) -> None:
    their_y = torch.from_numpy(y.copy()).requires_grad_()
    their_loss = theirs(their_y, their_t)
    their_loss.backward()
    assert ours(y, t) == pytest.approx(their_loss.item(), rel=2e-6)
    assert ours.value(y, t) == ours(y, t)
    np.testing.assert_allclose(ours.grad, their_y.grad.numpy(), 1e-5, 1e-8)


@pytest.mark.parametrize("scale", [0.1, 3, 100])
@pytest.mark.parametrize("name", REGRESSION)
def test_of_numbers(name: str, scale: float) -> None:
    rng = np.random.default_rng(1)
    y = (scale * rng.standard_normal((13, 7))).astype(np.float32)
    t = rng.integers(0, 2, (13, 7)).astype(np.float32)
    check(*REGRESSION[name], y, t, torch.from_numpy(t))


@pytest.mark.parametrize("scale", [0.1, 3, 100])
@pytest.mark.parametrize("classes", [1, 2, 10, 100])
def test_of_classes(classes: int, scale: float) -> None:
    rng = np.random.default_rng(1)
    y = (scale * rng.standard_normal((9, classes))).astype(np.float32)
    t = rng.integers(0, classes, 9).astype(np.int32)
    check(SoftmaxCrossEntropy(), nn.CrossEntropyLoss(), y, t, torch.from_numpy(t.astype(np.int64)))


def test_the_absolute_error_is_flat_where_there_is_none() -> None:
    y = np.array([[1.0, 2.0, 3.0]], np.float32)
    check(MAE(), nn.L1Loss(), y, y + np.float32([0, 1, -1]), torch.from_numpy(y + np.float32([0, 1, -1])))
