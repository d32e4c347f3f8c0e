"""How `dltutor run` and `dltutor warm` show themselves: JSON lines, plain lines, or a live plot."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dltutor import __version__, i18n, wire
from dltutor.i18n import _
from dltutor.lesson import Heading, PanelSpec
from dltutor.ui.run_state import RunState

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from dltutor.headless import Chosen, View
    from dltutor.pictures import Picture
    from dltutor.ui.plots.cells import Cells

LINES = 20  # of progress, where the output is no terminal
PATIENCE = 2.0  # seconds after which a line says what is being compiled


def view_for(output: str, chosen: Chosen, recording: bool) -> View:
    """jsonl, plot, or ("") what suits the output."""
    if output == "jsonl":
        return JsonLines(recording)
    if sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb"):
        return LivePlot(chosen.lesson)
    return PlainLines(chosen.lesson, recording, plot=output == "plot")


# ---------------------------------------------------------------- a JSON object a line


class JsonLines:
    """First the setting, then every step, then a summary: the same run, the same bytes."""

    period = 0.1

    def __init__(self, recording: bool) -> None:
        self.pictures = recording

    def hear(self, event: wire.Event, state: RunState) -> None:
        match event:
            case wire.Started():
                _write({**vars(event), "dltutor": __version__})
            case wire.Metrics():
                for step, values in rows(event):
                    _write({"step": step, **values})
                sys.stdout.flush()
            case wire.Printed(text):
                print(text, end="", file=sys.stderr)

    def end(self, state: RunState) -> None:
        if state.finished:
            _write(
                {"summary": {"steps": state.step, "ended": state.finished.reason, "metrics": state.finished.metrics}}
            )
        elif state.failure:
            fault = state.failure
            where = {"step": fault.step, "tensor": fault.tensor, "message": fault.message}
            _write({"summary": {"steps": state.step, "ended": "failed", **where}})

    def close(self) -> None:
        pass


def rows(event: wire.Metrics) -> Iterator[tuple[int, dict[str, float]]]:
    """(step, the metrics taken at it) of a delivery. JSON has no numbers for infinity and NaN: they are left out."""
    columns = {name: wire.floats(column) for name, column in event.columns.items()}
    for at in range(max(map(len, columns.values()), default=0)):
        values = {name: column[at] for name, column in columns.items()}
        yield event.first + at, {name: value for name, value in values.items() if math.isfinite(value)}


def _write(data: dict[str, Any]) -> None:
    print(json.dumps(data, ensure_ascii=False, allow_nan=False))


# ---------------------------------------------------------------- plain lines


class PlainLines:
    """Some twenty lines on the way, and at the end what the pictures show: in words, or with `plot` drawn."""

    def __init__(self, lesson: Heading, recording: bool, plot: bool) -> None:
        self.period = 0.1 if recording else 0.5
        self.pictures = True  # for the last ones
        self._lesson, self._plot = lesson, plot
        self._began = time.monotonic()
        self._last: dict[str, float] = {}

    def hear(self, event: wire.Event, state: RunState) -> None:
        match event:
            case wire.Compiling() if time.monotonic() - self._began > PATIENCE:
                print(compiling(event), file=sys.stderr, flush=True)
            case wire.Started():
                print(setting_line(event), flush=True)
            case wire.Metrics() if state.started:
                self._progress(event, state.started.steps)
            case wire.Printed(text):
                print(text, end="", file=sys.stderr)

    def _progress(self, event: wire.Metrics, steps: int) -> None:
        every = math.ceil(steps / LINES)
        for step, values in rows(event):
            self._last |= values
            if step % every == 0 or step == steps:
                print(f"{step:>{len(str(steps))}}/{steps}  {metrics_line(self._lesson, self._last)}", flush=True)

    def end(self, state: RunState) -> None:
        if not state.started:
            return
        if self._plot:
            print(still(self._lesson, state))
        print(ending(state), *sentences(self._lesson, state), sep="\n", flush=True)

    def close(self) -> None:
        pass


def setting_line(started: wire.Started) -> str:
    knobs = " ".join(f"{name}={_typed(value)}" for name, value in started.knobs.items())
    parts = [started.lesson, knobs, _("seed {seed}").format(seed=started.seed), started.device]
    return " · ".join(filter(None, parts))


def _typed(value: Any) -> str:
    """A knob's value as one types it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def metrics_line(lesson: Heading, metrics: dict[str, float]) -> str:
    return "  ".join(f"{lesson.metric(name)} {value:.4g}" for name, value in metrics.items())


def compiling(event: wire.Compiling) -> str:
    return _("compiling {n} of {total}: {kernel}").format(n=event.done + 1, total=event.total, kernel=event.kernel)


def ending(state: RunState) -> str:
    """How the run ended, in words."""
    if not state.finished:
        return _("ended at step {step}").format(step=state.step)
    steps = i18n.plural("{n} step", "{n} steps", state.finished.steps)
    word = _("done") if state.finished.reason == "done" else _("stopped")
    return _("{ended}: {steps} in {seconds:.2f} s").format(ended=word, steps=steps, seconds=state.finished.seconds)


# ---------------------------------------------------------------- the pictures


