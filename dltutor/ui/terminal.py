"""Few bytes to the terminal, and one frame at a time. This and driver.py alone touch Textual's private names.

Textual repaints a dirty region from the widget's left edge on, with a full colour prefix and a reset around every
piece: a live loss curve costs 537 bytes an update, a whole widget 10,000. This mixin keeps a model of what the
terminal shows, sends the difference, and carries colours from one piece to the next: about 100 bytes.

Private names used (textual 8.2, each held by a test): App._batch_count, _display, _driver, _handle_exception,
_sync_available; Screen._compositor (visible_widgets), _layout_required, _on_timer_update; Widget._styles_cache
(set_dirty); from textual._compositor CompositorUpdate (render_segments), LayoutUpdate (strips, region), ChopsUpdate
(chops, chop_ends, spans); from textual._ansi_sequences SYNC_START, SYNC_END; Console._color_system. On anything
unexpected the update goes to Textual's own encoder, and the model starts anew.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.cells import get_character_cell_size
from rich.color import ColorSystem
from rich.style import Style
from textual import events
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.filter import Monochrome, NoColor
from textual.geometry import NULL_REGION, Region
from textual.screen import Screen
from textual.strip import Strip

from dltutor.page import LIVE, DrawingTurns, Page
from dltutor.ui.pacer import KEY_FIRST, Attention, Beat, Pacer

if TYPE_CHECKING:
    from rich.console import Console
    from textual.app import App
    from textual.driver import Driver
    from textual.widget import Widget

    from dltutor.ui.widgets.painted import Painted

    _Base = App[Any]
else:
    _Base = object


class Pen(NamedTuple):
    """How a cell is written: SGR parameters of attributes, foreground and background, and a hyperlink."""

    attributes: str = ""
    fg: str = "39"
    bg: str = "49"
    link: str = ""


_SYSTEMS = {"true": ColorSystem.TRUECOLOR, "256": ColorSystem.EIGHT_BIT, "16": ColorSystem.STANDARD}
_PLAIN = Pen()
_UNKNOWN = Pen("unknown")  # of a cell whose content on the terminal is not known: equal to no other
_ANY_FG = ""  # a blank shows no foreground: whatever is set may stay
_OFF = {"1": "22", "2": "22", "3": "23", "4": "24", "7": "27", "9": "29"}  # what ends bold, dim, italic, ...
_UNSEEN_ON_BLANKS = {"1", "2", "3"}
SLOWEST_UNDER_KEYS = 3.0  # drawings a second that there may be however many keys there are


@lru_cache(maxsize=20_000)
def pen_of(style: Style | None, system: ColorSystem) -> Pen:
    """The pen of a Rich style."""
    if style is None:
        return _PLAIN
    fg = ";".join(style.color.downgrade(system).get_ansi_codes()) if style.color else "39"
    bg = ";".join(style.bgcolor.downgrade(system).get_ansi_codes(False)) if style.bgcolor else "49"
    link = f"id={style.link_id};{style.link}" if style.link else ""
    return Pen(Strip.render_ansi(style.without_color, system), fg, bg, link)


@lru_cache(maxsize=4096)
def blank(pen: Pen) -> Pen:
    """The pen for a space: without attributes its foreground does not show."""
    return pen if pen.attributes or pen.link else Pen("", _ANY_FG, pen.bg)


@dataclass
class Line:
    """Cells side by side: the text of each ("" is the right half of a wide character) and its pen.

    `fragile`: terminals may disagree about how wide this text is (emoji, combining marks), so it is sent as a whole.
    """

    text: list[str] = field(default_factory=list)
    pens: list[Pen] = field(default_factory=list)
    fragile: bool = False

    def __len__(self) -> int:
        return len(self.text)

    def part(self, start: int, end: int) -> Line:
        return Line(self.text[start:end], self.pens[start:end], self.fragile)


def line_of(strips: Iterable[Strip], system: ColorSystem) -> Line:
    """The cells of strips that stand side by side."""
    line = Line()
    for strip in strips:
        for text, style, control in strip:
            if not control:
                _append(line, text, pen_of(style, system))
    return line


# Printable characters of one cell about which all terminals agree: Latin, dashes, arrows, lines, blocks, braille.
is_simple = re.compile("[ -~\u00a1-\u02ff\u2010-\u2027\u2190-\u25fc\u2600-\u28ff]*").fullmatch
# Those about which they do not: combining marks, joiners, variation selectors, emoji.
_fragile = re.compile("[\u0300-\u036f\u200b-\u200f\u20d0-\u20ff\ufe00-\ufe0f\U0001f000-\U0001ffff]").match


def _append(line: Line, text: str, pen: Pen) -> None:
    if not is_simple(text):
        for character in text:
            _append_character(line, character, pen)
        return
    line.text.extend(text)
    if " " not in text:
        line.pens.extend([pen] * len(text))
    elif text.isspace():
        line.pens.extend([blank(pen)] * len(text))
    else:
        on_blank = blank(pen)
        line.pens.extend([on_blank if character == " " else pen for character in text])


def _append_character(line: Line, character: str, pen: Pen) -> None:
    size = get_character_cell_size(character)
    line.fragile = line.fragile or size == 0 or bool(_fragile(character))
    if size == 0:
        if line.text:
            line.text[-1] += character
        return
    line.text.extend([character, ""][:size])
    line.pens.extend([blank(pen) if character == " " else pen] * size)


Piece = tuple[int, int, Line]
"""A row, a column, and the cells from there on."""


# ---------------------------------------------------------------- the difference


class Difference:
    """A model of the screen, and what must be sent so that the terminal shows something else."""

    def __init__(self) -> None:
        self._rows: dict[int, Line] = {}

    def forget(self) -> None:
        """The terminal's content is no longer known: everything will be sent again as it comes."""
        self._rows.clear()

    def encode(self, pieces: Iterable[Piece], width: int) -> str:
        """What puts `pieces` on the terminal, given what it shows already."""
        return self.encode_some(pieces, width, math.inf)[0]

    def encode_some(self, pieces: Iterable[Piece], width: int, room: float) -> tuple[str, int]:
        """The first pieces until `room`, in bytes, is used up; and how many these are."""
        pencil, count = Pencil(width), 0
        for y, x, new in pieces:
            row = self._row(y, max(width, x + len(new)))
            old = row.part(x, x + len(new))
            for start, end in changes(old, new):
                pencil.write(y, x, new, start, end)
            row.text[x : x + len(new)] = new.text
            row.pens[x : x + len(new)] = new.pens
            row.fragile = row.fragile or new.fragile
            count += 1
            if room < math.inf and pencil.size >= room:
                break
        return pencil.done(), count

    def _row(self, y: int, width: int) -> Line:
        row = self._rows.setdefault(y, Line())
        missing = width - len(row)
        if missing > 0:
            row.text.extend(["?"] * missing)
            row.pens.extend([_UNKNOWN] * missing)
        return row


