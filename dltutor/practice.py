"""`dltutor check` and `dltutor watch`: exercises without the application, beside an editor of one's own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dltutor import i18n, wire
from dltutor.checking import Grader
from dltutor.errors import DltutorError, UsageError
from dltutor.i18n import _
from dltutor.lesson import Heading, exercises
from dltutor.lesson.course import Course, catalogue
from dltutor.lesson.exercises import Exercise, Workbook
from dltutor.manuscript import saves
from dltutor.progress import Progress
from dltutor.progress.records import as_json

if TYPE_CHECKING:
    from rich.console import Console

INKS = {"red": "red", "green": "green", "blue": "blue", "orange": "yellow", "muted": "dim", "faint": "dim"}
KEYS = {"\n": "check", "\r": "check", "h": "hint", "n": "next", "q": "quit"}
WIDTH = 36  # of a column of names
CLEAR_LINE = "\r\x1b[K"


# ---------------------------------------------------------------- which


def all_of(course: Course) -> list[tuple[Heading, str]]:
    """Every exercise and hunt, in the order of the course: its lesson, its name."""
    headings = [entry.heading for entry in course.entries if entry.heading]
    return [(heading, name) for heading in headings for name in _names(course, heading)]


def _names(course: Course, heading: Heading) -> list[str]:
    """In the order of the lesson's text."""
    try:
        asked = exercises.of_section(course.find(heading.id).load().widgets())
    except DltutorError:  # the lesson can't be read; its exercises perhaps can
        asked = []
    there = exercises.names(heading)
    return [name for name in asked if name in there] + [name for name in there if name not in asked]


def find(course: Course, query: str) -> Exercise:
    """What `query` means: lesson/name, or a name that only one lesson has. Raises UsageError with close matches."""
    lesson, slash, name = query.strip().rpartition("/")
    heading = course.find(lesson).heading if slash else None
    among = [(each, other) for each, other in all_of(course) if not slash or each is heading]
    found = [(each, other) for each, other in among if other == name]
    if len(found) == 1:
        return exercises.load(*found[0])
    raise _unclear(query, name, among, found)


def _unclear(query: str, name: str, among: list[tuple[Heading, str]], found: list[tuple[Heading, str]]) -> UsageError:
    if found:
        keys = ", ".join(_key(*one) for one in found)
        message = _("{query} could be {exercises}").format(query=query, exercises=keys)
        return UsageError(message, _("Name one of these exercises."))
    import difflib

    near = difflib.get_close_matches(name.lower(), {other for _heading, other in among}, 3, 0.5)
    keys = ", ".join(_key(*one) for one in among if one[1] in near)
    hint = _("Did you mean {exercises}?").format(exercises=keys) if keys else _("`dltutor check` shows them all.")
    return UsageError(_("there is no exercise {query}").format(query=query or "''"), hint)


def _key(heading: Heading, name: str) -> str:
    return f"{heading.id}/{name}"


def first_open(course: Course, progress: Progress, after: str = "") -> Exercise | None:
    """The first that has not passed yet, looking from the one of the key `after` on."""
    tasks = all_of(course)
    begin = next((at for at, one in enumerate(tasks, 1) if _key(*one) == after), 0)
    turned = tasks[begin:] + tasks[: max(0, begin - 1)]
    found = (one for one in turned if not progress.exercise(one[0].id, one[1]).passed_at)
    return next((exercises.load(*one) for one in found), None)


# ---------------------------------------------------------------- dltutor check


def check(progress: Progress, query: str, json: bool) -> int:
    """Check one exercise, and say what came of it; 0 where it passes. Without a name: list them all."""
    course = catalogue(i18n.current())
    if not query:
        print(_listed_as_json(course, progress) if json else _listed(course, progress))
        return 0
    exercise = find(course, query)
    source = Workbook().read(exercise)
    verdict = asyncio.run(_checked_once(exercise, source))
    note(progress, exercise, source, verdict)
    if json:
        print(as_json({"exercise": exercise.key, "file": str(Workbook().path(exercise)), **asdict(verdict)}))
    else:
        show(verdict, source)
    return 0 if verdict.passed else 1


