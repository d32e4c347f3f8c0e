"""How the machine does under a class."""

from __future__ import annotations

import asyncio
import json
import os
import time

import pytest

from dltutor.serve import health
from dltutor.serve.health import Health

SAFETY = 60  # seconds that nothing here takes


async def test_it_beats_and_tells_how_late_the_loop_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "BEAT", 0.05)
    watched, beat = Health(cores=2), asyncio.Event()
    running = asyncio.create_task(watched.run(lambda: [os.getpid()], beat.set))
    await asyncio.wait_for(beat.wait(), SAFETY)
    assert watched.memory[os.getpid()] > 1 << 20
    time.sleep(0.3)  # something blocks
    beat.clear()
    await asyncio.wait_for(beat.wait(), SAFETY)
    assert watched.worst_lag >= 0.2
    assert json.loads(json.dumps(watched.status()))["cores"] == 2
    running.cancel()


def test_of_the_processors_the_busy_share_is_told() -> None:
    assert health.share((100, 1000), (150, 1200)) == 0.25
    assert health.share((0, 0), (0, 0)) == 0.0  # where the kernel does not tell
    busy, total = health.processor_times()
    assert 0 < busy < total


def test_a_process_that_is_gone_weighs_nothing() -> None:
    assert health.private_bytes(2**22 + 1) == 0
