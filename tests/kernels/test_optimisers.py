"""Optimisers, clipping and schedules: worked by hand, and what their options do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dltutor.errors import DltutorError
from dltutor.kernels import launch
from dltutor.kernels.adamw import adamw_step
from dltutor.kernels.clip import clip_norm, clip_value
from dltutor.kernels.nesterov import nesterov_step
from dltutor.kernels.rmsprop import rmsprop_step
from dltutor.layers import SGD, Adam, AdamW, ClipNorm, ClipValue, Dense, Momentum, Nesterov, RMSProp, Sequential
from dltutor.layers.schedules import constant, cosine, exponential, one_cycle, step_decay, warmup_cosine

LR = np.float32(0.5)
HALF = np.float32(0.5)


def f32(*values: Any) -> np.ndarray:
    return np.array(values, np.float32)


def network() -> Sequential:
    net = Sequential(Dense(3, 2), rng=np.random.default_rng(0))
    net.gradients[:] = np.arange(8) - 3
    return net


# ---------------------------------------------------------------- kernels by hand


def test_nesterov_by_hand() -> None:
    """v = 1/2 1 + 2; the step is the gradient and half of the new speed."""
    p, g, v = f32(1), f32(2), f32(1)
    nesterov_step(p, g, v, LR, HALF)
    assert (v[0], p[0], g[0]) == (2.5, 1 - 0.5 * (2 + 1.25), 0)


def test_rmsprop_by_hand() -> None:
    """v = 1/2 4 + 1/2 16 - a mean square of 10."""
    p, v = f32(1), f32(4)
    rmsprop_step(p, f32(4), v, LR, HALF, np.float32(0))
    assert v[0] == 10
    assert p[0] == pytest.approx(1 - 0.5 * 4 / math.sqrt(10))


def test_adamw_by_hand() -> None:
    """A tenth of lr p off, then Adam's step of lr: m / c1 = 2 and v / c2 = 4."""
    p, m, v = f32(1), f32(0), f32(0)
    adamw_step(p, f32(2), m, v, LR, HALF, HALF, np.float32(0), np.float32(0.1), HALF, HALF)
    assert p[0] == pytest.approx(1 - 0.05 - 0.5)


def test_clipping_by_norm_keeps_the_direction() -> None:
    """3 and 4 make 5."""
    g, parts, norm = f32(3, 4), np.empty(1, np.float32), np.empty(1, np.float32)
    clip_norm(g, np.float32(1), parts, norm)
    assert norm[0] == 5
    np.testing.assert_allclose(g, [0.6, 0.8])
    clip_norm(g, np.float32(2), parts, norm)
    np.testing.assert_allclose(g, [0.6, 0.8])


@pytest.mark.parametrize("parts", [1, 2, 7, 64, 200])
def test_a_norm_does_not_depend_on_the_number_of_its_shares(parts: int) -> None:
    g = np.random.default_rng(1).normal(size=131).astype(np.float32)
    shares, norm = np.full(parts, np.nan, np.float32), np.empty(1, np.float32)
    clip_norm(g.copy(), np.float32(100), shares, norm)
    assert norm[0] == pytest.approx(float(np.linalg.norm(g.astype(float))), rel=1e-6)
    assert np.isfinite(shares).all()


def test_clipping_leaves_nan_to_be_seen() -> None:
    g, norm = f32(1, np.nan), np.empty(1, np.float32)
    clip_norm(g, np.float32(0.1), np.empty(2, np.float32), norm)
    assert np.isnan(norm[0])
    np.testing.assert_array_equal(g, f32(1, np.nan))
    g = f32(5, np.nan, -5)
    clip_value(g, np.float32(2))
    np.testing.assert_array_equal(g, f32(2, np.nan, -2))


# ---------------------------------------------------------------- on a network


@pytest.mark.parametrize("make", [SGD, Momentum, Nesterov, RMSProp, Adam, AdamW])
def test_a_step_goes_downhill_and_spends_the_gradient(make: Any) -> None:
    net = network()
    before, gradient = net.values.copy(), net.gradients.copy()
    make(net).step(lr=0.01)
    moved = (net.values - before)[gradient != 0]
    assert (np.sign(moved) == -np.sign(gradient[gradient != 0])).all()
    assert not net.gradients.any()


