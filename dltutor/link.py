"""One object owns an engine or a grader: it starts it, speaks and listens, records, and never leaves it behind.

At the other end is a process of ours or, in a session of a class, what its server lends. `Playback` has the same face
and plays a recording as if it were live.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from dltutor import __version__, i18n
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.wire import (
    LONGEST_LINE,
    Command,
    Event,
    Failed,
    Finished,
    Metrics,
    Pause,
    Paused,
    Resume,
    Resumed,
    Rewind,
    Start,
    Started,
    Stop,
    decode,
    encode,
)

if TYPE_CHECKING:
    from dltutor.host import Host

LAST_BYTES = 4000  # of standard error, shown when the engine dies
PATIENCE = 0.5  # seconds until a process that was killed is given up
Entry = tuple[float, Event]  # of a recording: seconds since its start, and what the engine said


class Peer(Protocol):
    """Who is at the other end of a link."""

    @property
    def pid(self) -> int | None: ...

    async def start(self) -> None: ...

    async def send(self, line: bytes) -> None:
        """To one that is gone, nothing."""

    def lines(self) -> AsyncIterator[bytes]:
        """What it says, to its end."""

    async def ended(self) -> tuple[str, str]:
        """How it has ended, and what it complained of."""

    async def close(self) -> None:
        """End it, if it has not ended; before the start and twice, too."""


class Link:
    """An engine or a grader, running. `events` ends when it does; an end that nobody asked for is a Failed."""

    def __init__(self, kind: str, peer: Peer, record: Path | None = None) -> None:
        self._kind, self._peer = kind, peer
        self._recorder = Recorder(record) if record else None
        self._started = self._closing = False

    @property
    def pid(self) -> int | None:
        return self._peer.pid

    @property
    def notice(self) -> str:
        """What went wrong with the recording, if anything."""
        return self._recorder.notice if self._recorder else ""

    async def start(self) -> None:
        """Start it, if it does not run yet."""
        if not self._started:
            self._started = True
            await self._peer.start()

    async def send(self, command: Command) -> None:
        """Send `command`; to one that is gone, nothing (its end is told by `events`)."""
        line = encode(command)
        if self._recorder:
            self._recorder.note("down", line)
        await self._peer.send(line)

    async def events(self) -> AsyncIterator[Event]:
        assert self._started, "start() first"
        told = False  # why it ends
        async for line in self._peer.lines():
            if self._recorder:
                self._recorder.note("up", line)
            event = decode(line)
            told = isinstance(event, Failed) and event.fatal
            yield event  # type: ignore[misc]
        how, complaints = await self._peer.ended()
        if not (told or self._closing):
            yield death(self._kind, how, complaints)

    async def close(self) -> None:
        self._closing = True
        await self._peer.close()
        if self._recorder:
            self._recorder.close()


def death(kind: str, how: str, complaints: str) -> Failed:
    sentences = {
        "engine": _("the engine ended unexpectedly ({how})"),
        "grader": _("the grader ended unexpectedly ({how})"),
    }
    hint = _("Nothing of yours is lost: start it again.")
    if how == "SIGKILL":
        hint += " " + _("The system may have run out of memory.")
    return Failed(sentences[kind].format(how=how), hint, trace=complaints, fatal=True)


class EngineLink(Link):
    """A running engine. A locked one may train with what the learner wrote: it can reach nothing of theirs."""

    def __init__(self, record: Path | None = None, locked: bool = False) -> None:
        super().__init__("engine", Process("dltutor.engine", *["--locked"] * locked), record)


class GraderLink(Link):
    """A running judge of what the learner writes."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        super().__init__("grader", Process("dltutor.grading", *arguments, environment=environment))


class HostedLink(Link):
    """An engine or a grader that a class server lends; where it refuses, its reason is the first event and the last."""

    def __init__(self, host: Host, kind: str, locked: bool = False) -> None:
        super().__init__(kind, Loan(host, kind, locked))


class Process:
    """A process of ours: what `python -m` starts, spoken to by its pipes."""

    def __init__(self, *command: str, environment: Mapping[str, str] | None = None) -> None:
        self._command = command  # the module and its arguments
        self._environment = environment  # None: this process's own
        self._process: asyncio.subprocess.Process | None = None
        self._errors = b""
        self._drain: asyncio.Task | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *self._command,
            stdin=pipe, stdout=pipe, stderr=pipe, limit=LONGEST_LINE,
            env={**(os.environ if self._environment is None else self._environment), "DLTUTOR_LANG": i18n.current()},
        )  # fmt: skip
        self._drain = asyncio.create_task(self._drain_errors())

    async def send(self, line: bytes) -> None:
        if self._process and self._process.stdin:
            await written(self._process.stdin, line)

    def lines(self) -> AsyncIterator[bytes]:
        assert self._process and self._process.stdout
        return aiter(self._process.stdout)

    async def ended(self) -> tuple[str, str]:
        assert self._process
        code = await self._process.wait()
        await self._drained()
        how = signal.Signals(-code).name if code < 0 else _("exit code {code}").format(code=code)
        return how, self._errors.decode(errors="replace").strip()

    async def close(self) -> None:
        """It keeps nothing that could be spoilt, so SIGKILL will do."""
        process = self._process
        if process and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            with contextlib.suppress(TimeoutError):  # whatever else it has started may hold the pipes for ever
                await asyncio.wait_for(process.wait(), PATIENCE)
        await self._drained()
        if self._drain:
            self._drain.cancel()

    async def _drain_errors(self) -> None:
        assert self._process and self._process.stderr
        while chunk := await self._process.stderr.read(1 << 16):
            self._errors = (self._errors + chunk)[-LAST_BYTES:]

    async def _drained(self) -> None:
        if self._drain:
            await asyncio.wait([self._drain], timeout=PATIENCE)


