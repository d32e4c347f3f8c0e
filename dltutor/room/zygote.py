"""A Python that has loaded all that a run needs, and forks a child for each one: no run waits for Numba to load, nor,
as a rule, for its walls: the next child stands behind its own while nobody waits yet.

It is started with an empty environment and never runs a line of the learner's itself; where there are walls that can be
forked with, it stands behind them. Over its pipes go messages: their length, then their bytes. A message to it is a
line of JSON and a request; a message from it is an `Ended`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import struct
import sys
from collections.abc import Callable
from functools import partial
from typing import IO, NoReturn

from dltutor.room import inside, landlock, linux, namespaces, seccomp
from dltutor.room.limits import Limits
from dltutor.room.view import View
from dltutor.room.watch import Watch, kill_group

LENGTH = struct.Struct("!Q")
NO_SECRETS = {
    "OPENBLAS_NUM_THREADS": "1",  # threads do not survive a fork
    "NUMBA_NUM_THREADS": "1",
    "NUMBA_OPT": "0",  # a check waits for the compiler, not for what it compiles
    "NUMBA_THREADING_LAYER": "workqueue",  # the one that survives a fork, and needs no shared memory
    "LANG": "C.UTF-8",
}
"""The whole environment of code in the room."""


def main(tier: str, worker: str, seen: str) -> NoReturn:
    """Serve until nobody listens any more."""
    requests, replies = _claim_pipes()
    try:
        place = _Place(tier, View.from_text(seen))
        work = loaded(worker)
    except BaseException as error:  # the process edge: whoever started this is told why it isn't there
        write(replies, f"{type(error).__name__}: {error}".encode())
        os._exit(1)
    gc.collect()
    gc.freeze()
    write(replies, b"")
    spare: _Child | None = None
    while message := read(requests):
        header, _newline, request = message.partition(b"\n")
        order = json.loads(header)
        limits = Limits(**order["limits"])
        if not (spare and spare.waits_with(limits)):
            spare = _Child(place, work, limits)
        write(replies, spare.follow(order["probe"], request, requests))
        spare = _Child(place, work, limits) if place.alone else None
    os._exit(0)


def loaded(worker: str) -> tuple[inside.Work, inside.Work]:
    """What runs inside: the learner's code by the worker, if there is one, or the questions of the self-test."""
    from dltutor.room import selftest

    if not worker:
        return selftest.probe, selftest.probe
    module = importlib.import_module(worker)
    module.prepare()
    return module.work, selftest.probe


class _Child:
    """Stands behind its walls and waits for a request; then it serves that one, and ends."""

    def __init__(self, place: _Place, work: tuple[inside.Work, inside.Work], limits: Limits) -> None:
        self.place, self.limits = place, limits
        (request, self.request), (self.output, output), (self.reply, reply) = os.pipe(), os.pipe(), os.pipe()
        self.pid = place.fork()
        if not self.pid:
            _run(partial(place.run, work, limits), request, output, reply)
        for theirs in (request, output, reply):
            os.close(theirs)

    def waits_with(self, limits: Limits) -> bool:
        """Whether it can be asked; if not, it is ended."""
        if limits == self.limits and not os.waitpid(self.pid, os.WNOHANG)[0]:
            return True
        self._let_go(self.request, self.output, self.reply)  # at the end of its input it goes
        with contextlib.suppress(ChildProcessError):  # it had gone
            os.waitpid(self.pid, 0)
        return False

    def follow(self, probe: bool, request: bytes, lifeline: IO[bytes]) -> bytes:
        """Ask, and see what comes of it."""
        with os.fdopen(self.request, "wb", buffering=0) as pipe, contextlib.suppress(BrokenPipeError):  # it has gone
            write_all(pipe, bytes([probe]) + request)
        watch = Watch(self.pid, self.reply, self.output, self.limits, partial(self.place.kill, self.pid))
        ended = watch.follow(lifeline.fileno())
        self._let_go(self.output, self.reply)
        return ended.pack()

    def _let_go(self, *ends: int) -> None:
        for end in ends:
            os.close(end)


class _Place:
    """Where the children of this process run: behind the walls of `tier`."""

    def __init__(self, tier: str, view: View) -> None:
        self.tier, self.view = tier, view
        self.alone = tier in ("namespaces", "bubblewrap")  # the processes of others don't count
        if tier == "landlock":
            landlock.require()
        self.pieces = list(view.pieces()) if tier == "landlock" else []
        self.inside = namespaces.enter(self.view) if tier == "namespaces" else None

    def fork(self) -> int:
        return namespaces.fork_inside(self.inside) if self.inside else os.fork()

    def kill(self, child: int) -> None:
        """The child and all it has started."""
        kill_group(child)
        if self.inside:  # in case it has not come as far as having a group
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def run(self, work: tuple[inside.Work, inside.Work], limits: Limits, *pipes: int) -> NoReturn:
        os.setpgid(0, 0)  # and no session, which would have a share of the processors like a learner's
        if self.inside:
            namespaces.settle(self.inside, limits.scratch)
        reply = inside.take_places(*pipes)
        inside.limit(limits, self.alone)
        if self.tier == "landlock":
            landlock.restrict(self.pieces, self.view.folders())
        if self.tier != "limits":
            linux.drop_capabilities()
        linux.die_with_parent()  # now: the kernel forgets it where rights change
        if self.tier != "limits":
            seccomp.restrict(read_only=not self.inside)
        with os.fdopen(0, "rb", buffering=0, closefd=False) as pipe:
            told = pipe.readall()
        if not told:  # nobody asks any more
            os._exit(0)
        gc.enable()
        inside.serve(work[told[0]], told[1:], reply)


def _run(task: Callable[..., NoReturn], *pipes: int) -> NoReturn:
    """A child must never return into the loop of its parent."""
    try:
        task(*pipes)
    except BaseException as error:
        os.write(pipes[1], f"the room: {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(1)


def _claim_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Keep stdin and stdout for messages; nothing else reads or writes there."""
    requests, replies = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    sys.argv = [""]
    return requests, replies


def write(stream: IO[bytes], message: bytes) -> None:
    write_all(stream, LENGTH.pack(len(message)) + message)


def write_all(stream: IO[bytes], content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[stream.write(left) or 0 :]


def read(stream: IO[bytes]) -> bytes:
    """A message; empty at the end of the stream."""
    size = exactly(stream, LENGTH.size)
    return exactly(stream, LENGTH.unpack(size)[0]) if size else b""


def exactly(stream: IO[bytes], size: int) -> bytes:
    """So many bytes, or none where the stream ends before."""
    parts = bytearray()
    while len(parts) < size:
        part = stream.read(size - len(parts))
        if not part:
            return b""
        parts += part
    return bytes(parts)
