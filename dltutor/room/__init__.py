"""The locked room: where the learner's code runs, and what it can't get out of.

    room = open_room()
    outcome = room.run(request, Limits())      # dltutor.grading.worker.work(request), behind the walls

Nobody outside believes what comes out of it: a reply is what `work` returned, or what the learner's code, which runs in
the same process, has put in its place. So inputs go in, outputs come out, and whether they are right is found out
outside, against answers that were never inside.

Tiers, the strongest first:

namespaces   processes, network, files and users of its own; forked from a warm Python
bubblewrap   the same, made by the program bwrap, around the warm Python
landlock     the outside can't be read, written or called, but seen that it is there
limits       time, memory and files are limited: protects from accidents, not from intent

All but the last one refuse system calls that calculating needs none of (seccomp.py). Each proves itself (selftest.py)
before it is used.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from typing import IO, Any

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.room import bubblewrap, cold, linux, selftest, sentences, view, zygote
from dltutor.room.limits import Limits, Outcome
from dltutor.room.lock import confine, keeps_files_apart, lock_this_process
from dltutor.room.watch import START_SECONDS, Ended

__all__ = [
    "TIERS", "Limits", "Outcome", "Room", "confine", "keeps_files_apart", "lock_this_process", "open_room", "report",
]  # fmt: skip

TIERS = ("namespaces", "bubblewrap", "landlock", "limits")
WALLED = TIERS[:-1]
WORKER = "dltutor.grading.worker"
NO_WORKER = ""  # only the self-test is run: there is nothing to load
LINUX = sys.platform == "linux"
LAST_WORDS = 300  # bytes
PATIENCE = 5.0  # seconds that the warm Python may be late with telling how a run ended
_failed: dict[str, list[str]] = {}  # tiers that don't hold here, and why; known as long as this process lives


def open_room(tier: str | None = None, worker: str = WORKER, walled: bool = False) -> Room:
    """The room with the strongest walls that hold here, or with those of `tier`; `walled`: not with limits alone.

    Raises DltutorError where there is none.
    """
    tried = [tier] if tier else WALLED if walled else TIERS
    for name in tried:
        if tier or name not in _failed:
            room, _failed[name] = _tested(name, worker)
            if room:
                del _failed[name]
                return room
    reasons = "; ".join(f"{name}: {', '.join(_failed[name])}" for name in tried)
    raise DltutorError(
        _("the learner's code cannot be run safely here ({reasons})").format(reasons=reasons),
        _("`dltutor doctor` may name the cause."),
    )


def report() -> dict[str, Any]:
    """For `dltutor doctor`: the tier that holds here, and what doesn't hold of the stronger ones."""
    room = open_room(worker=NO_WORKER)
    room.close()
    return {"tier": room.tier, "failed": _failed}


def _tested(tier: str, worker: str) -> tuple[Room | None, list[str]]:
    """The room, and what doesn't hold; no room where there is any such thing."""
    try:
        room = Room(tier, worker)
    except OSError as error:
        return None, [str(error)]
    problems = selftest.problems(room)
    if problems:
        room.close()
    return (None if problems else room), problems


class Room:
    """Runs one request at a time, each in a process of its own that is gone afterwards."""

    def __init__(self, tier: str, worker: str = WORKER) -> None:
        """Raises OSError where the walls of `tier` can't be built."""
        self.tier, self.worker = tier, worker
        self._lock = threading.Lock()
        self._view = view.for_grading(worker)
        self._zygote: Zygote | None = Zygote(tier, worker, self._view) if LINUX else None

    def run(self, request: bytes, limits: Limits = Limits()) -> Outcome:  # noqa: B008 - it is frozen
        """What `work(request)` of the worker returned, or why it didn't."""
        return self._run(request, limits, probe=False)

    def probe(self, request: bytes, limits: Limits) -> Outcome:
        """The same for the self-test."""
        return self._run(request, limits, probe=True)

    def close(self) -> None:
        if self._zygote:
            self._zygote.close()
            self._zygote = None

    def _run(self, request: bytes, limits: Limits, probe: bool) -> Outcome:
        header = json.dumps({"limits": asdict(limits), "probe": probe}).encode()
        message = header + b"\n" + request
        with self._lock:
            ended = self._warmly(message, limits) if LINUX else self._coldly(message, limits)
        return sentences.outcome(ended, limits)

    def _warmly(self, message: bytes, limits: Limits) -> Ended:
        try:
            if self._zygote and not self._zygote.is_alive:
                self.close()
            self._zygote = self._zygote or Zygote(self.tier, self.worker, self._view)
            return Ended.unpack(self._zygote.ask(message, START_SECONDS + limits.wall + PATIENCE))
        except OSError:  # it is gone, or hangs: the next run gets a new one
            self.close()
            return Ended(status=9)

    def _coldly(self, message: bytes, limits: Limits) -> Ended:
        return cold.run(python("cold", self.worker), message, limits)


class Zygote:
    """The warm Python (zygote.py), seen from outside."""

    def __init__(self, tier: str, worker: str, seen: view.View) -> None:
        command, environment = python("zygote", tier, worker, seen.as_text()), zygote.NO_SECRETS | _libraries()
        if tier == "bubblewrap":
            command = bubblewrap.wrapped(command, seen, environment)
        pipe, self._complaints = subprocess.PIPE, tempfile.TemporaryFile()  # noqa: SIM115 - open as long as it runs
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=self._complaints,
            env=environment, cwd="/", start_new_session=True, bufsize=0,
        )  # fmt: skip
        if LINUX:
            linux.hold_back(self.pid)
        try:
            problem = self._heard(START_SECONDS)
        except OSError as error:
            problem = self._last_words() or str(error).encode()
        if problem:
            self.close()
            raise OSError(problem.decode(errors="replace"))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, message: bytes, seconds: float) -> bytes:
        """Its answer. Raises OSError where there is none within so many seconds."""
        zygote.write(self._stream(self._process.stdin), message)
        return self._heard(seconds)

    def close(self) -> None:
        """End it, and what it runs: at the end of its input it goes, and takes its children along."""
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                self._stream(stream).close()
        self._process.kill()
        self._process.wait()
        self._complaints.close()

    def _heard(self, seconds: float) -> bytes:
        stream = self._stream(self._process.stdout)
        if not select.select([stream], [], [], seconds)[0]:
            raise OSError("no answer")
        size = zygote.exactly(stream, zygote.LENGTH.size)
        if not size:
            raise OSError("it has ended")
        return zygote.exactly(stream, zygote.LENGTH.unpack(size)[0])

    def _last_words(self) -> bytes:
        self._complaints.seek(0)
        return self._complaints.read().strip()[-LAST_WORDS:]

    def _stream(self, stream: IO[bytes] | None) -> IO[bytes]:
        assert stream
        return stream


def python(module: str, *arguments: str) -> list[str]:
    """The command for a Python that finds what this one finds, and calls `main` of a module of the room."""
    paths = json.dumps([os.path.abspath(path) for path in sys.path])
    start = (
        f"import sys, json; sys.path[:] = json.loads(sys.argv[1]); from dltutor.room import {module}; "
        f"{module}.main(*sys.argv[2:])"
    )
    return [sys.executable, "-I", "-c", start, paths, *arguments]


def _libraries() -> dict[str, str]:
    """Where Python itself may have to look for what it is linked with."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
