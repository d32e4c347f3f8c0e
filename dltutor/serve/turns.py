"""Lets everybody's turn come, also while somebody never stops talking.

What is there already is read without waiting, so a loop over it would go on for as long as there is more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PART = 0.1  # of the server's time, that one may have
ADVANCE = 0.02  # seconds of it that they may have at once
MOST = 0.05  # seconds that are counted of a turn: others' turns may have come in it


class Turns:
    """Of one who talks to the server."""

    def __init__(self) -> None:
        self._debt, self._since = 0.0, time.monotonic()

    def take(self, busy: float) -> float:
        """So many seconds of the processor were theirs; how many pass until it is their turn again."""
        now = time.monotonic()
        self._debt = max(0.0, self._debt - PART * (now - self._since)) + busy
        self._since = now
        return self._debt / PART if self._debt > ADVANCE else 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Around what is done for them."""
        began = time.thread_time()
        yield
        await asyncio.sleep(self.take(min(time.thread_time() - began, MOST)))