def changes(old: Line, new: Line) -> list[tuple[int, int]]:
    """The runs of cells in which `new` differs from `old`; short equal gaps are sent along, halves never alone."""
    if old.text == new.text and old.pens == new.pens:
        return []
    if old.fragile or new.fragile:
        return [(0, len(new))]
    differ = [
        i for i, (a, b, p, q) in enumerate(zip(old.text, new.text, old.pens, new.pens, strict=True)) if a != b or p != q
    ]
    runs, start, end = [], differ[0], differ[0] + 1
    for i in differ[1:]:
        if i != end and not _cheap(new, end, i):
            runs.append((start, end))
            start = i
        end = i + 1
    runs.append((start, end))
    return [_whole(new, start, end) for start, end in runs] if "" in new.text else runs


def _cheap(line: Line, start: int, end: int) -> bool:
    """Whether sending the cells between two runs takes no more bytes than moving over them."""
    pen = line.pens[start - 1]
    return end - start <= 3 and line.pens[start:end].count(pen) == end - start and _size(line.text[start:end]) <= 4


def _size(text: list[str]) -> int:
    return len("".join(text).encode())


def _whole(line: Line, start: int, end: int) -> tuple[int, int]:
    """The run widened to whole wide characters."""
    while start > 0 and not line.text[start]:
        start -= 1
    while end < len(line) and not line.text[end]:
        end += 1
    return start, end


