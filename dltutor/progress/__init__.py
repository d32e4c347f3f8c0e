"""What the learner has done and chosen, in one file that several applications can use at once.

Every write is one small transaction. A place is the last one written; completed sections, runs, answers, guesses
and attempts only add up. What a record says: see `records`. What becomes of two machines' files: see `exchange`.
What happens to a file that can't be used: see `store`; `Progress.notice` says it to the learner.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dltutor.progress import exchange
from dltutor.progress.columns import Column, column, pack, unpack
from dltutor.progress.exchange import insert
from dltutor.progress.records import (
    Answer,
    Attempt,
    Card,
    Exercise,
    Guess,
    Place,
    Run,
    as_json,
    from_json,
    moment,
    storable,
)
from dltutor.progress.store import Statement, Store

__all__ = ["Answer", "Attempt", "Card", "Exercise", "Guess", "Place", "Progress", "Run", "home"]

FILE = "progress.sqlite3"
APPLICATION = 0x646C7475  # "dltu"
RUNS_WITH_CURVES = 100  # of each lesson; older runs keep their setting and last metrics
ATTEMPTS_WITH_SOURCE = 50  # of each exercise; older attempts keep their verdict
LONGEST_SOURCE = 100_000  # characters of an attempt that are kept

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
    """
    CREATE TABLE answer (id TEXT PRIMARY KEY, lesson TEXT NOT NULL, item TEXT NOT NULL, given TEXT NOT NULL,
        is_right INTEGER NOT NULL, at TEXT NOT NULL);
    CREATE INDEX answer_by_lesson ON answer (lesson, at);
    CREATE TABLE guess (id TEXT PRIMARY KEY, lesson TEXT NOT NULL, item TEXT NOT NULL, guess TEXT NOT NULL,
        confidence INTEGER NOT NULL, at TEXT NOT NULL, outcome TEXT NOT NULL, came_true INTEGER);
    CREATE INDEX guess_by_item ON guess (lesson, item, at);
    CREATE TABLE exercise (lesson TEXT NOT NULL, name TEXT NOT NULL, hints INTEGER NOT NULL, seen INTEGER NOT NULL,
        passed_at TEXT, at TEXT NOT NULL, PRIMARY KEY (lesson, name));
    CREATE TABLE attempt (id TEXT PRIMARY KEY, lesson TEXT NOT NULL, name TEXT NOT NULL, at TEXT NOT NULL, source TEXT,
        passed INTEGER NOT NULL, headline TEXT NOT NULL, cause TEXT NOT NULL);
    CREATE INDEX attempt_by_exercise ON attempt (lesson, name, at);
    CREATE TABLE card (lesson TEXT NOT NULL, item TEXT NOT NULL, state TEXT NOT NULL, due TEXT NOT NULL,
        at TEXT NOT NULL, PRIMARY KEY (lesson, item));
    CREATE INDEX card_by_due ON card (due);
    """,
]
"""Each brings a file from version n (its place here) to n + 1. Only ever append. Statements end in `;`."""


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
        values = (lesson, section, scroll, as_json(setting or {}), moment())
        self._store.write(("INSERT OR REPLACE INTO place VALUES (?, ?, ?, ?, ?)", values))

    def latest(self) -> str | None:
        """The lesson the learner was in last."""
        newest = "SELECT lesson, at FROM {} ORDER BY at DESC LIMIT 1"
        parts = " UNION ALL ".join(f"SELECT * FROM ({newest.format(table)})" for table in ("place", "section", "run"))
        rows = self._store.read(f"{parts} ORDER BY at DESC LIMIT 1")
        return rows[0][0] if rows else None

    # ------------------------------------------------------------ sections

    def complete(self, lesson: str, section: str) -> None:
        self._store.write(("INSERT OR IGNORE INTO section VALUES (?, ?, ?)", (lesson, section, moment())))

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
        tables = ("place", "run", "answer", "guess", "exercise", "attempt")
        parts = " UNION ALL ".join(f"SELECT 1 FROM {table} WHERE lesson = ?1" for table in tables)
        return bool(self._store.read(f"{parts} LIMIT 1", lesson))

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
        id = _new_id()
        curves = pack({name: column(*curve) for name, curve in columns.items()}) if columns else None
        values = (id, lesson, moment(at), as_json(setting), device, steps, ended, as_json(metrics), curves)
        self._store.write(insert("run", values), _forget_curves(lesson))
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

    # ------------------------------------------------------------ answers

    def add_answer(self, lesson: str, item: str, given: Any, right: bool, card: Card | None = None) -> None:
        """`given`: anything that JSON can hold. `card`: when it comes back, kept with it or not at all."""
        values = (_new_id(), lesson, item, as_json(given), bool(right), moment())
        self._store.write(insert("answer", values), *([_put(card)] if card else []))

    def answers(self, lesson: str) -> dict[str, Answer]:
        """The latest answer to each question."""
        sql = "SELECT item, given, is_right, at FROM answer WHERE lesson = ? ORDER BY at, rowid"
        rows = self._store.read(sql, lesson)
        return {item: Answer(from_json(given), bool(right), at) for item, given, right, at in rows}

    # ------------------------------------------------------------ guesses

    def add_guess(self, lesson: str, item: str, guess: Any, confidence: int) -> None:
        """What the learner says will happen; `confidence`: 1 a guess, 2 fairly sure, 3 certain."""
        values = (_new_id(), lesson, item, as_json(guess), confidence, moment(), as_json(None), None)
        self._store.write(insert("guess", values))

    def resolve_guess(self, lesson: str, item: str, outcome: Any, right: bool) -> None:
        """What happened, for the latest guess; where that is known already it stays as it was."""
        latest = "SELECT id FROM guess WHERE lesson = ? AND item = ? ORDER BY at DESC, rowid DESC LIMIT 1"
        sql = f"UPDATE guess SET outcome = ?, came_true = ? WHERE came_true IS NULL AND id = ({latest})"
        self._store.write((sql, (as_json(outcome), bool(right), lesson, item)))

    def guess(self, lesson: str, item: str) -> Guess | None:
        """The latest one."""
        rows = self._store.read(f"{_GUESSES} WHERE lesson = ? AND item = ? ORDER BY at, rowid", lesson, item)
        return _guess(*rows[-1]) if rows else None

    def guesses(self) -> list[Guess]:
        """All there are, the oldest first."""
        return [_guess(*row) for row in self._store.read(f"{_GUESSES} ORDER BY at, rowid")]

    def calibration(self) -> dict[int, tuple[int, int]]:
        """Confidence -> (right, all) of the guesses whose outcome is known. Only the first of each question counts:
        after it the learner knew."""
        first = "SELECT confidence, came_true, min(at) FROM guess WHERE came_true IS NOT NULL GROUP BY lesson, item"
        rows = self._store.read(f"SELECT confidence, sum(came_true), count(*) FROM ({first}) GROUP BY confidence")
        return {confidence: (right, total) for confidence, right, total in rows}

    # ------------------------------------------------------------ exercises

    def exercise(self, lesson: str, name: str) -> Exercise:
        return self.exercises(lesson).get(name, Exercise())

    def exercises(self, lesson: str) -> dict[str, Exercise]:
        """Those that were begun in any way."""
        noted = self._store.read("SELECT name, hints, seen, passed_at FROM exercise WHERE lesson = ?", lesson)
        sql = "SELECT name, count(*) FROM attempt WHERE lesson = ? GROUP BY name"
        tries = dict(self._store.read(sql, lesson))
        found = {name: Exercise(attempts=count) for name, count in tries.items()}
        return found | {name: Exercise(hints, bool(seen), tries.get(name, 0), at) for name, hints, seen, at in noted}

    def note_hint(self, lesson: str, name: str, count: int) -> None:
        """`count` hints were asked for by now."""
        self._store.write(_note(lesson, name, hints=count))

    def note_seen(self, lesson: str, name: str) -> None:
        """The solution was looked at."""
        self._store.write(_note(lesson, name, seen=True))

    def note_attempt(
        self, lesson: str, name: str, source: str, passed: bool, headline: str = "", cause: str = ""
    ) -> None:
        """`source` was checked; the first time that it passes is when the exercise is passed."""
        at = moment()
        kept = storable(source[:LONGEST_SOURCE])
        values = (_new_id(), lesson, name, at, kept, bool(passed), storable(headline), storable(cause))
        noted = _note(lesson, name, passed_at=at if passed else None)
        self._store.write(insert("attempt", values), noted, _forget_sources(lesson, name))

    def attempts(self, lesson: str, name: str) -> list[Attempt]:
        """The oldest first."""
        sql = "SELECT at, source, passed, headline, cause FROM attempt WHERE lesson = ? AND name = ? ORDER BY at, rowid"
        rows = self._store.read(sql, lesson, name)
        return [Attempt(at, source, bool(passed), headline, cause) for at, source, passed, headline, cause in rows]

    def reset_exercise(self, lesson: str, name: str) -> None:
        """As if it had never been begun. The learner's file is not ours: see `exercises`."""
        gone = ((f"DELETE FROM {table} WHERE lesson = ? AND name = ?", (lesson, name)) for table in _OF_EXERCISES)
        self._store.write(*gone)

    # ------------------------------------------------------------ cards

    def card(self, lesson: str, item: str) -> Card | None:
        rows = self._store.read(f"{_CARDS} WHERE lesson = ? AND item = ?", lesson, item)
        return _card(*rows[0]) if rows else None

    def cards(self) -> list[Card]:
        """All there are, the one that is due first in front."""
        return [_card(*row) for row in self._store.read(f"{_CARDS} ORDER BY due, rowid")]

    def set_card(self, lesson: str, item: str, state: Mapping[str, Any], due: str, at: datetime | None = None) -> None:
        """`due`: as `records.moment` writes it."""
        self._store.write(_put(Card(lesson, item, dict(state), due, moment(at))))

    def add_cards(self, lesson: str, items: Iterable[str], due: str, at: datetime | None = None) -> None:
        """New cards; those that are there stay as they are."""
        rows = [(lesson, item, as_json({}), due, moment(at)) for item in items]
        self._store.write(*(("INSERT OR IGNORE INTO card VALUES (?, ?, ?, ?, ?)", row) for row in rows))

    def count_due(self, by: datetime, lessons: Sequence[str], now: datetime) -> int:
        """How many cards of `lessons` are due until then. A card rated in the future was rated by a wrong clock: it is
        due."""
        marks = ", ".join("?" * len(lessons))
        sql = f"SELECT count(*) FROM card WHERE (due <= ? OR at > ?) AND lesson IN ({marks})"
        return int(self._store.read(sql, moment(by), moment(now + timedelta(days=1)), *lessons)[0][0])

    # ------------------------------------------------------------ preferences

    def preference(self, name: str, default: Any = None) -> Any:
        rows = self._store.read("SELECT value FROM preference WHERE name = ?", name)
        return json.loads(rows[0][0]) if rows else default

    def set_preference(self, name: str, value: Any) -> None:
        """Keep any value that JSON can hold."""
        self._store.write(("INSERT OR REPLACE INTO preference VALUES (?, ?, ?)", (name, as_json(value), moment())))

    # ------------------------------------------------------------ all of it

    def reset(self, lesson: str | None = None) -> None:
        """Forget what was done in `lesson`, or in all of them; preferences stay."""
        where, values = ("WHERE lesson = ?", (lesson,)) if lesson else ("", ())
        self._store.write(*((f"DELETE FROM {table} {where}", values) for table in _OF_LESSONS))

    def export_json(self) -> str:
        """Everything, as JSON a person can read (but for the curves, which are base64)."""
        return exchange.export(len(MIGRATIONS), self._store.read)

    def import_json(self, text: str) -> int:
        """Add what an export holds to what is here; how many rows that changed. Nothing here is lost: of two places
        or preferences the newer stays. Raises DltutorError, and changes nothing, where `text` is no export."""
        rows = exchange.read(text, len(MIGRATIONS))
        changed = self._store.write(*(insert(table, values) for table, values in rows))
        self._store.write(*_tidy(rows))
        return changed


