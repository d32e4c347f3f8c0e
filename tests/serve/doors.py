"""A door in the hands of a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

SAFETY = 60  # seconds that nothing here takes


class HandDoor:
    """Remembers what it is given. `full`: what it says that it still holds."""

    name, address = "test", "nowhere"

    def __init__(self) -> None:
        self.shown = bytearray()
        self.full = 0
        self.paused = False
        self.ended: tuple[int, str] | None = None
        self._changed = asyncio.Event()

    def write(self, data: bytes) -> None:
        assert not self.ended
        self.shown += data
        self._changed.set()

    def outstanding(self) -> int:
        return self.full

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self._changed.set()

    def end(self, code: int, message: str) -> None:
        assert self.ended is None
        self.ended = code, message
        self._changed.set()

    async def until(self, fact: Callable[[], Any]) -> None:
        async with asyncio.timeout(SAFETY):
            while not fact():
                self._changed.clear()
                await self._changed.wait()

    async def shows(self, text: str) -> None:
        await self.until(lambda: text.encode() in self.shown)
