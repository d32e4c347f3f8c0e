"""The review and what the first screen says of it, driven by keys, with a small lesson of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from screens import same_as_snapshot, shown, text, until
from textual.pilot import Pilot

from dltutor import i18n
from dltutor.lesson import course
from dltutor.lesson.course import catalogue
from dltutor.progress import Progress, days, schedule
from dltutor.progress.records import moment
from dltutor.ui.app import Tutor
from dltutor.ui.plots.look import Look
from dltutor.ui.screens.home import Home
from dltutor.ui.screens.lesson import LessonScreen
from dltutor.ui.screens.review import FlipCard, ReviewScreen
from dltutor.ui.widgets.cards import ReviewCard

pytestmark = pytest.mark.usefixtures("brisk")
SMALL, LARGE = (80, 24), (140, 45)
LESSON = """---
id: 91-odds
title: {title}
part: 1
minutes: 5
question: {question}
---

## {first} {{#idea}}

{text}

```quiz
id: even
title: {quiz}
question: {asked}
choices:
{choices}
```

## {second} {{#cards}}

```review
id: deck
cards:
  - {{id: sign, front: "{front}", back: "{back}"}}
  - {{id: formula, front: "{front2}", back: '$\\sigma(z) = \\frac{{1}}{{1 + e^{{-z}}}}$, {back2}'}}
```
"""
ENGLISH = {
    "title": "Odds and chances",
    "question": "What are the odds?",
    "first": "The idea",
    "text": "Odds are a quotient.",
    "quiz": "Even odds",
    "asked": "The odds are one to one. How large is the chance?",
    "choices": "  - {text: a half, right: true, why: One of two.}\n  - {text: a third, why: That is one to two.}",
    "second": "To keep",
    "front": "Which way does the gradient point?",
    "back": "Uphill, so we go the other way.",
    "front2": "The sigmoid, as a formula?",
    "back2": "from 0 to 1.",
}
CHINESE = ENGLISH | {
    "title": "胜算与概率",
    "question": "胜算是多少？",
    "first": "想法",
    "text": "胜算是一个比。",
    "quiz": "一比一",
    "asked": "胜算是一比一，概率有多大？",
    "choices": "  - {text: 一半, why: 两个里的一个。}\n  - {text: 三分之一, why: 那是一比二。}",
    "second": "要记住的",
    "front": "梯度指向哪边？",
    "back": "上坡，所以我们反着走。",
    "front2": "写出 sigmoid 的公式。",
    "back2": "从 0 到 1。",
}
ITEMS = ("even", "deck/sign", "deck/formula")
STARTED = datetime.now(UTC)
NOW = STARTED.astimezone().replace(hour=12, minute=0).astimezone(UTC)
CLOCKS = ("progress.records", "progress.days", "progress.schedule", "ui.screens.review", "ui.widgets.questions")


class FromNoon(datetime):
    """It is noon when the tests begin: no day ends in the midst of one."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) + (NOW - STARTED)


@pytest.fixture
def progress(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Progress]:
    """A learner's progress, in a course of one lesson with two exercises."""
    for name in CLOCKS:
        monkeypatch.setattr(f"dltutor.{name}.datetime", FromNoon)
    folder = tmp_path / "91-odds"
    for name in ("first", "second"):
        (folder / "exercises" / name).mkdir(parents=True)
        (folder / "exercises" / name / "task.md").touch()
    (folder / "lesson.md").write_text(LESSON.format(**ENGLISH))
    chinese = LESSON.format(**CHINESE).replace("part: 1\nminutes: 5\n", "")
    (folder / "lesson.zh.md").write_text(chinese)
    monkeypatch.setattr(course, "built_in", lambda: tmp_path)
    with Progress.open(home) as opened:
        yield opened
    i18n.use("en")


class Quiet(Tutor):
    """Starts no engine ahead."""

    async def _prepare_engine(self) -> None:
        pass


@asynccontextmanager
async def tutor(progress: Progress, size: tuple[int, int] = SMALL, review: bool = True) -> AsyncIterator[Pilot]:
    app = Quiet(progress, Look("256"), review=review)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.screen.query("#top" if review else "#title"))
        yield pilot


def make_due(progress: Progress, *items: str, ago: int = 2) -> None:
    for number, item in enumerate(items):
        progress.set_card("91-odds", item, {}, moment(NOW - timedelta(days=ago, minutes=-number)))


