"""An exercise: the task, the learner's code and the verdict side by side; below 100 columns one at a time."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from typing import Any

from rich.text import Text
from textual.app import ComposeResult, SuspendNotSupported
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static, TextArea
from textual.worker import Worker

from dltutor import wire
from dltutor.errors import DltutorError
from dltutor.i18n import _, plural
from dltutor.lesson import Lesson, exercises
from dltutor.lesson.exercises import Exercise
from dltutor.manuscript import Manuscript, saves
from dltutor.ui.screens.dialogs import Confirm
from dltutor.ui.screens.sized import SizedScreen
from dltutor.ui.widgets.editor import Editor
from dltutor.ui.widgets.key_bar import KeyBar, bind
from dltutor.ui.widgets.task import Solution, Task
from dltutor.ui.widgets.verdict import VerdictPane

WIDE = 100  # columns from which on all is seen at once
LOSS = 1.0  # seconds of writing that a kill may cost
Place = dict[str, Any]  # see ui/resume.py
Outcome = tuple[str, wire.Own, dict[str, Any]] | None  # ("train", with what, how the lab is set), or nothing


def task_screen(lesson: Lesson, name: str, place: Place | None = None) -> ExerciseScreen:
    """The screen of the exercise or the hunt `name`. Raises DltutorError where it can't be read."""
    exercise = exercises.load(lesson, name)
    if not exercise.hunt:
        return ExerciseScreen(lesson, exercise, place)
    from dltutor.ui.screens.hunt import HuntScreen

    return HuntScreen(lesson, exercise, place)


def where_to_write(text: str) -> tuple[int, int]:
    """The place in a start that waits for the learner: before `# your line` where code stands there, else behind it;
    without one, the first line of a function."""
    lines = text.split("\n")
    for row, line in enumerate(lines):
        if "# your line" in line:
            return row, len(line.split("#")[0].rstrip()) or len(line)
    row = next((row for row, line in enumerate(lines) if line.startswith("def ")), -1) + 1
    return (row, len(lines[row])) if row < len(lines) else (0, 0)


