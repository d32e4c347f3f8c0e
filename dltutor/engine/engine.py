"""Obey commands, take steps when they are due, deliver when there is credit."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue

from dltutor import wire
from dltutor.engine.run import Lab, Race, Run
from dltutor.errors import DltutorError
from dltutor.i18n import _, current
from dltutor.kernels import device
from dltutor.kernels.ahead import Ahead
from dltutor.kernels.clear import clear
from dltutor.kernels.compile import every_kernel, prepare
from dltutor.kernels.launch import replayer, usable_cores, use_threads
from dltutor.kernels.own import Own, compile_own
from dltutor.lesson import Heading, load_front_matter
from dltutor.lesson.course import built_in, catalogue

BUNCH = 0.07  # seconds that a step may be late, so that several are taken at once: to wake up for one costs as much
CLEAR = f"dltutor/kernels/clear.py:{clear.__name__}"  # every backward pass starts with it


class Engine:
    def __init__(self, inbox: SimpleQueue[wire.Command], send: Callable[[wire.Event], None]) -> None:
        self.inbox = inbox
        self.send = send
        self.lesson: Heading | None = None
        self.device = "cpu"
        self.lab: Lab | None = None
        self.own: Own = {}  # kernels of the learner's, in the place of ours
        self.start: wire.Start | None = None  # of the last run, with its live knobs as they are now
        self.run: Run | None = None
        self.running = False
        self.steps_left = 0  # of a Step command
        self.pace = 0.0
        self.due = 0.0  # when the next step is, on the monotonic clock
        self.credit = 0
        self.draw = True

    def serve(self, threads: int = 0) -> None:
        """For ever: the process ends with its parent."""
        use_threads(threads or max(1, usable_cores() - 1))  # one is left to the application
        while True:
            try:
                self.obey_waiting()
                self.take_step()
                self.deliver()
            except BrokenPipeError:
                raise  # nobody listens any more
            except (Exception, SystemExit) as error:  # the process edge: whatever a lab does, say it and go on
                self.fail(error)

    # ------------------------------------------------------------ commands

    def obey_waiting(self) -> None:
        """Obey what has come; with nothing else to do, wait for more."""
        wait = self.wait()
        if wait == 0 and self.inbox.empty():
            return
        with contextlib.suppress(Empty):
            self.obey(self.inbox.get(timeout=wait))
        while not self.inbox.empty():
            self.obey(self.inbox.get())

    def wait(self) -> float | None:
        """Seconds until the next step; None: nothing is to be done until a command comes."""
        if not (self.run and (self.running or self.steps_left)):
            return None
        early = self.due - time.monotonic() if self.running and self.pace else 0.0
        return early + BUNCH if early > 0 else 0.0

    def obey(self, command: wire.Command) -> None:
        match command:
            case wire.Prepare():
                self.prepare()
            case wire.Warm(name):
                self.warm(name)
            case wire.Open():
                self.open(command)
            case wire.Start():
                self.begin(command)
            case wire.Rewind() if self.start:
                self.begin(replace(self.start, paused=not self.running, pace=self.pace))
            case wire.Set(knob, value):
                self.set(knob, value)
            case wire.Pause():
                self.pause()
            case wire.Resume() if self.run and not self.run.done:
                self.resume(self.run)
            case wire.Step(count) if self.run and not self.run.done:
                self.running, self.steps_left = False, self.steps_left + count
            case wire.Pace(pace):
                self.pace, self.due = pace, time.monotonic()
            case wire.Grant(frames, pictures):
                self.credit, self.draw = self.credit + frames, pictures
            case wire.Stop() if self.run:
                self.finish(self.run, "stopped")

    def prepare(self) -> None:
        """Load what every lab needs; Numba only where nothing has been compiled yet."""
        import dltutor.layers  # noqa: F401

        replayer()
        if not clear.is_kept:
            prepare()

    def warm(self, name: str) -> None:
        """Compile everything there is, in the order of the files."""
        began = time.monotonic()
        device.use(name)
        self.compile(list(every_kernel(cuda=name != "cpu")))
        self.send(wire.Ready(name, time.monotonic() - began))

    def open(self, command: wire.Open) -> None:
        began = time.monotonic()
        self.lab = self.run = None
        self.own = {}
        self.lesson = heading(command.lesson)
        self.device = command.device
        device.use(command.device)
        ours = [name for name in self.lesson.kernels if name.startswith("dltutor/kernels/")]  # others come with the lab
        self.compile([*ours, CLEAR])
        lab = load_lab(self.lesson)
        if command.own:
            self.own = self.compile_own(command.own)
        self.lab = lab
        self.send(wire.Ready(self.device, time.monotonic() - began))

    def compile(self, kernels: list[str]) -> None:
        with Ahead(device.name(), kernels):
            for done, name in enumerate(kernels):
                self.send(wire.Compiling(done, len(kernels), name.partition(":")[2]))
                device.kernel(name).warm()

    def compile_own(self, own: wire.Own) -> Own:
        """From here on there is code of the learner's in this process."""

        said = count()

        def say(name: str) -> None:
            self.send(wire.Compiling(next(said), len(own.kernels), _("your {name}").format(name=name)))

        return compile_own(own.source, [device.for_this_device(place) for place in own.kernels], not own.passed, say)

    def begin(self, start: wire.Start) -> None:
        """A new run; its tick 0, the untrained model, is shown even when it begins paused."""
        if self.lesson is None or self.lab is None:
            raise DltutorError(_("no lab is open"), _("Open a lesson first."))
        self.run = None
        self.running, self.steps_left, self.pace = False, 0, start.pace
        start = replace(start, knobs=self.lesson.setting(start.knobs))
        self.send(wire.Started(self.lesson.id, start.knobs, start.seed, start.steps, self.device))
        self.start = start
        run = self.run = Race(self.lab, start, self.own) if self.own else Run(self.lab, start)
        self.advance(run)
        if self.run and not start.paused:
            self.resume(run)
        elif self.run:
            self.send(wire.Paused(run.step))

    def set(self, knob: str, value: object) -> None:
        """A live knob turns the run under way; every knob, the next Rewind."""
        if not (self.lesson and self.start):
            return
        self.start = replace(self.start, knobs=self.lesson.setting(self.start.knobs | {knob: value}))
        if self.run and self.lesson.knobs[knob].live:
            self.run.set(knob, self.start.knobs[knob])

    def resume(self, run: Run) -> None:
        self.running, self.steps_left, self.due = True, 0, time.monotonic()
        self.send(wire.Resumed(run.step))

    def pause(self) -> None:
        if self.run and (self.running or self.steps_left):
            self.send(wire.Paused(self.run.step))
        self.running, self.steps_left = False, 0

    # ------------------------------------------------------------ time

    def take_step(self) -> None:
        run = self.run
        if not run or run.done:
            return
        if self.steps_left:
            self.steps_left -= 1
            self.advance(run)
            if not self.steps_left and self.run:
                self.send(wire.Paused(run.step))
        elif self.running and (not self.pace or time.monotonic() >= self.due):
            self.advance(run)
            self.due = max(self.due + 1 / self.pace, time.monotonic() - 0.25) if self.pace else 0.0

    def advance(self, run: Run) -> None:
        failure = run.advance()
        if failure:
            with contextlib.suppress(Exception):  # of bad numbers, a lab may not be able to draw all pictures
                self.flush(run)
            self.rest()
            self.send(failure)
        elif run.done:
            self.finish(run, "done")

    def finish(self, run: Run, reason: str) -> None:
        self.flush(run)
        sys.stdout.flush()
        finished = run.finished(reason)
        self.rest()
        self.send(finished)

    def rest(self) -> None:
        self.run, self.running, self.steps_left = None, False, 0

    # ------------------------------------------------------------ deliveries

    def deliver(self) -> None:
        if self.credit and self.run and self.run.news:
            self.credit -= 1
            self.flush(self.run)

    def flush(self, run: Run) -> None:
        """Send all there is to say of the present step."""
        if run.news:
            self.send(run.metrics())
        timed = run.timed()
        if timed:
            self.send(timed)
        frame = run.frame() if self.draw else None
        if frame:
            self.send(frame)

    def fail(self, error: BaseException) -> None:
        run = self.run
        self.rest()
        sys.stdout.flush()
        if run and run.news:
            self.send(run.metrics())
        step = run.step if run and run.step >= 0 else None
        if isinstance(error, DltutorError):
            self.send(wire.Failed(error.message, error.hint, step=step))
            return
        message = _("the lab raised {kind}: {error}").format(kind=type(error).__name__, error=error)
        hint = _("The last lines of the traceback name the place; mend the lab and open the lesson again.")
        self.send(wire.Failed(message, hint, step=step, trace=trace(error)))


