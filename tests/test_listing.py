"""What lists say of exercises and of cards that are due, for people and for programs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dltutor import listing
from dltutor.lesson.course import catalogue
from dltutor.progress import Progress
from dltutor.progress.records import moment

LESSON = "01-linear-regression"
LONG_AGO = moment(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def kept(home: Path) -> Iterator[Progress]:
    """One of the exercises of the first lesson is passed, another tried; its cards were read."""
    with Progress.open(home) as opened:
        names = catalogue().find(LESSON).exercises
        opened.note_attempt(LESSON, names[0], "", True)
        opened.note_attempt(LESSON, names[1], "", False)
        opened.add_cards(LESSON, ["cards/loss", "cards/mse"], LONG_AGO)
        yield opened


def test_a_new_learners_list_says_nothing_of_cards_and_exercises(home: Path) -> None:
    with Progress.open(home) as kept:
        assert "due" not in listing.as_text(kept) and "exercises" not in listing.as_text(kept)
        assert "due" not in listing.progress_as_text(kept)
        assert listing.due_as_text(kept) == "Nothing is due." and json.loads(listing.due_as_rows(kept)) == []


def test_the_list_says_which_exercises_passed_and_what_is_due(kept: Progress) -> None:
    total = len(catalogue().find(LESSON).exercises)
    for text in (listing.as_text(kept), listing.progress_as_text(kept)):
        row = next(line for line in text.splitlines() if LESSON in line)
        assert f"exercises 1/{total}" in row
        assert "2 cards are due: `dltutor review`" in text
    row = next(row for row in json.loads(listing.as_rows(kept)) if row["id"] == LESSON)
    assert (row["exercises"], row["passed"], row["state"]) == (total, 1, "started")


def test_progress_for_programs_has_guesses_and_what_is_due(kept: Progress) -> None:
    kept.add_guess(LESSON, "corner", 1, 3)
    kept.resolve_guess(LESSON, "corner", 2, False)
    data = json.loads(listing.progress_as_json(kept))
    assert data["due"] == 2 and data["guesses"] == {"3": {"right": 0, "all": 1}}


def test_what_is_due_is_listed_by_lesson_with_what_comes_next(kept: Progress) -> None:
    kept.set_card(LESSON, "cards/step", {}, moment(datetime.now(UTC) + timedelta(days=40)))
    text = listing.due_as_text(kept)
    assert text.startswith("2 cards are due.") and "Linear regression" in text
    assert "What is a loss for?" in text and "next: 1 card in " in text
    assert "$" not in text and max(map(len, text.splitlines())) < 80


def test_a_pipe_gets_the_list(kept: Progress, dltutor: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert "What is a loss for?" in dltutor("review").stdout
    (first, _second) = json.loads(dltutor("review", "--json").stdout)
    assert first["item"] == "cards/loss" and first["kind"] == "card" and first["lesson"] == LESSON
    assert first["since"] in ("2025-12-31", "2026-01-01")  # where midnight of Greenwich falls