async def _checked_once(exercise: Exercise, source: str) -> wire.Verdict:
    async with Grader() as grader:
        return await grader.check(exercise.key, source)


def note(progress: Progress, exercise: Exercise, source: str, verdict: wire.Verdict) -> None:
    """Keep an attempt; that it cannot be kept is no reason to fail."""
    try:
        name, passed = (exercise.lesson, exercise.name), verdict.passed
        progress.note_attempt(*name, source, passed, verdict.headline, verdict.cause)
    except DltutorError as error:
        print(error, file=sys.stderr)


def show(verdict: wire.Verdict, source: str) -> None:
    from dltutor.ui.verdicts import apart, in_words

    console().print(apart(in_words(verdict, source, lambda name: INKS.get(name, ""))))


def console() -> Console:
    from rich.console import Console

    from dltutor.ui.chinese import break_lines

    break_lines()
    return Console(highlight=False)


def _listed(course: Course, progress: Progress) -> str:
    lines: list[str] = []
    last = ""
    for heading, name in all_of(course):
        lines += ["", f"{heading.id}  {heading.title}"] if heading.id != last else []
        last = heading.id
        state, remarks = _state(progress, heading, name)
        title = exercises.title(heading, name)
        lines.append(f"  {_mark(state)} {name:<{WIDTH}}  {title}" + (f"  ({remarks})" if remarks else ""))
    return "\n".join(lines[1:]) or _("No lesson has an exercise yet.")


def _mark(state: str) -> str:
    from dltutor.listing import mark

    return mark({"new": "new", "tried": "started", "passed": "done"}[state])


def _state(progress: Progress, heading: Heading, name: str) -> tuple[str, str]:
    """new, tried or passed; and what else is to be said."""
    known = progress.exercise(heading.id, name)
    remarks = [i18n.plural("{n} try", "{n} tries", known.attempts)] if known.attempts else []
    remarks += [_("solution seen")] if known.seen else []
    state = "passed" if known.passed_at else "tried" if known.attempts else "new"
    return state, ", ".join([_("passed")] * (state == "passed") + remarks)


def _listed_as_json(course: Course, progress: Progress) -> str:
    return as_json(list(_objects(course, progress)))


def _objects(course: Course, progress: Progress) -> Iterator[dict[str, Any]]:
    for heading, name in all_of(course):
        known = progress.exercise(heading.id, name)
        state, _remarks = _state(progress, heading, name)
        yield {
            "exercise": _key(heading, name),
            "title": exercises.title(heading, name),
            "state": state,
            **known._asdict(),
        }


# ---------------------------------------------------------------- dltutor watch


def watch(progress: Progress, query: str) -> int:
    """Check the learner's file again each time it is saved, until they have had enough."""
    from dltutor.headless import interruptible

    course = catalogue(i18n.current())
    exercise = find(course, query) if query else first_open(course, progress)
    if not exercise:
        print(_("Every exercise has passed. Name one to do it again; `dltutor check` shows them all."))
        return 0
    watcher = Watcher(course, progress, exercise)
    with keys_at_once():
        ending = interruptible(watcher.run(), watcher.close)
    return 128 + ending if ending > 2 else 0  # Ctrl-C is a way to end it