class ExerciseScreen(SizedScreen[Outcome]):
    KIND = "exercise"
    DEFAULT_CSS = """
    ExerciseScreen #top { height: 1; padding: 0 1; background: $raised; color: $text; }
    ExerciseScreen #body { height: 1fr; }
    ExerciseScreen Task, ExerciseScreen Solution { width: 1fr; }
    ExerciseScreen #work { width: 1fr; border-left: solid $faint; }
    ExerciseScreen Editor { height: 1fr; }
    ExerciseScreen VerdictPane { max-height: 60%; }
    ExerciseScreen Solution { display: none; }
    ExerciseScreen.-solution Solution { display: block; }
    ExerciseScreen.-solution Task { display: none; }
    ExerciseScreen.-narrow #work { border-left: none; }
    ExerciseScreen.-narrow Task, ExerciseScreen.-narrow Solution, ExerciseScreen.-narrow #work { display: none; }
    ExerciseScreen.-narrow.-at-task Task { display: block; }
    ExerciseScreen.-narrow.-at-solution Solution { display: block; }
    ExerciseScreen.-narrow.-at-code #work, ExerciseScreen.-narrow.-at-verdict #work { display: block; }
    ExerciseScreen.-narrow.-at-code VerdictPane, ExerciseScreen.-narrow.-at-verdict #written { display: none; }
    ExerciseScreen.-narrow VerdictPane { border-top: none; max-height: 100%; height: 1fr; }
    ExerciseScreen.-narrow VerdictPane.-outdated #outdated { display: block; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]
    BINDINGS = [
        bind("n", "go_on", "go on", "done: go on with the lesson"),
        bind("tab", "turn(1)", "task/code", "from the task to the code to the verdict"),
        bind("shift+tab", "turn(-1)", "", "from the verdict to the code to the task"),
        bind("w", "watch", "watch", "see the symptom in the lab"),
        bind("e", "edit", "edit", "write; escape ends it"),
        bind("c", "check", "check", "check what you have written"),
        bind("ctrl+r", "check", "check", "check what you have written, also while you write"),
        bind("ctrl+s", "save", "save", "save; it is saved by itself, too"),
        bind("h", "hint", "hint", "one more hint; those you had stay in the task"),
        bind("t", "train", "train", "the lab trains with what you have written"),
        bind("escape", "leave", "back", "back to the lesson; all is kept"),
        bind("u", "take_over", "take over", "take the solution over into your file"),
        bind("s", "solution", "solution", "one right answer, beside yours"),
        bind("E", "outside", "$EDITOR", "write in your own editor; each save is checked"),
        bind("x", "reset", "reset", "begin anew, from the start"),
        bind("m", "source", "", "formulas as drawn, or as they are written"),
    ]

    def __init__(self, lesson: Lesson, exercise: Exercise, place: Place | None = None) -> None:
        """At `place`; without one, where the learner left it."""
        super().__init__()
        self.lesson, self.exercise, self._place = lesson, exercise, place
        self.file = Manuscript(exercise)
        self._timer: Timer | None = None
        self._check: Worker[None] | None = None
        self._again = False  # a check was asked for while one ran
        self._checked: tuple[str, bool] | None = None  # the last source with a verdict, and whether it passed

    # ------------------------------------------------------------ the screen

    def compose(self) -> ComposeResult:
        yield Static(id="top")
        with Horizontal(id="body"):
            yield Task(self.lesson, self.exercise, self.known.hints)
            yield Solution(self.exercise.solution, self.app.ink)
            with Vertical(id="work"):
                with Vertical(id="written"):
                    yield from self.compose_written()
                yield VerdictPane()
        yield KeyBar()

    def compose_written(self) -> ComposeResult:
        yield Editor(self.file.text, read_only=True)

    def on_mount(self) -> None:
        self.verdict.wait(self._last_time() + self.first_words())
        self.show_top()
        self._restore_place()
        if self.file.notice:
            self.notify(self.file.notice, severity="warning", timeout=20)
        self.run_worker(self._prepare(), group="prepare")
        if not self.app.is_hosted:  # else nobody can save it but us
            self.run_worker(self._watch(), group="watch")

    def first_words(self) -> str:
        if self.app.is_hosted:
            return _("c checks what you have written. It is saved as you type.")
        return _("c checks what you have written. It is kept in {file}").format(file=self.file.path)

    def _last_time(self) -> str:
        attempts = self.app.progress.attempts(*self.key)
        return _("Last time: {headline}").format(headline=attempts[-1].headline) + "\n" if attempts else ""

    @property
    def key(self) -> tuple[str, str]:
        return self.lesson.id, self.exercise.name

    @property
    def known(self) -> Any:
        """What progress has of this exercise."""
        return self.app.progress.exercise(*self.key)

    @property
    def editor(self) -> Editor:
        return self.query_one(Editor)

    @property
    def page(self) -> Task:
        return self.query_one(Task)

    @property
    def verdict(self) -> VerdictPane:
        return self.query_one(VerdictPane)

    def show_top(self) -> None:
        ink, known = self.app.ink, self.known
        top = Text.assemble(
            (_("Bug hunt") if self.exercise.hunt else _("Exercise"), ink("orange")), "  ",
            (self.exercise.title, f"bold {ink('blue')}"), "  ",
            (_("{n} min").format(n=self.exercise.minutes), ink("muted")), "  ", no_wrap=True,
        )  # fmt: skip
        top.append(*((f"✓ {_('passed')}", ink("green")) if known.passed_at else (self._tried(known), ink("muted"))))
        if known.seen:
            top.append(f"  {_('solution seen')}", ink("orange"))
        self.query_one("#top", Static).update(top)

    @staticmethod
    def _tried(known: Any) -> str:
        return f"◐ {plural('{n} try', '{n} tries', known.attempts)}" if known.attempts else f"○ {_('new')}"

    async def renew(self) -> None:
        """The same in another language, or in other colours."""
        self.lesson = self.app.course.find(self.lesson.id).load()
        self.exercise = exercises.load(self.lesson, self.exercise.name)
        self.editor.recolour()
        self.verdict.recolour()
        self.show_top()
        if not self.verdict.says_something:
            self.verdict.wait(self.first_words())
        await self.query_one(Solution).recompose()
        await self.page.set(self.lesson, self.exercise, self.page.hints)
        self.run_worker(self._prepare(), group="prepare")

    # ------------------------------------------------------------ one thing at a time

    def panes(self) -> dict[str, Widget]:
        """What tab turns through, in order."""
        shows_solution = self.has_class("-solution")
        panes: dict[str, Widget] = {} if shows_solution and not self.is_narrow else {"task": self.page}
        panes["code"] = self.editor
        if shows_solution:
            panes["solution"] = self.query_one(Solution)
        if self.verdict.says_something:
            panes["verdict"] = self.verdict
        return panes

    @property
    def is_narrow(self) -> bool:
        return self.has_class("-narrow")

    @property
    def pane(self) -> str:
        """The one that has the focus, or is the only one seen."""
        panes = self.panes()
        return next((name for name, pane in panes.items() if pane is self.focused), next(iter(panes)))

    def show_pane(self, name: str) -> None:
        self.remove_class(*(f"-at-{other}" for other in ("task", "code", "solution", "verdict", "suspects")))
        self.add_class(f"-at-{name}")
        self.panes()[name].focus()
        self.refresh_bindings()
        self.app.place_changed()

    def action_turn(self, by: int) -> None:
        names = list(self.panes())
        self.show_pane(names[(names.index(self.pane) + by) % len(names)])

    @property
    def writes(self) -> bool:
        """The learner is writing: letters are text."""
        return self.editor.has_focus and not self.editor.read_only

    def names_key(self, action: str) -> bool:
        """The line at the bottom speaks of saving while one writes."""
        return action != "save" or self.writes

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "go_on":
            return self.is_done
        if action == "take_over":
            return self.has_class("-solution")
        if action == "watch":
            return self.exercise.hunt is not None
        if action == "outside":
            return not self.app.is_hosted
        return super().check_action(action, parameters)

    # ------------------------------------------------------------ writing

    def action_edit(self) -> None:
        self.editor.read_only = False
        self.show_pane("code")

    def on_editor_entered(self) -> None:
        self.action_edit()

    def on_editor_left(self) -> None:
        self.editor.read_only = True
        self.refresh_bindings()
        self.app.place_changed()

    def on_text_area_selection_changed(self) -> None:
        self.app.place_changed()

    def on_text_area_changed(self, _event: TextArea.Changed) -> None:
        if self.editor.text == self.file.text:
            return
        self.verdict.outdated()
        if self._timer is None:
            self._timer = self.set_timer(LOSS, self.save)

    def action_save(self) -> None:
        if self.save():
            told = _("saved") if self.app.is_hosted else _("saved: {file}").format(file=self.file.path)
            self.notify(told, timeout=2)

    def save(self) -> bool:
        """Keep what is written; whether that could be done."""
        if self._timer:
            self._timer.stop()
        self._timer = None
        return self.editor.text == self.file.text or self._write()

    def _write(self) -> bool:
        try:
            aside = self.file.write(self.editor.text)
        except DltutorError as error:
            self.notify(str(error), title=_("This is not saved"), severity="error", timeout=10)
            return False
        if aside:
            words = _("The file was saved elsewhere, too, while you wrote here. That text is in {file}.")
            self.notify(words.format(file=aside), severity="warning", timeout=20)
        return True

    # ------------------------------------------------------------ saved by another editor

    async def _watch(self) -> None:
        async for _save in saves(self.file.path):
            if self.file.was_saved_elsewhere:
                self.take_in()

    def take_in(self) -> None:
        """Somebody else has saved the file: show that text, and check it; keep both where there are changes here."""
        if self.editor.text != self.file.text:
            self.save()
            return
        try:
            self.editor.replace_all(self.file.read())
        except DltutorError as error:
            self.notify(str(error), severity="warning", timeout=10)
            return
        self.action_check()

    def action_outside(self) -> None:
        """The learner's own editor in place of the application, until it ends."""
        command = os.environ.get("VISUAL") or os.environ.get("EDITOR")
        if not self.save() or not (self.file.path.exists() or self._write()):
            return
        try:
            if not command:
                raise SuspendNotSupported
            with self.app.suspend():
                subprocess.run([*shlex.split(command), str(self.file.path)], check=False)
        except (SuspendNotSupported, OSError, ValueError):
            self._say_path(command)
            return
        self.app.redraw()
        if self.file.was_saved_elsewhere:
            self.take_in()

    def _say_path(self, command: str | None) -> None:
        words = _("Open this file in an editor beside this terminal; each time you save it, it is checked here:")
        reason = _("{command} can't be started here.").format(command=command) if command else _("EDITOR is not set.")
        self.app.say(_("Your own editor"), f"{reason}\n\n{words}\n\n{self.file.path}")

    # ------------------------------------------------------------ checking

    async def _prepare(self) -> None:
        try:
            await self.app.grader.prepare()
        except OSError as error:  # no process to be had: told when a check wants one
            self.log(error)

    def action_check(self) -> None:
        if self._check and self._check.is_running:
            self._again = True
            return
        self._again = False
        self.save()
        self.verdict.checking("")
        if self.is_narrow:
            self.show_pane("verdict")
        self._check = self.run_worker(self._judge(self.editor.text), group="check")

    async def _judge(self, source: str) -> None:
        try:
            verdict = await self.app.grader.check(self.exercise.key, source, self.verdict.checking)
        except (DltutorError, OSError) as error:
            self.verdict.trouble(error if isinstance(error, DltutorError) else DltutorError(str(error)))
            return
        self.hear(verdict, source)
        if self._again and self.editor.text != source:
            self._check = None
            self.action_check()

    def hear(self, verdict: wire.Verdict, source: str) -> None:
        """Show a verdict on `source`, and keep it."""
        self._checked = source, verdict.passed
        with self.app.writing():
            self.app.progress.note_attempt(*self.key, source, verdict.passed, verdict.headline, verdict.cause)
        self.verdict.show(verdict, source)
        self.show_top()
        if self.editor.text == source:
            self.editor.mark(verdict.line)
            if verdict.passed or self.is_narrow:
                self.editor.read_only = True
                self.show_pane("verdict")
        self.refresh_bindings()

    def cancel(self) -> None:
        if self._check:
            self._check.cancel()
        self.verdict.wait(_("Cancelled. c checks again."))
        self.run_worker(self._renew_grader(), group="prepare")

    async def _renew_grader(self) -> None:
        await self.app.grader.close()
        await self._prepare()

    # ------------------------------------------------------------ help of all kinds

    async def action_hint(self) -> None:
        count = min(self.page.hints + 1, len(self.exercise.hints))
        if count == self.page.hints:
            self.notify(_("These are all the hints. s shows a solution."))
        else:
            with self.app.writing():
                self.app.progress.note_hint(*self.key, count)
        self.remove_class("-solution")
        await self.page.set(self.lesson, self.exercise, count)
        self.show_pane("task")
        self.call_after_refresh(self.page.scroll_end, animate=False)

    def action_solution(self) -> None:
        if self.has_class("-solution") and (self.pane == "solution" or not self.is_narrow):
            self.remove_class("-solution")
            self.show_pane("code")
        elif self.known.seen:
            self.show_solution()
        else:
            words = _("Show a solution? The exercise is then marked as seen; you can still solve it yourself.")
            self.ask(words, self.show_solution)

    def show_solution(self) -> None:
        with self.app.writing():
            self.app.progress.note_seen(*self.key)
        self.show_top()
        self.add_class("-solution")
        self.show_pane("solution")

    def action_take_over(self) -> None:
        words = _("Put the solution in the place of what you have written? In the text, ctrl+z brings yours back.")
        self.ask(words, lambda: self.put(self.exercise.solution))

    def action_reset(self) -> None:
        words = _(
            "Begin anew? Your text goes back to the start; hints, tries and success are forgotten. "
            "In the text, ctrl+z brings it back."
        )
        self.ask(words, self.reset)

    def reset(self) -> None:
        with self.app.writing():
            self.app.progress.reset_exercise(*self.key)
        self._checked = None
        self.remove_class("-solution")
        self.verdict.wait(self.first_words())
        self.put(self.exercise.start)
        self.editor.move_cursor(where_to_write(self.exercise.start))
        self.show_top()
        self.run_worker(self.page.set(self.lesson, self.exercise, 0), group="task")

    def put(self, text: str) -> None:
        self.editor.mark(None)
        self.editor.replace_all(text)
        self.save()
        self.show_pane("code")

    def ask(self, question: str, do: Callable[[], None]) -> None:
        self.app.push_screen(Confirm(question), lambda agreed: do() if agreed else None)

    async def action_source(self) -> None:
        await self.page.toggle_source()

    # ------------------------------------------------------------ going

    @property
    def is_done(self) -> bool:
        return bool(self._checked and self._checked[1]) or bool(self.known.passed_at)

    @property
    def own(self) -> wire.Own:
        """What is written now, for the lab."""
        return self._own(self.editor.text)

    def _own(self, source: str) -> wire.Own:
        passed = self._checked == (source, True) or self._passed_before(source)
        return wire.Own(self.exercise.key, source, list(self.exercise.kernels), passed)

    def _passed_before(self, source: str) -> bool:
        return any(attempt.passed and attempt.source == source for attempt in self.app.progress.attempts(*self.key))

    async def action_train(self) -> None:
        await self._end(("train", self.own, self.exercise.lab))

    async def action_go_on(self) -> None:
        await self._end(None)

    async def action_leave(self) -> None:
        if self._check and self._check.is_running:
            self.cancel()
        else:
            await self._end(None)

    async def _end(self, outcome: Outcome) -> None:
        await self.close()
        self.dismiss(outcome)

    async def close(self) -> None:
        """Keep everything."""
        self.save()
        self._keep_place()

    # ------------------------------------------------------------ where the learner left

    @property
    def first_pane(self) -> str:
        return "task"

    @property
    def _place_name(self) -> str:
        return f"place of {self.exercise.key}"

    def place(self) -> Place:
        return {"task": self._here() | {"name": self.exercise.name, "writes": self.writes}}

    def _here(self) -> Place:
        row, column = self.editor.cursor_location
        pane = "code" if self.pane in ("verdict", "solution") else self.pane
        return {"pane": pane, "row": row, "column": column}

    def _keep_place(self) -> None:
        with self.app.writing():
            self.app.progress.set_preference(self._place_name, self._here())

    def _restore_place(self) -> None:
        place = self._place or self.app.progress.preference(self._place_name, {})
        row, column = where_to_write(self.file.text)
        self.editor.move_cursor(self.editor.clamp_visitable((place.get("row", row), place.get("column", column))))
        pane = place.get("pane", self.first_pane)
        self.show_pane(pane if pane in self.panes() else "task")
        if place.get("writes"):
            self.action_edit()
