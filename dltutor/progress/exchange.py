"""Progress as JSON: to look at, to keep elsewhere, to bring from one machine to another.

What happens to a row that is there already is said in MERGES, so that importing twice changes nothing, and bringing
the progress of two machines together loses nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.progress.records import as_json, from_json, moment
from dltutor.progress.store import Statement

TABLES = {
    "place": ("lesson", "section", "scroll", "setting", "at"),
    "section": ("lesson", "section", "at"),
    "run": ("id", "lesson", "at", "setting", "device", "steps", "ended", "metrics", "curves"),
    "preference": ("name", "value", "at"),
    "answer": ("id", "lesson", "item", "given", "is_right", "at"),
    "guess": ("id", "lesson", "item", "guess", "confidence", "at", "outcome", "came_true"),
    "exercise": ("lesson", "name", "hints", "seen", "passed_at", "at"),
    "attempt": ("id", "lesson", "name", "at", "source", "passed", "headline", "cause"),
    "card": ("lesson", "item", "state", "due", "at"),
}
MERGES = {
    "place": "ON CONFLICT (lesson) DO UPDATE SET section = excluded.section, scroll = excluded.scroll,"
    " setting = excluded.setting, at = excluded.at WHERE excluded.at > place.at",
    "section": "ON CONFLICT (lesson, section) DO NOTHING",
    "run": "ON CONFLICT (id) DO UPDATE SET curves = excluded.curves"
    " WHERE run.curves IS NULL AND excluded.curves IS NOT NULL",
    "preference": "ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = excluded.at"
    " WHERE excluded.at > preference.at",
    "answer": "ON CONFLICT (id) DO NOTHING",
    "guess": "ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, came_true = excluded.came_true"
    " WHERE guess.came_true IS NULL AND excluded.came_true IS NOT NULL",
    "exercise": "ON CONFLICT (lesson, name) DO UPDATE SET hints = max(exercise.hints, excluded.hints),"
    " seen = max(exercise.seen, excluded.seen), at = max(exercise.at, excluded.at),"
    " passed_at = coalesce(min(exercise.passed_at, excluded.passed_at), exercise.passed_at, excluded.passed_at)"
    " WHERE excluded.hints > exercise.hints OR excluded.seen > exercise.seen"
    " OR excluded.passed_at < coalesce(exercise.passed_at, '~')",  # "~" is later than any time
    "attempt": "ON CONFLICT (id) DO NOTHING",
    "card": "ON CONFLICT (lesson, item) DO UPDATE SET state = excluded.state, due = excluded.due, at = excluded.at"
    " WHERE excluded.at > card.at",
}
JSON = ("setting", "metrics", "value", "given", "guess", "outcome", "state")  # columns that hold it
FLAGS = ("is_right", "came_true", "seen", "passed")
FORMAT = "dltutor progress"


def insert(table: str, values: tuple[Any, ...]) -> Statement:
    """A new row; where there is one already, as MERGES says."""
    marks = ", ".join("?" * len(values))
    return f"INSERT INTO {table} ({', '.join(TABLES[table])}) VALUES ({marks}) {MERGES[table]}", values


def export(version: int, rows: Callable[[str], list[tuple[Any, ...]]]) -> str:
    """All `rows(select)` of all tables, of the schema `version`."""
    tables = {table: _readable_rows(table, rows) for table in TABLES}
    return json.dumps({"format": FORMAT, "version": version, **tables}, ensure_ascii=False, indent=1)


def _readable_rows(table: str, rows: Callable[[str], list[tuple[Any, ...]]]) -> list[dict[str, Any]]:
    names = TABLES[table]
    found = rows(f"SELECT {', '.join(names)} FROM {table} ORDER BY at, rowid")
    return [{name: _readable(name, value) for name, value in zip(names, row, strict=True)} for row in found]


def _readable(name: str, value: Any) -> Any:
    """A column's value as the export has it."""
    if name in JSON:
        return from_json(value)
    if name in FLAGS:
        return None if value is None else bool(value)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


# ---------------------------------------------------------------- what others wrote


def read(text: str, version: int) -> list[tuple[str, tuple[Any, ...]]]:
    """The rows of an export, each with its table. Raises DltutorError where `text` is none that this version knows."""
    data = _export(text, version)
    return [(table, _values(table, row)) for table in TABLES for row in data.get(table, [])]


def _export(text: str, version: int) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DltutorError(_("this is no JSON: {error}").format(error=error), _no_export()) from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise DltutorError(_("this is no export of progress"), _no_export())
    if not isinstance(data.get("version"), int) or data["version"] > version:
        problem = _("this export is of version {version}, newer than {known}")
        hint = _("Update dltutor, then import it.")
        raise DltutorError(problem.format(version=data.get("version"), known=version), hint)
    if not all(isinstance(data.get(table, []), list) for table in TABLES):
        raise DltutorError(_("this is no export of progress"), _no_export())
    return data


def _no_export() -> str:
    return _("Give a file that `dltutor progress export` wrote.")


def _values(table: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row of an export as the file has it. Raises DltutorError where it isn't one."""
    try:
        return tuple(_FROM_EXPORT.get(name, _string)(row[name]) for name in TABLES[table])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        problem = _("not a row of {table}: {row} ({error!r})").format(table=table, row=str(row)[:80], error=error)
        raise DltutorError(problem, _no_export()) from error


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    value.encode()  # half of a surrogate pair can't be stored
    return value


def _string_or_none(value: Any) -> str | None:
    return None if value is None else _string(value)


def _moment(value: Any) -> str:
    """A time, written so that it sorts among ours."""
    return moment(datetime.fromisoformat(_string(value)))


def _count(value: Any) -> int:
    if not 0 <= int(value) < 2**63:
        raise ValueError(value)
    return int(value)


def _confidence(value: Any) -> int:
    if value not in (1, 2, 3):
        raise ValueError(value)
    return int(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _blob(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value, validate=True)


_FROM_EXPORT: dict[str, Callable[[Any], Any]] = {
    "at": _moment,
    "due": _moment,
    "passed_at": lambda value: None if value is None else _moment(value),
    "scroll": float,
    "steps": _count,
    "hints": _count,
    "confidence": _confidence,
    "curves": _blob,
    "source": _string_or_none,
    "is_right": _flag,
    "seen": _flag,
    "passed": _flag,
    "came_true": lambda value: None if value is None else _flag(value),
    "setting": lambda value: as_json(dict(value)),
    "state": lambda value: as_json(dict(value or {})),
    "metrics": lambda value: as_json({name: float(number) for name, number in value.items()}),
    "value": as_json,
    "given": as_json,
    "guess": as_json,
    "outcome": as_json,
}
