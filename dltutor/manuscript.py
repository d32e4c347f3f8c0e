"""The learner's file while it is being written: here, and perhaps in another editor at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from dltutor.errors import DltutorError
from dltutor.lesson.exercises import Exercise, Workbook

POLL = 1.0  # seconds between two looks at a file: a network file system tells nobody that it has changed
SETTLE = 30  # milliseconds of silence after which a save is complete


class Manuscript:
    """What the learner's file of an exercise holds, as far as it is known here."""

    def __init__(self, exercise: Exercise) -> None:
        self.exercise = exercise
        self.path = Workbook().path(exercise)
        self.notice = ""
        """What has become of a file that could not be read."""
        try:
            self.text = self.read()
        except DltutorError as error:
            self.notice = f"{error}\n{self.put_aside()}"
            self.text = exercise.start
            self._stamp = stamp(self.path)

    def read(self) -> str:
        """What it holds now. Raises DltutorError where it can't be read."""
        self.text = Workbook().read(self.exercise)
        self._stamp = stamp(self.path)
        return self.text

    def write(self, text: str) -> str:
        """Keep `text`. Where somebody else has saved the file meanwhile, that is put aside: where it is now.

        Raises DltutorError where it can't be written.
        """
        aside = self.put_aside() if self.path.exists() and self.was_saved_elsewhere else ""
        Workbook().write(self.exercise, text)
        self.text, self._stamp = text, stamp(self.path)
        return aside

    @property
    def was_saved_elsewhere(self) -> bool:
        return stamp(self.path) != self._stamp

    def put_aside(self) -> str:
        """Give the file another name, and say which; its own where that can't be."""
        aside = self.path.with_name(f"{self.path.stem}.{time.strftime('%Y%m%d-%H%M%S')}.py")
        try:
            self.path.rename(aside)
        except OSError:
            return str(self.path)
        return str(aside)


# ---------------------------------------------------------------- a file that others may save


Stamp = tuple[int, int, int] | None  # what differs after a save; none: there is no file


def stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


async def saves(path: Path) -> AsyncIterator[None]:
    """Once for each time that `path` was saved, by whomever."""
    last = stamp(path)
    async for _look in _looks(path.parent):
        now = stamp(path)
        if now and now != last:
            yield
        last = now


async def _looks(folder: Path) -> AsyncIterator[None]:
    """When to look: whenever the system says that something changed in `folder`, and each second."""
    from watchfiles import awatch

    with contextlib.suppress(OSError, RuntimeError):  # no such folder yet, or no more watches to be had
        changes = awatch(
            folder, recursive=False, step=SETTLE, debounce=10 * SETTLE,
            rust_timeout=int(1000 * POLL), yield_on_timeout=True,
        )  # fmt: skip
        async for _change in changes:
            yield
    while True:
        await asyncio.sleep(POLL)
        yield
