"""What this machine can do at most, measured with loops of our own: the roof under which every kernel stands."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from dltutor.bench import rows
from dltutor.kernels.compile import Vector, kernel

LANES, TERMS = 64, 4096  # multiplications and additions that do not wait for each other; how often each is done
FAR = 2**24  # float32 in an array that fits no cache
TRIES = 7


@kernel
def multiply_add(x: Vector, y: Vector) -> None:
    """y[i] <- y[i] x[i] + x[i], TERMS times: 64 numbers stay in registers."""
    for _term in range(TERMS):
        for i in range(LANES):
            y[i] = y[i] * x[i] + x[i]


@kernel
def copy(x: Vector, y: Vector) -> None:
    for i in range(x.size):
        y[i] = x[i]


def machine(packages: Iterable[str] = ()) -> dict[str, Any]:
    """What the numbers depend on, and the limits for one thread."""
    versions = {name: rows.version(name) for name in dict.fromkeys(packages)}
    return rows.machine() | versions | {"peak_gflops": _peak(), "copy_gbytes_per_s": _bandwidth()}


def _peak() -> float:
    """float32 operations of one thread, in 10^9 a second."""
    x, y = np.full(LANES, 1e-3, np.float32), np.zeros(LANES, np.float32)
    return round(2 * LANES * TERMS / _shortest(lambda: multiply_add(x, y)) / 1e9, 1)


def _bandwidth() -> float:
    """Bytes that one thread reads and writes, in 10^9 a second."""
    x, y = np.zeros(FAR, np.float32), np.zeros(FAR, np.float32)
    return round(2 * x.nbytes / _shortest(lambda: copy(x, y)) / 1e9, 1)


def _shortest(work: Any) -> float:
    work()
    times = []
    for _time in range(TRIES):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
