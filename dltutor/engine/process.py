"""The engine's process: what it does from its start to its end."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path
from queue import SimpleQueue

from dltutor import compiled
from dltutor.i18n import _
from dltutor.lesson.course import built_in, catalogue
from dltutor.progress import home
from dltutor.service import Wire, serve
from dltutor.wire import Command, Printed


def main() -> None:
    locked = "--locked" in sys.argv[1:]
    serve(work, lambda: _("the engine cannot go on: {kind}: {error}"), lock if locked else find_folder)


def find_folder(wire: Wire) -> None:
    """Where compiled kernels are kept."""
    compiled.prepare_folder(lambda notice: wire.send(Printed(notice)))


def lock(wire: Wire) -> None:
    """Before anything of the learner's is there. Lessons, data and compiled kernels can be read, all else is gone."""
    from dltutor.room import lock_this_process

    find_folder(wire)
    lock_this_process(readable())
    tempfile.tempdir = None  # what was found before is out of reach


def readable() -> list[Path]:
    """What a locked engine reads. It is told where each lesson is: their folders cannot be looked through."""
    lessons = [entry.folder for entry in catalogue().entries]
    os.environ["DLTUTOR_LESSONS"] = os.pathsep.join(map(str, lessons))
    images = os.environ.get("DLTUTOR_FASHION_MNIST") or home() / "fashion-mnist"
    return [Path(os.environ["NUMBA_CACHE_DIR"]), Path(images), built_in(), *lessons]


def work(inbox: SimpleQueue[Command], wire: Wire, threads: int = 0) -> None:
    """Train with so many threads; 0: as many as this machine has to spare."""
    sys.stdout = Prints(wire)
    from dltutor.engine.engine import Engine  # NumPy and Numba come with it: only after the cache is known

    Engine(inbox, wire.send).serve(threads)


class Prints(io.TextIOBase):
    """sys.stdout of a lab: each line that it prints becomes an event."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._line = ""  # begun, not ended

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        lines, newline, rest = text.rpartition("\n")
        if newline:
            self._wire.send(Printed(self._line + lines + newline))
            self._line = ""
        self._line += rest
        return len(text)

    def flush(self) -> None:
        if self._line:
            self._wire.send(Printed(self._line))
            self._line = ""
