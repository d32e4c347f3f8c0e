"""The cell diff shows exactly what Textual alone would show, in far fewer bytes."""

from __future__ import annotations

import inspect
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pyte
import pytest
import textual
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from screens import until
from textual import _ansi_sequences, _compositor, events
from textual._styles_cache import StylesCache
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.drivers.headless_driver import HeadlessDriver
from textual.geometry import Region
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Footer, Input, Label, Markdown

from dltutor.page import DrawingTurns, Page
from dltutor.ui.pacer import Attention, Beat, Pacer
from dltutor.ui.plots import curves, demo, heat
from dltutor.ui.plots.cells import Cells
from dltutor.ui.plots.look import Look
from dltutor.ui.terminal import KEY_FIRST, Difference, Line, TerminalMixin, line_of
from dltutor.ui.widgets.painted import Painted

pytestmark = pytest.mark.usefixtures("brisk")

CHINESE = "# 线性回归\n\n模型 `y = wx + b`，**损失**是均方误差。\n\n" + "梯度下降一步一步地走。\n\n" * 12


class Capture(HeadlessDriver):
    """A driver that keeps what is written."""

    written: list[str]
    busy = False

    def congested(self) -> bool:
        return self.busy

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.__dict__.setdefault("written", []).append(data)

    def take(self) -> str:
        data = "".join(self.__dict__.get("written", []))
        self.written = []
        return data


class Plot(Widget):
    """Cells, repainted where they changed: as the application's board does it."""

    DEFAULT_CSS = "Plot { width: 1fr; height: 1fr; }"
    cells: Cells | None = None
    kind = curves
    pictures = staticmethod(demo.curves)
    look = Look("true")

    def show(self, step: int) -> None:
        width, height = self.size
        old, self.cells = self.cells, self.kind.draw(self.pictures(step), width, height, self.look, title="loss")
        if old is None or (old.width, old.height) != (width, height):
            self.refresh()
        elif changed := self.cells.changed(old):
            self.refresh(*(Region(left, y, right - left, 1) for y, left, right in changed))

    def render_line(self, y: int) -> Strip:
        if self.cells is None or y >= self.cells.height:
            return Strip.blank(self.size.width, self.rich_style)
        return Strip(self.cells.segments(y), self.cells.width)


class Box(ModalScreen[None]):
    CSS = "Box { align: center middle; background: $background 60%; } Label { border: round $accent; width: 20; }"

    def compose(self) -> ComposeResult:
        yield Label("确定要退出吗？ Really leave? [b]bold[/b] [link='https://example.org']link[/link]")


class Other(Screen[None]):
    def compose(self) -> ComposeResult:
        yield Input("输入一个数")
        yield Label("e\u0301 👩‍🔬 combining and emoji")


class Plain(App[None]):
    CSS = "Screen { layout: horizontal; } VerticalScroll { width: 31; } #mark { width: 7; offset: 3 2; layer: top; }"

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Markdown(CHINESE)
        yield Plot()
        yield Footer()


class Frugal(TerminalMixin, Plain):
    pass


async def at_rest(pilot: Pilot) -> None:
    """All is painted: what is under a dialog, too, and the dialog over it."""
    for _time in range(2):
        for screen in pilot.app.screen_stack:
            screen._on_timer_update()
            await pilot.pause()


