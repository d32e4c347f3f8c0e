"""A run, watched from outside: what it prints and replies, until it ends or is ended."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from dltutor.room import inside
from dltutor.room.limits import Limits

START_SECONDS = 120.0  # until the learner's code begins: a new Python has to load Numba
STEP = 0.002  # seconds between looks at a process that has closed everything and not ended
CHUNK = 1 << 16


@dataclass
class Ended:
    """What is known of a run that is over."""

    status: int
    """As os.waitpid tells it."""
    why: str = ""
    """time | output, where it was ended for that."""
    tried: int = 0
    cpu: float = 0.0
    memory: int = 0
    """Bytes at its largest."""
    seconds: float = 0.0
    printed: bytes = b""
    reply: bytes | None = None

    HEAD = struct.Struct("!i8sBdqdqq")

    def pack(self) -> bytes:
        reply = -1 if self.reply is None else len(self.reply)
        numbers = (self.cpu, self.memory, self.seconds, len(self.printed), reply)
        head = self.HEAD.pack(self.status, self.why.encode(), self.tried, *numbers)
        return head + self.printed + (self.reply or b"")

    @classmethod
    def unpack(cls, packed: bytes) -> Ended:
        status, why, tried, cpu, memory, seconds, printed, reply = cls.HEAD.unpack_from(packed)
        middle = cls.HEAD.size + printed
        said, rest = packed[cls.HEAD.size : middle], packed[middle:]
        name = why.rstrip(b"\0").decode()
        return cls(status, name, tried, cpu, memory, seconds, said, None if reply < 0 else rest)


class Watch:
    """Follows the process `pid`, which replies and prints into these pipes; `kill` ends it and all it has started."""

    def __init__(self, pid: int, reply: int, output: int, limits: Limits, kill: Callable[[], None]) -> None:
        self.pid, self.limits, self.kill = pid, limits, kill
        self.pipes = {reply: bytearray(), output: bytearray()}
        self.reply, self.output = reply, output
        self.open = {reply, output}
        self.start = time.monotonic()
        self.end = self.start + START_SECONDS
        self.begun = False
        self.why = ""

    def follow(self, lifeline: int | None = None) -> Ended:
        """Until it has ended. Whoever waits for it holds the other end of `lifeline`: when they are gone, all ends."""
        while True:
            if self.open:
                self._listen(lifeline)
            else:
                time.sleep(STEP)
            if not self.why and time.monotonic() > self.end:
                self.why = "time"
            if self.why:
                self.kill()
            pid, status, usage = os.wait4(self.pid, 0 if self.why else os.WNOHANG)
            if pid:
                return self._ended(status, usage)

    def _listen(self, lifeline: int | None) -> None:
        left = max(0.0, min(self.end - time.monotonic(), 0.05))
        heard = [*self.open, lifeline] if lifeline is not None else [*self.open]
        for pipe in select.select(heard, [], [], left)[0]:
            if pipe == lifeline:
                os._exit(0)
            self._take(pipe)

    def _take(self, pipe: int) -> None:
        chunk = os.read(pipe, CHUNK)
        self.pipes[pipe] += chunk
        if not chunk:
            self.open.discard(pipe)
        if pipe == self.reply and chunk and not self.begun:
            self._begin()
        most = self.limits.output if pipe == self.output else self.limits.reply
        if len(self.pipes[pipe]) > most:
            self.why = "output"

    def _begin(self) -> None:
        self.begun = True
        self.start = time.monotonic()
        self.end = self.start + self.limits.wall

    def _ended(self, status: int, usage: resource.struct_rusage) -> Ended:
        seconds = time.monotonic() - self.start
        self.kill()  # what it has left behind, if anything
        self._drain()
        ended = Ended(status, self.why, seconds=seconds, printed=bytes(self.pipes[self.output][: self.limits.output]))
        ended.cpu = usage.ru_utime + usage.ru_stime
        ended.memory = usage.ru_maxrss * (1024 if sys.platform == "linux" else 1)
        if not self.why and os.waitstatus_to_exitcode(status) == 0:
            ended.tried, ended.reply = _opened(bytes(self.pipes[self.reply]))
        return ended

    def _drain(self) -> None:
        """What still lies in the pipes, as far as it is wanted. Another process may hold them open for ever."""
        for pipe in list(self.open):
            os.set_blocking(pipe, False)
            with contextlib.suppress(BlockingIOError):
                while pipe in self.open and not self.why:
                    self._take(pipe)


def _opened(reply: bytes) -> tuple[int, bytes | None]:
    """What was tried, and the content; none where it is not as `inside.serve` sends it."""
    start = len(inside.BEGUN) + inside.HEAD.size
    if len(reply) < start or not reply.startswith(inside.BEGUN):
        return 0, None
    tried, size = inside.HEAD.unpack_from(reply, len(inside.BEGUN))
    return tried, reply[start:] if len(reply) == start + size else None


def kill_group(group: int) -> None:
    """End a process and all that are in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
