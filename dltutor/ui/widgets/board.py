"""The lab's pictures in one rectangle, drawn line by line; only rows that changed are painted."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.color import Color, ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from dltutor.ui.terminal import Line, Pen, Piece, blank, is_simple, pen_of
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


class Pens(dict[tuple[int, int], Pen]):
    """The pen of a cell by its colours, on a widget of the style `around`."""

    def __init__(self, around: Style, system: ColorSystem) -> None:
        self._fg, self._bg, self._system = packed(around.color), packed(around.bgcolor), system

    def __missing__(self, colours: tuple[int, int]) -> Pen:
        from dltutor.ui.plots.cells import BLANK, DEFAULT, style

        fg, bg = colours
        found = pen_of(
            style(self._fg if fg in (DEFAULT, BLANK) else fg, self._bg if bg == DEFAULT else bg), self._system
        )
        self[colours] = blank(found) if fg == BLANK else found
        return self[colours]


pens_on = lru_cache(maxsize=8)(Pens)


class Board(Painted):
    """Shows panels: what `dltutor.ui.plots.board.board` takes. NumPy comes with the first of them."""

    class Resized(Message):
        """The board has another size: its pictures want to be drawn again."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._waiting = ""  # what stands there until the first picture
        self._cells: Cells | None = None
        self._strips: dict[int, Strip] = {}  # of rows that the compositor has asked for
        self._drawn_around = Style()  # the widget's own style when the cells were drawn
        self._is_resized = False  # since then

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
        resized, self._is_resized = self._is_resized, False
        if old is None or resized or around != self._drawn_around or old.ch.shape != cells.ch.shape:
            self._strips.clear()
            self.refresh()
        elif changed := cells.changed(old):
            for y, _left, _right in changed:
                self._strips.pop(y, None)
            self.repaint(changed)

    def piece(self, y: int, left: int, right: int) -> Piece:
        """Without Rich's segments, which take three times as long; but they know how wide each character is."""
        assert self._cells
        letters = self._cells.letters(y)
        if not is_simple(letters):
            return super().piece(y, left, right)
        pens = pens_on(self._drawn_around, self.app.colour_system)
        return y, left, Line(list(letters[left:right]), [pens[each] for each in self._cells.colours(y, left, right)])

    def render_line(self, y: int) -> Strip:
        if self._cells is None:
            return self._waiting_line(y)
        if y >= self._cells.height:
            return Strip.blank(self.size.width, self.around)
        strip = self._strips.get(y)
        if strip is None:
            strip = self._strips[y] = self._strip(self._cells, y)
        return strip

    def _strip(self, cells: Cells, y: int) -> Strip:
        style = self._drawn_around
        return Strip(cells.segments(y, packed(style.color), packed(style.bgcolor)), cells.width)

    def _waiting_line(self, y: int) -> Strip:
        if y != self.size.height // 2:
            return Strip.blank(self.size.width, self.around)
        pad = " " * max(0, (self.size.width - cell_len(self._waiting)) // 2)
        line = Strip([Segment(pad + self._waiting, self.around)])
        return line.adjust_cell_length(self.size.width, self.around)

    def on_resize(self) -> None:
        self._is_resized = True
        self.post_message(self.Resized())
