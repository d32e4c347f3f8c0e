"""The question which shapes the terminal has."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from screens import text, until
from textual.pilot import Pilot

from dltutor import i18n
from dltutor.progress import Progress
from dltutor.ui.app import Tutor
from dltutor.ui.plots.look import Look, memory_of
from dltutor.ui.screens.glyphs import CURVES, WhichGlyphs
from dltutor.ui.screens.home import Home
from dltutor.ui.screens.lesson import LessonScreen
from dltutor.ui.widgets.lab import Lab

pytestmark = pytest.mark.usefixtures("brisk")
RECORDING = Path(__file__).parents[1] / "recordings" / "06-mlp.jsonl"
BRAILLE = set(map(chr, range(0x2801, 0x2900)))


@pytest.fixture
def progress(home: Path) -> AsyncIterator[Progress]:
    with Progress.open(home) as opened:
        yield opened
    i18n.use("en")


@asynccontextmanager
async def asked(progress: Progress, lesson: str = "", size=(80, 24)) -> AsyncIterator[Pilot]:
    """The application at the moment when it asks."""
    app = Tutor(progress, Look("256"), lesson, RECORDING)
    app.play_speed, app.asks_glyphs = 0.0, True
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, WhichGlyphs) and app.screen.query("#box Static"))
        yield pilot


@pytest.mark.parametrize(
    ("key", "glyphs"),
    [("1", "braille"), ("2", "block"), ("3", "ascii"), ("escape", "braille"), ("enter", "braille")],
)
async def test_a_number_is_an_answer_and_it_is_kept(progress, key, glyphs):
    async with asked(progress) as pilot:
        await pilot.press(key)
        await until(pilot, lambda: isinstance(pilot.app.screen, Home))
        assert pilot.app.plot_look.glyphs == glyphs
        assert progress.preference(memory_of(os.environ)) == glyphs


@pytest.mark.parametrize("size", [(80, 24), (140, 45), (40, 12)])
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_all_three_are_seen_at_once(progress, size, language):
    i18n.use(language)
    async with asked(progress, size=size) as pilot:
        seen = text(pilot)
        assert all(curve.splitlines()[0] in seen for curve in CURVES.values())
        assert pilot.app.screen.query_one("#box").max_scroll_y == 0


def test_each_curve_is_drawn_in_what_it_stands_for():
    assert set("".join(CURVES["braille"].split())) <= BRAILLE
    assert not set("".join(CURVES["block"].split())) & BRAILLE
    assert CURVES["ascii"].isascii() and not CURVES["block"].isascii()


async def test_the_lesson_that_was_named_opens_after_the_answer(progress):
    async with asked(progress, "06-mlp") as pilot:
        await pilot.press("3")
        await until(pilot, lambda: isinstance(pilot.app.screen, LessonScreen) and pilot.app.screen.query(Lab))


async def test_it_can_be_asked_for_and_what_is_open_is_drawn_anew(progress):
    async with asked(progress, "06-mlp", size=(140, 45)) as pilot:
        await pilot.press("1")
        await until(pilot, lambda: pilot.app.screen.query(Lab) and BRAILLE & set(text(pilot)))
        pilot.app.action_glyphs()
        await until(pilot, lambda: isinstance(pilot.app.screen, WhichGlyphs))
        await pilot.press("3")
        await until(pilot, lambda: pilot.app.screen.query(Lab) and "****" in text(pilot))
        assert not BRAILLE & set(text(pilot))


async def test_the_palette_leads_to_it(progress):
    async with asked(progress) as pilot:
        await pilot.press("escape")
        commands = {command.title: command for command in pilot.app.get_system_commands(pilot.app.screen)}
        commands["What this terminal shows"].callback()
        await until(pilot, lambda: isinstance(pilot.app.screen, WhichGlyphs))