def test_weight_decay_is_a_gradient_of_its_own() -> None:
    net = network()
    p, g = net.values.copy(), net.gradients.copy()
    SGD(net, weight_decay=0.5).step(lr=0.1)
    np.testing.assert_allclose(net.values, p - 0.1 * (g + 0.5 * p), 1e-6)


@pytest.mark.parametrize("make", [SGD, Momentum, Nesterov, RMSProp, Adam, AdamW])
def test_threads_do_not_change_a_step(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a network large enough to be cut into pieces: 90,300 parameters."""
    monkeypatch.setattr(launch, "WORTH_IT", 0)

    def trained(threads: int) -> np.ndarray:
        net = Sequential(Dense(300, 300), rng=np.random.default_rng(0))
        opt = make(net, weight_decay=0.1)
        launch.use_threads(threads)
        for step in range(5):
            net.gradients[:] = np.random.default_rng(step).normal(size=net.gradients.size)
            opt.step(lr=0.1)
        return net.values

    try:
        np.testing.assert_array_equal(trained(1), trained(2))
    finally:
        launch.use_threads(1)


def test_adamw_shrinks_whatever_the_gradient_is() -> None:
    plain, shrinking = network(), network()
    p = plain.values.copy()
    Adam(plain).step(lr=0.1)
    AdamW(shrinking, weight_decay=0.5).step(lr=0.1)
    np.testing.assert_allclose(shrinking.values, plain.values - 0.1 * 0.5 * p, 1e-5, 1e-7)


def test_clipping_a_network_tells_the_norm() -> None:
    net = network()
    wanted = net.gradients.copy()
    norm = ClipNorm(net)(limit=1.0)
    assert norm == pytest.approx(math.sqrt(np.sum(wanted**2)))
    np.testing.assert_allclose(net.gradients, wanted / norm, 1e-6)
    assert ClipNorm(net)(limit=5.0) == pytest.approx(1)
    ClipValue(net)(limit=0.25)
    assert np.abs(net.gradients).max() == 0.25


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (SGD, {"weight_decay": -1}), (Momentum, {"beta": 1.0}), (RMSProp, {"alpha": -0.1}),
        (Adam, {"beta2": 1.5}), (AdamW, {"weight_decay": math.nan}),
    ],
)  # fmt: skip
def test_impossible_options_are_told_with_their_value(make: Any, options: dict[str, float]) -> None:
    with pytest.raises(DltutorError, match=f"{next(iter(options.values()))}") as told:
        make(network(), **options)
    assert told.value.hint


# ---------------------------------------------------------------- schedules


def test_schedules_by_hand() -> None:
    assert [constant(step, 0.5) for step in (0, 9)] == [0.5, 0.5]
    assert [step_decay(step, 1.0, every=10, factor=0.5) for step in (0, 9, 10, 25)] == [1, 1, 0.5, 0.25]
    assert [exponential(step, 8.0, factor=0.5) for step in (0, 1, 3)] == [8, 4, 1]


def test_cosine_schedules_start_at_the_top_and_stay_at_the_end() -> None:
    assert [cosine(step, 1.0, steps=10) for step in (0, 5, 10, 50)] == pytest.approx([1, 0.5, 0, 0])
    rates = [warmup_cosine(step, 1.0, steps=14, warmup=4, last=0.2) for step in (0, 1, 3, 4, 9, 14, 99)]
    assert rates == pytest.approx([0.25, 0.5, 1, 1, 0.6, 0.2, 0.2])


def test_one_cycle_rises_once_and_falls_once() -> None:
    rates = [one_cycle(step, 1.0, steps=100) for step in range(120)]
    assert (rates[0], max(rates), rates[29]) == pytest.approx((1 / 25, 1, 1))
    assert rates[99] == rates[119] == pytest.approx(1 / 250_000)
    assert np.argmax(rates) == 29
    assert (np.diff(rates[:30]) > 0).all()
    assert (np.diff(rates[29:100]) < 0).all()


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_schedules_of_hardly_any_steps_do_not_divide_by_zero(steps: int) -> None:
    for step in range(steps + 2):
        for rate in (cosine(step, 1.0, steps), one_cycle(step, 1.0, steps), warmup_cosine(step, 1.0, steps, steps)):
            assert 0 <= rate <= 1