def due(progress: Progress) -> set[str]:
    return {each.item for each in schedule.due(progress, catalogue(), FromNoon.now(UTC))}


def card(pilot: Pilot) -> FlipCard:
    return pilot.app.screen.query_one(FlipCard)


# ---------------------------------------------------------------- how it looks


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "140x45"])
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_review_looks_as_it_did(progress: Progress, language: str, size: tuple[int, int]) -> None:
    i18n.use(language)
    make_due(progress, "deck/formula", "even", "deck/sign")
    name = f"{language}-{size[0]}x{size[1]}-dark"
    async with tutor(progress, size) as pilot:
        await until(pilot, lambda: pilot.app.screen.query(FlipCard))
        await same_as_snapshot(pilot, f"review-front-{name}")
        await pilot.press("space")
        await same_as_snapshot(pilot, f"review-back-{name}")
        await pilot.press("1")
        await until(pilot, lambda: "2/3" in text(pilot))
        await pilot.press("enter")
        await same_as_snapshot(pilot, f"review-quiz-{name}")
        await pilot.press("n")
        await until(pilot, lambda: "3/3" in text(pilot))
        await pilot.press("n")
        await until(pilot, lambda: not pilot.app.screen.query(FlipCard))
        await same_as_snapshot(pilot, f"review-end-{name}")


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "140x45"])
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_the_first_screen_of_a_learner_looks_as_it_did(
    progress: Progress, language: str, size: tuple[int, int]
) -> None:
    i18n.use(language)
    make_due(progress, "even", "deck/sign")
    schedule.rate(progress, "91-odds", "deck/formula", schedule.AGAIN)
    progress.complete("91-odds", "idea")
    progress.set_place("91-odds", "cards")
    progress.note_attempt("91-odds", "first", "", True)
    for item, sure, right in (("a", 3, True), ("b", 3, False), ("c", 2, True), ("d", 1, False)):
        progress.add_guess("91-odds", item, 0, sure)
        progress.resolve_guess("91-odds", item, 0, right)
    async with tutor(progress, size, review=False) as pilot:
        await until(pilot, lambda: pilot.app.screen.chosen and pilot.app.screen.chosen.id == "91-odds")
        await same_as_snapshot(pilot, f"home-today-{language}-{size[0]}x{size[1]}-dark")


# ---------------------------------------------------------------- a sitting


async def test_a_card_is_turned_and_rated_and_comes_back_as_was_said(progress: Progress) -> None:
    make_due(progress, "deck/sign")
    async with tutor(progress) as pilot:
        await shown(pilot, "Which way does the gradient point?")
        assert "Uphill" not in text(pilot) and "Odds and chances" in text(pilot) and "To keep" in text(pilot)
        await pilot.press("3")  # nothing to rate yet
        await pilot.press("space")
        await shown(pilot, "Uphill")
        outlook = schedule.outlook(progress, "91-odds", "deck/sign")
        await shown(pilot, f"good    {days.when(outlook[schedule.GOOD], days.day_of(NOW))}")
        await pilot.press("3")
        await shown(pilot, "1 card reviewed: you knew them all.")
    kept = progress.card("91-odds", "deck/sign")
    assert kept and kept.due == moment(days.start_of(outlook[schedule.GOOD]))


async def test_a_quiz_is_asked_anew_and_its_verdict_stays_until_one_goes_on(progress: Progress) -> None:
    progress.add_answer("91-odds", "even", 0, True)
    make_due(progress, "even", "deck/sign")
    async with tutor(progress) as pilot:
        await shown(pilot, "How large is the chance?")
        assert "One of two." not in text(pilot)
        wrong = "1" if " 1  a third" in text(pilot) else "2"
        await pilot.press(wrong)
        await shown(pilot, "That is one to two.")
        await pilot.press("n")
        await shown(pilot, "Which way")
    assert not progress.answers("91-odds")["even"].right
    kept = progress.card("91-odds", "even")
    assert kept and kept.due == moment(days.start_of(days.day_of(NOW) + timedelta(days=1)))


