"""Dropout, penalties and the residual sum: what the tables of cases cannot say."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from dltutor.errors import DltutorError
from dltutor.kernels.dropout import dropout_backward, dropout_forward
from dltutor.kernels.penalty import l1_backward
from dltutor.kernels.random import first_key
from dltutor.layers import L1, L2, Dense, Dropout, Sequential, Tanh


def dropped(n: int, keep: float = 0.75) -> np.ndarray:
    y = np.empty(n, np.float32)
    dropout_forward(np.ones(n, np.float32), first_key(1), np.array([keep], np.float32), y)
    return y


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def test_dropout_keeps_the_mean_and_scales_what_it_keeps() -> None:
    y = dropped(100_000)
    assert set(np.unique(y)) == {0, np.float32(1) / np.float32(0.75)}
    assert y.mean() == pytest.approx(1, abs=0.01)
    assert (dropped(1000, keep=1.0) == 1).all()


def test_the_backward_pass_makes_the_mask_again() -> None:
    n, key, keep = 1003, first_key(1), np.array([0.75], np.float32)
    dx = np.zeros(n, np.float32)
    dropout_backward(ones(n), key, keep, dx)
    np.testing.assert_array_equal(dx, dropped(n))


def test_dropout_leaves_an_empty_gradient_out() -> None:
    dropout_backward(ones(5), first_key(1), np.array([0.5], np.float32), np.empty(0, np.float32))


def test_a_dropout_layer_drops_in_training_only_and_anew_each_time() -> None:
    net = Sequential(Dropout(0.5), rng=np.random.default_rng(0), input_gradient=True)
    x = ones(50, 20)
    first = net.forward(x).copy()
    assert 0.4 < (first == 0).mean() < 0.6
    np.testing.assert_array_equal(net.predict(x), x)
    dx = net.backward(ones(50, 20))
    np.testing.assert_array_equal(dx, first)
    assert (net.forward(x) != first).any()


def test_one_seed_gives_one_sequence_of_masks() -> None:
    def masks(seed: int) -> np.ndarray:
        net = Sequential(Dense(4, 4), Dropout(0.3), Tanh(), Dropout(0.3), rng=np.random.default_rng(seed))
        return np.stack([net.forward(ones(7, 4)).copy() for _step in range(3)])

    np.testing.assert_array_equal(masks(1), masks(1))
    assert (masks(1) != masks(2)).any()


def test_two_dropout_layers_drop_different_numbers() -> None:
    net = Sequential(Dropout(0.5), Dropout(0.5), rng=np.random.default_rng(0))
    kept = (net.forward(ones(1, 40_000)) != 0).mean()
    assert kept == pytest.approx(0.25, abs=0.02)


def test_another_batch_size_in_between_does_not_change_a_mask() -> None:
    """Both draw from one stream, but each pass keeps the key that it drew with."""
    net = Sequential(Dropout(0.5), rng=np.random.default_rng(0), input_gradient=True)
    net.forward(ones(3, 100))
    y = net.forward(ones(5, 100)).copy()
    np.testing.assert_array_equal(net.backward(ones(5, 100)), y)


def test_the_rate_may_change_between_steps() -> None:
    layer = Dropout(0.5)
    net = Sequential(layer, rng=np.random.default_rng(0))
    net.forward(ones(10, 10))
    layer.rate = 0.0
    np.testing.assert_array_equal(net.forward(ones(10, 10)), ones(10, 10))


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_an_impossible_rate_is_told(rate: float) -> None:
    with pytest.raises(DltutorError, match=f"{rate}"):
        Dropout(rate)


def test_penalties_are_for_weights_and_not_for_biases() -> None:
    net = Sequential(Dense(2, 3), Dense(3, 1), rng=np.random.default_rng(0))
    net.values[:] = np.arange(net.values.size) - 4
    weights = np.concatenate([value.ravel() for _name, value, _gradient in net.parameters() if value.ndim == 2])
    assert L1(net)(0.5) == pytest.approx(0.5 * np.abs(weights).sum())
    assert L2(net)(0.5) == pytest.approx(0.25 * (weights**2).sum())
    for _name, value, gradient in net.parameters():
        wanted = 0.5 * np.sign(value) + 0.5 * value if value.ndim == 2 else 0 * value
        np.testing.assert_allclose(gradient, wanted)


def test_a_penalty_adds_to_the_gradients_each_time_and_tells_its_value_alone() -> None:
    net = Sequential(Dense(1, 1), rng=np.random.default_rng(0))
    net.values[:] = 2
    penalty = L2(net)
    assert [penalty(1.0), penalty(0.5)] == [2, 1]
    assert net.gradients.tolist() == [2 + 1, 0]


def test_l1_has_no_opinion_of_a_weight_that_is_zero() -> None:
    dw = np.zeros(4, np.float32)
    l1_backward(np.array([0, -0.0, 1e-30, np.nan], np.float32), np.float32(2), dw)
    np.testing.assert_array_equal(dw, np.array([0, 0, 2, np.nan], np.float32))


TRAINING = """
import sys
import numpy as np
from dltutor.kernels import device
device.use(sys.argv[1])
from dltutor.layers import L1, L2, MSE, AdamW, ClipNorm, Dense, Dropout, Residual, Sequential, Tanh
rng = np.random.default_rng(0)
net = Sequential(Dense(2, 9), Tanh(), Dropout(0.3), Residual(Dense(9, 9), Dropout(0.2)), Dense(9, 1), rng=rng)
x = rng.standard_normal((7, 2)).astype(np.float32)
loss, opt, clip, l1, l2 = MSE(), AdamW(net, weight_decay=0.1), ClipNorm(net), L1(net), L2(net)
for _ in range(5):
    print(loss(net.forward(x), x[:, :1].copy()) + l1(0.01) + l2(0.02))
    net.backward(loss.grad)
    print(clip(0.5))
    opt.step(lr=0.1)
"""


def test_the_emulated_card_drops_the_same_numbers_and_trains_the_same_way() -> None:
    pytest.importorskip("numba_cuda")
    run = [sys.executable, "-c", TRAINING]
    ours, theirs = (
        [
            float(line)
            for line in subprocess.run([*run, device], capture_output=True, text=True, check=True).stdout.split()
        ]
        for device in ("cpu", "emulate")
    )
    assert len(ours) == 10
    np.testing.assert_allclose(ours, theirs, 1e-5)
