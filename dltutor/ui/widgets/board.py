"""The lab's pictures in one rectangle, drawn line by line; only rows that changed are painted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from dltutor.ui.widgets.painted import Painted

if TYPE_CHECKING:
    from dltutor.ui.plots.cells import Cells
    from dltutor.ui.plots.look import Look


def packed(colour: Color | None) -> int:
    """A colour of Rich as the cells write it."""
    from dltutor.ui.plots.cells import DEFAULT, TRUE

    if colour is None or colour.triplet is None:
        return DEFAULT
    red, green, blue = colour.triplet
    return TRUE | red << 16 | green << 8 | blue


class Board(Painted):
    """Shows panels: what `dltutor.ui.plots.board.board` takes. NumPy comes with the first of them."""

    class Resized(Message):
        """The board has another size: its pictures want to be drawn again."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._waiting = ""  # what stands there until the first picture
        self._strips: list[Strip] = []
        self._cells: Cells | None = None
        self._drawn_around = Style()  # the widget's own style when the strips were made

    def wait(self, words: str) -> None:
        """Another sentence until the first picture."""
        if words != self._waiting:
            self._waiting = words
            self.refresh()

    def show(self, panels: list[Any], look: Look) -> None:
        """Draw `panels` over the whole widget."""
        from dltutor.ui.plots.board import board

        width, height = self.size
        if panels and width > 0 and height > 0:
            cells, _places = board(panels, width, height, look)
            self._put(cells)

    def _put(self, cells: Cells) -> None:
        old, self._cells = self._cells, cells
        around, self._drawn_around = self._drawn_around, self.around
        if old is None or around != self._drawn_around or (old.width, old.height) != (cells.width, cells.height):
            self._strips = [self._strip(cells, y) for y in range(cells.height)]
            self.refresh()
            return
        changed = cells.changed(old)
        for y, _left, _right in changed:
            self._strips[y] = self._strip(cells, y)
        if changed:
            self.repaint(changed)

    def _strip(self, cells: Cells, y: int) -> Strip:
        style = self._drawn_around
        return Strip(cells.segments(y, packed(style.color), packed(style.bgcolor)), cells.width)

    def render_line(self, y: int) -> Strip:
        if y < len(self._strips):
            return self._strips[y]
        if not self._strips and y == self.size.height // 2:
            pad = " " * max(0, (self.size.width - cell_len(self._waiting)) // 2)
            line = Strip([Segment(pad + self._waiting, self.around)])
            return line.adjust_cell_length(self.size.width, self.around)
        return Strip.blank(self.size.width, self.around)

    def on_resize(self) -> None:
        self._cells = None
        self.post_message(self.Resized())
