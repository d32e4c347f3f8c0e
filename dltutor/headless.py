"""`dltutor run` and `dltutor warm`: the engine without the application, over the same wire.

The numbers are those of the application, to the bit: they depend on lesson, knobs, seed and device only, never on how
often somebody looks.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from dltutor import i18n, wire
from dltutor.errors import DltutorError, UsageError
from dltutor.i18n import _
from dltutor.lesson import Heading
from dltutor.lesson.course import catalogue
from dltutor.link import EngineLink
from dltutor.progress import Progress
from dltutor.ui.run_state import RunState, fold

WORD, PATIENCE = 0.75, 10.0  # seconds after Ctrl-C until it is told that a step takes long, and until it is ended
ENDINGS = ("SIGINT", "SIGTERM", "SIGHUP")


@dataclass(frozen=True)
class Chosen:
    """A run that can be: everything checked against its lesson."""

    lesson: Heading
    start: wire.Start
    device: str

    @property
    def open(self) -> wire.Open:
        return wire.Open(self.lesson.id, self.device)


class View(Protocol):
    """Shows a run to a person or a program. All of its methods are called in one thread."""

    period: float
    """Seconds from one delivery to the next."""
    pictures: bool
    """Whether deliveries are to bring pictures."""

    def hear(self, event: wire.Event, state: RunState) -> None: ...

    def end(self, state: RunState) -> None:
        """The run is over, or was given up."""

    def close(self) -> None:
        """Whatever happened: leave the terminal as it was."""


def choose(lesson: str, steps: int | None, seed: int, knobs: dict[str, str], device: str) -> Chosen:
    """Raises UsageError for whatever cannot be, before an engine is started."""
    entry = catalogue(i18n.current()).find(lesson)
    heading = entry.heading
    if heading is None:
        raise DltutorError(entry.problem, _("Mend the lesson; `dltutor list` shows those that can be read."))
    if not heading.has_lab:
        hint = _("Its text is in the application: dltutor launch {id}").format(id=heading.id)
        raise UsageError(_("lesson {id} has no lab to run").format(id=heading.id), hint)
    return Chosen(heading, wire.Start(heading.setting(knobs), seed, steps or heading.steps), device)


# ---------------------------------------------------------------- run


def run(chosen: Chosen, progress: Progress, output: str, record: Path | None) -> int:
    """Train, show it as `output` says (jsonl, plot, or what suits the terminal), keep the run; the exit code."""
    from dltutor.views import view_for

    link = EngineLink(record)
    view = view_for(output, chosen, recording=record is not None)
    session = Session(link, chosen, view)
    began = datetime.now(UTC)
    try:
        ending = interruptible(session.drive(), session.stop)
    finally:
        view.close()
    view.end(session.state)
    keep(progress, session.state, began)
    for notice in filter(None, [link.notice, progress.notice]):
        print(notice, file=sys.stderr)
    if ending:
        return 128 + ending
    if session.state.failure:
        raise failure(session.state.failure)
    return 0


class Session:
    """One run, from starting an engine to its last word."""

    def __init__(self, link: EngineLink, chosen: Chosen, view: View) -> None:
        self.state = RunState()
        self._link, self._chosen, self._view = link, chosen, view
        self._delivered = asyncio.Event()
        self._paying: asyncio.Task[None] | None = None

    async def drive(self) -> None:
        try:
            await self._link.start()
            await self._link.send(self._chosen.open)
            async for event in self._link.events():
                self.state = fold(self.state, event)
                self._view.hear(event, self.state)
                if isinstance(event, wire.Ready):
                    await self._link.send(self._chosen.start)
                    self._paying = asyncio.create_task(self._pay())
                elif isinstance(event, wire.Metrics):
                    self._delivered.set()
                elif isinstance(event, wire.Finished | wire.Failed):
                    return
        finally:
            if self._paying:
                self._paying.cancel()
            await self._link.close()

    async def _pay(self) -> None:
        """One credit at a time: the next only a period after the last was spent."""
        while True:
            await self._link.send(wire.Grant(pictures=self._view.pictures))
            await self._delivered.wait()
            self._delivered.clear()
            await asyncio.sleep(self._view.period)

    async def stop(self) -> None:
        """Ask the engine to end the run; returns when it will not."""
        if self.state.started:
            await self._link.send(wire.Stop())
            await asyncio.sleep(WORD)
            print(_("waiting for this step to end; Ctrl-C again does not wait"), file=sys.stderr)
            await asyncio.sleep(PATIENCE)


def interruptible(work: Coroutine[Any, Any, None], stop: Any) -> int:
    """Do `work`; at the first signal to end, `stop()`, and cancel when that returns; at the second, at once.

    The number of the signal, or 0.
    """
    received: list[int] = []

    async def guarded() -> None:
        task = asyncio.ensure_future(work)
        stopping: list[asyncio.Future[None]] = []

        def on_signal(number: int) -> None:
            if received:
                task.cancel()
            else:
                stopping.append(asyncio.ensure_future(stop()))
                stopping[0].add_done_callback(lambda _done: task.cancel())
            received.append(number)

        loop = asyncio.get_running_loop()
        for name in ENDINGS:
            with contextlib.suppress(NotImplementedError, AttributeError):
                loop.add_signal_handler(getattr(signal, name), on_signal, getattr(signal, name))
        try:
            await task
        except asyncio.CancelledError:
            if not received:
                raise

    asyncio.run(guarded())
    return received[0] if received else 0


def keep(progress: Progress, state: RunState, began: datetime) -> None:
    """Put the run among the learner's; that it cannot be kept is no reason to fail."""
    if not state.started:
        return
    try:
        progress.add_run(**state.for_progress(), at=began)
    except DltutorError as error:
        print(error, file=sys.stderr)


