"""Questions come back: the wrong ones tomorrow, the right ones later and later; days are the learner's."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from dltutor import i18n
from dltutor.lesson.course import Course, catalogue
from dltutor.progress import Progress, days, schedule
from dltutor.progress.records import moment
from dltutor.progress.schedule import AGAIN, EASY, GOOD, HARD

NOW = datetime(2026, 3, 10, 20, 0, tzinfo=UTC)  # an evening
LESSON = """---
id: {id}
title: {title}
part: 1
minutes: 5
question: Why?
---

## Read {{#read}}

```quiz
id: odds
title: Odds
question: What are odds of one to one?
choices:
  - {{text: a half, right: true}}
  - {{text: a third, why: That is one to two.}}
```

## Cards {{#cards}}

```review
id: deck
cards:
  - {{id: sign, front: Which way?, back: Downhill.}}
  - {{id: rate, front: How far?, back: The rate says.}}
```
"""


def write(folder: Path, id: str = "91-first", text: str = LESSON) -> Path:
    lesson = folder / id
    lesson.mkdir(parents=True, exist_ok=True)
    (lesson / "lesson.md").write_text(text.format(id=id, title=id))
    return lesson


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    monkeypatch.setenv("DLTUTOR_LESSONS", str(tmp_path / "lessons"))
    for id in ("91-first", "92-second"):
        write(tmp_path / "lessons", id)
    return catalogue()


@pytest.fixture
def kept(home: Path) -> Iterator[Progress]:
    with Progress.open(home) as opened:
        yield opened


@pytest.fixture(autouse=True)
def greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A learner in London, in winter."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def after(day: date, hours: float = 8) -> datetime:
    """In the course of `day`."""
    return days.start_of(day) + timedelta(hours=hours)


def items(kept: Progress, course: Course, now: datetime) -> list[tuple[str, str]]:
    return [(due.lesson, due.item) for due in schedule.due(kept, course, now)]


# ---------------------------------------------------------------- how far away


def test_a_wrong_answer_comes_back_tomorrow_and_a_right_one_in_some_days(kept: Progress) -> None:
    assert schedule.answer(kept, "91-first", "wrong", None, False, NOW) == date(2026, 3, 11)
    assert date(2026, 3, 12) <= schedule.answer(kept, "91-first", "right", None, True, NOW) <= date(2026, 3, 15)


def test_each_right_answer_leads_further_away_and_a_wrong_one_back(kept: Progress) -> None:
    now, gaps = NOW, []
    for _time in range(5):
        day = schedule.rate(kept, "91-first", "odds", GOOD, now)
        gaps.append((day - days.day_of(now)).days)
        now = after(day)
    assert gaps == sorted(set(gaps)) and gaps[-1] > 30
    back = schedule.rate(kept, "91-first", "odds", AGAIN, now)
    assert (back - days.day_of(now)).days < gaps[1]


def test_nothing_stays_away_for_more_than_a_year(kept: Progress) -> None:
    now = NOW
    for _time in range(8):
        day = schedule.rate(kept, "91-first", "odds", EASY, now)
        assert (day - days.day_of(now)).days <= schedule.LONGEST_DAYS
        now = after(day)


def test_what_a_rating_will_do_is_known_before(kept: Progress) -> None:
    outlook = schedule.outlook(kept, "91-first", "odds", NOW)
    assert outlook[AGAIN] <= outlook[HARD] <= outlook[GOOD] < outlook[EASY]
    for rating, day in outlook.items():
        assert schedule.rate(kept, "91-first", f"item-{rating}", rating, NOW) == day
    assert kept.card("91-first", "odds") is None


def test_answering_again_on_the_same_day_does_not_push_it_around(kept: Progress) -> None:
    tomorrow = schedule.answer(kept, "91-first", "odds", None, False, NOW)
    before = kept.card("91-first", "odds")
    for right in (True, True, False):
        assert schedule.answer(kept, "91-first", "odds", None, right, NOW + timedelta(hours=1)) == tomorrow
    assert kept.card("91-first", "odds") == before


def test_an_answer_is_kept_with_the_day_on_which_it_comes_back(kept: Progress, monkeypatch: pytest.MonkeyPatch) -> None:
    assert schedule.answer(kept, "91-first", "odds", [0, 2], False, NOW) == date(2026, 3, 11)
    card = kept.card("91-first", "odds")
    assert kept.answers("91-first")["odds"].given == [0, 2] and card
    again = schedule.answer(kept, "91-first", "odds", [0, 1], True, NOW + timedelta(minutes=1))
    assert again == date(2026, 3, 11) and kept.card("91-first", "odds") == card
    assert kept.answers("91-first")["odds"].right


def test_answering_before_it_is_due_on_a_later_day_counts(kept: Progress) -> None:
    first = schedule.rate(kept, "91-first", "odds", EASY, NOW)
    assert schedule.rate(kept, "91-first", "odds", AGAIN, NOW + timedelta(days=2)) < first


# ---------------------------------------------------------------- days


def test_what_is_due_tomorrow_is_due_all_day_from_four_in_the_morning(kept: Progress, course: Course) -> None:
    schedule.answer(kept, "91-first", "odds", None, False, NOW)
    for hours, count in ((-0.1, 0), (0, 1), (3, 1)):
        assert len(items(kept, course, after(date(2026, 3, 11), hours))) == count


def test_studying_past_midnight_is_still_the_same_day(kept: Progress) -> None:
    late = datetime(2026, 3, 11, 1, 30, tzinfo=UTC)
    assert schedule.answer(kept, "91-first", "odds", None, False, late) == date(2026, 3, 11)


def test_a_morning_after_an_evening_is_another_day(kept: Progress) -> None:
    day = schedule.rate(kept, "91-first", "odds", GOOD, NOW)
    whole = schedule.rate(kept, "91-first", "odds", GOOD, after(day, 16))
    kept.reset()
    schedule.rate(kept, "91-first", "odds", GOOD, NOW)
    assert schedule.rate(kept, "91-first", "odds", GOOD, after(day, 0.5)) == whole


def test_days_are_those_of_the_learners_clock(kept: Progress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    assert days.day_of(datetime(2026, 3, 10, 19, 59, tzinfo=UTC)) == date(2026, 3, 10)
    assert days.day_of(NOW) == date(2026, 3, 11)
    assert schedule.answer(kept, "91-first", "odds", None, False, NOW) == date(2026, 3, 12)
    card = kept.card("91-first", "odds")
    assert card and card.due == "2026-03-11T20:00:00.000000+00:00"


@pytest.mark.parametrize(
    ("ahead", "english", "chinese"),
    [
        (-3, "today", "今天"),
        (0, "today", "今天"),
        (1, "tomorrow", "明天"),
        (3, "in 3 days", "3 天后"),
        (91, "in about 3 months", "大约 3 个月后"),
    ],
)
def test_days_have_names(ahead: int, english: str, chinese: str) -> None:
    today = date(2026, 3, 10)
    assert days.when(today + timedelta(days=ahead), today) == english
    i18n.use("zh")
    try:
        assert days.when(today + timedelta(days=ahead), today) == chinese
    finally:
        i18n.use("en")


# ---------------------------------------------------------------- what is due


def test_a_new_learner_has_nothing_to_review(kept: Progress, course: Course) -> None:
    assert schedule.due(kept, course, NOW) == [] and schedule.next_due(kept, course, NOW) is None
    assert days.count_due(kept, [entry.id for entry in course.entries], NOW) == (0, 0)


def test_what_is_due_says_where_it_comes_from_and_what_it_asks(kept: Progress, course: Course) -> None:
    schedule.answer(kept, "91-first", "odds", None, False, NOW)
    (due,) = schedule.due(kept, course, NOW + timedelta(days=3))
    assert (due.lesson, due.question.section, due.item, due.question.kind) == ("91-first", "read", "odds", "quiz")
    assert due.question.text == "What are odds of one to one?" and due.since == date(2026, 3, 11)


def test_cards_are_due_once_their_section_was_read(kept: Progress, course: Course) -> None:
    kept.complete("91-first", "read")
    assert items(kept, course, NOW) == []
    kept.complete("91-first", "cards")
    assert items(kept, course, NOW) == [("91-first", "deck/sign"), ("91-first", "deck/rate")]
    schedule.rate(kept, "91-first", "deck/sign", GOOD, NOW)
    assert items(kept, course, NOW) == [("91-first", "deck/rate")]


def test_a_section_just_read_makes_its_cards_known_without_reading_lessons(kept: Progress, course: Course) -> None:
    lesson = course.find("91").load()
    schedule.introduce(kept, lesson, ["read"], NOW)
    assert days.count_due(kept, [lesson.id], NOW) == (0, 0)
    schedule.introduce(kept, lesson, ["cards"], NOW)
    schedule.rate(kept, lesson.id, "deck/sign", GOOD, NOW)
    schedule.introduce(kept, lesson, ["cards"], NOW)
    assert days.count_due(kept, [lesson.id], NOW) == (1, 0)


def test_lessons_are_mixed_and_what_waited_longest_comes_first(kept: Progress, course: Course) -> None:
    for lesson in ("91-first", "92-second"):
        for section in ("read", "cards"):
            kept.complete(lesson, section)
    schedule.due(kept, course, NOW)
    schedule.answer(kept, "92-second", "odds", None, False, NOW - timedelta(days=5))
    assert items(kept, course, NOW) == [
        ("92-second", "odds"),
        ("91-first", "deck/sign"),
        ("92-second", "deck/sign"),
        ("91-first", "deck/rate"),
        ("92-second", "deck/rate"),
    ]


def test_the_next_day_with_questions_is_known_and_how_many(kept: Progress, course: Course) -> None:
    names = [entry.id for entry in course.entries]
    schedule.answer(kept, "91-first", "odds", None, False, NOW)
    schedule.answer(kept, "92-second", "odds", None, False, NOW)
    schedule.rate(kept, "92-second", "deck/sign", EASY, NOW)
    assert schedule.next_due(kept, course, NOW) == (date(2026, 3, 11), 2)
    assert days.count_due(kept, names, NOW) == (0, 2)
    assert days.count_due(kept, names, NOW + timedelta(days=1)) == (2, 0)
    assert schedule.next_due(kept, course, NOW + timedelta(days=1)) == (date(2026, 3, 18), 1)


# ---------------------------------------------------------------- what changes around it


def test_a_question_that_its_lesson_dropped_is_left_out_and_comes_back_with_it(
    kept: Progress, course: Course, tmp_path: Path
) -> None:
    schedule.rate(kept, "91-first", "odds", GOOD, NOW)
    state = kept.card("91-first", "odds").state
    later = NOW + timedelta(days=9)
    write(tmp_path / "lessons", text=LESSON.replace("id: odds", "id: other"))
    assert items(kept, course, later) == []
    assert days.count_due(kept, ["91-first"], later) == (0, 0)
    write(tmp_path / "lessons")
    assert items(kept, course, later + timedelta(days=schedule.PUT_OFF_DAYS)) == [("91-first", "odds")]
    assert kept.card("91-first", "odds").state == state


def test_a_title_may_change(kept: Progress, course: Course, tmp_path: Path) -> None:
    schedule.answer(kept, "91-first", "odds", None, False, NOW)
    text = LESSON.replace("## Read", "## Something else").replace("title: Odds", "title: Chances")
    write(tmp_path / "lessons", text=text.replace("{title}", "Another name"))
    assert items(kept, catalogue(), NOW + timedelta(days=1)) == [("91-first", "odds")]


def test_a_lesson_that_cannot_be_read_takes_nothing_with_it(kept: Progress, course: Course, tmp_path: Path) -> None:
    for lesson in ("91-first", "92-second"):
        schedule.answer(kept, lesson, "odds", None, False, NOW)
    write(tmp_path / "lessons", text="broken")
    tomorrow, broken = NOW + timedelta(days=1), catalogue()
    assert items(kept, broken, tomorrow) == [("92-second", "odds")]
    write(tmp_path / "lessons")
    assert items(kept, catalogue(), tomorrow) == [("91-first", "odds"), ("92-second", "odds")]


@pytest.mark.parametrize(
    "state",
    [
        {"stability": "nan", "difficulty": 5.0, "last": "2026-03-01"},
        {"stability": -1.0, "difficulty": 5.0, "last": "2026-03-01"},
        {"stability": 2.0, "difficulty": None, "last": "2026-03-01"},
        {"stability": 2.0, "difficulty": 5.0, "last": "yesterday"},
        {"of": "another program"},
    ],
)
def test_a_state_that_cannot_be_read_counts_as_none(kept: Progress, state: dict[str, object]) -> None:
    kept.set_card("91-first", "odds", state, moment(NOW), NOW - timedelta(days=3))
    fresh = schedule.outlook(kept, "91-first", "new", NOW)
    assert schedule.outlook(kept, "91-first", "odds", NOW) == fresh
    assert schedule.rate(kept, "91-first", "odds", GOOD, NOW) == fresh[GOOD]


def test_what_a_wrong_clock_did_is_mended_by_the_right_one(kept: Progress, course: Course) -> None:
    schedule.answer(kept, "91-first", "odds", None, True, datetime(2099, 1, 1, 12, tzinfo=UTC))
    schedule.answer(kept, "92-second", "odds", None, True, datetime(1970, 1, 3, 12, tzinfo=UTC))
    assert days.count_due(kept, ["91-first", "92-second"], NOW) == (2, 0)
    assert items(kept, course, NOW) == [("92-second", "odds"), ("91-first", "odds")]
    for lesson in ("91-first", "92-second"):
        day = schedule.answer(kept, lesson, "odds", None, True, NOW)
        assert date(2026, 3, 11) <= day <= date(2027, 3, 10)
    assert items(kept, course, NOW) == []


def test_the_schedule_is_read_only_when_something_is_rated() -> None:
    code = "import sys, dltutor.progress.days, dltutor.progress.schedule; print('fsrs' in sys.modules)"
    assert os.popen(f'{sys.executable} -c "{code}"').read() == "False\n"
