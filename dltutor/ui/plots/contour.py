"""A loss surface as level lines, with the path taken over it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dltutor.i18n import _, plural
from dltutor.pictures import Contour
from dltutor.ui.plots import raster
from dltutor.ui.plots.cells import Cells
from dltutor.ui.plots.frame import Entry, centred, framed, kept
from dltutor.ui.plots.look import Look
from dltutor.ui.plots.palette import palette, valley
from dltutor.ui.plots.scale import Axis, axis, short
from dltutor.ui.plots.scatter import cells_of

_TONES = " .:-=+*#"  # without colour: low ground is blank, so that the path shows


def draw(picture: Contour, width: int, height: int, look: Look, *, title: str = "") -> Cells:
    """The surface in `width` x `height` cells; the path ends in a diamond, or in an arrow where it left the picture."""
    if width < 1 or height < 1:
        return Cells(width, height)
    x, y = _path(picture)
    along, up = axis(*picture.x), axis(*picture.y)
    names = picture.x_label, picture.y_label
    frame = width, height, look, title, tuple(_legend(picture, look)), along, up, names
    ground, area = _ground(picture.values, look, _("no data yet"), frame)
    cells, area = ground.copy_with(area)
    _trail(area, look, along, up, x, y)
    _marks(area, look, picture, along, up, x, y)
    return cells


@kept
def _ground(values: Any, look: Look, nothing: str, frame: tuple[Any, ...]) -> tuple[Cells, Cells]:
    """The surface in its frame, and the area of it; what says that there is `nothing`, where there is none."""
    cells, area = framed(*frame)
    values = raster.numbers(values)
    if values.ndim != 2 or not np.isfinite(values).any():
        centred(area, look, nothing)
    elif area.width and area.height:
        _surface(area, look, values)
    return cells, area


def _path(picture: Contour) -> tuple[np.ndarray, np.ndarray]:
    x, y = raster.numbers(picture.path_x).ravel(), raster.numbers(picture.path_y).ravel()
    size = min(x.size, y.size)
    return x[:size].astype(float), y[:size].astype(float)


def levels(values: np.ndarray, count: int) -> np.ndarray:
    """Heights for level lines: dense in the valley. Equal steps of the logarithm above the lowest point."""
    good = values[np.isfinite(values)]
    low, high = float(good.min()), float(good.max())
    if not high > low:
        return np.empty(0)
    floor = (high - low) * 1e-3
    return low - floor + np.geomspace(floor, high - low + floor, count + 2)[1:-1]


def _surface(area: Cells, look: Look, values: np.ndarray) -> None:
    across, down = raster.DOTS[look.glyphs]
    count = min(max(4, min(area.height // 2, area.width // 6)), 10 if look.glyphs == "braille" else 6)
    field = raster.resampled(values, area.height * down, area.width * across)
    band = np.digitize(field, levels(values, count))  # 0 lowest; NaN counts as highest
    if look.depth in ("true", "256"):
        _tint(area, look, band, down, count)
    if look.glyphs == "ascii":
        tone = np.array([ord(glyph) for glyph in _TONES], np.int32)
        area.ch[:] = tone[np.minimum(band * len(_TONES) // (count + 1), len(_TONES) - 1)]
        area.fg[:] = palette(look).dim
    else:
        raster.stamp(area, raster.edges(band), look, palette(look).level)


def _tint(area: Cells, look: Look, band: np.ndarray, down: int, count: int) -> None:
    ramp = valley(look, count + 1)[::-1]
    area.bg[:] = ramp[np.minimum(band[down // 2 :: down, ::1], count)[:, :: band.shape[1] // area.width]]


def _trail(area: Cells, look: Look, along: Axis, up: Axis, x: np.ndarray, y: np.ndarray) -> None:
    across, down = raster.DOTS[look.glyphs]
    width, height = area.width * across, area.height * down
    mask = raster.polyline(along.place(x) * width - 0.5, (1 - up.place(y)) * height - 0.5, width, height)
    raster.stamp(area, mask, look, palette(look).series[1], "*")


def _marks(area: Cells, look: Look, picture: Contour, along: Axis, up: Axis, x: np.ndarray, y: np.ndarray) -> None:
    """The minimum, the start and the head, the last over the others."""
    ascii_only, colours = look.glyphs == "ascii", palette(look)
    if picture.minimum is not None and np.isfinite(picture.minimum).all():
        at = (np.array([value]) for value in picture.minimum)
        area.put(*cells_of(area.width, area.height, along, up, *at), "x" if ascii_only else "×", colours.iso)
    good = np.isfinite(x) & np.isfinite(y)
    x, y = x[good], y[good]
    if x.size:
        area.put(*cells_of(area.width, area.height, along, up, x[:1], y[:1]), "o" if ascii_only else "○", colours.path)
        _head(area, look, float(along.place(x[-1])), float(up.place(y[-1])))


def _head(area: Cells, look: Look, right: float, above: float) -> None:
    """A diamond at the head of the path, or at the edge an arrow towards where it went."""
    column, row = math.floor(min(max(right, 0), 1) * area.width), math.floor((1 - min(max(above, 0), 1)) * area.height)
    glyph = "◆"
    if not (0 <= right <= 1 and 0 <= above <= 1):
        beside, over = abs(right - 0.5), abs(above - 0.5)
        glyph = ("→" if right > 0.5 else "←") if beside > over else ("↑" if above > 0.5 else "↓")
    if look.glyphs == "ascii":
        glyph = {"◆": "@", "→": ">", "←": "<", "↑": "^", "↓": "v"}[glyph]
    area.put(min(column, area.width - 1), min(row, area.height - 1), glyph, palette(look).path)


def _legend(picture: Contour, look: Look) -> list[Entry]:
    ascii_only, colours = look.glyphs == "ascii", palette(look)
    entries = [
        Entry("o" if ascii_only else "○", colours.path, _("start")),
        Entry("@" if ascii_only else "◆", colours.path, _("now")),
    ]
    if picture.minimum is not None:
        entries.append(Entry("x" if ascii_only else "×", colours.iso, _("minimum")))
    return entries


# ---------------------------------------------------------------- in words


def say(picture: Contour) -> str:
    """Where the path stands, and how far that is from the lowest point."""
    x, y = _path(picture)
    good = np.isfinite(x) & np.isfinite(y)
    if not good.any():
        return _("no data yet")
    here = (float(x[good][-1]), float(y[good][-1]))
    words = _("at ({x}, {y}) after {steps}").format(
        x=short(here[0]), y=short(here[1]), steps=plural("{n} step", "{n} steps", x.size - 1)
    )
    if picture.minimum is None or not np.isfinite(picture.minimum).all():
        return words
    start = (float(x[good][0]), float(y[good][0]))
    return words + _(", {now} from the minimum; the start was {then} from it").format(
        now=short(math.dist(here, picture.minimum)), then=short(math.dist(start, picture.minimum))
    )


if __name__ == "__main__":
    from dltutor.ui.plots import demo

    demo.show(demo.contour(), draw, say)
