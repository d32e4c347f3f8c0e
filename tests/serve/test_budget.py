"""How often sessions may draw: the more of them draw, the less often; whoever looks at text costs nobody anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from dltutor.page import FULL_RATE, Page
from dltutor.serve.budget import FRONT_END, LATE, LOWEST_RATE, SHARE, Budget

NOW = 1000.0
Pages = Callable[..., list[Page]]


@pytest.fixture
def pages() -> Iterator[Pages]:
    """So many sessions: what a drawing costs each, and how long ago each drew."""
    made: list[Page] = []

    def make(count: int, cost: float = 0.0015, ago: float | None = 0.1) -> list[Page]:
        for _number in range(count):
            page, descriptor = Page.create()
            os.close(descriptor)
            page.cost, page.drawn = cost, NOW - ago if ago is not None else 0.0
            made.append(page)
        return made[-count:]

    yield make
    for page in made:
        page.close()


@pytest.mark.parametrize("cost", [-1e300, float("inf"), float("nan"), 1e9])
def test_a_session_that_lies_about_its_cost_slows_nobody_else(pages, cost):
    class_ = [*pages(5), *pages(1, cost)]
    Budget(2).share(class_, NOW)
    assert {page.rate for page in class_} == {FULL_RATE}


def test_few_sessions_draw_as_often_as_they_like(pages):
    few = pages(20)
    Budget(2).share(few, NOW)
    assert {page.rate for page in few} == {FULL_RATE}


@pytest.mark.parametrize(("count", "cost"), [(100, 0.0015), (100, 0.0035), (200, 0.002), (50, 0.01)])
def test_many_sessions_together_take_their_share_of_the_processors_and_no_more(pages, count, cost):
    many = pages(count, cost)
    Budget(2).share(many, NOW)
    (rate,) = {page.rate for page in many}
    assert LOWEST_RATE < rate < FULL_RATE
    assert count * rate * (cost + FRONT_END) == pytest.approx(2 * SHARE)


def test_more_processors_draw_more(pages):
    many = pages(100, 0.0035)
    rates = []
    for cores in (2, 4):
        Budget(cores).share(many, NOW)
        rates.append(many[0].rate)
    assert rates[1] == pytest.approx(2 * rates[0])


def test_a_chart_is_never_slower_than_once_a_second(pages):
    far_too_many = pages(2000, 0.02)
    Budget(1).share(far_too_many, NOW)
    assert {page.rate for page in far_too_many} == {LOWEST_RATE}


def test_who_does_not_draw_takes_nothing_and_is_told_the_rate_too(pages):
    drawing, never, no_longer = pages(50, 0.0035), pages(100, ago=None), pages(100, ago=5.0)
    budget = Budget(2)
    budget.share([*never, *drawing, *no_longer], NOW)
    assert budget.live == 50
    assert {page.rate for page in [*drawing, *never, *no_longer]} == {budget.rate}
    assert budget.rate == pytest.approx(2 * SHARE / (50 * (0.0035 + FRONT_END)))


def test_when_sessions_leave_the_others_draw_more(pages):
    many, budget = pages(200, 0.0035), Budget(2)
    budget.share(many, NOW)
    before = many[0].rate
    budget.share(many[:10], NOW)
    assert before < many[0].rate == FULL_RATE


def test_whatever_keeps_the_machine_busy_the_charts_give_way_and_come_back(pages):
    few, budget = pages(5), Budget(2)
    for _second in range(10):
        budget.share(few, NOW, late=2 * LATE)
    assert few[0].rate == LOWEST_RATE
    seconds = 0
    while few[0].rate < FULL_RATE and seconds < 60:
        budget.share(few, NOW, late=0.001)
        seconds += 1
    assert few[0].rate == FULL_RATE
    assert 3 < seconds < 20  # neither at once, which would swing, nor for ever


def test_what_a_teacher_sees_of_it(pages):
    budget = Budget(2)
    budget.share(pages(3), NOW)
    assert budget.status() == {"live": 3, "rate": FULL_RATE, "slack": 1.0}
