"""What the session zygote forks: everything is imported, and was shown once, so that a session paints at once.

`preload` runs once, in the zygote; `main` in each fork, whose terminal is its standard input and output.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import importlib
import logging
import os
import pkgutil
import socket
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

from textual import strip
from textual.pilot import Pilot
from textual.screen import Screen

from dltutor import i18n, ui, wire
from dltutor.errors import DltutorError
from dltutor.host import Host
from dltutor.lesson import Lesson, exercises
from dltutor.lesson.course import catalogue
from dltutor.page import DrawingTurns, Page
from dltutor.progress import Progress, schedule
from dltutor.sitting import farewell
from dltutor.ui.hosted import Hosted, told_of, trace_of
from dltutor.ui.plots.look import Look, impose, is_worth_asking, look_of
from dltutor.ui.screens.exercise import ExerciseScreen, task_screen
from dltutor.ui.screens.lesson import LessonScreen
from dltutor.ui.screens.review import ReviewScreen
from dltutor.ui.theme import DARK, LIGHT

LATE = (  # what libraries import when they first need it: a session could not read it any more
    "encodings.idna", "numpy.ma", "platformdirs", "sqlite3", "textual.drivers.linux_driver", "tree_sitter_python",
)  # fmt: skip
SIZE = 120, 36  # of the rehearsal
REMEMBERING = type(functools.lru_cache(schedule.prepare))
MANY = 200  # answers
LOOKS = 200  # whether a screen of it is there


# ---------------------------------------------------------------- in the zygote


def preload() -> None:
    """Import whatever a session may need, and play one in each language: what that has worked out is there for all."""
    ours = (module.name for module in pkgutil.walk_packages(ui.__path__, f"{ui.__name__}."))
    for name in (*ours, *LATE):
        importlib.import_module(name)
    schedule.prepare()
    strip.FIFOCache = Forgetful.one  # type: ignore[assignment,misc]
    with _own_home():
        for language, theme in zip(i18n.LANGUAGES, (DARK, LIGHT), strict=True):
            i18n.use(language)
            asyncio.run(_rehearse(theme.name))
    i18n.use("en")
    _read_lessons()
    _forget_answers()


def _read_lessons() -> None:
    """What they quote is parsed once, for all."""
    for entry in catalogue().entries:
        with contextlib.suppress(DltutorError):  # it is told when somebody opens it
            entry.load()


def _forget_answers() -> None:
    """Of functions that remember many: each one given again would be noted, all over what is shared."""
    for function in gc.get_objects():
        if type(function) is REMEMBERING and function.cache_info().currsize > MANY:
            function.cache_clear()


class Forgetful:
    """In the place of what each line of a widget remembers of its parts: hardly any is asked for again, and a session
    has thousands of lines, with seven such memories each."""

    def get(self, _key: object) -> None:
        """Nothing is known."""

    def __setitem__(self, _key: object, _value: object) -> None:
        pass

    @classmethod
    @functools.cache
    def one(cls, _size: int) -> Forgetful:
        return cls()


@contextlib.contextmanager
def _own_home() -> Iterator[None]:
    """A data folder that is nobody's."""
    before = os.environ.get("DLTUTOR_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DLTUTOR_HOME"] = folder
        try:
            yield
        finally:
            os.environ.pop("DLTUTOR_HOME")
            os.environ.update({"DLTUTOR_HOME": before} if before else {})


async def _rehearse(theme: str) -> None:
    """A session from the course to an exercise, without a terminal, and with a server that never answers."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with Progress.open() as progress, ours, theirs:
        progress.set_preference("theme", theme)
        tutor = Hosted(progress, Look(), Host(ours))
        await tutor.run_async(headless=True, size=SIZE, auto_pilot=_play)
        tutor.host.close()
        tutor.leave_stylesheet()


async def _play(pilot: Pilot[Any]) -> None:
    """Through a lesson, its hunt, which is an exercise, too, and the dialogs."""
    tutor = pilot.app
    assert isinstance(tutor, Hosted)
    lesson = tutor.course.entries[0].load()
    tutor.open_lesson(lesson.id)
    if await _shown(pilot, LessonScreen):
        await pilot.press("question_mark", "escape", "ctrl+p", "escape", "n")
    for name in _hunts(lesson)[:1]:
        await tutor.push_screen(task_screen(lesson, name))
        if await _shown(pilot, ExerciseScreen):
            await pilot.press("e", "a", "backspace")
        tutor.pop_screen()
    tutor.open_review()
    await _shown(pilot, ReviewScreen)
    tutor.exit()


def _hunts(lesson: Lesson) -> list[str]:
    return [name for name in exercises.names(lesson) if exercises.load(lesson, name).hunt]


async def _shown(pilot: Pilot[Any], screen: type[Screen]) -> bool:
    """Whether it comes: what is not shown now is only slower the first time that it is shown to somebody."""
    for _look in range(LOOKS):
        if isinstance(pilot.app.screen, screen):
            await pilot.pause()
            return True
        await pilot.pause(0.01)
    return False


# ---------------------------------------------------------------- in a fork


def main(order: dict[str, Any], descriptors: list[int]) -> int:
    """Show the application on this terminal until its learner leaves it. `descriptors`: the channel, the page,
    the turns."""
    logging.disable()
    warnings.simplefilter("ignore")  # what libraries complain of is nothing to show
    channel, page, turns = descriptors
    host = Host(socket.socket(fileno=channel))
    try:
        return _sit(order["arguments"], host, page, turns)
    except Exception as error:  # outside the application, which tells of its own
        incident = os.urandom(4).hex()
        host.tell(wire.Crashed(incident, trace_of(error)))
        print(told_of(incident), flush=True)
        return 1


def _sit(arguments: dict[str, Any], host: Host, page: int, turns: int) -> int:
    with Progress.open() as progress:
        i18n.use(arguments.get("language") or progress.preference("language", i18n.preferred()))
        look = look_of(recall=progress.preference)
        impose(look, os.environ)
        tutor = Hosted(progress, look, host, Page(page), arguments.get("login", ""))
        tutor.turns = DrawingTurns(turns)
        tutor.asks_glyphs = is_worth_asking(os.environ, progress.preference)
        tutor.run()
        for line in () if tutor.return_code else farewell(tutor, progress):
            print(tutor.public(line), flush=True)
        return tutor.return_code or 0