async def test_trying_again_does_not_make_a_wrong_answer_right(progress: Progress) -> None:
    make_due(progress, "even")
    async with tutor(progress) as pilot:
        await shown(pilot, "How large is the chance?")
        wrong, right = ("1", "2") if " 1  a third" in text(pilot) else ("2", "1")
        await pilot.press(wrong)
        await shown(pilot, "That is one to two.")
        await pilot.press("enter", right)
        await shown(pilot, "One of two.")
        await pilot.press("n")
        await shown(pilot, "you knew 0")
        await shown(pilot, "The idea")  # where to read it again
        await shown(pilot, "next: 1 card tomorrow")


async def test_leaving_in_the_midst_keeps_what_was_answered(progress: Progress) -> None:
    make_due(progress, *ITEMS)
    async with tutor(progress) as pilot:
        await until(pilot, lambda: "1/3" in text(pilot))
        await pilot.press("n")
        await shown(pilot, "Which way")
        await pilot.press("space", "4")
        await until(pilot, lambda: "3/3" in text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, Home))
        await shown(pilot, "2 cards are due")
    assert due(progress) == {"even", "deck/formula"}


async def test_the_key_leads_to_the_section_where_it_was_taught(progress: Progress) -> None:
    progress.set_place("91-odds", "idea", 3.0)
    make_due(progress, "deck/sign")
    async with tutor(progress) as pilot:
        await shown(pilot, "Which way")
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, LessonScreen))
        await shown(pilot, "To keep")
        assert pilot.app.screen.reader.section.id == "cards"
        assert not any(isinstance(screen, ReviewScreen) for screen in pilot.app.screen_stack)
    assert due(progress) == {"deck/sign"}


async def test_another_language_asks_the_same(progress: Progress) -> None:
    make_due(progress, "deck/sign", "even")
    async with tutor(progress) as pilot:
        await shown(pilot, "Which way")
        await pilot.press("L")
        await shown(pilot, "梯度指向哪边？")
        await pilot.press("space")
        await shown(pilot, "上坡")
        await pilot.press("T")
        await shown(pilot, "上坡")  # turned it stays
        await pilot.press("3")
        await shown(pilot, "概率有多大")
        await pilot.press("L")
        await shown(pilot, "How large is the chance?")
        assert "2/2" in text(pilot)


async def test_a_formula_that_is_high_stands_by_itself(progress: Progress) -> None:
    make_due(progress, "deck/formula")
    async with tutor(progress) as pilot:
        await shown(pilot, "The sigmoid")
        await pilot.press("space")
        await shown(pilot, "1+e")
        assert "frac" not in text(pilot) and "from 0 to 1." in text(pilot)


async def test_what_was_skipped_stays_due(progress: Progress) -> None:
    make_due(progress, "deck/sign", "even")
    async with tutor(progress) as pilot:
        await shown(pilot, "1/2")
        await pilot.press("n")
        await shown(pilot, "2/2")
        await pilot.press("n")
        await shown(pilot, "2 skipped cards are still due.")
    assert due(progress) == {"deck/sign", "even"}


async def test_a_busy_file_is_told_and_the_sitting_goes_on(progress: Progress, monkeypatch: pytest.MonkeyPatch) -> None:
    from dltutor.errors import DltutorError

    def busy(*_values: object) -> None:
        raise DltutorError("another program is keeping it busy", "Try again.")

    make_due(progress, "deck/sign", "deck/formula")
    async with tutor(progress) as pilot:
        await shown(pilot, "Which way")
        monkeypatch.setattr(progress, "set_card", busy)
        await pilot.press("space", "3")
        await until(pilot, lambda: any("keeping it busy" in told.message for told in pilot.app._notifications))
        await shown(pilot, "The sigmoid")
        await pilot.press("n")
        await shown(pilot, "2 skipped cards are still due.")


# ---------------------------------------------------------------- nothing due


async def test_nothing_due_says_so_and_when(progress: Progress) -> None:
    schedule.answer(progress, "91-odds", "even", None, False)
    async with tutor(progress) as pilot:
        await shown(pilot, "Nothing is due.")
        await shown(pilot, "next: 1 card tomorrow")
        await pilot.press("n", "o")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, Home))


async def test_a_new_learner_is_told_where_cards_come_from(progress: Progress) -> None:
    async with tutor(progress) as pilot:
        await shown(pilot, "Whatever you answer in a lesson comes back here")


