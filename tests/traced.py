"""What work leaves behind in memory."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable

TRIES = 5  # what the work itself keeps, it keeps in each; what something else does meanwhile, it hardly does each time


def kept(work: Callable[[], object], times: int, limit: int) -> int:
    """Bytes more after so many calls than before: of the first try with fewer than `limit`, else of the last one."""
    tracemalloc.start()
    try:
        return _least(lambda: tracemalloc.get_traced_memory()[0], work, times, limit)
    finally:
        tracemalloc.stop()


def objects_kept(work: Callable[[], object], times: int, limit: int) -> int:
    """The same, counted in pieces of memory that Python has given out."""
    return _least(sys.getallocatedblocks, work, times, limit)


def _least(measure: Callable[[], int], work: Callable[[], object], times: int, limit: int) -> int:
    more = limit
    for _try in range(TRIES):
        before = measure()
        for _time in range(times):
            work()
        more = measure() - before
        if more < limit:
            break
    return more
