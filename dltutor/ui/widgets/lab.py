"""The lab beside the text: its engine, what it says, and the keys that drive it."""

from __future__ import annotations

import random
from collections.abc import Callable
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
from dltutor.lesson import Lesson, PanelSpec
from dltutor.link import EngineLink, Playback
from dltutor.pictures import Picture
from dltutor.ui.run_state import RunState, fold
from dltutor.ui.screens.dialogs import Ask
from dltutor.ui.typed import InTutor
from dltutor.ui.widgets.board import Board
from dltutor.ui.widgets.knobs import Knobs

PACES = {3.0: "slow", 30.0: "normal", 300.0: "fast", 0.0: "max"}
REDRAW = 0.1  # seconds between two drawings
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


class Lab(InTutor, Vertical):
    """Owns the engine of one lesson, from opening to leaving."""

    DEFAULT_CSS = """
    Lab { padding: 0; }
    Lab > #status { height: 1; padding: 0 1; color: $text; }
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
    """
    can_focus = True

    class Changed(Message):
        """The learner turned a knob, drew a seed or changed the speed."""

    def __init__(
        self, lesson: Lesson, link: Callable[[], Link], setting: dict[str, Any] | None = None, **options: Any
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
        self._make_link = link
        self._link: Link | None = None
        self._wanted = False  # run as soon as it is ready
        self._kept = True  # the present run is in the progress file, or not worth it
        self._drawn = -1  # deliveries
        self._describing = False

    # ------------------------------------------------------------ what it is made of

    def compose(self) -> ComposeResult:
        yield Static(id="status", markup=False)
        yield Static(id="fault", markup=False)
        yield Board(_("The lab gets its kernels compiled. Read on: it is ready when you are."), id="board")
        yield Static(id="said", markup=False)
        yield Static(id="setting", markup=False)
        yield Knobs(self.lesson.knobs, self.knobs)

    def on_mount(self) -> None:
        self.set_interval(REDRAW, self.draw)
        self.open()

    def on_resize(self) -> None:
        self.set_class(self.size.height >= TALL or self.query_one(Knobs).has_focus, "-knobs")
        self.show_status()

    def setting(self) -> dict[str, Any]:
        """What brings this lab back as it is."""
        return {"knobs": self.knobs, "seed": self.seed, "pace": self.pace}

    # ------------------------------------------------------------ the engine

    def open(self) -> None:
        """Start an engine, in place of a dead one where there is one."""
        self.run_worker(self._serve(), exclusive=True, group="engine")

    async def _serve(self) -> None:
        try:
            await self._converse()
        except (DltutorError, OSError) as error:  # no such recording, or no process to be had
            self.hear(wire.Failed(str(error), fatal=True))

    async def _converse(self) -> None:
        if self._link:
            await self._link.close()
        link = self._link = self._make_link()
        await link.start()
        await link.send(wire.Open(self.lesson.id, self.app.device))
        await link.send(wire.Grant())
        async for event in link.events():
            self.hear(event)

    async def close(self) -> None:
        self.keep()
        if self._link:
            await self._link.close()

    def send(self, command: wire.Command) -> None:
        if self._link:
            self.run_worker(self._link.send(command), group="commands")

    def hear(self, event: wire.Event) -> None:
        """Fold an event into the state; drawing is the timer's work."""
        if isinstance(event, wire.Started):
            self.keep()
            self.before = self.state if self.state.step > 0 else self.before
            self._kept, self._drawn = False, -1
        self.state = fold(self.state, event)
        if isinstance(event, wire.Ready):
            self.begin(paused=not self._wanted)
        if isinstance(event, wire.Finished | wire.Failed):
            self.keep()
        if not isinstance(event, wire.Metrics | wire.Frame):
            self.show_status()

    def keep(self) -> None:
        """Keep the present run, once; at once, as the terminal may be gone."""
        if not self._kept and self.state.started and self.state.step > 0:
            self.app.keep_run(self.state)
        self._kept = True

    def speak(self, lesson: Lesson) -> None:
        """The same lab in another language."""
        self.lesson = lesson
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
            case _:
                self.begin()

    def restart_engine(self) -> None:
        self.state, self._wanted, self._drawn = RunState(), True, -1
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

    def experiment(self, body: dict[str, Any]) -> None:
        """Run the lab with the setting that an experiment of the text asks for."""
        self.knobs = self.lesson.setting(body.get("set", {}))
        self.seed = body.get("seed", self.seed)
        self.steps = body.get("steps", self.lesson.steps)
        self.view = replace(self.view, first=tuple(body.get("show", ())), hidden=frozenset(), cursor=None)
        self._apply_knobs()
        if self.state.status in ("starting", "compiling"):
            self._wanted = True
        else:
            self.begin()

    def turn(self, name: str, value: Any) -> None:
        """A live knob is turned under way; another begins the run anew."""
        self.knobs = self.knobs | {name: value}
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

    def draw(self) -> None:
        """Draw what was delivered since the last time, and pay for the next."""
        if self._drawn == self.state.deliveries or not self.state.started or not self.app.may_draw():
            return
        self._drawn = self.state.deliveries
        self.redraw()
        self.app.frame_drawn()
        self.send(wire.Grant(pictures=self.is_on_screen))

    @property
    def is_on_screen(self) -> bool:
        return self.display and self.app.screen is self.screen

    def redraw(self) -> None:
        self.show_status()
        if not self.state.started:
            return
        board = self.query_one(Board)
        specs = self.wanted(panels_that_fit(*board.size))
        self._shown = tuple(spec.name for _number, spec in specs)
        board.show([self.panel(number, spec) for number, spec in specs], self.app.plot_look)
        if self._describing:
            self.query_one("#said", Static).update("\n".join(self.sentences()))

    def wanted(self, count: int) -> list[tuple[int, PanelSpec]]:
        """The first `count` pictures, with the numbers of their keys, in the order in which they are wanted."""
        order = {name: position for position, name in enumerate(self.view.first)}
        specs = [(number, spec) for number, spec in enumerate(self.lesson.pictures, 1) if self.picture(spec)]
        specs = [(number, spec) for number, spec in specs if spec.name not in self.view.hidden]
        return sorted(specs, key=lambda item: order.get(item[1].name, len(order)))[:count]

    def panel(self, number: int, spec: PanelSpec) -> tuple[str, Picture | None, dict[str, Any]]:
        if not spec.curves:
            return f"{number} {spec.title}", self.picture(spec), {}
        before = self.before.curves(spec.curves, self.lesson.metric).series if self.before else []
        view = {"recent": self.view.recent, "cursor": self.view.cursor, "behind": before}
        return f"{number} {spec.title}", self.picture(spec), view

    def picture(self, spec: PanelSpec) -> Picture | None:
        return self.state.picture(spec, self.lesson, self.view.log if spec.curves else None)

    def sentences(self) -> list[str]:
        """What the lab printed last; and all pictures in words, those that are shown first."""
        from dltutor.ui.plots.board import say

        printed = list(self.state.printed)[-PRINTED_SHOWN:]
        lines = [_("The lab printed:"), *(f"  {line}" for line in printed)] if printed else []
        specs = sorted(self.lesson.pictures, key=lambda spec: spec.name not in self._shown)
        return lines + [f"{spec.title}: {say(picture)}" for spec in specs if (picture := self.picture(spec))]

    def on_board_resized(self) -> None:
        self.redraw()

    def show_status(self) -> None:
        if not self.is_mounted:
            return
        line = "  ".join(fitting(status_parts(self.state, self.lesson, self._wanted), self.content_size.width - 2))
        self.query_one("#status", Static).update(Text(line, no_wrap=True), layout=False)
        self.show_setting()
        self.show_fault(self.state.failure)

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
        self.query_one("#setting", Static).update(Text(" · ".join(parts), no_wrap=True), layout=False)


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
