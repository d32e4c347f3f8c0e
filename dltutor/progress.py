"""What the learner has done and chosen, in one file that several applications can use at once.

Every write is one small transaction. A place is the last one written; completed sections and runs only add up.
What happens to a file that can't be used: see `store`; `Progress.notice` says it to the learner.
"""

from __future__ import annotations

import base64
import json
import math
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dltutor.columns import Column, column, pack, unpack
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.store import Statement, Store

FILE = "progress.sqlite3"
APPLICATION = 0x646C7475  # "dltu"
RUNS_WITH_CURVES = 100  # of each lesson; older runs keep their setting and last metrics

MIGRATIONS = [
    """
    CREATE TABLE place (lesson TEXT PRIMARY KEY, section TEXT NOT NULL, scroll REAL NOT NULL, setting TEXT NOT NULL,
        at TEXT NOT NULL);
    CREATE TABLE section (lesson TEXT NOT NULL, section TEXT NOT NULL, at TEXT NOT NULL,
        PRIMARY KEY (lesson, section));
    CREATE TABLE run (id TEXT PRIMARY KEY, lesson TEXT NOT NULL, at TEXT NOT NULL, setting TEXT NOT NULL,
        device TEXT NOT NULL, steps INTEGER NOT NULL, ended TEXT NOT NULL, metrics TEXT NOT NULL, curves BLOB);
    CREATE INDEX run_by_lesson ON run (lesson, at);
    CREATE TABLE preference (name TEXT PRIMARY KEY, value TEXT NOT NULL, at TEXT NOT NULL);
    """,
]
"""Each brings a file from version n (its place here) to n + 1. Only ever append. Statements end in `;`."""

_TABLES = {
    "place": ("lesson", "section", "scroll", "setting", "at"),
    "section": ("lesson", "section", "at"),
    "run": ("id", "lesson", "at", "setting", "device", "steps", "ended", "metrics", "curves"),
    "preference": ("name", "value", "at"),
}
_JSON = ("setting", "metrics", "value")  # columns that hold JSON
_MERGES = {  # what happens to a row that is there already; so that importing twice changes nothing
    "place": "ON CONFLICT (lesson) DO UPDATE SET section = excluded.section, scroll = excluded.scroll,"
    " setting = excluded.setting, at = excluded.at WHERE excluded.at > place.at",
    "section": "ON CONFLICT (lesson, section) DO NOTHING",
    "run": "ON CONFLICT (id) DO UPDATE SET curves = excluded.curves"
    " WHERE run.curves IS NULL AND excluded.curves IS NOT NULL",
    "preference": "ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = excluded.at"
    " WHERE excluded.at > preference.at",
}
_FORMAT = "dltutor progress"


@dataclass(frozen=True)
class Place:
    """Where the learner is in a lesson."""

    section: str
    scroll: float
    setting: dict[str, Any]
    """What brings the lab back as it was: knobs, seed, steps, pace."""
    at: str
    """UTC, ISO 8601."""


@dataclass(frozen=True)
class Run:
    """One training run. Its curves: `Progress.curves(run.id)`."""

    id: str
    lesson: str
    at: str
    """When it was kept, or began: UTC, ISO 8601."""
    setting: dict[str, Any]
    """What repeats it: knobs, seed, steps."""
    device: str
    steps: int
    """How many were taken."""
    ended: str
    """done, stopped, left, or what went wrong."""
    metrics: dict[str, float]
    """The last value of each."""
    has_curves: bool


def home() -> Path:
    """The learner's data folder: DLTUTOR_HOME, else the platform's. It may not exist yet."""
    named = os.environ.get("DLTUTOR_HOME")
    if named:
        return Path(os.path.expanduser(named)).absolute()
    import platformdirs  # slow to import, and not needed where the folder is named

    return platformdirs.user_data_path("dltutor", appauthor=False)


