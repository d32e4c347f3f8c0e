"""What a session and its class server share: how often it may draw, what that costs, and whether it is its turn.

Of the page of memory the server writes `rate` and `congested`, the session all else. Nobody waits for anybody: both
look when they need to.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import time
from collections.abc import Callable

SIZE = 4096
FULL_RATE = 10.0  # drawings a second
LIVE = 2.0  # seconds within which drawings follow each other, of a session that draws
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
"""Cut short by one side, the page would be the end of the other: whoever looks where no memory is left is killed."""


class _Field:
    """A number at its place in the page."""

    def __init__(self, place: int, kind: str) -> None:
        self.place, self.struct = place, struct.Struct(kind)

    def __get__(self, page: Page, owner: type[Page]) -> float:
        return float(self.struct.unpack_from(page.memory, self.place)[0])

    def __set__(self, page: Page, value: float) -> None:
        self.struct.pack_into(page.memory, self.place, value)


class Page:
    rate = _Field(0, "=d")  # drawings a second that this session may make
    congested = _Field(8, "=d")  # not 0: what it has drawn has not left this machine yet
    cost = _Field(16, "=d")  # seconds of processor that a drawing takes, smoothed
    drawn = _Field(24, "=d")  # when it last drew, on the monotonic clock; 0: never
    drawings = _Field(40, "=d")  # that there were
    round_trip = _Field(32, "=d")  # seconds to the terminal and back; 0: not known

    def __init__(self, descriptor: int) -> None:
        """The page behind `descriptor`, which stays the caller's."""
        self.memory = mmap.mmap(descriptor, SIZE)

    @classmethod
    def create(cls) -> tuple[Page, int]:
        """A new one, and the descriptor to hand on."""
        descriptor = os.memfd_create("dltutor-page", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, SIZE)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
        page = cls(descriptor)
        page.rate = FULL_RATE
        return page, descriptor

    def close(self) -> None:
        self.memory.close()


class DrawingTurns:
    """At most so many processes draw at the same moment: a key then waits for no more of them.

    They are locks on the bytes of a file that all have open: the kernel gives back what a process held when it dies.
    """

    PATIENCE = 2.0  # seconds after which one draws without: whoever holds a turn for so long is out of its mind

    def __init__(self, descriptor: int, clock: Callable[[], float] = time.monotonic) -> None:
        """The file behind `descriptor`, which stays the caller's."""
        self._file, self._count = descriptor, os.fstat(descriptor).st_size
        self._clock = clock
        self._held: int | None = None
        self._waits_since: float | None = None

    @staticmethod
    def create(count: int) -> int:
        """The descriptor of a new file for so many turns, in which nobody can leave anything for others."""
        descriptor = os.memfd_create("dltutor-turns", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, count)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS | fcntl.F_SEAL_WRITE)
        return descriptor

    @property
    def has_one(self) -> bool:
        """Whether there is one to be had now, or waiting for it has been long enough."""
        if self._take():
            self.__exit__()
            self._waits_since = None
            return True
        now = self._clock()
        self._waits_since = now if self._waits_since is None else self._waits_since
        return now - self._waits_since >= self.PATIENCE

    def __enter__(self) -> None:
        """Take one, if there is one. Nobody waits here."""
        self._take()
        self._waits_since = None

    def __exit__(self, *_fault: object) -> None:
        if self._held is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._held)
            self._held = None

    def _take(self) -> bool:
        for place in range(self._count):
            with contextlib.suppress(BlockingIOError, PermissionError):  # somebody has it
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                self._held = place
                return True
        return False
