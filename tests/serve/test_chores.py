"""Work that nobody waits for: what goes wrong in it is told, wherever it is done."""

from __future__ import annotations

import asyncio

from dltutor.serve.chores import Chores


async def test_a_fault_is_told_and_what_is_cancelled_is_none():
    told: list[str] = []
    ended = asyncio.Event()
    chores = Chores(lambda event, trace: told.append(f"{event} {trace}"), ended.set)

    async def breaks() -> None:
        raise ValueError("broken")

    chores.begin(asyncio.sleep(3600))
    chores.begin(breaks())
    await ended.wait()
    await chores.cancel()
    assert len(told) == 1
    assert told[0].startswith("fault ")
    assert "ValueError: broken" in told[0]
