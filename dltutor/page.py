"""One page of memory between a session and its class server: how often it may draw, and what that costs.

The server writes `rate` and `congested`, the session all else. Nobody waits for anybody: both look when they need to.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct

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
