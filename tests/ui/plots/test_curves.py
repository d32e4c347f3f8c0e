"""Line charts keep spikes and gaps, change little as they grow, and say what happened."""

from itertools import pairwise

import numpy as np
import pytest

from dltutor.pictures import Curves, Series
from dltutor.ui.plots import curves
from dltutor.ui.plots.look import Look

BRAILLE, MONO = Look("256", "braille"), Look("mono", "ascii")


def one(y, x=None, **options):
    y = np.asarray(y, float)
    return Curves([Series("loss", np.arange(y.size, dtype=float) if x is None else np.asarray(x, float), y)], **options)


def rows(picture, width=60, height=16, look=MONO, **view):
    return curves.draw(picture, width, height, look, **view).rows()


def ink(row, marks="*o."):
    return any(mark in row.partition("|")[2] or mark in row.partition("+")[2] for mark in marks)


@pytest.mark.parametrize("spike", [0, 17, 50_000, 99_999])
@pytest.mark.parametrize("look", [MONO, BRAILLE, Look("16", "block"), Look("mono", "braille")], ids=str)
def test_one_spike_in_a_hundred_thousand_points_is_seen(spike, look):
    y = np.full(100_000, 1.0)
    y[spike] = 10.0
    cells = curves.draw(one(y), 100, 30, look)
    column = 5 + int(spike / 100_000 * 94)
    high = (cells.ch[2:12] != 32) & (cells.ch[2:12] != ord("┈"))
    assert high[:, max(0, column - 3) : column + 4].all(axis=0).any() or high[:, 4:].sum() == 10
    assert high[:, 5:].sum() <= 30, "and nothing else is up there"


def test_a_dip_is_seen_as_well():
    y = np.full(100_000, 10.0)
    y[30_000] = 0.0
    assert ink(rows(one(y))[-3])


def test_a_gap_of_bad_numbers_stays_a_gap():
    y = np.ones(100)
    y[40:60] = np.nan
    found = rows(one(y), 106)
    line = next(row for row in found if "****" in row)
    body = line[line.index("*") :]
    assert " " * 15 in body.rstrip()
    assert body.strip().startswith("***") and body.strip().endswith("***")


def test_a_cross_marks_the_first_bad_number():
    y = np.concatenate([np.linspace(1, 5, 60), [np.inf], [np.nan] * 20])
    cells = curves.draw(one(y), 90, 16, BRAILLE)
    row, column = np.argwhere(cells.ch == ord("✕"))[0]
    assert cells.fg[row, column] == 203
    assert abs(column - (3 + 60 / 80 * 87)) <= 3
    assert row <= 4, "at the height of the last good number"


def test_zero_and_below_are_gaps_on_a_log_axis():
    picture = one([10.0, 1, 0, -1, 1, 10], log=True)
    assert any(ink(row) for row in rows(picture))
    assert rows(picture)[0].strip().startswith("10")


def test_a_log_axis_can_be_asked_for_and_refused():
    picture = one(np.geomspace(1, 1e-4, 50), log=True)
    assert any("0.001" in row for row in rows(picture))
    assert not any("0.001" in row for row in rows(picture, log=False))


def test_recent_shows_the_last_two_hundred_steps():
    y = np.concatenate([np.full(1000, 100.0), np.full(230, 1.0)])
    full, recent = rows(one(y)), rows(one(y), recent=True)
    assert full[0].strip().startswith("100")
    assert not any("100" in row[:8] for row in recent[:-2])
    assert "1050" in recent[-1] and "1230" not in recent[-1]


def test_the_cursor_reads_the_nearest_value_of_every_series():
    picture = Curves([Series("train", [0.0, 10, 20], [3.0, 2, 1]), Series("test", [0.0, 20], [4.0, 5])])
    assert any("step 11  train 2  test 5" in row for row in rows(picture, cursor=11))
    narrow = rows(picture, 24, 12, cursor=11)
    assert any("train 2" in row for row in narrow) and any("test 5" in row for row in narrow)


