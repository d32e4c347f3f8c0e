"""The learner's days: when one begins, what it is called, and how many questions come back on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from dltutor.i18n import _, plural
from dltutor.progress import Progress

DAY_BEGINS = timedelta(hours=4)  # who studies at midnight has not reached tomorrow
MONTHS_FROM = 60  # days; nearer ones are counted as such


def day_of(moment: datetime) -> date:
    """The day by the learner's clock."""
    return (moment.astimezone().replace(tzinfo=None) - DAY_BEGINS).date()


def start_of(day: date) -> datetime:
    return (datetime(day.year, day.month, day.day) + DAY_BEGINS).astimezone()


def when(day: date, today: date) -> str:
    """`day` in words: today, tomorrow, in 3 days."""
    days = (day - today).days
    if days <= 0:
        return _("today")
    if days == 1:
        return _("tomorrow")
    if days < MONTHS_FROM:
        return plural("in {n} day", "in {n} days", days)
    return plural("in about {n} month", "in about {n} months", round(days / 30.4))


def count_due(progress: Progress, lessons: Sequence[str], now: datetime | None = None) -> tuple[int, int]:
    """How many questions of `lessons` are due today, and how many more tomorrow. No lesson is read for it."""
    now = now or datetime.now(UTC)
    today = progress.count_due(now, lessons, now)
    return today, progress.count_due(start_of(day_of(now) + timedelta(days=1)), lessons, now) - today
