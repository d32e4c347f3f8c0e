"""What this machine can do at most, measured with loops of our own: the roof under which every kernel stands."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from dltutor.bench import rows
from dltutor.kernels.compile import Vector, kernel
from dltutor.kernels.stack import WIDE_REGISTERS, stack

REGISTER = 16 if WIDE_REGISTERS else 8  # float32 in one

ROWS, COLUMNS, TERMS = 4, 4 * REGISTER, 10_000  # as many sums as stay in registers; how often each is added to
FAR = 2**24  # float32 in an array that fits no cache
TRIES = 7


@kernel
def multiply_add(x: Vector, y: Vector) -> None:
    """y[i] <- the sum of TERMS products: nothing is loaded or stored between them."""
    sums = stack(y, ROWS, COLUMNS)
    for i in range(ROWS):
        for m in range(COLUMNS):
            sums[i, m] = 0
    for _term in range(TERMS):
        for m in range(COLUMNS):
            sums[0, m] += x[0] * x[m]
            sums[1, m] += x[1] * x[m]
            sums[2, m] += x[2] * x[m]
            sums[3, m] += x[3] * x[m]
    for i in range(ROWS):
        for m in range(COLUMNS):
            y[i * COLUMNS + m] = sums[i, m]


multiply_add.vectorise_lines = True


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
    x, y = np.ones(COLUMNS, np.float32), np.zeros(ROWS * COLUMNS, np.float32)
    return round(2 * y.size * TERMS / _shortest(lambda: multiply_add(x, y)) / 1e9, 1)


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
