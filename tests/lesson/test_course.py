"""The course lists what there is, whatever is wrong with some of it, and finds a lesson by whatever one calls it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dltutor.errors import DltutorError, UsageError
from dltutor.lesson import course as courses
from dltutor.lesson.course import Course, catalogue

FIXTURE = Path(__file__).parents[1] / "fixtures" / "01-line"
BUILT_IN = courses.built_in
LESSON = """---
id: {id}
title: {title}
part: {part}
minutes: 5
requires: {requires}
question: Why {title}?
---

## Heading {{#heading}}

Text.
"""


def write(folder: Path, id: str, title: str = "", part: int = 1, requires: str = "[]") -> Path:
    """A small sound lesson."""
    lesson = folder / id
    lesson.mkdir(parents=True)
    text = LESSON.format(id=id, title=title or id, part=part, requires=requires)
    (lesson / "lesson.md").write_text(text, encoding="utf-8")
    return lesson


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of its own: no built-in lessons, no learner's data folder; the lessons lie in the folder returned."""
    folder = tmp_path / "lessons"
    folder.mkdir()
    monkeypatch.setattr(courses, "built_in", lambda: folder)
    monkeypatch.setenv("DLTUTOR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DLTUTOR_LESSONS", raising=False)
    return folder


@pytest.fixture
def course(own: Path) -> Course:
    write(own, "01-linear-regression", "Linear regression")
    write(own, "02-logistic-regression", "Logistic regression", requires="[01-linear-regression]")
    write(own, "06-mlp", "Multi-layer perceptrons", part=2, requires="[02-logistic-regression]")
    write(own, "16-vae", "Variational autoencoders", part=4)
    return catalogue()


# ---------------------------------------------------------------- what is listed


def test_parts_are_in_order_with_their_lessons(course: Course) -> None:
    assert [(part.number, part.title, [entry.id for entry in part.entries]) for part in course.parts()] == [
        (1, "Foundations", ["01-linear-regression", "02-logistic-regression"]),
        (2, "Training deep networks", ["06-mlp"]),
        (4, "Generative models", ["16-vae"]),
    ]
    assert course.problems == []


def test_an_entry_says_what_a_list_shows(course: Course) -> None:
    entry = course.find("06-mlp")
    assert (entry.title, entry.minutes, entry.question) == (
        "Multi-layer perceptrons",
        5,
        "Why Multi-layer perceptrons?",
    )
    assert (entry.section_ids, entry.section_title("heading")) == (("heading",), "Heading")
    assert entry.load().sections[0].title == "Heading"


def test_titles_are_in_the_language_asked_for(own: Path) -> None:
    shutil.copytree(FIXTURE, own / "01-line")
    assert catalogue("zh").find("01").title == "一条直线"
    assert catalogue("zh").find("01").load().language == "zh"


def test_a_broken_lesson_is_listed_with_its_problem_and_the_others_work(own: Path) -> None:
    write(own, "01-good")
    broken = write(own, "02-broken", part=3)
    text = (broken / "lesson.md").read_text(encoding="utf-8")
    (broken / "lesson.md").write_text(text.replace("minutes: 5", "minutes: soon"), encoding="utf-8")
    course = catalogue()
    assert [entry.id for entry in course.entries] == ["01-good", "02-broken"]
    entry = course.find("02")
    assert "lesson.md:5: minutes is 'soon'" in entry.problem and entry.problem in course.problems
    assert (entry.title, entry.part) == ("02-broken", 3)
    assert course.find("01").load().title == "01-good"
    with pytest.raises(DltutorError, match="minutes is 'soon'"):
        entry.load()


@pytest.mark.parametrize("text", [b"", b"\xff\xfe\x00", b"---\n", b"part: [", b"---\n" + b"[" * 100_000 + b"\n---\n"])
def test_no_file_can_take_the_course_down(own: Path, text: bytes) -> None:
    write(own, "01-good")
    (write(own, "02-broken") / "lesson.md").write_bytes(text)
    course = catalogue()
    assert not course.find("01-good").problem
    assert course.find("02-broken").problem


def test_a_folder_with_a_lab_and_no_text_is_a_problem_other_folders_are_none(own: Path) -> None:
    (own / "03-half").mkdir()
    (own / "03-half" / "lab.py").touch()
    (own / "pictures").mkdir()
    course = catalogue()
    assert [entry.id for entry in course.entries] == ["03-half"]
    assert "lesson.md" in course.entries[0].problem
    assert [part.title for part in course.parts()] == ["Lessons that can't be read"]


