"""The oldest neurons: one that fires as physiology says, and one that learns as Rosenblatt did."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dltutor.kernels.integrate_and_fire import integrate_and_fire_forward
from dltutor.kernels.perceptron import perceptron_forward, perceptron_step

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
TAU, REST, THRESHOLD = 10.0, -65.0, -50.0


def membrane(
    drive: np.ndarray, dt: float, reset: float = REST, refractory: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """trace and spikes of one neuron that starts at rest."""
    drive = drive.astype(np.float32).reshape(-1, 1)
    trace, spikes = np.empty_like(drive), np.empty_like(drive)
    numbers = map(np.float32, (dt, TAU, REST, THRESHOLD, reset, refractory))
    v, wait = np.array([REST], np.float32), np.zeros(1, np.int32)
    integrate_and_fire_forward(drive, v, wait, *numbers, trace, spikes)
    return trace[:, 0], spikes[:, 0]


# ---------------------------------------------------------------- integrate and fire


def test_a_neuron_charges_as_its_equation_says() -> None:
    """v = rest + drive (1 - e^(-t / tau)): one tau brings it to 63%."""
    trace, spikes = membrane(np.full(1000, 10.0), dt=0.01)
    assert trace[-1] == pytest.approx(REST + 10 * (1 - math.exp(-1)), abs=0.01)
    assert not spikes.any()


@pytest.mark.parametrize("refractory", [0.0, 2.0])
def test_a_neuron_fires_at_the_rate_of_its_formula(refractory: float) -> None:
    drive, reset, dt = 20.0, -70.0, 0.01
    _trace, spikes = membrane(np.full(20_000, drive), dt, reset, refractory)
    times = np.flatnonzero(spikes) * dt
    period = TAU * math.log((drive + REST - reset) / (drive + REST - THRESHOLD)) + refractory
    np.testing.assert_allclose(np.diff(times), period, atol=3 * dt)


def test_below_the_threshold_a_neuron_never_fires() -> None:
    assert not membrane(np.full(10_000, 14.99), dt=0.1)[1].any()
    assert membrane(np.full(10_000, 15.5), dt=0.1)[1].any()


def test_after_a_spike_a_neuron_waits_whatever_drives_it() -> None:
    """A drive that fires it at once: a spike, two steps of waiting, a spike."""
    trace, spikes = membrane(np.full(7, 1000.0), dt=0.5, reset=-70.0, refractory=1.0)
    assert spikes.tolist() == [1, 0, 0, 1, 0, 0, 1]
    assert trace[1:3].tolist() == [-70, -70]


def test_without_drive_a_neuron_leaks_back_to_rest() -> None:
    trace, _spikes = membrane(np.r_[np.full(100, 14.0), np.zeros(1000)], dt=0.1)
    assert trace[99] > -58
    assert trace[-1] == pytest.approx(REST, abs=0.01)


# ---------------------------------------------------------------- perceptron


def learn(t: np.ndarray, rounds: int) -> list[int]:
    """Mistakes in each round."""
    w, b, mistakes, counts = np.zeros(2, np.float32), np.zeros(1, np.float32), np.zeros(1, np.int32), []
    for _round in range(rounds):
        perceptron_step(CORNERS, t.astype(np.float32), w, b, np.float32(1), mistakes)
        counts.append(int(mistakes[0]))
    if counts[-1] == 0:
        y = np.empty(4, np.float32)
        perceptron_forward(CORNERS, w, b, y)
        assert y.tolist() == t.tolist()
    return counts


@pytest.mark.parametrize("truth", [[0, 0, 0, 1], [0, 1, 1, 1]], ids=["and", "or"])
def test_a_perceptron_learns_and_and_or(truth: list[int]) -> None:
    assert learn(np.array(truth), 20)[-1] == 0


def test_a_perceptron_never_learns_xor() -> None:
    assert min(learn(np.array([0, 1, 1, 0]), 100)) > 0


def test_a_mistake_by_hand() -> None:
    """1, 2 is missed: it is added to the weights. Then 3, 0 is a false alarm: it is taken off."""
    w, b, mistakes = np.zeros(2, np.float32), np.zeros(1, np.float32), np.zeros(1, np.int32)
    x, t = np.array([[1, 2], [3, 0]], np.float32), np.array([1, 0], np.float32)
    perceptron_step(x, t, w, b, np.float32(0.5), mistakes)
    assert (w.tolist(), b.tolist(), mistakes[0]) == ([0.5 - 1.5, 1], [0], 2)
