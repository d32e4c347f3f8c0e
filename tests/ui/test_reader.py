"""The text of every built-in lesson, as the reader shows it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from rich.cells import cell_len
from screens import composed, text, until
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from dltutor import lesson as lessons
from dltutor.lesson import Lesson
from dltutor.lesson.course import catalogue
from dltutor.progress import Progress
from dltutor.ui.app import Tutor
from dltutor.ui.plots.look import Look
from dltutor.ui.widgets.reader import Reader, drawn, inline

pytestmark = pytest.mark.usefixtures("brisk")
LESSONS = [entry.id for entry in catalogue("en").entries]
WIDTH = 70  # cells of the reader, its padding included: half of 140; alone in 80 it has more
TALL = 240  # rows in which any section fits


class Page(Screen):
    def __init__(self, lesson: Lesson) -> None:
        super().__init__()
        self._lesson = lesson

    def compose(self) -> ComposeResult:
        yield Reader(self._lesson, 0)


class Reading(Tutor):
    """Shows a lesson's text alone; there is no lab, and nothing is kept."""

    def __init__(self, lesson: Lesson) -> None:
        super().__init__(Progress.open(), Look("256"))
        self._page = Page(lesson)

    def get_default_screen(self) -> Screen:
        return self._page

    async def _prepare_engine(self) -> None:
        pass


@asynccontextmanager
async def reading(lesson: Lesson) -> AsyncIterator[tuple[Pilot, Reader]]:
    app = Reading(lesson)
    async with app.run_test(size=(WIDTH, TALL)) as pilot:
        await until(pilot, lambda: app.screen.query(Reader))
        yield pilot, app.screen.query_one(Reader)


async def turn_to(pilot: Pilot, reader: Reader, lesson: Lesson, index: int) -> None:
    await reader.show(lesson, index)
    await composed(pilot, reader)


def rows(reader: Reader) -> list[str]:
    """All rows of the section, without the margins left and right."""
    strips = reader.screen._compositor.render_strips()
    return [strip.text.rstrip() for strip in strips]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", LESSONS)
async def test_every_section_can_be_read(name, language):
    lesson = catalogue(language).find(name).load()
    assert lesson.language == language, lesson.notice
    async with reading(lesson) as (pilot, reader):
        for index, section in enumerate(lesson.sections):
            await turn_to(pilot, reader, lesson, index)
            page = rows(reader)
            seen, words = "\n".join(page), without_code(reader, page)
            where = f"{name} {language} {section.id}:\n{seen}"
            assert section.title in seen, where
            assert "TeXicode" not in seen and "\\" not in words, where
            assert "$" not in words, where
            assert "can't quote" not in seen, where
            assert reader.max_scroll_y == 0, f"{section.id} is longer than this test looks"
            for reference in (widget.argument for widget in section.widgets() if widget.kind == "kernel"):
                first = lessons.quote(reference, lesson.folder).source.splitlines()[0].strip()
                assert first[:40] in seen, where
            for widget in reader.query(Static):
                assert widget.region.right <= reader.region.right, where
            for formula in reader.query(".formula"):
                width = max(cell_len(row) for row in str(formula.content).split("\n"))
                assert width <= formula.content_region.width, f"{section.id}: {formula.content}"


def without_code(reader: Reader, page: list[str]) -> str:
    """What the section says outside kernels and fences: there a dollar or a backslash may stand."""
    code = [widget.region for widget in reader.query(".kernel, .code")]
    return "\n".join(row for y, row in enumerate(page) if not any(region.contains(region.x, y) for region in code))


async def test_formulas_can_be_seen_as_they_were_written():
    lesson = catalogue("en").find("01").load()
    index = next(i for i, section in enumerate(lesson.sections) if formulas(section))
    async with reading(lesson) as (pilot, reader):
        await turn_to(pilot, reader, lesson, index)
        assert "$$" not in text(pilot)
        await reader.toggle_source()
        for formula in formulas(lesson.sections[index]):
            await until(pilot, lambda: without_spaces(formula.tex) in without_spaces(text(pilot)))  # noqa: B023
        await reader.toggle_source()
        await until(pilot, lambda: "$$" not in text(pilot))


def without_spaces(words: str) -> str:
    return re.sub(r"\s", "", words)


def formulas(section) -> list:
    return [block for block in section.blocks if isinstance(block, lessons.Formula)]


async def test_no_line_breaks_within_a_short_formula_or_piece_of_code(tmp_path):
    folder = tmp_path / "99-breaks"
    folder.mkdir()
    words = "".join(f"{'x' * n} $a \\le b$ and `2 (p - t)`.\n\n" for n in range(1, 76))
    front = "---\nid: 99-breaks\ntitle: T\npart: 1\nminutes: 1\nquestion: Q\n---\n"
    (folder / "lesson.md").write_text(f"{front}## One {{#one}}\n\n{words}")
    async with reading(lessons.load(folder)) as (pilot, reader):
        await composed(pilot, reader)
        seen = "\n".join(rows(reader)).replace("\N{NO-BREAK SPACE}", " ")
    assert seen.count("a≤b") == seen.count("2 (p - t)") == 75


def test_what_cannot_be_drawn_is_shown_as_it_is_written():
    assert drawn(r"\nosuchcommand{") == (r"\nosuchcommand{",)
    assert inline(r"\frac{a}{b}") == r"\frac{a}{b}"
    assert inline(r"x^2 + 1") == "x²+1"