async def _tour(app: App[None], after_each) -> None:
    """Everything a screen can do: plots, scrolling, a modal screen over moving plots, another screen, a resize."""
    async with app.run_test(headless=False, size=(90, 30)) as pilot:
        plot, scroll = app.query_one(Plot), app.query_one(VerticalScroll)
        await until(pilot, lambda: len(app.query("MarkdownParagraph")) == 13)  # it was parsed, in a thread
        await at_rest(pilot)
        for step in (100, 110, 120, 300):
            plot.show(step)
            await at_rest(pilot)
            after_each("plot")
        for _ in range(3):
            scroll.scroll_relative(y=1, animate=False)
            await at_rest(pilot)
            after_each("scroll")
        app.push_screen(Box())
        await at_rest(pilot)
        after_each("modal")
        for step in (301, 330):
            plot.show(step)
            await at_rest(pilot)
            after_each("plot under modal")
        app.pop_screen()
        await at_rest(pilot)
        after_each("modal gone")
        await app.push_screen(Other())
        app.screen.query_one(Input).cursor_blink = False  # or what is seen depends on when one looks
        await pilot.press("right", "x", "中")
        await at_rest(pilot)
        after_each("screen")
        app.pop_screen()
        await at_rest(pilot)
        await pilot.resize_terminal(71, 25)
        await until(pilot, lambda: plot.size == (40, 24))
        await at_rest(pilot)
        plot.show(400)
        await at_rest(pilot)
        after_each("resized")
        plot.show(402)
        await at_rest(pilot)
        after_each("plot after resize")


async def _screens(kind: type[App[None]]) -> tuple[list[tuple[str, list]], int]:
    """What a terminal shows after each stop of the tour, and the bytes that took."""
    app = kind(driver_class=Capture)
    screen = pyte.Screen(90, 30)
    stream = pyte.Stream(screen)
    shots: list[tuple[str, list]] = []
    total = 0

    def shoot(label: str) -> None:
        nonlocal total
        data = app._driver.take()
        total += len(data.encode())
        if app.size != (screen.columns, screen.lines):
            screen.resize(app.size.height, app.size.width)
            screen.erase_in_display(2)
        stream.feed(data)
        rows = [[_seen(screen.buffer[y][x]) for x in range(screen.columns)] for y in range(screen.lines)]
        shots.append((label, rows))

    await _tour(app, shoot)
    return shots, total


def _seen(char) -> tuple:
    """What the eye sees of a cell: a blank has no foreground."""
    fg = "" if char.data == " " and not (char.underscore or char.reverse or char.strikethrough) else char.fg
    return char.data, fg, char.bg, bool(char.underscore), bool(char.reverse)


async def test_the_terminal_shows_the_same_as_with_textuals_own_encoder():
    (ours, our_bytes), (theirs, their_bytes) = await _screens(Frugal), await _screens(Plain)
    for (label, mine), (_label, other) in zip(ours, theirs, strict=True):
        wrong = [(y, x, a, b) for y, (r, s) in enumerate(zip(mine, other, strict=True))
                 for x, (a, b) in enumerate(zip(r, s, strict=True)) if a != b]  # fmt: skip
        assert not wrong, (label, wrong[:5])
    assert our_bytes < their_bytes / 2


# ---------------------------------------------------------------- bytes


async def _bytes_of(plot: Plot, steps) -> list[int]:
    """The bytes of each update of a plot that fills the terminal."""

    class Alone(TerminalMixin, App[None]):
        def compose(self) -> ComposeResult:
            yield plot

    app = Alone(driver_class=Capture)
    sizes = []
    async with app.run_test(headless=False, size=(100, 30)) as pilot:
        glass = Glass(app)
        for step in steps:
            plot.show(step)
            await pilot.pause()
            data = app._driver.take()
            sizes.append(len(data.encode()))
            glass.stream.feed(data)
            assert glass.look() == glass.wanted  # all of it was sent
    return sizes[1:]


