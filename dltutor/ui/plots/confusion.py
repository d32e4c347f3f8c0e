"""How often each class was taken for which: true class by row, predicted class by column."""

from __future__ import annotations

import numpy as np

from dltutor.i18n import _, plural
from dltutor.pictures import Confusion
from dltutor.ui.plots import raster
from dltutor.ui.plots.cells import DEFAULT, Cells, cut, width_of
from dltutor.ui.plots.frame import centred, heading
from dltutor.ui.plots.look import Look
from dltutor.ui.plots.palette import bright, diverging, palette

_STEPS = 6  # of shade on each side


def draw(picture: Confusion, width: int, height: int, look: Look, *, title: str = "") -> Cells:
    """The table in `width` x `height` cells. Shade is the share of the true class: blue hits, orange mistakes."""
    cells = Cells(width, height)
    if width < 1 or height < 1:
        return cells
    area = heading(cells, look, title, [])
    counts = _counts(picture)
    if not counts.size:
        centred(area, look, _("no data yet"))
        return cells
    if area.height < len(counts) or area.width < len(counts):
        _pixels(area, look, counts)
    else:
        _table(area, look, counts, _names(picture, len(counts)))
    return cells


def _table(area: Cells, look: Look, counts: np.ndarray, names: list[str]) -> None:
    left = _label_width(area, names, len(counts))
    head = min(2, area.height - len(counts))  # rows above the table: what the axes are, names
    if head == 2:
        _axes(area, look)
    across, down = _cell_size(area, len(counts), left, head)
    colours = _colours(look, counts)
    inks = _inks(look, counts, colours)
    body = area.window(left, head, across * len(counts), down * len(counts))
    body.bg[:] = np.repeat(np.repeat(colours, down, axis=0), across, axis=1)[: body.height, : body.width]
    for row, name in enumerate(names):
        area.text(0, head + row * down + (down - 1) // 2, cut(name, left - 1, ""), palette(look).dim)
        if head:
            _above(area.window(left + row * across, head - 1, across, 1), look, name)
        for column in range(len(counts)):
            words = _number(int(counts[row, column]), row == column, across, look)
            at = column * across + (across - len(words) + 1) // 2
            body.text(at, row * down + (down - 1) // 2, words, int(inks[row, column]))


def _above(place: Cells, look: Look, name: str) -> None:
    """A class name over its column."""
    name = cut(name, place.width - 1, "")
    place.text(max(0, place.width - width_of(name)) // 2, 0, name, palette(look).dim)


def _pixels(area: Cells, look: Look, counts: np.ndarray) -> None:
    """Where numbers have no room: a half row for each class, shade alone."""
    rows = 1 if look.depth == "mono" or look.glyphs == "ascii" else 2
    scale = max(1, min(area.height * rows // len(counts), area.width // (2 * len(counts))))
    height = min(area.height, -(-len(counts) * scale // rows))
    place = area.window(0, 0, min(area.width, 2 * scale * len(counts)), height)
    down = np.arange(rows * place.height) * len(counts) // max(1, rows * place.height)
    across = np.arange(place.width) * len(counts) // max(1, place.width)
    if rows == 2:
        raster.half_blocks(place, _colours(look, counts)[down][:, across])
    else:
        step = np.minimum(_steps(counts), _STEPS)[down][:, across]
        place.ch[:] = np.array([ord(glyph) for glyph in " .:-=+#"], np.int32)[step]


def _counts(picture: Confusion) -> np.ndarray:
    counts = raster.numbers(picture.counts)
    square = counts.ndim == 2 and counts.shape[0] == counts.shape[1]
    return np.maximum(np.nan_to_num(counts), 0).astype(np.int64) if square else np.empty((0, 0), np.int64)


def _names(picture: Confusion, count: int) -> list[str]:
    return [picture.classes[n] if n < len(picture.classes) else str(n) for n in range(count)]


def _label_width(area: Cells, names: list[str], count: int) -> int:
    """Columns for the names at the left: what three columns a class leave, but no more than they need."""
    want = max(map(width_of, names)) + 1
    return max(0, min(want, area.width - 3 * count, area.width // 3))


def _cell_size(area: Cells, count: int, left: int, head: int) -> tuple[int, int]:
    across = max(1, min(16, (area.width - left) // count))
    return across, max(1, min(5, across // 3, (area.height - head) // count))


def _axes(area: Cells, look: Look) -> None:
    words = _("true, down; predicted, across") if look.glyphs == "ascii" else _("true ↓  predicted →")
    area.text(0, 0, cut(words, area.width, ""), palette(look).dim)


def _steps(counts: np.ndarray) -> np.ndarray:
    """Steps of shade, 0 for none, by the share of the true class."""
    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    return np.ceil(np.sqrt(share) * _STEPS).astype(int)


def _colours(look: Look, counts: np.ndarray) -> np.ndarray:
    """A background for each cell, stronger for larger shares; none for zero."""
    if look.depth == "mono":
        return np.full(counts.shape, DEFAULT)
    step = np.minimum(_steps(counts), _STEPS)
    ramp = diverging(look, 2 * _STEPS + 1)
    hit = np.eye(len(counts), dtype=bool)
    return np.where(counts > 0, ramp[np.where(hit, _STEPS - step, _STEPS + step)], DEFAULT)


def _inks(look: Look, counts: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """What reads on each cell."""
    ink = palette(look)
    on_colour = np.where(bright(colours), ink.deep[4], ink.pale[4])
    return np.where(colours != DEFAULT, on_colour, np.where(counts > 0, ink.text, ink.faint))


def _number(count: int, hit: bool, width: int, look: Look) -> str:
    """The count as it fits; without colour a mistake in brackets stands out where there is room."""
    if not count:
        return "." if look.glyphs == "ascii" else "·"
    words = str(count)
    if len(words) > width and count >= 1000:
        words = f"{count // 1000}k"
    if len(words) > width:
        return "+" if look.glyphs == "ascii" else "▪"
    return f"[{words}]" if look.depth == "mono" and hit and len(words) + 2 <= width else words


# ---------------------------------------------------------------- in words


def say(picture: Confusion) -> str:
    """Accuracy, and the commonest mistake."""
    counts = _counts(picture)
    total = int(counts.sum())
    if not total:
        return _("no data yet")
    right = int(np.trace(counts))
    words = _("{right} of {all} right ({share})").format(
        right=right, all=plural("{n} sample", "{n} samples", total), share=f"{right / total:.1%}"
    )
    return words + _mistake(picture, counts)


def _mistake(picture: Confusion, counts: np.ndarray) -> str:
    wrong = counts - np.diag(np.diag(counts))
    if not wrong.any():
        return ""
    row, column = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    names = _names(picture, len(counts))
    return _("; the commonest mistake is {true} taken for {taken}, {times}").format(
        true=names[row], taken=names[column], times=plural("{n} time", "{n} times", int(wrong[row, column]))
    )


if __name__ == "__main__":
    from dltutor.ui.plots import demo

    demo.show(demo.confusion(), draw, say)