class Loan:
    """What a class server lends: a socket, whose other end is none of this process's business."""

    pid = None

    def __init__(self, host: Host, kind: str, locked: bool) -> None:
        self._host, self._kind, self._locked = host, kind, locked
        self._number: int | None = None
        self._closed = False
        self._refusal: DltutorError | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def start(self) -> None:
        try:
            lent = await self._host.want(self._kind, self._locked)
        except DltutorError as error:
            self._refusal = error
            return
        self._number = lent.number
        if self._closed:  # meanwhile
            lent.socket.close()
            await self.close()
            return
        self._reader, self._writer = await asyncio.open_unix_connection(sock=lent.socket, limit=LONGEST_LINE)

    async def send(self, line: bytes) -> None:
        if self._writer:
            await written(self._writer, line)

    async def lines(self) -> AsyncIterator[bytes]:
        if self._refusal:
            yield encode(Failed(self._refusal.message, self._refusal.hint, fatal=True))
        if self._reader:
            with contextlib.suppress(ConnectionError):
                async for line in self._reader:
                    yield line

    async def ended(self) -> tuple[str, str]:
        return _("its connection was closed"), ""

    async def close(self) -> None:
        self._closed = True
        if self._writer:
            self._writer.close()
        if self._number is not None:
            self._host.drop(self._number)
            self._number = None


async def written(writer: asyncio.StreamWriter, line: bytes) -> None:
    with contextlib.suppress(ConnectionError, RuntimeError):
        writer.write(line)
        await writer.drain()


class Recorder:
    """Writes what crosses the wire, a line each, with the seconds since the start and the direction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notice = ""
        """Why the recording ends before the run does."""
        try:
            self._file: IO[str] | None = path.open("w", encoding="utf-8", buffering=1)
        except OSError as error:
            message = _("cannot record to {path}: {error}").format(path=path, error=error.strerror)
            raise DltutorError(message, _("Name a file in a folder that you can write to.")) from error
        self._began = time.monotonic()
        self._write({"dltutor_recording": 1, "version": __version__})

    def note(self, direction: str, line: bytes) -> None:
        self._write({"at": round(time.monotonic() - self._began, 3), direction: json.loads(line)})

    def close(self) -> None:
        if self._file:
            with contextlib.suppress(OSError):  # what did not fit before does not fit now
                self._file.close()
            self._file = None

    def _write(self, entry: dict) -> None:
        if not self._file:
            return
        try:
            self._file.write(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n")
        except OSError as error:  # a full disk ends the recording, not the run
            self.notice = _("The recording {path} ends early: {error}. Free some space and record again.").format(
                path=self.path, error=error.strerror
            )
            self.close()


class Playback:
    """A recording in place of an engine: events come at their times and, after the end, once more for a Start.

    Where `speed` is 0 they come at once, and then end.
    """

    pid = None
    notice = ""

    def __init__(self, path: Path, speed: float = 1.0) -> None:
        self._entries = read_recording(path)
        self._speed = speed
        self._step = 0
        self._ended = self._closed = False
        self._going = asyncio.Event()
        self._going.set()

    async def start(self) -> None:
        pass

    async def send(self, command: Command) -> None:
        """Pausing and resuming hold the playback, a Start repeats it; a recording cannot do anything else."""
        if isinstance(command, Pause | Stop):
            self._going.clear()
        elif isinstance(command, Resume) or (self._ended and isinstance(command, Start | Rewind)):
            self._going.set()

    async def events(self) -> AsyncIterator[Event]:
        entries = self._entries
        while not self._closed:
            async for event in self._play(entries):
                yield event
            if not self._speed:
                return
            if not isinstance(entries[-1][1], Finished | Failed):  # cut off
                yield Paused(self._step)
            await self._going.wait()
            self._ended = False
            entries = self._entries[self._beginning :]

    async def close(self) -> None:
        self._closed = True
        self._going.set()

    async def _play(self, entries: list[Entry]) -> AsyncIterator[Event]:
        last = entries[0][0]
        for at, event in entries:
            if self._speed:
                await asyncio.sleep((at - last) / self._speed)
            if not self._going.is_set():
                yield Paused(self._step)
                await self._going.wait()
                yield Resumed(self._step)
            if self._closed:
                return
            if isinstance(event, Metrics):
                self._step = event.first + max((column.shape[0] for column in event.columns.values()), default=1) - 1
            last = at
            if event is entries[-1][1] and self._speed:  # now a Start can come
                self._ended = True
                self._going.clear()
            yield event

    @property
    def _beginning(self) -> int:
        """Where the run begins, its kernels compiled."""
        return next((at for at, (_seconds, event) in enumerate(self._entries) if isinstance(event, Started)), 0)


def read_recording(path: Path) -> list[Entry]:
    """The seconds and the event of each entry, the last left out where a crash cut it off."""
    try:
        header, *lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        if not header.startswith('{"dltutor_recording":1,'):
            raise ValueError(_("its first line is not that of a recording"))
        entries = [json.loads(line) for line in lines[:-1]]  # the last is empty, or cut off
        events = [(float(entry["at"]), decode(json.dumps(entry["up"]))) for entry in entries if "up" in entry]
        if not events:
            raise ValueError(_("nothing was recorded"))
    except (OSError, ValueError, KeyError, TypeError, DltutorError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = _("cannot play {path}: {error}").format(path=path, error=reason)
        raise DltutorError(message, _("Name a file that `dltutor run --record FILE` wrote.")) from error
    return events  # type: ignore[return-value]


def recorded_lesson(path: Path) -> str:
    """The id of the lesson whose run is recorded in `path`; empty where it had not begun."""
    return next((event.lesson for _at, event in read_recording(path) if isinstance(event, Started)), "")