def panels(lesson: Heading, state: RunState) -> list[tuple[PanelSpec, Picture]]:
    """Every picture of the lesson that this run has."""
    pictures = [(spec, state.picture(spec, lesson)) for spec in lesson.pictures]
    return [(spec, shown) for spec, shown in pictures if shown is not None]


def sentences(lesson: Heading, state: RunState) -> list[str]:
    """What the pictures show, in words."""
    from dltutor.ui.plots.board import say

    return [f"{spec.title}: {say(shown)}" for spec, shown in panels(lesson, state)]


def draw(lesson: Heading, state: RunState, width: int, height: int) -> Cells:
    from dltutor.ui.plots.board import board
    from dltutor.ui.plots.look import look_of

    cells, _places = board([(spec.title, shown, {}) for spec, shown in panels(lesson, state)], width, height, look_of())
    return cells


def still(lesson: Heading, state: RunState) -> str:
    """The board of pictures as text; coloured where FORCE_COLOR asks for it."""
    size = shutil.get_terminal_size((100, 32))
    cells = draw(lesson, state, size.columns, size.lines - 2)
    return cells.ansi() if os.environ.get("FORCE_COLOR") else cells.plain()


# ---------------------------------------------------------------- a live plot


class LivePlot:
    """The board of pictures, drawn again with each delivery, over a bar that fills."""

    pictures = True

    def __init__(self, lesson: Heading) -> None:
        from rich.live import Live

        self.period = 0.25 if os.environ.get("SSH_CONNECTION") else 0.1
        self._lesson = lesson
        self._state = RunState()
        self._console = _console()
        self._bar = _bar(self._console)
        self._task = self._bar.add_task(_("starting the engine"), total=None)
        self._live = Live(self, console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._live.start(refresh=True)

    def hear(self, event: wire.Event, state: RunState) -> None:
        self._state = state
        match event:
            case wire.Compiling(done, total):
                self._bar.update(self._task, description=compiling(event), completed=done, total=total)
            case wire.Started():
                self._bar.update(self._task, description=event.lesson, completed=0, total=event.steps)
            case wire.Frame() | wire.Finished():
                self._bar.update(self._task, completed=state.step, description=self._numbers())
            case wire.Printed(text):
                self._live.console.print(text, end="", markup=False, highlight=False)
                return
            case wire.Metrics():
                return  # the frame that follows brings both to the screen
        self._live.refresh()

    def _numbers(self) -> str:
        return metrics_line(self._lesson, dict(list(self._state.last_metrics().items())[:3]))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        if self._state.values_of:
            cells = draw(self._lesson, self._state, options.max_width, max(8, console.height - 3))
            for y in range(cells.height):
                yield from cells.segments(y)
                yield Segment.line()
        yield self._bar

    def end(self, state: RunState) -> None:
        if state.started:
            print(setting_line(state.started), ending(state), *sentences(self._lesson, state), sep="\n", flush=True)

    def close(self) -> None:
        self._live.stop()


def _console() -> Console:
    """Rich's console with the colours that the plots are drawn in."""
    from rich.console import Console

    from dltutor.ui.plots.look import look_of

    systems: dict[str, Any] = {"true": "truecolor", "256": "256", "16": "standard", "mono": None}
    depth = look_of().depth
    return Console(color_system=systems[depth], no_color=depth == "mono", highlight=False)


def _bar(console: Console) -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        BarColumn(30), MofNCompleteColumn(), TextColumn("{task.description}", markup=False), console=console
    )  # fmt: skip


# ---------------------------------------------------------------- warming


class Warming:
    """A bar of kernels on a terminal; a line for each lesson everywhere."""

    def __init__(self) -> None:
        self._lesson = ""
        self._kernels = 0
        self._bar: Any = None
        if sys.stdout.isatty():
            self._bar = _bar(_console())
            self._task = self._bar.add_task("", total=None)
            self._bar.start()

    def begin(self, what: str) -> None:
        self._lesson, self._kernels = what, 0
        self._show(what, 0, None)

    def hear(self, event: wire.Event) -> None:
        match event:
            case wire.Compiling(done, total):
                self._kernels = total
                self._show(f"{self._lesson}  {event.kernel}", done, total)
            case wire.Ready(_device, seconds):
                kernels = i18n.plural("{n} kernel", "{n} kernels", self._kernels)
                self._say(_("{lesson}: {kernels} ready in {seconds:.1f} s").format(
                    lesson=self._lesson, kernels=kernels, seconds=seconds
                ))  # fmt: skip
            case wire.Failed(message):
                self._say(f"{self._lesson}: {message}")
            case wire.Printed(text):
                self._say(text.rstrip("\n"))

    def _show(self, text: str, done: int, total: int | None) -> None:
        if self._bar:
            self._bar.update(self._task, description=text, completed=done, total=total)

    def _say(self, text: str) -> None:
        if self._bar:
            self._bar.console.print(text, markup=False)
        else:
            print(text, flush=True)

    def end(self, seconds: float) -> None:
        self._say(_("all in {seconds:.1f} s").format(seconds=seconds))

    def close(self) -> None:
        if self._bar:
            self._bar.stop()