def test_an_unknown_prerequisite_is_reported_and_the_lesson_still_opens(own: Path) -> None:
    write(own, "02-two", requires="[01-one]")
    course = catalogue()
    assert course.problems == ["02-two requires 01-one, which is no lesson here"]
    assert course.find("02").load().title == "02-two"


def test_lessons_that_require_each_other_are_reported(own: Path) -> None:
    write(own, "01-hen", requires="[02-egg]")
    write(own, "02-egg", requires="[01-hen]")
    (problem,) = catalogue().problems
    assert problem.startswith("these lessons require each other: ")
    assert "01-hen" in problem and "02-egg" in problem


def test_the_lessons_that_come_with_it_are_found_and_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courses, "built_in", BUILT_IN)
    assert catalogue().problems == []
    assert catalogue().find("01-linear-regression").folder == BUILT_IN() / "01-linear-regression"


# ---------------------------------------------------------------- the learner's own


def test_own_lessons_come_from_named_folders_and_the_data_folder(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(own, "01-one")
    write(tmp_path / "mine", "50-mine")
    single = write(tmp_path / "other", "51-single")
    write(tmp_path / "home" / "lessons", "52-home")
    monkeypatch.setenv("DLTUTOR_LESSONS", os.pathsep.join([str(tmp_path / "mine"), str(single)]))
    assert [entry.id for entry in catalogue().entries] == ["01-one", "50-mine", "51-single", "52-home"]


def test_of_two_lessons_with_one_id_the_first_stays_and_the_other_is_reported(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(own, "01-one", "ours")
    write(tmp_path / "mine", "01-one", "theirs")
    monkeypatch.setenv("DLTUTOR_LESSONS", str(tmp_path / "mine"))
    course = catalogue()
    assert [entry.title for entry in course.entries] == ["ours"]
    (problem,) = course.problems
    assert problem.startswith(f"{tmp_path / 'mine' / '01-one'} is left out")


def test_a_named_folder_that_is_not_there_is_reported(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(own, "01-one")
    monkeypatch.setenv("DLTUTOR_LESSONS", str(tmp_path / "nowhere"))
    course = catalogue()
    assert [entry.id for entry in course.entries] == ["01-one"]
    assert str(tmp_path / "nowhere") in course.problems[0]


def test_looking_for_lessons_creates_nothing(own: Path, tmp_path: Path) -> None:
    catalogue()
    assert not (tmp_path / "home").exists()


# ---------------------------------------------------------------- finding


@pytest.mark.parametrize(
    ("query", "id"),
    [
        ("06-mlp", "06-mlp"),
        ("6", "06-mlp"),
        ("06", "06-mlp"),
        ("1", "01-linear-regression"),
        ("mlp", "06-mlp"),
        ("Logistic", "02-logistic-regression"),
        ("perceptrons", "06-mlp"),
        (" vae ", "16-vae"),
    ],
)
def test_a_lesson_is_found_by_id_number_or_fragment(course: Course, query: str, id: str) -> None:
    assert course.find(query).id == id


@pytest.mark.parametrize(
    ("query", "message", "hint"),
    [
        ("regression", "could be 01-linear-regression, 02-logistic-regression", "Name one"),
        ("linear-regresion", "there is no lesson linear-regresion", "Did you mean 01-linear-regression"),
        ("66", "there is no lesson 66", "dltutor list"),
        ("zebra", "there is no lesson zebra", "dltutor list"),
        ("", "there is no lesson ''", "dltutor list"),
    ],
)
def test_what_is_not_found_gets_the_nearest(course: Course, query: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        course.find(query)
    assert message in caught.value.message and hint in caught.value.hint


def test_a_lessons_folder_finds_it_in_the_course_or_outside(course: Course, own: Path, tmp_path: Path) -> None:
    assert course.find(str(own / "06-mlp")) is course.entry("06-mlp")
    outside = write(tmp_path / "elsewhere", "90-draft")
    assert course.find(str(outside)).load().id == "90-draft"


def test_searching_looks_at_id_title_and_question(course: Course) -> None:
    found = [entry.id for entry in course.entries if entry.matches("REGRESSION why log")]
    assert found == ["02-logistic-regression"]
    assert all(entry.matches("") for entry in course.entries)
