"""A grid of small images: digits with what they were taken for, weights, filters."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dltutor.i18n import _, plural
from dltutor.pictures import Images
from dltutor.ui.plots import raster
from dltutor.ui.plots.cells import Cells, cut, width_of
from dltutor.ui.plots.frame import centred, heading
from dltutor.ui.plots.look import Look
from dltutor.ui.plots.palette import diverging, grey, palette
from dltutor.ui.plots.scale import short

LEVELS = 16
_INK = {"ascii": " .:-=+*#%@", "block": " ░▒▓█", "braille": " ░▒▓█"}
_SIGNED_INK = {"ascii": "#=-. .:+@", "block": "≡=-  ░▒▓", "braille": "≡=-  ░▒▓"}
_GAP = 1
_SEVERAL = 6  # images that make a grid
_COARSE = 9  # pixels of width below which an image is shrunk only to fit at all


class _Grid(NamedTuple):
    columns: int
    rows: int
    width: int  # of one image, in cells
    height: int  # of one image, in cells, its caption left out
    caption: int  # 0 or 1 row


def draw(picture: Images, width: int, height: int, look: Look, *, title: str = "", levels: int = LEVELS) -> Cells:
    """As many of the images as fit in `width` x `height` cells, enlarged by a whole number if there is room."""
    cells = Cells(width, height)
    if width < 1 or height < 1:
        return cells
    area = heading(cells, look, title, [])
    values = raster.numbers(picture.values)
    if values.ndim != 3 or not values.size:
        centred(area, look, _("no data yet"))
        return cells
    grid = _grid(area, values.shape, bool(picture.captions))
    low, high = _range(values, picture.signed)
    for number in range(min(len(values), grid.columns * grid.rows)):
        row, column = divmod(number, grid.columns)
        place = area.window(
            column * (grid.width + _GAP), row * (grid.height + grid.caption), grid.width, grid.height + grid.caption
        )
        _image(place.window(0, 0, grid.width, grid.height), look, values[number], picture.signed, low, high, levels)
        if grid.caption:
            _caption(place, look, picture, number)
    return cells


def _grid(area: Cells, shape: tuple[int, ...], captions: bool) -> _Grid:
    """The largest whole scale at which all images fit; else as many as fit, shrunk where that would be very few."""
    count, tall, wide = shape
    caption = 1 if captions and area.height > 2 else 0
    for scale in range(max(1, area.width // wide), 0, -1):
        grid = _fit(area, wide * scale, math.ceil(tall * scale / 2), caption)
        if grid.columns * grid.rows >= count:
            return grid
    whole = _fit(area, wide, math.ceil(tall / 2), caption)
    for part in range(
        1, wide // _COARSE + 1 if count > 1 else 1
    ):  # rather several smaller images than one or two whole ones
        grid = _fit(area, wide // part, math.ceil(tall / part / 2), caption)
        if grid.columns * grid.rows >= min(count, _SEVERAL):
            return grid
    if whole.columns and whole.rows:
        return whole
    size = min(area.width / wide, (area.height - caption) * 2 / tall)
    return _fit(area, max(1, int(wide * size)), max(1, int(tall * size / 2)), caption)


def _fit(area: Cells, width: int, height: int, caption: int) -> _Grid:
    return _Grid((area.width + _GAP) // (width + _GAP), area.height // (height + caption), width, height, caption)


def _range(values: np.ndarray, signed: bool) -> tuple[float, float]:
    good = values[np.isfinite(values)]
    if not good.size:
        return 0.0, 1.0
    if signed:
        reach = float(np.abs(good).max()) or 1.0
        return -reach, reach
    low, high = float(good.min()), float(good.max())
    return (low, high) if high > low else (min(low, 0.0), max(high, 1.0))


def _image(area: Cells, look: Look, image: np.ndarray, signed: bool, low: float, high: float, levels: int) -> None:
    if not (area.width and area.height):
        return
    if look.depth == "mono" or look.glyphs == "ascii":
        ink = (_SIGNED_INK if signed else _INK)[look.glyphs]
        level = raster.level_of(_pixels(image, area.height, area.width), low, high, len(ink))
        area.ch[:] = np.array([ord(glyph) for glyph in ink + "?"], np.int32)[level]
        return
    level = raster.level_of(_pixels(image, 2 * area.height, area.width), low, high, levels)
    ramp = diverging(look, levels) if signed else grey(look, levels)
    raster.half_blocks(area, np.append(ramp, palette(look).bad)[level])


def _pixels(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The image at another size: pixels repeated when enlarged, averaged when shrunk."""
    return _averaged(_averaged(image.astype(float), rows).T, columns).T


def _averaged(image: np.ndarray, rows: int) -> np.ndarray:
    tall = image.shape[0]
    start = np.arange(rows) * tall // rows
    if rows >= tall:
        return image[start]
    end = np.maximum(start + 1, (np.arange(rows) + 1) * tall // rows)
    return np.array([image[a:b].mean(axis=0) for a, b in zip(start, end, strict=True)])


def _caption(place: Cells, look: Look, picture: Images, number: int) -> None:
    words = picture.captions[number] if number < len(picture.captions) else ""
    colour = palette(look).dim
    if number in picture.wrong:
        words, colour = ("x" if look.glyphs == "ascii" else "✗") + words, palette(look).bad
    if look.glyphs == "ascii":
        words = words.replace("→", ">")
    words = cut(words, place.width, "")
    place.text((place.width - width_of(words)) // 2, place.height - 1, words, colour)


def say(picture: Images) -> str:
    """How many images of which size, and which are wrong."""
    values = raster.numbers(picture.values)
    if values.ndim != 3 or not values.size:
        return _("no data yet")
    count, tall, wide = values.shape
    low, high = _range(values, False)
    words = _("{images} of {wide} by {tall}, values from {low} to {high}").format(
        images=plural("{n} image", "{n} images", count), wide=wide, tall=tall, low=short(low), high=short(high)
    )
    return words + _wrong(picture)


def _wrong(picture: Images) -> str:
    names = [picture.captions[number] for number in picture.wrong if number < len(picture.captions)]
    if not picture.wrong:
        return ""
    words = "; " + plural("{n} is wrong", "{n} are wrong", len(picture.wrong))
    return words + (f" ({', '.join(names[:6])})" if names else "")


if __name__ == "__main__":
    from dltutor.ui.plots import demo

    demo.show(demo.images(), draw, say)
    demo.show(demo.images(signed=True), draw, say)
