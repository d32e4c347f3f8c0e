"""`dltutor list`, `progress show`, `review --list`: the course and how far the learner is, for people and programs."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from dltutor import i18n
from dltutor.i18n import _
from dltutor.lesson.blocks import inline_math
from dltutor.lesson.course import Course, Entry, catalogue
from dltutor.progress import Progress, Run
from dltutor.progress.days import count_due, day_of, when

MARKS = {"new": "○", "started": "◐", "done": "●", "problem": "✕"}
PLAIN_MARKS = {"new": " ", "started": "~", "done": "*", "problem": "!"}
RUNS_SHOWN = 10
QUESTION_WIDTH = 74


def state_of(entry: Entry, progress: Progress) -> str:
    return "problem" if entry.problem else progress.state(entry.id, entry.section_ids)


def state_names() -> dict[str, str]:
    return {"new": _("new"), "started": _("started"), "done": _("done"), "problem": _("can't be read")}


# ---------------------------------------------------------------- dltutor list


def as_text(progress: Progress) -> str:
    course = catalogue(i18n.current())
    lines: list[str] = []
    for number, title, entries in course.parts():
        lines += ["", _("Part {n}  {title}").format(n=number, title=title) if number else title]
        lines += [_row(entry, state_of(entry, progress), _passed(entry, progress)) for entry in entries]
    legend = "   ".join(f"{mark(state)} {name}" for state, name in state_names().items() if state != "problem")
    return "\n".join([*lines[1:], "", legend, *_due(course, progress), *_problems(course.problems)])


def _row(entry: Entry, state: str, passed: int) -> str:
    minutes = _("{n:3} min").format(n=entry.minutes) if entry.minutes else " " * 7
    exercises = _("exercises {passed}/{all}").format(passed=passed, all=len(entry.exercises)) if passed else ""
    return f"  {mark(state)} {entry.id:<30} {minutes}  {entry.title}  {exercises}".rstrip()


def _passed(entry: Entry, progress: Progress) -> int:
    """How many of the exercises that there are."""
    found = progress.exercises(entry.id)
    return sum(1 for name in entry.exercises if name in found and found[name].passed_at)


def _due(course: Course, progress: Progress) -> list[str]:
    """What is due, in a line; none where nothing is."""
    count, _tomorrow = count_due(progress, [entry.id for entry in course.entries])
    line = i18n.plural("{n} card is due: `dltutor review`", "{n} cards are due: `dltutor review`", count)
    return ["", line] if count else []


def _problems(problems: list[str]) -> list[str]:
    return ["", *problems] if problems else []


def mark(state: str) -> str:
    """A sign for a state that the output's encoding has."""
    try:
        MARKS[state].encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN_MARKS[state]
    return MARKS[state]


def as_rows(progress: Progress) -> str:
    """A JSON array with an object for each lesson."""
    entries = catalogue(i18n.current()).entries
    return json.dumps([_object(entry, progress) for entry in entries], ensure_ascii=False, indent=1)


def _object(entry: Entry, progress: Progress) -> dict[str, Any]:
    return {
        "id": entry.id,
        "title": entry.title,
        "part": entry.part,
        "minutes": entry.minutes,
        "state": state_of(entry, progress),
        "requires": list(entry.requires),
        "question": entry.question,
        "sections": len(entry.section_ids),
        "completed": len(progress.completed(entry.id) & set(entry.section_ids)),
        "exercises": len(entry.exercises),
        "passed": _passed(entry, progress),
        "folder": str(entry.folder),
        "problem": entry.problem,
    }


# ---------------------------------------------------------------- dltutor progress show


def progress_as_text(progress: Progress) -> str:
    lines = [_("kept in {file}").format(file=progress.path), *filter(None, [progress.notice]), ""]
    course = catalogue(i18n.current())
    lines += [_progress_row(entry, progress) for entry in course.entries] + _due(course, progress)
    runs = progress.runs(limit=RUNS_SHOWN)
    if runs:
        lines += ["", _("latest runs"), *map(_run_row, runs)]
    return "\n".join(lines)


