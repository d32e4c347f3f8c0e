"""What an exercise asks, its hints, and its solution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rich.syntax import Syntax
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from dltutor import lesson
from dltutor.i18n import _
from dltutor.lesson import Lesson, Section
from dltutor.lesson.exercises import Exercise
from dltutor.ui.widgets.reader import Reader, code_theme


class Task(Reader):
    """The task as a lesson of one section, and under it the hints that were asked for."""

    DEFAULT_CSS = """
    Task > Markdown > MarkdownH2 { display: none; }
    Task .hint { height: auto; border-left: wide $orange; padding: 0 1; margin: 0 0 1 0; }
    Task .hint Markdown MarkdownBlock { margin: 0; }
    Task .hint .which { color: $orange; }
    """

    def __init__(self, lesson: Lesson, exercise: Exercise, hints: int, **options: Any) -> None:
        super().__init__(_as_lesson(lesson, exercise), 0, **options)
        self._exercise = exercise
        self.hints = hints

    def compose(self) -> ComposeResult:
        yield from super().compose()
        for number, hint in enumerate(self._exercise.hints[: self.hints], 1):
            which = _("Hint {n} of {total}").format(n=number, total=len(self._exercise.hints))
            with Vertical(classes="hint"):
                yield Static(which, classes="which", markup=False)
                yield from self._block(lesson.Text(hint))

    async def set(self, lesson: Lesson, exercise: Exercise, hints: int) -> None:
        """The task in another language, or with another number of hints."""
        self._exercise, self.hints = exercise, hints
        await self.show(_as_lesson(lesson, exercise), 0, self.scroll_y)


def _as_lesson(lesson: Lesson, exercise: Exercise) -> Lesson:
    return replace(lesson, sections=(Section("task", exercise.title, _told(exercise)),))


def _told(exercise: Exercise) -> tuple[lesson.Block, ...]:
    """The text; of a hunt, first what is to be seen."""
    notice = (lesson.Text(f"*{exercise.notice}*"),) if exercise.notice else ()
    symptom = (lesson.Text(exercise.hunt.symptom),) if exercise.hunt else ()
    return notice + symptom + exercise.text


class Solution(VerticalScroll):
    """The author's answer, to read."""

    DEFAULT_CSS = """
    Solution { padding: 0 1; scrollbar-size-vertical: 1; }
    Solution .about { color: $orange; margin: 0 0 1 0; }
    """

    def __init__(self, source: str, colours: Callable[[str], str]) -> None:
        super().__init__()
        self._source, self._ink = source, colours

    def compose(self) -> ComposeResult:
        yield Static(_("One right answer. s hides it, u takes it over into yours."), classes="about", markup=False)
        yield Static(Syntax(self._source, "python", theme=code_theme(self._ink), word_wrap=True))
