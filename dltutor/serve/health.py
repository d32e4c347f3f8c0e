"""How the machine does under a class: its processors, the front end's lateness, the memory of each session."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

BEAT = 1.0  # seconds
WEIGH = 10  # beats between two looks at everybody's memory


class Health:
    """Looked after by `run`, in the loop whose lateness it measures."""

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.lag = 0.0
        """Seconds by which the loop was last late."""
        self.worst_lag = 0.0
        self.cpu = 0.0
        """Of the machine's processors, how much is used: 0 to 1."""
        self.front_end = 0.0
        """Of one processor, how much this process takes."""
        self._busy, self._own = processor_times(), time.process_time()
        self.memory: dict[int, int] = {}
        """Bytes that a process has for itself, by its id."""

    async def run(self, pids: Callable[[], Iterable[int]], beat: Callable[[], None]) -> None:
        """For ever; `beat` is called once a second."""
        for beats in itertools.count():
            await self._measure()
            if not beats % WEIGH:
                self.memory = await asyncio.to_thread(weigh, list(pids()))
            beat()

    async def _measure(self) -> None:
        """What the machine has done since the last time, a beat ago, and how late this one is."""
        due = time.monotonic() + BEAT
        await asyncio.sleep(BEAT)
        self.lag = max(0.0, time.monotonic() - due)
        self.worst_lag = max(self.worst_lag, self.lag)
        before, self._busy = self._busy, processor_times()
        self.cpu = share(before, self._busy)
        own_before, self._own = self._own, time.process_time()
        self.front_end = (self._own - own_before) / (BEAT + self.lag)

    def status(self) -> dict[str, Any]:
        load1 = round(os.getloadavg()[0], 2)
        return {
            "cores": self.cores, "load1": load1, "cpu": round(self.cpu, 3), "front_end": round(self.front_end, 3),
            "lag": round(self.lag, 4), "worst_lag": round(self.worst_lag, 4),
        }  # fmt: skip


def processor_seconds(pid: int) -> float:
    """That a process has used; 0 of one that is gone."""
    with contextlib.suppress(OSError):
        return time.clock_gettime(~pid << 3 | 2)  # Linux's number for the clock of another process
    return 0.0


def processor_times() -> tuple[int, int]:
    """Ticks that all processors together were busy, and that there were; zeros where the kernel does not tell."""
    ticks = _ticks()
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def stolen_times() -> tuple[int, int]:
    """Ticks that a virtual machine's neighbours took of its processors ("steal"), and that there were."""
    ticks = _ticks()
    return ticks[7], sum(ticks)


def _ticks() -> list[int]:
    """By what they were spent on; idle are the fourth and the fifth."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            return [int(word) for word in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return [0] * 8


def share(before: tuple[int, int], now: tuple[int, int]) -> float:
    part, total = now[0] - before[0], now[1] - before[1]
    return part / total if total > 0 else 0.0


def weigh(pids: Iterable[int]) -> dict[int, int]:
    return {pid: private_bytes(pid) for pid in pids}


def private_bytes(pid: int) -> int:
    """What the machine would get back if this process ended; 0 where that cannot be read."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) << 10