def _progress_row(entry: Entry, progress: Progress) -> str:
    state = state_of(entry, progress)
    done = len(progress.completed(entry.id) & set(entry.section_ids))
    parts = [_("{done} of {total} sections").format(done=done, total=len(entry.section_ids))] if done else []
    if progress.exercises(entry.id):
        parts += [_("exercises {passed}/{all}").format(passed=_passed(entry, progress), all=len(entry.exercises))]
    return f"  {mark(state)} {entry.id:<30} {entry.title}  {', '.join(parts)}".rstrip()


def _run_row(run: Run) -> str:
    metrics = "  ".join(f"{name} {value:.4g}" for name, value in run.metrics.items())
    ended = {"done": _("done"), "stopped": _("stopped"), "left": _("left")}.get(run.ended, run.ended)
    steps = i18n.plural("{n} step", "{n} steps", run.steps)
    seed = _("seed {seed}").format(seed=run.setting.get("seed", 0))
    own = f"  {_('your kernel')}" if "own" in run.setting else ""
    return f"  {run.at[:16].replace('T', ' ')}  {run.lesson:<24} {steps}  {seed}{own}  {metrics}  {ended}"


def progress_as_json(progress: Progress) -> str:
    """A JSON object: the file, the lessons, the runs."""
    runs = [{key: value for key, value in run._asdict().items() if key != "has_curves"} for run in progress.runs()]
    guesses = {str(sure): {"right": right, "all": total} for sure, (right, total) in progress.calibration().items()}
    due, _tomorrow = count_due(progress, [entry.id for entry in catalogue(i18n.current()).entries])
    data = {
        "file": str(progress.path),
        "notice": progress.notice,
        "lessons": json.loads(as_rows(progress)),
        "due": due,
        "guesses": guesses,
        "runs": runs,
    }
    return json.dumps(data, ensure_ascii=False, indent=1)


# ---------------------------------------------------------------- dltutor review --list


def due_as_text(progress: Progress) -> str:
    """The questions by lesson, and when the next ones come."""
    from dltutor.progress import schedule

    course, now = catalogue(i18n.current()), datetime.now(UTC)
    due = sorted(schedule.due(progress, course, now), key=lambda each: each.lesson)
    lines = [i18n.plural("{n} card is due.", "{n} cards are due.", len(due)) if due else _("Nothing is due.")]
    for lesson, group in groupby(due, key=lambda each: each.lesson):
        entry = course.entry(lesson)
        lines += [
            "",
            f"{lesson}  {entry.title if entry else ''}",
            *(f"  {_short(each.question.text)}" for each in group),
        ]
    waiting = schedule.unreadable(progress, course, due, now)
    if waiting:
        told = _("Cards of {lessons} wait: it can't be read. Opening it says why.")
        lines += ["", told.format(lessons=", ".join(waiting))]
    return "\n".join([*lines, *_next(progress, course, now)])


def _short(question: str) -> str:
    """The beginning of a question, in a line."""
    text = " ".join(inline_math(question, lambda tex: tex).split())
    return text if len(text) <= QUESTION_WIDTH else f"{text[:QUESTION_WIDTH]}…"


def _next(progress: Progress, course: Course, now: datetime) -> list[str]:
    from dltutor.progress import schedule

    coming = schedule.next_due(progress, course, now)
    if not coming:
        return []
    told = i18n.plural("next: {n} card {{when}}", "next: {n} cards {{when}}", coming.coming)
    return ["", told.format(when=when(coming.day, day_of(now)))]


def due_as_rows(progress: Progress) -> str:
    """A JSON array with an object for each question, in the order in which they would be asked."""
    from dltutor.progress import schedule

    rows = [
        {
            "lesson": each.lesson,
            "section": each.question.section,
            "item": each.item,
            "kind": each.question.kind,
            "question": each.question.text,
            "since": each.since.isoformat(),
        }
        for each in schedule.due(progress, catalogue(i18n.current()))
    ]
    return json.dumps(rows, ensure_ascii=False, indent=1)
