"""NumPy arrays to the wire and back, as the plots read them."""

from __future__ import annotations

import numpy as np
import pytest

from dltutor import pictures
from dltutor.engine.pack import pack
from dltutor.pictures import Confusion, Contour, Curves, Heat, Histograms, Images, Points, Scatter, Series
from dltutor.ui.plots.raster import numbers
from dltutor.wire import Frame, decode, encode

x, y = np.linspace(0, 1, 7, dtype=np.float32), np.linspace(-1, 1, 7, dtype=np.float32)
points = Points(x, y, np.arange(7))
EACH = {
    "Curves": Curves([Series("loss", np.arange(3.0), np.array([1.0, np.nan, 0.1]))], "step", True),
    "Scatter": Scatter(points, [Series("fit", [0.0, 1.0], [0.5, 0.25])], (0, 1), (-1, 1), "x", "y"),
    "Heat": Heat((0, 1), (0, 2), np.eye(4), 0.0, 1.0, (0.5,), points, ("a", "b"), "x", "y"),
    "Contour": Contour((0, 1), (0, 1), np.ones((3, 5)), x, y, (0.5, 0.5), "slope", "intercept"),
    "Images": Images(np.zeros((2, 3, 3)), ("1", "7"), (1,), True),
    "Histograms": Histograms(("W1", "W2"), np.ones((2, 8)), -2.0, 2.0, "log10"),
    "Confusion": Confusion(np.arange(9).reshape(3, 3), ("a", "b", "c")),
}


def crossed(picture):
    return decode(encode(Frame(3, {"it": pack(picture)}))).pictures["it"]


@pytest.mark.parametrize("kind", EACH)
def test_every_kind_of_picture_arrives_as_what_it_was(kind):
    picture = EACH[kind]
    there = crossed(picture)
    assert type(there) is type(picture)
    assert encode(Frame(3, {"it": there})) == encode(Frame(3, {"it": pack(picture)}))


def test_every_kind_of_picture_is_among_these():
    assert set(EACH) == {kind.__name__ for kind in pictures.Picture.__args__}


def test_float32_arrives_to_the_bit():
    values = np.float32([0.1, 1e-38, 3.4e38, -0.0])
    there = numbers(crossed(Scatter(Points(values, values), [], (0, 1), (0, 1))).points.x)
    assert there.astype(np.float32).tobytes() == values.tobytes()


def test_steps_and_losses_keep_every_digit():
    values = np.array([0.1, 1 / 3, 1e300, np.nan, np.inf])
    there = numbers(crossed(Curves([Series("loss", np.arange(5.0), values)])).series[0].y)
    np.testing.assert_array_equal(there, values)


def test_a_field_loses_at_most_half_a_level():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(9, 11))
    there = numbers(crossed(Heat((0, 1), (0, 1), values)).values)
    assert there.shape == (9, 11)
    assert np.abs(there - values).max() <= np.ptp(values) / 508 * (1 + 1e-5)


def test_bad_numbers_in_a_field_arrive_as_nan():
    values = np.array([[0.0, np.nan], [np.inf, 1.0]])
    there = numbers(crossed(Heat((0, 1), (0, 1), values)).values)
    assert np.isnan(there).tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 1)])
def test_empty_and_flat_fields_arrive(shape):
    assert numbers(crossed(Heat((0, 1), (0, 1), np.zeros(shape))).values).shape == shape


def test_no_points_arrive_as_no_points():
    there = crossed(Scatter(Points(np.zeros(0), np.zeros(0)), [], (0, 1), (0, 1)))
    assert numbers(there.points.x).shape == (0,)
    assert there.points.label is None


def test_strided_and_big_endian_arrays_arrive_as_they_read():
    values = np.arange(12, dtype=">f8").reshape(3, 4).T[::2]
    there = numbers(crossed(Contour((0, 1), (0, 1), values, x, y)).values)
    np.testing.assert_array_equal(there, values.astype("f4"))


def test_class_numbers_and_counts_stay_whole():
    assert numbers(crossed(EACH["Heat"]).points.label).tolist() == list(range(7))
    assert numbers(crossed(EACH["Confusion"]).counts).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
