"""Progress is kept: beside another application, through a kill, and past a file that is damaged or unwritable."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dltutor import progress
from dltutor.errors import DltutorError
from dltutor.progress import FILE, Exercise, Progress, columns, records, store

SETTING = {"knobs": {"lr": 0.1, "data": "线"}, "seed": 3, "steps": 200}


def run(kept: Progress, lesson: str = "01-line", losses: list[float] | None = None, **changes: object) -> str:
    """Add a run of three steps; its id."""
    losses = losses or [1.0, 0.5, 0.25]
    values = {
        "lesson": lesson,
        "setting": SETTING,
        "device": "cpu",
        "steps": len(losses),
        "ended": "done",
        "metrics": {"loss": losses[-1]},
        "columns": {"loss": (range(len(losses)), losses)},
    }
    return kept.add_run(**(values | changes))  # type: ignore[arg-type]


PREAMBLE = """
import sqlite3, sys
from pathlib import Path
from dltutor.progress import Progress
home = Path(sys.argv[1])
"""


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process running `code`."""
    command = [sys.executable, "-c", PREAMBLE + textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


# ---------------------------------------------------------------- what is kept


def test_everything_is_there_again_next_time(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as first:
        first.set_place("01-line", "idea", 7.5, SETTING)
        first.complete("01-line", "idea")
        id = run(first)
        first.set_preference("language", "zh")
    with Progress.open(tmp_path) as second:
        place = second.place("01-line")
        assert place and (place.section, place.scroll, place.setting) == ("idea", 7.5, SETTING)
        assert second.completed("01-line") == {"idea"}
        assert second.preference("language") == "zh"
        (kept,) = second.runs("01-line")
        assert (kept.id, kept.setting, kept.device, kept.steps, kept.ended) == (id, SETTING, "cpu", 3, "done")
        assert kept.metrics == {"loss": 0.25} and kept.has_curves
        assert list(second.curves(id)["loss"].values) == [1.0, 0.5, 0.25]
        assert second.notice == ""


def test_nothing_is_known_of_a_lesson_never_opened(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        assert kept.place("01-line") is None and kept.completed("01-line") == set()
        assert kept.runs("01-line") == [] and kept.latest() is None and kept.curves("none") == {}
        assert kept.preference("language", "en") == "en"


def test_the_last_place_is_the_one_to_go_on_from(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        for lesson, section in (("01-line", "idea"), ("06-mlp", "start"), ("01-line", "try")):
            kept.set_place(lesson, section)
        place = kept.place("01-line")
        assert place and place.section == "try"
        assert kept.latest() == "01-line"
        run(kept, "06-mlp")
        assert kept.latest() == "06-mlp"


def test_a_lesson_is_new_then_started_then_done(tmp_path: Path) -> None:
    ids = ("idea", "try")
    with Progress.open(tmp_path) as kept:
        assert (kept.state("01-line", ids), kept.fraction("01-line", ids)) == ("new", 0)
        kept.set_place("01-line", "idea")
        assert (kept.state("01-line", ids), kept.fraction("01-line", ids)) == ("started", 0)
        kept.complete("01-line", "idea")
        assert (kept.state("01-line", ids), kept.fraction("01-line", ids)) == ("started", 0.5)
        kept.complete("01-line", "idea")
        kept.complete("01-line", "try")
        assert (kept.state("01-line", ids), kept.fraction("01-line", ids)) == ("done", 1)
        assert kept.state("01-line", (*ids, "added-later")) == "started"


def test_a_run_alone_starts_a_lesson(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        run(kept)
        assert kept.state("01-line", ["idea"]) == "started"


@pytest.mark.parametrize(
    "act",
    [
        lambda kept: kept.add_answer("01-line", "odds", 0, True),
        lambda kept: kept.add_guess("01-line", "corner", 0, 1),
        lambda kept: kept.note_hint("01-line", "gradient", 1),
        lambda kept: kept.note_attempt("01-line", "gradient", "", False),
    ],
)
def test_an_answer_a_guess_or_an_attempt_alone_starts_a_lesson(tmp_path: Path, act: Callable[[Progress], None]) -> None:
    with Progress.open(tmp_path) as kept:
        kept.set_place("06-mlp", "start")
        act(kept)
        assert kept.state("01-line", ["idea"]) == "started"
        assert kept.latest() == "06-mlp"  # where the learner was, whatever came back for review


def test_runs_come_newest_first(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        old = run(kept, at=datetime(2020, 1, 1, tzinfo=UTC))
        new = run(kept, at=datetime(2021, 1, 1, tzinfo=UTC))
        other = run(kept, "06-mlp", at=datetime(2022, 1, 1, tzinfo=UTC))
        assert [each.id for each in kept.runs("01-line")] == [new, old]
        assert [each.id for each in kept.runs()] == [other, new, old]
        assert [each.id for each in kept.runs(limit=1)] == [other]
        assert kept.runs()[0].at == "2022-01-01T00:00:00.000000+00:00"


def test_reset_forgets_one_lesson_or_all_and_keeps_preferences(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        kept.set_preference("theme", "dark")
        for lesson in ("01-line", "06-mlp"):
            kept.set_place(lesson, "idea")
            kept.complete(lesson, "idea")
            run(kept, lesson)
            kept.add_answer(lesson, "odds", 0, True)
            kept.add_guess(lesson, "corner", 0, 1)
            kept.note_attempt(lesson, "gradient", "", True)
            kept.set_card(lesson, "odds", {}, SOON)
        kept.reset("01-line")
        assert kept.state("01-line", ["idea"]) == "new" and kept.state("06-mlp", ["idea"]) == "done"
        assert (
            kept.answers("01-line") == {} and kept.exercises("01-line") == {} and kept.card("01-line", "odds") is None
        )
        assert [guess.lesson for guess in kept.guesses()] == ["06-mlp"] and kept.answers("06-mlp")
        kept.reset()
        assert kept.state("06-mlp", ["idea"]) == "new" and kept.runs() == []
        assert kept.preference("theme") == "dark"


# ---------------------------------------------------------------- curves


def test_curves_come_back_to_the_bit_without_what_was_not_taken(tmp_path: Path) -> None:
    losses = [0.1 + 0.2, math.nan, 1e-320, math.inf, -0.0]
    with Progress.open(tmp_path) as kept:
        loss = kept.curves(run(kept, losses=losses))["loss"]
    assert list(loss.steps) == [0, 2, 3, 4]
    assert [value.hex() for value in loss.values] == [value.hex() for value in losses if value == value]


def test_metrics_may_be_no_numbers(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        run(kept, metrics={"loss": math.nan, "norm": math.inf})
        metrics = kept.runs()[0].metrics
        assert math.isnan(metrics["loss"]) and metrics["norm"] == math.inf
        json.loads(kept.export_json(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_a_long_curve_keeps_ends_and_extremes(tmp_path: Path) -> None:
    losses = [math.sin(step / 50) for step in range(100_000)]
    losses[12_345], losses[77_777] = 99.0, -99.0
    with Progress.open(tmp_path) as kept:
        loss = kept.curves(run(kept, losses=losses))["loss"]
    assert len(loss.steps) <= columns.LIMIT
    assert list(loss.steps) == sorted(loss.steps) and loss.steps[0] == 0 and loss.steps[-1] == 99_999
    assert loss.values[loss.steps.index(12_345)] == 99.0 and loss.values[loss.steps.index(77_777)] == -99.0


def test_old_runs_lose_their_curves_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "RUNS_WITH_CURVES", 2)
    with Progress.open(tmp_path) as kept:
        other = run(kept, "06-mlp")
        ids = [run(kept) for _count in range(4)]
        assert [each.has_curves for each in kept.runs("01-line")] == [True, True, False, False]
        assert kept.curves(ids[0]) == {} and kept.runs("01-line")[-1].setting == SETTING
        assert kept.curves(other)


# ---------------------------------------------------------------- answers and guesses


def test_the_latest_answer_to_each_question_is_known(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        kept.add_answer("01-line", "odds", 2, False)
        kept.add_answer("01-line", "odds", [0, 3], True)
        kept.add_answer("01-line", "mean", "8,47", False)
        kept.add_answer("06-mlp", "odds", 1, True)
    with Progress.open(tmp_path) as kept:
        answers = kept.answers("01-line")
        assert {item: (answer.given, answer.right) for item, answer in answers.items()} == {
            "odds": ([0, 3], True),
            "mean": ("8,47", False),
        }
        assert kept.answers("02-odds") == {}


def test_a_guess_waits_for_its_outcome(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        assert kept.guess("01-line", "corner") is None
        kept.add_guess("01-line", "corner", [40, 60], 2)
        guess = kept.guess("01-line", "corner")
        assert guess and (guess.guess, guess.confidence, guess.right, guess.outcome) == ([40, 60], 2, None, None)
        kept.resolve_guess("01-line", "corner", 93.5, False)
        guess = kept.guess("01-line", "corner")
        assert guess and (guess.guess, guess.right, guess.outcome) == ([40, 60], False, 93.5)


def test_what_became_of_a_guess_is_told_once(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        kept.add_guess("01-line", "corner", 1, 3)
        kept.resolve_guess("01-line", "corner", 2, False)
        kept.resolve_guess("01-line", "corner", 1, True)
        guess = kept.guess("01-line", "corner")
        assert guess and (guess.outcome, guess.right) == (2, False)


def test_an_outcome_may_be_no_number(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        kept.add_guess("01-line", "blow-up", {"low": 0.0, "high": 1.0}, 1)
        kept.resolve_guess("01-line", "blow-up", math.nan, False)
        guess = kept.guess("01-line", "blow-up")
        assert guess and guess.outcome == "nan"
        json.loads(kept.export_json(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_calibration_counts_first_guesses_whose_outcome_is_known(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        for item, confidence, right in (("a", 3, True), ("b", 3, False), ("c", 1, False), ("d", 3, True)):
            kept.add_guess("01-line", item, 0, confidence)
            kept.resolve_guess("01-line", item, 0, right)
        kept.add_guess("01-line", "open", 0, 2)
        assert kept.calibration() == {3: (2, 3), 1: (0, 1)}
        kept.add_guess("01-line", "b", 0, 3)  # again, now that it is known
        kept.resolve_guess("01-line", "b", 0, True)
        assert kept.calibration() == {3: (2, 3), 1: (0, 1)}
        assert [guess.item for guess in kept.guesses()] == ["a", "b", "c", "d", "open", "b"]


def test_a_guess_changed_before_the_run_counts_as_changed(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        kept.add_guess("01-line", "corner", 0, 3)
        kept.add_guess("01-line", "corner", 1, 1)
        kept.resolve_guess("01-line", "corner", 1, True)
        assert kept.calibration() == {1: (1, 1)}


# ---------------------------------------------------------------- exercises


def test_an_exercise_is_known_by_hints_attempts_and_when_it_passed(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        assert kept.exercise("01-line", "gradient") == Exercise()
        kept.note_hint("01-line", "gradient", 1)
        kept.note_attempt("01-line", "gradient", "dw = 1", False, "db is wrong", "sign")
        kept.note_attempt("01-line", "gradient", "dw = 2", True, "all right")
        first = kept.exercise("01-line", "gradient")
        assert (first.hints, first.seen, first.attempts) == (1, False, 2) and first.passed_at
        kept.note_attempt("01-line", "gradient", "dw = 3", False)
        kept.note_attempt("01-line", "gradient", "dw = 2", True)
        kept.note_seen("01-line", "gradient")
        kept.note_hint("01-line", "gradient", 3)
        kept.note_hint("01-line", "gradient", 2)
    with Progress.open(tmp_path) as kept:
        assert kept.exercise("01-line", "gradient") == Exercise(3, True, 4, first.passed_at)
        assert [(each.source, each.passed, each.headline, each.cause) for each in kept.attempts("01-line", "gradient")][
            :2
        ] == [("dw = 1", False, "db is wrong", "sign"), ("dw = 2", True, "all right", "")]
        assert list(kept.exercises("01-line")) == ["gradient"] and kept.exercises("06-mlp") == {}


def test_old_attempts_lose_their_source_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "ATTEMPTS_WITH_SOURCE", 2)
    with Progress.open(tmp_path) as kept:
        kept.note_attempt("01-line", "other", "kept", False)
        for number in range(4):
            kept.note_attempt("01-line", "gradient", f"# {number}", False, f"try {number}")
        attempts = kept.attempts("01-line", "gradient")
        assert [each.source for each in attempts] == [None, None, "# 2", "# 3"]
        assert [each.headline for each in attempts] == ["try 0", "try 1", "try 2", "try 3"]
        assert kept.attempts("01-line", "other")[0].source == "kept"


def test_a_file_of_any_size_and_with_any_characters_can_be_an_attempt(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        kept.note_attempt("01-line", "gradient", "x = '\ud800\0'\n" + "#" * 10**6, False, "\ud800")
        (attempt,) = kept.attempts("01-line", "gradient")
        assert attempt.source and attempt.source.startswith("x = ") and len(attempt.source) == progress.LONGEST_SOURCE
        assert kept.notice == ""


def test_an_exercise_reset_is_as_if_never_begun(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        for name in ("gradient", "other"):
            kept.note_seen("01-line", name)
            kept.note_attempt("01-line", name, "", True)
        kept.reset_exercise("01-line", "gradient")
        assert kept.exercise("01-line", "gradient") == Exercise() and kept.attempts("01-line", "gradient") == []
        assert kept.exercise("01-line", "other").passed_at


# ---------------------------------------------------------------- cards

SOON, LATER = (f"2026-01-0{day}T00:00:00.000000+00:00" for day in (1, 5))


def test_a_card_is_kept_as_it_was_set_last(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        assert kept.card("01-line", "odds") is None
        kept.set_card("01-line", "odds", {"stability": 2.5}, LATER)
        kept.set_card("01-line", "odds", {"stability": 3.5}, LATER)
        kept.set_card("06-mlp", "odds", {}, SOON)
        kept.add_cards("01-line", ["odds", "deck/sign"], SOON)
        card = kept.card("01-line", "odds")
        assert card and (card.state, card.due) == ({"stability": 3.5}, LATER)
        assert [(each.lesson, each.item) for each in kept.cards()] == [
            ("06-mlp", "odds"),
            ("01-line", "deck/sign"),
            ("01-line", "odds"),
        ]


def test_due_cards_are_counted_in_the_lessons_there_are(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        now = datetime.now(UTC)
        kept.add_cards("01-line", ["a", "b"], SOON)
        kept.add_cards("06-mlp", ["c"], records.moment(now + timedelta(days=2)))
        kept.add_cards("99-gone", ["d"], SOON)
        lessons = ["01-line", "06-mlp"]
        assert kept.count_due(now, lessons, now) == 2 and kept.count_due(now, [], now) == 0
        assert kept.count_due(now + timedelta(days=3), lessons, now) == 3


# ---------------------------------------------------------------- export and import


@pytest.fixture
def full(tmp_path: Path) -> Progress:
    kept = Progress.open(tmp_path / "full")
    kept.set_place("01-line", "idea", 2, SETTING)
    kept.complete("01-line", "idea")
    run(kept)
    run(kept, columns=None)
    kept.set_preference("glyphs", ["braille", 2])
    kept.add_answer("01-line", "odds", [1, 2], True)
    kept.add_guess("01-line", "corner", {"low": 1}, 3)
    kept.resolve_guess("01-line", "corner", "nan", False)
    kept.add_guess("01-line", "open", 2, 1)
    kept.note_hint("01-line", "gradient", 2)
    kept.note_attempt("01-line", "gradient", "答案 = 1\n", True, "passed", "")
    kept.set_card("01-line", "odds", {"stability": 2.5}, LATER)
    return kept


def test_an_export_brings_everything_elsewhere(full: Progress, tmp_path: Path) -> None:
    with Progress.open(tmp_path / "empty") as empty:
        assert empty.import_json(full.export_json()) == 11
        assert empty.export_json() == full.export_json()
        assert empty.runs() == full.runs()
        assert {id: empty.curves(id) for id in (each.id for each in empty.runs())} == {
            id: full.curves(id) for id in (each.id for each in full.runs())
        }


def test_importing_again_changes_nothing(full: Progress) -> None:
    before = full.export_json()
    assert full.import_json(before) == 0
    assert full.export_json() == before


def test_an_export_says_yes_and_no_in_words(full: Progress) -> None:
    data = json.loads(full.export_json())
    assert [data["answer"][0]["is_right"], data["attempt"][0]["passed"], data["exercise"][0]["seen"]] == [
        True,
        True,
        False,
    ]
    assert {guess["item"]: guess["came_true"] for guess in data["guess"]} == {"corner": False, "open": None}
    assert data["card"][0]["state"] == {"stability": 2.5} and data["guess"][0]["guess"] == {"low": 1}


def two_machines(tmp_path: Path) -> tuple[Progress, Progress]:
    """The same progress, from which each has gone on by itself."""
    one = Progress.open(tmp_path / "one")
    one.add_guess("01-line", "corner", 1, 3)
    one.add_answer("01-line", "odds", 0, False)
    one.note_hint("01-line", "gradient", 1)
    one.set_card("01-line", "odds", {"n": 1}, SOON)
    two = Progress.open(tmp_path / "two")
    two.import_json(one.export_json())
    one.note_attempt("01-line", "gradient", "one", False, "no", "sign")
    one.note_hint("01-line", "gradient", 3)
    one.add_answer("01-line", "odds", 2, True)
    two.resolve_guess("01-line", "corner", 2, False)
    two.note_attempt("01-line", "gradient", "two", True, "yes")
    two.note_seen("01-line", "gradient")
    two.set_card("01-line", "odds", {"n": 2}, LATER)
    return one, two


@pytest.mark.parametrize("turns", [(0, 1), (1, 0)])
def test_the_progress_of_two_machines_comes_together_without_loss(tmp_path: Path, turns: tuple[int, int]) -> None:
    machines = two_machines(tmp_path)
    first, second = (machines[turn] for turn in turns)
    second.import_json(first.export_json())
    first.import_json(second.export_json())
    for kept in machines:
        exercise = kept.exercise("01-line", "gradient")
        assert (exercise.hints, exercise.seen, exercise.attempts) == (3, True, 2) and exercise.passed_at
        assert {each.source for each in kept.attempts("01-line", "gradient")} == {"one", "two"}
        assert kept.calibration() == {3: (0, 1)} and kept.answers("01-line")["odds"].right
        card = kept.card("01-line", "odds")
        assert card and (card.state, card.due) == ({"n": 2}, LATER)
    assert first.export_json() == second.export_json()
    assert first.import_json(second.export_json()) == 0 == second.import_json(first.export_json())
    for kept in machines:
        kept.close()


def test_the_first_time_that_it_passed_stays(tmp_path: Path) -> None:
    with Progress.open(tmp_path / "early") as early, Progress.open(tmp_path / "late") as late:
        early.note_attempt("01-line", "gradient", "", True)
        late.note_attempt("01-line", "gradient", "", True)
        passed_at = early.exercise("01-line", "gradient").passed_at
        late.import_json(early.export_json())
        early.import_json(late.export_json())
        assert late.exercise("01-line", "gradient").passed_at == passed_at
        assert early.exercise("01-line", "gradient").passed_at == passed_at


def test_an_export_of_the_first_version_can_still_be_imported(full: Progress, tmp_path: Path) -> None:
    data = json.loads(full.export_json())
    old = {name: data[name] for name in ("format", "place", "section", "run", "preference")} | {"version": 1}
    with Progress.open(tmp_path / "other") as other:
        assert other.import_json(json.dumps(old)) == 5
        assert other.completed("01-line") == {"idea"} and other.answers("01-line") == {}


def test_importing_adds_and_the_newer_place_stays(full: Progress, tmp_path: Path) -> None:
    text = full.export_json()
    with Progress.open(tmp_path / "other") as other:
        other.complete("01-line", "try")
        other.set_place("01-line", "try")
        run(other)
        other.import_json(text)
        place = other.place("01-line")
        assert place and place.section == "try"
        assert other.completed("01-line") == {"idea", "try"}
        assert len(other.runs()) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "this is no JSON"),
        ("[1, 2]", "this is no export"),
        ('{"format": "dltutor progress", "version": 99}', "version 99, newer than"),
        ('{"format": "dltutor progress", "version": 1, "place": 3}', "this is no export"),
        ('{"format": "dltutor progress", "version": 1, "place": [3]}', "not a row of place"),
        ('{"format": "dltutor progress", "version": 1, "section": [{"lesson": "a"}]}', "not a row of section"),
        (
            '{"format": "dltutor progress", "version": 1, "section": [{"lesson": "a", "section": "b", "at": "c"},'
            ' {"lesson": "\\ud800", "section": "b", "at": "c"}]}',
            "not a row of section",
        ),
    ],
)
def test_what_is_no_export_is_refused_and_changes_nothing(full: Progress, text: str, words: str) -> None:
    before = full.export_json()
    with pytest.raises(DltutorError, match=words):
        full.import_json(text)
    assert full.export_json() == before


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("answer", "is_right", "yes"),
        ("answer", "id", None),
        ("guess", "confidence", 4),
        ("guess", "came_true", 1),
        ("exercise", "hints", -1),
        ("exercise", "passed_at", "yesterday"),
        ("attempt", "source", 7),
        ("attempt", "passed", None),
        ("card", "state", [1]),
        ("card", "due", "soon"),
        ("card", "at", 3),
    ],
)
def test_a_bad_row_is_refused_in_words_and_changes_nothing(
    full: Progress, tmp_path: Path, table: str, column: str, value: object
) -> None:
    data = json.loads(full.export_json())
    data[table][0][column] = value
    with Progress.open(tmp_path / "other") as other:
        with pytest.raises(DltutorError, match=f"not a row of {table}"):
            other.import_json(json.dumps(data))
        assert other.completed("01-line") == set() and other.cards() == []


def test_spoiled_curves_say_so(full: Progress, tmp_path: Path) -> None:
    text = json.loads(full.export_json())
    text["run"][0]["curves"] = "AAAA"
    with Progress.open(tmp_path / "other") as other:
        other.import_json(json.dumps(text))
        with pytest.raises(DltutorError, match="can't be read"):
            other.curves(text["run"][0]["id"])


# ---------------------------------------------------------------- where it lies


def test_the_environment_names_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLTUTOR_HOME", str(tmp_path / "here"))
    assert progress.home() == tmp_path / "here"
    monkeypatch.delenv("DLTUTOR_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert progress.home().name == "dltutor" and progress.home().is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_the_learner_can_read_it(tmp_path: Path) -> None:
    with Progress.open(tmp_path / "new") as kept:
        kept.complete("01-line", "idea")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600} and FILE in modes


# ---------------------------------------------------------------- two applications, and a kill

HAMMER = """
from dltutor.progress import store
store.BUSY_SECONDS = 200.0  # a loaded machine with a slow disk is not what is tested
kept = Progress.open(home)
me = sys.argv[2]
for n in range(60):
    kept.complete("01-line", f"{me}-{n}")
    kept.set_place("01-line", f"{me}-{n}", n, {"seed": n})
    if n % 5 == 0:
        kept.add_run(lesson="01-line", setting={"seed": n}, device="cpu", steps=2, ended="done", metrics={"loss": 0.5},
                     columns={"loss": (range(2), [1.0, 0.5])})
kept.close()
print(kept.notice)
"""


def test_two_applications_at_once_lose_nothing(tmp_path: Path) -> None:
    children = [child(HAMMER, tmp_path / "new", name) for name in ("one", "two")]
    assert [output(each) for each in children] == ["\n", "\n"]
    with Progress.open(tmp_path / "new") as kept:
        assert kept.completed("01-line") == {f"{name}-{n}" for name in ("one", "two") for n in range(60)}
        assert len(kept.runs("01-line")) == 24
        place = kept.place("01-line")
        assert place and place.section in ("one-59", "two-59")


def test_what_was_kept_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    code = """
    kept = Progress.open(home)
    for n in range(10**6):
        kept.complete("01-line", f"{sys.argv[2]}-{n}")
        print(n, flush=True)
        kept.add_run(lesson="01-line", setting={}, device="cpu", steps=500, ended="done", metrics={},
                     columns={"loss": (range(500), [1 / (n + step + 1) for step in range(500)])})
    """
    for number, lines in enumerate((1, 7, 30, 61)):
        process = child(code, tmp_path, number)
        assert process.stdout
        for _line in range(lines):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with Progress.open(tmp_path) as kept:
            assert kept.notice == ""
            assert {f"{number}-{n}" for n in range(lines)} <= kept.completed("01-line")
            assert len(kept.curves(kept.runs()[0].id)["loss"].values) == 500 if kept.runs() else lines == 1
    with sqlite3.connect(tmp_path / FILE) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_answers_guesses_attempts_and_cards_survive_a_kill(tmp_path: Path) -> None:
    code = """
    from dltutor.progress.records import Card
    kept, me = Progress.open(home), sys.argv[2]
    for n in range(10**6):
        card = Card("01-line", f"{me}-{n}", {}, "2026-01-01T00:00:00.000000+00:00", "2026-01-01T00:00:00.000000+00:00")
        kept.add_answer("01-line", f"{me}-{n}", n, True, card)
        kept.add_guess("01-line", f"{me}-{n}", n, 3)
        kept.resolve_guess("01-line", f"{me}-{n}", n, True)
        kept.note_attempt("01-line", f"{me}-{n}", "x = 1" * 2000, True, "passed")
        kept.set_card("01-line", f"{me}-{n}", {"n": n}, "2026-01-01T00:00:00.000000+00:00")
        kept.set_card("01-line", "again", {"n": n}, "2026-01-01T00:00:00.000000+00:00")
        print(n, flush=True)
    """
    for number, lines in enumerate((1, 8, 27, 60)):
        process = child(code, tmp_path, number)
        assert process.stdout
        for _line in range(lines):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        items = {f"{number}-{n}" for n in range(lines)}
        with Progress.open(tmp_path) as kept:
            assert kept.notice == "" and set_aside(tmp_path) == []
            assert items <= set(kept.answers("01-line")) <= {card.item for card in kept.cards()}
            assert items <= {guess.item for guess in kept.guesses() if guess.right}
            assert all(kept.exercise("01-line", item).passed_at for item in items)
            again = kept.card("01-line", "again")
            assert again and again.state["n"] >= lines - 1
    with sqlite3.connect(tmp_path / FILE) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_kept_busy_is_an_error_not_a_freeze(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.1)
    with Progress.open(tmp_path) as kept:
        other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DltutorError, match="busy"):
            kept.complete("01-line", "idea")
        assert kept.completed("01-line") == set()
        other.execute("ROLLBACK")
        kept.complete("01-line", "idea")
        assert kept.completed("01-line") == {"idea"}
        other.close()


# ---------------------------------------------------------------- a file that can't be used


def set_aside(folder: Path) -> list[Path]:
    return list(folder.glob("progress-*.sqlite3"))


def damage(folder: Path, kind: str) -> None:
    """Make a progress file with one completed section, then spoil it."""
    with Progress.open(folder) as kept:
        kept.complete("01-line", "before")
    file = folder / FILE
    match kind:
        case "no database":
            file.write_bytes(b"this is not a database, though it is long enough to be taken for one" * 20)
        case "torn":
            file.write_bytes(file.read_bytes()[:5000])
        case "scribbled":
            data = bytearray(file.read_bytes())
            data[4096:] = os.urandom(len(data) - 4096)
            file.write_bytes(data)
        case "not ours":
            file.unlink()
            with sqlite3.connect(file) as other:
                other.execute("CREATE TABLE cake (recipe TEXT)")


@pytest.mark.parametrize("kind", ["no database", "torn", "scribbled", "not ours"])
def test_a_damaged_file_is_set_aside_whole_with_a_way_back(tmp_path: Path, kind: str) -> None:
    damage(tmp_path, kind)
    spoiled = (tmp_path / FILE).read_bytes()
    with Progress.open(tmp_path) as kept:
        (aside,) = set_aside(tmp_path)
        assert aside.read_bytes() == spoiled
        assert str(aside) in kept.notice and "progress import" in kept.notice
        kept.complete("01-line", "after")
    with Progress.open(tmp_path) as again:
        assert again.completed("01-line") == {"after"} and again.notice == ""


def test_a_newer_file_is_set_aside_and_comes_back_with_the_newer_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(progress, "MIGRATIONS", [*progress.MIGRATIONS, "CREATE TABLE later (x TEXT);"])
        with Progress.open(tmp_path) as kept:
            kept.complete("01-line", "newer")
    with Progress.open(tmp_path) as old:
        (aside,) = set_aside(tmp_path)
        assert "newer version" in old.notice and str(aside) in old.notice
        old.complete("01-line", "older")
    (tmp_path / FILE).unlink()
    shutil.move(aside, tmp_path / FILE)
    monkeypatch.setattr(progress, "MIGRATIONS", [*progress.MIGRATIONS, "CREATE TABLE later (x TEXT);"])
    with Progress.open(tmp_path) as kept:
        assert kept.completed("01-line") == {"newer"} and kept.notice == ""


def test_a_newer_file_in_use_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(progress, "MIGRATIONS", [*progress.MIGRATIONS, "CREATE TABLE later (x TEXT);"])
        kept = Progress.open(tmp_path)
        kept.complete("01-line", "newer")
    with Progress.open(tmp_path) as old:
        assert old.notice and set_aside(tmp_path) == []
        old.complete("01-line", "older")
    assert kept.completed("01-line") == {"newer"}
    kept.close()


def test_an_older_file_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Progress.open(tmp_path) as kept:
        kept.complete("01-line", "idea")
    monkeypatch.setattr(progress, "MIGRATIONS", [*progress.MIGRATIONS, "CREATE TABLE later (x TEXT);"])
    with Progress.open(tmp_path) as kept:
        assert kept.completed("01-line") == {"idea"} and kept.notice == ""
    with sqlite3.connect(tmp_path / FILE) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (len(progress.MIGRATIONS),)
        assert database.execute("SELECT * FROM later").fetchall() == []


FIRST_SCHEMA = """
CREATE TABLE place (lesson TEXT PRIMARY KEY, section TEXT NOT NULL, scroll REAL NOT NULL, setting TEXT NOT NULL,
    at TEXT NOT NULL);
CREATE TABLE section (lesson TEXT NOT NULL, section TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (lesson, section));
CREATE TABLE run (id TEXT PRIMARY KEY, lesson TEXT NOT NULL, at TEXT NOT NULL, setting TEXT NOT NULL,
    device TEXT NOT NULL, steps INTEGER NOT NULL, ended TEXT NOT NULL, metrics TEXT NOT NULL, curves BLOB);
CREATE INDEX run_by_lesson ON run (lesson, at);
CREATE TABLE preference (name TEXT PRIMARY KEY, value TEXT NOT NULL, at TEXT NOT NULL);
INSERT INTO place VALUES ('01-line', 'idea', 7.5, '{"seed":3}', '2026-01-01T00:00:00.000000+00:00');
INSERT INTO section VALUES ('01-line', 'idea', '2026-01-01T00:00:00.000000+00:00');
INSERT INTO run VALUES ('0123abcd', '01-line', '2026-01-02T00:00:00.000000+00:00', '{"seed":3}', 'cpu', 300, 'done',
    '{"loss":0.25}', NULL);
INSERT INTO preference VALUES ('language', '"zh"', '2026-01-01T00:00:00.000000+00:00');
PRAGMA application_id = 1684829301;
PRAGMA user_version = 1;
"""


def test_a_file_of_the_first_version_goes_on(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as old:
        old.execute("PRAGMA journal_mode = WAL")
        old.executescript(FIRST_SCHEMA)
    old.close()
    with Progress.open(tmp_path) as kept:
        assert kept.notice == "" and set_aside(tmp_path) == []
        place = kept.place("01-line")
        assert place and (place.section, place.scroll, place.setting) == ("idea", 7.5, {"seed": 3})
        assert kept.completed("01-line") == {"idea"} and kept.preference("language") == "zh"
        assert [(each.id, each.metrics) for each in kept.runs()] == [("0123abcd", {"loss": 0.25})]
        assert kept.answers("01-line") == {} and kept.cards() == [] and kept.calibration() == {}
        kept.add_answer("01-line", "odds", 1, True)
    with Progress.open(tmp_path) as kept:
        assert kept.answers("01-line")["odds"].right


def test_two_applications_that_meet_a_damaged_file_begin_one_new_file(tmp_path: Path) -> None:
    damage(tmp_path, "no database")
    children = [child(HAMMER, tmp_path, name) for name in ("one", "two")]
    for each in children:
        output(each)
    assert len(set_aside(tmp_path)) == 1
    with Progress.open(tmp_path) as kept:
        assert kept.completed("01-line") == {f"{name}-{n}" for name in ("one", "two") for n in range(60)}


def test_damage_met_while_it_runs_is_survived(tmp_path: Path) -> None:
    with Progress.open(tmp_path) as kept:
        kept.complete("01-line", "before")
        with sqlite3.connect(tmp_path / FILE) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        data = (tmp_path / FILE).read_bytes()
        with (tmp_path / FILE).open("r+b") as file:
            file.write(os.urandom(len(data)))
        Path(f"{tmp_path / FILE}-shm").write_bytes(b"\0" * 32768)
        kept.complete("01-line", "after")
        assert kept.completed("01-line") == {"after"}
        assert len(set_aside(tmp_path)) == 1 and kept.notice


def test_a_folder_deleted_under_way_comes_back(tmp_path: Path) -> None:
    with Progress.open(tmp_path / "home") as kept:
        shutil.rmtree(tmp_path / "home")
        kept.complete("01-line", "idea")
        with Progress.open(tmp_path / "home") as other:
            assert other.completed("01-line") == {"idea"}


# ---------------------------------------------------------------- no place to write


def test_without_a_folder_everything_works_until_the_end(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the folder should be")
    with Progress.open(tmp_path / "home") as kept:
        assert "can't be saved" in kept.notice and "DLTUTOR_HOME" in kept.notice
        kept.set_place("01-line", "idea", 1, SETTING)
        kept.complete("01-line", "idea")
        id = run(kept)
        assert kept.state("01-line", ["idea"]) == "done" and kept.curves(id) and kept.latest() == "01-line"


def test_what_was_held_back_is_written_once_it_can_be(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the folder should be")
    with Progress.open(tmp_path / "home") as kept:
        kept.complete("01-line", "held back")
        (tmp_path / "home").unlink()
        kept.complete("01-line", "later")
        assert kept.notice == ""
    with Progress.open(tmp_path / "home") as again:
        assert again.completed("01-line") == {"held back", "later"}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """An empty folder that any user can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_without_permission_what_is_there_is_shown_and_nothing_crashes(open_folder: Path) -> None:
    folder = open_folder / "home"
    with Progress.open(folder) as kept:
        kept.complete("01-line", "before")
    (folder / FILE).chmod(0o400)
    folder.chmod(0o500)
    code = """
    import os, dltutor.progress.store
    if os.geteuid() == 0:  # to whom nothing is forbidden
        os.chown(home, 65534, 65534)
        os.chown(home / "progress.sqlite3", 65534, 65534)
        os.seteuid(65534)
    with Progress.open(home) as kept:
        kept.complete("01-line", "after")
        print(sorted(kept.completed("01-line")), "can't be saved" in kept.notice)
    """
    assert output(child(code, folder)) == "['after', 'before'] True\n"
    assert [path.name for path in folder.iterdir()] == [FILE]
    folder.chmod(0o700)


def test_a_full_disk_is_said_once_and_the_application_goes_on(tmp_path: Path) -> None:
    code = """
    import resource
    with Progress.open(home) as kept:
        kept.complete("01-line", "before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))  # no file may grow beyond that
        for n in range(200):
            kept.complete("01-line", f"{n}")
            kept.set_preference(f"{n}", "x" * 500)
        print(len(kept.completed("01-line")), "can't be saved" in kept.notice)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    """
    assert output(child(code, tmp_path)) == "201 True\n"
    with Progress.open(tmp_path) as kept:
        assert kept.notice == "" and len(kept.completed("01-line")) == 201  # there was space again before the end


@pytest.mark.parametrize("existing", [False, True])
def test_where_wal_cannot_be_a_rollback_journal_does(tmp_path: Path, existing: bool) -> None:
    if existing:  # in WAL mode, from a file system that had it
        with Progress.open(tmp_path) as kept:
            kept.complete("01-line", "before")
    Path(f"{tmp_path / FILE}-shm").mkdir()  # no shared memory, as on a network file system
    with Progress.open(tmp_path) as kept:
        kept.complete("01-line", "idea")
        assert kept.notice == ""
        with sqlite3.connect(tmp_path / FILE) as database:
            assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
            rows = {row[0] for row in database.execute("SELECT section FROM section")}
    assert rows == {"idea"} | ({"before"} if existing else set())


def test_two_applications_without_wal_lose_nothing(tmp_path: Path) -> None:
    Path(f"{tmp_path / FILE}-shm").mkdir()
    Progress.open(tmp_path).close()
    children = [child(HAMMER, tmp_path, name) for name in ("one", "two")]
    assert [output(each) for each in children] == ["\n", "\n"]
    with Progress.open(tmp_path) as kept:
        assert kept.completed("01-line") == {f"{name}-{n}" for name in ("one", "two") for n in range(60)}


def test_the_application_does_not_pay_for_what_it_does_not_use() -> None:
    code = (
        "import sys; from dltutor import progress; progress.home();"
        "print(sorted({'sqlite3', 'platformdirs', 'numpy', 'yaml'} & set(sys.modules)))"
    )
    environment = {**os.environ, "DLTUTOR_HOME": "/somewhere"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert found.stdout == "[]\n"
