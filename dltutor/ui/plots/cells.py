"""A rectangle of character cells as three arrays: glyph, foreground, background. Everything a plot draws ends here.

A colour is an int: DEFAULT (-1) is the terminal's own, 0..255 an xterm-256 entry, TRUE | 0xRRGGBB true colour.
A wide character (Chinese) takes two cells: its code, then FILLER.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from rich._palettes import EIGHT_BIT_PALETTE, STANDARD_PALETTE
from rich.cells import get_character_cell_size
from rich.color import Color
from rich.palette import Palette
from rich.segment import Segment
from rich.style import Style

DEFAULT = -1
BLANK = -2  # in the place of a foreground: none shows
TRUE = 1 << 24
FILLER = 0
SPACE = 32
_FIRST_WIDE = 0x2E80


class Cells:
    """A `width` x `height` rectangle, or a window into one (`window`), which shares its arrays."""

    __slots__ = ("bg", "ch", "fg", "x", "y")

    def __init__(self, width: int, height: int) -> None:
        self.x = self.y = 0  # of a window: where it begins in the whole
        shape = (max(0, height), max(0, width))
        self.ch = np.full(shape, SPACE, np.int32)
        self.fg = np.full(shape, DEFAULT, np.int32)
        self.bg = np.full(shape, DEFAULT, np.int32)

    @property
    def width(self) -> int:
        return self.ch.shape[1]

    @property
    def height(self) -> int:
        return self.ch.shape[0]

    def window(self, x: int, y: int, width: int, height: int) -> Cells:
        """The part of these cells inside the rectangle: drawing there draws here."""
        rows = slice(max(0, y), max(0, y + height))
        columns = slice(max(0, x), max(0, x + width))
        part = Cells.__new__(Cells)
        part.x, part.y = self.x + columns.start, self.y + rows.start
        part.ch, part.fg, part.bg = self.ch[rows, columns], self.fg[rows, columns], self.bg[rows, columns]
        return part

    def copy(self) -> Cells:
        twin = Cells.__new__(Cells)
        twin.x, twin.y = self.x, self.y
        twin.ch, twin.fg, twin.bg = self.ch.copy(), self.fg.copy(), self.bg.copy()
        return twin

    def copy_with(self, part: Cells) -> tuple[Cells, Cells]:
        """A copy, and in it the window that `part` is in these."""
        twin = self.copy()
        return twin, twin.window(part.x - self.x, part.y - self.y, part.width, part.height)

    def text(self, x: int, y: int, text: str, fg: int = DEFAULT, bg: int | None = None) -> int:
        """Write `text` from (x, y), cut at the edges; returns the column after it. `bg` None leaves the background."""
        if not 0 <= y < self.height:
            return x + width_of(text)
        if text.isascii():
            return self._ascii(x, y, text, fg, bg)
        for character in text:
            x = self._character(x, y, character, fg, bg)
        return x

    def _ascii(self, x: int, y: int, text: str, fg: int, bg: int | None) -> int:
        start, end = max(x, 0), min(x + len(text), self.width)
        if start < end:
            self.ch[y, start:end] = list(text[start - x : end - x].encode())
            self.fg[y, start:end] = fg
            if bg is not None:
                self.bg[y, start:end] = bg
        return x + len(text)

    def _character(self, x: int, y: int, character: str, fg: int, bg: int | None) -> int:
        size = get_character_cell_size(character)
        if size and x >= 0 and x + size <= self.width:
            cell = slice(x, x + size)
            self.ch[y, cell] = FILLER
            self.ch[y, x] = ord(character)
            self.fg[y, cell] = fg
            if bg is not None:
                self.bg[y, cell] = bg
        return x + size

    def put(self, x: Any, y: Any, glyph: str, fg: int) -> None:
        """Set one glyph at all (x, y) that lie inside; x and y are int arrays or ints."""
        x, y = np.broadcast_arrays(np.atleast_1d(x), np.atleast_1d(y))
        inside = (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)
        self.ch[y[inside], x[inside]] = ord(glyph)
        self.fg[y[inside], x[inside]] = fg

    def fill(self, x: int, y: int, width: int, height: int, glyph: str, fg: int) -> None:
        """Set one glyph all over a rectangle, cut at the edges."""
        area = (slice(max(0, y), max(0, y + height)), slice(max(0, x), max(0, x + width)))
        self.ch[area] = ord(glyph)
        self.fg[area] = fg

    def paste(self, other: Cells, x: int, y: int) -> None:
        """Copy `other` to (x, y), cut at the right and lower edges."""
        part = self.window(x, y, other.width, other.height)
        size = (slice(part.height), slice(part.width))
        part.ch[:], part.fg[:], part.bg[:] = other.ch[size], other.fg[size], other.bg[size]

    # ---------------------------------------------------------------- out

    def rows(self) -> list[str]:
        """The text of each row."""
        return ["".join(map(chr, row[row != FILLER].tolist())) for row in whole_glyphs(self.ch)]

    def plain(self) -> str:
        """The text, without spaces at the ends of lines."""
        return "\n".join(row.rstrip() for row in self.rows())

    def ansi(self) -> str:
        """The text with colour escapes, a line a row."""
        return "\n".join(self._ansi_row(y) for y in range(self.height))

    def _ansi_row(self, y: int) -> str:
        parts = [f"\x1b[0{codes(fg)}{codes(bg, 10)}m{text}" for text, fg, bg in self.runs(y)]
        return "".join(parts) + "\x1b[0m" if parts else ""

    def segments(self, y: int, fg: int = DEFAULT, bg: int = DEFAULT) -> list[Segment]:
        """Row `y` for Rich and Textual, with `fg` and `bg` where the plot leaves them open."""
        return [
            Segment(text, style(fg if front == DEFAULT else front, bg if back == DEFAULT else back))
            for text, front, back in self.runs(y)
        ]

    def runs(self, y: int) -> Iterator[tuple[str, int, int]]:
        """Row `y` as (text, fg, bg) of one colour each. A blank shows no foreground, so it never ends a run."""
        if not self.width:
            return
        ch = whole_glyphs(self.ch[y : y + 1])[0]
        fg, bg = _carried(self.fg[y], ch == SPACE), self.bg[y]
        cut = np.flatnonzero((fg[1:] != fg[:-1]) | (bg[1:] != bg[:-1])) + 1
        starts = [0, *cut.tolist()]
        letters = _decoded(ch)
        for start, end, front, back in zip(
            starts, [*starts[1:], self.width], fg[starts].tolist(), bg[starts].tolist(), strict=True
        ):
            yield letters[start:end].replace("\0", ""), front, back

    def letters(self, y: int) -> str:
        """Row `y`, a character a cell; halves of wide ones are as they were drawn."""
        return _decoded(self.ch[y])

    def colours(self, y: int, left: int, right: int) -> Iterable[tuple[int, int]]:
        """Foreground (BLANK where none shows) and background of each cell of a row."""
        ch, fg, bg = self.ch[y, left:right], self.fg[y, left:right], self.bg[y, left:right]
        return zip(np.where(ch == SPACE, BLANK, fg).tolist(), bg.tolist(), strict=True)

    def changed(self, old: Cells) -> list[tuple[int, int, int]]:
        """(row, first column, column after the last) wherever these cells differ from `old` of the same size."""
        differs = (self.ch != old.ch) | (self.fg != old.fg) | (self.bg != old.bg)
        spans = []
        for row in np.flatnonzero(differs.any(axis=1)).tolist():
            columns = np.flatnonzero(differs[row])
            spans.append((row, int(columns[0]), int(columns[-1]) + 1))
        return spans


def whole_glyphs(ch: np.ndarray) -> np.ndarray:
    """`ch` with halves of wide characters, whose other half was drawn over, replaced by blanks."""
    if not ch.size or (ch.min() > FILLER and ch.max() < _FIRST_WIDE):
        return ch
    fillers, wide = ch == FILLER, _is_wide(ch)
    healed = ch.copy()
    healed[fillers & ~_shifted(wide, 1)] = SPACE
    healed[wide & ~_shifted(fillers, -1)] = SPACE
    return healed


def _is_wide(ch: np.ndarray) -> np.ndarray:
    """Wide characters lie in a few blocks (Unicode's EastAsianWidth); the glyphs of the plots are in none of them."""
    wide = np.zeros(ch.shape, bool)
    for first, last in (
        (_FIRST_WIDE, 0xD7A3),
        (0xF900, 0xFAFF),
        (0xFE30, 0xFE6F),
        (0xFF01, 0xFF60),
        (0x1F300, 0x3FFFD),
    ):
        wide |= (ch >= first) & (ch <= last)
    return wide


def _shifted(mask: np.ndarray, by: int) -> np.ndarray:
    out = np.zeros_like(mask)
    if by > 0:
        out[:, by:] = mask[:, :-by]
    else:
        out[:, :by] = mask[:, -by:]
    return out


def _carried(colour: np.ndarray, blank: np.ndarray) -> np.ndarray:
    """Each blank takes the colour of the glyph before it."""
    if not blank.any():
        return colour
    source = np.maximum.accumulate(np.where(blank, 0, np.arange(colour.size)))
    return colour[source]


def _decoded(ch: np.ndarray) -> str:
    return ch.astype("<u4").tobytes().decode("utf-32-le")


def width_of(text: str) -> int:
    """How many cells `text` takes."""
    return sum(map(get_character_cell_size, text))


def cut(text: str, width: int, more: str = "…") -> str:
    """`text` in at most `width` cells; `more` at its end where something is missing."""
    if width_of(text) <= width:
        return text
    room = width - width_of(more)
    if room <= 0:
        return more if room == 0 else ""
    kept = ""
    for character in text:
        if width_of(kept + character) > room:
            break
        kept += character
    return kept + more


# ---------------------------------------------------------------- colours on their way out


def codes(colour: int, shift: int = 0) -> str:
    """SGR parameters for `colour`, each after a semicolon; shift 10 is for the background."""
    if colour == DEFAULT:
        return ""
    if colour >= TRUE:
        return f";{38 + shift};2;{colour >> 16 & 255};{colour >> 8 & 255};{colour & 255}"
    if colour < 16:
        return f";{(30 if colour < 8 else 82) + colour + shift}"
    return f";{38 + shift};5;{colour}"


def rgb(colour: int) -> tuple[int, int, int]:
    """Red, green and blue of a colour that is not DEFAULT."""
    if colour >= TRUE:
        return colour >> 16 & 255, colour >> 8 & 255, colour & 255
    palette: Palette = STANDARD_PALETTE if colour < 16 else EIGHT_BIT_PALETTE
    return tuple(palette[colour])  # type: ignore[return-value]


@lru_cache(maxsize=20_000)
def style(fg: int, bg: int) -> Style:
    """A Rich style. Entries go as their RGB values: Textual's filters replace numbered colours, and Rich maps back."""
    return Style(color=_rich(fg), bgcolor=_rich(bg))


def _rich(colour: int) -> Color | None:
    if colour == DEFAULT:
        return None
    if 232 <= colour < 256:
        # Rich divides the greys into 25 equal steps; this is the grey that it maps back to the entry.
        level = round((colour - 231) * 255 / 25)
        return Color.from_rgb(level, level, level)
    return Color.from_rgb(*rgb(colour))