@lru_cache(maxsize=20_000)
def switched(now: Pen, pen: Pen) -> tuple[str, Pen]:
    """What must be sent to go from one pen to another, and the pen that is then set."""
    link = f"\x1b]8;{pen.link or ';'}\x1b\\" if pen.link != now.link else ""
    old, new = ({code for code in each.attributes.split(";") if code} for each in (now, pen))
    if pen.fg == _ANY_FG and old <= _UNSEEN_ON_BLANKS:
        pen, new = pen._replace(attributes=now.attributes), old
    codes = _turned(old, new)
    if codes is None:
        codes, now = ["0", *pen.attributes.split(";")], Pen()
    fg = pen.fg or now.fg
    codes += [code for code, last in ((fg, now.fg), (pen.bg, now.bg)) if code != last]
    return link + (f"\x1b[{';'.join(codes)}m" if codes else ""), pen._replace(fg=fg)


def _turned(old: set[str], new: set[str]) -> list[str] | None:
    """What turns some attributes off and others on, and leaves the colours; None where that is not known."""
    gone, come = old - new, new - old
    if not gone <= _OFF.keys():
        return None
    off = {_OFF[code] for code in gone}
    return [*sorted(off), *sorted(come | {code for code in new if _OFF.get(code) in off})]


class Pencil:
    """Writes runs of cells with as few moves and colour changes as it can; starts and ends with plain colours."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._out: list[str] = []
        self._pen = _PLAIN
        self._at: tuple[int, int] | None = None  # row, column of the cursor, where that is certain

    def write(self, y: int, x: int, line: Line, start: int, end: int) -> None:
        """Cells of a line that begins at (x, y)."""
        self._move(y, x + start)
        out, last = self._out, None
        for text, pen in zip(line.text[start:end], line.pens[start:end], strict=True):
            if pen is not last and text:
                self._switch(pen)
                last = pen
            out.append(text)
        # At the right edge terminals differ: some stay on the last column, some wrap.
        self._at = (y, x + end) if x + end < self._width and not line.fragile else None

    def _move(self, y: int, x: int) -> None:
        if self._at == (y, x):
            return
        if self._at and self._at[0] == y and x > self._at[1]:
            steps = x - self._at[1]
            self._out.append("\x1b[C" if steps == 1 else f"\x1b[{steps}C")
        else:
            self._out.append(f"\x1b[{y + 1};{x + 1}H")

    def _switch(self, pen: Pen) -> None:
        if pen is not self._pen:
            codes, self._pen = switched(self._pen, pen)
            self._out.append(codes)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return _size(self._out)

    def done(self) -> str:
        if self._pen.link:
            self._out.append("\x1b]8;;\x1b\\")
        if self._pen[:3] != _PLAIN[:3]:
            self._out.append("\x1b[m")
        return "".join(self._out)


# ---------------------------------------------------------------- Textual's updates


def pieces_of(update: CompositorUpdate, system: ColorSystem) -> Iterator[Piece]:
    """What an update of Textual's puts on the screen, as (row, column, cells)."""
    if isinstance(update, LayoutUpdate):
        for y, strips in enumerate(update.strips, update.region.y):
            yield y, update.region.x, line_of(strips, system)
    elif isinstance(update, ChopsUpdate):
        yield from _chops(update, system)
    else:
        raise TypeError(f"no update known: {update!r}")


def _chops(update: ChopsUpdate, system: ColorSystem) -> Iterator[Piece]:
    """Rows are cut into chops, columns to strips; of each only what lies left of a dirty span's end is current."""
    for y, left, right in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is not None and x < right and end > left:
                line = line_of([strip], system)
                yield y, x, line.part(0, min(end, right) - x) if right < end else line