# ---------------------------------------------------------------- rows

_OF_LESSONS = tuple(table for table, columns in exchange.TABLES.items() if "lesson" in columns)
_OF_EXERCISES = ("exercise", "attempt")
_GUESSES = "SELECT lesson, item, guess, confidence, at, outcome, came_true FROM guess"
_CARDS = "SELECT lesson, item, state, due, at FROM card"


def _new_id() -> str:
    return os.urandom(16).hex()  # as good as a UUID, whose module takes its time to import


def _run(id: str, lesson: str, at: str, setting: str, device: str, steps: int, ended: str, last: str, kept: int) -> Run:
    metrics = {name: float(value) for name, value in json.loads(last).items()}
    return Run(id, lesson, at, json.loads(setting), device, steps, ended, metrics, bool(kept))


def _guess(lesson: str, item: str, guess: str, sure: int, at: str, outcome: str, came_true: int | None) -> Guess:
    right = None if came_true is None else bool(came_true)
    return Guess(lesson, item, from_json(guess), sure, at, from_json(outcome), right)


def _card(lesson: str, item: str, state: str, due: str, at: str) -> Card:
    found = from_json(state)
    return Card(lesson, item, found if isinstance(found, dict) else {}, due, at)


def _put(card: Card) -> Statement:
    values = (card.lesson, card.item, as_json(card.state), card.due, card.at)
    return "INSERT OR REPLACE INTO card VALUES (?, ?, ?, ?, ?)", values


