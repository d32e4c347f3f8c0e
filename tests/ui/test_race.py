"""Training with what the learner wrote, on the screen: recordings in the place of engines."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from screens import shown, text, until
from textual.pilot import Pilot

from dltutor import i18n, wire
from dltutor.lesson import exercises
from dltutor.lesson.course import catalogue
from dltutor.lesson.exercises import Workbook
from dltutor.link import Playback, read_recording
from dltutor.progress import Progress
from dltutor.ui import race
from dltutor.ui.app import Tutor
from dltutor.ui.plots.look import Look
from dltutor.ui.watchdog import FIRST, STEP, Watchdog
from dltutor.ui.widgets.lab import Guess, Lab
from dltutor.wire import Own

pytestmark = pytest.mark.usefixtures("brisk")

RECORDINGS = Path(__file__).parents[1] / "recordings"
OWN = Own("06-mlp/dense-backward", "def dense_backward(): ...", ["dltutor/kernels/dense.py:dense_backward"])


class Silent:
    """An engine that begins a run and then says no more."""

    def __init__(self, *events: wire.Event) -> None:
        self.events_to_come = events
        self.closed = asyncio.Event()

    async def start(self) -> None: ...

    async def send(self, command: wire.Command) -> None: ...

    async def close(self) -> None:
        self.closed.set()

    async def events(self) -> AsyncIterator[wire.Event]:
        for event in self.events_to_come:
            yield event
        await self.closed.wait()


class Racing(Tutor):
    """Ours is one recording, a locked engine another one."""

    locked_link: Any = None
    made: tuple[tuple[bool, Any], ...] = ()

    def make_link(self, locked: bool = False):
        link = Playback(RECORDINGS / f"06-{'own' if locked else 'mlp'}.jsonl", 0.0)
        if locked and self.locked_link:
            link = self.locked_link
        self.made = (*self.made, (locked, link))
        return link

    async def _prepare_engine(self):
        pass


@pytest.fixture
def progress(home: Path) -> AsyncIterator[Progress]:
    with Progress.open(home) as opened:
        yield opened
    i18n.use("en")


@asynccontextmanager
async def racing(progress: Progress, size=(100, 30)) -> AsyncIterator[Pilot]:
    app = Racing(progress, Look("256"), "06-mlp")
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.screen.query(Lab))
        await until(pilot, lambda: lab(pilot).state.status == "done")
        yield pilot


def lab(pilot: Pilot) -> Lab:
    return pilot.app.screen.query_one(Lab)


async def raced(pilot: Pilot) -> None:
    await until(pilot, lambda: lab(pilot).state.is_race and lab(pilot).state.status == "done")


def written(source: str, name: str = "dense-backward") -> Own:
    """Put it where the learner writes."""
    exercise = exercises.load(catalogue("en").find("06-mlp").load(), name)
    Workbook().write(exercise, source)
    return Own(exercise.key, source, list(exercise.kernels))


# ---------------------------------------------------------------- the lab


async def test_whose_kernel_trains_how_fast_and_how_well_is_told_and_stays_after_the_end(progress):
    async with racing(progress, (140, 45)) as pilot:
        lab(pilot).train_with(OWN, {})
        await raced(pilot)
        await pilot.press("tab", "f")
        for words in ("your dense_backward", "a step: yours", "batch loss: yours 0.541, ours 0.281", "◆", "━━ ours"):
            await shown(pilot, words)


async def test_o_swaps_between_theirs_and_ours(progress):
    source = "def dense_backward(x, w, dy, dx, dw, db): ..."
    async with racing(progress) as pilot:
        expected = written(source)
        await pilot.press("o")
        await raced(pilot)
        assert lab(pilot).own == expected
        await pilot.press("o")
        await until(pilot, lambda: lab(pilot).state.status == "done" and not lab(pilot).state.is_race)
        assert "dense_backward" not in text(pilot)
        assert [locked for locked, _link in pilot.app.made] == [False, True, False]


async def test_o_without_anything_written_says_where_to_begin(progress):
    async with racing(progress) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: any("nothing of yours" in told.message for told in pilot.app._notifications))
        assert lab(pilot).own is None


async def test_a_run_with_theirs_is_kept_with_a_mark_and_their_metrics_only(progress):
    async with racing(progress) as pilot:
        lab(pilot).train_with(OWN, {})
        await raced(pilot)
        await until(pilot, lambda: len(progress.runs("06-mlp")) == 2)
    theirs, ours = progress.runs("06-mlp")
    assert theirs.setting["own"] == "06-mlp/dense-backward" and "own" not in ours.setting
    assert not any(name.startswith(wire.OURS) for name in theirs.metrics | progress.curves(theirs.id))


async def test_swapping_in_haste_leaves_one_engine_and_leaving_none(progress):
    async with racing(progress) as pilot:
        for own in (OWN, None, OWN, None, OWN):
            lab(pilot).train_with(own)
        await raced(pilot)
        links = [link for _locked, link in pilot.app.made]
        assert [link._closed for link in links] == [True] * (len(links) - 1) + [False]
        await pilot.press("escape")
        await until(pilot, lambda: links[-1]._closed)


async def test_a_loop_without_an_end_is_told_and_its_engine_ended(progress):
    started = wire.Started("06-mlp", {}, 0, 100, "cpu")
    for events, status, patience in (((started,), "ready", FIRST), ((started, wire.Resumed(0)), "running", STEP)):
        async with racing(progress) as pilot:
            endless = pilot.app.locked_link = Silent(wire.Ready("cpu", 0.1), *events)
            lab(pilot).train_with(OWN, {})
            await until(pilot, lambda status=status: lab(pilot).state.started and lab(pilot).state.status == status)
            for _tick in range(int(patience / 0.1) + 20):
                lab(pilot).tick()
            await until(pilot, endless.closed.is_set)
            await pilot.press("tab")
            await shown(pilot, "a loop without an end")
            await shown(pilot, "nothing is lost")
            pilot.app.locked_link = None
            await pilot.press("space")
            await raced(pilot)


async def test_what_cannot_be_compiled_is_told_and_ours_is_a_key_away(progress):
    async with racing(progress) as pilot:
        pilot.app.locked_link = Silent(wire.Failed("Numba cannot compile your dense_backward: no", "The line is: x"))
        lab(pilot).train_with(OWN, {})
        await pilot.press("tab")
        await shown(pilot, "Numba cannot compile")
        await pilot.press("o")
        await until(pilot, lambda: lab(pilot).state.status == "done")
        assert "Numba" not in text(pilot)


async def test_theirs_waits_until_ours_are_compiled(progress):
    """A locked engine could not keep what it compiles."""
    async with racing(progress) as pilot:
        lab(pilot).hear(wire.Compiling(0, 2, "dense_forward"))
        lab(pilot).train_with(OWN, {})
        assert len(pilot.app.made) == 1
        lab(pilot).hear(wire.Ready("cpu", 1.0))
        await raced(pilot)


# ---------------------------------------------------------------- guesses


async def test_a_guess_is_drawn_and_then_compared(progress):
    async with racing(progress, (140, 45)) as pilot:
        predictions = [w.body for w in lab(pilot).lesson.widgets() if w.kind == "predict" and w.body.lab]
        level = next(one for one in predictions if one.metric)
        given = [level.low, level.low] if hasattr(level, "low") else 0
        progress.add_guess("06-mlp", level.id, given, 2)
        lab(pilot).experiment({"show": ["loss"]}, [Guess(level, given)])
        for _at, event in read_recording(RECORDINGS / "06-mlp.jsonl"):
            lab(pilot).hear(event)
        await until(pilot, lambda: progress.guess("06-mlp", level.id).right is not None)
        await pilot.press("tab")
        await until(pilot, lambda: "You said" in text(pilot) or "xpected" in text(pilot))


async def test_a_turned_knob_makes_it_another_run_that_nobody_has_guessed_at(progress):
    async with racing(progress) as pilot:
        level = next(w.body for w in lab(pilot).lesson.widgets() if w.kind == "predict" and w.body.lab)
        lab(pilot).guesses = (Guess(level, 0),)
        lab(pilot).turn("lr", 0.02)
        assert not lab(pilot).guesses


# ---------------------------------------------------------------- pieces


def test_the_file_written_last_is_the_one_and_its_check_is_remembered(progress):
    lesson = catalogue("en").find("06-mlp").load()
    assert race.latest(lesson, progress) is None
    written("first", "dense-forward")
    written("second")
    for name, at in (("dense-forward", 2_000_000_000), ("dense-backward", 1_000_000_000)):
        os.utime(Workbook().path(exercises.load(lesson, name)), (at, at))
    progress.note_attempt("06-mlp", "dense-forward", "first", True)
    found = race.latest(lesson, progress)
    assert (found.exercise, found.source, found.passed) == ("06-mlp/dense-forward", "first", True)


@pytest.mark.parametrize(
    ("kernel", "chosen", "device"),
    [("tanh_backward", "emulate", "cpu"), ("tanh_backward_cuda", "cpu", "emulate"), ("x_cuda", "cuda", "cuda")],
)
def test_a_kernel_trains_on_the_device_it_is_written_for(kernel, chosen, device):
    assert race.device_for(Own("a/b", "", [f"dltutor/kernels/tanh.py:{kernel}"]), chosen) == device


def test_nothing_is_waited_for_where_nothing_was_asked():
    dog = Watchdog()
    dog.sent(wire.Open("a"))
    dog.heard(wire.Ready("cpu", 1.0))
    assert not any(dog.tick(1.0, "paused") for _second in range(100))
    dog.sent(wire.Step())
    assert any(dog.tick(1.0, "paused") for _second in range(10))
    dog.heard(wire.Paused(1))
    assert not dog.tick(1.0, "paused")


def test_a_slow_screen_is_not_taken_for_an_endless_loop():
    """Without credit the engine has nothing to say."""
    dog = Watchdog()
    dog.sent(wire.Grant())
    dog.heard(wire.Resumed(0))
    dog.heard(wire.Metrics(0, {}))
    assert not any(dog.tick(1.0, "running") for _second in range(100))


async def test_where_there_is_little_room_the_time_of_a_step_matters_more_than_a_name(progress):
    async with racing(progress, (100, 30)) as pilot:
        lab(pilot).train_with(OWN, {})
        await raced(pilot)
        await shown(pilot, "◆ a step: yours")
