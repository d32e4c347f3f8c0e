"""What the rows of the progress file say, and how their values are written.

Named tuples: dataclasses would take a hundredth of a second of every start.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple


class Place(NamedTuple):
    """Where the learner is in a lesson."""

    section: str
    scroll: float
    setting: dict[str, Any]
    """What brings the lab back as it was: knobs, seed, steps, pace."""
    at: str
    """UTC, ISO 8601; so in all records."""


class Run(NamedTuple):
    """One training run. Its curves: `Progress.curves(run.id)`."""

    id: str
    lesson: str
    at: str
    """When it was kept, or began."""
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


class Answer(NamedTuple):
    """What was answered to a question of a quiz."""

    given: Any
    right: bool
    at: str


class Guess(NamedTuple):
    """What the learner said would happen, how sure they were, and what happened."""

    lesson: str
    item: str
    guess: Any
    confidence: int
    """1 a guess, 2 fairly sure, 3 certain."""
    at: str
    outcome: Any
    right: bool | None
    """None: it is not known yet."""


class Exercise(NamedTuple):
    """How far the learner is with an exercise or a hunt."""

    hints: int = 0
    """How many were asked for."""
    seen: bool = False
    """Whether the solution was looked at."""
    attempts: int = 0
    passed_at: str | None = None
    """When it passed first."""


class Attempt(NamedTuple):
    """What was checked, and what came of it."""

    at: str
    source: str | None
    """The learner's file; None where it is too old to be kept."""
    passed: bool
    headline: str
    cause: str


class Card(NamedTuple):
    """A question that comes back. `schedule` knows what its state means."""

    lesson: str
    item: str
    state: dict[str, Any]
    due: str
    at: str


# ---------------------------------------------------------------- values


def moment(at: datetime | None = None) -> str:
    """`at`, or now, such that texts sort as times do."""
    return (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds")


def as_json(value: Any) -> str:
    """As JSON; infinity and NaN, which it does not have, as words."""
    return storable(json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":")))


def storable(text: str) -> str:
    """`text` without halves of surrogate pairs, which a learner's file may hold and SQLite does not."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def from_json(text: str) -> Any:
    """The value; None where it is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None
