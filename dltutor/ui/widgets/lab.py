"""The lab beside the text: its engine, what it says, and the keys that drive it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from dltutor import wire
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.lesson import Lesson, PanelSpec, questions
from dltutor.link import EngineLink, Playback
from dltutor.pictures import Picture, Series
from dltutor.ui import race
from dltutor.ui.run_state import RunState, Status, fold
from dltutor.ui.screens.dialogs import Ask
from dltutor.ui.typed import InTutor
from dltutor.ui.watchdog import Watchdog
from dltutor.ui.widgets.board import Board
from dltutor.ui.widgets.knobs import Knobs
from dltutor.ui.widgets.painted import Words

PACES = {3.0: "slow", 30.0: "normal", 300.0: "fast", 0.0: "max"}
REDRAW = 0.1  # seconds between two drawings
LONGEST_REST = 1.0  # seconds until the next look whether drawings may follow each other more quickly again
TALL = 30  # rows from which the knobs are always open
TRACE_LINES = 8  # of a fault
PRINTED_SHOWN = 10  # lines
CELLS_A_PANEL = 650  # fewer, and a picture says little

Link = EngineLink | Playback


@dataclass(frozen=True)
class View:
    """How the pictures are looked at."""

    recent: bool = False
    log: bool | None = None  # None: as the lesson says
    cursor: int | None = None  # a step
    first: tuple[str, ...] = ()  # panels brought to the front
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Guess:
    """What the learner expects of a run."""

    prediction: questions.Prediction
    given: Any


class Lab(InTutor, Vertical):
    """Owns the engine of one lesson, from opening to leaving."""

    DEFAULT_CSS = """
    Lab { padding: 0; }
    Lab > #status { height: 1; padding: 0 1; color: $text; }
    Lab > #own { height: 1; padding: 0 1; color: $orange; display: none; }
    Lab > #told { height: auto; max-height: 4; padding: 0 1; display: none; }
    Lab > Board { height: 1fr; }
    Lab > #fault { height: auto; max-height: 60%; border: round $red; border-title-color: $red; padding: 0 1;
        display: none; overflow-y: auto; }
    Lab > #setting { height: 1; padding: 0 1; color: $muted; }
    Lab > Knobs { display: none; border-top: solid $faint; }
    Lab > #said { display: none; height: 25%; overflow-y: auto;
        padding: 0 1; color: $muted; border-top: solid $faint; }
    Lab.-fault > #fault { display: block; }
    Lab.-knobs > Knobs { display: block; }
    Lab.-knobs > #setting { display: none; }
    Lab.-said > #said { display: block; }
    Lab.-own > #own { display: block; }
    Lab.-told > #told { display: block; }
    """
    can_focus = True

    class Changed(Message):
        """The learner turned a knob, drew a seed or changed the speed."""

    class Compared(Message):
        """A run has told what came of a guess."""

    def __init__(
        self, lesson: Lesson, link: Callable[..., Link], setting: dict[str, Any] | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.lesson = lesson
        self.state = RunState()
        self.before: RunState | None = None  # the run before this one, drawn dim behind it
        self.view = View()
        setting = setting or {}
        self.knobs: dict[str, Any] = lesson.restored(setting.get("knobs", {}))
        self.seed: int = setting.get("seed", 0)
        self.pace: float = setting.get("pace", lesson.pace)
        self.steps: int = setting.get("steps", lesson.steps)
        self.own: wire.Own | None = None  # what trains in place of our kernels
        self.guesses: tuple[Guess, ...] = ()  # about the present run
        self._compared: list[questions.Comparison] = []  # the guesses with what happened
        self._make_link = link
        self._link: Link | None = None
        self._sending: set[asyncio.Task[None]] = set()  # held, as the loop does not hold them
        self._swap = asyncio.Lock()  # of engines: one at a time, so that none is left behind
        self._left = False
        self._compiles_first = False  # ours, which a locked engine could not keep
        self._watchdog = Watchdog()
        self._wanted = False  # run as soon as it is ready
        self._kept = True  # the present run is in the progress file, or not worth it
        self._drawn = self._paid = -1  # deliveries
        self._describing = False

    # ------------------------------------------------------------ what it is made of

    def compose(self) -> ComposeResult:
        yield Words(id="status")
        yield Words(id="own")
        yield Static(id="fault", markup=False)
        yield Board(id="board")
        yield Static(id="told", markup=False)
        yield Static(id="said", markup=False)
        yield Words(id="setting")
        yield Knobs(self.lesson.knobs, self.knobs)

    def on_mount(self) -> None:
        self._ticks = self.set_interval(REDRAW, self.tick)
        self.open()

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Nothing of it looks different then, and for each thing in it that would have to be found out."""

    def on_resize(self) -> None:
        self.set_class(self.size.height >= TALL or self.query_one(Knobs).has_focus, "-knobs")
        self.show_status()

    def setting(self) -> dict[str, Any]:
        """What brings this lab back as it is."""
        return {"knobs": self.knobs, "seed": self.seed, "pace": self.pace}

    # ------------------------------------------------------------ the engine

    def open(self) -> None:
        """Start an engine, in place of a dead one where there is one."""
        self.go_on()
        self.run_worker(self._serve(), group="engine")

    async def _serve(self) -> None:
        try:
            await self._converse()
        except (DltutorError, OSError) as error:  # no such recording, or no process to be had
            self.hear(wire.Failed(str(error), fatal=True))

    async def _converse(self) -> None:
        link = await self._new_link()
        if not link:
            return
        for command in (wire.Open(self.lesson.id, race.device_for(self.own, self.app.device), self.own), wire.Grant()):
            self._watchdog.sent(command)
            await link.send(command)
        async for event in link.events():
            if link is self._link:
                self.hear(event)

    async def _new_link(self) -> Link | None:
        """A new engine in the place of the present one; a locked one for what the learner wrote."""
        async with self._swap:
            if self._link:
                await self._link.close()
            self._link = None
            if self._left:
                return None
            link = self._make_link(locked=True) if self.own else self._make_link()
            await link.start()
            self._link, self._watchdog = link, Watchdog()
            return link

    async def close(self) -> None:
        self.keep()
        self._left = True
        if self.app.is_hosted:  # nothing is left behind where the server has not answered yet
            self.workers.cancel_group(self, "engine")
        async with self._swap:
            if self._link:
                await self._link.close()

    def send(self, command: wire.Command) -> None:
        if self._link:
            self._watchdog.sent(command)
            task = asyncio.create_task(self._link.send(command))  # a worker would cost half as much as a picture
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    def tick(self) -> None:
        if self.own and self._watchdog.tick(REDRAW, self.state.status):
            self.give_up(self.state.status)
        self.draw()
        self.rest()

    def rest(self) -> None:
        """Until there is something to draw, and it may be: where many share a machine, looking costs as much."""
        seconds = min(self.app.pause_of_drawing, LONGEST_REST)
        if self.own:  # the watchdog counts ticks
            return
        if not self.state.started or self._drawn == self._paid == self.state.deliveries:
            self._ticks.pause()  # something will be heard
        elif seconds > 2 * REDRAW:
            self._resting = True
            self._ticks.pause()
            self.set_timer(seconds, self.go_on)

    def go_on(self) -> None:
        self._resting = False
        self._ticks.resume()

    def give_up(self, status: Status) -> None:
        """What the learner wrote does not come back: end the engine."""
        self.run_worker(self._end_engine())
        seconds = round(self._watchdog.silent)
        self._watchdog = Watchdog()
        message = _("your kernel has not come back for {n} seconds: is there a loop without an end?").format(n=seconds)
        if status == "compiling":
            message = _("your file has not been compiled after {n} seconds: is there a loop outside a function?")
        hint = _("The engine was ended; nothing is lost. Mend what you wrote, or train with ours: press o.")
        self.hear(wire.Failed(message.format(n=seconds), hint, fatal=True))

    async def _end_engine(self) -> None:
        async with self._swap:
            if self._link:
                await self._link.close()

    def hear(self, event: wire.Event) -> None:
        """Fold an event into the state; drawing is the timer's work."""
        if not self._resting:
            self._ticks.resume()
        self._watchdog.heard(event)
        if isinstance(event, wire.Started):
            self.keep()
            self.before = self.state if self.state.step > 0 else self.before
            self._kept, self._compared = False, []
            self._drawn = self._paid = -1
            self.show_told()
        self.state = fold(self.state, event)
        if isinstance(event, wire.Ready):
            self.ready()
        if isinstance(event, wire.Finished | wire.Failed):
            self.keep()
            self.compare()
        if not isinstance(event, wire.Metrics | wire.Frame):
            self.show_status()
            self.app.place_changed()  # whether it trains belongs to where the learner is

    def ready(self) -> None:
        if self._compiles_first:
            self._compiles_first = False
            self.restart_engine()
        else:
            self.begin(paused=not self._wanted)

    def keep(self) -> None:
        """Keep the present run, once; at once, as the terminal may be gone."""
        if not self._kept and self.state.started and self.state.step > 0:
            self.app.keep_run(self.state)
        self._kept = True

    def speak(self, lesson: Lesson) -> None:
        """The same lab in another language."""
        self.lesson = lesson
        asked = {widget.body.id: widget.body for widget in lesson.widgets() if questions.is_prediction(widget.body)}
        self.guesses = tuple(Guess(asked[guess.prediction.id], guess.given) for guess in self.guesses)
        if self._compared and self.guesses:
            self._compared = self.comparisons()
            self.show_told()
        self.query_one(Knobs).knobs = lesson.knobs
        self._apply_knobs()
        self.redraw()

    def begin(self, paused: bool = False) -> None:
        self._wanted = False
        self.send(wire.Start(self.knobs, self.seed, self.steps, self.pace, paused))

    # ------------------------------------------------------------ keys

    def action_train(self) -> None:
        match self.state.status:
            case "running":
                self.send(wire.Pause())
            case "paused":
                self.send(wire.Resume())
            case "starting" | "compiling":
                self._wanted = not self._wanted
                self.show_status()
            case "dead":
                self.restart_engine()
            case "failed" if not self.state.started:  # it could not be opened
                self.restart_engine()
            case _:
                self.begin()

    def restart_engine(self) -> None:
        self.keep()
        self.state, self._wanted = RunState(own=self.own.exercise if self.own else ""), True
        self._drawn = self._paid = -1
        self.show_status()
        self.open()

    def action_step(self) -> None:
        if self.state.status in ("running", "paused"):
            self.send(wire.Step())

    def action_stop(self) -> None:
        if self.state.status in ("running", "paused"):
            self.send(wire.Stop())

    def action_rewind(self) -> None:
        if self.state.status == "dead":
            self.restart_engine()
        elif self.state.status not in ("starting", "compiling"):
            self.begin(paused=self.state.status != "running")

    def action_reseed(self) -> None:
        self.seed = random.randrange(1, 10_000)
        self.post_message(self.Changed())
        self.action_rewind()

    def action_pace(self) -> None:
        paces = list(PACES)
        self.pace = paces[(paces.index(self.pace) + 1) % len(paces)] if self.pace in paces else paces[0]
        self.send(wire.Pace(self.pace))
        self.post_message(self.Changed())
        self.show_setting()

    def action_knobs(self) -> None:
        """Into the knobs, or back out of them."""
        knobs = self.query_one(Knobs)
        if knobs.has_focus:
            self.set_class(self.size.height >= TALL, "-knobs")
            self.focus()
        else:
            self.add_class("-knobs")
            knobs.focus()

    def on_knobs_closed(self) -> None:
        self.action_knobs()

    def experiment(self, body: dict[str, Any], guesses: Sequence[Guess] = ()) -> None:
        """Run the lab with the setting that an experiment of the text asks for; `guesses` are about this run."""
        self.set_up(body)
        self.guesses = tuple(guesses)
        if self.state.status in ("starting", "compiling"):
            self._wanted = True
        elif self.state.status == "dead":
            self.restart_engine()
        else:
            self.begin()

    def set_up(self, body: dict[str, Any]) -> None:
        self.knobs = self.lesson.setting(body.get("set", {}))
        self.seed = body.get("seed", self.seed)
        self.steps = body.get("steps", self.lesson.steps)
        self.view = replace(self.view, first=tuple(body.get("show", ())), hidden=frozenset(), cursor=None)
        self._apply_knobs()

    # ------------------------------------------------------------ the learner's kernels

    def train_with(self, own: wire.Own | None, body: dict[str, Any] | None = None) -> None:
        """Train with what the learner wrote, in an engine that is locked up; None: with ours. `body`: set so."""
        self.own, self.before, self.guesses = own, None, ()
        if body is not None:
            self.set_up(body)
        ours_compile = not self.state.own and self.state.status in ("starting", "compiling")
        self._compiles_first = ours_compile and bool(own)
        if ours_compile:
            self._wanted = True
            self.show_status()
        else:
            self.restart_engine()

    def action_own(self) -> None:
        """From ours to the learner's, and back."""
        if self.app.is_playing:
            self.notify(_("This is a recording: it cannot train with anything else."))
            return
        own = None if self.own else race.latest(self.lesson, self.app.progress)
        if own or self.own:
            self.train_with(own)
        else:
            self.notify(_("There is nothing of yours to train with yet: e goes to an exercise."))

    # ------------------------------------------------------------ the learner's guesses

    def compare(self) -> None:
        """The run is over: say what came of the guesses about it."""
        over = self.state.status == "done" or (self.state.status == "failed" and self.state.started)
        if not over or self.own or not self.guesses:
            return
        self._compared = self.comparisons()
        with self.app.writing():
            for guess, found in zip(self.guesses, self._compared, strict=True):
                self.app.progress.resolve_guess(self.lesson.id, guess.prediction.id, found.outcome, found.right)
        self.show_told()
        self.post_message(self.Compared())

    def comparisons(self) -> list[questions.Comparison]:
        metrics = self.state.last_metrics()
        return [questions.compare(guess.prediction, guess.given, metrics) for guess in self.guesses]

    def show_told(self) -> None:
        self.set_class(bool(self._compared), "-told")
        lines = [
            Text.assemble(
                ("✓ ", self.app.ink("green")) if found.right else ("✕ ", self.app.ink("orange")), found.sentence
            )
            for found in self._compared
        ]
        self.query_one("#told", Static).update(Text("\n").join(lines))

    def turn(self, name: str, value: Any) -> None:
        """A live knob is turned under way; another begins the run anew."""
        self.knobs, self.guesses = self.knobs | {name: value}, ()  # nobody has guessed at this
        self._apply_knobs()
        if self.lesson.knobs[name].live:
            self.send(wire.Set(name, value))
        elif self.state.status not in ("starting", "compiling", "dead"):
            self.begin(paused=self.state.status != "running")

    def _apply_knobs(self) -> None:
        self.query_one(Knobs).set(self.knobs)
        self.show_setting()
        self.post_message(self.Changed())

    def on_knobs_turned(self, message: Knobs.Turned) -> None:
        self.turn(message.name, message.value)

    def on_knobs_asked(self, message: Knobs.Asked) -> None:
        """Ask for a value; none comes back from a dialog that was closed."""
        knob = message.knob
        effect = _("takes effect at once") if knob.live else _("starts the run again")
        note = _("{range}. Turning it {effect}.").format(range=knob.allowed(labels=True), effect=effect)

        def turn(value: Any) -> None:
            if value is not None:
                self.turn(knob.name, value)

        self.app.push_screen(Ask(knob.label, note, knob.format(self.knobs[knob.name]), knob.parse), turn)

    # ------------------------------------------------------------ how it is looked at

    def look(self, **changes: Any) -> None:
        self.view = replace(self.view, **changes)
        self.redraw()

    def action_log(self) -> None:
        self.look(log=not self.view.log)

    def action_recent(self) -> None:
        self.look(recent=not self.view.recent)

    def action_cursor(self) -> None:
        self.look(cursor=None if self.view.cursor is not None else self.state.step)

    def action_earlier(self) -> None:
        self._move(-1)

    def action_later(self) -> None:
        self._move(1)

    def _move(self, by: int) -> None:
        if self.view.cursor is None:
            return
        from dltutor.ui.plots.curves import RECENT

        span = RECENT if self.view.recent else self.state.step
        step = self.view.cursor + by * max(1, int(span) // 50)
        self.look(cursor=min(max(step, 0), self.state.step))

    def show_panel(self, number: int) -> None:
        names = [panel.name for panel in self.lesson.pictures]
        if number == 0:
            self.look(first=(), hidden=frozenset())
        elif number <= len(names):
            self._toggle_panel(names[number - 1])

    def _toggle_panel(self, name: str) -> None:
        """Hide a picture that is shown; bring one that is not to the front."""
        if name in self._shown:
            self.look(hidden=self.view.hidden | {name})
        else:
            first = (name, *(other for other in self.view.first if other != name))
            self.look(first=first, hidden=self.view.hidden - {name})

    def action_describe(self) -> None:
        self._describing = not self._describing
        self.set_class(self._describing, "-said")
        self.redraw()

    # ------------------------------------------------------------ drawing

    _shown: tuple[str, ...] = ()
    _nobody_looks = False
    _resting = False

    def draw(self) -> None:
        """Draw what was delivered since the last time, and pay for the next. What is not seen is not drawn."""
        if self._nobody_looks != (self.app.rate == 0):
            self._nobody_looks = not self._nobody_looks
            self.show_status()
        if not self.state.started or not self.app.may_draw():
            return
        seen, latest = self.is_on_screen, self.state.deliveries
        if seen and self._drawn != latest:
            self._drawn = latest
            with self.app.frame():
                self.show_progress()
                self.draw_pictures()
        if self._paid != latest:
            self._paid = latest
            self.send(wire.Grant(pictures=seen))

    @property
    def is_on_screen(self) -> bool:
        return self.display and self.app.screen is self.screen

    def redraw(self) -> None:
        self.show_status()
        if self.state.started:
            self.draw_pictures()

    def draw_pictures(self) -> None:
        board = self.query_one(Board)
        specs = self.wanted(panels_that_fit(*board.size))
        self._shown = tuple(spec.name for _number, spec in specs)
        board.show([self.panel(number, spec) for number, spec in specs], self.app.plot_look)
        if self._describing:
            self.query_one("#said", Static).update("\n".join(self.sentences()))

    def wanted(self, count: int) -> list[tuple[int, PanelSpec]]:
        """The first `count` pictures, with the numbers of their keys, in the order in which they are wanted."""
        order = {name: position for position, name in enumerate(self.view.first)}
        specs = [(number, spec) for number, spec in enumerate(self.lesson.pictures, 1) if self.state.has_picture(spec)]
        specs = [(number, spec) for number, spec in specs if spec.name not in self.view.hidden]
        return sorted(specs, key=lambda item: order.get(item[1].name, len(order)))[:count]

    def panel(self, number: int, spec: PanelSpec) -> tuple[str, Picture | None, dict[str, Any]]:
        title = f"{number} {spec.title}" + (f" {race.MARK}" if self.state.is_race else "")
        if not spec.curves:
            return title, self.picture(spec), {}
        view = {"recent": self.view.recent, "cursor": self.view.cursor, "behind": self.behind(spec)}
        return title, self.picture(spec), view

    def behind(self, spec: PanelSpec) -> list[Series]:
        """What is drawn dim: our kernels behind the learner's, or the run before this one; and what was guessed."""
        if self.state.is_race:
            return self.state.ours(spec.curves)
        before = self.before.curves(spec.curves, self.lesson.metric).series if self.before else []
        steps = self.state.started.steps if self.state.started else self.steps
        here = [guess for guess in self.guesses if guess.prediction.metric in spec.curves]
        return before + [line for guess in here for line in questions.behind(guess.prediction, guess.given, steps)]

    def picture(self, spec: PanelSpec) -> Picture | None:
        return self.state.picture(spec, self.lesson, self.view.log if spec.curves else None)

    def sentences(self) -> list[str]:
        """What the lab printed last; and all pictures in words, those that are shown first."""
        from dltutor.ui.plots.board import say

        printed = list(self.state.printed)[-PRINTED_SHOWN:]
        lines = [_("The lab printed:"), *(f"  {line}" for line in printed)] if printed else []
        specs = sorted(self.lesson.pictures, key=lambda spec: spec.name not in self._shown)
        if self.state.is_race:
            lines.append(", ".join(self.race_parts()))
        return lines + [f"{spec.title}: {say(picture)}" for spec in specs if (picture := self.picture(spec))]

    def on_board_resized(self) -> None:
        self.redraw()

    def show_status(self) -> None:
        if not self.is_mounted:
            return
        self.show_progress()
        self.show_setting()
        self.show_fault(self.state.failure)
        waiting = _("The lab gets its kernels compiled. Read on: it is ready when you are.")
        self.query_one(Board).wait("" if self.state.failure else waiting)

    def show_progress(self) -> None:
        """What each delivery changes."""
        parts = status_parts(self.state, self.lesson, self._wanted)
        if self._nobody_looks:
            parts.insert(1, _("drawing paused: press any key"))
        self.query_one("#status", Words).say("  ".join(fitting(parts, self.content_size.width - 2)))
        self.show_own()

    def show_own(self) -> None:
        marked = bool(self.own) or self.state.is_race
        self.set_class(marked, "-own")
        if marked:
            parts, width = self.race_parts(), self.content_size.width - 2
            if len(parts) > 1 and parts[1] not in fitting(parts, width):
                parts = [f"{race.MARK} {parts[1]}", *parts[2:]]  # how fast it is says more than its name
            self.query_one("#own", Words).say("  ".join(fitting(parts, width)))

    def race_parts(self) -> list[str]:
        metric = next((name for spec in self.lesson.pictures for name in spec.curves), "")
        return race.parts(self.own, self.state, self.lesson.metric(metric), metric)

    def show_fault(self, fault: wire.Failed | None) -> None:
        """What went wrong, what to do about it, and where it was in the code."""
        self.set_class(fault is not None, "-fault")
        if not fault:
            return
        box = self.query_one("#fault", Static)
        box.border_title = _("The run ended")
        text = Text(fault.message, self.app.ink("red"))
        if fault.hint:
            text.append("\n" + fault.hint, self.app.ink("text"))
        if fault.trace:
            text.append("\n" + "\n".join(fault.trace.splitlines()[-TRACE_LINES:]), self.app.ink("muted"))
        box.update(text)

    def show_setting(self) -> None:
        """All knobs in a line, seed and speed with them: enough to say what is running."""
        values = [f"{knob.label} {knob.format(self.knobs[name])}" for name, knob in self.lesson.knobs.items()]
        parts = fitting([pace_name(self.pace), f"{_('seed')} {self.seed}", *values], self.content_size.width - 2, " · ")
        self.query_one("#setting", Words).say(" · ".join(parts))


def panels_that_fit(width: int, height: int) -> int:
    """How many pictures can be read in so many cells."""
    return max(1, min(6, width * height // CELLS_A_PANEL))


def pace_name(pace: float) -> str:
    names = {"slow": _("slow"), "normal": _("normal"), "fast": _("fast"), "max": _("max")}
    return names.get(PACES.get(pace, ""), _("{pace:g} steps/s").format(pace=pace))


def fitting(parts: list[str], width: int, joint: str = "  ") -> list[str]:
    """As many of the first `parts` as stand whole in `width` cells, joined; one at least."""
    kept = parts
    while len(kept) > 1 and cell_len(joint.join([*kept, "…"] if kept != parts else kept)) > width:
        kept = kept[:-1]
    return kept if kept == parts else [*kept, "…"]


def status_parts(state: RunState, lesson: Lesson, wanted: bool) -> list[str]:
    """What the lab is doing, how far it is, whether it printed, and its metrics; the most important first."""
    if state.status == "compiling" and state.compiling:
        done, total = state.compiling.done, state.compiling.total
        bar = "▰" * round(10 * done / max(1, total)) + "▱" * (10 - round(10 * done / max(1, total)))
        text = _("compiling {n} of {total}: {kernel}").format(n=done + 1, total=total, kernel=state.compiling.kernel)
        return [f"{bar} {text}", *([_("starts when ready")] if wanted else [])]
    marks = {
        "starting": ("◌", _("starting the engine")),
        "ready": ("◌", _("getting the data ready")),
        "running": ("▶", _("training")),
        "paused": ("‖", _("space runs") if state.step == 0 else _("paused")),
        "done": ("✓", _("done")),
        "stopped": ("■", _("stopped")),
        "failed": ("✕", _("failed")),
        "dead": ("✕", _("engine ended; space starts a new one")),
    }
    mark, words = marks[state.status]
    parts = [f"{mark} {words}"]
    if state.started:
        parts.append(f"{state.step:,}/{state.started.steps:,}")
    if state.printed:
        parts.append(_("it printed (d)"))
    return parts + [f"{lesson.metric(name)} {value:.3g}" for name, value in state.last_metrics().items()]
