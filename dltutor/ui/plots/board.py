"""Several pictures in one rectangle, the first the largest; and one door to all kinds: `draw` and `say`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

from dltutor.i18n import _
from dltutor.pictures import Confusion, Contour, Curves, Heat, Histograms, Images, Picture, Scatter
from dltutor.ui.plots import confusion, contour, curves, heat, histograms, images, scatter
from dltutor.ui.plots.cells import Cells
from dltutor.ui.plots.frame import centred, heading
from dltutor.ui.plots.look import Look

KINDS: dict[type, ModuleType] = {
    Curves: curves, Scatter: scatter, Heat: heat, Contour: contour,
    Images: images, Histograms: histograms, Confusion: confusion,
}  # fmt: skip
LEAST = (24, 7)  # a panel smaller than this says nothing
_BEST = 3.2  # columns for each row of a panel that look best: cells are twice as tall as wide
_GAP = 2  # columns between panels

Panel = tuple[str, Picture | None, Mapping[str, Any]]  # title, picture (None: not there yet), view options


class Place(NamedTuple):
    """Where a panel stands."""

    panel: int  # its number in the list
    x: int
    y: int
    width: int
    height: int


def draw(picture: Picture | None, width: int, height: int, look: Look, **view: Any) -> Cells:
    """A picture of any kind; None is one that has not arrived. Options that its kind lacks are an error."""
    if picture is not None:
        return KINDS[type(picture)].draw(picture, width, height, look, **view)
    cells = Cells(width, height)
    centred(heading(cells, look, view.get("title", ""), []), look, _("no data yet"))
    return cells


def say(picture: Picture | None) -> str:
    """A picture of any kind in one sentence."""
    return _("no data yet") if picture is None else KINDS[type(picture)].say(picture)


def board(panels: Sequence[Panel], width: int, height: int, look: Look) -> tuple[Cells, list[Place]]:
    """All panels that fit in `width` x `height` cells, and where they stand. The last ones give way first."""
    cells = Cells(width, height)
    places = arranged(len(panels), width, height)
    for number, x, y, wide, high in places:
        title, picture, view = panels[number]
        cells.paste(draw(picture, wide, high, look, title=title, **view), x, y)
    return cells, list(places)


@lru_cache(maxsize=64)
def arranged(count: int, width: int, height: int) -> tuple[Place, ...]:
    """Rectangles for as many of `count` panels as fit, in rows or in columns, whichever suits the shape."""
    for number in range(count, 1, -1):
        plans = [plan for lines in range(1, number + 1) for plan in _plans(number, lines, width, height)]
        plans = [plan for plan in plans if all(p.width >= LEAST[0] and p.height >= LEAST[1] for p in plan)]
        if plans:
            return tuple(min(plans, key=_strain))
    return (Place(0, 0, 0, width, height),) if count else ()


def _plans(count: int, lines: int, width: int, height: int) -> list[list[Place]]:
    """The panels in `lines` rows, and in `lines` columns; the first line takes what does not divide evenly: fewer."""
    sizes = [count // lines + (line >= lines - count % lines) for line in range(lines)]
    return [_filled(sizes, width, height, turned=False), _filled(sizes, width, height, turned=True)]


def _filled(sizes: list[int], width: int, height: int, turned: bool) -> list[Place]:
    """Lines of panels; `turned`: columns instead of rows. The first line and its first panel get a larger share."""
    places: list[Place] = []
    lines = _shares(len(sizes), width if turned else height, _GAP if turned else 0)
    for size, (offset, depth) in zip(sizes, lines, strict=True):
        for start, length in _shares(size, height if turned else width, 0 if turned else _GAP):
            box = (offset, start, depth, length) if turned else (start, offset, length, depth)
            places.append(Place(len(places), *box))
    return places


def _shares(count: int, length: int, gap: int) -> list[tuple[int, int]]:
    """`length` cut into `count` parts with gaps between; the first is a fifth larger."""
    room = length - gap * (count - 1)
    weights = [1.2] + [1.0] * (count - 1)
    ends = [round(room * sum(weights[: n + 1]) / sum(weights)) for n in range(count)]
    starts = [0, *ends[:-1]]
    return [(start + gap * n, end - start) for n, (start, end) in enumerate(zip(starts, ends, strict=True))]


def _strain(plan: Iterable[Place]) -> float:
    """How far the panels are from the best shape; the first one counts double, and wants to be the largest."""
    plan = list(plan)
    strains = [abs(math.log(p.width / p.height / _BEST)) for p in plan]
    areas = [p.width * p.height for p in plan]
    return sum(strains) + strains[0] + 2 * max(0.0, math.log(max(areas) / areas[0]))


if __name__ == "__main__":
    from dltutor.ui.plots import demo

    demo.show_board(board)
