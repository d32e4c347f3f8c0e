"""The cell diff shows exactly what Textual alone would show, in far fewer bytes."""

from __future__ import annotations

import pyte
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.drivers.headless_driver import HeadlessDriver
from textual.geometry import Region
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Footer, Input, Label, Markdown

from dltutor.ui.plots import curves, demo
from dltutor.ui.plots.cells import Cells
from dltutor.ui.plots.look import Look
from dltutor.ui.terminal import TerminalMixin

CHINESE = "# 线性回归\n\n模型 `y = wx + b`，**损失**是均方误差。\n\n" + "梯度下降一步一步地走。\n\n" * 12


class Capture(HeadlessDriver):
    """A driver that keeps what is written."""

    written: list[str]

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


async def _tour(app: App[None], after_each) -> None:
    """Everything a screen can do: plots, scrolling, a modal screen over moving plots, another screen, a resize."""
    async with app.run_test(headless=False, size=(90, 30)) as pilot:
        plot, scroll = app.query_one(Plot), app.query_one(VerticalScroll)
        for step in (100, 110, 120, 300):
            plot.show(step)
            await pilot.pause()
            after_each("plot")
        for _ in range(3):
            scroll.scroll_relative(y=1, animate=False)
            await pilot.pause()
            after_each("scroll")
        app.push_screen(Box())
        await pilot.pause()
        after_each("modal")
        for step in (301, 330):
            plot.show(step)
            await pilot.pause()
            after_each("plot under modal")
        app.pop_screen()
        await pilot.pause()
        after_each("modal gone")
        app.push_screen(Other())
        await pilot.press("right", "x", "中")
        await pilot.pause()
        after_each("screen")
        app.pop_screen()
        await pilot.pause()
        await pilot.resize_terminal(71, 25)
        await pilot.pause()
        plot.show(400)
        await pilot.pause()
        after_each("resized")
        plot.show(402)
        await pilot.pause()
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
        shots.append((label, [[_seen(screen.buffer[y][x]) for x in range(screen.columns)] for y in range(screen.lines)]))

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
