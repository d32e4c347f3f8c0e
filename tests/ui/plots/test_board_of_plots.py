"""How several pictures share a rectangle."""

import pytest

from dltutor.ui.plots import demo
from dltutor.ui.plots.board import LEAST, arranged, board
from dltutor.ui.plots.look import Look

SIZES = [(30, 8), (48, 30), (70, 38), (78, 20), (100, 28), (140, 42), (200, 60)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("count", range(1, 7))
def test_panels_fill_the_rectangle_and_never_overlap(count, size):
    taken = set()
    for _number, x, y, width, height in arranged(count, *size):
        assert x >= 0 and x + width <= size[0] and y >= 0 and y + height <= size[1]
        cells = {(column, row) for column in range(x, x + width) for row in range(y, y + height)}
        assert not cells & taken
        taken |= cells
    assert len(taken) > 0.9 * size[0] * size[1]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_first_panel_is_the_largest(size):
    for count in range(1, 7):
        areas = [place.width * place.height for place in arranged(count, *size)]
        assert areas[0] == max(areas)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_what_is_shown_is_large_enough_and_the_last_give_way(size):
    for count in range(2, 7):
        places = arranged(count, *size)
        assert [place.panel for place in places] == list(range(len(places)))
        if len(places) > 1:
            assert all(place.width >= LEAST[0] and place.height >= LEAST[1] for place in places)


@pytest.mark.parametrize(("size", "count"), [((23, 5), 1), ((38, 18), 2), ((78, 20), 4), ((70, 38), 6), ((140, 42), 6)])
def test_as_many_as_fit(size, count):
    assert len(arranged(6, *size)) == count


def test_no_panels_make_an_empty_board():
    cells, places = board([], 20, 5, Look())
    assert (cells.plain().strip(), places) == ("", [])


def test_a_picture_that_has_not_arrived_says_so():
    cells, _places = board([("1 loss", None, {}), ("2 更多", demo.heat(), {})], 80, 20, Look())
    assert "1 loss" in cells.plain() and "no data yet" in cells.plain() and "2 更多" in cells.plain()


def test_view_options_reach_their_picture():
    cells, _places = board([("1 loss", demo.curves(), {"cursor": 300})], 80, 20, Look())
    assert "step 300" in cells.plain()
