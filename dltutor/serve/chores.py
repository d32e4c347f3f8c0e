"""Work that goes on beside: nobody waits for it, so it is kept here, and told what goes wrong in it."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

Tell = Callable[..., object]


class Chores:
    def __init__(self, tell: Tell, failed: Callable[[], object] = lambda: None) -> None:
        """`tell("fault", trace=...)` is the log's; `failed` is called then, too."""
        self._tell, self._failed = tell, failed
        self._tasks: set[asyncio.Task[None]] = set()  # a loop alone would let them be collected

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def cancel(self) -> None:
        """End them all; those that do so are waited for."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()):
            self._tell("fault", trace="".join(traceback.format_exception(fault)))
            self._failed()
