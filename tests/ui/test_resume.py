"""A sitting that breaks off, and the next one that goes on where it was."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from graders import RIGHT, FakeGrader
from screens import shown, text, until
from terminals import LONGEST, Terminal
from textual.pilot import Pilot
from textual.screen import Screen

from dltutor import i18n
from dltutor.progress import Progress
from dltutor.progress.records import moment
from dltutor.ui import resume
from dltutor.ui.app import HUNG_UP, Tutor
from dltutor.ui.plots.look import Look
from dltutor.ui.screens.exercise import ExerciseScreen
from dltutor.ui.screens.home import Home
from dltutor.ui.screens.hunt import HuntScreen
from dltutor.ui.screens.lesson import LessonScreen
from dltutor.ui.screens.review import FlipCard, ReviewScreen
from dltutor.ui.widgets.editor import Editor

pytestmark = pytest.mark.usefixtures("brisk")

PRACTICE = Path(__file__).parents[1] / "fixtures" / "practice"
BACK = "You are back where you were"
LONG = (
    """---
id: 92-long
title: A long one
part: 1
minutes: 5
question: How long is it?
---

## Begin {#begin}

Turn the page.

## Go on {#more}

```review
id: deck
cards:
  - {id: first, front: "The first?", back: "One."}
  - {id: second, front: "The second?", back: "Two."}
```

