"""From numbers to dots, and from dots to glyphs.

A cell holds 2 x 4 dots in braille, 2 x 2 in block quadrants, 1 in ASCII; `mask` arrays count dots, row 0 at the top.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from dltutor.ui.plots.cells import Cells
from dltutor.ui.plots.look import Look
from dltutor.ui.plots.scale import Axis
from dltutor.wire import Array

DOTS = {"braille": (2, 4), "block": (2, 2), "ascii": (1, 1)}
EIGHTHS = {"braille": " ▁▂▃▄▅▆▇█", "block": " ▁▂▃▄▅▆▇█", "ascii": " ..::||##"}

_BRAILLE = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.uint8)
_QUADRANT = np.array([[1, 2], [4, 8]], np.uint8)
_BRAILLES = np.array([32, *range(0x2801, 0x2900)], np.int32)
_QUADRANTS = np.array([ord(c) for c in " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"], np.int32)
_WIRE = {"u1": "u1", "u1raw": "u1", "f2": "<f2", "f4": "<f4", "f8": "<f8", "i4": "<i4"}


def numbers(values: Any) -> np.ndarray:
    """An array of a picture, however it came: NumPy's, the standard library's, or the wire's."""
    if isinstance(values, Array):
        return _from_wire(values)
    if isinstance(values, array):
        return np.frombuffer(values, values.typecode) if len(values) else np.empty(0)
    return np.asarray([] if values is None else values)


def _from_wire(values: Array) -> np.ndarray:
    found = np.frombuffer(values.data, _WIRE[values.dtype]).reshape(values.shape)
    if values.dtype == "u1":
        return _levels(values.low, values.high)[found]
    # Half precision has no arithmetic of its own on most processors.
    return found.astype(np.float32) if values.dtype == "f2" else found


@lru_cache(maxsize=64)
def _levels(low: float, high: float) -> np.ndarray:
    """What each of the 256 bytes of a u1 array stands for."""
    table = (low + np.arange(256) / 254 * (high - low)).astype(np.float32)
    table[255] = np.nan
    return table


# ---------------------------------------------------------------- lines


@dataclass
class Columns:
    """What lies in each column of dots: extremes, first and last value, mean; NaN where nothing does."""

    values: np.ndarray  # (5, columns)
    broken: np.ndarray  # a bad number lies here

    @property
    def low(self) -> np.ndarray:
        return self.values[0]

    @property
    def high(self) -> np.ndarray:
        return self.values[1]

    @property
    def first(self) -> np.ndarray:
        return self.values[2]

    @property
    def last(self) -> np.ndarray:
        return self.values[3]

    @property
    def mean(self) -> np.ndarray:
        return self.values[4]

    def placed(self, on: Axis) -> Columns:
        """The same as places on a linear axis."""
        return Columns(on.place(self.values), self.broken)


def columns(x: np.ndarray, y: np.ndarray, over: Axis, count: int) -> Columns:
    """Reduce the line (x ascending, y) to `count` columns over the axis, keeping extremes, in one pass."""
    edges = np.searchsorted(x, over.low + np.arange(count + 1) * ((over.high - over.low) / count))
    edges[-1] = np.searchsorted(x, over.high, side="right")
    held = np.flatnonzero(edges[1:] > edges[:-1])
    out = Columns(np.full((5, count), np.nan), np.zeros(count, bool))
    if held.size:
        _reduce(out, held, edges[held], edges[held + 1], y[: edges[-1]])
    return out


def _reduce(out: Columns, held: np.ndarray, start: np.ndarray, end: np.ndarray, y: np.ndarray) -> None:
    out.low[held] = np.fmin.reduceat(y, start)
    out.high[held] = np.fmax.reduceat(y, start)
    out.first[held], out.last[held] = y[start], y[end - 1]
    bad = np.isnan(y)
    if bad.any():
        bad_count = np.add.reduceat(bad, start, dtype=np.int64)
        out.broken[held] = bad_count > 0
        sums = np.add.reduceat(np.where(bad, 0.0, y), start)
        out.mean[held] = np.where(bad_count < end - start, sums / np.maximum(1, end - start - bad_count), np.nan)
        # Where a column begins or ends with a gap, its mean stands in, so that spans stay finite.
        out.first[held] = np.where(np.isnan(out.first[held]), out.mean[held], out.first[held])
        out.last[held] = np.where(np.isnan(out.last[held]), out.mean[held], out.last[held])
    else:
        out.mean[held] = np.add.reduceat(y, start) / (end - start)


def line_mask(line: Columns, rows: int) -> np.ndarray:
    """The dots of a line whose values are places (0 bottom, 1 top): a span a column, neighbours joined half-way."""
    count = line.low.size
    mask = np.zeros((rows, count), bool)
    at = np.flatnonzero(~np.isnan(line.low))
    if not (at.size and rows):
        return mask
    low, high, first, last = _row(line.values[:4, at], rows)
    top, bottom, cols = _joined(at, high, low, first, last, line.broken)
    top = np.minimum(np.maximum(np.rint(top), 0), rows).astype(np.int32)
    bottom = np.minimum(np.maximum(np.rint(bottom), -1), rows - 1).astype(np.int32)
    ruler = np.arange(rows, dtype=np.int32)[:, None]
    where = slice(cols[0], cols[-1] + 1) if cols[-1] - cols[0] + 1 == cols.size else cols
    mask[:, where] = (ruler >= top) & (ruler <= bottom)
    return mask