def trace(error: BaseException) -> str:
    """The traceback, from the lab on: how the engine got there is of no interest."""
    place = error.__traceback__
    while place and place.tb_next and Path(place.tb_frame.f_code.co_filename).parent == Path(__file__).parent:
        place = place.tb_next
    return "".join(traceback.format_exception(error.with_traceback(place)))


def heading(lesson: str) -> Heading:
    """What the front matter says; its text is none of the engine's business. A built-in lesson is found at once."""
    folder = built_in() / lesson
    if lesson and (folder / "lesson.md").is_file():
        return load_front_matter(folder, current())
    entry = catalogue(current()).find(lesson)
    return entry.heading or entry.load()


def load_lab(lesson: Heading) -> Lab:
    """The function `lab` of the lesson's lab.py."""
    path = lesson.folder / "lab.py"
    if not lesson.has_lab:
        hint = _("Read on, or add a lab.py to {folder}.").format(folder=lesson.folder)
        raise DltutorError(_("lesson {id} has no lab").format(id=lesson.id), hint)
    spec = importlib.util.spec_from_file_location("lab", path)
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "lab"):
        raise DltutorError(_("{path} defines no function `lab`").format(path=path), _("Add: def lab(knobs, rng): ..."))
    return module.lab  # type: ignore[no-any-return]
