"""`dltutor launch`: the application from the check of the terminal to the words after quitting."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dltutor.errors import UsageError
from dltutor.i18n import _, plural

if TYPE_CHECKING:
    from dltutor.progress import Progress
    from dltutor.ui.app import Tutor
    from dltutor.ui.run_state import RunState

RUNS_TOLD = 8


def check_terminal() -> None:
    """Raise UsageError where no application can be shown: one line, whatever the reason."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        if os.environ.get("SSH_CONNECTION") and not os.environ.get("SSH_TTY"):
            raise UsageError(_("ssh gave this command no terminal; `ssh -t HOST dltutor launch` does."))
        reason = _("there is no terminal to show the application in")
    elif os.environ.get("TERM", "") in ("", "dumb", "unknown"):
        reason = _("the terminal is too plain for the application (TERM={name})").format(
            name=os.environ.get("TERM", "")
        )
    else:
        return
    raise UsageError(reason + _("; `dltutor run LESSON` trains without it."))


def sit(
    progress: Progress, lesson: str, theme: str | None, play: Path | None, device: str, review: bool = False
) -> int:
    """Show the application until the learner leaves it."""
    lesson = _wanted(lesson, play)
    from dltutor.ui.app import Tutor
    from dltutor.ui.plots.look import impose, is_worth_asking, look_of
    from dltutor.ui.theme import DARK, LIGHT

    look = look_of(recall=progress.preference)
    impose(look, os.environ)
    tutor = Tutor(progress, look, lesson, play, device, review)
    tutor.asks_glyphs = not play and is_worth_asking(os.environ, progress.preference)
    if theme:
        tutor.theme = {"dark": DARK, "light": LIGHT}[theme].name
    tutor.run()
    gc.freeze()  # what is left goes with the process: to look through it all once more takes a quarter of a second
    for line in farewell(tutor, progress):
        print(line)
    return tutor.return_code or 0


def _wanted(lesson: str, play: Path | None) -> str:
    """The id of the lesson to open; what cannot be is told before the screen changes."""
    if play:
        from dltutor.link import recorded_lesson

        lesson = lesson or recorded_lesson(play)
    if not lesson:
        return ""
    from dltutor import i18n
    from dltutor.lesson.course import catalogue

    return catalogue(i18n.current()).find(lesson).id


def farewell(tutor: Tutor, progress: Progress) -> list[str]:
    """What is to be said after quitting: how each run went, what comes back, what the progress file has to say."""
    told = tutor.runs[-RUNS_TOLD:]
    lines = [told_run(tutor, state) for state in told]
    if len(tutor.runs) > len(told):
        count = len(tutor.runs) - len(told)
        lines.insert(0, _("{n} more runs; `dltutor progress show` lists them.").format(n=count))
    return [*lines, *filter(None, [coming(tutor, progress), progress.notice])]


def coming(tutor: Tutor, progress: Progress) -> str:
    """What there is to review, today or tomorrow."""
    from dltutor.progress.days import count_due

    today, tomorrow = count_due(progress, [entry.id for entry in tutor.course.entries])
    if today:
        return plural("{n} card is due: `dltutor review`", "{n} cards are due: `dltutor review`", today)
    later = plural(
        "{n} card comes back tomorrow: `dltutor review`", "{n} cards come back tomorrow: `dltutor review`", tomorrow
    )
    return later if tomorrow else ""


def told_run(tutor: Tutor, state: RunState) -> str:
    """One run in one line."""
    from dltutor.ui.plots.board import say  # NumPy comes with it

    entry = tutor.course.entry(state.started.lesson) if state.started else None
    label = entry.heading.metric if entry and entry.heading else str
    first = next(iter(state.values_of), "")
    words = say(state.curves((first,), label)) if first else _("nothing was measured")
    mark = f" ({_('your kernel')})" if state.own else ""
    return f"{entry.title if entry else ''}{mark}: {words}"
