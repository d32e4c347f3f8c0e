"""The teacher's view of a class: who is here and where, who needs help first; what to tell them; the end of it.

It shows what the server says once a second. Only what has changed is drawn, and times of less than a minute are not.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from rich.markup import escape
from rich.table import Table
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from dltutor import i18n
from dltutor.attendance import Learner, clock, duration, learners, machine
from dltutor.errors import DltutorError
from dltutor.i18n import _, plural
from dltutor.lesson import exercises
from dltutor.lesson.course import catalogue
from dltutor.ui.app import break_lines
from dltutor.ui.plots.look import Look
from dltutor.ui.screens.dialogs import Ask, Dialog, Help
from dltutor.ui.terminal import TerminalMixin
from dltutor.ui.theme import DARK, LIGHT
from dltutor.ui.widgets.key_bar import EVERYWHERE, KeyBar, bind

EVERY = 1.0  # seconds
STOP_SECONDS = 30.0
LONGEST_STOP = 86400.0
MARK, NAME, WHERE, IDLE, LINK, RATE = 2, (14, 22), (27, 32), 8, 7, (0, 6)
"""Widths of the columns; of two, the second in a terminal that is WIDE. Elsewhere, details tell what has no place."""
WIDE, NARROW = 110, 70
NUMBERS = 4  # columns from here on are flush right


class Desk(Protocol):
    """Where the status comes from. All of it may raise DltutorError, and take its time."""

    def status(self) -> dict[str, Any]: ...

    def say(self, text: str, to: str = "") -> int: ...

    def stop(self, seconds: float) -> float: ...


class Watch(TerminalMixin, App[None]):
    TITLE = "dltutor"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [
        *EVERYWHERE,
        bind("q", "quit", "quit", "leave; the class goes on"),
        bind("ctrl+q", "quit", "", "leave; the class goes on", priority=True),
    ]

    def __init__(self, desk: Desk, told: dict[str, Any], look: Look, dark: bool = True) -> None:
        super().__init__()
        self.animation_level = "none"
        self.desk, self.told, self.plot_look = desk, told, look
        self.problem = ""  # why there is nothing newer
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = (DARK if dark else LIGHT).name
        if i18n.current() != "en":
            break_lines()

    def ink(self, name: str) -> str:
        """A colour of the theme, for Rich."""
        return self.theme_variables[name]

    def get_default_screen(self) -> Screen:
        return ClassScreen()

    def on_mount(self) -> None:
        self.set_interval(EVERY, self.ask)

    @work(exclusive=True, group="status")
    async def ask(self) -> None:
        """A server that is slow to answer is asked again only after that."""
        try:
            self.told, self.problem = await asyncio.to_thread(self.desk.status), ""
        except DltutorError as error:
            self.problem = error.message
        self.show()

    def show(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, ClassScreen | Details):
                screen.show()

    async def tell(self, text: str, to: str = "") -> None:
        try:
            heard = await asyncio.to_thread(self.desk.say, text, to)
            self.notify(plural("{n} session has heard it.", "{n} sessions have heard it.", heard))
        except DltutorError as error:
            self.notify(str(error), severity="error", markup=False)

    async def stop_class(self, seconds: float) -> None:
        try:
            seconds = await asyncio.to_thread(self.desk.stop, seconds)
            self.notify(_("The class ends in {seconds:g} s. Everything is kept.").format(seconds=seconds))
        except DltutorError as error:
            self.notify(str(error), severity="error", markup=False)

    # ------------------------------------------------------------ keys of everywhere

    def action_keys(self) -> None:
        self.push_screen(Help(self.screen))

    def action_redraw(self) -> None:
        self.redraw()

    async def action_language(self) -> None:
        i18n.use("zh" if i18n.current() == "en" else "en")
        break_lines()
        for screen in self.screen_stack:
            if isinstance(screen, ClassScreen):
                await screen.renew()

    def action_theme(self) -> None:
        self.theme = LIGHT.name if self.current_theme.dark else DARK.name
        self.call_after_refresh(self.show)  # once the new colours are known


class Roll(OptionList):
    BINDINGS = [
        bind("enter", "select", "details", "more about the chosen learner"),
        bind("j", "cursor_down", "", "the learner below"),
        bind("k", "cursor_up", "", "the learner above"),
    ]

    def show(self, rows: dict[str, Text]) -> None:
        """Whoever is chosen stays so, wherever they stand now."""
        ids = [option.id for option in self.options]
        if ids != list(rows):
            self._refill(rows)
            return
        for option in self.options:
            if option.id and option.prompt != rows[option.id]:
                self.replace_option_prompt(option.id, rows[option.id])

    def _refill(self, rows: dict[str, Text]) -> None:
        chosen, scroll = self.chosen, self.scroll_y
        self.clear_options()
        self.add_options([Option(row, id=id) for id, row in rows.items()])
        self.highlighted = list(rows).index(chosen) if chosen in rows else (0 if rows else None)
        self.scroll_to(y=scroll, animate=False)

    @property
    def chosen(self) -> str:
        option = self.highlighted_option
        return option.id or "" if option else ""


class ClassScreen(Screen[None]):
    DEFAULT_CSS = """
    ClassScreen #title { height: 1; padding: 0 2; background: $raised; }
    ClassScreen #machine { height: 1; padding: 0 2; }
    ClassScreen #heads { height: 1; padding: 0 2; margin-top: 1; color: $muted; }
    ClassScreen Roll { height: 1fr; border: none; padding: 0 1; background: $background; scrollbar-size-vertical: 1; }
    ClassScreen Roll:focus { border: none; background-tint: $background 0%; }
    ClassScreen Roll > .option-list--option { padding: 0 1; }
    ClassScreen #empty { display: none; height: 1fr; padding: 1 3; color: $muted; }
    ClassScreen.-empty Roll, ClassScreen.-empty #heads { display: none; }
    ClassScreen.-empty #empty { display: block; }
    """
    BINDINGS = [
        bind("m", "say_all", "tell all", "say something to the whole class"),
        bind("M", "say_one", "tell one", "say something to the chosen learner"),
        bind("s", "stop", "end class", "end the class; you are asked first"),
    ]
    app: Watch

    def compose(self) -> ComposeResult:
        here = learners(self.app.told)
        yield Static(self._title(here), id="title")
        yield Static(self._machine(), id="machine")
        yield Static(self._columns.heads(), id="heads")
        yield Roll(*(Option(row, id=id) for id, row in self._rows(here).items()))
        yield Static(_("Nobody is here yet."), id="empty")
        yield KeyBar()

    def on_mount(self) -> None:
        self.set_class(not self.app.told.get("sessions"), "-empty")
        self.query_one(Roll).focus()

    def on_resize(self, _event: Resize) -> None:
        self.show()

    async def renew(self) -> None:
        """In another language."""
        await self.recompose()
        self.show()
        self.query_one(Roll).focus()
        self.refresh_bindings()

    # ------------------------------------------------------------ what is seen

    def show(self) -> None:
        here = learners(self.app.told)
        self.set_class(not here, "-empty")
        self._put("#title", self._title(here))
        self._put("#machine", self._machine())
        self._put("#heads", self._columns.heads())
        for roll in self.query(Roll):  # none yet, or none while the screen is made anew
            roll.show(self._rows(here))

    @property
    def _columns(self) -> Columns:
        return Columns(self.app.size.width - 5, self.app.plot_look.glyphs)

    def _rows(self, here: list[Learner]) -> dict[str, Text]:
        columns = self._columns
        return {str(learner.number): columns.row(learner, self.app.ink) for learner in here}

    def _put(self, name: str, text: Text) -> None:
        for static in self.query(name).results(Static):
            if static.content != text:
                static.update(text, layout=False)

    def _title(self, here: list[Learner]) -> Text:
        ink, began = self.app.ink, clock(self.app.told.get("since"))
        text = Text.assemble(("dltutor", f"bold {ink('blue')}"), "  ", no_wrap=True)
        text.append(plural("{n} learner", "{n} learners", len(here)), "bold")
        stuck = sum(learner.stuck for learner in here)
        if stuck:
            text.append(" · " + plural("{n} may need help", "{n} may need help", stuck), f"bold {ink('orange')}")
        return text.append(" · " + _("since {time}").format(time=began) if began else "", ink("muted"))

    def _machine(self) -> Text:
        if self.app.problem:
            return Text(self.app.problem, self.app.ink("red"), no_wrap=True)
        return Text(machine(self.app.told), self.app.ink("muted"), no_wrap=True, overflow="ellipsis")

    # ------------------------------------------------------------ keys

    @property
    def _chosen(self) -> Learner | None:
        number = self.query_one(Roll).chosen
        return next((learner for learner in learners(self.app.told) if str(learner.number) == number), None)

    def on_option_list_option_selected(self) -> None:
        if self._chosen:
            self.app.push_screen(Details(self._chosen))

    def action_say_all(self) -> None:
        ask_words(self.app, _("Say to the whole class"))

    def action_say_one(self) -> None:
        if self._chosen:
            ask_words(self.app, _("Say to {name}").format(name=self._chosen.name), self._chosen.id)

    def action_stop(self) -> None:
        note = plural(
            "{n} learner is told, and everything is saved. In how many seconds shall the class end?",
            "{n} learners are told, and everything is saved. In how many seconds shall the class end?",
            len(learners(self.app.told)),
        )
        self.app.push_screen(Ask(_("End the class"), note, f"{STOP_SECONDS:g}", seconds_of), self._stop)

    async def _stop(self, seconds: float | None) -> None:
        if seconds is not None:
            await self.app.stop_class(seconds)


def ask_words(app: Watch, title: str, to: str = "") -> None:
    async def say(text: str | None) -> None:
        if text:
            await app.tell(text, to)

    note = _("It appears on the screen at once, whatever is shown there.")
    app.push_screen(Ask(escape(title), note, "", str.strip), say)


def seconds_of(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_STOP:
        raise DltutorError(_("{text} is no number of seconds").format(text=text or "-"), _("For example 30."))
    return seconds


# ---------------------------------------------------------------- a learner in a line


class Columns:
    """The table's, for so many cells; where they are few, trouble has a line of its own."""

    def __init__(self, width: int, glyphs: str = "") -> None:
        self.wide = width >= WIDE
        self.fails, self.lingers = "!?" if glyphs == "ascii" else "▲△"
        name, where, rate = (column[self.wide] for column in (NAME, WHERE, RATE))
        trouble = max(0, width - MARK - name - where - IDLE - LINK - rate)
        self.widths = (MARK, name, where, trouble, IDLE, LINK, rate)
        if width < NARROW:
            self.widths = (MARK, name, max(0, width - MARK - name), 0, 0, 0, 0)

    def heads(self) -> Text:
        words = ("", _("learner"), _("where"), _("trouble"), _("idle"), _("link"), _("draws"))
        return self._line(list(map(Text, words)))

    def row(self, learner: Learner, ink: Callable[[str], str]) -> Text:
        muted, alarm = ink("muted"), f"bold {ink('orange')}"
        mark = Text(self.fails if learner.fails else self.lingers if learner.lingers else "", alarm)
        name = Text(learner.name, muted if learner.away else alarm if learner.stuck else "")
        idle = Text(duration(learner.idle) if learner.idle >= 60 else "", muted)
        cells = [mark, name, self._where(learner, muted if learner.away else ""), self._trouble(learner, ink), idle]
        line = self._line([*cells, Text(link_of(learner), muted), Text(rate_of(learner), muted)])
        if not self.wide and learner.fails and learner.headline:
            line.append("\n" + " " * MARK).append(learner.headline, ink("orange"))
        return line

    def _where(self, learner: Learner, style: str) -> Text:
        """Where room is short, the lesson's name is; how far they are in it stays."""
        place, progress = Text(place_of(learner), style), Text(f" {learner.progress}".rstrip(), style)
        place.truncate(self.widths[2] - 1 - progress.cell_len, overflow="ellipsis")
        return place + progress

    def _trouble(self, learner: Learner, ink: Callable[[str], str]) -> Text:
        if not (self.wide and learner.tries):
            return Text(learner.trouble, ink("orange"))
        words = " · ".join(filter(None, [learner.trouble, learner.headline]))
        return Text(words, ink("orange" if learner.stuck else "muted"))

    def _line(self, cells: list[Text]) -> Text:
        line = Text(no_wrap=True, overflow="ellipsis")
        for index, (cell, width) in enumerate(zip(cells, self.widths, strict=True)):
            if width:
                cell.truncate(width - 1, overflow="ellipsis")
                space = Text(" " * (width - cell.cell_len))
                line.append_text(space + cell if index >= NUMBERS else cell + space)
        return line


