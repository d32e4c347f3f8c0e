"""One histogram a layer, one above the other over the same bins: activations, gradients, weights by depth."""

from __future__ import annotations

import numpy as np

from dltutor.i18n import _
from dltutor.pictures import Histograms
from dltutor.ui.plots import raster
from dltutor.ui.plots.cells import Cells, cut, width_of
from dltutor.ui.plots.frame import centred, column_of, heading, rules
from dltutor.ui.plots.look import Look
from dltutor.ui.plots.palette import palette
from dltutor.ui.plots.scale import Axis, axis, short, tick

_DEAD = 0.99  # a layer with so large a share in the bin of zero passes nothing on


def draw(picture: Histograms, width: int, height: int, look: Look, *, title: str = "") -> Cells:
    """The histograms in `width` x `height` cells, each to its own height, so that shapes can be compared."""
    cells = Cells(width, height)
    if width < 1 or height < 1:
        return cells
    area = heading(cells, look, title, [])
    counts = _counts(picture)
    if not counts.size:
        centred(area, look, _("no data yet"))
        return cells
    along = axis(picture.low, picture.high)
    left, right = _margins(area, picture, along)
    foot = 1 if area.height >= 4 else 0
    shown = _shown(len(counts), area.height - foot)
    tall = (area.height - foot) // max(1, len(shown))
    for place, layer in enumerate(shown):
        row = area.window(0, place * tall, area.width, tall)
        _layer(row, look, along, picture, counts[layer], layer, left, right)
    if foot:
        _foot(area.window(left, tall * len(shown), area.width - left - right, 1), look, along, picture.x_label)
    return cells


def _counts(picture: Histograms) -> np.ndarray:
    counts = raster.numbers(picture.counts)
    counts = counts if counts.ndim == 2 else np.empty((0, 0))
    return np.maximum(np.nan_to_num(counts.astype(float), nan=0.0, posinf=0.0, neginf=0.0), 0)


def _margins(area: Cells, picture: Histograms, along: Axis) -> tuple[int, int]:
    """Columns for names at the left and for spreads at the right; narrow plots do without, spreads first."""
    names = max(map(width_of, picture.names), default=0)
    left = min(names, 12) + 1 if area.width >= 24 else 0
    return left, 9 if area.width - left >= 44 else 0


def _shown(layers: int, rows: int) -> list[int]:
    """All layers, or as many as there are rows, evenly spaced from first to last."""
    count = max(0, min(layers, rows))
    return np.linspace(0, layers - 1, count).round().astype(int).tolist()


def _layer(
    row: Cells, look: Look, along: Axis, picture: Histograms, counts: np.ndarray, layer: int, left: int, right: int
) -> None:
    colours = palette(look)
    colour = colours.depth[layer * (len(colours.depth) - 1) // max(1, len(picture.names) - 1)]
    name = picture.names[layer] if layer < len(picture.names) else ""
    row.text(0, row.height - 1, cut(name, left - 1, ""), colour)
    area = row.window(left, 0, row.width - left - right, row.height)
    if along.low < 0 < along.high:
        area.fill(column_of(along, 0.0, area.width), 0, 1, area.height, rules(look).upright, colours.faint)
    area.fill(0, area.height - 1, area.width, 1, "." if look.glyphs == "ascii" else "▁", colours.faint)
    most = counts.max()
    bins = np.arange(area.width) * counts.size // max(1, area.width)
    # A row between two layers stays free where there is room, so that a peak does not touch the layer above.
    room = area.window(0, 1, area.width, area.height - 1) if area.height > 2 else area
    raster.bars(room, counts[bins] / (most or 1.0), look, colour)
    if right:
        row.text(row.width - right + 1, row.height - 1, _spread(picture, counts, look), colours.dim)


def _spread(picture: Histograms, counts: np.ndarray, look: Look) -> str:
    sign = "+-" if look.glyphs == "ascii" else "±"
    _mean, deviation, zero = _moments(picture, counts)
    return _("dead") if zero >= _DEAD else f"{sign} {short(float(f'{deviation:.2g}'))}"


def _foot(line: Cells, look: Look, along: Axis, name: str) -> None:
    dim = palette(look).dim
    low, high = tick(along.low), tick(along.high)
    line.text(0, 0, low, dim)
    line.text(line.width - len(high), 0, high, dim)
    if along.low < 0 < along.high:
        line.text(column_of(along, 0.0, line.width), 0, "0", dim)
    at = line.width // 4 - width_of(name) // 2
    if at > len(low) and at + width_of(name) < line.width // 2:
        line.text(at, 0, name, dim)


# ---------------------------------------------------------------- in words


def _moments(picture: Histograms, counts: np.ndarray) -> tuple[float, float, float]:
    """Mean, standard deviation, and the share in the bin that holds zero."""
    total = counts.sum()
    if not total:
        return 0.0, 0.0, 0.0
    along = axis(picture.low, picture.high)
    edges = np.linspace(along.low, along.high, counts.size + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    mean = float((counts * middle).sum() / total)
    deviation = float(np.sqrt((counts * (middle - mean) ** 2).sum() / total))
    mean = 0.0 if abs(mean) < 1e-3 * deviation else mean
    holds_zero = (edges[:-1] <= 0) & (edges[1:] > 0)
    return mean, deviation, float(counts[holds_zero].sum() / total)


def say(picture: Histograms) -> str:
    """Mean and spread of each layer, and which are dead."""
    counts = _counts(picture)
    parts = [_say(picture, name, row) for name, row in zip(picture.names, counts, strict=False)]
    return "; ".join(parts) or _("no data yet")


def _say(picture: Histograms, name: str, counts: np.ndarray) -> str:
    if not counts.sum():
        return _("{name}: empty").format(name=name)
    mean, deviation, zero = _moments(picture, counts)
    words = _("{name}: mean {mean}, standard deviation {deviation}").format(
        name=name, mean=short(mean), deviation=short(deviation)
    )
    return words + (_(", dead ({share} at zero)").format(share=f"{zero:.0%}") if zero >= _DEAD else "")


if __name__ == "__main__":
    from dltutor.ui.plots import demo

    demo.show(demo.histograms(), draw, say)