def test_series_differ_by_shape_without_colour():
    picture = Curves([Series("train", [0.0, 9], [0.0, 0]), Series("test", [0.0, 9], [1.0, 1])])
    found = rows(picture)
    assert "* train" in found[0] and "o test" in found[0]
    assert any("ooooo" in row for row in found[1:4]) and any("*****" in row for row in found[-4:])
    dashed = curves.draw(picture, 60, 16, Look("mono", "braille"))
    solid = (dashed.ch[-3] >= 0x2800).sum()
    assert (dashed.ch[1] >= 0x2800).sum() <= solid


def test_the_later_series_owns_the_cell():
    picture = Curves([Series("a", [0.0, 9], [1.0, 1]), Series("b", [0.0, 9], [1.0, 1])])
    cells = curves.draw(picture, 60, 16, BRAILLE)
    line = cells.ch >= 0x2800
    assert line.any() and (cells.fg[line] == 214).all()


def test_noise_is_drawn_dim_behind_its_average():
    rng = np.random.default_rng(0)
    noisy = curves.draw(one(1 + 0.4 * rng.standard_normal(2000)), 80, 20, BRAILLE)
    smooth = curves.draw(one(np.linspace(2, 1, 2000)), 80, 20, BRAILLE)
    assert {75, 24} <= set(noisy.fg[noisy.ch >= 0x2800].tolist())
    assert set(smooth.fg[smooth.ch >= 0x2800].tolist()) == {75}


def test_an_earlier_run_lies_behind():
    cells = curves.draw(one([1.0, 2, 3]), 60, 16, BRAILLE, behind=[Series("before", [0.0, 2], [3.0, 1])])
    assert {75, 24} <= set(cells.fg[cells.ch >= 0x2800].tolist())


def changed_cells(before, after):
    return int(((before.ch != after.ch) | (before.fg != after.fg)).sum())


def test_a_growing_run_changes_few_cells():
    """Bytes over SSH hang on this: axes move by steps, and the past stays as it was drawn."""
    rng = np.random.default_rng(0)
    y = 2 * np.exp(-np.arange(900) / 300) + 0.05 * rng.standard_normal(900)
    shots = [curves.draw(one(y[:n]), 100, 30, BRAILLE) for n in range(620, 780)]
    changes = [changed_cells(a, b) for a, b in pairwise(shots)]
    assert np.median(changes) <= 6
    assert sum(change > 100 for change in changes) <= 1


def test_axes_end_at_the_plan_if_asked():
    assert "300" in rows(one(np.ones(10)), until=300)[-1]


def test_a_title_is_kept_when_the_legend_no_longer_fits():
    picture = Curves([Series(f"a long name {n}", [0.0, 1], [0.0, n]) for n in range(6)])
    assert rows(picture, 40, 10, title="1 loss")[0].rstrip() == "1 loss"
    assert "a long name 5" in rows(picture, 140, title="1 loss")[0]


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.linspace(2.3, 0.11, 801), "loss fell from 2.3 to 0.11 in 800 steps, lowest 0.11 at 800"),
        ([1, 0.5, 0.8], "loss fell from 1 to 0.8 in 2 steps, lowest 0.5 at 1"),
        ([0.1, 0.97, 0.9], "loss rose from 0.1 to 0.9 in 2 steps, highest 0.97 at 1"),
        ([1.0, 1.0, 1.0], "loss stayed about 1 over 2 steps"),
        ([2.5], "loss is 2.5 at 0"),
        ([3.0, 2.0, np.nan, np.nan], "loss fell from 3 to 2 in 1 steps, lowest 2 at 1, not a number from 2 on"),
        ([np.nan], "loss: no numbers"),
        ([], "no data yet"),
    ],
)
def test_in_words(y, words):
    assert curves.say(one(y)) == words


def test_a_legend_too_wide_for_the_title_row_takes_one_of_its_own():
    names = ("training accuracy", "test accuracy", "precision", "recall")
    picture = Curves([Series(name, [0.0, 1], [0.0, n]) for n, name in enumerate(names)])
    found = rows(picture, 44, 13, title="4 Accuracy")
    assert found[0].rstrip() == "4 Accuracy"
    assert [mark + " " + name[:4] in found[1] for mark, name in zip("*o+x", names, strict=True)] == [True] * 4
