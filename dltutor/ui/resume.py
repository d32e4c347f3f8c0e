"""Where a sitting broke off: what is open is kept while it is, and forgotten when the learner quits.

A preference of the progress file, so that it outlives whatever ends the process. What it says is what the screens say
of themselves (`place`), one into the other:

    {"lesson": id, "section": id, "scroll": 12.0,
        "task": {"name": "mse-backward", "pane": "code", "row": 3, "column": 7, "writes": true}}
    {"review": {"lesson": id, "item": id}}
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Any

from dltutor.progress import Progress

NAME = "open place"
LARGEST = 1_000_000  # line, column, row of a page
PERIOD = 1.0  # seconds between two writes; what a kill may cost

Place = dict[str, Any]


def place_of(screens: Iterable[Any]) -> Place:
    """What is open in `screens`, the lowest first; empty: the course."""
    place: Place = {}
    for screen in screens:
        if hasattr(screen, "place") and screen.is_mounted:
            place |= screen.place()
    return place


class OpenPlace:
    """The place of this sitting, as the progress file has it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._kept: Place = {}
        self._forgotten = False

    def left_behind(self, alone: bool = False) -> Place:
        """What a sitting that broke off had open; empty where none did, or it still goes on (unless this is the only
        one there can be). It is told once: should going there fail, the next sitting begins at the course."""
        noted = self._progress.preference(NAME)
        if not isinstance(noted, dict) or (not alone and _goes_on(noted.get("sitting"))):
            return {}
        place = _sound(noted.get("place"))
        if place:
            self._progress.set_preference(NAME, {})
        return place

    def keep(self, place: Place) -> None:
        if place != self._kept and not self._forgotten:
            self._kept = place
            self._progress.set_preference(NAME, {"sitting": _this_sitting(), "place": place})

    def forget(self) -> None:
        """The learner has left: from now on nothing is kept."""
        self.keep({})
        self._forgotten = True


KINDS: dict[str, Any] = {
    "lesson": str, "section": str, "scroll": float, "lab": bool, "full": bool,
    "task": {"name": str, "pane": str, "row": int, "column": int, "writes": bool},
    "review": {"lesson": str, "item": str},
}  # fmt: skip


def _sound(place: Any, kinds: dict[str, Any] = KINDS) -> Place:
    """`place` without what it can't be: a file from elsewhere may say anything."""
    if not isinstance(place, dict):
        return {}
    inner = {name: _sound(place.get(name), kind) for name, kind in kinds.items() if isinstance(kind, dict)}
    found = place | inner
    return {name: found[name] for name, kind in kinds.items() if _is(found.get(name), kind)}


def _is(value: Any, kind: Any) -> bool:
    if isinstance(kind, dict):
        return bool(value)
    if isinstance(value, int | float):
        return type(value) is kind and 0 <= value < LARGEST  # not a number is none of them
    return isinstance(value, kind)


def _this_sitting() -> list[Any]:
    return [_machine(), os.getpid()]


def _machine() -> str:
    return os.uname().nodename if os.name == "posix" else ""


def _goes_on(sitting: Any) -> bool:
    """Whether its process is there: another terminal of the same learner."""
    if os.name != "posix" or not isinstance(sitting, list) or sitting[:1] != [_machine()]:
        return False
    with contextlib.suppress(OSError, TypeError, IndexError, OverflowError):
        os.kill(sitting[1], 0)
        return bool(sitting[1] != os.getpid())
    return False
