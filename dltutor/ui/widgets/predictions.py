"""A prediction in the text: the guess before a run, how sure one is, and, once it is known, what did happen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text
from textual.message import Message

from dltutor.errors import UsageError
from dltutor.i18n import _
from dltutor.lesson import Lesson, questions
from dltutor.lesson.questions import Comparison, Level, Outcome, Prediction, Shape
from dltutor.pictures import Curves
from dltutor.ui import prose
from dltutor.ui.widgets.cards import day
from dltutor.ui.widgets.key_bar import bind
from dltutor.ui.widgets.questions import Question, as_lines, field, more

THUMBNAIL = (16, 30, 6)  # least and most columns, and rows, of a curve to choose
BAR = 40  # cells of a range, at most


class PredictCard(Question):
    """What will happen, how sure one is, and, once it is known, what did happen."""

    DEFAULT_CSS = "PredictCard { border-left: wide $orange; }"
    EDGE = MISSED = "orange"  # a guess that did not come true is no mistake
    BINDINGS = [
        bind("enter", "take", "choose", "take this answer"),
        bind("left", "lean(-1)", "", "less sure; the field before"),
        bind("right", "lean(1)", "", "more sure; the next field"),
        bind("backspace", "erase", "", "take the last character away"),
        bind("g", "run", "run it", "run it and see"),
        bind("enter", "change", "change it", "guess anew, as long as it was not run"),
    ]

    class Run(Message):
        """The learner wants to see: run the experiment of this id."""

        def __init__(self, lab: str) -> None:
            super().__init__()
            self.lab = lab

    def __init__(self, lesson: Lesson, prediction: Prediction, **options: Any) -> None:
        super().__init__(lesson.id, prediction, **options)
        self.prediction = prediction
        self.given: Any = None
        self.confidence = 0
        self.compared: Comparison | None = None
        self._phase = "choosing"  # then: sure, kept, told
        self._changing = False  # the learner is at it: what is kept does not matter
        self._unseen = False  # the truth was told while the learner looked elsewhere
        self._at = ""
        self._texts = ["", ""]  # the ends of a range
        self._field = 0
        self._leaning = 2  # how sure, under the cursor
        self._runs = bool(prediction.lab) and lesson.has_lab
        self._steps, self._log = run_of(prediction, lesson)

    def on_mount(self) -> None:
        self.restore()

    def restore(self) -> None:
        """What is kept: the guess, and what happened if it is known by now."""
        kept = self.app.progress.guess(self.lesson_id, self.prediction.id)
        if self._changing or not kept or not questions.fits(self.prediction, kept.guess):
            return
        self.given, self.confidence, self._at = kept.guess, kept.confidence, day(kept.at)
        if kept.right is not None:
            self.compared = questions.compare_with(self.prediction, kept.guess, kept.outcome)
        self._unseen = self._phase == "kept" and kept.right is not None
        self._phase = "kept" if kept.right is None else "told"
        self.renew()
        if self.has_focus:
            self.show_news()

    def show_news(self) -> None:
        """Bring up what a run has told since the learner looked here last."""
        if self._unseen:
            self._unseen = False
            self.reveal()

    @property
    def is_open(self) -> bool:
        return self._phase in ("choosing", "sure")

    @property
    def _typing(self) -> bool:
        return self._phase == "choosing" and isinstance(self.prediction, Level)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "move":
                return self._phase == "choosing"
            case "pick":
                most = 3 if self._phase == "sure" else len(self._shown)
                return self.is_open and isinstance(parameters[0], int) and parameters[0] <= most
            case "take":
                return self.is_open
            case "lean":
                return (self.is_open and not isinstance(self.prediction, Outcome)) or self._phase == "sure"
            case "erase":
                return self.is_open
            case "change":
                return self._phase == "kept"
            case "run":
                return self._phase in ("kept", "told") and self._runs
        return super().check_action(action, parameters)

    # ------------------------------------------------------------ guessing

    def action_move(self, by: int) -> None:
        if isinstance(self.prediction, Level):
            self.action_lean(by)
        else:
            super().action_move(by)

    def action_pick(self, number: int) -> None:
        if self._phase == "sure":
            self.keep(number)
        else:
            super().action_pick(number)

    def choose(self, place: int) -> None:
        self.given, self._phase, self._changing = place, "sure", True
        self.renew()
        self.reveal()

    def action_take(self) -> None:
        if self._phase == "sure":
            self.keep(self._leaning)
        elif isinstance(self.prediction, Level):
            self.take_range()
        else:
            self.choose(self._shown[self._cursor])

    def take_range(self) -> None:
        """The next end; after both, how sure."""
        assert isinstance(self.prediction, Level)
        if not all(self._texts):
            self._field = self._texts.index("") if self._texts[self._field] else self._field
            self.renew()
            return
        try:
            self.choose(questions.read_range(self.prediction, *self._texts))  # type: ignore[arg-type]
        except UsageError as error:
            self._complaint = str(error)
            self.renew()

    def action_lean(self, by: int) -> None:
        if self._phase == "sure":
            self._leaning = min(max(self._leaning + by, 1), 3)
        elif isinstance(self.prediction, Level):
            self._field = (self._field + by) % 2
        else:
            self._cursor = (self._cursor + by) % len(self._shown)
        self.renew()

    def action_erase(self) -> None:
        """The last character; or, when asked how sure, back to the choice."""
        if self._phase == "sure":
            self._phase, self.given = "choosing", None
        self._texts[self._field], self._complaint = self._texts[self._field][:-1], ""
        self.renew()

    def typed(self, character: str) -> bool:
        if not self._typing:
            return False
        assert isinstance(self.prediction, Level)
        text = more(self._texts[self._field], character, self.prediction.unit)
        if text is None:
            return False
        self._texts[self._field], self._complaint = text, ""
        self.renew()
        return True

    def keep(self, confidence: int) -> None:
        """The guess is kept before anything runs; where nothing will, the truth is told."""
        self.confidence, self._at, self._phase, self._changing = confidence, "", "kept", False
        with self.app.writing():
            self.app.progress.add_guess(self.lesson_id, self.prediction.id, self.given, confidence)
        if not self._runs:
            self.tell()
        self.renew()
        self.reveal()

    def tell(self) -> None:
        self.compared, self._phase = questions.compare(self.prediction, self.given), "told"
        with self.app.writing():
            found = self.compared
            self.app.progress.resolve_guess(self.lesson_id, self.prediction.id, found.outcome, found.right)

    def action_change(self) -> None:
        self._phase, self.given, self._changing = "choosing", None, True
        self.renew()

    def action_run(self) -> None:
        self.post_message(self.Run(self.prediction.lab))

    # ------------------------------------------------------------ its lines

    def lines(self, width: int) -> list[Text]:
        lines = self.heading(_("Predict"), self.prediction.title, width, *self.note()) + self.question(width) + [Text()]
        match self.prediction:
            case Shape():
                lines += self.thumbnails(width, len(lines))
            case Level():
                lines += self.range(width)
            case _:
                lines += self.rows(width, len(lines))
        below = self.complaint(width) + self.below(width)
        return [*lines, Text(), *below] if below else lines

    def note(self) -> tuple[str, str]:
        if self.compared:
            sign, _style = self.signed(self.compared.right)
            return (f"{sign}{self._at}".rstrip(), self.colour(self.compared.right))
        return ("" if self.has_focus or not self.is_open else _("press a"), "muted")

    def sign(self, place: int) -> tuple[str, str]:
        if self.compared:
            right = True if place == self.compared.outcome else None
            return self.signed(False if right is None and place == self.given else right)
        return ("● ", f"bold {self.ink('orange')}") if place == self.given else ("  ", "")

    def under_cursor(self, row: int) -> bool:
        return super().under_cursor(row) and self._phase == "choosing"

    def below(self, width: int) -> list[Text]:
        match self._phase:
            case "choosing":
                return self.say(self.how(), width) if self.has_focus else []
            case "sure":
                return self.sureness(width)
            case "kept":
                return self.kept(width)
        assert self.compared
        found = self.compared
        lines = self.verdict(found.right, found.sentence, self.prediction.why, width)
        known = questions.calibration(self.app.progress.calibration())
        return lines + self.hanging("  ", Text(_("So far: {known}").format(known=known), self.ink("muted")), width)

    def how(self) -> str:
        if isinstance(self.prediction, Level):
            return _("type the lowest, enter, the highest, enter")
        return _("a number chooses, or the arrows and enter")

    def sureness(self, width: int) -> list[Text]:
        text = Text(_("How sure are you?"), f"bold {self.ink('text')}")
        for level, name in questions.confidences().items():
            here = self.has_focus and level == self._leaning
            text.append("   ")
            text.append("› " if here else "  ", f"bold {self.ink('orange')}")
            text.append(f"{level} ", self.ink("blue"))
            text.append(prose.unbroken(name), "bold" if here else "")
        return self.hanging("", text, width)

    def kept(self, width: int) -> list[Text]:
        sure = questions.confidences().get(self.confidence, "")
        said = questions.in_words(self.prediction, self.given)
        text = Text.assemble((_("You guessed: {guess} ({sure}).").format(guess=said, sure=sure), self.ink("text")))
        lines = self.hanging(Text("● ", f"bold {self.ink('orange')}"), text, width)
        if not self._runs:
            return lines
        ways = _("now run it: g") + (" · " + _("enter: change it") if self.has_focus else "")
        return lines + self.hanging("  ", Text(ways, f"bold {self.ink('orange')}"), width)

    # ------------------------------------------------------------ a range

    def range(self, width: int) -> list[Text]:
        level = self.prediction
        assert isinstance(level, Level)
        return [*(self.ends(width) if self.given is None else []), self.bar(level, min(width, BAR))]

    def ends(self, width: int) -> list[Text]:
        """Two places to type in; side by side where there is room."""
        low, high = self.end(0, _("lowest")), self.end(1, _("highest"))
        both = Text("   ").join([low, high])
        return [both] if both.cell_len <= width else [low, high]

    def end(self, number: int, name: str) -> Text:
        here = self.has_focus and number == self._field
        label = (f"  {name}  ", self.ink("text" if here else "muted"))
        return Text.assemble(label, field(self._texts[number], here, self.ink))

    def bar(self, level: Level, width: int) -> Text:
        """All that is possible, what was said in it, and where the truth is."""
        low, high = questions.with_unit(level.low, level.unit), questions.with_unit(level.high, level.unit)
        room = max(6, width - len(low) - len(high) - 4)
        said = self.said(level)
        first, last = (place_on(end, level, room) for end in said) if said else (room, room)
        text = Text.assemble("  ", (f"{low} ", self.ink("muted")))
        truth = self.compared.outcome if self.compared else None
        at = place_on(truth, level, room) if isinstance(truth, (int, float)) else -1
        for n in range(room):
            glyph, colour = ("━", "orange") if first <= n <= last else ("─", "faint")
            text.append(*(("◆", self.ink("green")) if n == at else (glyph, self.ink(colour))))
        return text.append(f" {high}", self.ink("muted"))

    def said(self, level: Level) -> list[float] | None:
        """The range as far as it is typed."""
        if self.given is not None:
            return list(self.given)
        try:
            return questions.read_range(level, *self._texts)
        except UsageError:
            return None

    # ------------------------------------------------------------ curves

    def thumbnails(self, width: int, before: int) -> list[Text]:
        """The curves side by side, as many in a row as there is room for."""
        assert isinstance(self.prediction, Shape)
        least, most, _rows = THUMBNAIL
        across = max(1, min(len(self._shown), (width + 2) // (least + 2)))
        across = -(-len(self._shown) // -(-len(self._shown) // across))  # rows of even length
        size = min(most, (width - 2 * (across - 1)) // across)
        self._places = []
        lines: list[Text] = []
        for first in range(0, len(self._shown), across):
            row = range(first, min(first + across, len(self._shown)))
            lines += [Text()] if lines else []
            lines += beside([self.thumbnail(n, self._shown[n], size) for n in row], size)
        self._cursor_line = before
        return lines

    def thumbnail(self, row: int, place: int, width: int) -> list[Text]:
        from dltutor.ui.plots import curves

        assert isinstance(self.prediction, Shape)
        everything = [line.series(self._steps) for line in self.prediction.curves]
        truth = self.compared.outcome if self.compared else None
        bright = self.under_cursor(row) or place in (self.given, truth)
        parts = ([everything[place]], []) if bright else ([], [everything[place]])
        cells = curves.draw(
            Curves(parts[0], log=self._log), width, THUMBNAIL[2], self.app.plot_look, behind=parts[1], among=everything
        )
        label = self.hanging(self.mark(row, place), self.worded(row, self.prediction.curves[place].label), width)
        return as_lines(cells) + label


def run_of(prediction: Prediction, lesson: Lesson) -> tuple[int, bool]:
    """How many steps its experiment takes, and whether its metric is drawn on a logarithmic axis."""
    labs = [widget.body for widget in lesson.widgets() if widget.kind == "lab" and widget.id == prediction.lab]
    steps = labs[0].get("steps", lesson.steps) if labs else lesson.steps
    return steps, any(panel.log for panel in lesson.pictures if prediction.metric in panel.curves)


def place_on(value: float, level: Level, room: int) -> int:
    return min(room - 1, max(0, int((value - level.low) / (level.high - level.low) * room)))


def beside(blocks: Sequence[list[Text]], width: int) -> Iterator[Text]:
    """Blocks of lines side by side, each `width` cells wide."""
    for n in range(max(map(len, blocks))):
        line = Text(no_wrap=True)
        for block in blocks:
            part = block[n].copy() if n < len(block) else Text()
            part.append(" " * (width + 2 - part.cell_len))
            line.append_text(part)
        line.right_crop(2)
        yield line