Gaps = dict[int, tuple[int, int]]
"""By rows: a first column, and the column after the last."""


def around(gaps: Gaps, pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces without the gaps."""
    for y, x, line in pieces:
        left, right = (min(max(0, end - x), len(line)) for end in gaps.get(y, (x, x)))
        if left < right:
            yield y, x, line.part(0, left)
            yield y, x + right, line.part(right, len(line))
        else:
            yield y, x, line


class _Encoded(CompositorUpdate):
    """Textual's update, rendered by ours. Rendered only when it is really written, so the model stays true."""

    def __init__(self, update: CompositorUpdate, difference: Difference, width: int, gaps: Gaps) -> None:
        self._update = update
        self._difference = difference
        self._width = width
        self._gaps = gaps

    def render_segments(self, console: Console) -> str:
        system = console._color_system or ColorSystem.TRUECOLOR
        try:
            return self._difference.encode(around(self._gaps, pieces_of(self._update, system)), self._width)
        except Exception:  # whatever has changed inside Textual: its own encoder knows
            self._difference.forget()
            return self._update.render_segments(console)


class TerminalMixin(_Base):
    """Mix in before App. `redraw` sends everything anew when something else wrote on the terminal.

    Where the application has a `plot_look`, all its colours follow that depth.

    What draws by itself (live plots) asks `may_draw` before, and draws within `frame`. A widget that knows its rows
    may `paint` them past the compositor, which takes five times as long as all else. A slow line is sent no more of
    them at once than keeps keys quick; it `owes` the others.
    """

    page: Page | None = None  # shared with a class server
    turns: DrawingTurns | None = None  # shared with all of its sessions
    _difference: Difference | None = None
    _difference_size: Any = None
    _painted: list[str] | None = None  # in a frame: what goes out at its end
    _room = math.inf  # bytes that the line has left, in a frame
    _question_due = False  # behind what Textual displays next
    _spent = 0.0  # seconds of processor until the last frame

    def get_driver_class(self) -> type[Driver]:
        """Ours in the place of Textual's for terminals; one that was asked for by name stays."""
        driver = super().get_driver_class()
        if driver.__name__ != "LinuxDriver":  # another system, or a browser
            return driver
        from dltutor.ui.driver import TutorDriver

        return TutorDriver

    # ------------------------------------------------------------ when to draw

    @cached_property
    def pacer(self) -> Pacer:
        return Pacer()

    @cached_property
    def attention(self) -> Attention:
        return Attention()

    @cached_property
    def _beat(self) -> Beat:
        return Beat()

    @cached_property
    def _owing(self) -> dict[Painted, None]:
        """Widgets of which the terminal has yet to be sent something, in their order."""
        return {}

    @property
    def rate(self) -> float:
        """Drawings a second that are worth it, and that a class server grants; 0: nobody looks, infinite: all."""
        return min(self.attention.rate, self.page.rate if self.page else math.inf)

    def congested(self) -> bool:
        """Whether what was drawn last is still on its way out of this machine."""
        writing = getattr(self._driver, "congested", bool)
        return bool(self.page and self.page.congested) or writing()

    def may_draw(self) -> bool:
        """Whether the terminal has shown the last frame, the rate allows another one, somebody looks, and not too many
        others draw."""
        in_time = self.pacer.may_draw() and not self.congested() and self._beat.allows(self.rate)
        return in_time and not self._answers_a_key and (not self.turns or self.turns.has_one)

    @property
    def _answers_a_key(self) -> bool:
        """Whether what a key has changed may not be shown yet. Who holds a key down sees the charts move, too."""
        held_down = self.attention.since_first_key >= 1 / SLOWEST_UNDER_KEYS
        return self.attention.since_key < KEY_FIRST and not (held_down and self._beat.allows(SLOWEST_UNDER_KEYS))

    @property
    def pause_of_drawing(self) -> float:
        """Seconds in which `may_draw` need not be asked."""
        return self._beat.left(self.rate)

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Around the drawing of a picture: what is painted goes out in one piece, and its arrival is asked for."""
        with self._in_one_piece():
            yield
        self._beat.drawn(self.rate or math.inf)
        if self.page:
            self._account(self.page)

    @contextmanager
    def _in_one_piece(self) -> Iterator[None]:
        self._painted, self._question_due, self._room = [], False, self.pacer.room
        with self.turns or nullcontext():
            yield
        painted, self._painted = "".join(self._painted), None
        if painted:
            self._send(painted, "" if self._question_due else self._question(len(painted.encode())))
        else:
            self._question_due = True
        if self._owing:
            self.set_timer(Pacer.PATIENCE, self._pay)

    def owe(self, widget: Painted) -> None:
        """What this widget could not paint will be asked of it again, once the terminal has shown what it could."""
        self._owing[widget] = None

    def _gaps(self) -> Gaps:
        """What is owed: all the rest of the screen, with the answer to a key perhaps, does not wait for it."""
        places = ((widget, self._clear_place(widget)) for widget in self._owing)
        owed = ((place, change) for widget, place in places if place for change in widget.owed)
        return {place.y + y: (place.x + left, place.x + right) for place, (y, left, right) in owed}

    def _pay(self) -> None:
        """The next part of what is owed; not while a key is answered."""
        if self._answers_a_key:
            self.set_timer(KEY_FIRST, self._pay)
        elif self._owing and not self.pacer.is_waiting:
            owing = list(self._owing)
            self._owing.clear()
            with self._in_one_piece():
                for widget in owing:
                    widget.repaint(())

    def _account(self, page: Page) -> None:
        """What a drawing costs: all that this process did since the last one, as long as they follow each other."""
        now, spent = time.monotonic(), time.process_time()
        if now - page.drawn < LIVE:
            cost = spent - self._spent
            page.cost = page.cost * 0.9 + cost * 0.1 if page.cost else cost
        page.drawn, self._spent = now, spent
        page.drawings += 1

    def _question(self, size: int = 0) -> str:
        """What asks the terminal whether it has come so far, behind so many bytes."""
        if not self._has_terminal:
            return ""
        self.pacer.asked(size)
        return Pacer.QUESTION

    @property
    def _has_terminal(self) -> bool:
        return os.name == "posix" and not (self.is_headless or self.is_web or self.is_inline)

    def on_cursor_position(self, _event: events.CursorPosition) -> None:
        self.pacer.answered()
        if self.page and self.pacer.round_trip is not None:
            self.page.round_trip = self.pacer.round_trip
        self._pay()

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.AppFocus | events.AppBlur):
            self.attention.focused(isinstance(event, events.AppFocus))
        elif isinstance(event, events.InputEvent | events.Paste):
            self.attention.touched()
        await super().on_event(event)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """A cursor that blinks would cost bytes for as long as it is there."""
        if hasattr(event.widget, "cursor_blink"):
            event.widget.cursor_blink = False

    # ------------------------------------------------------------ past the compositor

    @property
    def colour_system(self) -> ColorSystem:
        """How many colours the terminal is sent."""
        return self.console._color_system or ColorSystem.TRUECOLOR

    def paint(self, widget: Widget, pieces: Iterable[Piece]) -> int | None:
        """Put pieces of a widget's content on the terminal at once: so many of the first, those that the line has room
        for. None where the compositor has to draw them."""
        try:
            place = self._clear_place(widget)
            painted, count = ("", 0) if place is None else self._painting(widget, place, list(pieces))
        except Exception:  # whatever has changed inside Textual: its compositor knows
            self._forget()
            place = None
        if place is None:
            self._question_due = self._question_due or (self._painted is not None and widget.display)
            return None
        if self._painted is not None:
            self._painted.append(painted)
        elif painted:
            self._send(painted)
        return count

    def _painting(self, widget: Widget, place: Region, pieces: list[Piece]) -> tuple[str, int]:
        assert self._difference
        above, room = widget.gutter.top, math.inf if self._painted is None else self._room
        widget._styles_cache.set_dirty(*(Region(0, above + y, 1, 1) for y, _x, _line in pieces))
        if room <= 0:
            return "", 0
        placed = ((place.y + y, place.x + x, line) for y, x, line in pieces)
        painted, count = self._difference.encode_some(placed, self.size.width, room)
        self._room = room - len(painted.encode())
        return painted, count

    def _clear_place(self, widget: Widget) -> Region | None:
        """Where a widget's content stands on the terminal, if all of it is seen and shown as the widget draws it."""
        screen = self.screen
        if not self._is_painting or widget.screen is not screen or screen._layout_required:
            return None
        seen = screen._compositor.visible_widgets
        place, shown = seen.get(widget, (NULL_REGION, NULL_REGION))
        for other, (region, clip) in seen.items():  # from the front to the back
            if other is widget:
                break
            if region.intersection(clip).overlaps(place):
                return None
        return place.shrink(widget.gutter) if place and shown.contains_region(place) else None

    @property
    def _is_painting(self) -> bool:
        """Whether the terminal is known and free; not where a filter changes all colours."""
        known = self._difference is not None and self._difference_size == self.size and self.is_running
        plain = not any(isinstance(filter, Monochrome | NoColor) for filter in self.get_line_filters())
        return known and plain and self._has_terminal and not self._batch_count and not self.congested()

    def _send(self, data: str, question: str = "") -> None:
        """Write what was painted; leave the cursor where Textual wants it, as an input method shows its words there."""
        start, end = (SYNC_START, SYNC_END) if self._sync_available else ("", "")
        x, y = self.screen.outer_size.clamp_offset(self.cursor_position)
        assert self._driver
        self._driver.write(f"{start}{data}\x1b[{y + 1};{x + 1}H{end}{question}")
        self._driver.flush()

    # ------------------------------------------------------------ what Textual displays

    def _display(self, screen: Any, renderable: Any) -> None:
        super()._display(screen, self._encoded(renderable))
        if self._question_due and renderable is not None and self._driver is not None:
            self._question_due = False
            self._driver.write(self._question())
            self._driver.flush()

    def _encoded(self, update: Any) -> Any:
        if not isinstance(update, (LayoutUpdate, ChopsUpdate)) or not self.is_running:
            if update is not None:
                self._forget()
            return update
        if self._difference is None:
            self._difference = Difference()
            self._question_due = True  # whether it answers at all is known before the first chart
            self.app_resume_signal.subscribe(self, self._forget, immediate=True)  # before all is drawn anew
            self._follow_look()
        if self._difference_size != self.size:
            self._difference_size = self.size
            self._forget()
        return _Encoded(update, self._difference, self.size.width, self._gaps())

    def _follow_look(self) -> None:
        """Where our look knows the terminal better than Rich does, Rich's rounding would tint the plots' colours."""
        look = getattr(self, "plot_look", None)
        if look is not None and look.depth in _SYSTEMS:
            self.console._color_system = _SYSTEMS[look.depth]

    def _forget(self, _app: object = None) -> None:
        if self._difference is not None:
            self._difference.forget()

    def _handle_exception(self, error: Exception) -> None:
        """A fault that was not foreseen. It is told once the terminal is as it was before."""
        self.rescue()
        super()._handle_exception(self.in_place_of(error))

    def rescue(self) -> None:
        """Keep what can be kept, after a fault."""

    def in_place_of(self, error: Exception) -> Exception:
        """What is told of a fault: here, itself."""
        return error

    def redraw(self) -> None:
        """Send the whole screen anew."""
        self._forget()
        self.screen.refresh()


# ---------------------------------------------------------------- no frames in a queue

_repaint = Screen._on_timer_update


def _repaint_in_time(screen: Screen) -> None:
    """Not while the last frame is still on its way: what is dirty stays so, and frames become one.

    Textual queues 30 of them; a key that comes then waits for all. The timer that calls this goes on until it is done.
    """
    app = screen.app
    if not (isinstance(app, TerminalMixin) and app.congested()):
        _repaint(screen)


Screen._on_timer_update = _repaint_in_time  # type: ignore[assignment,method-assign]  # of every screen, also those of Textual
