"""`dltutor list` and `dltutor progress show`: the course and how far the learner is, for people and for programs."""

from __future__ import annotations

import json
import sys
from typing import Any

from dltutor import i18n
from dltutor.course import Entry, catalogue
from dltutor.i18n import _
from dltutor.progress import Progress, Run

MARKS = {"new": "○", "started": "◐", "done": "●", "problem": "✕"}
PLAIN_MARKS = {"new": " ", "started": "~", "done": "*", "problem": "!"}
RUNS_SHOWN = 10


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
        lines += [_row(entry, state_of(entry, progress)) for entry in entries]
    legend = "   ".join(f"{mark(state)} {name}" for state, name in state_names().items() if state != "problem")
    return "\n".join([*lines[1:], "", legend, *_problems(course.problems)])


def _row(entry: Entry, state: str) -> str:
    minutes = _("{n:3} min").format(n=entry.minutes) if entry.minutes else " " * 7
    return f"  {mark(state)} {entry.id:<30} {minutes}  {entry.title}".rstrip()


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
        "folder": str(entry.folder),
        "problem": entry.problem,
    }


# ---------------------------------------------------------------- dltutor progress show


def progress_as_text(progress: Progress) -> str:
    lines = [_("kept in {file}").format(file=progress.path), *filter(None, [progress.notice]), ""]
    lines += [_progress_row(entry, progress) for entry in catalogue(i18n.current()).entries]
    runs = progress.runs(limit=RUNS_SHOWN)
    if runs:
        lines += ["", _("latest runs"), *map(_run_row, runs)]
    return "\n".join(lines)


def _progress_row(entry: Entry, progress: Progress) -> str:
    state = state_of(entry, progress)
    done = len(progress.completed(entry.id) & set(entry.section_ids))
    sections = _("{done} of {total} sections").format(done=done, total=len(entry.section_ids)) if done else ""
    return f"  {mark(state)} {entry.id:<30} {entry.title}  {sections}".rstrip()


def _run_row(run: Run) -> str:
    metrics = "  ".join(f"{name} {value:.4g}" for name, value in run.metrics.items())
    ended = {"done": _("done"), "stopped": _("stopped"), "left": _("left")}.get(run.ended, run.ended)
    steps = i18n.plural("{n} step", "{n} steps", run.steps)
    seed = _("seed {seed}").format(seed=run.setting.get("seed", 0))
    return f"  {run.at[:16].replace('T', ' ')}  {run.lesson:<24} {steps}  {seed}  {metrics}  {ended}"


def progress_as_json(progress: Progress) -> str:
    """A JSON object: the file, the lessons, the runs."""
    runs = [{key: value for key, value in run._asdict().items() if key != "has_curves"} for run in progress.runs()]
    data = {
        "file": str(progress.path),
        "notice": progress.notice,
        "lessons": json.loads(as_rows(progress)),
        "runs": runs,
    }
    return json.dumps(data, ensure_ascii=False, indent=1)
