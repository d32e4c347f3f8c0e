"""One training run: a lab's generator, its knobs, and what it has said since the last delivery.

A `Race` is the learner's run and, beside it, the same one with our kernels.
"""

from __future__ import annotations

import math
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import quantiles
from types import SimpleNamespace

import numpy as np

from dltutor.engine.pack import pack
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels import device
from dltutor.kernels.launch import Raised
from dltutor.kernels.own import Own, reason
from dltutor.lab import Tick
from dltutor.wire import OURS, Failed, Finished, Frame, Metrics, Start, Timed, column

RECENT = 100  # steps whose times are looked at
SETTLED = 5  # steps: the first ones record what is called
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
        self.recent: deque[float] = deque(maxlen=RECENT)  # seconds of a step each
        self.last: dict[str, float] = {}
        self._first = 0
        self._columns: dict[str, array[float]] = {}
        self._drawn = -1

    @property
    def done(self) -> bool:
        return self.step >= self.start.steps

    def set(self, knob: str, value: object) -> None:
        """Turn a live knob."""
        setattr(self.knobs, knob, value)

    def advance(self) -> Failed | None:
        """Take one step; a Failed where its numbers went bad."""
        began = time.perf_counter()
        tick = next(self.ticks, None)
        self.recent.append(time.perf_counter() - began)
        self.seconds += self.recent[-1]
        if tick is None:
            self.start = replace(self.start, steps=self.step)
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

    def timed(self) -> Timed | None:
        """How long a step takes; only of a race."""
        return None

    def finished(self, reason: str) -> Finished:
        last = {name: value for name, value in self.last.items() if math.isfinite(value)}
        return Finished(max(self.step, 0), reason, last, self.seconds)


class Race(Run):
    """The lab with the learner's kernels, step by step with the lab with ours: the same start, but nothing shared.

    It is the learner's run. Of ours there are the metrics, in columns beside theirs.
    """

    def __init__(self, lab: Lab, start: Start, own: Own) -> None:
        super().__init__(lab, start)
        self.own = own
        self.ours = Run(lab, start)
        self._ours_broke: Failed | None = None

    def set(self, knob: str, value: object) -> None:
        super().set(knob, value)
        self.ours.set(knob, value)

    def advance(self) -> Failed | None:
        """Who is first finds the caches cold: they take turns."""
        if self.step % 2:
            self._advance_ours()
            failed = self._advance_theirs()
        else:
            failed = self._advance_theirs()
            self._advance_ours()
        return self._blamed(failed) if failed else None

    def _advance_theirs(self) -> Failed | None:
        with device.replaced(self.own), blaming_the_learner():
            return super().advance()

    def _advance_ours(self) -> None:
        if not self._ours_broke:
            self._ours_broke = self.ours.advance()

    def _blamed(self, failed: Failed) -> Failed:
        message = _("with your kernel, {what}").format(what=failed.message)
        hint = _("With ours all is finite at this step: the cause is in what you wrote.")
        if self._ours_broke:
            hint = _("With ours it does so at step {step}: it is the setting. Lower the learning rate and rewind.")
            hint = hint.format(step=self._ours_broke.step)
        return replace(failed, message=message, hint=hint)

    def metrics(self) -> Metrics:
        message = super().metrics()
        ours = self.ours.metrics().columns if self.ours.news else {}
        return replace(message, columns=message.columns | {OURS + name: values for name, values in ours.items()})

    def frame(self) -> Frame | None:
        with device.replaced(self.own), blaming_the_learner():
            return super().frame()

    def timed(self) -> Timed | None:
        if len(self.recent) < SETTLED or self._ours_broke:
            return None
        return Timed(self.step, ours=undisturbed(self.ours.recent), own=undisturbed(self.recent))

    def finished(self, reason: str) -> Finished:
        finished, ours = super().finished(reason), self.ours.finished(reason).metrics
        return replace(finished, metrics=finished.metrics | {OURS + name: value for name, value in ours.items()})


def undisturbed(seconds: Iterable[float]) -> float:
    """What a step takes when nothing is in its way: the lower quartile."""
    return quantiles(seconds, n=4)[0]


@contextmanager
def blaming_the_learner() -> Iterator[None]:
    """What a lab raises with their kernels in it, and would not with ours, it raises because of them."""
    try:
        yield
    except Raised as error:
        raise reason(error.launches) or error from error
    except DltutorError:
        raise
    except Exception as error:
        message = _("with your kernel, the lab raised {kind}: {error}").format(kind=type(error).__name__, error=error)
        raise DltutorError(message, _("It cannot go on with the numbers that your kernel makes.")) from error


def _filled(values: array[float], rows: int) -> array[float]:
    values.extend([math.nan] * (rows - len(values)))
    return values
