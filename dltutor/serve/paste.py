"""Keeps pastes short: an application has a whole paste in memory, many times over, before it can refuse it."""

from __future__ import annotations

BEGIN, END = b"\x1b[200~", b"\x1b[201~"  # what a terminal puts around what is pasted
OVERLAP = len(BEGIN) - 1
LONGEST = 64 << 10  # bytes: more than any exercise


class Pastes:
    """What is typed passes through it, a piece at a time."""

    def __init__(self) -> None:
        self.cut = False
        """A paste has become too long: set once for each."""
        self._last = b""  # a mark may come in two pieces
        self._inside = False
        self._taken = 0

    def shorten(self, data: bytes) -> bytes:
        """`data`, at once and without what makes a paste too long."""
        seen, at = self._last + data, len(self._last)
        self._last = seen[-OVERLAP:]
        passed = bytearray()
        while at < len(seen):
            mark = END if self._inside else BEGIN
            found = seen.find(mark, max(0, at - OVERLAP))
            end = len(seen) if found < 0 else found + len(mark)
            passed += self._within_limits(seen[at:end], found >= 0)
            at = end
            if found >= 0:
                self._inside, self._taken = not self._inside, 0
        return bytes(passed)

    def _within_limits(self, piece: bytes, ends: bool) -> bytes:
        if not self._inside:
            return piece
        room = LONGEST - self._taken
        self._taken += len(piece)
        if len(piece) <= room:
            return piece
        self.cut |= room >= 0
        room = max(0, room)
        return piece[:room] + END * ends
