"""A sitting with the questions that are due: one at a time, in the middle, each rated as soon as it is answered."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from dltutor.i18n import _, plural
from dltutor.lesson import questions
from dltutor.lesson.blocks import inline_math
from dltutor.progress import schedule
from dltutor.progress.days import day_of, when
from dltutor.progress.schedule import AGAIN, EASY, GOOD, HARD, Due, Question
from dltutor.ui import prose
from dltutor.ui.screens.sized import SizedScreen
from dltutor.ui.widgets.cards import Card
from dltutor.ui.widgets.key_bar import KeyBar, bind
from dltutor.ui.widgets.questions import QuizCard

MOST_DASHES = 40  # questions that are drawn as a dash each


def ratings() -> dict[int, str]:
    return {AGAIN: _("again"), HARD: _("hard"), GOOD: _("good"), EASY: _("easy")}


class FlipCard(Card):
    """A question on the front, its answer on the back; the learner says how well they knew it."""

    BINDINGS = [
        bind("space,enter", "turn", "turn", "turn the card over", display="space"),
        bind("1", "rate(1)", "again", "you did not know it: it comes back tomorrow"),
        bind("2", "rate(2)", "hard", "you knew it, with effort"),
        bind("3", "rate(3)", "good", "you knew it"),
        bind("4", "rate(4)", "easy", "you knew it at once"),
    ]

    class Rated(Message):
        def __init__(self, rating: int) -> None:
            super().__init__()
            self.rating = rating

    def __init__(self, question: Question, card: questions.Card) -> None:
        super().__init__()
        self._question, self._card = question, card
        self.turned = False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "turn":
                return not self.turned
            case "rate":
                return self.turned
        return True

    def action_turn(self) -> None:
        self.turned = True
        self.renew()
        self.reveal(0, len(self.lines(self.content_size.width)) - 1)

    def on_click(self) -> None:
        if not self.turned:
            self.action_turn()

    def action_rate(self, rating: int) -> None:
        self.post_message(self.Rated(rating))

    # ------------------------------------------------------------ its lines

    def lines(self, width: int) -> list[Text]:
        front = self.side(self._card.front, width)
        for line in front:
            line.stylize("bold")
        lines = [*self.heading(_("Card"), "", width), Text(), *front, Text()]
        if not self.turned:
            return lines + self.say(_("Answer it in your mind, then turn the card: space."), width)
        rule = Text("─" * width, self.ink("faint"), no_wrap=True)
        return [*lines, rule, Text(), *self.side(self._card.back, width), Text(), *self.choices(width)]

    def side(self, markdown: str, width: int) -> list[Text]:
        """Formulas that are more than a row high stand by themselves."""
        lines: list[Text] = []
        for number, part in enumerate(inline_math(markdown, _set_apart).split("\0")):
            if number % 2:
                lines += [Text(f"  {row}", self.ink("blue"), no_wrap=True) for row in prose.drawn(part)]
            elif part.strip(" .,;。，；"):
                lines += prose.paragraphs(part.lstrip(" .,;。，；"), width, self.ink, self.app.console)
        return lines

    def choices(self, width: int) -> list[Text]:
        """What each rating would mean."""
        outlook = schedule.outlook(self.app.progress, self._question.lesson, self._question.item)
        today, names = day_of(datetime.now(UTC)), ratings()
        longest = max(Text(name).cell_len for name in names.values())
        lines = self.say(_("How well did you know it?"), width)
        for rating, name in names.items():
            row = Text.assemble("  ", (f"{rating}  ", f"bold {self.ink('orange')}"), name, no_wrap=True)
            row.pad_right(longest - Text(name).cell_len + 3)
            lines.append(row.append(when(outlook[rating], today), self.ink("muted")))
        return lines


def _set_apart(tex: str) -> str:
    return f"${tex}$" if len(prose.drawn(tex)) == 1 else f"\0{tex}\0"


def _name(due: Due) -> dict[str, str]:
    return {"lesson": due.lesson, "item": due.item}


class ReviewScreen(SizedScreen[None]):
    KIND = "review"
    DEFAULT_CSS = """
    ReviewScreen #top { height: 1; padding: 0 1; background: $raised; color: $text; }
    ReviewScreen #body { height: 1fr; padding: 0 2; align-horizontal: center; scrollbar-size-vertical: 1; }
    ReviewScreen #body > * { width: 100%; max-width: 84; }
    ReviewScreen #body > Card:focus { background: $background; }
    ReviewScreen #from { height: auto; margin: 0 0 1 0; }
    ReviewScreen #said { height: auto; margin: 1 0; }
    ReviewScreen.-tall #body { padding: 4 2; }
    """
    VERTICAL_BREAKPOINTS = [(0, "-low"), (36, "-tall")]
    BINDINGS = [
        bind("n", "next", "go on", "the next card"),
        bind("n", "skip", "skip", "the next card; this one stays due"),
        bind("o", "lesson", "lesson", "open the lesson where this was taught"),
        bind("escape", "leave", "leave", "leave; everything is kept, the rest stays due"),
    ]

    def __init__(self, first: dict[str, str] | None = None) -> None:
        """Begins with the card that `first` names, where that is still due."""
        super().__init__()
        self._first = first or {}
        self._due: list[Due] = []
        self._unreadable: list[str] = []
        self._at = -1  # -1: they are still being looked for
        self._came: dict[int, bool] = {}  # place in the row -> whether it was known

    def compose(self) -> ComposeResult:
        yield Static(id="top")
        yield VerticalScroll(Static(_("looking for what is due…"), id="said"), id="body", can_focus=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self._show_top()
        self.call_after_refresh(lambda: self.run_worker(self._begin(), exclusive=True))

    async def _begin(self) -> None:
        self._due = await asyncio.to_thread(self._look)
        await self._turn_to(next((at for at, due in enumerate(self._due) if _name(due) == self._first), 0))

    def _look(self) -> list[Due]:
        due = schedule.due(self.app.progress, self.app.course)
        self._unreadable = schedule.unreadable(self.app.progress, self.app.course, due)
        schedule.prepare()
        return due

    async def renew(self) -> None:
        """The same in another language."""
        if self._at < 0:
            return
        names = {each.lesson for each in self._due}
        entries = [entry for entry in self.app.course.entries if entry.id in names and not entry.problem]
        asked = {(one.lesson, one.item): one for entry in entries for one in schedule.asked_in(entry.load())}
        self._due = [Due(asked.get((each.lesson, each.item), each.question), each.since) for each in self._due]
        turned = any(card.turned for card in self.query(FlipCard))
        await self._turn_to(self._at)
        for card in self.query(FlipCard) if turned else ():
            card.action_turn()

    # ------------------------------------------------------------ what is shown

    @property
    def current(self) -> Due | None:
        """None before the first and after the last."""
        return self._due[self._at] if 0 <= self._at < len(self._due) else None

    async def _turn_to(self, at: int) -> None:
        self._at = at
        body = self.query_one("#body")
        await body.remove_children()
        if self.current:
            card = self._card(self.current)
            await body.mount(Static(self._from(self.current), id="from"), card)
            card.focus()
        else:
            await body.mount(Static(self._end(), id="said", markup=False))
            self.set_focus(None)
        body.scroll_home(animate=False)
        self._show_top()
        self.refresh_bindings()
        self.app.place_changed()

    def place(self) -> dict[str, Any]:
        return {"review": _name(self.current)} if self.current else {}

    def _card(self, due: Due) -> Card:
        content = due.question.content
        if isinstance(content, questions.Card):
            return FlipCard(due.question, content)
        return QuizCard(due.lesson, content, fresh=self._at not in self._came)

    def _show_top(self) -> None:
        top = Text.assemble((_("Review"), f"bold {self.app.ink('blue')}"), no_wrap=True)
        total = len(self._due)
        if total:
            top.append(f"  {min(self._at + 1, total)}/{total} ", self.app.ink("muted"))
        if total <= MOST_DASHES:
            top.append_text(Text.assemble(*map(self._dash, range(total))))
        self.query_one("#top", Static).update(top)

    def _dash(self, place: int) -> tuple[str, str]:
        if place == self._at:
            return "◆", self.app.ink("orange")
        known = self._came.get(place)
        if known is None:
            return "─", self.app.ink("muted")
        return ("━", self.app.ink("green")) if known else ("×", self.app.ink("red"))

    def _from(self, due: Due) -> Text:
        """The lesson and the section that it belongs to."""
        return Text.assemble(
            (self._lesson_title(due), self.app.ink("text")), (f"  {self._section(due)}", self.app.ink("muted"))
        )

    def _lesson_title(self, due: Due) -> str:
        entry = self.app.course.entry(due.lesson)
        return f"{due.lesson[:2]}  {entry.title}" if entry else due.lesson

    def _section(self, due: Due) -> str:
        entry = self.app.course.entry(due.lesson)
        return entry.section_title(due.question.section) if entry else ""

    # ------------------------------------------------------------ the end

    def _end(self) -> Text:
        text = Text.assemble((self._how_it_went(), f"bold {self.app.ink('blue')}"), "\n\n")
        return text.append_text(self._to_look_at()).append(
            "\n".join(filter(None, [self._left(), self._waiting(), self._next()]))
        )

    def _how_it_went(self) -> str:
        known, asked = sum(self._came.values()), len(self._came)
        if not asked:
            return "" if self._due else _("Nothing is due.")
        told = plural("{n} card reviewed", "{n} cards reviewed", asked)
        if known == asked:
            return _("{told}: you knew them all.").format(told=told)
        return _("{told}: you knew {known}.").format(told=told, known=known)

    def _left(self) -> str:
        left = len(self._due) - len(self._came)
        return plural("{n} skipped card is still due.", "{n} skipped cards are still due.", left) if left else ""

    def _waiting(self) -> str:
        told = _("Cards of {lessons} wait: it can't be read. Opening it says why.")
        return told.format(lessons=", ".join(self._unreadable)) if self._unreadable else ""

    def _to_look_at(self) -> Text:
        """What was not known, by lesson."""
        missed = sorted(
            (self._due[place] for place, known in self._came.items() if not known), key=lambda due: due.lesson
        )
        text = Text()
        for _lesson, group in groupby(missed, key=lambda due: due.lesson):
            found = list(group)
            sections = " · ".join(dict.fromkeys(self._section(due) for due in found))
            text.append("✕ ", f"bold {self.app.ink('red')}").append(f"{self._lesson_title(found[0])}  ")
            text.append(f"{sections}\n", self.app.ink("muted"))
        return text.append("\n") if text else text

    def _next(self) -> str:
        now = datetime.now(UTC)
        coming = schedule.next_due(self.app.progress, self.app.course, now)
        if coming:
            told = plural("next: {n} card {{when}}", "next: {n} cards {{when}}", coming.coming)
            return told.format(when=when(coming.day, day_of(now)))
        return "" if self._due else _("Whatever you answer in a lesson comes back here when it is time.")

    # ------------------------------------------------------------ answers

    def on_quiz_card_answered(self, message: QuizCard.Answered) -> None:
        """It has kept its answer itself. The first one counts."""
        message.stop()
        self._came.setdefault(self._at, message.right)
        self._show_top()
        self.refresh_bindings()

    async def on_flip_card_rated(self, message: FlipCard.Rated) -> None:
        if self.current and self._at not in self._came:
            with self.app.writing():  # what cannot be kept counts as skipped
                schedule.rate(self.app.progress, self.current.lesson, self.current.item, message.rating)
                self._came[self._at] = message.rating != AGAIN
            await self._turn_to(self._at + 1)

    # ------------------------------------------------------------ keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "next":
                return self._at in self._came
            case "skip":
                return self.current is not None and self._at not in self._came
            case "lesson":
                return self.current is not None
        return True

    async def action_next(self) -> None:
        await self._turn_to(self._at + 1)

    async def action_skip(self) -> None:
        await self._turn_to(self._at + 1)

    def action_lesson(self) -> None:
        if self.current:
            self.app.open_lesson(self.current.lesson, self.current.question.section)

    def action_leave(self) -> None:
        self.app.leave_review()