def _row(place: np.ndarray, rows: int) -> np.ndarray:
    """Places as rows from the top; what lies far outside stays just outside."""
    return np.minimum(np.maximum((1 - place) * (rows - 1), -2.0 * rows), 3.0 * rows)  # half the time of np.clip


def _joined(
    at: np.ndarray, top: np.ndarray, bottom: np.ndarray, first: np.ndarray, last: np.ndarray, broken: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spans for all columns from the first held one to the last, except across gaps: top, bottom, column."""
    cols = np.arange(at[0], at[-1] + 1)
    held = at - at[0]
    if at.size == cols.size:
        before, begins, ends, high, low = held, first, last, top.copy(), bottom.copy()
    else:
        before = np.searchsorted(at, cols, side="right") - 1
        after = np.minimum(before + 1, at.size - 1)
        share = (cols - at[before]) / np.maximum(1, at[after] - at[before])
        ends = last[before] + (first[after] - last[before]) * share
        begins, high, low = ends.copy(), ends.copy(), ends.copy()
        begins[held], high[held], low[held] = first, top, bottom
    reach_up = reach_down = (ends[:-1] + begins[1:]) / 2
    gap = _gaps(at, broken)[before] if broken.any() else None
    if gap is not None:
        reach_up, reach_down = np.where(gap[:-1], np.inf, reach_up), np.where(gap[:-1], -np.inf, reach_down)
    high[:-1], low[:-1] = np.minimum(high[:-1], reach_up), np.maximum(low[:-1], reach_down)
    high[1:], low[1:] = np.minimum(high[1:], reach_up), np.maximum(low[1:], reach_down)
    if gap is None:
        return high, low, cols
    gap[held] = False
    return high[~gap], low[~gap], cols[~gap]


def _gaps(at: np.ndarray, broken: np.ndarray) -> np.ndarray:
    """For each held column, whether a bad number lies between it and the next held one."""
    before = np.concatenate([[0], np.cumsum(broken)])
    ends = np.append(at[1:], at[-1])
    return before[ends + 1] - before[at] > 0


def dashes(number: int, count: int) -> np.ndarray:
    """Which columns of dots a line shows where there is no colour to know it by: all, short dashes, long ones."""
    on, period = ((1, 1), (2, 4), (5, 7), (1, 3))[number % 4]
    return np.arange(count) % period < on


def smoothed(line: Columns, span: float) -> Columns:
    """The exponential moving average of the columns' means, its memory `span` columns, plus the lag it has behind them.

    The lag is what averaging the average once more takes away (Mulloy 1994). Gaps stay gaps, and the past stays as it
    was drawn: a new value moves no old column.
    """
    at = np.flatnonzero(~np.isnan(line.mean))
    once = _averaged(at, line.mean[at], span)
    out = np.full(line.mean.size, np.nan)
    out[at] = 2 * once - _averaged(at, once, span)
    return Columns(np.broadcast_to(out, (5, out.size)), line.broken)


def _averaged(at: np.ndarray, values: np.ndarray, span: float) -> np.ndarray:
    """Weights exp(distance / span) into the past, in closed form: a chart is too narrow for them to overflow."""
    weight = np.exp(np.minimum((at - at[:1]) / span, 600.0))
    return np.cumsum(values * weight) / np.cumsum(weight)


def roughness(line: Columns, rows: int) -> float:
    """By how many dots the line jumps up and down around its course, on average."""
    mean = line.mean[~np.isnan(line.mean)]
    if mean.size < 8:
        return 0.0
    bend = np.abs(mean[1:-1] - (mean[:-2] + mean[2:]) / 2)
    spread = (line.high - line.low - np.abs(line.last - line.first))[~np.isnan(line.mean)][1:-1] / 2
    return float(np.minimum((bend + spread) * rows, 8).mean())


def polyline(x: np.ndarray, y: np.ndarray, width: int, height: int) -> np.ndarray:
    """The dots of a path through (x, y), in dots; segments are clipped to the rectangle, bad points interrupt it."""
    mask = np.zeros((height, width), bool)
    start = np.stack([x[:-1], y[:-1]], 1).astype(float)
    end = np.stack([x[1:], y[1:]], 1).astype(float)
    start, end = _clipped(start, end, width, height)
    if not len(start):
        return mask
    count = np.abs(end - start).max(axis=1).astype(int) + 2
    which = np.repeat(np.arange(len(count)), count)
    share = (np.arange(which.size) - np.repeat(np.cumsum(count) - count, count)) / (count[which] - 1)
    dots = np.rint(start[which] + (end - start)[which] * share[:, None]).astype(int)
    inside = (dots >= 0).all(axis=1) & (dots[:, 0] < width) & (dots[:, 1] < height)
    mask[dots[inside, 1], dots[inside, 0]] = True
    return mask


def _clipped(start: np.ndarray, end: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """The parts of segments inside the rectangle (Liang and Barsky, 1984)."""
    good = np.isfinite(start).all(axis=1) & np.isfinite(end).all(axis=1)
    start, end = np.clip(start[good], -1e12, 1e12), np.clip(end[good], -1e12, 1e12)
    step = end - start
    enter, leave = np.zeros(len(start)), np.ones(len(start))
    with np.errstate(divide="ignore", invalid="ignore"):
        for axis, limit in ((0, width - 0.51), (1, height - 0.51)):
            near, far = (-0.49 - start[:, axis]) / step[:, axis], (limit - start[:, axis]) / step[:, axis]
            still = step[:, axis] == 0
            within = (start[:, axis] >= -0.49) & (start[:, axis] <= limit)
            enter = np.maximum(enter, np.where(still, np.where(within, 0, 2), np.minimum(near, far)))
            leave = np.minimum(leave, np.where(still, 1, np.maximum(near, far)))
    seen = enter <= leave
    start, step = start[seen], step[seen]
    return start + step * enter[seen, None], start + step * leave[seen, None]


# ---------------------------------------------------------------- fields


def resampled(field: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The field at rows x columns points in the middle of equal parts of its rectangle, interpolated linearly."""
    up, down, share = _between(field.shape[0], rows)
    left, right, part = _between(field.shape[1], columns)
    with np.errstate(invalid="ignore", over="ignore"):  # infinities become NaN: both are bad numbers
        tall = field[up] + (field[down] - field[up]) * share[:, None]
        return tall[:, left] + (tall[:, right] - tall[:, left]) * part


@lru_cache(maxsize=256)
def _between(source: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbours and weights for `target` points in a row of `source`, whose ends lie on the rectangle's edge."""
    at = (np.arange(target) + 0.5) / max(1, target) * (source - 1)
    low = np.floor(at).astype(int)
    return low, np.minimum(low + 1, source - 1), (at - low).astype(np.float32)


def edges(band: np.ndarray) -> np.ndarray:
    """The dots where the band number changes towards the right or below: level lines."""
    mask = np.zeros(band.shape, bool)
    mask[:, :-1] = band[:, :-1] != band[:, 1:]
    mask[:-1] |= band[:-1] != band[1:]
    return mask


def level_of(field: np.ndarray, low: float, high: float, levels: int) -> np.ndarray:
    """Level numbers 0..levels-1 over low..high; -1 for NaN."""
    scale = levels / (high - low) if high > low else 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        level = np.clip((field - low) * scale, 0, levels - 1)
    return np.where(np.isnan(level), -1, level).astype(np.int32)


# ---------------------------------------------------------------- glyphs


def stamp(cells: Cells, mask: np.ndarray, look: Look, fg: int, mark: str = "*") -> None:
    """Draw the dots into all of `cells`. A cell has one foreground: the later drawing owns it, dots are never mixed."""
    across, down = DOTS[look.glyphs]
    if mask.shape != (cells.height * down, cells.width * across) or not mask.size:
        return
    glyph = _packed(mask, look.glyphs, mark)
    hit = glyph != 32
    cells.ch[hit] = glyph[hit]
    cells.fg[hit] = fg


def _packed(mask: np.ndarray, glyphs: str, mark: str) -> np.ndarray:
    if glyphs == "ascii":
        return np.where(mask, ord(mark), 32).astype(np.int32)
    across, down = DOTS[glyphs]
    bits, table = (_BRAILLE, _BRAILLES) if glyphs == "braille" else (_QUADRANT, _QUADRANTS)
    code, dots = np.zeros((mask.shape[0] // down, mask.shape[1] // across), np.uint8), mask.view(np.uint8)
    for row in range(down):
        for column in range(across):
            code |= dots[row::down, column::across] * bits[row, column]
    return table[code]


def half_blocks(cells: Cells, colour: np.ndarray) -> None:
    """Fill `cells` with pixels, two a cell: `colour` is (2 height, width)."""
    top, bottom = colour[0::2], colour[1::2]
    same = top == bottom
    cells.ch[:] = np.where(same, 32, 0x2580)
    cells.fg[:] = top
    cells.bg[:] = bottom


def bars(cells: Cells, height: np.ndarray, look: Look, fg: int) -> None:
    """A bar a column of `cells`, `height` between 0 and 1, in eighths of a cell."""
    table = np.array([ord(glyph) for glyph in EIGHTHS[look.glyphs]], np.int32)
    full = np.rint(np.clip(np.nan_to_num(height), 0, 1) * cells.height * 8).astype(int)
    # What is there at all shows, however little.
    full = np.where((height > 0) & (full == 0), 1, full)
    above = (cells.height - 1 - np.arange(cells.height))[:, None] * 8
    level = np.clip(full[None, :] - above, 0, 8)
    cells.ch[level > 0] = table[level][level > 0]
    cells.fg[level > 0] = fg
