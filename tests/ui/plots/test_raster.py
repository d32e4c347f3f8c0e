"""From numbers to dots."""

from array import array
from itertools import pairwise

import numpy as np
import pytest

from dltutor.ui.plots import raster
from dltutor.ui.plots.cells import Cells
from dltutor.ui.plots.look import Look
from dltutor.ui.plots.scale import Axis
from dltutor.wire import Array


def dots(mask):
    return ["".join(".#"[int(dot)] for dot in row) for row in mask]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4"])
def test_numbers_of_the_wire_come_back(dtype):
    values = np.array([[1, 2, -3], [4, 5, 6]], f"<{dtype}")
    found = raster.numbers(Array(dtype, (2, 3), values.tobytes()))
    assert found.tolist() == values.tolist()


def test_levels_of_the_wire_stand_for_their_range_and_the_last_for_nan():
    found = raster.numbers(Array("u1", (4,), bytes([0, 127, 254, 255]), low=-1, high=1))
    assert found[:3] == pytest.approx([-1, 0, 1])
    assert np.isnan(found[3])
    assert raster.numbers(Array("u1raw", (2,), bytes([7, 255]))).tolist() == [7, 255]


def test_numbers_of_the_standard_library_and_none():
    assert raster.numbers(array("d", [1, 2])).tolist() == [1, 2]
    assert raster.numbers(array("d")).size == 0
    assert raster.numbers(None).size == 0


def test_columns_keep_the_extremes():
    y = np.array([1.0, 9, -5, 2, 3, 3, 3, np.nan])
    found = raster.columns(np.arange(8.0), y, Axis(0, 8), 2)
    assert (found.low.tolist(), found.high.tolist()) == ([-5, 3], [9, 3])
    assert (found.first.tolist(), found.last.tolist()) == ([1, 3], [2, 3])
    assert found.mean.tolist() == [1.75, 3]
    assert found.broken.tolist() == [False, True]


def test_the_last_point_on_the_edge_of_the_axis_is_kept():
    found = raster.columns(np.array([0.0, 10]), np.array([1.0, 2]), Axis(0, 10), 5)
    assert found.high[[0, 4]].tolist() == [1, 2]


def test_two_samples_are_joined_by_a_straight_line():
    line = raster.columns(np.array([0.0, 4]), np.array([0.0, 1]), Axis(0, 4), 5)
    mask = raster.line_mask(line, 5)
    assert mask[4, 0] and mask[2, 2] and mask[0, 4]
    for left, right in pairwise(mask.T):
        assert (left & right).any(), "neighbours touch"


def test_a_gap_is_not_bridged():
    y = np.array([1.0, 1, np.nan, np.nan, 1, 1])
    line = raster.columns(np.arange(6.0), y, Axis(0, 6), 6)
    assert dots(raster.line_mask(line, 2)) == ["##..##", "......"]


def test_a_path_is_clipped_to_its_rectangle():
    mask = raster.polyline(np.array([-1e30, 2.0, 1e30]), np.array([2.0, 2, 2]), 5, 5)
    assert dots(mask) == [".....", ".....", "#####", ".....", "....."]
    diagonal = raster.polyline(np.array([-10.0, 14]), np.array([-10.0, 14]), 5, 5)
    assert dots(diagonal) == ["#....", ".#...", "..#..", "...#.", "....#"]
    assert not raster.polyline(np.array([-10.0, -5]), np.array([0.0, 4]), 5, 5).any()


def test_a_bad_point_interrupts_a_path():
    mask = raster.polyline(np.array([0.0, 1, np.nan, 3, 4]), np.zeros(5), 5, 1)
    assert dots(mask) == ["##.##"]


@pytest.mark.parametrize(("glyphs", "shown"), [("braille", "⣿⠁"), ("block", "█▘"), ("ascii", "**")])
def test_dots_become_the_finest_glyphs_there_are(glyphs, shown):
    across, down = raster.DOTS[glyphs]
    mask = np.zeros((down, 2 * across), bool)
    mask[:, :across] = True
    mask[0, across] = True
    cells = Cells(2, 1)
    raster.stamp(cells, mask, Look("true", glyphs), 75)
    assert cells.rows() == [shown]


def test_the_average_follows_its_line_and_its_past_stays():
    rng = np.random.default_rng(0)
    x, y = np.arange(400.0), np.linspace(1, 0, 400) + 0.1 * rng.standard_normal(400)
    whole = raster.smoothed(raster.columns(x, y, Axis(0, 400), 200), 6.0).mean
    part = raster.smoothed(raster.columns(x[:300], y[:300], Axis(0, 400), 200), 6.0).mean
    assert np.allclose(whole[:150], part[:150])
    assert np.abs(whole - np.linspace(1, 0, 200)).mean() < 0.05


def test_half_blocks_show_two_pixels_a_cell():
    cells = Cells(2, 1)
    raster.half_blocks(cells, np.array([[18, 20], [19, 20]]))
    assert cells.rows() == ["▀ "]
    assert (cells.fg[0, 0], cells.bg[0, 0], cells.bg[0, 1]) == (18, 19, 20)


def test_bars_have_eighths():
    cells = Cells(4, 2)
    raster.bars(cells, np.array([0, 0.25, 0.5, 1]), Look(), 75)
    assert cells.rows() == ["   █", " ▄██"]
    raster.bars(empty := Cells(2, 1), np.array([np.nan, 1e-9]), Look(), 75)
    assert empty.rows() == [" ▁"]


def test_a_field_keeps_its_values_when_resampled():
    field = np.linspace(0, 1, 16).reshape(1, 16).repeat(9, axis=0)
    found = raster.resampled(field, 40, 100)
    assert found.shape == (40, 100)
    assert (np.diff(found[0]) > 0).all() and found.min() >= 0 and found.max() <= 1
