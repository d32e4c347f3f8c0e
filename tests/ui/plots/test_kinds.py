"""What one sees in fields, surfaces, images, histograms and tables."""

import numpy as np
import pytest

from dltutor.pictures import Confusion, Contour, Heat, Histograms, Images, Points, Scatter, Series
from dltutor.ui.plots import confusion, contour, demo, heat, histograms, images, scatter
from dltutor.ui.plots.look import Look

TRUE, MANY, FEW = Look("true", "braille"), Look("256", "braille"), Look("16", "block")
MONO, SHADES = Look("mono", "ascii"), Look("mono", "braille")
SIDES = np.linspace(0, 1, 32)[None, :].repeat(16, axis=0)


def text(module, picture, width=60, height=16, look=MONO, **view):
    return module.draw(picture, width, height, look, **view).plain()


# ---------------------------------------------------------------- heat


def test_low_is_blue_and_high_is_orange():
    cells = heat.draw(Heat((0, 1), (0, 1), SIDES), 60, 16, MANY)
    assert (cells.bg[5, 5], cells.bg[5, -1]) == (75, 215)


@pytest.mark.parametrize("look", [MONO, SHADES, FEW], ids=str)
def test_the_two_sides_differ_without_many_colours(look):
    cells = heat.draw(Heat((0, 1), (0, 1), SIDES), 60, 16, look)
    left, right = (cells.ch[5, 10], cells.bg[5, 10]), (cells.ch[5, -1], cells.bg[5, -1])
    assert left != right


def test_more_levels_make_more_colours():
    few, many = (heat.draw(Heat((0, 1), (0, 1), SIDES), 90, 16, TRUE, levels=n) for n in (8, 32))
    assert len(np.unique(few.bg)) <= 9 < len(np.unique(many.bg))


def test_the_iso_line_runs_where_the_field_crosses():
    cells = heat.draw(Heat((0, 1), (0, 1), SIDES, iso=(0.5,)), 61, 16, MANY)
    columns = np.argwhere(cells.ch >= 0x2800)[:, 1]
    assert columns.size >= 13 and abs(columns.mean() - 33) < 2 and np.ptp(columns) <= 1


def test_a_class_is_known_by_its_shape():
    points = Points([0.2, 0.8, 0.5], [0.5, 0.5, 0.5], [0, 1, 2])
    picture = Heat((0, 1), (0, 1), SIDES, points=points, classes=("no", "yes", "maybe"))
    assert [mark in text(heat, picture, look=MANY) for mark in "●◆▲"] == [True] * 3
    assert "o no  x yes  + maybe" in text(heat, picture)


def test_a_point_lies_where_its_numbers_say():
    cells = heat.draw(Heat((0, 10), (0, 10), SIDES * 0, points=Points([10, 0], [0, 10])), 60, 18, MANY)
    (y0, x0), (y1, x1) = np.argwhere(cells.ch == ord("●"))
    assert (y0, x1) == (0, 59) and x0 < 6 and y1 == 15


def test_bad_numbers_in_a_field_are_marked():
    field = SIDES.copy()
    field[:, :8] = np.nan
    assert (heat.draw(Heat((0, 1), (0, 1), field), 60, 16, MANY).bg == 203).any()
    assert "?" in text(heat, Heat((0, 1), (0, 1), field))


def test_heat_in_words():
    points = Points([0.1, 0.9, 0.9], [0.5, 0.5, 0.5], [0, 1, 0])
    assert heat.say(Heat((0, 1), (0, 1), SIDES, points=points)) == (
        "50% of the plane lies above 0.5; points on the side of their class: 2 of 3"
    )


# ---------------------------------------------------------------- contour


def bowl(path_x, path_y, minimum=(0.0, 0.0)):
    x, y = np.meshgrid(np.linspace(-1, 1, 40), np.linspace(1, -1, 40))
    return Contour((-1, 1), (-1, 1), x**2 + y**2, np.array(path_x), np.array(path_y), minimum, "slope", "intercept")


def test_start_head_and_minimum_are_marked():
    shown = text(contour, bowl([-0.8, -0.5, -0.4], [0.8, 0.5, 0.4]), look=MANY)
    assert "○" in shown and "◆" in shown and "×" in shown
    assert "slope" in shown and "intercept" in shown


def test_a_path_that_left_ends_in_an_arrow():
    assert "→" in text(contour, bowl([0, 0.5, 40], [0, 0.1, 0.2]), look=MANY).split("\n", 1)[1].rsplit("\n", 1)[0]
    assert "v" in text(contour, bowl([0, 0.1, 0.2], [0, -3, -1e30])).split("\n", 1)[1].rsplit("\n", 1)[0]


def test_level_lines_close_around_the_minimum():
    cells = contour.draw(bowl([0.9], [0.9]), 60, 22, MANY)
    lines = cells.ch >= 0x2800
    middle = lines[:, 34]
    assert middle[:9].sum() >= 2 and middle[11:].sum() >= 2


def test_contour_in_words():
    words = contour.say(bowl([-0.6, -0.3], [0.8, 0.4]))
    assert words == "at (-0.3, 0.4) after 1 step, 0.5 from the minimum; the start was 1 from it"


# ---------------------------------------------------------------- images


