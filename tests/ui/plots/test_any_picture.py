"""Every kind of picture draws at any size, in any look, whatever numbers it holds; and says itself."""

import unicodedata
from array import array

import numpy as np
import pytest

from dltutor.pictures import Confusion, Contour, Curves, Heat, Histograms, Images, Points, Scatter, Series
from dltutor.ui.plots import demo
from dltutor.ui.plots.board import KINDS, board, draw, say
from dltutor.ui.plots.cells import DEFAULT, TRUE
from dltutor.ui.plots.look import Look
from dltutor.wire import Array

nan, inf = float("nan"), float("inf")
x = np.arange(50.0)
LOOKS = [
    Look("true", "braille"), Look("true", "ascii", dark=False), Look("256", "braille", dark=False),
    Look("256", "block"), Look("16", "block"), Look("16", "ascii", dark=False), Look("mono", "braille"),
    Look("mono", "ascii"),
]  # fmt: skip
SIZES = [(0, 0), (1, 1), (1, 9), (5, 3), (13, 5), (24, 7), (60, 14)]

PICTURES = {
    "curves": demo.curves(),
    "curves: no series": Curves([]),
    "curves: an empty series": Curves([Series("a", [], [])]),
    "curves: one point": Curves([Series("a", [3.0], [2.0])]),
    "curves: NaN alone": Curves([Series("a", x, x * nan)], log=True),
    "curves: NaN and infinities": Curves([Series("a", [0, 1, 2, 3, 4], [1, inf, -inf, nan, 0])]),
    "curves: bad steps": Curves([Series("a", [nan, 1, inf], [2, 3, 4])]),
    "curves: steps out of order": Curves([Series("a", [5, 3, 1], [3, 2, 1])]),
    "curves: zero and below on a log axis": Curves([Series("a", x, np.linspace(-1, 1, 50))], log=True),
    "curves: constant": Curves([Series("a", array("d", [0, 1, 2]), array("d", [0, 0, 0]))]),
    "curves: vast": Curves([Series("a", x, np.geomspace(1e-300, 1e300, 50))]),
    "curves: vast on a log axis": Curves([Series("a", x, np.geomspace(1e-300, 1e300, 50))], log=True),
    "curves: at the end of floats": Curves([Series("a", [0, 1, 2], [1.7e308, -1.7e308, 0])]),
    "curves: denormal": Curves([Series("a", [1e-310, 2e-310], [5e-324, 1e-323])], log=True),
    "scatter": demo.scatter(),
    "scatter: nothing": Scatter(Points([], [], None), [], (0, 0), (nan, 1)),
    "scatter: bad points": Scatter(
        Points([nan, 1, inf, 2], [1, nan, 2, 3], [0, 1, 2, 250]),
        [Series("f", [0, nan, 1], [1, 2, inf])],
        (0, 3),
        (0, 3),
    ),
    "scatter: far away": Scatter(
        Points([1e300, -1e300], [1e300, 0], None), [Series("f", [-1e300, 1e300], [1e300, -1e300])], (0, 3), (0, 3)
    ),
    "scatter: a crowd": Scatter(Points(np.sin(x.repeat(20)), np.cos(np.arange(1000)), None), [], (-1, 1), (-1, 1)),
    "heat": demo.heat(),
    "heat: nothing": Heat((0, 1), (0, 1), np.empty((0, 0))),
    "heat: one NaN": Heat((0, 0), (0, 0), np.array([[nan]]), iso=(0.5,)),
    "heat: bad numbers": Heat(
        (0, 1), (0, 1), [[nan, inf], [-inf, 0.5]], iso=(0.5, nan), points=Points([nan, 7], [0, 0])
    ),
    "heat: from the wire": Heat((0, 1), (0, 1), Array("u1", (2, 3), bytes([0, 1, 2, 253, 254, 255])), -1, 1),
    "heat: flat": Heat((0, 1), (0, 1), np.zeros((3, 3)), low=1, high=1),
    "heat: many classes": Heat(
        (0, 1), (0, 1), np.eye(4), points=Points(x / 50, x / 50, np.arange(50) % 12), classes=("类别",) * 12
    ),
    "contour": demo.contour(),
    "contour: nothing": Contour((0, 1), (0, 1), np.empty((0, 0)), [], []),
    "contour: bad numbers": Contour((0, 1), (0, 1), [[nan, inf], [1, 2]], [nan, 0.5, inf], [0, 0.5, inf], (nan, 1)),
    "contour: left far behind": Contour((0, 1), (0, 1), np.ones((4, 4)), [0.5, 3e30], [0.5, -3e30], (5, 5)),
    "contour: vast": Contour((0, 1), (0, 1), [[1e300, -1e300], [1e308, 3]], [0.5], [0.5]),
    "images": demo.images(),
    "images: weights": demo.images(signed=True),
    "images: none": Images(np.empty((0, 8, 8))),
    "images: without pixels": Images(np.empty((3, 0, 0)), ("a",)),
    "images: bad pixels": Images([[[inf, 1], [0, nan]]], ("一二三四",), (0, 9), signed=True),
    "images: too large": Images(np.arange(40 * 784).reshape(40, 28, 28), tuple(f"{n}→7" for n in range(40))),
    "histograms": demo.histograms(),
    "histograms: none": Histograms((), np.empty((0, 0))),
    "histograms: bad counts": Histograms(("a", "b"), [[nan, 1, inf], [0, 0, 0]], nan, inf),
    "histograms: many layers": Histograms(tuple(f"layer {n}" for n in range(40)), np.outer(x[:40], x), -1, 1),
    "confusion": demo.confusion(),
    "confusion: two classes": demo.confusion(2),
    "confusion: none": Confusion(np.empty((0, 0))),
    "confusion: not square": Confusion(np.zeros((2, 3))),
    "confusion: empty": Confusion(np.zeros((3, 3), int), ("恶性", "良性")),
    "confusion: many classes, large counts": Confusion(np.full((30, 30), 123456)),
    "not there yet": None,
}
VIEWS = [{}, {"recent": True, "cursor": 3, "log": True}, {"cursor": 1e9, "until": 100, "behind": [Series("b", x, x)]}]