def link_of(learner: Learner) -> str:
    """The round trip, no finer than it matters."""
    if not learner.round_trip:
        return ""
    milliseconds = 1000 * learner.round_trip
    return _("{n} ms").format(n=round(milliseconds / 10) * 10 if milliseconds >= 50 else round(milliseconds) or "<1")


def rate_of(learner: Learner) -> str:
    return f"{learner.rate:.0f}/s" if learner.trains else ""


read_course = functools.cache(catalogue)


def title_of(section: str, lesson: str) -> str:
    """In the teacher's language; as the server tells it, where the lesson is not known here."""
    entry = read_course(i18n.current()).entry(lesson)
    return entry.section_title(section) if entry else section


def place_of(learner: Learner) -> str:
    """The same of a lesson or an exercise."""
    lesson, _slash, task = learner.task.rpartition("/")
    entry = read_course(i18n.current()).entry(learner.lesson)
    if learner.screen == "lesson" and entry:
        return entry.title
    title = task_title(i18n.current(), lesson or learner.lesson, task) if learner.screen in ("exercise", "hunt") else ""
    return title or learner.place


@functools.lru_cache(1000)  # sessions may name what there is not
def task_title(language: str, lesson: str, task: str) -> str:
    entry = read_course(language).entry(lesson)
    if not (entry and entry.heading and task in entry.exercises):  # never a path
        return ""
    return exercises.title(entry.heading, task)


