"""Who is in a class and who needs help, from what its server says of itself (`dltutor serve status`).

Whatever is missing there counts as not known. What learners type is not in it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from dltutor.i18n import _, plural
from dltutor.page import FULL_RATE

MANY_TRIES = 3  # in vain, at one exercise
LONG = 10 * 60.0  # seconds at one place; or without a key


@dataclass(frozen=True)
class Learner:
    number: int
    name: str
    id: str
    door: str
    address: str
    since: float  # when they came, in seconds as of time.time()
    idle: float  # seconds since the last key
    stay: float  # seconds at this place
    screen: str
    lesson: str
    section: str
    read: int
    sections: int
    task: str
    tries: int
    headline: str
    trains: bool
    rate: float
    round_trip: float  # seconds; 0: not known
    memory: float  # bytes; 0: not known

    @classmethod
    def of(cls, told: dict[str, Any], now: float) -> Learner:
        """Some of it is what a session says of itself: what is not of its kind counts as nothing."""
        known = told | {"stay": now - _of_kind(told.get("here_since"), "float", now)}
        return cls(**{field.name: _of_kind(known.get(field.name), str(field.type)) for field in fields(cls)})

    # ------------------------------------------------------------ who needs help

    @property
    def away(self) -> bool:
        return self.idle >= LONG

    @property
    def fails(self) -> bool:
        return self.tries >= MANY_TRIES and not self.away

    @property
    def lingers(self) -> bool:
        """At work, but at the same place for long; at home nobody has a place."""
        return self.stay >= LONG and not self.away and self.screen != "home"

    @property
    def stuck(self) -> bool:
        return self.fails or self.lingers

    @property
    def urgency(self) -> tuple[int, int, float, str]:
        """To sort by: who fails, the most often first; who lingers, the longest first; the others; who is away."""
        group = 3 if self.away else 0 if self.fails else 1 if self.lingers else 2
        return group, -self.tries if self.fails else 0, -self.stay if self.stuck else 0.0, self.name.casefold()

    # ------------------------------------------------------------ in words

    @property
    def place(self) -> str:
        match self.screen:
            case "lesson":
                return self.lesson
            case "exercise" | "hunt":
                return self.task if "/" in self.task else f"{self.lesson}/{self.task}"
            case "review":
                return _("reviewing cards")
            case _:
                return _("choosing a lesson")

    @property
    def progress(self) -> str:
        """Sections of the lesson: how many are read, of how many."""
        return f"{self.read}/{self.sections}" if self.screen == "lesson" and self.sections else ""

    @property
    def where(self) -> str:
        return f"{self.place} {self.progress}".rstrip()

    @property
    def trouble(self) -> str:
        """Why they may need help; nothing where they do not."""
        if self.fails:
            return plural("{n} try in vain", "{n} tries in vain", self.tries)
        if self.lingers:
            return _("here for {time}").format(time=duration(self.stay))
        return ""


def learners(told: dict[str, Any]) -> list[Learner]:
    """Everybody who is here, who needs help first."""
    now = _of_kind(told.get("now"), "float") or time.time()
    return sorted((Learner.of(one, now) for one in told.get("sessions", [])), key=lambda learner: learner.urgency)


NOTHING: dict[str, Any] = {"str": "", "int": 0, "float": 0.0, "bool": False}


def _of_kind(told: Any, kind: str, nothing: Any = None) -> Any:
    if kind == "float" and isinstance(told, int | float):
        return float(told)
    return told if type(told).__name__ == kind else NOTHING[kind] if nothing is None else nothing


def clock(seconds: Any) -> str:
    """A moment of the status on the clock of this machine; nothing where it is not known."""
    seconds = _of_kind(seconds, "float")
    return f"{datetime.fromtimestamp(seconds):%H:%M}" if seconds else ""


def duration(seconds: float) -> str:
    """In the one unit that says most."""
    if seconds < 60:
        return _("{n} s").format(n=int(seconds))
    if seconds < 3600:
        return _("{n} min").format(n=int(seconds // 60))
    return _("{n} h").format(n=int(seconds // 3600))


def machine(told: dict[str, Any]) -> str:
    """How the server's machine does."""
    load, grades = told.get("load") or {}, told.get("grades") or {}
    parts = [plural("{n} session", "{n} sessions", len(told.get("sessions", [])))]
    if load:
        parts.append(_("{cores} cores, {cpu:.0%} busy").format(cores=load.get("cores", "?"), cpu=load.get("cpu") or 0))
    memory = sum(float(one.get("memory") or 0) for one in told.get("sessions", []))
    if memory:
        parts.append(_("{size} MB").format(size=round(memory / 1e6)))
    budget = told.get("budget") or {}
    if budget.get("live") and budget.get("rate", FULL_RATE) < FULL_RATE:
        parts.append(_("pictures at {rate:.0f}/s").format(rate=budget["rate"]))
    return " · ".join([*parts, grading(grades)])


def grading(grades: dict[str, Any]) -> str:
    if not grades.get("tier"):
        return _("no checks: {reason}").format(reason=grades.get("reason") or "?")
    return _("checks: {running} running, {waiting} waiting").format(
        running=grades.get("running", 0), waiting=grades.get("waiting", 0)
    )


# ---------------------------------------------------------------- dltutor serve status


def as_text(told: dict[str, Any]) -> str:
    """The machine in a line, then a line for each learner."""
    rows = [_row(learner) for learner in learners(told)]
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]
    return "\n".join([machine(told), *([""] if lines else []), *lines])


def _row(learner: Learner) -> tuple[str, ...]:
    idle = _("idle {time}").format(time=duration(learner.idle)) if learner.idle >= 60 else ""
    return "!" if learner.stuck else " ", learner.name, learner.where, learner.trouble, learner.headline, idle


def _width(text: str) -> int:
    from rich.cells import cell_len  # a terminal shows Chinese twice as wide

    return cell_len(text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