def failure(failed: wire.Failed) -> DltutorError:
    """What ended the run, with the last lines that the lab or the engine said."""
    trace = failed.trace.strip()
    return DltutorError(failed.message, "\n".join(filter(None, [trace, failed.hint])))


# ---------------------------------------------------------------- warm


def warm(lesson: str, device: str) -> int:
    """Compile what the lab of `lesson` needs; or what all labs need, and every other kernel."""
    from dltutor.views import Warming

    view = Warming()
    orders: list[wire.Command] = [wire.Open(heading.id, device) for heading in _with_labs(lesson)]
    warming = Warm(EngineLink(), orders if lesson else [*orders, wire.Warm(device)], view)
    try:
        ending = interruptible(warming.drive(), warming.stop)
    finally:
        view.close()
    if ending:
        return 128 + ending
    if warming.failures:
        raise failure(warming.failures[0])
    return 0


def _with_labs(lesson: str) -> list[Heading]:
    """The lesson that was named, or all that have a lab."""
    if lesson:
        return [choose(lesson, None, 0, {}, "").lesson]
    headings = [entry.heading for entry in catalogue(i18n.current()).entries if entry.heading]
    return [heading for heading in headings if heading.has_lab]


class Warm:
    """One engine that opens lesson after lesson, and at last compiles what is left."""

    def __init__(self, link: EngineLink, orders: list[wire.Command], view: Any) -> None:
        self.failures: list[wire.Failed] = []
        self._link, self._view = link, view
        self._waiting = orders

    async def drive(self) -> None:
        began = time.monotonic()
        try:
            await self._link.start()
            if not await self._next():
                return
            async for event in self._link.events():
                self._view.hear(event)
                if isinstance(event, wire.Failed):
                    self.failures.append(event)
                if isinstance(event, wire.Ready | wire.Failed) and not await self._next():
                    break
        finally:
            await self._link.close()
        self._view.end(time.monotonic() - began)

    async def _next(self) -> bool:
        """Give the next order; whether there was one."""
        if not self._waiting:
            return False
        order = self._waiting.pop(0)
        self._view.begin(order.lesson if isinstance(order, wire.Open) else _("all kernels"))
        await self._link.send(order)
        return True

    async def stop(self) -> None:
        """Compiling cannot be asked to stop: the engine is ended."""