def deed_of(learner: Learner) -> str:
    match learner.screen:
        case "lesson":
            return _("trains the lab") if learner.trains else _("reads")
        case "exercise":
            return _("trains with the kernel") if learner.trains else _("writes a kernel")
        case "hunt":
            return _("watches the fault") if learner.trains else _("looks for a fault")
    return ""


class Details(Dialog):
    """All that is known of one learner. What they type is not."""

    BINDINGS = [bind("m", "say", "tell", "say something to this learner")]
    app: Watch

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.learner = learner

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="box") as box:
            box.border_title = escape(self.learner.name)
            yield Static(self._table(), id="told")
        yield KeyBar()

    def show(self) -> None:
        now = [learner for learner in learners(self.app.told) if learner.id == self.learner.id]
        self.learner = now[0] if now else replace(self.learner, screen="", number=0)
        for static in self.query("#told").results(Static):
            static.update(self._table())

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for what, told in self._facts().items():
            table.add_row(Text(what, self.app.ink("muted")), Text(told))
        return table

    def _facts(self) -> dict[str, str]:
        learner = self.learner
        if not learner.number:
            return {_("where"): _("has left")}
        facts = {
            _("where"): f"{place_of(learner)} {learner.progress}".rstrip(),
            _("does"): deed_of(learner),
            _("section"): title_of(learner.section, learner.lesson),
            _("there for"): duration(learner.stay),
            _("tries in vain"): str(learner.tries) if learner.tries else "",
            _("last verdict"): learner.headline,
            _("last key"): _("{time} ago").format(time=duration(learner.idle)),
            _("came at"): clock(learner.since),
            _("came by"): f"{learner.door} · {learner.address}",
            _("public key"): learner.id,
            _("link"): link_of(learner),
            _("draws"): rate_of(learner),
            _("memory in use"): _("{size} MB").format(size=round(learner.memory / 1e6)) if learner.memory else "",
        }
        return {what: told for what, told in facts.items() if told}

    def action_say(self) -> None:
        ask_words(self.app, _("Say to {name}").format(name=self.learner.name), self.learner.id)
