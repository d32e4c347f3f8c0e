"""Axes: ranges that stay put while data grows, ticks at round numbers, and numbers in words.

A range that follows the data repaints the whole plot at every step (20 times the bytes); these move by steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

HUGE = 1e300  # a range beyond this has no width that is a number
_ROUND = (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True)
class Axis:
    """A finite range with low < high; on a log axis both are above zero."""

    low: float
    high: float
    log: bool = False

    def place(self, values: np.ndarray | float) -> np.ndarray:
        """Where values lie: 0 at `low`, 1 at `high`; NaN for what has no place (zero on a log axis)."""
        values = np.asarray(values, float)
        if not self.log:
            return (values - self.low) / (self.high - self.low)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(values > 0, np.log10(values), np.nan)
        low, high = math.log10(self.low), math.log10(self.high)
        return (logs - low) / (high - low)

    def ticks(self, count: int) -> list[float]:
        """About `count` round numbers within the range."""
        return _decades(self.low, self.high, count) if self.log else _steps(self.low, self.high, count)


def axis(low: float, high: float) -> Axis:
    """An axis for any two numbers: bad ones become 0 to 1, equal ones get room."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return Axis(0.0, 1.0)
    low, high = max(min(low, high), -HUGE), min(max(low, high), HUGE)
    if high - low > 1e-12 * max(abs(low), abs(high), 1e-300):
        return Axis(low, high)
    room = abs(low) * 0.5 or 1.0
    return Axis(low - room, high + room)


def sticky(low: float, high: float) -> Axis:
    """A range around low..high whose ends are round and move by steps; it starts at 0 where that costs little."""
    found = axis(low, high)
    low, high = found.low, found.high
    if 0 <= low < 0.5 * high:
        return Axis(0.0, round_up(high))
    if -0.5 * low > -high >= 0:
        return Axis(-round_up(-low), 0.0)
    step = round_up((high - low) / 4)
    return axis(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step)


def sticky_log(low: float, high: float) -> Axis:
    """A range around the positive numbers low..high that ends at 1, 2 or 5 times powers of ten.

    Below a millionth it reaches 12 decades down at most: those of a run that explodes are all wanted.
    """
    if not (low > 0 and math.isfinite(high) and high > 0):
        return Axis(0.1, 1.0, log=True)
    high = min(max(high, 1e-290), HUGE)
    low = min(max(low, min(high * 1e-12, 1e-6)), high)
    top = next(step for step in _one_two_five(high) if step >= high * (1 - 1e-9))
    bottom = [step for step in _one_two_five(low) if step <= low * (1 + 1e-9)][-1]
    return Axis(bottom if bottom < top else top / 10, top, log=True)


def _one_two_five(value: float) -> list[float]:
    """The round numbers of a log axis around `value`."""
    power = 10.0 ** math.floor(math.log10(value))
    return [power / 2, power, 2 * power, 5 * power, 10 * power, 20 * power]


def round_up(value: float) -> float:
    """The next round number: 1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6 or 8 times a power of ten."""
    if not (value > 0 and math.isfinite(value)):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in _ROUND if value <= step * power * (1 + 1e-9)), 10 * power)


def _steps(low: float, high: float, count: int) -> list[float]:
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 0.0
    if not (power > 0 and math.isfinite(raw)):
        return [low]
    step = next(m * power for m in (1, 2, 2.5, 5, 10, 20) if raw <= m * power * (1 + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


def _decades(low: float, high: float, count: int) -> list[float]:
    """Powers of ten within the range, thinned to `count`; where it holds fewer than two, 1, 2 and 5 times those."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 1:
        every = max(1, math.ceil((last - first) / max(1, count)))
        return [10.0**n for n in range(first, last + 1, every)]
    steps = [m * 10.0**n for n in range(first - 1, last + 2) for m in (1, 2, 5)]
    return [step for step in steps if low * (1 - 1e-9) <= step <= high * (1 + 1e-9)]


def tick(value: float) -> str:
    """A tick's label: short and without noise."""
    size = abs(value)
    if size < 1e-12:
        return "0"
    if 1e-3 <= size < 1e4:
        return f"{value:.4g}"
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if limit <= size < 1e12:
            return f"{value / limit:.4g}{letter}"
    return _scientific(value)


def short(value: float) -> str:
    """A measured number as one says it: three digits that count."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0 or 1e-4 <= abs(value) < 1e4:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return _scientific(value)


def _scientific(value: float) -> str:
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def whole(value: float) -> str:
    """A step number with its thousands marked; other numbers short."""
    return f"{int(value):,}" if math.isfinite(value) and value == int(value) else short(value)
