"""When the lab draws: what is delivered, once; nothing that nobody sees; and never at the cost of the training."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from screens import shown, text, until
from textual._compositor import Compositor
from textual.pilot import Pilot

from dltutor import wire
from dltutor.page import Page
from dltutor.progress import Progress
from dltutor.ui.app import Tutor
from dltutor.ui.pacer import KEY_FIRST, Attention
from dltutor.ui.plots.look import Look
from dltutor.ui.widgets.board import Board
from dltutor.ui.widgets.lab import Lab
from dltutor.wire import Array

pytestmark = pytest.mark.usefixtures("brisk")

REDRAW = 0.02
"""Seconds between two drawings: nobody looks at these."""


@pytest.fixture(autouse=True)
def quick(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dltutor.ui.widgets.lab.REDRAW", REDRAW)


class Engine:
    """Delivers one step for each credit, as long as there is any."""

    pid, notice = None, ""

    def __init__(self) -> None:
        self.said: asyncio.Queue[wire.Event | None] = asyncio.Queue()
        self.credit, self.step, self.started = 0, 0, False

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        self.said.put_nowait(None)

    async def send(self, command: wire.Command) -> None:
        match command:
            case wire.Open():
                self.said.put_nowait(wire.Ready("cpu", 0.0))
            case wire.Start(knobs, seed, steps):
                self.said.put_nowait(wire.Started("tiny", knobs, seed, steps, "cpu"))
                self.said.put_nowait(wire.Resumed(0))
                self.started = True
                self.deliver()
            case wire.Grant(frames):
                self.credit += frames
                self.deliver()

    def deliver(self) -> None:
        while self.started and self.credit:
            self.credit, self.step = self.credit - 1, self.step + 1
            loss = Array("f8", (1,), memoryview(bytearray(8)).cast("d").tobytes())
            self.said.put_nowait(wire.Metrics(self.step, {"loss": loss}))

    async def events(self) -> AsyncIterator[wire.Event]:
        while (event := await self.said.get()) is not None:
            yield event


class Trained(Tutor):
    def make_link(self, locked: bool = False) -> Any:
        self.engine = Engine()
        return self.engine

    async def _prepare_engine(self) -> None:
        pass


@asynccontextmanager
async def training(home: Path) -> AsyncIterator[Pilot]:
    """A run under way, and its pictures seen."""
    with Progress.open(home) as progress:
        app = Trained(progress, Look("256"), "tiny")
        async with app.run_test(size=(140, 45)) as pilot:
            await shown(pilot, "training")
            await until(pilot, lambda: app.engine.step > 3)
            yield pilot


def beats(pilot: Pilot) -> list[int]:
    """Grows from now on each time that the lab might draw."""
    beaten: list[int] = []
    pilot.app.set_interval(REDRAW, lambda: beaten.append(1))
    return beaten


def drawings(pilot: Pilot, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each drawing from now on."""
    drawn: list[int] = []
    show = Board.show
    monkeypatch.setattr(Board, "show", lambda board, *rest: (drawn.append(1), show(board, *rest)))
    return drawn


async def test_each_delivery_is_paid_for_once(home):
    async with training(home) as pilot:
        lab = pilot.app.screen.query_one(Lab)
        await until(pilot, lambda: pilot.app.engine.step > 10)
        assert pilot.app.engine.step - lab.state.deliveries <= 1


async def test_under_a_dialog_nothing_is_drawn_and_the_run_goes_on(home, monkeypatch):
    async with training(home) as pilot:
        lab = pilot.app.screen.query_one(Lab)
        await pilot.press("question_mark")
        await shown(pilot, "all keys of this screen")
        drawn, step = drawings(pilot, monkeypatch), pilot.app.engine.step
        await until(pilot, lambda: lab.state.step > step + 5)
        assert not drawn
        await pilot.press("escape")
        await until(pilot, lambda: drawn)


async def test_in_a_terminal_too_small_nothing_is_drawn(home, monkeypatch):
    async with training(home) as pilot:
        lab = pilot.app.screen.query_one(Lab)
        await pilot.resize_terminal(30, 8)
        await shown(pilot, "Too small")
        drawn, step = drawings(pilot, monkeypatch), pilot.app.engine.step
        await until(pilot, lambda: lab.state.step > step + 5)
        assert not drawn


async def test_on_the_way_to_the_knobs_and_back_the_rest_of_the_screen_is_not_drawn_anew(home, monkeypatch):
    async with training(home) as pilot:
        whole: list[object] = []
        draw_all = Compositor.render_full_update
        monkeypatch.setattr(
            Compositor, "render_full_update", lambda *rest, **options: (whole.append(1), draw_all(*rest, **options))[1]
        )
        beaten = beats(pilot)
        await until(pilot, lambda: len(beaten) > len(whole) + 5)  # the first screen is complete
        whole.clear()
        await pilot.press("k")
        await shown(pilot, "‹")
        await pilot.press("k")
        await until(pilot, lambda: "‹" not in text(pilot))
        assert not whole


async def test_a_lab_that_waits_for_its_learner_does_nothing(home, monkeypatch):
    async with training(home) as pilot:
        lab, app = pilot.app.screen.query_one(Lab), pilot.app
        app.engine.started = False  # it says nothing more
        beaten, ticks = beats(pilot), [0]
        draw = lab.draw
        monkeypatch.setattr(lab, "draw", lambda: (ticks.append(len(beaten)), draw()))
        await until(pilot, lambda: len(beaten) > ticks[-1] + 5)
        app.engine.started = True
        drawn = drawings(pilot, monkeypatch)
        app.engine.deliver()
        await until(pilot, lambda: drawn)


async def test_where_drawings_are_rare_the_lab_does_not_look_ten_times_for_each(home, monkeypatch):
    async with training(home) as pilot:
        lab, app = pilot.app.screen.query_one(Lab), pilot.app
        page, descriptor = Page.create()
        os.close(descriptor)
        app.page, page.rate = page, 0.1 / REDRAW
        ticks: list[int] = []
        draw = lab.draw
        monkeypatch.setattr(lab, "draw", lambda: (ticks.append(1), draw()))
        drawn, step = drawings(pilot, monkeypatch), app.engine.step
        await until(pilot, lambda: len(drawn) >= 3)
        assert len(ticks) <= 5 * len(drawn) and app.engine.step > step
        page.rate = 1 / REDRAW
        await until(pilot, lambda: len(drawn) >= 10)
        app.page = None
        page.close()


async def test_for_nobody_nothing_is_drawn_it_is_said_and_a_key_goes_on(home, monkeypatch):
    async with training(home) as pilot:
        now = [0.0]
        pilot.app.attention = Attention(lambda: now[0])
        now[0] = Attention.GONE
        await shown(pilot, "drawing paused: press any key")
        drawn, beaten = drawings(pilot, monkeypatch), beats(pilot)
        await until(pilot, lambda: len(beaten) > 5)
        assert not drawn
        await pilot.press("x")
        now[0] += 2 * KEY_FIRST
        await until(pilot, lambda: drawn and "drawing paused" not in text(pilot))
