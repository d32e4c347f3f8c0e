"""The application as a session of a class: engines and checks come from its server, and so do the teacher's words.

Nothing of the server's own is shown: no path of its files, no trace of a fault. No program is started on it, and no
file is written but in the learner's folder.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import re
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.app import SystemCommand
from textual.css.stylesheet import Stylesheet
from textual.screen import Screen

from dltutor import i18n, wire
from dltutor.i18n import _
from dltutor.lesson.course import Course, catalogue
from dltutor.page import Page
from dltutor.progress import Progress
from dltutor.ui.app import Tutor
from dltutor.ui.plots.look import Look
from dltutor.ui.screens.lesson import LessonScreen
from dltutor.ui.screens.sized import SizedScreen

if TYPE_CHECKING:
    from dltutor.host import Host
    from dltutor.link import Link

SAID_SECONDS = 30.0  # that what the teacher and the server say stays
LAST_CALLS = 60.0, 30.0, 10.0, 5.0  # seconds before the end: it is told again
LONGEST_TRACE = 20_000  # characters of a fault that the server is told
_FOLDERS = re.compile(r"(?<![\w/.])(?:/[^\s/:]+)+/(?=[^\s/:])")  # before the name of a file

read_course = functools.cache(catalogue)  # the lessons of a class server stay as they are while it runs
_stylesheets: dict[str, Stylesheet] = {}  # by theme, as the rehearsal left them


class Fault(Exception):
    """In the place of one that was not foreseen: what its learner is told."""

    def __rich__(self) -> Text:
        return Text(str(self))


class Hosted(Tutor):
    def __init__(self, progress: Progress, look: Look, host: Host, page: Page | None = None, login: str = "") -> None:
        """`login`: how one logs in here, with `{name}` in the place of the name: `ssh -p 2222 {name}@tutor.host`."""
        super().__init__(progress, look)
        self.host, self.page, self._login = host, page, login
        self._told = wire.Here()
        self._tried: tuple[tuple[str, str, int], tuple[int, str]] = (("", "", 0), (0, ""))
        self.stylesheet = _stylesheets.get(self.theme, self.stylesheet)

    @property
    def is_hosted(self) -> bool:
        return True

    def on_mount(self) -> None:
        self.host.listen(self.hear)

    # ------------------------------------------------------------ what was worked out before the fork

    def leave_stylesheet(self) -> None:
        """To those who come after: it takes a fifth of a first paint to read."""
        _stylesheets[self.theme] = self.stylesheet

    def refresh_css(self, animate: bool = True) -> None:
        """Not at the start, when the stylesheet is ready for the theme."""
        if self.stylesheet is _stylesheets.get(self.theme):
            self.get_css_variables()  # from now on there are theme_variables
            return
        if self.stylesheet in _stylesheets.values():  # it will not be what it was
            _stylesheets.clear()
        super().refresh_css(animate)

    def read_course(self) -> Course:
        return read_course(i18n.current())

    # ------------------------------------------------------------ engines and graders

    def make_link(self, locked: bool = False) -> Link:  # type: ignore[override]
        from dltutor.link import HostedLink

        return HostedLink(self.host, "engine", locked)

    def make_grader(self) -> Link:
        from dltutor.link import HostedLink

        return HostedLink(self.host, "grader")

    async def _prepare_engine(self) -> None:
        """The server forks one as quickly as it is wanted."""

    # ------------------------------------------------------------ what the server says

    def hear(self, reply: wire.Reply) -> None:
        match reply:
            case wire.Said(text, by_teacher=True):  # word for word: a path in it is not the server's
                super().notify(text, title=_("Your teacher"), timeout=SAID_SECONDS, markup=False)
            case wire.Said(text):
                self.notify(text, timeout=SAID_SECONDS, markup=False)
            case wire.Code(code, minutes):
                self.show_code(code, minutes)
            case wire.Leave(seconds, reason):
                self.save()
                self.run_worker(self.count_down(seconds, reason), group="leaving", exclusive=True)

    def show_code(self, code: str, minutes: int) -> None:
        words = _(
            "Within {minutes} minutes, log in once from the other machine, or with the other key:\n\n  {line}\n\n"
            "From then on, either brings you here."
        )
        line = (self._login or "ssh {name}@…").format(name=f"join-{code}")
        self.say(_("Another key or machine"), words.format(minutes=minutes, line=line))

    async def count_down(self, seconds: float, reason: str) -> None:
        """To the end of this session; until then one can go on. A call goes as the next one comes."""
        calls = [seconds, *(each for each in LAST_CALLS if each < seconds), 0.0]
        for call, after in itertools.pairwise(calls):
            shown = min(call - after, SAID_SECONDS)
            self.notify(last_words(call, reason), severity="warning", timeout=shown, markup=False)
            await asyncio.sleep(call - after if after else call * 0.8)  # and the rest for going
        await self.leave()

    # ------------------------------------------------------------ what the server is told

    def keep_place(self) -> None:
        super().keep_place()
        here = self.here()
        if here != self._told:
            self._told = here
            self.host.tell(here)

    def here(self) -> wire.Here:
        screens = [screen for screen in self.screen_stack if isinstance(screen, SizedScreen)]
        kind = screens[-1].KIND if screens else "home"
        place = self.place() if kind in ("lesson", "exercise", "hunt") else {}
        lesson, task = place.get("lesson", ""), place.get("task", {}).get("name", "")
        entry = self.course.entry(lesson)
        sections = entry.section_ids if entry else ()
        read = len(self.progress.completed(lesson).intersection(sections))
        tries, headline = self.tried(lesson, task)
        trains = any(isinstance(screen, LessonScreen) and screen.trains for screen in screens)
        section = place.get("section", "")
        return wire.Here(kind, lesson, section, task, tries, headline, read, len(sections), trains)

    def tried(self, lesson: str, task: str) -> tuple[int, str]:
        """How often in vain since it was passed, and what the last verdict said."""
        count = self.progress.exercise(lesson, task).attempts if task else 0
        if not count:
            return 0, ""
        if self._tried[0] != (lesson, task, count):
            attempts = self.progress.attempts(lesson, task)
            passes = [at for at, attempt in enumerate(attempts) if attempt.passed]
            self._tried = (lesson, task, count), (count - 1 - max(passes, default=-1), attempts[-1].headline)
        return self._tried[1]

    # ------------------------------------------------------------ what stays on the server

    def public(self, text: str) -> str:
        return _FOLDERS.sub("", text)

    def notify(self, message: str, **options: Any) -> None:  # type: ignore[override]
        super().notify(self.public(message), **options)

    def say(self, title: str, text: str) -> None:
        super().say(title, self.public(text))

    def in_place_of(self, error: Exception) -> Exception:
        """The trace of a fault goes to the server; its learner gets a number."""
        incident = os.urandom(4).hex()
        self.host.tell(wire.Crashed(incident, trace_of(error)))
        return Fault(told_of(incident))

    def action_suspend_process(self) -> None:
        """There is no shell to go back to."""

    def deliver_text(self, *_arguments: Any, **_options: Any) -> None:  # type: ignore[override]
        """The server's disk is not the learner's."""

    def deliver_binary(self, *_arguments: Any, **_options: Any) -> None:  # type: ignore[override]
        """As above."""

    # ------------------------------------------------------------ commands

    def get_system_commands(self, screen: Screen) -> Iterable[SystemCommand]:
        help = _("a code that lets you in with another key, or from another machine")
        yield SystemCommand(_("Add another key or machine"), help, self.action_ask_code)
        yield from super().get_system_commands(screen)

    def action_ask_code(self) -> None:
        self.host.tell(wire.CodeWanted())


def last_words(seconds: float, reason: str) -> str:
    ends = i18n.plural(
        "This session ends in {n} second. Next time you go on here.",
        "This session ends in {n} seconds. Next time you go on here.",
        round(seconds),
    )
    return f"{reason}\n{ends}" if reason else ends


def trace_of(error: BaseException) -> str:
    """Where it happened and of what kind it is. Its words are left out: they may be what the learner has typed."""
    return ("".join(traceback.format_tb(error.__traceback__)) + type(error).__name__)[-LONGEST_TRACE:]


def told_of(incident: str) -> str:
    """What a learner is told of a fault."""
    return _(
        "Something went wrong in dltutor. Everything you wrote is saved: log in again and go on where you were.\n"
        "Should it happen again, tell your teacher this number: {incident}"
    ).format(incident=incident)
