"""Axes move by steps, hold their data, and label it shortly."""

import math

import numpy as np
import pytest

from dltutor.ui.plots.scale import Axis, axis, round_up, short, sticky, sticky_log, tick, whole


@pytest.mark.parametrize("value", [1e-300, 0.00123, 0.99, 1, 1.0000001, 7, 123, 99_999, 3e200])
def test_round_up_covers_and_wastes_little(value):
    assert value <= round_up(value) * (1 + 1e-8)
    assert round_up(value) <= 1.35 * value


def test_a_growing_maximum_moves_the_axis_seldom():
    tops = {sticky(0, top).high for top in np.linspace(1, 100, 1000)}
    assert len(tops) <= 21


@pytest.mark.parametrize("low", [-1e9, -3.7, -0.001, 0, 0.4, 5, 99.9])
@pytest.mark.parametrize("span", [0, 1e-9, 0.5, 100, 1e12])
def test_a_sticky_axis_holds_its_data(low, span):
    found = sticky(low, low + span)
    slack = 1e-9 * max(abs(low), span, 1)
    assert found.low <= low + slack and low + span <= found.high + slack and found.low < found.high


@pytest.mark.parametrize("low", [1e-250, 4.8e-5, 0.21, 1, 2.1, 5.1, 999])
@pytest.mark.parametrize("ratio", [1, 1.5, 30, 1e6])
def test_a_log_axis_holds_its_data(low, ratio):
    found = sticky_log(low, low * ratio)
    assert found.low <= low * (1 + 1e-8) and low * ratio <= found.high * (1 + 1e-8)
    assert found.low >= low / 11


def test_a_log_axis_shows_twelve_decades_at_most():
    found = sticky_log(1e-200, 1)
    assert math.log10(found.high / found.low) <= 13


def test_a_loss_starts_at_zero_and_an_accuracy_ends_at_one():
    assert sticky(0.05, 2.3) == Axis(0, 2.5)
    assert sticky(0.1, 1.0) == Axis(0, 1)


@pytest.mark.parametrize("ends", [(math.nan, 1), (1, math.inf), (-math.inf, math.inf), (2, 2), (0, 0), (5, 1)])
def test_any_two_numbers_make_an_axis(ends):
    found = axis(*ends)
    assert math.isfinite(found.low) and found.low < found.high


def test_ticks_lie_within_and_on_round_numbers():
    assert axis(0, 2.5).ticks(5) == [0, 0.5, 1, 1.5, 2, 2.5]
    assert axis(-2, 2).ticks(4) == [-2, -1, 0, 1, 2]
    assert sticky_log(0.002, 80).ticks(9) == pytest.approx([0.01, 0.1, 1, 10, 100])
    assert sticky_log(1.2, 1.9).ticks(5) == [1, 2]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (0, "0"),
        (0.25, "0.25"),
        (1500, "1500"),
        (15000, "15k"),
        (2e6, "2M"),
        (-0.001, "-0.001"),
        (1e-5, "1e-5"),
        (3e15, "3e15"),
    ],
)
def test_tick_labels_are_short(value, label):
    assert tick(value) == label


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2.3, "2.3"),
        (0.1119, "0.112"),
        (1234.5, "1234"),
        (1e-7, "1e-7"),
        (0, "0"),
        (math.nan, "NaN"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers_as_one_says_them(value, words):
    assert short(value) == words


def test_steps_have_their_thousands_marked():
    assert (whole(12000.0), whole(0.5)) == ("12,000", "0.5")


def test_zero_has_no_place_on_a_log_axis():
    places = Axis(0.1, 10, log=True).place(np.array([0.1, 1, 10, 0, -1, np.nan]))
    assert places[:3] == pytest.approx([0, 0.5, 1])
    assert np.isnan(places[3:]).all()
