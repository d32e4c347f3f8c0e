"""A lesson: its text on the left, its lab on the right; below 100 columns one at a time."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import AwaitMount
from textual.widgets import Static

from dltutor import wire
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.lesson import Lesson, exercises
from dltutor.lesson.questions import fits, is_prediction, is_quiz
from dltutor.progress import schedule
from dltutor.ui.screens.sized import SizedScreen
from dltutor.ui.widgets.cards import Card, TaskCard
from dltutor.ui.widgets.key_bar import KeyBar, bind
from dltutor.ui.widgets.lab import Guess, Lab
from dltutor.ui.widgets.reader import Experiment, Reader


class LessonScreen(SizedScreen[None]):
    KIND = "lesson"
    DEFAULT_CSS = """
    LessonScreen #top { height: 1; padding: 0 1; background: $raised; color: $text; }
    LessonScreen #body { height: 1fr; }
    LessonScreen Reader { width: 1fr; }
    LessonScreen Lab { width: 1fr; border-left: solid $faint; }
    LessonScreen.-narrow Lab { display: none; border-left: none; }
    LessonScreen.-narrow.-lab Lab { display: block; }
    LessonScreen.-narrow.-lab Reader { display: none; }
    LessonScreen.-full Lab { display: none; border-left: none; }
    LessonScreen.-full.-lab Lab { display: block; }
    LessonScreen.-full.-lab Reader { display: none; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    BINDINGS = [
        bind("space", "lab('train')", "run", "start, pause or go on with the training"),
        bind("full_stop", "lab('step')", "step", "take one step, then wait"),
        bind("r", "lab('rewind')", "rewind", "go back to the start with the same seed: the same numbers come again"),
        bind("R", "lab('reseed')", "", "start with a new seed: new data, new weights"),
        bind("x", "lab('stop')", "", "end this run and keep its result"),
        bind("v", "lab('pace')", "speed", "slow, normal, fast or as fast as it goes"),
        bind("k", "lab('knobs')", "knobs", "turn the knobs of this lab"),
        bind("a", "ask", "answer", "the next question or guess of this section"),
        bind("e", "task", "exercise", "the next exercise or bug hunt of this section; enter opens it"),
        bind("g", "experiment", "try", "run the next experiment of this section"),
        bind("o", "lab('own')", "yours/ours", "train with your own kernel; again: with ours"),
        bind("n", "turn(1)", "next", "the next section; this one counts as read"),
        bind("p", "turn(-1)", "", "the section before"),
        bind("tab", "switch", "text/lab", "from the text to the lab and back", priority=True),
        bind("f", "full", "full", "the text or the lab over the whole screen, and back"),
        bind("m", "source", "", "formulas as drawn, or as they are written"),
        bind("c", "lab('cursor')", "", "a cursor on the curves, moved by the arrow keys"),
        bind("left", "lab('earlier')", "", "the cursor to earlier steps"),
        bind("right", "lab('later')", "", "the cursor to later steps"),
        bind("y", "lab('log')", "", "logarithmic or linear y-axis"),
        bind("w", "lab('recent')", "", "the whole run or only its recent steps"),
        bind("d", "lab('describe')", "", "say in words what the pictures show"),
        *(bind(str(n), f"panel({n})", "", "show or hide the picture of that number; 0 shows all") for n in range(10)),
        bind("escape", "leave", "course", "back to the course; your place is kept"),
        bind("escape", "read", "text", "from the lab, where it stands alone, back to the text"),
    ]
    ONLY_BESIDE_TEXT = (
        "turn(1)",
        "ask",
        "task",
        "experiment",
        "leave_app",
    )  # actions whose keys are not named while the lab stands alone
    ONLY_BESIDE_EACH_OTHER = ("full", "app.language", "language")
    ONLY_BESIDE_LAB = ("lab('step')", "lab('rewind')", "lab('pace')", "lab('knobs')", "lab('own')")

    def __init__(self, lesson: Lesson, section: str = "") -> None:
        """At `section`; without one, where the learner left it."""
        super().__init__()
        self.lesson = lesson
        self.has_exercises = bool(exercises.names(lesson))
        self._tried = 0  # experiments of this section
        self._card: Card | None = None  # which one had the focus before the lab came forward
        place = self.app.progress.place(lesson.id)
        if place and section not in ("", place.section):
            place = place._replace(section=section, scroll=0.0)
        self._place = place
        wanted = section or (place.section if place else "")
        ids = [each.id for each in lesson.sections]
        self._section = ids.index(wanted) if wanted in ids else 0

    def compose(self) -> ComposeResult:
        yield Static(id="top")
        with Horizontal(id="body"):
            yield Reader(self.lesson, self._section)
            if self.lesson.has_lab:
                yield Lab(self.lesson, self.app.make_link, self._place.setting if self._place else None)
        yield KeyBar()

    def on_mount(self) -> None:
        self.reader.focus()
        self.show_top()
        if self._place:
            self.call_after_refresh(self.reader.scroll_to, y=self._place.scroll, animate=False)

    @property
    def reader(self) -> Reader:
        return self.query_one(Reader)

    @property
    def lab(self) -> Lab | None:
        return self.query_one_optional(Lab)  # which remembers: a key asks for it often

    @property
    def trains(self) -> bool:
        return self.lab is not None and self.lab.state.status == "running"

    def show_top(self, index: int | None = None) -> None:
        index, total = self.reader.index if index is None else index, len(self.lesson.sections)
        done = self.app.progress.completed(self.lesson.id)
        dots = "".join("━" if section.id in done else "─" for section in self.lesson.sections)
        top = Text.assemble(
            (self.lesson.title, f"bold {self.app.ink('blue')}"), "  ",
            (f"{index + 1}/{total} ", self.app.ink("muted")),
            (dots[:index], self.app.ink("green")), ("◆", self.app.ink("orange")),
            (dots[index + 1 :], self.app.ink("muted")),
            no_wrap=True,
        )  # fmt: skip
        self.query_one("#top", Static).update(top)

    # ------------------------------------------------------------ reading

    async def action_turn(self, by: int) -> None:
        if by > 0:
            with self.app.writing():
                self.app.progress.complete(self.lesson.id, self.reader.section.id)
                schedule.introduce(self.app.progress, self.lesson, [self.reader.section.id])
        index = self.reader.index + by
        if 0 <= index < len(self.lesson.sections):
            self._tried = 0
            self.show_top(index)  # at once: the text takes a moment
            await self.reader.show(self.lesson, index)
            self._card = None
            self.show_text()
            self.reader.focus()
            self.save()
            self.app.place_changed()
        elif by > 0:
            self.notify(_("That was the last section: this lesson is done. Esc goes back to the course."))
        self.show_top()

    # ------------------------------------------------------------ questions and exercises

    def action_ask(self) -> None:
        self.show_text()
        if not self.reader.next_question():
            self.remark(_("This section asks nothing."))

    def remark(self, words: str) -> None:
        """In the place of the remarks before it: keys that lead nowhere don't pile them up."""
        self.app.clear_notifications()
        self.notify(words)

    def action_task(self) -> None:
        """To the next exercise; into it, where it is the only one and has the focus."""
        self.show_text()
        cards = list(self.query(TaskCard))
        at = next((number for number, card in enumerate(cards) if card.has_focus), -1)
        if not cards:
            self.remark(_("This section has no exercise."))
        elif cards[0].has_focus and len(cards) == 1:
            cards[0].action_open()
        else:
            cards[(at + 1) % len(cards)].focus()

    def on_task_card_chosen(self, message: TaskCard.Chosen) -> None:
        try:
            self.open_task(message.name)
        except DltutorError as error:
            self.app.say(_("This exercise cannot be opened"), str(error))

    def open_task(self, name: str, place: dict[str, Any] | None = None) -> AwaitMount:
        """At `place`; without one, where the learner left it. Raises DltutorError where it can't be read."""
        from dltutor.ui.screens.exercise import task_screen  # its editor is not needed for reading

        return self.app.push_screen(task_screen(self.lesson, name, place), self._after_task)

    def _after_task(self, outcome: tuple[str, wire.Own, dict[str, Any]] | None) -> None:
        self.reader.renew_cards()
        if outcome and self.lab:
            _train, own, body = outcome
            self.lab.train_with(own, body)
            if self.one_at_a_time:
                self.show_lab()

    def on_review_card_asked(self) -> None:
        from dltutor.ui.screens.review import ReviewScreen

        self.app.push_screen(ReviewScreen())

    def on_reader_scrolled(self) -> None:
        self.app.place_changed()

    def on_lab_compared(self) -> None:
        self.reader.renew_cards()

    async def action_source(self) -> None:
        await self.reader.toggle_source()

    async def renew(self) -> None:
        """The same place in another language."""
        self.lesson = self.app.course.find(self.lesson.id).load()
        await self.reader.show(self.lesson, self.reader.index, self.reader.scroll_y)
        if self.lab:
            self.lab.speak(self.lesson)
        self.show_top()

    # ------------------------------------------------------------ text and lab

    def names_key(self, action: str) -> bool:
        """Whether the line at the bottom has room for this one, as the screen is now, and it leads anywhere."""
        if self.leads_nowhere(action):
            return False
        if not self.one_at_a_time:
            return True
        alone = self.ONLY_BESIDE_TEXT if self.has_class("-lab") else self.ONLY_BESIDE_LAB
        return action not in alone and action not in self.ONLY_BESIDE_EACH_OTHER

    def leads_nowhere(self, action: str) -> bool:
        match action:
            case "ask":
                return not any(is_quiz(w.body) or is_prediction(w.body) for w in self.reader.section.widgets())
            case "task":
                return not self.reader.tasks()
            case "experiment":
                return not self.reader.experiments()
            case "lab('own')":
                return not (self.lab and (self.lab.own or self.has_exercises))
        return False

    def action_lab(self, name: str) -> None:
        """A key of the lab; where only the text is seen, the lab comes forward."""
        if not self.lab:
            self.notify(_("This lesson has no lab."))
            return
        if self.one_at_a_time and not self.has_class("-lab"):
            self.show_lab()
        getattr(self.lab, f"action_{name}")()

    def action_panel(self, number: int) -> None:
        if self.lab:
            self.lab.show_panel(number)

    @property
    def one_at_a_time(self) -> bool:
        return self.has_class("-narrow") or self.has_class("-full")

    def show_text(self) -> None:
        """The text comes forward; the focus is where it was."""
        if self.has_class("-lab") or self.in_lab:
            card = self._card if self._card and self._card.is_attached else None
            self.remove_class("-lab")
            (card or self.reader).focus(scroll_visible=False)
        elif not isinstance(self.focused, Card):
            self.reader.focus()
        self.refresh_bindings()
        self.app.place_changed()

    def show_lab(self) -> None:
        if self.lab:
            if not self.in_lab:
                self._card = self.focused if isinstance(self.focused, Card) else None
            self.add_class("-lab")
            self.lab.focus()
            self.call_after_refresh(self.lab.redraw)
            self.refresh_bindings()
            self.app.place_changed()

    @property
    def in_lab(self) -> bool:
        return bool(self.lab and (self.lab.has_focus or self.lab.has_focus_within))

    def action_switch(self) -> None:
        """Where both are seen, the focus moves; else the one makes room for the other."""
        if self.in_lab:
            self.show_text()
        else:
            self.show_lab()

    def action_full(self) -> None:
        lab = self.lab if self.in_lab else None
        self.toggle_class("-full")
        self.refresh_bindings()
        self.set_class(lab is not None, "-lab")
        self.app.place_changed()
        if lab:
            self.call_after_refresh(lab.redraw)

    def action_experiment(self) -> None:
        experiments = self.reader.experiments()
        if not experiments or not self.lab:
            self.remark(_("This section has no experiment; space runs the lab as it is."))
            return
        self._try(experiments[self._tried % len(experiments)])
        self._tried += 1

    def on_experiment_chosen(self, message: Experiment.Chosen) -> None:
        self._try(message.body)

    def _try(self, body: dict[str, Any]) -> None:
        if self.lab:
            self.lab.experiment(body, self._guesses(body))
            if self.one_at_a_time:
                self.show_lab()

    def _guesses(self, body: dict[str, Any]) -> list[Guess]:
        """What the learner has said about this experiment."""
        names = {widget.id for widget in self.lesson.widgets() if widget.kind == "lab" and widget.body == body}
        asked = [w.body for w in self.lesson.widgets() if is_prediction(w.body) and w.body.lab in names]
        known = self.app.progress.guess
        given = [(prediction, guess.guess) for prediction in asked if (guess := known(self.lesson.id, prediction.id))]
        return [Guess(prediction, guess) for prediction, guess in given if fits(prediction, guess)]

    # ------------------------------------------------------------ keeping

    def place(self) -> dict[str, Any]:
        place = {"lesson": self.lesson.id, "section": self.reader.section.id, "scroll": float(self.reader.scroll_y)}
        return place | {name: True for name in ("lab", "full") if self.has_class(f"-{name}")}

    def go_to(self, place: dict[str, Any]) -> None:
        """To the part of the screen that was looked at."""
        self.set_class(place.get("full", False), "-full")
        if place.get("lab") and self.one_at_a_time:
            self.show_lab()

    def save(self) -> None:
        setting = self.lab.setting() if self.lab else {}
        with self.app.writing():
            self.app.progress.set_place(self.lesson.id, self.reader.section.id, float(self.reader.scroll_y), setting)

    def on_lab_changed(self) -> None:
        self.save()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("read", "leave"):
            return (self.has_class("-lab") and self.one_at_a_time) == (action == "read")
        return super().check_action(action, parameters)

    def action_read(self) -> None:
        self.show_text()

    async def action_leave(self) -> None:
        await self.close()
        self.app.leave_lesson()

    async def close(self) -> None:
        """Keep the place and the run, and leave no engine behind."""
        self.save()
        if self.lab:
            await self.lab.close()
