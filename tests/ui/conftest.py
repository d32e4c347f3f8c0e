"""What tests of screens may ask for."""

from __future__ import annotations

import asyncio
import time

import pytest
from textual._context import active_app

BUSY = 5.0  # seconds on the processor after which an application that never rests is no longer waited for
ROUNDS = 5  # of painting, where what is done after one asks for the next


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key comes as soon as all is done that the last one asked for, and not before.

    Textual's pilot waits until the processor rests, 40 ms a key; which it also does where the scheduler stops it.
    """
    monkeypatch.setattr("textual.app.wait_for_idle", until_done)
    monkeypatch.setattr("textual.pilot.wait_for_idle", until_done)


async def until_done(*_seconds: float) -> None:
    """Let the application go on until it can do no more, has painted, and has done what it wanted to do after that."""
    await _until_at_rest()
    app = active_app.get()
    for _round in range(ROUNDS):
        if not app.is_running or not app.screen_stack:
            return
        app.screen._on_timer_update()
        await _until_at_rest()
        if not (app.screen._layout_required or app.screen._dirty_widgets or app.screen._callbacks):
            return


async def _until_at_rest() -> None:
    """Until whatever is in the event loop waits for a timer, a thread or another process."""
    ready, deadline = asyncio.get_running_loop()._ready, time.process_time() + BUSY
    await asyncio.sleep(0)
    while ready and time.process_time() < deadline:
        await asyncio.sleep(0)