async def test_a_lesson_that_cannot_be_read_is_named(progress: Progress, tmp_path: Path) -> None:
    make_due(progress, "deck/sign")
    file = tmp_path / "91-odds" / "lesson.md"
    file.write_text(file.read_text().replace("{#cards}", ""))
    async with tutor(progress) as pilot:
        await shown(pilot, "Cards of Odds and chances wait: it can't be read.")


# ---------------------------------------------------------------- ways to it


async def test_the_first_screen_says_what_is_due_and_leads_there(progress: Progress) -> None:
    make_due(progress, "even", "deck/sign")
    schedule.rate(progress, "91-odds", "deck/formula", schedule.AGAIN)
    async with tutor(progress, review=False) as pilot:
        await shown(pilot, "2 cards are due: press v   1 more tomorrow")
        await pilot.press("v")
        await shown(pilot, "1/2")
        await pilot.press("n", "n", "escape")
        await shown(pilot, "2 cards are due")


async def test_a_section_that_was_read_makes_its_cards_due(progress: Progress) -> None:
    progress.set_place("91-odds", "cards")
    async with tutor(progress, review=False) as pilot:
        assert "due" not in text(pilot)
        pilot.app.open_lesson("91-odds")
        await until(pilot, lambda: isinstance(pilot.app.screen, LessonScreen) and pilot.app.screen.query("Reader"))
        await pilot.press("n", "escape")
        await shown(pilot, "2 cards are due: press v")


async def test_the_cards_of_a_lesson_lead_to_the_review_and_back(progress: Progress) -> None:
    progress.set_place("91-odds", "cards")
    make_due(progress, "deck/sign")
    async with tutor(progress, review=False) as pilot:
        pilot.app.open_lesson("91-odds")
        await until(pilot, lambda: pilot.app.screen.query(ReviewCard))
        pilot.app.screen.query_one(ReviewCard).post_message(ReviewCard.Asked())
        await shown(pilot, "1/1")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, LessonScreen))


# ---------------------------------------------------------------- the rest of the first screen


async def test_a_new_learner_sees_no_panel(progress: Progress) -> None:
    async with tutor(progress, review=False) as pilot:
        await shown(pilot, "Odds and chances")
        assert not pilot.app.screen.query("#today")


async def test_how_well_guesses_come_true_is_told(progress: Progress) -> None:
    for item, sure, right in (("a", 3, True), ("b", 3, True), ("c", 3, False), ("d", 1, False)):
        progress.add_guess("91-odds", item, 0, sure)
        progress.resolve_guess("91-odds", item, 0, right)
    async with tutor(progress, review=False) as pilot:
        await until(
            pilot,
            lambda: (
                "Right when certain 2 of 3 · when guessing 0 of 1" in text(pilot).replace("\N{NO-BREAK SPACE}", " ")
            ),
        )


async def test_how_many_exercises_passed_is_told(progress: Progress) -> None:
    progress.note_attempt("91-odds", "first", "", True)
    progress.note_attempt("91-odds", "second", "", False)
    progress.note_attempt("91-odds", "gone-since", "", True)
    async with tutor(progress, review=False) as pilot:
        await shown(pilot, "Exercises: 1 of 2 passed.")
        row = next(line for line in text(pilot).splitlines() if "Odds and chances" in line)
        assert "1/2" in row


def test_the_first_paint_needs_neither_questions_nor_a_schedule() -> None:
    late = {"fsrs", "dltutor.lesson.questions", "dltutor.progress.schedule", "dltutor.ui.prose"}
    code = f"import sys, dltutor.ui.app; print(sorted({late} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize("where", [FlipCard, ReviewScreen])
def test_every_key_says_what_it_does(where: type) -> None:
    assert where.BINDINGS and all(binding.tooltip for binding in where.BINDINGS)


async def test_after_quitting_it_is_said_what_comes_back(progress: Progress) -> None:
    from dltutor.sitting import farewell

    async with tutor(progress, review=False) as pilot:
        assert farewell(pilot.app, progress) == []
        schedule.answer(progress, "91-odds", "even", None, False)
        assert farewell(pilot.app, progress) == ["1 card comes back tomorrow: `dltutor review`"]
        make_due(progress, "deck/sign", "deck/formula")
        assert farewell(pilot.app, progress) == ["2 cards are due: `dltutor review`"]
