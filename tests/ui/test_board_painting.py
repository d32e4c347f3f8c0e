"""What the board paints past the compositor is what the compositor would have drawn, to the colour of each cell."""

from __future__ import annotations

import random

import pytest
from test_terminal import painter
from textual.app import App, ComposeResult

from dltutor.ui.plots import board as plots
from dltutor.ui.plots.cells import DEFAULT, TRUE, Cells
from dltutor.ui.plots.look import Look
from dltutor.ui.terminal import TerminalMixin
from dltutor.ui.widgets.board import Board
from dltutor.ui.widgets.painted import Painted

pytestmark = pytest.mark.usefixtures("brisk")

COLOURS = (DEFAULT, 3, 75, 240, TRUE | 0x336699)
WORDS = ("loss", "  a  b", "━━ ⣿⡇", "损失 loss", "失", "▀▀", "e\u0301", "👩")


class Shown(TerminalMixin, App[None]):
    CSS = "Board { width: 40; height: 12; offset: 5 3; background: $surface; }"

    def compose(self) -> ComposeResult:
        yield Board()


@pytest.fixture
def draw(monkeypatch):
    """Lets a board show some cells."""

    def draw(board: Board, cells: Cells) -> None:
        monkeypatch.setattr(plots, "board", lambda *_rest: (cells, []))
        board.show([("", None, {})], Look())

    return draw


def scribbled(cells: Cells, dice: random.Random) -> Cells:
    """The same with some words written over it, which may cut wide characters in half."""
    cells = cells.copy()
    for _word in range(dice.randrange(4)):
        x, y = dice.randrange(-2, cells.width), dice.randrange(cells.height)
        cells.text(x, y, dice.choice(WORDS), dice.choice(COLOURS), dice.choice((None, *COLOURS)))
    return cells


async def test_every_piece_is_as_the_compositor_would_have_it(draw):
    dice = random.Random(1)
    async with painter(Shown) as (pilot, _glass):
        board, cells = pilot.app.query_one(Board), Cells(40, 12)
        for _time in range(60):
            draw(board, cells := scribbled(cells, dice))
            for row in range(12):
                left = dice.randrange(40)
                y, x, line = board.piece(row, left, dice.randrange(left, 40) + 1)
                _y, _x, whole = Painted.piece(board, row, 0, 40)
                there = whole.part(x, x + len(line))
                assert (y, line.text, line.pens) == (row, there.text, there.pens)


async def test_what_is_painted_is_what_stands_there(draw):
    dice = random.Random(2)
    async with painter(Shown) as (pilot, glass):
        board, cells = pilot.app.query_one(Board), Cells(40, 12)
        for time in range(60):
            resized = time % 20 == 10
            if resized:  # and back: all is drawn anew
                board.styles.width = 38
                await pilot.pause()
                board.styles.width = 40
                await pilot.pause()
            draw(board, cells := scribbled(cells, dice))
            if resized or time % 3 == 0:
                await pilot.pause()
            assert "".join(glass.look()).split() == "".join(glass.wanted).split()
