"""One training run: a lab's generator, its knobs, and what it has said since the last delivery."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np

from dltutor.engine.pack import pack
from dltutor.i18n import _
from dltutor.lab import Tick
from dltutor.wire import Failed, Finished, Frame, Metrics, Start, column

Lab = Callable[[SimpleNamespace, np.random.Generator], Iterator[Tick]]


class Run:
    """The engine owns time: it asks `advance` for the next tick, or does not."""

    def __init__(self, lab: Lab, start: Start) -> None:
        self.start = start
        self.knobs = SimpleNamespace(**start.knobs)
        self.ticks = lab(self.knobs, np.random.default_rng(start.seed))
        self.step = -1
        self.tick = Tick()
        self.seconds = 0.0
        self.last: dict[str, float] = {}
        self._first = 0
        self._columns: dict[str, array[float]] = {}
        self._drawn = -1

    @property
    def done(self) -> bool:
        return self.step >= self.start.steps

    def advance(self) -> Failed | None:
        """Take one step; a Failed where its numbers went bad."""
        began = time.perf_counter()
        tick = next(self.ticks, None)
        self.seconds += time.perf_counter() - began
        if tick is None:
            self.start = Start(**{**vars(self.start), "steps": self.step})
            return None
        self.step += 1
        self.tick = tick
        return self._note(tick.metrics)

    def _note(self, metrics: dict[str, float | None]) -> Failed | None:
        """Append the metrics to their columns: NaN where one was not taken, so that all columns stay as long."""
        rows = self.step - self._first
        bad = None
        for name, value in metrics.items():
            values = self._columns.get(name)
            if values is None:
                values = self._columns[name] = array("d", [math.nan] * rows)
            if value is None:
                values.append(math.nan)
                continue
            value = self.last[name] = float(value)
            values.append(value)
            if not math.isfinite(value):
                bad = bad or self._bad_number(name, value)
        return bad

    def _bad_number(self, name: str, value: float) -> Failed:
        born = next((label for label, values in self._tensors() if not np.isfinite(values).all()), "")
        tensor = born or _("{name} itself: everything before it is still finite").format(name=name)
        message = _("{name} became {value} at step {step}; the first bad tensor is {tensor}").format(
            name=name, value=value, step=self.step, tensor=tensor
        )
        hint = _("The steps were too large: lower the learning rate and rewind.")
        return Failed(message, hint, step=self.step, tensor=born or name)

    def _tensors(self):
        return self.tick.net.tensors() if self.tick.net else ()

    @property
    def news(self) -> bool:
        """Whether there is anything that was not delivered."""
        return self._first <= self.step

    def metrics(self) -> Metrics:
        """All metrics since the last delivery."""
        rows = self.step + 1 - self._first
        columns = {name: column(_filled(values, rows)) for name, values in self._columns.items()}
        message = Metrics(self._first, columns)
        self._first = self.step + 1
        self._columns = {}
        return message

    def frame(self) -> Frame | None:
        """The pictures of the present step, or None where these were drawn before."""
        if self._drawn == self.step:
            return None
        self._drawn = self.step
        return Frame(self.step, {name: pack(picture) for name, picture in self.tick.pictures().items()})

    def finished(self, reason: str) -> Finished:
        last = {name: value for name, value in self.last.items() if math.isfinite(value)}
        return Finished(max(self.step, 0), reason, last, self.seconds)


def _filled(values: array[float], rows: int) -> array[float]:
    values.extend([math.nan] * (rows - len(values)))
    return values
