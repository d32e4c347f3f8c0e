"""Every colour of the plots, for each depth and theme.

At 256 colours all of it lies on xterm-256 entries, picked by hand: mapping a smooth ramp to its nearest entries
tints blue to violet and orange to olive. The ten series colours maximise the least Oklab distance between any two
under normal vision and simulated protanopia, deuteranopia and tritanopia; blue and orange come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dltutor.ui.plots.cells import DEFAULT, TRUE, rgb
from dltutor.ui.plots.look import Look

MARKS = "●◆▲■○◇△□+×"  # a class, or a series, by shape
ASCII_MARKS = "ox+*#@%&$="
LINES = "*o+x#@%&$="  # a series drawn in ASCII

_SERIES_DARK = (75, 214, 159, 160, 245, 226, 151, 165, 81, 108)
_SERIES_LIGHT = (25, 166, 235, 244, 124, 19, 68, 93, 53, 240)
# Dimmed, for raw values behind their average, and for an earlier run.
_SHADE_DARK = (24, 94, 66, 88, 239, 100, 65, 90, 31, 241)
_SHADE_LIGHT = (153, 216, 250, 252, 217, 147, 152, 183, 182, 251)
# Class colours for points over a field: pale ones for its dark cells, deep ones for its bright cells.
_PALE = (153, 222, 195, 217, 251, 228, 194, 219, 159, 253)
_DEEP = (17, 52, 23, 52, 235, 58, 22, 53, 24, 237)
_SERIES_16_DARK = (12, 11, 14, 9, 10, 13, 15, 6, 3, 5)
_SERIES_16_LIGHT = (4, 1, 2, 5, 6, 0, 3, 8, 12, 9)

# First layer to last.
_DEPTH_DARK = (75, 80, 79, 114, 150, 186, 179, 215)
_DEPTH_LIGHT = (25, 31, 30, 29, 64, 100, 136, 166)
_DEPTH_16_DARK = (12, 14, 10, 11)
_DEPTH_16_LIGHT = (4, 6, 2, 3)

# Low to high; the neutral middle lies between the two halves.
_DIVERGING_256_DARK = (75, 39, 33, 32, 26, 25, 18, 236, 236, 52, 130, 166, 172, 208, 214, 215)
_DIVERGING_256_LIGHT = (25, 32, 39, 75, 117, 153, 195, 255, 255, 230, 223, 222, 215, 214, 208, 166)
_DIVERGING_16_DARK = (12, 4, 0, 3, 11)
_DIVERGING_16_LIGHT = (4, 12, 15, 11, 3)
_DIVERGING_DARK = ("#5fafff", "#2f83dc", "#1f4f8f", "#1a2a44", "#20232a", "#432a14", "#8f5210", "#dc8410", "#ffaf5f")
_DIVERGING_LIGHT = ("#005faf", "#1f8fdf", "#6fbdf2", "#bfe0fa", "#f2f2f2", "#fde3bd", "#fbb75f", "#ee8a1a", "#c85a00")

# High loss to low loss: the valley stands out.
_VALLEY_256_DARK = (233, 234, 235, 236, 17, 18, 24)
_VALLEY_256_LIGHT = (231, 255, 254, 253, 152, 153, 117, 75)
_VALLEY_DARK = ("#15181d", "#152431", "#143a52", "#17597a")
_VALLEY_LIGHT = ("#fafafa", "#e6eef5", "#c3dcef", "#93c4e8")

_GREY_256 = (16, *range(232, 256), 231)
_GREY_16 = (0, 8, 7, 15)


@dataclass(frozen=True)
class Palette:
    """Colours by what they are for; the tuples hold one a series or class."""

    text: int
    dim: int  # axes and their labels
    faint: int  # grid lines
    bad: int  # mistakes, bad numbers
    path: int
    iso: int
    level: int  # level lines of a surface
    box: tuple[int, int]  # a readout: text, background
    series: tuple[int, ...]
    shade: tuple[int, ...]  # the series again, for what lies behind
    depth: tuple[int, ...]  # first layer to last
    pale: tuple[int, ...]  # points on dark cells
    deep: tuple[int, ...]  # points on bright cells


@lru_cache(maxsize=16)
def palette(look: Look) -> Palette:
    """The palette for a terminal."""
    return {"mono": _mono, "16": _sixteen, "256": _many, "true": _many}[look.depth](look)


def _mono(look: Look) -> Palette:
    none = (DEFAULT,) * 10
    return Palette(*(DEFAULT,) * 7, (DEFAULT, DEFAULT), none, none, none, none, none)


def _sixteen(look: Look) -> Palette:
    white, black = (15,) * 10, (0,) * 10
    if look.dark:
        shade = (4, 3, 6, 1, 2, 5, 8, 8, 8, 8)
        return Palette(7, 8, 8, 9, 15, 15, 6, (0, 7), _SERIES_16_DARK, shade, _DEPTH_16_DARK, white, black)
    shade = (12, 9, 10, 13, 14, 8, 11, 7, 7, 7)
    return Palette(0, 8, 7, 1, 0, 0, 6, (15, 8), _SERIES_16_LIGHT, shade, _DEPTH_16_LIGHT, white, black)


def _many(look: Look) -> Palette:
    series = _SERIES_DARK if look.dark else _SERIES_LIGHT
    roles = (252, 244, 238, 203, 231, 231, 67) if look.dark else (235, 243, 251, 160, 16, 16, 67)
    shade = _SHADE_DARK if look.dark else _SHADE_LIGHT
    box = (231, 238) if look.dark else (231, 240)
    depth = _DEPTH_DARK if look.dark else _DEPTH_LIGHT
    groups = (_entries(group, look) for group in (box, series, shade, depth, _PALE, _DEEP))
    return Palette(*_entries(roles, look), *groups)  # type: ignore[arg-type]


def _entries(entries: tuple[int, ...], look: Look) -> tuple[int, ...]:
    return tuple(_at_depth(entry, look) for entry in entries)


def _at_depth(entry: int, look: Look) -> int:
    if look.depth != "true":
        return entry
    red, green, blue = rgb(entry)
    return TRUE | red << 16 | green << 8 | blue


# ---------------------------------------------------------------- ramps: level number -> colour


@lru_cache(maxsize=64)
def diverging(look: Look, levels: int) -> np.ndarray:
    """Blue, neutral, orange."""
    if look.depth == "true":
        return _smooth(_DIVERGING_DARK if look.dark else _DIVERGING_LIGHT, levels)
    if look.depth == "256":
        return _sampled(_DIVERGING_256_DARK if look.dark else _DIVERGING_256_LIGHT, levels)
    return _sampled(_DIVERGING_16_DARK if look.dark else _DIVERGING_16_LIGHT, levels)


@lru_cache(maxsize=64)
def valley(look: Look, levels: int) -> np.ndarray:
    """From what lies high, unobtrusive, to what lies low."""
    if look.depth == "true":
        return _smooth(_VALLEY_DARK if look.dark else _VALLEY_LIGHT, levels)
    if look.depth == "256":
        return _sampled(_VALLEY_256_DARK if look.dark else _VALLEY_256_LIGHT, levels)
    return np.full(levels, DEFAULT, np.int32)


@lru_cache(maxsize=64)
def grey(look: Look, levels: int) -> np.ndarray:
    """Black to white."""
    if look.depth == "true":
        return _smooth(("#000000", "#ffffff"), levels)
    return _sampled(_GREY_256 if look.depth == "256" else _GREY_16, levels)


def _smooth(stops: tuple[str, ...], levels: int) -> np.ndarray:
    known = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in stops], float)
    at = np.linspace(0, len(stops) - 1, levels)
    red, green, blue = (np.interp(at, np.arange(len(stops)), known[:, i]).round().astype(np.int32) for i in range(3))
    return TRUE | red << 16 | green << 8 | blue


def _sampled(entries: tuple[int, ...], levels: int) -> np.ndarray:
    at = np.linspace(0, len(entries) - 1, levels)
    # Round away from the middle, so that both halves get the same share.
    middle = (len(entries) - 1) / 2
    index = np.where(at < middle, np.floor(at + 0.4999), np.ceil(at - 0.4999)).astype(int)
    return np.array(entries, np.int32)[index]


def bright(colour: np.ndarray) -> np.ndarray:
    """Whether black reads better than white on each colour."""
    unique, inverse = np.unique(colour, return_inverse=True)
    light = [value != DEFAULT and _is_bright(int(value)) for value in unique]
    return np.array(light, bool)[inverse].reshape(np.shape(colour))


@lru_cache(maxsize=4096)
def _is_bright(colour: int) -> bool:
    if colour < 16:
        return colour in (2, 3, 6, 7, 10, 11, 14, 15)  # whatever a theme makes of them, within reason
    red, green, blue = rgb(colour)
    return 0.3 * red + 0.59 * green + 0.11 * blue > 120
