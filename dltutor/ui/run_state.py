"""What is known of a run: a pure fold of the engine's events into plain state. Widgets only read it."""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dltutor import wire
from dltutor.i18n import _
from dltutor.pictures import Curves, Picture, Series, reworded

if TYPE_CHECKING:
    from dltutor.lesson import Heading, PanelSpec

Status = Literal["starting", "compiling", "ready", "running", "paused", "done", "stopped", "failed", "dead"]
PRINTED_LINES = 200


@dataclass
class RunState:
    status: Status = "starting"
    compiling: wire.Compiling | None = None
    started: wire.Started | None = None
    step: int = 0
    steps_of: dict[str, array[float]] = field(default_factory=dict)
    """The steps at which each metric was taken."""
    values_of: dict[str, array[float]] = field(default_factory=dict)
    """The metric's values at those steps, to the bit."""
    pictures: dict[str, Picture] = field(default_factory=dict)
    printed: deque[str] = field(default_factory=lambda: deque(maxlen=PRINTED_LINES))
    finished: wire.Finished | None = None
    failure: wire.Failed | None = None
    timed: wire.Timed | None = None
    own: str = ""
    """The exercise whose kernels train here, the learner's; empty: ours do."""
    deliveries: int = 0
    """How many the engine has spent credit on; the lab grants as many as were drawn."""

    def latest(self, metric: str) -> float | None:
        values = self.values_of.get(metric)
        return values[-1] if values else None

    def last_metrics(self) -> dict[str, float]:
        """Not those of our kernels beside the learner's."""
        return {name: values[-1] for name, values in self._run().items() if values}

    def _run(self) -> dict[str, array[float]]:
        return {name: values for name, values in self.values_of.items() if not name.startswith(wire.OURS)}

    @property
    def is_race(self) -> bool:
        """Whether our kernels train beside the learner's."""
        return len(self._run()) < len(self.values_of)

    def ours(self, names: tuple[str, ...]) -> list[Series]:
        """The same metrics, of our kernels beside the learner's."""
        return self.curves(tuple(wire.OURS + name for name in names), lambda _name: _("ours")).series

    def curves(self, names: tuple[str, ...], label: Callable[[str], str], log: bool = False) -> Curves:
        """The metrics called `names` as curves over the steps."""
        known = [name for name in names if name in self.values_of]
        series = [Series(label(name), self.steps_of[name], self.values_of[name]) for name in known]
        return Curves(series, x_label=_("steps"), log=log)

    def has_picture(self, spec: PanelSpec) -> bool:
        """Whether one of the lesson's pictures is there yet."""
        return any(name in self.values_of for name in spec.curves) if spec.curves else spec.name in self.pictures

    def picture(self, spec: PanelSpec, lesson: Heading, log: bool | None = None) -> Picture | None:
        """One of the lesson's pictures, in the words of its language; None: not there yet."""
        if spec.curves:
            curves = self.curves(spec.curves, lesson.metric, spec.log if log is None else log)
            return curves if curves.series else None
        picture = self.pictures.get(spec.name)
        return reworded(picture, lesson.word) if picture else None

    def for_progress(self) -> dict[str, Any]:
        """What the progress file keeps of this run."""
        assert self.started, "nothing ran"
        started, finished = self.started, self.finished
        own = {"own": self.own} if self.own else {}
        return {
            "lesson": started.lesson,
            "setting": {"knobs": started.knobs, "seed": started.seed, "steps": started.steps} | own,
            "device": started.device,
            "steps": self.step,
            "ended": self.failure.message if self.failure else finished.reason if finished else "stopped",
            "metrics": self.last_metrics(),
            "columns": {name: (self.steps_of[name], values) for name, values in self._run().items()},
        }


def fold(state: RunState, event: wire.Event) -> RunState:
    """`state` after `event`."""
    match event:
        case wire.Compiling():
            state.status, state.compiling = "compiling", event
        case wire.Ready():
            state.status, state.compiling = "ready", None
        case wire.Started():
            printed = RunState().printed if state.started else state.printed  # what the lab says as it is loaded stays
            return RunState("ready", started=event, printed=printed, deliveries=state.deliveries, own=state.own)
        case wire.Resumed(step):
            state.status, state.step = "running", step
        case wire.Paused(step):
            state.status, state.step = "paused", step
        case wire.Metrics():
            _append(state, event)
        case wire.Timed():
            state.timed = event
        case wire.Frame(_, pictures):
            state.pictures = pictures
        case wire.Printed(text):
            state.printed.extend(text.splitlines())
        case wire.Finished(steps, reason):
            state.status, state.step, state.finished = "done" if reason == "done" else "stopped", steps, event
        case wire.Failed():
            state.status, state.failure = "dead" if event.fatal else "failed", event
            _mark_bad_number(state, event.step)
    return state


def _append(state: RunState, event: wire.Metrics) -> None:
    """Add a delivery's columns, leaving out the steps at which a metric was not taken."""
    length = 0
    for name, packed in event.columns.items():
        column = wire.floats(packed)
        length = len(column)
        steps = state.steps_of.setdefault(name, array("d"))
        values = state.values_of.setdefault(name, array("d"))
        for step, value in enumerate(column, event.first):
            if not math.isnan(value):
                steps.append(step)
                values.append(value)
    state.step = max(state.step, event.first + length - 1)
    state.deliveries += 1


def _mark_bad_number(state: RunState, step: int | None) -> None:
    """A curve that broke off at `step` ends in NaN there, for the plot to mark."""
    for name, steps in state.steps_of.items():
        if step is not None and steps and steps[-1] == step - 1:
            steps.append(step)
            state.values_of[name].append(math.nan)
