"""Lets everybody's turn come, also while somebody never stops talking.

What is there already is read without waiting, so a loop over it would go on for as long as there is more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SPELL = 0.005  # seconds of the processor, in which the server is busy until others come first
OTHERS, MOST = 9.0, 0.05  # times as long as that, and of so many seconds at most


class Turns:
    """Of one who talks to the server."""

    def __init__(self) -> None:
        self._busy = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Around what is done for them."""
        began = time.thread_time()
        yield
        self._busy += time.thread_time() - began
        if self._busy >= SPELL:
            busy, self._busy = min(self._busy, MOST), 0.0
            await asyncio.sleep(OTHERS * busy)
