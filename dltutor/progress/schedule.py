"""When a question comes back: FSRS counts the days; here is what it counts them for.

Whoever answers wrong sees the question tomorrow; a first right answer brings it back in some days, and each further one
later.

An item is called by ids only: of a quiz, its fence's; of a card, its fence's and its own, with a slash between them.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from dltutor.errors import DltutorError
from dltutor.lesson import Lesson, questions
from dltutor.lesson.course import Course, Entry
from dltutor.progress import Card, Progress
from dltutor.progress.days import day_of, start_of
from dltutor.progress.records import moment

AGAIN, HARD, GOOD, EASY = 1, 2, 3, 4
LONGEST_DAYS = 365  # nothing stays away for more than a year
PUT_OFF_DAYS = 30  # an item that its lesson no longer has, in case it comes back


@dataclass(frozen=True)
class Question:
    """Something of a lesson that can come back."""

    lesson: str
    section: str
    item: str
    content: questions.Quiz | questions.Card

    @property
    def kind(self) -> str:
        return "card" if isinstance(self.content, questions.Card) else "quiz"

    @property
    def text(self) -> str:
        """What is asked."""
        return self.content.front if isinstance(self.content, questions.Card) else self.content.question


@dataclass(frozen=True)
class Due:
    """A question that is to be asked today, and since when."""

    question: Question
    since: date

    @property
    def lesson(self) -> str:
        return self.question.lesson

    @property
    def item(self) -> str:
        return self.question.item


class Next(NamedTuple):
    """The next day on which questions come back, and how many."""

    day: date
    coming: int


# ---------------------------------------------------------------- rating


def rate(progress: Progress, lesson: str, item: str, rating: int, now: datetime | None = None) -> date:
    """The question was answered with `rating`: 1 again, 2 hard, 3 good, 4 easy; the day on which it comes back."""
    now = now or datetime.now(UTC)
    card = _moved(progress, lesson, item, rating, now)
    progress.set_card(lesson, item, card.state, card.due, datetime.fromisoformat(card.at))
    return _day(card.due)


def answer(progress: Progress, lesson: str, item: str, given: Any, right: bool, now: datetime | None = None) -> date:
    """A quiz was answered: the answer is kept, and the day on which it comes back; both or neither."""
    card = _moved(progress, lesson, item, GOOD if right else AGAIN, now or datetime.now(UTC))
    progress.add_answer(lesson, item, given, right, card)
    return _day(card.due)


def _moved(progress: Progress, lesson: str, item: str, rating: int, now: datetime) -> Card:
    """The card after `rating`. One that was answered today already stays where it is: a second try just after the
    first says little."""
    card, today = progress.card(lesson, item), day_of(now)
    if card and card.state and _day(card.at) == today and _day(card.due) > today:
        return card
    state, day = _rated(card.state if card else {}, rating, today)
    return Card(lesson, item, state, moment(start_of(day)), moment(now))


def outlook(progress: Progress, lesson: str, item: str, now: datetime | None = None) -> dict[int, date]:
    """Rating -> the day on which the question would come back."""
    card, today = progress.card(lesson, item), day_of(now or datetime.now(UTC))
    return {rating: _rated(card.state if card else {}, rating, today)[1] for rating in (AGAIN, HARD, GOOD, EASY)}


def prepare() -> None:
    """Import what rating needs, which takes a moment."""
    _reviewed({}, GOOD, date(2000, 1, 1))


def _rated(state: Mapping[str, Any], rating: int, today: date) -> tuple[dict[str, Any], date]:
    """The state after `rating`, and the day it leads to. A state that can't be read counts as none."""
    try:
        return _reviewed(state, rating, today)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return _reviewed({}, rating, today)


def _reviewed(state: Mapping[str, Any], rating: int, today: date) -> tuple[dict[str, Any], date]:
    """To FSRS every review is at noon: it counts whole days, and a morning after an evening is one."""
    from fsrs import Card, Rating, Scheduler, State

    scheduler = Scheduler(learning_steps=(), relearning_steps=(), maximum_interval=LONGEST_DAYS, enable_fuzzing=False)
    card = Card(card_id=0)
    if state:
        last = _noon(date.fromisoformat(state["last"]))
        stability, difficulty = float(state["stability"]), float(state["difficulty"])
        card = Card(0, State.Review, None, stability, difficulty, last, last)
    card, _log = scheduler.review_card(card, Rating(rating), _noon(today))
    return {"stability": card.stability, "difficulty": card.difficulty, "last": today.isoformat()}, card.due.date()


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def _day(at: str) -> date:
    """The learner's day of a time in the progress file; the first of all days where it can't be read."""
    try:
        return day_of(datetime.fromisoformat(at))
    except (ValueError, OverflowError, OSError):  # the last: of systems whose clock begins in 1970
        return date.min