async def test_a_live_line_chart_costs_two_hundred_bytes_an_update():
    plot = Plot()
    plot.pictures = lambda step: demo.curves(step, seed=1)
    sizes = await _bytes_of(plot, range(620, 650))
    assert sorted(sizes)[len(sizes) // 2] <= 200
    assert max(sizes) <= 4000


async def test_an_evolving_field_with_points_costs_eight_thousand():
    for look in (Look("true"), Look("256")):
        plot = Plot()
        plot.kind, plot.look, plot.pictures = heat, look, demo.heat
        sizes = await _bytes_of(plot, range(10, 26))
        assert sum(sizes) / len(sizes) <= 8000
        assert max(sizes) <= 12000


async def test_what_does_not_change_costs_nothing():
    plot = Plot()
    assert await _bytes_of(plot, [300, 300, 300]) == [0, 0]


# ---------------------------------------------------------------- the encoder alone


def line(*pieces: tuple[str, Style | None]) -> Line:
    return line_of([Strip([Segment(text, style) for text, style in pieces])], ColorSystem.TRUECOLOR)


def sent(*lines: Line, width: int = 40, difference: Difference | None = None) -> str:
    """What is sent for the last of `lines`, shown one after the other on the first row."""
    difference = difference or Difference()
    data = ""
    for shown in lines:
        data = difference.encode([(0, 0, shown)], width)
    return data


RED = Style(color="#ff0000", bgcolor="#101010")
BLUE = Style(color="#0000ff", bgcolor="#101010")


def test_only_what_differs_is_sent():
    assert sent(line(("loss 0.25", None)), line(("loss 0.24", None))) == "\x1b[1;9H4"
    assert sent(line(("same", RED)), line(("same", RED))) == ""


def test_a_colour_is_sent_once_for_several_runs():
    data = sent(line(("a.........a", RED)), line(("b.........b", RED)))
    assert data == "\x1b[1;1H\x1b[38;2;255;0;0;48;2;16;16;16mb\x1b[9Cb\x1b[m"


def test_only_the_colour_that_changes_is_sent():
    data = sent(line(("xxxx", None)), line(("ab", RED), ("cd", BLUE)))
    assert data.count("48;2;16;16;16") == 1 and "\x1b[38;2;0;0;255mcd" in data


def test_a_blank_needs_no_foreground():
    old, new = line(("a ", RED)), line(("a", RED), (" ", BLUE))
    assert sent(old, new) == ""


def test_an_underlined_blank_does():
    data = sent(line(("  ", None)), line(("  ", Style(underline=True))))
    assert "\x1b[4m  " in data


def test_attributes_are_taken_back():
    data = sent(line(("xxx", None)), line(("a", Style(bold=True)), ("b", None)))
    assert data == "\x1b[1;1H\x1b[1ma\x1b[22mb"


def test_dim_is_not_what_is_left_of_bold():
    data = sent(line(("xxx", None)), line(("a", Style(bold=True)), ("b", Style(dim=True)), ("c", Style(bold=True))))
    assert data == "\x1b[1;1H\x1b[1ma\x1b[22;2mb\x1b[22;1mc\x1b[m"


def test_bold_stays_over_a_blank_and_an_underline_does_not():
    data = sent(
        line(("xxxxxx", None)), line(("a", Style(bold=True)), (" ", None), ("b", Style(bold=True, underline=True)))
    )
    assert data == "\x1b[1;1H\x1b[1ma \x1b[4mb\x1b[m"
    assert "\x1b[24m " in sent(line(("xx", None)), line(("a", Style(underline=True)), (" ", None)))


ATTRIBUTES = {
    "bold": "bold",
    "italic": "italics",
    "underline": "underscore",
    "reverse": "reverse",
    "strike": "strikethrough",
}


@pytest.mark.parametrize("seed", range(20))
def test_a_terminal_shows_each_cell_as_it_was_meant(seed):
    dice = random.Random(seed)
    styles = [
        Style(color=dice.choice(["red", "blue", None]), bgcolor=dice.choice(["green", None]))
        + Style(**{name: dice.random() < 0.3 for name in ATTRIBUTES})
        for _cell in range(60)
    ]
    screen = pyte.Screen(60, 1)
    pyte.Stream(screen).feed(sent(line(("." * 60, None)), line(*(("x", style) for style in styles))))
    for cell, style in zip((screen.buffer[0][x] for x in range(60)), styles, strict=True):
        assert cell.fg == (style.color.name if style.color else "default")
        assert cell.bg == (style.bgcolor.name if style.bgcolor else "default")
        assert all(getattr(cell, theirs) == bool(getattr(style, ours)) for ours, theirs in ATTRIBUTES.items())


def test_a_link_is_opened_and_closed():
    style = Style(link="https://example.org")
    data = sent(line(("xxxx", None)), line(("here", style)))
    assert ";https://example.org\x1b\\here\x1b]8;;\x1b\\" in data


def test_a_wide_character_is_sent_whole():
    old, new = line(("损失ab", None)), line(("损x ab", None))
    assert sent(old, new) == "\x1b[1;3Hx "
    assert sent(new, old) == "\x1b[1;3H失"


def test_text_whose_width_terminals_dispute_is_sent_as_a_whole():
    data = sent(line(("👩‍🔬 one", None)), line(("👩‍🔬 two", None)))
    assert "👩" in data and "two" in data


def test_the_cursor_is_placed_anew_after_the_right_edge():
    difference = Difference()
    pieces = [(0, 0, line(("ab", None))), (1, 0, line(("cd", None)))]
    assert difference.encode(pieces, 2) == "\x1b[1;1Hab\x1b[2;1Hcd"


def test_colours_follow_the_depth_of_the_terminal():
    strips = [Strip([Segment("x", Style(color="#ff8700"))])]
    assert line_of(strips, ColorSystem.EIGHT_BIT).pens[0].fg == "38;5;208"
    assert line_of(strips, ColorSystem.STANDARD).pens[0].fg in ("33", "31", "91", "93")


def test_after_forgetting_everything_is_sent_again():
    difference = Difference()
    shown = line(("loss", RED))
    sent(shown, difference=difference)
    difference.forget()
    assert "loss" in sent(shown, difference=difference)


# ---------------------------------------------------------------- past the compositor


class Rows(Painted):
    """Two lines in the middle of the screen."""

    DEFAULT_CSS = "Rows { width: 30; height: 2; offset: 3 4; background: $surface; }"
    words = ("first", "second")

    def show(self, *words: str) -> None:
        self.words = words
        self.repaint([(y, 0, self.size.width) for y in range(len(words))])

    def render_line(self, y: int) -> Strip:
        text = f"{self.words[y]:{self.size.width}.{self.size.width}}"
        return Strip([Segment(text, self.around)])


class Painter(TerminalMixin, App[None]):
    def compose(self) -> ComposeResult:
        yield Rows()
        yield Label("below")


class Glass:
    """What a terminal shows of an application."""

    def __init__(self, app: App[None]) -> None:
        self.app = app
        self.screen = pyte.Screen(*app.size)
        self.stream = pyte.Stream(self.screen)

    def look(self) -> list[str]:
        self.stream.feed(self.app._driver.take())
        return [line.rstrip() for line in self.screen.display]

    @property
    def wanted(self) -> list[str]:
        """What Textual alone would show."""
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]


