"""The lab's pictures in one rectangle, drawn line by line; only rows that changed are repainted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

if TYPE_CHECKING:
    from dltutor.ui.plots.cells import Cells
    from dltutor.ui.plots.look import Look


class Board(Widget):
    """Shows panels: what `dltutor.ui.plots.board.board` takes. NumPy comes with the first of them."""

    class Resized(Message):
        """The board has another size: its pictures want to be drawn again."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._strips: list[Strip] = []
        self._cells: Cells | None = None

    def show(self, panels: list[Any], look: Look, **view: Any) -> list[int]:
        """Draw `panels`; the indices of those that fit."""
        from dltutor.ui.plots.board import board

        width, height = self.size
        if not panels or width < 1 or height < 1:
            return []
        cells, shown = board(panels, width, height, look, **view)
        self._put(cells)
        return shown

    def _put(self, cells: Cells) -> None:
        from dltutor.ui.plots.cells import changed_rows

        old, self._cells = self._cells, cells
        if old is None or (old.width, old.height) != (cells.width, cells.height):
            self._strips = [self._strip(cells, y) for y in range(cells.height)]
            self.refresh()
            return
        rows = changed_rows(old, cells)
        for y, _left, _right in rows:
            self._strips[y] = self._strip(cells, y)
        if rows:
            self.refresh(*(Region(left, y, right - left, 1) for y, left, right in rows))

    def _strip(self, cells: Cells, y: int) -> Strip:
        from dltutor.ui.plots.cells import segments

        return Strip(segments(cells, y, self.rich_style), cells.width)

    def clear(self) -> None:
        self._cells, self._strips = None, []
        self.refresh()

    def render_line(self, y: int) -> Strip:
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self.rich_style)

    def on_resize(self) -> None:
        self._cells = None
        self.post_message(self.Resized())