"""
    + "A paragraph.\n\n" * 30
)


SOON = 0.05  # seconds until place and text are kept


class Sitting(Tutor):
    """The application without an engine, and with a grader made up."""

    has_begun = False

    def __init__(self, progress: Progress, **options: object) -> None:
        super().__init__(progress, Look("256"), **options)

    def make_grader(self) -> FakeGrader:
        return FakeGrader([RIGHT])

    async def _prepare_engine(self) -> None:
        pass

    async def _begin(self) -> None:
        await super()._begin()
        self.has_begun = True


@pytest.fixture
def progress(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Progress]:
    (tmp_path / "92-long").mkdir()
    (tmp_path / "92-long" / "lesson.md").write_text(LONG)
    monkeypatch.setenv("DLTUTOR_LESSONS", f"{PRACTICE}{os.pathsep}{tmp_path}")
    monkeypatch.setattr("dltutor.ui.resume.PERIOD", SOON)
    monkeypatch.setattr("dltutor.ui.screens.exercise.LOSS", SOON)
    with Progress.open(home) as opened:
        yield opened
    i18n.use("en")


@asynccontextmanager
async def sitting(progress: Progress, size: tuple[int, int] = (80, 24), **options: object) -> AsyncIterator[Pilot]:
    app = Sitting(progress, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.has_begun and (app.screen.query("#title") or app.screen_stack[1:]))
        yield pilot


async def broken_off(pilot: Pilot) -> None:
    """What a kill leaves behind, once place and text have been kept by themselves."""
    app = pilot.app
    await until(pilot, lambda: place_kept(app.progress) == app.place() and is_saved(app.screen))
    noted = app.progress.preference(resume.NAME)
    app.progress.set_preference(resume.NAME, noted | {"sitting": ["elsewhere", 1]})


def is_saved(screen: Screen) -> bool:
    return not isinstance(screen, ExerciseScreen) or screen.file.text == screen.editor.text


def place_kept(progress: Progress) -> resume.Place:
    return (progress.preference(resume.NAME) or {}).get("place", {})


async def open_task(pilot: Pilot, name: str) -> None:
    await open_lesson(pilot)
    pilot.app.screen.open_task(name)
    await until(pilot, lambda: isinstance(pilot.app.screen, ExerciseScreen) and pilot.app.screen.query("Task Markdown"))


async def open_lesson(pilot: Pilot, name: str = "practice") -> None:
    pilot.app.open_lesson(name)
    await until(pilot, lambda: isinstance(pilot.app.screen, LessonScreen) and pilot.app.screen.query("Reader Markdown"))


def editor(pilot: Pilot) -> Editor:
    return pilot.app.screen.query_one(Editor)


async def test_an_exercise_is_open_again_with_the_same_text_and_cursor_and_one_still_writes(progress):
    async with sitting(progress) as pilot:
        await open_task(pilot, "mse-backward")
        await pilot.press("e", "up", "end", *"  # mid-wo")
        there, written = editor(pilot).cursor_location, editor(pilot).text
        await broken_off(pilot)
    async with sitting(progress) as pilot:
        await shown(pilot, BACK)
        assert pilot.app.screen.exercise.name == "mse-backward"
        await until(pilot, lambda: pilot.app.screen.writes)
        assert editor(pilot).cursor_location == there
        await pilot.press(*"rd")
        assert editor(pilot).text == written.replace("# mid-wo", "# mid-word")
        await pilot.press("escape", "escape", "escape")  # keys again; the lesson; the course
        await until(pilot, lambda: isinstance(pilot.app.screen, Home))


async def test_a_hunt_is_open_again_with_the_same_pane(progress):
    async with sitting(progress, (140, 45)) as pilot:
        await open_task(pilot, "flat-line")
        await pilot.press("e", *"x")
        await broken_off(pilot)
    async with sitting(progress, (140, 45)) as pilot:
        await shown(pilot, BACK)
        assert isinstance(pilot.app.screen, HuntScreen)
        await until(pilot, lambda: pilot.app.screen.writes and pilot.app.screen.pane == "code")


async def test_a_lesson_is_open_again_at_the_same_section_and_line(progress):
    async with sitting(progress) as pilot:
        await open_lesson(pilot, "92-long")
        await pilot.press("n")
        await until(pilot, lambda: pilot.app.screen.reader.index == 1 and pilot.app.screen.reader.max_scroll_y > 3)
        await pilot.press("down", "down")
        await until(pilot, lambda: pilot.app.screen.reader.scroll_y == 2)
        await broken_off(pilot)
    async with sitting(progress) as pilot:
        await shown(pilot, BACK)
        await until(pilot, lambda: pilot.app.screen.reader.index == 1 and pilot.app.screen.reader.scroll_y == 2)


async def test_a_review_is_open_again_at_the_same_card(progress):
    for item in ("deck/first", "deck/second"):
        progress.set_card("92-long", item, {}, moment(datetime.now(UTC) - timedelta(days=1)))
    async with sitting(progress) as pilot:
        pilot.app.open_review()
        await until(pilot, lambda: pilot.app.screen.query(FlipCard))
        before = pilot.app.screen.current.item
        await pilot.press("n")
        await until(pilot, lambda: pilot.app.screen.current.item != before)
        card = pilot.app.screen.current.item
        await broken_off(pilot)
    async with sitting(progress) as pilot:
        await shown(pilot, BACK)
        await until(pilot, lambda: isinstance(pilot.app.screen, ReviewScreen) and pilot.app.screen.current)
        assert pilot.app.screen.current.item == card


async def test_after_a_proper_end_the_course_is_shown(progress):
    async with sitting(progress) as pilot:
        await open_task(pilot, "mse-backward")
        await until(pilot, lambda: place_kept(progress).get("task"))
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not pilot.app.is_running)
    async with sitting(progress) as pilot:
        assert isinstance(pilot.app.screen, Home)
        assert not place_kept(progress)


async def test_a_lesson_that_is_asked_for_goes_before_the_one_that_was_open(progress, monkeypatch):
    progress.set_preference(resume.NAME, {"place": {"lesson": "practice", "task": {"name": "mse-backward"}}})
    async with sitting(progress, lesson="practice") as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, LessonScreen) and pilot.app.screen.query("Markdown"))
        assert BACK not in text(pilot)


async def test_another_terminal_of_the_same_learner_begins_at_the_course(progress):
    sitting_here = [os.uname().nodename, os.getppid()]  # a process that is there
    progress.set_preference(resume.NAME, {"sitting": sitting_here, "place": {"lesson": "practice"}})
    async with sitting(progress) as pilot:
        assert isinstance(pilot.app.screen, Home)


NONSENSE = [
    "what",
    {"place": ["practice"]},
    {"place": {"lesson": "gone-away"}},
    {"place": {"lesson": 7, "review": "x"}},
    {"place": {"review": {"lesson": "gone-away", "item": "q"}}, "sitting": ["", "me"]},
    {"place": {"lesson": "practice", "section": "none", "scroll": float("nan"), "lab": 1}},
    {"place": {"lesson": "practice", "task": {"name": "gone-away"}}},
    {"place": {"lesson": "practice", "task": {"name": "mse-backward", "pane": ["x"], "row": 10**9, "column": -3}}},
    {"place": {"lesson": "practice", "task": {"name": "mse-backward", "pane": "code", "row": 500, "column": 500}}},
]


@pytest.mark.parametrize("noted", NONSENSE, ids=map(str, range(len(NONSENSE))))
async def test_nonsense_in_the_progress_file_leads_as_far_as_it_makes_sense(progress, noted):
    progress.set_preference(resume.NAME, noted)
    async with sitting(progress) as pilot:
        await pilot.press("question_mark", "escape")
        assert pilot.app.is_running


# ---------------------------------------------------------------- real processes


def writes_half_a_word(terminal: Terminal) -> None:
    terminal.sees("press e")
    terminal.press("e")
    terminal.sees("enter opens it")
    terminal.press("\r")
    terminal.sees("task/code")
    terminal.press("e")
    terminal.sees("^s")
    terminal.press("# mid-wo")
    terminal.sees("# mid-wo")


def end_without_a_word(terminal: Terminal, wrote: str) -> None:
    """Once what a kill may cost is over."""
    deadline = time.monotonic() + LONGEST
    with Progress.open() as progress:
        written = progress.path.parent / "exercises" / "practice" / "mse-backward.py"
        while not (written.exists() and wrote in written.read_text() and _is_noted(progress, wrote)):
            assert time.monotonic() < deadline, f"{wrote} was not kept; it wrote {terminal.written[-2000:]!r}"
            terminal.idle()
    terminal.process.kill()


def _is_noted(progress: Progress, wrote: str) -> bool:
    place = place_kept(progress).get("task", {})
    return place.get("writes") and place["column"] == len(f"    # your lines here{wrote}")


async def test_when_a_terminal_vanishes_in_the_middle_of_a_word_the_next_sitting_goes_on_behind_it(progress):
    """It hangs up, and the next is killed."""
    first, second = Terminal("launch", "practice"), None
    try:
        writes_half_a_word(first)
        first.process.send_signal(signal.SIGHUP)
        assert first.end() == HUNG_UP
        second = Terminal("launch")
        second.sees("# mid-wo")
        second.press("rd")
        second.sees("# mid-word")
        end_without_a_word(second, "# mid-word")
        second.end()
    finally:
        for terminal in (first, second):
            if terminal:
                terminal.close()
    async with sitting(progress) as pilot:
        await until(pilot, lambda: pilot.app.screen.query(Editor) and pilot.app.screen.writes)
        await pilot.press("!")
        assert "# mid-word!" in editor(pilot).text
