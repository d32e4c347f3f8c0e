"""A field over a rectangle in colours, with an iso-line through it and points over it: a decision boundary."""

from __future__ import annotations

import numpy as np

from dltutor.i18n import _
from dltutor.pictures import Heat
from dltutor.ui.plots import raster
from dltutor.ui.plots.cells import Cells
from dltutor.ui.plots.frame import Entry, centred, framed
from dltutor.ui.plots.look import Look
from dltutor.ui.plots.palette import bright, diverging, palette
from dltutor.ui.plots.scale import Axis, axis, short
from dltutor.ui.plots.scatter import by_class, mark, plane

LEVELS = 16  # more look smoother and cost more bytes: 5.7 kB an update at 16, 12 kB at 32
# Low, neutral, high where there are no colours to mix: textures that differ in kind, not only in weight.
_BANDS_ASCII = "=-.  :+#"
_BANDS = "≡=-  ░▒▓"
_SHADES = "█▓▒░  ░▒▓█"


def draw(picture: Heat, width: int, height: int, look: Look, *, title: str = "", levels: int = LEVELS) -> Cells:
    """The field in `width` x `height` cells, in so many colour levels."""
    if width < 1 or height < 1:
        return Cells(width, height)
    along, up = axis(*picture.x), axis(*picture.y)
    names = picture.x_label, picture.y_label
    cells, area = framed(width, height, look, title, _legend(picture, look), along, up, names)
    values = raster.numbers(picture.values)
    if values.ndim != 2 or not values.size:
        centred(area, look, _("no data yet"))
    elif area.width and area.height:
        _field(area, look, values, picture, levels)
    _points(area, look, picture, along, up)
    return cells


def _field(area: Cells, look: Look, values: np.ndarray, picture: Heat, levels: int) -> None:
    across, down = raster.DOTS["braille"]
    fine = raster.resampled(values, area.height * down, area.width * across)
    low, high = (picture.low, picture.high) if picture.high > picture.low else (0.0, 1.0)
    if look.depth in ("true", "256") and look.glyphs != "ascii":
        level = raster.level_of(fine[1::2, ::2], low, high, levels)
        colours = np.append(diverging(look, levels), palette(look).bad)  # level -1, bad numbers, is the last
        raster.half_blocks(area, colours[level])
    else:
        _bands(area, look, fine[2::4, ::2], low, high)
    if look.glyphs != "ascii":
        for value in picture.iso:
            _iso(area, look, fine, value)


def _bands(area: Cells, look: Look, field: np.ndarray, low: float, high: float) -> None:
    """One glyph a cell: textures without colour, shades of two hues with sixteen."""
    glyphs = (_BANDS_ASCII if look.glyphs == "ascii" else _BANDS) if look.depth == "mono" else _SHADES
    if look.depth != "mono" and look.glyphs == "ascii":
        glyphs = "#+:.  .:+#"
    level = raster.level_of(field, low, high, len(glyphs))
    area.ch[:] = np.array([ord(glyph) for glyph in glyphs + "?"], np.int32)[level]
    if look.depth != "mono":
        ends = diverging(look, 16)[[0, -1]]
        area.fg[:] = np.where(level < 0, palette(look).bad, ends[(level >= len(glyphs) // 2).astype(int)])
        if look.glyphs != "ascii":
            # A full block becomes a blank on colour: points over it then have no black box around them.
            full = area.ch == ord("█")
            area.ch[full], area.bg[full] = 32, area.fg[full]


def _iso(area: Cells, look: Look, fine: np.ndarray, value: float) -> None:
    with np.errstate(invalid="ignore"):
        mask = raster.edges(fine >= value) & np.isfinite(fine)
    if look.glyphs == "block":
        mask = mask[0::2] | mask[1::2]
    # The cell keeps one background under the dots: that of its lower half.
    raster.stamp(area, mask, look, palette(look).iso)


def _points(area: Cells, look: Look, picture: Heat, along: Axis, up: Axis) -> None:
    """The shape of each one's class, in the tint that reads on its cell."""
    colours = palette(look)
    for number, columns, rows in by_class(picture.points, area.width, area.height, along, up):
        area.ch[rows, columns] = ord(mark(look, number))
        area.fg[rows, columns] = np.where(
            bright(area.bg[rows, columns]), colours.deep[number % 10], colours.pale[number % 10]
        )


def _legend(picture: Heat, look: Look) -> list[Entry]:
    return [Entry(mark(look, n), palette(look).series[n % 10], name) for n, name in enumerate(picture.classes)]


# ---------------------------------------------------------------- in words


def say(picture: Heat) -> str:
    """Which part of the plane lies on which side, and how many points lie on the side of their class."""
    values = raster.numbers(picture.values)
    good = values[np.isfinite(values)] if values.size else values
    if not good.size:
        return _("no data yet")
    middle = picture.iso[0] if picture.iso else (picture.low + picture.high) / 2
    words = _("{share} of the plane lies above {middle}").format(
        share=f"{(good >= middle).mean():.0%}", middle=short(middle)
    )
    return words + _sides(picture, values, middle)


def _sides(picture: Heat, values: np.ndarray, middle: float) -> str:
    x, y, label = plane(picture.points)
    along, up = axis(*picture.x).place(x), axis(*picture.y).place(y)
    inside = (along >= 0) & (along <= 1) & (up >= 0) & (up <= 1)
    if not inside.any() or label.max() > 1:
        return ""
    rows = ((1 - up[inside]) * (values.shape[0] - 1)).round().astype(int)
    columns = (along[inside] * (values.shape[1] - 1)).round().astype(int)
    right = int(((values[rows, columns] >= middle) == (label[inside] == 1)).sum())
    return _("; points on the side of their class: {right} of {all}").format(right=right, all=int(inside.sum()))


if __name__ == "__main__":
    from dltutor.ui.plots import demo

    demo.show(demo.heat(), draw, say)
