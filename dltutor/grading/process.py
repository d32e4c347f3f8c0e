"""The grader's process: it hears Check and answers Verdict. What the learner wrote runs in the room, never here.

    python -m dltutor.grading [--walled]

`--walled`: of a class server, that lets others' code in: it runs behind walls or not at all.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from dltutor import i18n, wire
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.room import linux
from dltutor.service import Wire, serve

if TYPE_CHECKING:
    from dltutor.grading.judge import Judge
    from dltutor.lesson.exercises import Exercise

GENTLE = 10  # how nice a class's judges are to its sessions: keys before checks


def main() -> None:
    serve(work, lambda: _("the grader cannot go on: {kind}: {error}"))


def work(inbox: SimpleQueue[wire.Command], sender: Wire) -> None:
    sys.stdout = sys.stderr
    walled = "--walled" in sys.argv
    if walled:
        with contextlib.suppress(OSError):
            os.setsid()  # Ctrl+C at the server's terminal is not meant for its judges
        linux.step_back(GENTLE)
    Grader(inbox, sender.send, walled).serve()


class Grader:
    def __init__(
        self, inbox: SimpleQueue[wire.Command], send: Callable[[wire.Event], None], walled: bool = False
    ) -> None:
        self.inbox, self.send, self.walled = inbox, send, walled
        self.language = i18n.current()
        self._judge: Judge | None = None

    def serve(self) -> None:
        """For ever: the process ends with its parent."""
        while True:
            for command in latest(self.inbox):
                try:
                    self.obey(command)
                except DltutorError as error:
                    self.send(wire.Failed(error.message, error.hint))
                except BrokenPipeError:
                    raise  # nobody listens any more
                except Exception as error:  # the process edge: the next check may go well
                    message = _("the check stopped: {kind}: {error}").format(kind=type(error).__name__, error=error)
                    self.send(wire.Failed(message, _("Check again."), trace=traceback.format_exc()))

    def obey(self, command: wire.Command) -> None:
        match command:
            case wire.Prepare():
                began = time.monotonic()
                tier = self.judge().room.tier
                self.send(wire.Ready(tier, round(time.monotonic() - began, 3)))
            case wire.Check():
                self.check(command)

    def check(self, command: wire.Check) -> None:
        i18n.use(command.language or self.language)
        self.send(wire.Checking(command.number, _("reading the exercise")))
        exercise = load(command.exercise)
        if self._judge is None:
            self.say(command.number, _("preparing the room that it runs in"))
        judge = self.judge()
        say = partial(self.say, command.number)
        self.send(judge.check(exercise, command.source, command.number, say))

    def say(self, number: int, stage: str) -> None:
        self.send(wire.Checking(number, stage))

    def judge(self) -> Judge:
        """With an open room: it takes a moment, once."""
        if self._judge is None:
            from dltutor.grading.judge import Judge
            from dltutor.room import open_room

            self._judge = Judge(open_room(walled=self.walled))
        return self._judge


def latest(inbox: SimpleQueue[wire.Command]) -> list[wire.Command]:
    """The commands that wait, one at least; of several checks only the last, which is of a newer file."""
    commands = [inbox.get()]
    while not inbox.empty():
        commands.append(inbox.get())
    checks = [command for command in commands if isinstance(command, wire.Check)]
    return [command for command in commands if not isinstance(command, wire.Check) or command is checks[-1]]


def load(key: str) -> Exercise:
    """The exercise "<lesson>/<name>"."""
    from dltutor.lesson import exercises
    from dltutor.lesson.course import catalogue

    lesson, _slash, name = key.partition("/")
    entry = catalogue(i18n.current()).find(lesson)
    return exercises.load(entry.heading or entry.load(), name)
