"""`dltutor author check`: whether a lesson does what its author promises.

Of every lesson: both languages are sound and have the same structure, its prerequisites come before it, and every
fence that names an exercise has one. Of every exercise: the start fails, though it compiles; the solution passes; each
wrong answer fails for its own reason. Of every hunt: the line at fault is one that the solution mends.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

import click

from dltutor import i18n, lesson, wire
from dltutor.checking import Grader
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.lesson import exercises
from dltutor.lesson.course import Course, Entry, catalogue
from dltutor.lesson.exercises import Exercise

FEWEST_WRONG = 3  # wrong answers to an exercise; a hunt has its fault


@dataclass(frozen=True)
class Remark:
    """One thing that was looked at."""

    where: str  # a lesson, or an exercise as "<lesson>/<name>"
    what: str
    problem: str = ""  # empty: it is as it should be


@dataclass(frozen=True)
class Trial:
    """A source to be checked, and what its verdict must be."""

    what: str
    source: str
    problem: Callable[[wire.Verdict], str]


def check(names: tuple[str, ...], as_json: bool) -> int:
    """Examine the lessons of these names, or all; 0 where all is well, else 1."""
    course = catalogue("en")
    entries = [course.find(name) for name in names] or course.entries
    problems = asyncio.run(_report(course, entries, _as_json if as_json else _as_line))
    if not as_json:
        click.echo(_summary(problems))
    return 1 if problems else 0


async def _report(course: Course, entries: list[Entry], form: Callable[[Remark], str]) -> int:
    problems = 0
    async for remark in examine(course, entries):
        click.echo(form(remark))
        problems += bool(remark.problem)
    return problems


def _as_json(remark: Remark) -> str:
    return json.dumps(asdict(remark), ensure_ascii=False)


def _as_line(remark: Remark) -> str:
    mark = click.style("✗", fg="red") if remark.problem else click.style("✓", fg="green")
    return f"{mark} {remark.where}  {remark.what}" + (f"\n    {remark.problem}" if remark.problem else "")


def _summary(problems: int) -> str:
    return i18n.plural("{n} problem.", "{n} problems.", problems) if problems else _("All is as it should be.")


async def examine(course: Course, entries: list[Entry]) -> AsyncIterator[Remark]:
    """Everything about these lessons, texts first; what needs to be run, in one grader."""
    tasks: list[Exercise] = []
    for entry in entries:
        for remark in _texts(course, entry):
            yield remark
        for name in _asked(entry):
            try:
                tasks.append(exercises.load(entry.load(), name))
            except DltutorError as error:
                yield Remark(f"{entry.id}/{name}", _("the task"), str(error))
    async for remark in _tried(tasks):
        yield remark


def _asked(entry: Entry) -> list[str]:
    """The exercises that the text asks for; none where it can't be read, which is told with the text."""
    try:
        return exercises.of_section(entry.load().widgets())
    except DltutorError:
        return []


# ---------------------------------------------------------------- what is written


def _texts(course: Course, entry: Entry) -> Iterator[Remark]:
    problem = entry.problem or _first_problem(lambda: lesson.load(entry.folder, "en", True))
    yield Remark(entry.id, _("the text"), problem)
    if problem:
        return
    for language in i18n.LANGUAGES:
        if language != "en" and (entry.folder / f"lesson.{language}.md").is_file():
            name = i18n.LANGUAGES[language]
            yield Remark(entry.id, _("the text in {language}").format(language=name), _translation(entry, language))
    yield Remark(entry.id, _("prerequisites come before it"), _order(course, entry))
    yield Remark(entry.id, _("each exercise is asked in the text"), _unasked(entry))


def _first_problem(load: Callable[[], object]) -> str:
    try:
        load()
    except DltutorError as error:
        return str(error)
    return ""


def _translation(entry: Entry, language: str) -> str:
    """The lesson and its tasks in another language."""

    def load() -> None:
        translated = lesson.load(entry.folder, language, strict=True)
        for name in exercises.names(translated):
            exercises.load(translated, name, strict=True)

    return _first_problem(load)


def _order(course: Course, entry: Entry) -> str:
    ids = [other.id for other in course.entries]
    late = [name for name in entry.requires if name not in ids or ids.index(name) >= ids.index(entry.id)]
    return _("{lessons} must come before it").format(lessons=", ".join(late)) if late else ""


def _unasked(entry: Entry) -> str:
    unasked = set(exercises.names(entry.load())) - set(_asked(entry))
    return _("no fence asks for {names}").format(names=", ".join(sorted(unasked))) if unasked else ""


# ---------------------------------------------------------------- what is run


async def _tried(tasks: list[Exercise]) -> AsyncIterator[Remark]:
    async with Grader() as grader:
        for task in tasks:
            for remark in _written(task):
                yield remark
            for trial in _trials(task):
                verdict = await grader.check(task.key, trial.source)
                yield Remark(task.key, trial.what, trial.problem(verdict))


def _written(task: Exercise) -> Iterator[Remark]:
    if task.hunt:
        mended = any(suspect.fault and suspect.line not in _lines(task.solution) for suspect in task.hunt.suspects)
        problem = "" if mended else _("the solution still has the line at fault")
        yield Remark(task.key, _("the solution mends the line at fault"), problem)
    else:
        enough = len(task.wrong) >= FEWEST_WRONG
        problem = "" if enough else _("there are {n}, expected {fewest}").format(n=len(task.wrong), fewest=FEWEST_WRONG)
        yield Remark(task.key, _("enough wrong answers"), problem)


def _lines(source: str) -> list[str]:
    return [line.strip() for line in source.splitlines()]


def _trials(task: Exercise) -> Iterator[Trial]:
    yield Trial(_("the fault is caught") if task.hunt else _("the start fails"), task.start, _must_fail)
    yield Trial(_("the mended code passes") if task.hunt else _("the solution passes"), task.solution, _must_pass)
    for wrong in task.wrong:
        what = _("{name} fails: {cause}").format(name=wrong.name, cause=wrong.cause)
        yield Trial(what, wrong.source, partial(_must_fail_for, wrong.cause))


def _must_fail(verdict: wire.Verdict) -> str:
    if verdict.passed:
        return _("it passes")
    uncompiled = any(finding.name == "compiles" and not finding.passed for finding in verdict.findings)
    return verdict.headline if uncompiled else ""


def _must_pass(verdict: wire.Verdict) -> str:
    return "" if verdict.passed else " ".join(filter(None, [verdict.headline, verdict.why]))


def _must_fail_for(cause: str, verdict: wire.Verdict) -> str:
    if verdict.passed:
        return _("it passes")
    if verdict.cause == cause:
        return ""
    return _("the check names {cause}: {headline}").format(cause=verdict.cause or "-", headline=verdict.headline)