@pytest.mark.parametrize("look", LOOKS, ids=str)
@pytest.mark.parametrize("name", PICTURES)
def test_it_draws_at_any_size(name, look):
    for width, height in SIZES:
        for view in VIEWS if name.startswith("curves") else VIEWS[:1]:
            cells = draw(PICTURES[name], width, height, look, title="标题 title", **view)
            assert (cells.width, cells.height) == (width, height)
            assert cells.ansi() is not None
            assert all("\n" not in row for row in cells.rows())
            _keeps_to(look, cells)


def _keeps_to(look, cells):
    colours = np.concatenate([cells.fg.ravel(), cells.bg.ravel()])
    colours = colours[colours != DEFAULT]
    low, high = {"mono": (0, -1), "16": (0, 15), "256": (16, 255), "true": (TRUE, TRUE | 0xFFFFFF)}[look.depth]
    assert ((colours >= low) & (colours <= high)).all()
    text = {character for character in cells.plain() if unicodedata.east_asian_width(character) not in "WF"}
    if look.glyphs == "ascii":
        assert "".join(text).isascii(), text
    if look.glyphs == "block":
        assert not any("\u2800" <= character <= "\u28ff" for character in text)


@pytest.mark.parametrize("name", PICTURES)
def test_it_says_itself_in_one_line(name):
    assert say(PICTURES[name]).strip()
    assert "\n" not in say(PICTURES[name])


def test_every_kind_is_tried():
    assert {type(picture) for picture in PICTURES.values() if picture} == set(KINDS)


@pytest.mark.parametrize("kind", sorted(module.__name__ for module in KINDS.values()))
def test_every_kind_shows_itself(kind, capsys, monkeypatch):
    import runpy
    import sys

    monkeypatch.setattr(sys, "argv", [kind])
    monkeypatch.delitem(sys.modules, kind)
    runpy.run_module(kind, run_name="__main__")
    shown = capsys.readouterr().out
    for name in demo.LOOKS:
        assert name in shown


def test_a_picture_keeps_its_own_numbers():
    """Drawing changes nothing in the picture: the same one is drawn again at another size."""
    picture = demo.curves()
    before = picture.series[0].y.copy()
    first = draw(picture, 60, 16, LOOKS[0]).plain()
    draw(picture, 30, 9, LOOKS[0], log=True)
    assert np.array_equal(picture.series[0].y, before)
    assert draw(picture, 60, 16, LOOKS[0]).plain() == first


def test_a_board_of_all_of_them():
    panels = [(name, picture, {}) for name, picture in PICTURES.items() if picture][:30:5]
    cells, places = board(panels, 140, 42, LOOKS[0])
    assert [place.panel for place in places] == list(range(6))
    for place, (name, _picture, _view) in zip(places, panels, strict=True):
        assert name.split()[0] in cells.rows()[place.y][place.x :]