def _note(lesson: str, name: str, hints: int = 0, seen: bool = False, passed_at: str | None = None) -> Statement:
    """What is known of an exercise by now: it only grows."""
    return insert("exercise", (lesson, name, hints, seen, passed_at, moment()))


def _tidy(rows: Iterable[tuple[str, tuple[Any, ...]]]) -> list[Statement]:
    """What keeps the file small after `rows` came in."""
    lessons = dict.fromkeys(values[1] for table, values in rows if table == "run")
    exercises = dict.fromkeys(values[1:3] for table, values in rows if table == "attempt")
    return [_forget_curves(lesson) for lesson in lessons] + [
        _forget_sources(lesson, name) for lesson, name in exercises
    ]


def _forget_curves(lesson: str) -> Statement:
    kept = "SELECT id FROM run WHERE lesson = ? AND curves IS NOT NULL ORDER BY at DESC, rowid DESC LIMIT ?"
    sql = f"UPDATE run SET curves = NULL WHERE lesson = ? AND curves IS NOT NULL AND id NOT IN ({kept})"
    return sql, (lesson, lesson, RUNS_WITH_CURVES)


def _forget_sources(lesson: str, name: str) -> Statement:
    of_it = "lesson = ? AND name = ? AND source IS NOT NULL"
    kept = f"SELECT id FROM attempt WHERE {of_it} ORDER BY at DESC, rowid DESC LIMIT ?"
    sql = f"UPDATE attempt SET source = NULL WHERE {of_it} AND id NOT IN ({kept})"
    return sql, (lesson, name, lesson, name, ATTEMPTS_WITH_SOURCE)
