"""Widgets that know their rows: what changes goes straight to the terminal where nothing stands in front of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from dltutor.ui.terminal import Line, line_of
from dltutor.ui.typed import InTutor


class Painted(InTutor, Widget):
    """Draws itself by `render_line`, at once."""

    @property
    def around(self) -> Style:
        """The colours where it says nothing else."""
        return self.visual_style.rich_style

    def repaint(self, changed: Sequence[tuple[int, int, int]]) -> None:
        """Show what has changed: (row, first column, column after the last)."""
        if not self.app.paint(self, (self.piece(y, left, right) for y, left, right in changed)):
            self.refresh(*(Region(left, y, right - left, 1) for y, left, right in changed))

    def piece(self, y: int, _left: int, _right: int) -> tuple[int, int, Line]:
        """Row, column and cells that hold at least this part of row `y`."""
        return y, 0, line_of([self.render_line(y)], self.app.colour_system)


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