@asynccontextmanager
async def painter(kind: type[App[None]] = Painter) -> AsyncIterator[tuple[Pilot, Glass]]:
    """A link that answers at once, however slow this machine is."""
    app = kind(driver_class=Capture)
    app.pacer = Pacer(lambda: 1000.0)
    async with app.run_test(headless=False, size=(90, 30), notifications=True) as pilot:
        await until(pilot, lambda: app.pacer.is_waiting)
        await pilot.pause()
        app.pacer.answered()  # for the first screen
        yield pilot, Glass(app)


async def test_what_is_in_front_is_painted_at_once():
    async with painter() as (pilot, glass):
        pilot.app.query_one(Rows).show("new", "lines")
        assert "new" in glass.look()[4] and "lines" in glass.look()[5]  # nothing was waited for
        await pilot.pause()
        assert "new" not in pilot.app._driver.take()
        pilot.app.redraw()
        await until(pilot, lambda: "new" in glass.look()[4])  # the compositor knows of it


async def test_under_a_notification_only_what_is_seen_changes():
    async with painter() as (pilot, glass):
        rows = pilot.app.query_one(Rows)
        rows.styles.offset, rows.styles.width = (58, 25), 30  # where notifications come
        pilot.app.notify("from the teacher", timeout=600)
        await until(pilot, lambda: "teacher" in "".join(glass.wanted))
        rows.show("these are words", "that are partly hidden")
        await until(pilot, lambda: glass.look() == glass.wanted)
        assert "teacher" in "".join(glass.look())


