"""Points in the plane with lines through them: data and the model's fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from dltutor.i18n import _, plural
from dltutor.pictures import Points, Scatter, Series
from dltutor.ui.plots import raster
from dltutor.ui.plots.cells import Cells
from dltutor.ui.plots.frame import Entry, centred, framed, kept, sample
from dltutor.ui.plots.look import Look
from dltutor.ui.plots.palette import ASCII_MARKS, LINES, MARKS, palette
from dltutor.ui.plots.scale import Axis, axis, short

FEW = 30  # so many points may hide parts of a line; more of them would hide the line
CROWD = 300  # from so many points on each is a dot rather than a glyph

Group = tuple[int, np.ndarray, np.ndarray]  # of points: number, columns, rows


def draw(picture: Scatter, width: int, height: int, look: Look, *, title: str = "") -> Cells:
    """The points and lines in `width` x `height` cells. Lines take the colours after those of the classes."""
    if width < 1 or height < 1:
        return Cells(width, height)
    x, _y, label = plane(picture.points)
    classes = int(label.max()) + 1 if label.size else 0
    legend, names = _legend(picture.lines, look, classes), (picture.x_label, picture.y_label)
    along, up = axis(*picture.x), axis(*picture.y)
    cells, area = framed(width, height, look, title, legend, along, up, names)
    if not x.size and not picture.lines:
        centred(area, look, _("no data yet"))
    few = x.size < FEW
    if few:
        _lines(area, look, along, up, picture.lines, classes)
    _points(area, look, along, up, picture.points, x.size >= CROWD)
    if not few:
        _lines(area, look, along, up, picture.lines, classes)
    return cells


def plane(points: Points | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y and class number of all points that lie anywhere."""
    if points is None:
        return np.empty(0), np.empty(0), np.empty(0, int)
    return _plane(points.x, points.y, points.label)


@kept
def _plane(x: Any, y: Any, label: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y = raster.numbers(x).ravel(), raster.numbers(y).ravel()
    size = min(x.size, y.size)
    label = raster.numbers(label).ravel() if label is not None else np.zeros(size)
    size = min(size, label.size)
    good = np.isfinite(x[:size]) & np.isfinite(y[:size])
    return x[:size][good], y[:size][good], label[:size][good].astype(int)


def by_class(points: Points | None, width: int, height: int, along: Axis, up: Axis) -> list[Group]:
    """For each class its number, and the columns and rows of those of its points that lie inside."""
    return _by_class(points.x, points.y, points.label, width, height, along, up) if points else []


@kept
def _by_class(x: Any, y: Any, label: Any, width: int, height: int, along: Axis, up: Axis) -> list[Group]:
    x, y, label = _plane(x, y, label)
    columns, rows = cells_of(width, height, along, up, x, y)
    classes = [(number, (label == number) & (columns >= 0)) for number in np.unique(label).tolist()]
    return [(number, columns[inside], rows[inside]) for number, inside in classes]


def mark(look: Look, number: int) -> str:
    """The glyph of class `number`."""
    marks = ASCII_MARKS if look.glyphs == "ascii" else MARKS
    return marks[number % len(marks)]


def cells_of(
    width: int, height: int, along: Axis, up: Axis, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The cells in which points lie; -1 for those outside."""
    columns, rows = along.place(x), 1 - up.place(y)
    inside = (columns >= 0) & (columns <= 1) & (rows >= 0) & (rows <= 1)
    columns = np.minimum((np.clip(columns, 0, 1) * width).astype(int), width - 1)
    rows = np.minimum((np.clip(rows, 0, 1) * height).astype(int), height - 1)
    return np.where(inside, columns, -1), np.where(inside, rows, -1)


def _points(area: Cells, look: Look, along: Axis, up: Axis, points: Points | None, crowd: bool) -> None:
    as_dots = crowd and look.glyphs != "ascii" and look.depth != "mono"
    across, down = raster.DOTS[look.glyphs] if as_dots else (1, 1)
    width, height = area.width * across, area.height * down
    for number, columns, rows in by_class(points, width, height, along, up):
        colour = palette(look).series[number % 10]
        if as_dots:
            mask = np.zeros((height, width), bool)
            mask[rows, columns] = True
            raster.stamp(area, mask, look, colour)
        else:
            area.put(columns, rows, "•" if mark(look, number) == "●" else mark(look, number), colour)


def _lines(area: Cells, look: Look, along: Axis, up: Axis, lines: list[Series], classes: int) -> None:
    """Each in the colour after those of the classes."""
    for number, line in enumerate(lines, classes):
        _line(area, look, along, up, line, number)


def _line(area: Cells, look: Look, along: Axis, up: Axis, line: Series, number: int) -> None:
    across, down = raster.DOTS[look.glyphs]
    width, height = area.width * across, area.height * down
    x, y = raster.numbers(line.x).ravel(), raster.numbers(line.y).ravel()
    size = min(x.size, y.size)
    mask = raster.polyline(along.place(x[:size]) * width - 0.5, (1 - up.place(y[:size])) * height - 0.5, width, height)
    if look.depth == "mono" and look.glyphs != "ascii":
        mask &= raster.dashes(number, width)
    raster.stamp(area, mask, look, palette(look).series[number % 10], LINES[number % len(LINES)])


def _legend(lines: list[Series], look: Look, classes: int) -> list[Entry]:
    return [
        Entry(sample(look, number), palette(look).series[number % 10], line.name)
        for number, line in enumerate(lines, classes)
    ]


def say(picture: Scatter) -> str:
    """How many points, and where the lines run."""
    x, _y, _label = plane(picture.points)
    parts = [plural("{n} point", "{n} points", x.size)]
    return "; ".join(parts + [words for line in picture.lines if (words := _course(line))])


def _course(line: Series) -> str:
    x, y = raster.numbers(line.x).ravel(), raster.numbers(line.y).ravel()
    size = min(x.size, y.size)
    good = np.isfinite(x[:size]) & np.isfinite(y[:size])
    x, y = x[:size][good], y[:size][good]
    if x.size < 2:
        return ""
    return _("{name} runs from {y0} at {x0} to {y1} at {x1}").format(
        name=line.name, x0=short(x[0]), y0=short(y[0]), x1=short(x[-1]), y1=short(y[-1])
    )


if __name__ == "__main__":
    from dltutor.ui.plots import demo

    demo.show(demo.scatter(), draw, say)
