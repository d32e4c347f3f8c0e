"""Line charts: losses and other metrics over steps, or anything over a sorted x."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dltutor.i18n import _
from dltutor.pictures import Curves, Series
from dltutor.ui.plots import raster
from dltutor.ui.plots.cells import Cells, width_of
from dltutor.ui.plots.frame import Entry, centred, column_of, framed, row_of, sample
from dltutor.ui.plots.look import Look
from dltutor.ui.plots.palette import LINES, palette
from dltutor.ui.plots.scale import HUGE, Axis, axis, round_up, short, sticky, sticky_log, whole

RECENT = 200  # steps in the recent view
_SLIDE = 50  # it slides by so many steps at once: a window that slides by one repaints everything each time
_ROUGH = 0.8  # dots of noise from which on the average is drawn over the raw values
_MEMORY = 0.02  # of the axis: the memory of that average


@dataclass
class _Line:
    name: str
    x: np.ndarray  # ascending, finite
    y: np.ndarray  # infinities are NaN here
    bad: float | None  # x of the first value that is no number


def draw(
    picture: Curves,
    width: int,
    height: int,
    look: Look,
    *,
    title: str = "",
    log: bool | None = None,
    recent: bool = False,
    cursor: float | None = None,
    until: float | None = None,
    behind: Sequence[Series] = (),
    among: Sequence[Series] = (),
) -> Cells:
    """The chart in `width` x `height` cells.

    log     overrides the picture's own choice of a log y axis; values that have no logarithm become gaps
    recent  only the last 200 steps
    cursor  a step to mark with a vertical line and to read the values at
    until   the x axis reaches at least this far (the planned end of a run)
    behind  series drawn dim under the others: an earlier run, a guess; the legend names those of other names
    among   series that are not drawn, but have room: several charts with one pair of axes
    """
    if width < 1 or height < 1:
        return Cells(width, height)
    lines, ghosts = [_line(series) for series in picture.series], [_line(series) for series in behind]
    log = picture.log if log is None else log
    along, up = _ranges([*lines, *ghosts, *map(_line, among)], log, recent, until)
    legend, names, grid = _legend(lines, ghosts, look), (picture.x_label, ""), look.glyphs != "ascii"
    cells, area = framed(width, height, look, title, legend, along, up, names, grid)
    if not any(line.x.size for line in lines + ghosts):
        centred(area, look, _("no data yet"))
        return cells
    for number, ghost in enumerate(ghosts):
        _stroke(area, look, _columns(ghost, along, up, area, look), number, palette(look).shade[number % 10])
    for number, line in enumerate(lines):
        _curve(area, look, line, along, up, number)
    for line in lines:
        _mark_bad(area, look, line, along, up)
    if cursor is not None:
        _cursor(area, look, lines, along, up, cursor)
    return cells


def _line(series: Series) -> _Line:
    x, y = raster.numbers(series.x).astype(float, copy=False), raster.numbers(series.y).astype(float, copy=False)
    size = min(x.size, y.size)
    x, y = x.ravel()[:size], y.ravel()[:size]
    if not (x[1:] >= x[:-1]).all() or not np.isfinite(x[:1]).all() or not np.isfinite(x[-1:]).all():
        placed = np.isfinite(x)
        order = np.argsort(x[placed], kind="stable")
        x, y = x[placed][order], y[placed][order]
    if y.size == 0 or (y.min() >= -HUGE and y.max() <= HUGE):  # NaN is neither
        return _Line(series.name, x, y, None)
    good = np.isfinite(y)
    y = np.clip(np.where(good, y, np.nan), -HUGE, HUGE)
    return _Line(series.name, x, y, None if good.all() else float(x[np.argmin(good)]))


def _ranges(lines: list[_Line], log: bool, recent: bool, until: float | None) -> tuple[Axis, Axis]:
    ends = [(line.x[0], line.x[-1]) for line in lines if line.x.size]
    first, last = (min(a for a, _end in ends), max(b for _start, b in ends)) if ends else (0.0, 1.0)
    along = _recent(first, last) if recent else _whole(first, max(last, until or last))
    return along, _height(lines, along, log)


def _whole(first: float, last: float) -> Axis:
    if 0 <= first <= 0.25 * last:
        return axis(0.0, round_up(last))
    return sticky(first, last) if first < 0 else axis(first, first + round_up(last - first))


def _recent(first: float, last: float) -> Axis:
    end = np.ceil((last + 1) / _SLIDE) * _SLIDE
    return axis(max(end - RECENT, min(first, end - _SLIDE)), end)


def _height(lines: list[_Line], along: Axis, log: bool) -> Axis:
    seen = [extremes for line in lines if (extremes := _extremes(line, along, log))]
    if not seen:
        return Axis(0.1, 1.0, log=True) if log else Axis(0.0, 1.0)
    low, high = min(a for a, _b in seen), max(b for _a, b in seen)
    return sticky_log(low, high) if log else sticky(low, high)


def _extremes(line: _Line, along: Axis, log: bool) -> tuple[float, float] | None:
    start, end = np.searchsorted(line.x, along.low), np.searchsorted(line.x, along.high, side="right")
    y = line.y[start:end]
    if log:
        y = y[y > 0]
    low, high = (np.fmin.reduce(y), np.fmax.reduce(y)) if y.size else (np.nan, np.nan)
    return (float(low), float(high)) if np.isfinite(low) else None


# ---------------------------------------------------------------- strokes


def _columns(line: _Line, along: Axis, up: Axis, area: Cells, look: Look) -> raster.Columns:
    count = area.width * raster.DOTS[look.glyphs][0]
    if up.log:  # the average of what is seen: of logarithms
        return raster.columns(line.x, up.place(line.y), along, count)
    return raster.columns(line.x, line.y, along, count).placed(up)


def _curve(area: Cells, look: Look, line: _Line, along: Axis, up: Axis, number: int) -> None:
    """The raw line; where it is noisy, dim, with its moving average over it."""
    colours, found = palette(look), _columns(line, along, up, area, look)
    rows = area.height * raster.DOTS[look.glyphs][1]
    if raster.roughness(found, rows) < _ROUGH:
        _stroke(area, look, found, number, colours.series[number % 10])
        return
    band = raster.line_mask(found, rows)
    if look.depth == "mono" and look.glyphs != "ascii":
        band[(np.indices(band.shape).sum(axis=0) % 2).astype(bool)] = False  # thinned: there is no dimmer colour
    raster.stamp(area, band, look, colours.shade[number % 10], ".")
    average = raster.smoothed(found, max(1.0, found.low.size * _MEMORY))
    _stroke(area, look, average, number, colours.series[number % 10])


def _stroke(area: Cells, look: Look, found: raster.Columns, number: int, colour: int) -> None:
    mask = raster.line_mask(found, area.height * raster.DOTS[look.glyphs][1])
    if look.depth == "mono" and look.glyphs != "ascii":
        mask &= raster.dashes(number, mask.shape[1]) | (mask.sum(axis=0) > 4)  # a spike is never between dashes
    raster.stamp(area, mask, look, colour, LINES[number % len(LINES)])


def _legend(lines: list[_Line], ghosts: list[_Line], look: Look) -> list[Entry]:
    """Every name once. A dim line that is called as a bright one is the same at another time, and goes without."""
    names = [line.name for line in lines]
    dim = {ghost.name: number for number, ghost in reversed(list(enumerate(ghosts))) if ghost.name not in names}
    if len(names) + len(dim) < 2:
        return []
    bright = [Entry(sample(look, n), palette(look).series[n % 10], name) for n, name in enumerate(names)]
    return bright + [Entry(sample(look, n), palette(look).shade[n % 10], name) for name, n in dim.items()]


def _mark_bad(area: Cells, look: Look, line: _Line, along: Axis, up: Axis) -> None:
    """A red cross where the numbers first went bad, at the height of the last good one."""
    if line.bad is None:
        return
    before = line.y[: np.searchsorted(line.x, line.bad)]
    places = up.place(before[~np.isnan(before)][-1:])
    row = row_of(up, float(before[~np.isnan(before)][-1]), area.height, look) if np.isfinite(places).any() else 0
    if along.low <= line.bad <= along.high:
        mark = "x" if look.glyphs == "ascii" else "✕"
        area.put(column_of(along, line.bad, area.width), min(max(row, 0), area.height - 1), mark, palette(look).bad)


# ---------------------------------------------------------------- the cursor


def _cursor(area: Cells, look: Look, lines: list[_Line], along: Axis, up: Axis, step: float) -> None:
    column = column_of(along, min(max(step, along.low), along.high), area.width)
    if not 0 <= column < area.width:
        return
    bare = np.isin(area.ch[:, column], (32, ord("┈")))
    area.put(column, np.flatnonzero(bare), "|" if look.glyphs == "ascii" else "│", palette(look).text)
    colours = palette(look)
    parts = [(_("step {step}").format(step=whole(step)), colours.box[0])]
    for number, line in enumerate(lines):
        if (value := _value(line, step)) is not None:
            parts.append((f"{line.name} {short(value)}", colours.pale[number % 10] if look.dark else colours.box[0]))
    _readout(area, look, parts, column)


def _value(line: _Line, step: float) -> float | None:
    """The value at the sample nearest to `step`."""
    if not line.x.size:
        return None
    after = min(int(np.searchsorted(line.x, step)), line.x.size - 1)
    nearest = min((max(after - 1, 0), after), key=lambda i: abs(line.x[i] - step))
    return float(line.y[nearest])


def _readout(area: Cells, look: Look, parts: list[tuple[str, int]], column: int) -> None:
    """The values on one row beside the line if they fit, else one below the other, else not at all."""
    sizes = [width_of(text) + 2 for text, _colour in parts]
    rows = [parts] if sum(sizes) <= area.width else [[part] for part in parts]
    width = sum(sizes) if len(rows) == 1 else max(sizes)
    if width > area.width or len(rows) > area.height:
        return
    left = column + 2 if column + 2 + width <= area.width else max(0, column - 1 - width)
    for y, row in enumerate(rows):
        area.text(left, y, " " * width, bg=palette(look).box[1])
        x = left + 1
        for text, colour in row:
            x = area.text(x, y, text, colour, palette(look).box[1]) + 2


# ---------------------------------------------------------------- in words


def say(picture: Curves) -> str:
    """What each series did, in one sentence."""
    parts = [_say(_line(series)) for series in picture.series]
    return "; ".join(part for part in parts if part) or _("no data yet")


def _say(line: _Line) -> str:
    good = ~np.isnan(line.y)
    x, y = line.x[good], line.y[good]
    if not y.size:
        return _("{name}: no numbers").format(name=line.name) if line.x.size else ""
    words = _course(line.name, x, y)
    if line.bad is not None:
        words += _(", not a number from {step} on").format(step=whole(line.bad))
    return words


def _course(name: str, x: np.ndarray, y: np.ndarray) -> str:
    first, last, steps = float(y[0]), float(y[-1]), float(x[-1] - x[0])
    if y.size == 1:
        return _("{name} is {value} at {step}").format(name=name, value=short(first), step=whole(float(x[0])))
    values = {"name": name, "first": short(first), "last": short(last), "steps": whole(steps)}
    if values["first"] == values["last"]:
        return _("{name} stayed about {last} over {steps} steps").format(**values) + _extreme(x, y)
    if last < first:
        return _("{name} fell from {first} to {last} in {steps} steps").format(**values) + _lowest(x, y)
    return _("{name} rose from {first} to {last} in {steps} steps").format(**values) + _highest(x, y)


def _lowest(x: np.ndarray, y: np.ndarray) -> str:
    at = int(np.argmin(y))
    return _(", lowest {value} at {step}").format(value=short(float(y[at])), step=whole(float(x[at])))


def _highest(x: np.ndarray, y: np.ndarray) -> str:
    at = int(np.argmax(y))
    return _(", highest {value} at {step}").format(value=short(float(y[at])), step=whole(float(x[at])))


def _extreme(x: np.ndarray, y: np.ndarray) -> str:
    return _lowest(x, y) + _highest(x, y) if y.max() > y.min() else ""


if __name__ == "__main__":
    from dltutor.ui.plots.demo import curves, show

    show(curves(), draw, say, cursor=300)