class Progress:
    """The progress of one learner. Its methods may be called from any thread.

    Writing raises DltutorError where another program keeps the file busy for two seconds.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @classmethod
    def open(cls, folder: Path | None = None) -> Progress:
        """The progress in `folder` (the learner's data folder, made where there is none). A file that can't be used
        is no error: see `notice`."""
        return cls(Store((folder or home()) / FILE, APPLICATION, MIGRATIONS))

    def close(self) -> None:
        self._store.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def notice(self) -> str:
        """What the learner should know of the file: what happened, and what to do. Empty: all is well."""
        return self._store.notice

    @property
    def path(self) -> Path:
        return self._store.path

    @property
    def in_memory(self) -> bool:
        """Nothing is being kept: `notice` says why."""
        return self._store.in_memory

    # ------------------------------------------------------------ place

    def place(self, lesson: str) -> Place | None:
        rows = self._store.read("SELECT section, scroll, setting, at FROM place WHERE lesson = ?", lesson)
        return next((Place(section, scroll, json.loads(text), at) for section, scroll, text, at in rows), None)

    def set_place(
        self, lesson: str, section: str, scroll: float = 0.0, setting: Mapping[str, Any] | None = None
    ) -> None:
        """The learner is here now. The last one to say so is right."""
        values = (lesson, section, scroll, _text(setting or {}), _now())
        self._store.write(("INSERT OR REPLACE INTO place VALUES (?, ?, ?, ?, ?)", values))

    def latest(self) -> str | None:
        """The lesson the learner was in last."""
        newest = "SELECT lesson, at FROM {} ORDER BY at DESC LIMIT 1"
        parts = " UNION ALL ".join(f"SELECT * FROM ({newest.format(table)})" for table in ("place", "section", "run"))
        rows = self._store.read(f"{parts} ORDER BY at DESC LIMIT 1")
        return rows[0][0] if rows else None

    # ------------------------------------------------------------ sections

    def complete(self, lesson: str, section: str) -> None:
        self._store.write(("INSERT OR IGNORE INTO section VALUES (?, ?, ?)", (lesson, section, _now())))

    def completed(self, lesson: str) -> set[str]:
        return {row[0] for row in self._store.read("SELECT section FROM section WHERE lesson = ?", lesson)}

    def state(self, lesson: str, section_ids: Iterable[str]) -> str:
        """new, started or done: all of its present sections (`section_ids`) are completed."""
        wanted, done = set(section_ids), self.completed(lesson)
        if wanted and wanted <= done:
            return "done"
        return "started" if done or self._touched(lesson) else "new"

    def fraction(self, lesson: str, section_ids: Iterable[str]) -> float:
        """How much of the lesson is completed, 0 to 1."""
        wanted = set(section_ids)
        return len(wanted & self.completed(lesson)) / len(wanted) if wanted else 0.0

    def _touched(self, lesson: str) -> bool:
        sql = "SELECT 1 FROM place WHERE lesson = ? UNION ALL SELECT 1 FROM run WHERE lesson = ? LIMIT 1"
        return bool(self._store.read(sql, lesson, lesson))

    # ------------------------------------------------------------ runs

    def add_run(
        self,
        *,
        lesson: str,
        setting: Mapping[str, Any],
        device: str,
        steps: int,
        ended: str,
        metrics: Mapping[str, float],
        columns: Mapping[str, tuple[Iterable[float], Sequence[float]]] | None = None,
        at: datetime | None = None,
    ) -> str:
        """Keep a run; its id. `columns`: for each metric its steps and values (NaN: not taken)."""
        id = uuid.uuid4().hex
        curves = pack({name: column(*curve) for name, curve in columns.items()}) if columns else None
        values = (id, lesson, _now(at), _text(setting), device, steps, ended, _metrics(metrics), curves)
        self._store.write(_insert("run", values), *_forget_curves(lesson))
        return id

    def runs(self, lesson: str | None = None, limit: int = -1) -> list[Run]:
        """Runs of `lesson`, or of all; the newest first."""
        rows = self._store.read(
            "SELECT id, lesson, at, setting, device, steps, ended, metrics, curves IS NOT NULL FROM run"
            " WHERE ?1 IS NULL OR lesson = ?1 ORDER BY at DESC, rowid DESC LIMIT ?2",
            lesson,
            limit,
        )
        return [_run(*row) for row in rows]

    def curves(self, run: str) -> dict[str, Column]:
        """Steps and values of each metric of a run, thinned where it was long; empty where they were not kept."""
        rows = self._store.read("SELECT curves FROM run WHERE id = ? AND curves IS NOT NULL", run)
        return unpack(rows[0][0]) if rows else {}

    # ------------------------------------------------------------ preferences

    def preference(self, name: str, default: Any = None) -> Any:
        rows = self._store.read("SELECT value FROM preference WHERE name = ?", name)
        return json.loads(rows[0][0]) if rows else default

    def set_preference(self, name: str, value: Any) -> None:
        """Keep any value that JSON can hold."""
        self._store.write(("INSERT OR REPLACE INTO preference VALUES (?, ?, ?)", (name, _text(value), _now())))

    # ------------------------------------------------------------ all of it

    def reset(self, lesson: str | None = None) -> None:
        """Forget what was done in `lesson`, or in all of them; preferences stay."""
        where, values = ("WHERE lesson = ?", (lesson,)) if lesson else ("", ())
        self._store.write(*((f"DELETE FROM {table} {where}", values) for table in ("place", "section", "run")))

    def export_json(self) -> str:
        """Everything, as JSON a person can read (but for the curves, which are base64)."""
        tables = {name: self._rows(name, columns) for name, columns in _TABLES.items()}
        return json.dumps({"format": _FORMAT, "version": len(MIGRATIONS), **tables}, ensure_ascii=False, indent=1)

    def import_json(self, text: str) -> int:
        """Add what an export holds to what is here; how many rows that changed. Nothing here is lost: of two places
        or preferences the newer stays. Raises DltutorError, and changes nothing, where `text` is no export."""
        data = _export(text)
        rows = [(table, row) for table in _TABLES for row in data.get(table, [])]
        inserts = [_insert(table, _values(table, row)) for table, row in rows]
        lessons = dict.fromkeys(row["lesson"] for table, row in rows if table == "run")
        changed = self._store.write(*inserts)
        self._store.write(*(statement for lesson in lessons for statement in _forget_curves(lesson)))
        return changed

    def _rows(self, table: str, columns: Sequence[str]) -> list[dict[str, Any]]:
        rows = self._store.read(f"SELECT {', '.join(columns)} FROM {table} ORDER BY at, rowid")
        return [{name: _readable(name, value) for name, value in zip(columns, row, strict=True)} for row in rows]


# ---------------------------------------------------------------- rows


def _now(at: datetime | None = None) -> str:
    return (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds")


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _metrics(values: Mapping[str, float]) -> str:
    """As JSON, which has no numbers for infinity and NaN."""
    return _text({name: value if math.isfinite(value) else str(value) for name, value in values.items()})


def _run(id: str, lesson: str, at: str, setting: str, device: str, steps: int, ended: str, last: str, kept: int) -> Run:
    metrics = {name: float(value) for name, value in json.loads(last).items()}
    return Run(id, lesson, at, json.loads(setting), device, steps, ended, metrics, bool(kept))


def _insert(table: str, values: tuple[Any, ...]) -> Statement:
    marks = ", ".join("?" * len(values))
    return f"INSERT INTO {table} ({', '.join(_TABLES[table])}) VALUES ({marks}) {_MERGES[table]}", values


def _forget_curves(lesson: str) -> list[Statement]:
    kept = "SELECT id FROM run WHERE lesson = ? AND curves IS NOT NULL ORDER BY at DESC, rowid DESC LIMIT ?"
    sql = f"UPDATE run SET curves = NULL WHERE lesson = ? AND curves IS NOT NULL AND id NOT IN ({kept})"
    return [(sql, (lesson, lesson, RUNS_WITH_CURVES))]


def _readable(name: str, value: Any) -> Any:
    """A column's value as the export has it."""
    if name in _JSON:
        return json.loads(value)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


# ---------------------------------------------------------------- what others wrote


def _values(table: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row of an export as the file has it. Raises DltutorError where it isn't one."""
    try:
        return tuple(_FROM_EXPORT.get(name, _string)(row[name]) for name in _TABLES[table])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = _("not a row of {table}: {row} ({error!r})").format(table=table, row=str(row)[:80], error=error)
        raise DltutorError(problem, _no_export()) from error


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    value.encode()  # half of a surrogate pair can't be stored
    return value


def _count(value: Any) -> int:
    if not 0 <= int(value) < 2**63:
        raise ValueError(value)
    return int(value)


def _blob(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value, validate=True)


_FROM_EXPORT: dict[str, Callable[[Any], Any]] = {
    "scroll": float,
    "steps": _count,
    "curves": _blob,
    "setting": lambda value: _text(dict(value)),
    "metrics": lambda value: _metrics({name: float(number) for name, number in value.items()}),
    "value": _text,
}


def _export(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DltutorError(_("this is no JSON: {error}").format(error=error), _no_export()) from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise DltutorError(_("this is no export of progress"), _no_export())
    if not isinstance(data.get("version"), int) or data["version"] > len(MIGRATIONS):
        problem = _("this export is of version {version}, newer than {known}")
        hint = _("Update dltutor, then import it.")
        raise DltutorError(problem.format(version=data.get("version"), known=len(MIGRATIONS)), hint)
    if not all(isinstance(data.get(table, []), list) for table in _TABLES):
        raise DltutorError(_("this is no export of progress"), _no_export())
    return data


def _no_export() -> str:
    return _("Give a file that `dltutor progress export` wrote.")
