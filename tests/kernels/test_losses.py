"""Losses, a Gaussian's divergence and the gradient penalty: what the tables of cases cannot say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dltutor.errors import DltutorError
from dltutor.kernels.cross_entropy import cross_entropy_backward, cross_entropy_forward
from dltutor.kernels.gaussian import gaussian_kl_forward
from dltutor.kernels.gradient_penalty import gradient_penalty_backward, gradient_penalty_forward
from dltutor.kernels.huber import huber_backward, huber_forward
from dltutor.kernels.mae import mae_backward, mae_forward
from dltutor.kernels.random import first_key, random_uniform_reference
from dltutor.layers import (
    Adam,
    Dense,
    Dropout,
    GaussianSample,
    GradientPenalty,
    Huber,
    Residual,
    Sequential,
    Tanh,
    Wasserstein,
)


def f32(*values: Any) -> np.ndarray:
    return np.array(values, np.float32)


# ---------------------------------------------------------------- by hand


def test_mean_absolute_error_by_hand() -> None:
    """Errors 1, -3 and 0: 4 / 3; every wrong number is pulled equally."""
    y, t, loss, dy = f32(3, 2, 7), f32(2, 5, 7), f32(0), f32(0, 0, 0)
    mae_forward(y, t, loss)
    mae_backward(y, t, dy)
    assert loss[0] == pytest.approx(4 / 3)
    np.testing.assert_allclose(dy, [1 / 3, -1 / 3, 0])


def test_huber_loss_by_hand() -> None:
    """With delta 1: an error of 1/2 costs 1/8, one of -3 costs 3 - 1/2."""
    y, t, loss, dy = f32(0.5, 2), f32(0, 5), f32(0), f32(0, 0)
    huber_forward(y, t, np.float32(1), loss)
    huber_backward(y, t, np.float32(1), dy)
    assert loss[0] == (0.125 + 2.5) / 2
    assert dy.tolist() == [0.25, -0.5]


def test_an_infinite_error_costs_infinity_and_pulls_no_harder_than_delta() -> None:
    y, t, loss, dy = f32(np.inf), f32(0), f32(0), f32(0)
    huber_forward(y, t, np.float32(2), loss)
    huber_backward(y, t, np.float32(2), dy)
    assert (loss[0], dy[0]) == (np.inf, 2)


def test_cross_entropy_tells_the_surprise_at_each_sample() -> None:
    z, t = f32([0, math.log(3)], [200, 0]), np.array([1, 1], np.int32)
    p, surprise, loss, dz = np.empty((2, 2), np.float32), f32(0, 0), f32(0), np.zeros((2, 2), np.float32)
    cross_entropy_forward(z, t, p, surprise, loss)
    cross_entropy_backward(p, t, dz)
    np.testing.assert_allclose(surprise, [-math.log(0.75), 200], 1e-6)
    assert loss[0] == pytest.approx((200 - math.log(0.75)) / 2)
    np.testing.assert_allclose(dz, [[0.125, -0.125], [0.5, -0.5]], 1e-6)


def test_a_row_with_nan_spoils_its_own_probabilities_and_the_loss_only() -> None:
    for bad in (np.nan, -np.nan, np.inf):
        z, t = f32([1, bad, 2], [0, 0, 0]), np.array([0, 0], np.int32)
        p, surprise, loss = np.empty((2, 3), np.float32), f32(0, 0), f32(0)
        cross_entropy_forward(z, t, p, surprise, loss)
        assert np.isnan(p[0]).any()
        assert not np.isfinite(loss[0])
        np.testing.assert_allclose(p[1], 1 / 3)


def test_the_divergence_of_a_gaussian_by_hand() -> None:
    """None from itself; half the square of a mean that is off; (sigma^2 - 1 - ln sigma^2) / 2 of a wrong width."""
    kl = f32(np.nan)
    for row, wanted in (((0, 0), 0), ((3, 0), 4.5), ((0, math.log(4)), (4 - 1 - math.log(4)) / 2)):
        gaussian_kl_forward(f32(row), kl)
        assert kl[0] == pytest.approx(wanted)


def test_the_gradient_penalty_by_hand() -> None:
    """Slopes of length 5, 1 and 0: 10 (16 + 0 + 1) / 3; a slope of 0 has no direction to grow in."""
    g, weight = f32([3, 4], [0, 1], [0, 0]), np.float32(10)
    norm, loss, dg = f32(0, 0, 0), f32(0), np.zeros((3, 2), np.float32)
    gradient_penalty_forward(g, weight, norm, loss)
    gradient_penalty_backward(g, weight, norm, dg)
    assert norm.tolist() == [5, 1, 0]
    assert loss[0] == pytest.approx(170 / 3)
    np.testing.assert_allclose(dg, np.array([[3, 4], [0, 0], [0, 0]]) * 2 * 10 / 3 * 4 / 5, 1e-6)


# ---------------------------------------------------------------- a VAE's sample


def vae(beta: float = 1.0) -> tuple[Sequential, GaussianSample]:
    sample = GaussianSample(beta)
    return Sequential(Dense(3, 4), sample, rng=np.random.default_rng(1)), sample


def test_a_prediction_is_the_mean_and_disturbs_nothing() -> None:
    net, sample = vae()
    x = np.random.default_rng(2).standard_normal((5, 3)).astype(np.float32)
    w, b = (value for _name, value, _gradient in net.parameters())
    net.forward(x)
    kl, key = sample.kl, sample._key.copy()
    np.testing.assert_allclose(net.predict(x), (x @ w + b)[:, :2], 1e-5, 1e-6)
    np.testing.assert_allclose(net.predict(10 * x), (10 * x @ w + b)[:, :2], 1e-5, 1e-6)
    assert (sample.kl, sample._key.tolist()) == (kl, key.tolist())


def test_samples_differ_from_step_to_step_and_are_the_same_for_the_same_seed() -> None:
    x = np.ones((1000, 3), np.float32)
    runs = []
    for _run in range(2):
        net, _sample = vae()
        runs.append([net.forward(x).copy() for _step in range(2)])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0][0] != runs[0][1]).all()


def test_beta_weighs_the_divergence_and_may_change_between_steps() -> None:
    net, sample = vae(beta=0)
    x, nothing = np.ones((4, 3), np.float32), np.zeros((4, 2), np.float32)
    gradients = []
    for beta in (0, 1, 2):
        sample.beta = beta
        net.forward(x)
        net.backward(nothing)
        gradients.append(net.gradients.copy())
        net.clear_gradients()
    assert not gradients[0].any()
    np.testing.assert_allclose(gradients[2], 2 * gradients[1], 1e-6)


def test_with_nothing_else_to_learn_the_divergence_goes_to_zero() -> None:
    net, sample = vae()
    x, opt = np.random.default_rng(2).standard_normal((16, 3)).astype(np.float32), Adam(net)
    for _step in range(300):
        net.forward(x)
        net.backward(np.zeros((16, 2), np.float32))
        opt.step(lr=0.05)
    assert sample.kl < 1e-4


def test_as_many_means_as_variances() -> None:
    with pytest.raises(DltutorError, match="5 numbers"):
        Sequential(Dense(3, 5), GaussianSample())


# ---------------------------------------------------------------- the gradient penalty of a critic


def penalty_of(weights: list[np.ndarray], x: np.ndarray) -> float:
    """10 (|dD/dx| - 1)^2 of D = tanh(x w + b) v + c, in float64."""
    w, b, v, _c = weights
    y = np.tanh(x @ w + b)
    slope = ((1 - y**2) * v[:, 0]) @ w.T
    return float(10 * np.mean((np.linalg.norm(slope, axis=1) - 1) ** 2))


def test_its_gradient_is_the_central_difference_of_the_penalty() -> None:
    critic = Sequential(Dense(3, 4), Tanh(), Dense(4, 1), rng=np.random.default_rng(1))
    real, fake = np.random.default_rng(2).standard_normal((2, 5, 3)).astype(np.float32)
    value = GradientPenalty(critic, weight=10, rng=np.random.default_rng(3))(real, fake)
    key = first_key(int(np.random.default_rng(3).integers(2**63)))
    u = random_uniform_reference(key, 5)[:, None]
    x, weights = u * real + (1 - u) * fake, [value.astype(float) for _name, value, _gradient in critic.parameters()]
    assert value == pytest.approx(penalty_of(weights, x), rel=1e-5)
    for place, (name, _value, gradient) in enumerate(critic.parameters()):
        for index in np.ndindex(gradient.shape):
            ends = []
            for h in (1e-5, -1e-5):
                moved = [each.copy() for each in weights]
                moved[place][index] += h
                ends.append(penalty_of(moved, x))
            assert gradient[index] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4, abs=1e-5), name


def test_it_adds_to_the_gradients_and_draws_new_points_each_time() -> None:
    critic = Sequential(Dense(3, 4), Tanh(), Dense(4, 1), rng=np.random.default_rng(1))
    real, fake = np.random.default_rng(2).standard_normal((2, 5, 3)).astype(np.float32)
    again, twin = (GradientPenalty(critic, rng=np.random.default_rng(3)) for _ in range(2))
    first = again(real, fake)
    alone = critic.gradients.copy()
    assert twin(real, fake) == first
    np.testing.assert_allclose(critic.gradients, 2 * alone, 1e-6)
    assert again(real, fake) != first
    real, fake = real[:2], fake[:2]  # another shape
    assert math.isfinite(again(real, fake))


def test_a_critic_with_it_becomes_as_steep_as_one() -> None:
    """Real points at -1, generated ones at 2, so 3 apart. With slope s it pays 10 (s - 1)^2 - 3s: least at 1.15."""
    critic = Sequential(Dense(1, 16), Tanh(), Dense(16, 1), rng=np.random.default_rng(1))
    penalty, loss, opt = GradientPenalty(critic, weight=10), Wasserstein(), Adam(critic)
    real, fake, one = (np.full((32, 1), value, np.float32) for value in (-1, 2, 1))
    for _step in range(600):
        distance = 0.0
        for x, t in ((real, -one), (fake, one)):
            distance -= loss(critic.forward(x), t)
            critic.backward(loss.grad)
        penalty(real, fake)
        opt.step(lr=0.01)
    assert distance == pytest.approx(3 * 1.15, rel=0.02)


def test_it_refuses_layers_whose_second_derivative_is_not_written() -> None:
    for layer in (Dropout(0.5), Residual(Dense(4, 4))):
        with pytest.raises(DltutorError, match=layer.name()):
            GradientPenalty(Sequential(Dense(3, 4), layer, Dense(4, 1)))
    penalty = GradientPenalty(Sequential(Dense(3, 1)))
    with pytest.raises(DltutorError, match=r"\(5, 3\).*\(4, 3\)"):
        penalty(np.zeros((5, 3), np.float32), np.zeros((4, 3), np.float32))


def test_a_huber_loss_needs_a_delta() -> None:
    with pytest.raises(DltutorError, match="delta=0"):
        Huber(0)
