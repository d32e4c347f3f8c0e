"""Questions in the text, answered in place: quizzes, and predictions before a run. Answers are kept at once.

Nothing here knows of the page around it: a review shows the same cards.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.text import Text
from textual.events import Click, Key, Paste
from textual.message import Message

from dltutor.errors import UsageError
from dltutor.i18n import _
from dltutor.lesson import questions
from dltutor.lesson.questions import Marked, Number, Order, Pick, Prediction, Quiz
from dltutor.progress import days, schedule
from dltutor.ui import prose
from dltutor.ui.widgets.cards import Card, day
from dltutor.ui.widgets.key_bar import bind

DIGITS = [bind(str(n), f"pick({n})", "", "choose the answer of that number") for n in range(1, 10)]
TYPED = set("0123456789.,+-eE%/ ")  # what a number is written with
LONGEST_NUMBER = 24
PLOT = (64, 10)  # cells of a chart to be read, at most


class Question(Card):
    """A list to choose from by numbers or arrows, or a number to type; what is chosen is up to the kinds."""

    MISSED = "red"  # the colour of what is not right
    BINDINGS = [
        bind("up", "move(-1)", "", "the answer above"),
        bind("down", "move(1)", "choose", "the answer below", display="↑↓"),
        *DIGITS,
    ]

    def __init__(self, lesson: str, content: Quiz | Prediction, **options: Any) -> None:
        super().__init__(**options)
        self.lesson_id, self.content = lesson, content
        self._shown = questions.arrangement(content)  # places in the file, as they stand on the screen
        self._cursor = 0
        self._complaint = ""  # about what was typed
        self._cursor_line = 0

    @property
    def is_open(self) -> bool:
        """Whether there is something to choose now."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "move":
                return self.is_open and bool(self._shown)
            case "pick":
                return self.is_open and isinstance(parameters[0], int) and parameters[0] <= len(self._shown)
        return True

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        if has_focus:
            self.reveal()

    # ------------------------------------------------------------ choosing

    def action_move(self, by: int) -> None:
        self._cursor = (self._cursor + by) % len(self._shown)
        self.renew()
        self.reveal(self._cursor_line, self._cursor_line + 1)

    def action_pick(self, number: int) -> None:
        self._cursor = number - 1
        self.choose(self._shown[self._cursor])

    def choose(self, place: int) -> None:
        raise NotImplementedError

    def on_click(self, event: Click) -> None:
        """A click on a choice takes it, or ticks it; on a step that is to be put in order, the cursor moves there."""
        at = event.get_content_offset(self)
        row = self._line_at(at.y) if at else None
        if self.is_open and row is not None:
            self._cursor = row
            self.renew()
            if not isinstance(self.content, Order):
                self.choose(self._shown[row])

    def _line_at(self, y: int) -> int | None:
        return next((row for row, first, end in self._places if first <= y < end), None)

    _places: Sequence[tuple[int, int, int]] = ()  # (row, its first line, the line behind its last)

    # ------------------------------------------------------------ its lines

    def question(self, width: int) -> list[Text]:
        return prose.paragraphs(self.content.question, width, self.ink, self.app.console)

    def rows(self, width: int, before: int) -> list[Text]:
        """The choices; `before` lines stand above them."""
        lines: list[Text] = []
        self._places = []
        texts = questions.choice_texts(self.content)
        for row, place in enumerate(self._shown):
            here = self.hanging(self.mark(row, place), self.worded(row, texts[place]), width)
            self._places.append((row, before + len(lines), before + len(lines) + len(here)))
            lines += here
        if self._places:
            self._cursor_line = self._places[self._cursor][1]
        return lines

    def under_cursor(self, row: int) -> bool:
        return self.has_focus and self.is_open and row == self._cursor

    def worded(self, row: int, markdown: str) -> Text:
        text = self.inked(markdown)
        if self.under_cursor(row):
            text.stylize("bold")
        return text

    def mark(self, row: int, place: int) -> Text:
        """What stands before a choice: the cursor, or what became of it; and its number."""
        pointer = ("› ", f"bold {self.ink('orange')}") if self.under_cursor(row) else self.sign(place)
        return Text.assemble(pointer, self.box(place), (f"{row + 1}  ", self.ink("blue")))

    def sign(self, place: int) -> tuple[str, str]:
        """What became of a choice, in two cells."""
        return ("  ", "")

    def box(self, place: int) -> str:
        """For a tick, where there may be several."""
        return ""

    def signed(self, right: bool | None) -> tuple[str, str]:
        """Right or not by a sign and its colour, in two cells."""
        if right is None:
            return ("  ", "")
        return ("✓ " if right else "✕ ", f"bold {self.ink(self.colour(right))}")

    def colour(self, right: bool) -> str:
        return "green" if right else self.MISSED

    def verdict(self, right: bool, word: str, why: str, width: int) -> list[Text]:
        """By sign, word and colour; then the reasons."""
        first, *others = why.split("\n")
        joint = "" if word.endswith("。") else " "
        text = Text.assemble((word, f"bold {self.ink(self.colour(right))}"), joint, self.inked(first))
        lines = self.hanging(Text(*self.signed(right)), text, width)
        for other in others:
            lines += self.hanging("  ", self.inked(other), width)
        return lines

    def complaint(self, width: int) -> list[Text]:
        return self.say(self._complaint, width, "red") if self._complaint else []

    # ------------------------------------------------------------ typing

    def typed(self, character: str) -> bool:
        """Take a character of a number; whether it was taken."""
        return False

    def on_key(self, event: Key) -> None:
        if self.is_open and event.character and self.typed(event.character):
            event.stop()
            event.prevent_default()

    def on_paste(self, event: Paste) -> None:
        if self.is_open:
            for character in event.text.strip():
                self.typed(character)
            event.stop()


