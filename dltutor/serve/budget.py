"""Shares out how often sessions may draw, so that too many of them slow their charts, and never the keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from dltutor.page import FULL_RATE, LIVE, Page
from dltutor.serve.health import processor_seconds

EVERY = 1.0  # seconds
SHARE = 0.5  # of the processors that all drawing may take: keys, training and checks want theirs, too
LOWEST_RATE = 0.25  # drawings a second, of a chart that is still alive to the eye
COST = 0.0015  # seconds that a drawing takes, of a session that has not yet found out
HIGHEST_COST = 0.05  # that a session is believed
HIGHEST_PART = 0.01  # that an engine has in a drawing: one that trains as fast as it can has work of its own
FRONT_END = 0.0015  # seconds that the front end has with each drawing: to encrypt and send it
LATE = 0.05  # seconds by which the front end wakes too late when the machine has too much to do
RECOVERY = 1.25  # a second, after it was late
NEW = 0.3  # how much the last second counts beside those before

Drawing = tuple[Page, Sequence[int]]
"""A session, and the engines that work for it."""


class Budget:
    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.live = 0
        """Sessions that draw."""
        self.rate = FULL_RATE
        """Drawings a second that each of them may make."""
        self.slack = 1.0
        """What they get of the rate that would be fair: less after the machine was late, whatever keeps it busy."""
        self._parts: WeakKeyDictionary[Page, Part] = WeakKeyDictionary()

    async def run(self, drawings: Callable[[], Iterable[Drawing]]) -> None:
        """For ever."""
        while True:
            due = time.monotonic() + EVERY
            await asyncio.sleep(EVERY)
            now = time.monotonic()
            self.share(drawings(), now, late=now - due)

    def share(self, drawings: Iterable[Drawing], now: float, late: float = 0.0) -> None:
        """Write their rate into all pages; into those that do not draw too, which may begin to."""
        drawings = list(drawings)
        live = [(page, engines) for page, engines in drawings if page.drawn and now - page.drawn <= LIVE]
        self.live = len(live)
        self.slack = max(LOWEST_RATE / FULL_RATE, self.slack / 2) if late > LATE else min(1.0, self.slack * RECOVERY)
        self.rate = max(LOWEST_RATE, min(FULL_RATE, self._fair(live)) * self.slack)
        for page, _engines in drawings:
            page.rate = self.rate

    def _fair(self, live: list[Drawing]) -> float:
        """The rate at which so many drawings take their share of the processors."""
        a_round = sum(self._cost(page, engines) for page, engines in live)
        return self.cores * SHARE / a_round if a_round else FULL_RATE

    def _cost(self, page: Page, engines: Sequence[int]) -> float:
        """Of a drawing, in all processes that have to do with it."""
        part = self._parts.setdefault(page, Part())
        part.look(page.drawings, sum(map(processor_seconds, engines)))
        return believable(page.cost) + part.cost + FRONT_END

    def status(self) -> dict[str, Any]:
        return {"live": self.live, "rate": round(self.rate, 2), "slack": round(self.slack, 3)}


class Part:
    """What engines have to do for each drawing of a session."""

    def __init__(self) -> None:
        self.cost = 0.0
        self._drawings = self._seconds = 0.0

    def look(self, drawings: float, seconds: float) -> None:
        """So many drawings there were, and so many seconds the engines have worked; both from their beginning."""
        more, longer = drawings - self._drawings, seconds - self._seconds
        if more >= 1 and longer >= 0:  # else a new engine has begun
            self.cost += NEW * (min(longer / more, HIGHEST_PART) - self.cost)
        if more:
            self._drawings, self._seconds = drawings, seconds


def believable(cost: float) -> float:
    """A session that is out of its mind, and says that it draws for ever, slows nobody else."""
    return min(cost, HIGHEST_COST) if cost > 0 else COST
