"""Blocks in the text that take keys: each is one widget that draws its own lines, so that a page turns fast."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.text import Text
from textual.geometry import Region
from textual.message import Message
from textual.widget import Widget

from dltutor.i18n import _, plural
from dltutor.lesson import Lesson, exercises
from dltutor.progress.records import Exercise
from dltutor.ui import prose
from dltutor.ui.typed import InTutor
from dltutor.ui.widgets.key_bar import bind

KINDS = {"exercise": "Exercise", "hunt": "Bug hunt"}


class Card(InTutor, Widget, can_focus=True):
    """Lines of text behind a coloured edge."""

    DEFAULT_CSS = """
    Card { height: auto; border-left: wide $blue; padding: 0 1; margin: 0 0 1 0; text-wrap: nowrap; }
    Card:focus { background: $raised; }
    """
    EDGE = "blue"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._drawn: tuple[int, list[Text]] = (0, [])  # for this width

    def lines(self, width: int) -> list[Text]:
        """What it says, in lines of at most `width` cells."""
        raise NotImplementedError

    def _lines(self, width: int) -> list[Text]:
        if self._drawn[0] != width:
            self._drawn = (width, self.lines(width))
        return self._drawn[1]

    def get_content_height(self, _container: Any, _viewport: Any, width: int) -> int:
        return len(self._lines(width))

    def render(self) -> Text:
        return Text("\n", no_wrap=True).join(self._lines(self.content_size.width))

    def renew(self) -> None:
        """Draw it anew; where it grew or shrank, the page with it."""
        height, width = len(self._drawn[1]), self._drawn[0]
        self._drawn = (0, [])
        self.refresh(layout=not width or len(self._lines(width)) != height)
        self.refresh_bindings()

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        if self.is_mounted:
            self.renew()

    # ------------------------------------------------------------ pieces of it

    def ink(self, name: str) -> str:
        return self.app.ink(name)

    def inked(self, markdown: str) -> Text:
        return prose.inked(markdown, self.ink)

    def hanging(self, mark: Text | str, body: Text, width: int) -> list[Text]:
        return prose.hanging(mark, body, width, self.app.console)

    def heading(self, kind: str, title: str, width: int, note: str = "", colour: str = "muted") -> list[Text]:
        """What it is, what it is called, and a note at the right edge; or under it where there is no room."""
        mark = Text.assemble((f"{kind}  ", f"bold {self.ink(self.EDGE)}"))
        lines = self.hanging(mark, self.inked(title), width)
        for line in lines:
            line.stylize("bold")
        told = Text(note, self.ink(colour))
        room = width - lines[-1].cell_len - told.cell_len
        if room < 2:
            return lines + self.hanging("", told, width)
        lines[-1].append(" " * room).append_text(told)
        return lines

    def say(self, text: str, width: int, colour: str = "muted") -> list[Text]:
        """A line of its own, in line with the choices."""
        return self.hanging("  ", Text(text, self.ink(colour)), width)

    def reveal(self, first: int = 0, last: int | None = None) -> None:
        """Scroll such that these of its lines are seen, to its end where no last one is given; where there are too many
        for the screen, the last ones."""
        self.call_after_refresh(self._bring_up, first, last)

    def _bring_up(self, first: int, last: int | None) -> None:
        pane = next((above for above in self.ancestors if isinstance(above, Widget) and above.is_scrollable), None)
        height = pane.scrollable_content_region.height if pane else 0
        if not pane or not height:  # it is not on the screen
            return
        last = len(self._lines(self.content_size.width)) - 1 if last is None else last
        first = max(first, last - height + 1)
        pane.scroll_to_region(Region(0, self.virtual_region.y + first, 1, last - first + 1), animate=False)


def day(at: str) -> str:
    """The learner's day of a time in the progress file."""
    try:
        return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d}"
    except ValueError:
        return at


class TaskCard(Card):
    """An exercise or a hunt, and how far the learner is with it."""

    DEFAULT_CSS = "TaskCard { border-left: wide $green; }"
    EDGE = "green"
    BINDINGS = [bind("enter", "open", "open", "open this exercise")]

    class Chosen(Message):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, lesson: Lesson, name: str, kind: str) -> None:
        super().__init__()
        self.lesson, self.exercise, self.kind = lesson, name, kind
        self._title, self._minutes = exercises.title(lesson, name), exercises.minutes(lesson, name)

    def lines(self, width: int) -> list[Text]:
        note = _("enter opens it") if self.has_focus else _("press e")
        state, colour = task_state(self.app.progress.exercise(self.lesson.id, self.exercise))
        text = Text(state, self.ink(colour))
        if self._minutes:
            text.append(" · " + plural("{n} minute", "{n} minutes", self._minutes), self.ink("muted"))
        return self.heading(_(KINDS[self.kind]), self._title, width, note) + self.hanging("", text, width)

    def action_open(self) -> None:
        self.post_message(self.Chosen(self.exercise))

    def on_click(self) -> None:
        self.action_open()


def task_state(found: Exercise) -> tuple[str, str]:
    """How far one is, in words, and the colour for it."""
    if found.passed_at:
        return f"✓ {_('passed')}" + (f", {_('solution seen')}" if found.seen else ""), "green"
    if found.seen:
        return f"○ {_('solution seen')}", "muted"
    if found.attempts:
        return f"◐ {plural('{n} try', '{n} tries', found.attempts)}", "orange"
    return f"○ {_('new')}", "muted"


class ReviewCard(Card):
    """The cards of a lesson, which come back on a day of their own."""

    DEFAULT_CSS = "ReviewCard { border-left: wide $muted; }"
    EDGE = "muted"
    BINDINGS = [bind("enter", "open", "review", "see what is due today")]

    class Asked(Message):
        """The learner wants to see what is due."""

    def __init__(self, title: str, count: int) -> None:
        super().__init__()
        self._title, self._count = title, count

    def lines(self, width: int) -> list[Text]:
        told = plural(
            "{n} card; it comes back when it is time.", "{n} cards; they come back when it is time.", self._count
        )
        note = _("enter reviews") if self.has_focus else ""
        return self.heading(_("Review"), self._title, width, note) + self.hanging(
            "", Text(told, self.ink("muted")), width
        )

    def action_open(self) -> None:
        self.post_message(self.Asked())

    def on_click(self) -> None:
        self.action_open()
