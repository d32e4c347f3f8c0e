"""What the pictures look like, as text in golden/. DLTUTOR_REFRESH_GOLDENS=1 writes them anew: look at what changed."""

import os
from pathlib import Path

import pytest

from dltutor.ui.plots import board, demo
from dltutor.ui.plots.board import draw
from dltutor.ui.plots.look import Look

FOLDER = Path(__file__).parent / "golden"
LOOKS = {"braille": Look("256", "braille"), "block": Look("16", "block"), "mono": Look("mono", "ascii"),
         "shades": Look("mono", "braille")}  # fmt: skip
PICTURES = {
    "curves": (demo.curves(), {}),
    "curves_log_cursor": (demo.curves(), {"log": True, "cursor": 600}),
    "curves_recent": (demo.curves(), {"recent": True}),
    "scatter": (demo.scatter(), {}),
    "heat": (demo.heat(), {}),
    "contour": (demo.contour(), {}),
    "images": (demo.images(), {}),
    "weights": (demo.images(signed=True), {}),
    "histograms": (demo.histograms(), {}),
    "confusion": (demo.confusion(), {}),
    "confusion_two": (demo.confusion(2), {}),
}
PANELS = [(f"{number} {name}", picture, view) for number, (name, (picture, view)) in enumerate(PICTURES.items(), 1)]


def compare(name: str, text: str) -> None:
    path = FOLDER / f"{name}.txt"
    if os.environ.get("DLTUTOR_REFRESH_GOLDENS"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    assert text + "\n" == path.read_text(encoding="utf-8"), f"{path} differs; is the new picture as good?"


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", PICTURES)
def test_picture(name, look):
    picture, view = PICTURES[name]
    sizes = [(64, 16), (30, 9)]
    shown = [draw(picture, *size, LOOKS[look], title=name, **view).plain() for size in sizes]
    compare(f"{name}_{look}", "\n\n".join(shown))


@pytest.mark.parametrize("size", [(80, 20), (70, 38), (140, 42)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_board(size):
    for look in ("braille", "mono"):
        cells, _places = board.board([PANELS[n] for n in (4, 0, 5, 8, 6, 9)], *size, LOOKS[look])
        compare(f"board_{size[0]}x{size[1]}_{look}", cells.plain())
