"""Widgets that know their rows: what changes goes straight to the terminal where nothing stands in front of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from dltutor.ui.terminal import Piece, line_of
from dltutor.ui.typed import InTutor

Change = tuple[int, int, int]
"""A row, the first column that has changed, and the column after the last."""


class Painted(InTutor, Widget):
    """Draws itself by `render_line`, at once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.owed: list[Change] = []  # what the terminal has not been sent

    @property
    def around(self) -> Style:
        """The colours where it says nothing else."""
        return self.visual_style.rich_style

    def repaint(self, changed: Iterable[Change]) -> None:
        """Show what has changed, behind what is owed."""
        rows = [row for row in joined(self.owed, changed) if row[0] < self.size.height]
        if not rows:
            return
        count = self.app.paint(self, (self.piece(*row) for row in rows))
        self.owed = [] if count is None else rows[count:]
        if count is None:
            self.refresh(*(Region(left, y, right - left, 1) for y, left, right in rows))
        elif self.owed:
            self.app.owe(self)

    def piece(self, y: int, _left: int, _right: int) -> Piece:
        """Row, column and cells that hold at least this part of row `y`."""
        return y, 0, line_of([self.render_line(y)], self.app.colour_system)


def joined(first: Iterable[Change], others: Iterable[Change]) -> list[Change]:
    """Each row once, where it comes first, with all that has changed in it."""
    rows: dict[int, Change] = {}
    for y, left, right in (*first, *others):
        _y, leftmost, rightmost = rows.get(y, (y, left, right))
        rows[y] = (y, min(left, leftmost), max(right, rightmost))
    return list(rows.values())


class Words(Painted):
    """One line, cut at the right edge."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.words = ""

    def say(self, words: str) -> None:
        if words != self.words:
            self.words = words
            self.repaint([(0, 0, self.size.width)])

    def render_line(self, y: int) -> Strip:
        width, style = self.size.width, self.around
        words = self.words if cell_len(self.words) <= width else set_cell_size(self.words, width)
        rest = width - cell_len(words)
        return Strip([Segment(words, style), Segment(" " * rest, Style(bgcolor=style.bgcolor))], width)
