"""An engine's process, spoken to line by line."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from dltutor.wire import Command, Event, Finished, Metrics, Open, Ready, Start, decode, encode, floats

E = TypeVar("E")
LABS = Path(__file__).parents[1] / "fixtures" / "labs"
LONGEST = 300.0  # seconds after which a silent engine is ended, and its test with it


class Driver:
    """Sends commands and waits for events. `events` keeps all that came."""

    def __init__(self, *flags: str, limit: int = 0, **environment: str) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dltutor.engine", *flags],
            stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL,
            env=os.environ | {"DLTUTOR_LESSONS": str(LABS), "DLTUTOR_LANG": "en"} | environment,
            preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) if limit else None,
        )  # fmt: skip
        self.events: list[Event] = []

    def send(self, *commands: Command) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"".join(map(encode, commands)))
        self.process.stdin.flush()

    def until(self, kind: type[E]) -> E:
        """The next event of this kind."""
        while True:
            event = self.next()
            if isinstance(event, kind):
                return event

    def next(self) -> Event:
        assert self.process.stdout
        guard = threading.Timer(LONGEST, self.process.kill)
        guard.start()
        line = self.process.stdout.readline()
        guard.cancel()
        assert line, f"the engine ended; it said {self.events[-3:]}"
        self.events.append(decode(line))  # type: ignore[arg-type]
        return self.events[-1]

    def open(self, lesson: str = "tiny", device: str = "cpu") -> Driver:
        self.send(Open(lesson, device))
        self.until(Ready)
        return self

    def run(self, steps: int = 20, seed: int = 0, **knobs: Any) -> Finished:
        """A whole run as fast as it goes, nobody looking."""
        self.events.clear()
        self.send(Start(knobs, seed, steps))
        return self.until(Finished)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def metric(self, name: str) -> list[float]:
        """All values of a metric, step by step from 0 on: that none is missing is checked."""
        values: list[float] = []
        for event in self.of(Metrics):
            assert event.first == len(values)
            values += floats(event.columns[name])
        return values

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(OSError):  # what was not sent can't be sent any more
                stream.close()  # type: ignore[union-attr]


@contextmanager
def driven(*flags: str, **environment: str) -> Iterator[Driver]:
    driver = Driver(*flags, **environment)
    try:
        yield driver
    finally:
        driver.close()
