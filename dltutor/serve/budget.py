"""Shares out how often sessions may draw, so that too many of them slow their charts, and never the keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from dltutor.page import FULL_RATE, LIVE, Page

EVERY = 1.0  # seconds
SHARE = 0.6  # of the processors that all drawing may take: keys, training and checks want theirs, too
LOWEST_RATE = 1.0  # drawings a second, of a chart that is still alive to the eye
COST = 0.0015  # seconds that a drawing takes, of a session that has not yet found out
HIGHEST_COST = 0.05  # that a session is believed
FRONT_END = 0.001  # seconds that the front end has with each drawing: to encrypt and send it
LATE = 0.05  # seconds by which the front end wakes too late when the machine has too much to do
RECOVERY = 1.25  # a second, after it was late


class Budget:
    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.live = 0
        """Sessions that draw."""
        self.rate = FULL_RATE
        """Drawings a second that each of them may make."""
        self.slack = 1.0
        """What they get of the rate that would be fair: less after the machine was late, whatever keeps it busy."""

    async def run(self, pages: Callable[[], Iterable[Page]]) -> None:
        """For ever."""
        while True:
            due = time.monotonic() + EVERY
            await asyncio.sleep(EVERY)
            now = time.monotonic()
            self.share(pages(), now, late=now - due)

    def share(self, pages: Iterable[Page], now: float, late: float = 0.0) -> None:
        """Write their rate into all pages; into those that do not draw too, which may begin to."""
        pages = list(pages)
        costs = [believable(page.cost) for page in pages if page.drawn and now - page.drawn <= LIVE]
        self.live = len(costs)
        self.slack = max(LOWEST_RATE / FULL_RATE, self.slack / 2) if late > LATE else min(1.0, self.slack * RECOVERY)
        self.rate = max(LOWEST_RATE, min(FULL_RATE, self._fair(costs)) * self.slack)
        for page in pages:
            page.rate = self.rate

    def _fair(self, costs: list[float]) -> float:
        """The rate at which so many drawings take their share of the processors."""
        a_round = sum(costs) + FRONT_END * len(costs)
        return self.cores * SHARE / a_round if a_round else FULL_RATE

    def status(self) -> dict[str, Any]:
        return {"live": self.live, "rate": round(self.rate, 2), "slack": round(self.slack, 3)}


def believable(cost: float) -> float:
    """A session that is out of its mind, and says that it draws for ever, slows nobody else."""
    return min(cost, HIGHEST_COST) if cost > 0 else COST