class Watcher:
    """Waits for saves and keys, and answers each with a check, a hint, the next exercise, or the end."""

    def __init__(self, course: Course, progress: Progress, exercise: Exercise) -> None:
        self.course, self.progress, self.exercise = course, progress, exercise
        self.grader = Grader()
        self.workbook = Workbook()
        self._wanted: asyncio.Queue[str] = asyncio.Queue()
        self._passed = self._again = False
        self._hints = 0

    async def run(self) -> None:
        keys = self._hear_keys()
        try:
            while await self._practise():
                pass
        finally:
            keys()
            await self.close()

    async def close(self) -> None:
        await self.grader.close()

    async def _practise(self) -> bool:
        """One exercise; whether another is wanted."""
        self._passed, self._hints = False, self.progress.exercise(self.exercise.lesson, self.exercise.name).hints
        self._introduce()
        saved = asyncio.create_task(self._hear_saves())
        checking = asyncio.create_task(self._check())
        try:
            while True:
                match await self._wanted.get():
                    case "check" if checking.done():
                        checking = asyncio.create_task(self._check())
                    case "check":
                        self._again = True
                    case "hint":
                        self._hint()
                    case "next" if self._passed:
                        return self._turn()
                    case "quit":
                        return False
        finally:
            saved.cancel()
            checking.cancel()

    def _introduce(self) -> None:
        if not self.workbook.is_begun(self.exercise):
            self.workbook.write(self.exercise, self.exercise.start)
        print(f"\n{self.exercise.title}  ({self.exercise.key})\n{self.workbook.path(self.exercise)}")
        print(_("Open it in an editor: each save is checked.") + "  " + self._keys() + "\n", flush=True)

    def _keys(self) -> str:
        if not sys.stdin.isatty():
            return ""
        keys = [_("enter check"), _("h hint"), *([_("n next")] if self._passed else []), _("q quit")]
        return " · ".join(keys)

    async def _check(self) -> None:
        """Check the file, and once more if it was saved meanwhile."""
        self._again = True
        while self._again:
            self._again = False
            await self._check_once()

    async def _check_once(self) -> None:
        try:
            source = self.workbook.read(self.exercise)
            verdict = await self.grader.check(self.exercise.key, source, self._tell)
        except DltutorError as error:
            self._tell("")
            print(error, flush=True)
            return
        self._passed = verdict.passed
        note(self.progress, self.exercise, source, verdict)
        self._tell("")
        print(f"\n── {time.strftime('%H:%M:%S')} ──")
        show(verdict, source)
        done = _("Done; n goes on with the next, q ends.") if sys.stdin.isatty() else _("Done.")
        print("\n" + (done if verdict.passed else self._keys()), flush=True)

    @staticmethod
    def _tell(stage: str) -> None:
        """What is being looked at, on a line that is written over."""
        if sys.stdout.isatty():
            print(CLEAR_LINE + (f"◌ {_('checking…')} {stage}" if stage else ""), end="", flush=True)

    def _hint(self) -> None:
        hints = self.exercise.hints
        self._hints = min(self._hints + 1, len(hints))
        with contextlib.suppress(DltutorError):
            self.progress.note_hint(self.exercise.lesson, self.exercise.name, self._hints)
        from dltutor.ui.prose import inked

        for number, hint in enumerate(hints[: self._hints], 1):
            which = _("Hint {n} of {total}").format(n=number, total=len(hints))
            console().print(f"\n{which} ·", inked(hint, lambda name: INKS.get(name, "")))

    def _turn(self) -> bool:
        following = first_open(self.course, self.progress, self.exercise.key)
        if following:
            self.exercise = following
        else:
            print(_("Every exercise has passed."))
        return following is not None

    # ------------------------------------------------------------ what it waits for

    async def _hear_saves(self) -> None:
        async for _save in saves(self.workbook.path(self.exercise)):
            self._wanted.put_nowait("check")

    def _hear_keys(self) -> Any:
        """Listen to the keyboard, where there is one; what ends that."""
        if not sys.stdin.isatty():
            return lambda: None
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin.fileno(), self._hear_key)
        return lambda: loop.remove_reader(sys.stdin.fileno())

    def _hear_key(self) -> None:
        import os

        for key in os.read(sys.stdin.fileno(), 100).decode(errors="replace"):
            if key in KEYS:
                self._wanted.put_nowait(KEYS[key])


@contextlib.contextmanager
def keys_at_once() -> Iterator[None]:
    """Keys come when they are pressed, not when the line is done; the terminal is left as it was."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