def more(text: str, character: str, unit: str) -> str | None:
    """`text` with one more character of a number or its unit; None where it can't be part of one."""
    character = unicodedata.normalize("NFKC", character)
    if character not in TYPED and character not in unit:
        return None
    if not text and not (character.isdigit() or character in ".,+-"):
        return None
    return (text + character)[:LONGEST_NUMBER]


# ---------------------------------------------------------------- a quiz


class QuizCard(Question):
    """A question of a quiz. `fresh`: asked anew, whatever was answered before."""

    BINDINGS = [
        bind("space", "tick", "tick", "tick this answer, or take the tick away"),
        bind("shift+up,K", "shift(-1)", "", "move this step up"),
        bind("shift+down,J", "shift(1)", "move", "move this step down", display="⇧↑↓"),
        bind("enter", "answer", "answer", "give this answer"),
        bind("enter", "again", "try again", "answer once more"),
        bind("s", "solve", "show answer", "show the right answer"),
        bind("backspace", "erase", "", "take the last character away"),
    ]

    class Answered(Message):
        """It was answered, and that is kept."""

        def __init__(self, lesson: str, item: str, right: bool) -> None:
            super().__init__()
            self.lesson, self.item, self.right = lesson, item, right

    def __init__(self, lesson: str, quiz: Quiz, fresh: bool = False, **options: Any) -> None:
        super().__init__(lesson, quiz, **options)
        self.quiz = quiz
        self.given: Any = None
        self.marked: Marked | None = None
        self._fresh = fresh
        self._at = ""  # when it was answered, if not just now
        self._back = ""  # when it comes back
        self._told = False  # the right answer was shown
        self._ticked: set[int] = set()
        self._text = ""

    def on_mount(self) -> None:
        if not self._fresh:
            self.restore()

    def restore(self) -> None:
        """The last answer, if there is one to this question as it is now."""
        kept = self.app.progress.answers(self.lesson_id).get(self.quiz.id)
        if kept and questions.fits(self.quiz, kept.given):
            self.given, self._at = kept.given, day(kept.at)
            self.marked = questions.marked(self.quiz, kept.given)
            if isinstance(self.quiz, Order):
                self._shown = list(kept.given)
            self.renew()

    @property
    def is_open(self) -> bool:
        return self.marked is None

    @property
    def is_wrong(self) -> bool:
        return bool(self.marked and not self.marked.right and not self._told)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        several = isinstance(self.quiz, Pick) and self.quiz.several
        match action:
            case "tick":
                return self.is_open and several
            case "shift":
                return self.is_open and isinstance(self.quiz, Order)
            case "pick" if isinstance(self.quiz, Order):
                return False
            case "answer":
                return self.is_open
            case "again":
                return bool(self.marked and not self.marked.right)
            case "solve":
                return self.is_wrong
            case "erase":
                return self.is_open and isinstance(self.quiz, Number)
        return super().check_action(action, parameters)

    # ------------------------------------------------------------ answering

    def choose(self, place: int) -> None:
        if isinstance(self.quiz, Pick) and self.quiz.several:
            self._ticked ^= {place}
            self.renew()
        else:
            self.give(place)

    def action_tick(self) -> None:
        self.choose(self._shown[self._cursor])

    def action_shift(self, by: int) -> None:
        """The step under the cursor changes places with its neighbour."""
        other = self._cursor + by
        if 0 <= other < len(self._shown):
            shown = self._shown
            shown[self._cursor], shown[other] = shown[other], shown[self._cursor]
            self.action_move(by)

    def action_answer(self) -> None:
        match self.quiz:
            case Number():
                self.give_text()
            case Order():
                self.give(list(self._shown))
            case Pick(several=True):
                if self._ticked:
                    self.give(sorted(self._ticked))
            case _:
                self.give(self._shown[self._cursor])

    def give_text(self) -> None:
        if not self._text:
            return
        try:
            self.give(self._text)
        except UsageError as error:
            self._complaint = str(error)
            self.renew()

    def give(self, given: Any) -> None:
        """Mark the answer, keep it, and say when it comes back."""
        self.marked, self.given = questions.marked(self.quiz, given), given
        self._complaint, self._at, self._told = "", "", False
        right, item = self.marked.right, self.quiz.id
        with self.app.writing():
            back = schedule.answer(self.app.progress, self.lesson_id, item, given, right)
            self._back = days.when(back, days.day_of(datetime.now(UTC)))
        self.renew()
        self.reveal()
        self.post_message(self.Answered(self.lesson_id, item, right))

    def action_again(self) -> None:
        if isinstance(self.quiz, Order):
            self._shown = list(self.given)
        self.marked, self._told, self._at, self._back = None, False, "", ""
        self._ticked, self._text = set(), ""
        self.renew()

    def action_solve(self) -> None:
        self._told = True
        if isinstance(self.quiz, Order):
            self._shown = questions.right_answer(self.quiz)
        self.renew()
        self.reveal()

    def typed(self, character: str) -> bool:
        if not isinstance(self.quiz, Number):
            return False
        text = more(self._text, character, self.quiz.unit)
        if text is None:
            return False
        self._text, self._complaint = text, ""
        self.renew()
        return True

    def action_erase(self) -> None:
        self._text, self._complaint = self._text[:-1], ""
        self.renew()

    # ------------------------------------------------------------ its lines

    def lines(self, width: int) -> list[Text]:
        lines = self.heading(_("Quiz"), self.quiz.title, width, *self.note()) + self.question(width)
        if self.quiz.plot:
            lines += [Text(), *self.plot(width)]
        lines += [Text()]
        lines += self.number(width) if isinstance(self.quiz, Number) else self.rows(width, len(lines))
        below = self.complaint(width) + self.below(width)
        return [*lines, Text(), *below] if below else lines

    def note(self) -> tuple[str, str]:
        """What stands at the right of the title, and its colour."""
        if self.marked is None:
            return ("" if self.has_focus else _("press a"), "muted")
        sign, _style = self.signed(self.marked.right)
        return (f"{sign}{self._at}".rstrip(), self.colour(self.marked.right))

    def plot(self, width: int) -> list[Text]:
        from dltutor.ui.plots import curves

        assert self.quiz.plot
        size = min(width, PLOT[0]), PLOT[1]
        return as_lines(curves.draw(self.quiz.plot.picture(), *size, self.app.plot_look))

    def number(self, width: int) -> list[Text]:
        assert isinstance(self.quiz, Number)
        if self.is_open:
            sign, text = ("  ", ""), field(self._text, self.has_focus, self.ink)
        else:
            sign, text = self.signed(self.marked is not None and self.marked.right), Text(self.given, "bold")
        unit = f" {self.quiz.unit}" if self.quiz.unit and self.quiz.unit not in text.plain else ""
        return [Text.assemble(sign, (f"{_('your answer')}  ", self.ink("muted")), text, (unit, self.ink("muted")))]

    def sign(self, place: int) -> tuple[str, str]:
        return self.signed(None if self.is_open else self._outcome(place))

    def box(self, place: int) -> str:
        if not (isinstance(self.quiz, Pick) and self.quiz.several):
            return ""
        ticked = place in (self._ticked if self.is_open else self.given)
        return "[x] " if ticked else "[ ] "

    def _outcome(self, place: int) -> bool | None:
        """Whether this choice was right where it was taken, or is, where the answer was shown."""
        if isinstance(self.quiz, Order):
            return (self._shown.index(place) == place) or None
        assert isinstance(self.quiz, Pick)
        right, taken = self.quiz.choices[place].right, place in as_list(self.given)
        return right if taken or (right and self._told) else None

    def below(self, width: int) -> list[Text]:
        if self.marked is None:
            return self.say(self.how(), width) if self.has_focus else []
        if self.marked.right:
            return self.verdict(True, _("Right."), self.marked.why, width) + self.coming_back(width)
        lines = self.verdict(False, _("Not right."), self.marked.why, width)
        if self._told:
            lines += self.solution(width)
        return lines + self.coming_back(width) + (self.say(self.ways_on(), width) if self.has_focus else [])

    def how(self) -> str:
        match self.quiz:
            case Number():
                return _("type a number, enter answers")
            case Order():
                return _("↑↓ choose a step, shift+↑↓ or J K move it, enter answers")
            case Pick(several=True):
                return _("space or a number ticks, enter answers: all that are right")
        return _("a number answers, or ↑↓ and enter")

    def ways_on(self) -> str:
        return _("enter: try again") + ("" if self._told else " · " + _("s: show the answer"))

    def solution(self, width: int) -> list[Text]:
        match self.quiz:
            case Number():
                told = _("The answer: {answer}.").format(answer=questions.with_unit(self.quiz.answer, self.quiz.unit))
            case Order():
                told = _("This is the order.")
            case _:
                places = as_list(questions.right_answer(self.quiz))
                rows = ", ".join(str(row) for row, place in enumerate(self._shown, 1) if place in places)
                told = _("The answer: {answer}.").format(answer=rows)
        return self.verdict(True, told, questions.why_right(self.quiz), width)

    def coming_back(self, width: int) -> list[Text]:
        return self.say(_("It comes back {when}.").format(when=self._back), width) if self._back else []


def as_list(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def field(text: str, focused: bool, ink: prose.Ink) -> Text:
    """A place to type in."""
    shown = text + ("▏" if focused else "")
    return Text(shown.ljust(8), f"bold {ink('text')} on {ink('background')} underline", no_wrap=True)


def as_lines(cells: Any) -> list[Text]:
    """A plot's cells as lines of text."""
    return [Text.assemble(*((part.text, part.style) for part in cells.segments(y))) for y in range(cells.height)]