def test_images_grow_by_whole_numbers_and_shrink_to_fit():
    one = Images(np.ones((1, 8, 8)))
    assert (images.draw(one, 40, 20, MANY).bg != -1).sum() == 40 * 20
    assert (images.draw(one, 17, 9, MANY).bg != -1).sum() == 16 * 8
    large = images.draw(Images(np.ones((1, 28, 28))), 12, 6, MANY)
    assert (large.bg != -1).sum() == 12 * 6


def test_many_large_images_shrink_by_whole_numbers_so_that_several_are_seen():
    grid = images.draw(Images(np.ones((32, 28, 28))), 68, 17, MANY)
    assert (grid.bg != -1).sum() == 4 * 2 * 14 * 7


def test_captions_stand_below_and_mistakes_are_marked():
    picture = Images(np.ones((3, 8, 8)), ("7", "3→5", "1"), (1,))
    cells = images.draw(picture, 40, 5, MANY)
    row = cells.rows()[4]
    assert row.index("7") < row.index("✗3→5") < row.index("1")
    assert cells.fg[4, row.index("✗")] == 203
    assert "x3>5" in text(images, picture, 40, 5)


def test_signed_images_are_blue_below_and_orange_above_zero():
    cells = images.draw(Images(np.array([[[-2.0, 0], [0, 2]]]), signed=True), 2, 1, MANY)
    assert (cells.fg[0, 0], cells.bg[0, 1]) == (75, 215)


def test_images_in_words():
    assert images.say(demo.images()).endswith("; 2 are wrong (3, 7)")


# ---------------------------------------------------------------- histograms


def test_layers_share_their_bins():
    counts = np.zeros((2, 40))
    counts[0, 10], counts[1, 30] = 5, 9
    cells = histograms.draw(Histograms(("a", "b"), counts, -1, 1), 40, 9, MANY)
    first, second = (np.flatnonzero(cells.ch[row] == ord("█")) for row in (3, 7))
    assert second.mean() - first.mean() == pytest.approx(19, abs=1.5)


def test_the_least_count_shows():
    counts = np.array([[1.0, 0, 1e6]])
    cells = histograms.draw(Histograms(("a",), counts, 0, 1), 23, 3, Look("256", "block"))
    assert cells.fg[2, 0] == cells.fg[2, 22] != cells.fg[2, 11]


def test_a_dead_layer_is_named():
    picture = Histograms(("relu 1", "relu 2"), np.array([[0, 0, 100.0], [50, 20, 30]]), -1.5, 1.5)
    picture.counts[0] = [0, 100, 0]
    assert "relu 1: mean 0, standard deviation 0, dead (100% at zero)" in histograms.say(picture)
    assert "dead" in text(histograms, picture, 70)


def test_too_many_layers_show_the_first_and_the_last():
    names = tuple(f"layer {n}" for n in range(30))
    shown = text(histograms, Histograms(names, np.ones((30, 10))), 60, 8)
    assert "layer 0 " in shown and "layer 29 " in shown


# ---------------------------------------------------------------- confusion


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("look", [MANY, FEW, MONO], ids=str)
def test_every_count_can_be_read_in_40_by_14(classes, look):
    picture = demo.confusion(classes)
    shown = text(confusion, picture, 40, 14, look, title="confusion")
    found = [int(word) for word in "".join(c if c.isdigit() else " " for c in shown).split()]
    for count in picture.counts[picture.counts > 0]:
        assert count in found


def test_hits_are_blue_and_mistakes_orange():
    cells = confusion.draw(Confusion(np.array([[9, 1], [0, 9]]), ("no", "yes")), 40, 14, TRUE)
    assert len(np.unique(cells.bg)) >= 3
    shown = text(confusion, Confusion(np.array([[9, 1], [0, 9]]), ("no", "yes")), 40, 14)
    assert "[9]" in shown and "yes" in shown


def test_without_room_for_numbers_shades_remain():
    cells = confusion.draw(demo.confusion(10), 30, 6, MANY)
    assert len(np.unique(cells.bg)) > 2


def test_confusion_in_words():
    words = confusion.say(Confusion(np.array([[9, 1], [3, 7]]), ("benign", "malignant")))
    assert words == "16 of 20 samples right (80.0%); the commonest mistake is malignant taken for benign, 3 times"


# ---------------------------------------------------------------- scatter


def test_points_and_lines_are_drawn():
    picture = Scatter(Points([1, 2], [1, 2]), [Series("fit", [0, 3], [0, 3])], (0, 3), (0, 3), "x", "y")
    shown = text(scatter, picture, look=MANY)
    assert "•" in shown and "fit" in shown


def test_a_crowd_is_drawn_as_dots():
    rng = np.random.default_rng(0)
    cells = scatter.draw(Scatter(Points(*rng.random((2, 1000))), [], (0, 1), (0, 1)), 60, 16, MANY)
    assert (cells.ch >= 0x2800).sum() > 100 and not (cells.ch == ord("•")).any()


def test_scatter_in_words():
    picture = Scatter(Points([1, 2], [1, 2]), [Series("fit", [0, 3], [1, 7])], (0, 3), (0, 3))
    assert scatter.say(picture) == "2 points; fit runs from 1 at 0 to 7 at 3"
