"""The engine's process: what it does from its start to its end."""

from __future__ import annotations

import io
import sys
from queue import SimpleQueue

from dltutor import compiled
from dltutor.i18n import _
from dltutor.service import Wire, serve
from dltutor.wire import Command, Printed


def main() -> None:
    serve(work, lambda: _("the engine cannot go on: {kind}: {error}"))


def work(inbox: SimpleQueue[Command], wire: Wire) -> None:
    sys.stdout = Prints(wire)
    compiled.prepare_folder(lambda notice: wire.send(Printed(notice)))
    from dltutor.engine.engine import Engine  # NumPy and Numba come with it: only after the cache is known

    Engine(inbox, wire.send).serve()


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