async def test_under_a_dialog_nothing_changes_and_after_it_all_is_there():
    async with painter() as (pilot, glass):
        await pilot.app.push_screen(Box())
        await pilot.pause()
        glass.look()
        pilot.app.screen_stack[0].query_one(Rows).show("x" * 30, "y" * 30)
        await until(pilot, lambda: glass.look() == glass.wanted)
        pilot.app.pop_screen()
        await until(pilot, lambda: glass.look() == glass.wanted)
        assert "xxx" in glass.look()[4]


async def test_what_is_scrolled_out_of_sight_is_not_painted_elsewhere():
    class Scrolling(TerminalMixin, App[None]):
        CSS = "Rows { offset: 0 0; margin-top: 3; } VerticalScroll { height: 6; } Label { height: 40; }"

        def compose(self) -> ComposeResult:
            with VerticalScroll():
                yield Rows()
                yield Label("long")

    async with painter(Scrolling) as (pilot, glass):
        for y in (0, 4, 10):
            pilot.app.query_one(VerticalScroll).scroll_to(y=y, animate=False)
            await pilot.pause()
            pilot.app.query_one(Rows).show(f"one {y}", f"two {y}")
            await until(pilot, lambda: glass.look() == glass.wanted)


async def test_where_there_are_to_be_no_colours_textual_draws(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with painter() as (pilot, _glass):
        assert pilot.app.paint(pilot.app.query_one(Rows), []) is None


async def test_on_a_surprise_the_compositor_takes_over(monkeypatch):
    async with painter() as (pilot, glass):
        monkeypatch.setattr("dltutor.ui.terminal.line_of", None)
        pilot.app.query_one(Rows).show("new", "lines")
        monkeypatch.undo()
        await until(pilot, lambda: "new" in glass.look()[4])


# ---------------------------------------------------------------- no frames in a queue


async def test_while_the_last_frame_is_written_none_is_queued_and_nothing_is_lost():
    async with painter() as (pilot, glass):
        rows, label = pilot.app.query_one(Rows), pilot.app.query_one(Label)
        glass.look()
        pilot.app._driver.busy = True
        for number in range(20):
            rows.show(f"row {number}", "same")
            label.update(f"label {number}")
            await pilot.pause()
        sent = pilot.app._driver.take()
        assert "row" not in sent and "label" not in sent
        pilot.app._driver.busy = False
        await until(pilot, lambda: glass.look() == glass.wanted)
        assert "label 19" in "".join(glass.look()) and "row 19" in glass.look()[4]


# ---------------------------------------------------------------- a slow line


class Picture(Painted):
    """Many rows, none of which is like another."""

    DEFAULT_CSS = "Picture { width: 80; height: 20; background: $surface; }"
    number = 0

    def show(self, number: int) -> None:
        self.number = number
        with self.app.frame():
            self.repaint([(y, 0, self.size.width) for y in range(self.size.height)])

    def render_line(self, y: int) -> Strip:
        return Strip([Segment(f"{self.number}.{y:02} " * (self.size.width // 5), self.around)])


class Gallery(Painter):
    def compose(self) -> ComposeResult:
        yield Picture()
        yield Label("below")


@asynccontextmanager
async def slow_line() -> AsyncIterator[tuple[Pilot, Glass, list[float]]]:
    """20 kB/s, 0.2 s there and back; and a clock that stands still."""
    async with painter(Gallery) as (pilot, glass):
        glass.look()
        now = [1000.0]
        pacer = pilot.app.pacer = Pacer(lambda: now[0])
        for size, seconds in ((100, 0.2), (4000, 0.4)):
            pacer.asked(size)
            now[0] += seconds
            pacer.answered()
        yield pilot, glass, now


async def answer(pilot: Pilot) -> None:
    pilot.app.post_message(events.CursorPosition(0, 0))
    await pilot.pause()


async def test_on_a_slow_line_a_picture_comes_in_parts_each_when_the_last_was_seen():
    async with slow_line() as (pilot, glass, _now):
        pilot.app.query_one(Picture).show(1)
        sizes = []
        while Pacer.QUESTION in (data := pilot.app._driver.take()):
            sizes.append(len(data))
            assert data.count(Pacer.QUESTION) == 1 and not pilot.app.may_draw()
            glass.stream.feed(data)
            await answer(pilot)
        glass.stream.feed(data)
        assert len(sizes) > 1 and max(sizes) < 1500
        assert "1.19" in "".join(glass.look()) and glass.look() == glass.wanted


async def test_the_answer_to_a_key_does_not_wait_for_the_rest_of_a_picture():
    async with slow_line() as (pilot, glass, _now):
        pilot.app.query_one(Picture).show(1)
        pilot.app._driver.take()
        pilot.app.query_one(Label).update("pressed")
        pilot.app.screen.refresh(layout=True)
        written = pilot.app._driver.written
        await until(pilot, lambda: "pressed" in "".join(written))
        assert sum(map(len, written)) < 500
        pilot.app.redraw()
        await pilot.pause()
        glass.look()
        for _part in range(10):
            await answer(pilot)
        assert glass.look() == glass.wanted


async def test_the_rest_of_a_picture_comes_even_where_an_answer_is_lost():
    async with slow_line() as (pilot, glass, now):
        pilot.app.query_one(Picture).show(1)
        glass.look()
        for _part in range(10):
            now[0] += Pacer.PATIENCE
            pilot.app._pay()
        assert glass.look() == glass.wanted


async def test_a_picture_that_has_shrunk_meanwhile_is_right_in_the_end():
    async with slow_line() as (pilot, glass, _now):
        picture = pilot.app.query_one(Picture)
        picture.show(1)
        picture.styles.height = 5
        await pilot.pause()
        for _part in range(10):
            await answer(pilot)
        assert glass.look() == glass.wanted


# ---------------------------------------------------------------- a class server


@pytest.fixture
def page() -> Iterator[Page]:
    page, descriptor = Page.create()
    yield page
    page.close()
    os.close(descriptor)


async def test_a_drawing_is_told_with_what_it_costs_and_how_far_the_terminal_is(page):
    async with painter() as (pilot, _glass):
        app = pilot.app
        app.page, app.pacer = page, Pacer()

        def drawn() -> bool:
            with app.frame():
                app.query_one(Rows).show(f"{time.monotonic()}", "")
            app.post_message(events.CursorPosition(0, 0))
            return page.cost > 0 and page.round_trip > 0  # which takes two that follow each other

        await until(pilot, drawn)
        assert 0 < page.drawn <= time.monotonic() and page.cost < 60 and page.round_trip < 600


async def test_a_server_that_wants_fewer_drawings_gets_them(page):
    async with painter() as (pilot, _glass):
        app = pilot.app
        app.page = page
        page.rate = 0.001
        with app.frame():
            app.query_one(Rows).show("one", "")
        app.pacer.answered()
        assert not app.may_draw()
        page.rate = 1000.0
        await until(pilot, app.may_draw)
        page.congested = 1.0
        assert not app.may_draw()


async def test_while_a_key_is_answered_nothing_is_drawn_but_not_for_long():
    async with painter() as (pilot, _glass):
        app, now = pilot.app, [1000.0]
        app.attention, app._beat, app.pacer = (kind(lambda: now[0]) for kind in (Attention, Beat, Pacer))
        now[0] += 1.0
        with app.frame():
            pass
        drawn = 0
        for _press in range(33):  # it is held down
            now[0] += 0.09
            await pilot.press("x")
            app.pacer.answered()
            if app.may_draw():
                drawn += 1
                with app.frame():
                    pass
        assert 6 <= drawn <= 10
        now[0] += 2 * KEY_FIRST
        assert app.may_draw()


async def test_a_single_key_is_answered_before_anything_is_drawn():
    async with painter() as (pilot, _glass):
        now = [1000.0]
        pilot.app.attention, pilot.app._beat = Attention(lambda: now[0]), Beat(lambda: now[0])
        assert pilot.app.may_draw()
        await pilot.press("x")
        assert not pilot.app.may_draw()
        now[0] += 2 * KEY_FIRST
        assert pilot.app.may_draw()


async def test_while_as_many_draw_as_may_none_more_does():
    async with painter() as (pilot, _glass):
        file = DrawingTurns.create(1)
        pilot.app.turns = DrawingTurns(file)
        draws = os.fork()
        if not draws:
            try:
                with DrawingTurns(file):
                    signal.pause()
            finally:
                os._exit(1)
        await until(pilot, lambda: not pilot.app.may_draw())
        os.kill(draws, signal.SIGKILL)
        os.waitpid(draws, 0)
        assert pilot.app.may_draw()
        with pilot.app.frame():
            pilot.app.query_one(Rows).show("one", "")
        os.close(file)


async def test_for_nobody_nothing_is_drawn_and_any_key_goes_on():
    async with painter() as (pilot, _glass):
        now = [1000.0]
        pilot.app.attention = Attention(lambda: now[0])
        assert pilot.app.may_draw()
        now[0] += Attention.GONE
        assert not pilot.app.may_draw() and pilot.app.rate == 0
        await pilot.press("x")
        now[0] += 2 * KEY_FIRST
        assert pilot.app.may_draw()
        pilot.app.post_message(events.AppBlur())
        await pilot.pause()
        now[0] += Attention.AWAY
        assert not pilot.app.may_draw()
        pilot.app.post_message(events.AppFocus())
        await until(pilot, pilot.app.may_draw)


# ---------------------------------------------------------------- living with Textual


def made_by(owner: type) -> set[str]:
    """Names that its constructors give to an object."""
    constructors = [vars(base).get("__init__") for base in owner.__mro__]
    return {name for made in constructors if hasattr(made, "__code__") for name in made.__code__.co_names}


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (App, "_display"),
        (App, "app_resume_signal"),
        (App, "_driver"),
        (App, "_batch_count"),
        (App, "_sync_available"),
        (App, "get_driver_class"),
        (App, "get_line_filters"),
        (App, "cursor_position"),
        (Screen, "_compositor"),
        (Screen, "_layout_required"),
        (Screen, "_on_timer_update"),
        (Widget, "_styles_cache"),
        (StylesCache, "set_dirty"),
        (_ansi_sequences, "SYNC_START"),
        (_ansi_sequences, "SYNC_END"),
        (_compositor, "CompositorUpdate"),
        (_compositor.CompositorUpdate, "render_segments"),
        (_compositor.Compositor, "visible_widgets"),
        (_compositor, "LayoutUpdate"),
        (_compositor, "ChopsUpdate"),
        (Strip, "render_ansi"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_textual_still_has(owner, name):
    assert hasattr(owner, name) or name in made_by(owner), (
        f"{owner.__name__}.{name}, which dltutor/ui/terminal.py uses, was last seen in Textual 8.2.8; "
        f"this is {textual.__version__}"
    )


def test_the_screens_own_repaint_is_what_waits():
    """Its timer still calls it, and it still takes nothing."""
    assert list(inspect.signature(Screen._on_timer_update).parameters) == ["screen"]
    assert "_on_timer_update" in Screen._update_timer.fget.__code__.co_names


def test_textuals_updates_still_hold_what_we_read():
    assert list(inspect.signature(_compositor.ChopsUpdate).parameters) == ["chops", "spans", "chop_ends"]
    assert list(inspect.signature(_compositor.LayoutUpdate).parameters) == ["strips", "region"]
    assert list(inspect.signature(App._display).parameters) == ["self", "screen", "renderable"]
    assert hasattr(Console(), "_color_system")


async def test_on_a_surprise_textuals_own_encoder_takes_over(monkeypatch):
    def surprise(*_args):
        raise KeyError("chops")

    app = Frugal(driver_class=Capture)
    async with app.run_test(headless=False, size=(90, 30)) as pilot:
        monkeypatch.setattr("dltutor.ui.terminal.pieces_of", surprise)
        glass = Glass(app)
        app.query_one(Plot).show(300)
        await until(pilot, lambda: any("━━ train" in row for row in glass.look()))


@pytest.mark.parametrize(("depth", "codes"), [("true", "38;2;95;175;255"), ("256", "38;5;75"), ("16", "3")])
async def test_the_colours_follow_the_look_of_the_application(depth, codes):
    app = Frugal(driver_class=Capture)
    app.plot_look = Look(depth)
    async with app.run_test(headless=False, size=(90, 30)) as pilot:
        app.query_one(Plot).look = Look(depth)
        app.query_one(Plot).show(300)
        await until(pilot, lambda: "train" in "".join(app._driver.written))
        data = app._driver.take()
        assert codes in data
        assert ("38;2" in data) == (depth == "true") and (depth != "16" or "38;5" not in data)


async def test_redraw_sends_the_whole_screen():
    app = Frugal(driver_class=Capture)
    async with app.run_test(headless=False, size=(90, 30)) as pilot:
        glass = Glass(app)
        app.query_one(Plot).show(300)
        await until(pilot, lambda: any("━━ train" in row for row in glass.look()))
        app._driver.take()
        app.redraw()
        glass = Glass(app)
        await until(pilot, lambda: "palette" in glass.look()[29] and any("━━ train" in row for row in glass.look()))


async def test_after_a_suspension_the_whole_screen_is_sent():
    app = Frugal(driver_class=Capture)
    async with app.run_test(headless=False, size=(90, 30)) as pilot:
        await until(pilot, lambda: "线" in app._driver.take())
        app.app_resume_signal.publish(app)
        app.refresh(layout=True)
        app.screen.refresh()
        await until(pilot, lambda: "线" in app._driver.take())


# ---------------------------------------------------------------- one frame in flight


async def test_the_terminal_is_asked_after_the_frame_and_its_answer_heard():
    app = Frugal(driver_class=Capture)
    app.pacer = Pacer(lambda: 1000.0)
    async with app.run_test(headless=False, size=(90, 30)) as pilot:
        await until(pilot, lambda: app.pacer.is_waiting)
        await pilot.pause()
        app.pacer.answered()  # for the first screen
        app._driver.take()
        with app.frame():
            app.query_one(Plot).show(300)
        await until(pilot, lambda: Pacer.QUESTION in "".join(app._driver.written))
        frame, _question, _rest = app._driver.take().partition(Pacer.QUESTION)
        assert "train" in frame and not app.may_draw()
        app.post_message(events.CursorPosition(0, 0))
        await until(pilot, app.may_draw)


async def test_nobody_is_asked_without_a_terminal():
    app = Frugal()
    async with app.run_test() as pilot:
        with app.frame():
            app.query_one(Plot).show(300)
        await pilot.pause()
        assert app.may_draw()


async def test_a_cursor_does_not_blink():
    app = Frugal(driver_class=Capture)
    async with app.run_test(headless=False, size=(90, 30)) as pilot:
        await app.push_screen(Other())
        await until(pilot, lambda: not app.screen.query_one(Input).cursor_blink)
