"""The learner's kernels against ours: which of their files trains, and what is said of it."""

from __future__ import annotations

from pathlib import Path

from dltutor import wire
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.lesson import Heading, exercises
from dltutor.lesson.exercises import Exercise, Workbook
from dltutor.progress import Progress
from dltutor.ui.run_state import RunState

MARK = "◆"  # on everything that the learner's kernels have made
CUDA = "_cuda"  # ends the name of a kernel for a card


def latest(lesson: Heading, progress: Progress, workbook: Workbook | None = None) -> wire.Own | None:
    """What the learner wrote last in this lesson; None: nothing yet."""
    workbook = workbook or Workbook()
    begun = [exercise for name in exercises.names(lesson) if (exercise := _begun(lesson, name, workbook))]
    if not begun:
        return None
    exercise = max(begun, key=lambda exercise: _written_at(workbook.path(exercise)))
    source = workbook.read(exercise)
    passed = any(try_.passed and try_.source == source for try_ in progress.attempts(lesson.id, exercise.name))
    return wire.Own(exercise.key, source, list(exercise.kernels), passed)


def _begun(lesson: Heading, name: str, workbook: Workbook) -> Exercise | None:
    try:
        exercise = exercises.load(lesson, name)
    except DltutorError:  # told where it is opened
        return None
    return exercise if workbook.is_begun(exercise) else None


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # gone meanwhile
        return 0.0


def device_for(own: wire.Own | None, device: str) -> str:
    """Where it trains: what the learner wrote for a card does on the emulation of one, if on nothing better."""
    if own is None:
        return device
    if not any(kernel.endswith(CUDA) for kernel in own.kernels):
        return "cpu"
    return "emulate" if device == "cpu" else device


# ---------------------------------------------------------------- in words


def parts(own: wire.Own | None, state: RunState, label: str, metric: str) -> list[str]:
    """Whose kernel trains, how long a step takes, and how far both are; the most important first."""
    names = [kernel.partition(":")[2] for kernel in own.kernels] if own else []
    mine = _("your {name}").format(name=names[0]) if len(names) == 1 else _("your kernels")
    told = [f"{MARK} {mine}"]
    if state.timed:
        told.append(step_times(state.timed))
    theirs, ours = state.latest(metric), state.latest(wire.OURS + metric)
    if theirs is not None and ours is not None:
        words = _("{metric}: yours {own:.3g}, ours {ours:.3g}")
        told.append(words.format(metric=label, own=theirs, ours=ours))
    return told


def step_times(timed: wire.Timed) -> str:
    """a step: yours 31 µs, ours 22 µs (1.4 x)"""
    words = _("a step: yours {own}, ours {ours} ({ratio:.2g} x)")
    ratio = timed.own / timed.ours if timed.ours else 1.0
    return words.format(own=duration(timed.own), ours=duration(timed.ours), ratio=ratio)


def duration(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.2g} {unit}"
    return f"{seconds / 1e-6:.0f} µs"