# ---------------------------------------------------------------- what is due


def next_due(progress: Progress, course: Course, now: datetime | None = None) -> Next | None:
    """When the next questions come back, after what is due today, and how many; None: nothing will."""
    now = now or datetime.now(UTC)
    names = {entry.id for entry in course.entries}
    coming = [_day(card.due) for card in progress.cards() if card.lesson in names and not _is_due(card, now)]
    return Next(min(coming), coming.count(min(coming))) if coming else None


def due(progress: Progress, course: Course, now: datetime | None = None) -> list[Due]:
    """What is to be asked today, what has waited longest first, one lesson after the other within a day.

    Reads the lessons that have something due. What a lesson no longer has is left out, and put off.
    """
    now = now or datetime.now(UTC)
    with contextlib.suppress(DltutorError):  # another program keeps the file busy: next time
        for entry in course.entries:
            _catch_up(progress, entry, now)
    cards: dict[str, list[Card]] = {}
    for card in progress.cards():
        if _is_due(card, now):
            cards.setdefault(card.lesson, []).append(card)
    return _mixed(found for entry in course.entries for found in _found(progress, entry, cards.get(entry.id, []), now))


def unreadable(progress: Progress, course: Course, found: Iterable[Due], now: datetime | None = None) -> list[str]:
    """Titles of lessons that have something due, and can't be read."""
    now = now or datetime.now(UTC)
    waiting = {card.lesson for card in progress.cards() if _is_due(card, now)} - {each.lesson for each in found}
    return [entry.title for entry in course.entries if entry.id in waiting and not _loaded(entry)]


def introduce(progress: Progress, lesson: Lesson, sections: Iterable[str], now: datetime | None = None) -> None:
    """The cards of these sections, which were read, are due from now on; those that are known stay as they are."""
    now, read = now or datetime.now(UTC), set(sections)
    items = [one.item for one in asked_in(lesson) if one.kind == "card" and one.section in read]
    if items:
        progress.add_cards(lesson.id, items, moment(now), now)


def _catch_up(progress: Progress, entry: Entry, now: datetime) -> None:
    """Cards that came into a lesson after its sections were read."""
    read = progress.completed(entry.id)
    if read and _has_cards(entry):
        lesson = _loaded(entry)
        if lesson:
            introduce(progress, lesson, read, now)


def _has_cards(entry: Entry) -> bool:
    """Without reading the lesson as such."""
    try:
        return "```review" in (entry.folder / "lesson.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _found(progress: Progress, entry: Entry, cards: list[Card], now: datetime) -> Iterator[Due]:
    """The due cards of a lesson, with what they ask."""
    lesson = _loaded(entry) if cards else None
    asked = {one.item: one for one in asked_in(lesson)} if lesson else {}
    for card in cards:
        if card.item in asked:
            yield Due(asked[card.item], min(_day(card.due), day_of(now)))
        elif lesson:
            _put_off(progress, card, now)


def _put_off(progress: Progress, card: Card, now: datetime) -> None:
    later = start_of(day_of(now) + timedelta(days=PUT_OFF_DAYS))
    with contextlib.suppress(DltutorError):
        progress.set_card(card.lesson, card.item, card.state, moment(later), now)


def _is_due(card: Card, now: datetime) -> bool:
    """As `Progress.count_due` counts."""
    return card.due <= moment(now) or card.at > moment(now + timedelta(days=1))


def _mixed(found: Iterable[Due]) -> list[Due]:
    """By day; within a day the first of each lesson, then the second of each."""
    places: Counter[tuple[str, date]] = Counter()
    ranked = []
    for each in found:
        places[each.lesson, each.since] += 1
        ranked.append((each.since, places[each.lesson, each.since], each))
    return [each for _since, _place, each in sorted(ranked, key=lambda row: row[:2])]


# ---------------------------------------------------------------- the questions of a lesson


def asked_in(lesson: Lesson) -> list[Question]:
    """Everything in `lesson` that can come back, in its order."""
    return [
        Question(lesson.id, section.id, item, content)
        for section in lesson.sections
        for widget in section.widgets()
        for item, content in _items(widget.body)
    ]


def _items(content: Any) -> list[tuple[str, questions.Quiz | questions.Card]]:
    if isinstance(content, questions.Deck):
        return [(card_item(content, card), card) for card in content.cards]
    return [(content.id, content)] if questions.is_quiz(content) else []


def card_item(deck: questions.Deck, card: questions.Card) -> str:
    """What a card is called in the progress file."""
    return f"{deck.id}/{card.id}"


def _loaded(entry: Entry) -> Lesson | None:
    """None where it can't be read."""
    try:
        return entry.load()
    except DltutorError:
        return None
