"""What surrounds a plot: title, legend, axes. Where room is short ticks give way first, then legend, then title."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, TypeVar

import numpy as np

from dltutor.ui.plots.cells import DEFAULT, Cells, cut, width_of
from dltutor.ui.plots.look import Look
from dltutor.ui.plots.palette import LINES, palette
from dltutor.ui.plots.raster import DOTS, dashes, stamp
from dltutor.ui.plots.scale import Axis, tick

T = TypeVar("T")
TALL = 11  # rows from which on a legend may have one of its own


@dataclass(frozen=True)
class Entry:
    """A line of the legend: how it is drawn, and its name."""

    mark: str
    colour: int
    name: str


@dataclass(frozen=True)
class Rules:
    """The glyphs of axes."""

    upright: str
    notch_left: str
    corner: str
    level: str
    notch_below: str
    grid: str


_LINES = Rules("│", "┤", "└", "─", "┬", "┈")
_ASCII = Rules("|", "+", "+", "-", "+", " ")


def rules(look: Look) -> Rules:
    return _ASCII if look.glyphs == "ascii" else _LINES


def heading(cells: Cells, look: Look, title: str, legend: list[Entry]) -> Cells:
    """Write title and legend above the rest, which is returned: in one row, or the legend in one of its own."""
    if not (title or legend) or cells.height < 3:
        return cells
    taken = min(width_of(title), 16) + 2 if title else 0
    rows = 1
    room = _legend(cells, look, legend, 0, taken, (40, 12, 8))
    if room == cells.width and legend and title and cells.height >= TALL:
        rows = 2 if _legend(cells, look, legend, 1, 0, (40, 12, 8, 6, 5)) < cells.width else 1
    elif room == cells.width:
        room = _legend(cells, look, legend, 0, taken, (6,))
    cells.text(0, 0, cut(title, room, _more(look)), palette(look).text)
    return cells.window(0, rows, cells.width, cells.height - rows)


def sample(look: Look, number: int) -> str:
    """A bit of line `number` for the legend, as it looks."""
    if look.glyphs == "ascii":
        return LINES[number % len(LINES)]
    if look.depth != "mono":
        return "━━"
    bit = Cells(4, 1)
    across, down = DOTS[look.glyphs]
    mask = np.zeros((down, 4 * across), bool)
    mask[down // 2] = dashes(number, 4 * across)
    stamp(bit, mask, look, DEFAULT)
    return bit.rows()[0]


def _more(look: Look) -> str:
    return "." if look.glyphs == "ascii" else "…"


def _legend(cells: Cells, look: Look, legend: list[Entry], row: int, taken: int, lengths: tuple[int, ...]) -> int:
    """Write the names right-aligned, as long as they fit beside what is taken; returns the columns left of them."""
    for longest in lengths:
        names = [cut(entry.name, longest, _more(look)) for entry in legend]
        need = sum(width_of(entry.mark + name) + 3 for entry, name in zip(legend, names, strict=True)) - 2
        if legend and taken + need <= cells.width and len(set(names)) == len({entry.name for entry in legend}):
            _write(cells, look, legend, names, row, cells.width - need)
            return cells.width - need - 2
    return cells.width


def _write(cells: Cells, look: Look, legend: list[Entry], names: list[str], row: int, x: int) -> None:
    for entry, name in zip(legend, names, strict=True):
        x = cells.text(x, row, entry.mark, entry.colour)
        x = cells.text(x + 1, row, name, palette(look).dim) + 2


def framed(
    width: int,
    height: int,
    look: Look,
    title: str,
    legend: list[Entry],
    x: Axis,
    y: Axis,
    names: tuple[str, str] = ("", ""),
    grid: bool = False,
) -> tuple[Cells, Cells]:
    """Title, legend and axes; and the area between them."""
    empty, area = _framed(width, height, look, title, tuple(legend), x, y, names, grid)
    return empty.copy_with(area)


def kept(draw: Callable[..., T]) -> Callable[..., T]:
    """Keeps what `draw` makes, for when it is asked for the same again, as it mostly is at the next update. Whoever
    changes it copies it first. Pictures from the wire can be compared; from NumPy's own arrays it is drawn anew.
    """
    known = lru_cache(maxsize=8)(draw)

    @wraps(draw)
    def found(*arguments: Any) -> T:
        try:
            return known(*arguments)
        except TypeError:  # what may change cannot be looked up
            return draw(*arguments)

    return found


@lru_cache(maxsize=32)
def _framed(
    width: int,
    height: int,
    look: Look,
    title: str,
    legend: tuple[Entry, ...],
    x: Axis,
    y: Axis,
    names: tuple[str, str],
    grid: bool,
) -> tuple[Cells, Cells]:
    """The same, to be copied: from one update to the next it mostly stays, and is a quarter of the work."""
    cells = Cells(width, height)
    return cells, axes(heading(cells, look, title, list(legend)), look, x, y, names, grid)


def axes(cells: Cells, look: Look, x: Axis, y: Axis, names: tuple[str, str] = ("", ""), grid: bool = False) -> Cells:
    """Draw both axes around the rest, which is returned. Small plots lose tick labels first, then the axes."""
    if cells.width < 12 or cells.height < 4:
        return cells
    below = 2 if cells.height >= 12 else 1
    height = cells.height - below
    ticks = [(value, tick(value)) for value in y.ticks(max(2, (height + 2) // 3))]
    left = min(max((len(label) for _, label in ticks), default=0), 7) + 1
    if cells.width < 26:
        ticks, left = [], 0
    area = cells.window(left + 1, 0, cells.width - left - 1, height)
    _upright(cells, area, look, y, ticks, left, grid)
    _level(cells, area, look, x, left, below, _named(names, look))
    return area


def _upright(
    cells: Cells, area: Cells, look: Look, y: Axis, ticks: list[tuple[float, str]], left: int, grid: bool
) -> None:
    lines, colours = rules(look), palette(look)
    cells.fill(left, 0, 1, area.height, lines.upright, colours.dim)
    for value, label in ticks:
        row = row_of(y, value, area.height, look)
        cells.text(left - len(label), row, label[:left], colours.dim)
        cells.fill(left, row, 1, 1, lines.notch_left, colours.dim)
        if grid:
            area.fill(0, row, area.width, 1, lines.grid, colours.faint)


def _level(cells: Cells, area: Cells, look: Look, x: Axis, left: int, below: int, names: str) -> None:
    """The lower axis; labels stand under it, or in it where rows are few, and the axes' names to their right."""
    lines, colours = rules(look), palette(look)
    row = area.height + below - 1
    cells.fill(left, area.height, cells.width, 1, lines.level, colours.dim)
    cells.fill(left, area.height, 1, 1, lines.corner, colours.dim)
    end = cells.width
    if names and width_of(names) <= area.width // 2:
        end -= width_of(names)
        cells.text(end, row, names, colours.dim)
        end -= 1
    free = 0 if below == 2 else left
    for value in x.ticks(max(1, area.width // 9)):
        label = tick(value)
        at = left + 1 + column_of(x, value, area.width)
        if below == 2 or at < end:
            cells.fill(at, area.height, 1, 1, lines.notch_below, colours.dim)
        start = min(max(at - len(label) // 2, free), cells.width - len(label))
        if free <= start and start + len(label) <= end:
            cells.text(start, row, label, colours.dim)
            free = start + len(label) + 1


def _named(names: tuple[str, str], look: Look) -> str:
    """What the axes show."""
    x, y = names
    if not (x and y):
        return x or y
    return f"x: {x}  y: {y}" if look.glyphs == "ascii" else f"→ {x}  ↑ {y}"


def row_of(axis: Axis, value: float, rows: int, look: Look) -> int:
    """The cell row of a value, by the same rounding as the dots of lines."""
    place = float(axis.place(value))
    if not np.isfinite(place):
        return -1
    dots = DOTS[look.glyphs][1]
    return int(np.rint((1 - place) * (rows * dots - 1))) // dots


def column_of(axis: Axis, value: float, columns: int) -> int:
    """The cell column of a value; the axis' end belongs to the last one."""
    place = float(axis.place(value))
    return min(int(place * columns), columns - 1) if np.isfinite(place) else -1


def centred(cells: Cells, look: Look, message: str) -> None:
    """A sentence in the middle of an otherwise empty plot."""
    message = cut(message, cells.width, _more(look))
    cells.text((cells.width - width_of(message)) // 2, cells.height // 2, message, palette(look).dim)
