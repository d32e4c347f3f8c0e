"""One object owns the engine's process: it starts it, speaks and listens, records, and never leaves it behind.

`Playback` has the same face and plays a recording as if it were live.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from dltutor import __version__, i18n
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.wire import Command, Event, Failed, Pause, Resume, Stop, decode, encode

LONGEST_LINE = 1 << 24
LAST_LINES = 30  # of standard error, shown when the engine dies


class EngineLink:
    """A running engine. `events` ends when the process does; an end that nobody asked for is a Failed."""

    def __init__(self, record: Path | None = None) -> None:
        self._recorder = Recorder(record) if record else None
        self._process: asyncio.subprocess.Process | None = None
        self._errors: deque[str] = deque(maxlen=LAST_LINES)
        self._drain: asyncio.Task | None = None
        self._closing = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dltutor.engine",
            stdin=pipe, stdout=pipe, stderr=pipe, limit=LONGEST_LINE,
            env=os.environ | {"DLTUTOR_LANG": i18n.current()},
        )  # fmt: skip
        self._drain = asyncio.create_task(self._drain_errors())

    async def send(self, command: Command) -> None:
        """Send `command`; to an engine that is gone, nothing (its end is told by `events`)."""
        line = encode(command)
        if self._recorder:
            self._recorder.note("down", line)
        if self._process and self._process.stdin:
            with contextlib.suppress(ConnectionError, RuntimeError):
                self._process.stdin.write(line)
                await self._process.stdin.drain()

    async def events(self) -> AsyncIterator[Event]:
        process = self._process
        assert process and process.stdout, "start() first"
        async for line in process.stdout:
            if self._recorder:
                self._recorder.note("up", line)
            yield decode(line)  # type: ignore[misc]
        code = await process.wait()
        if self._drain:
            await self._drain
        if not self._closing:
            yield self._death(code)

    async def close(self) -> None:
        """End the engine: stdin's end asks it to go, then SIGKILL."""
        self._closing = True
        process = self._process
        if process and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._drain:
            await self._drain
        if self._recorder:
            self._recorder.close()

    async def _drain_errors(self) -> None:
        assert self._process and self._process.stderr
        async for line in self._process.stderr:
            self._errors.append(line.decode(errors="replace").rstrip())

    def _death(self, code: int) -> Failed:
        how = signal.Signals(-code).name if code < 0 else _("exit code {code}").format(code=code)
        message = _("the engine ended unexpectedly ({how})").format(how=how)
        hint = _("Nothing of yours is lost. Press space to start a new engine and run the lab again.")
        return Failed(message, hint, trace="\n".join(self._errors), fatal=True)


class Recorder:
    """Writes what crosses the wire, a line each, with the seconds since the start and the direction."""

    def __init__(self, path: Path) -> None:
        try:
            self._file: IO[str] | None = path.open("w", encoding="utf-8")
        except OSError as error:
            message = _("cannot record to {path}: {error}").format(path=path, error=error.strerror)
            raise DltutorError(message, _("Name a file in a folder that you can write to.")) from error
        self._began = time.monotonic()
        self._write({"dltutor_recording": 1, "version": __version__})

    def note(self, direction: str, line: bytes) -> None:
        self._write({"at": round(time.monotonic() - self._began, 3), direction: json.loads(line)})

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _write(self, entry: dict) -> None:
        if not self._file:
            return
        try:
            self._file.write(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n")
        except OSError:  # a full disk ends the recording, not the run
            self.close()


class Playback:
    """A recording in place of an engine: events come at their times, or at once where `speed` is 0."""

    pid = None

    def __init__(self, path: Path, speed: float = 1.0) -> None:
        self._entries = read_recording(path)
        self._speed = speed
        self._going = asyncio.Event()
        self._going.set()

    async def start(self) -> None:
        pass

    async def send(self, command: Command) -> None:
        """Pausing and resuming hold the playback; a recording cannot do anything else."""
        if isinstance(command, Pause | Stop):
            self._going.clear()
        elif isinstance(command, Resume):
            self._going.set()

    async def events(self) -> AsyncIterator[Event]:
        at = 0.0
        for entry in self._entries:
            if "up" not in entry:
                continue
            if self._speed:
                await asyncio.sleep((entry["at"] - at) / self._speed)
                await self._going.wait()
            at = entry["at"]
            yield decode(json.dumps(entry["up"]))  # type: ignore[misc]

    async def close(self) -> None:
        self._going.set()


def read_recording(path: Path) -> list[dict]:
    """The entries of a recording, its last line left out where a crash cut it off."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        header = json.loads(lines[0]) if lines else {}
        if header.get("dltutor_recording") != 1:
            raise ValueError(_("its first line is not a recording's"))
        return [json.loads(line) for line in lines[1:-1]] + _last(lines[1:])
    except (OSError, ValueError, AttributeError) as error:
        message = _("cannot play {path}: {error}").format(path=path, error=error)
        raise DltutorError(message, _("Name a file that `dltutor run --record FILE` wrote.")) from error


def _last(lines: list[str]) -> list[dict]:
    with contextlib.suppress(ValueError):
        return [json.loads(line) for line in lines[-1:]]
    return []
