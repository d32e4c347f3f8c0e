"""How often sessions may draw: the more of them draw, the less often; whoever looks at text costs nobody anything."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from dltutor.page import FULL_RATE, Page
from dltutor.serve.budget import FRONT_END, LATE, LOWEST_RATE, SHARE, Budget
from dltutor.serve.health import processor_seconds

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


def share(budget: Budget, pages: list[Page], late: float = 0.0, engines: list[int] | None = None) -> None:
    """A second is over; each page has `engines`, those of no process at first."""
    budget.share([(page, engines or []) for page in pages], NOW, late)


@pytest.mark.parametrize("cost", [-1e300, float("inf"), float("nan"), 1e9])
def test_a_session_that_lies_about_its_cost_slows_nobody_else(pages, cost):
    class_ = [*pages(5), *pages(1, cost)]
    share(Budget(2), class_)
    assert {page.rate for page in class_} == {FULL_RATE}


def test_few_sessions_draw_as_often_as_they_like(pages):
    few = pages(20)
    share(Budget(2), few)
    assert {page.rate for page in few} == {FULL_RATE}


@pytest.mark.parametrize(("count", "cost"), [(100, 0.0015), (100, 0.0035), (200, 0.002), (50, 0.01)])
def test_many_sessions_together_take_their_share_of_the_processors_and_no_more(pages, count, cost):
    many = pages(count, cost)
    share(Budget(2), many)
    (rate,) = {page.rate for page in many}
    assert LOWEST_RATE < rate < FULL_RATE
    assert count * rate * (cost + FRONT_END) == pytest.approx(2 * SHARE)


def test_more_processors_draw_more(pages):
    many = pages(100, 0.0035)
    rates = []
    for cores in (2, 4):
        share(Budget(cores), many)
        rates.append(many[0].rate)
    assert rates[1] == pytest.approx(2 * rates[0])


def test_where_engines_work_for_each_drawing_there_are_fewer(pages):
    many, budget = pages(50, 0.0035), Budget(2)
    share(budget, many)
    before, seconds = budget.rate, 0
    while budget.rate > 0.9 * before and seconds < 20:
        for page in many:
            page.drawings += 1
        work(0.02)
        share(budget, many, engines=[os.getpid()])  # each has the same one, which is here
        seconds += 1
    assert LOWEST_RATE < budget.rate <= 0.9 * before


def test_an_engine_that_is_gone_counts_nothing(pages):
    with subprocess.Popen(["true"]) as ended:
        pass
    assert processor_seconds(ended.pid) == 0


def test_an_engine_that_trains_as_fast_as_it_can_slows_others_no_more_than_one_that_draws(pages):
    few, budget = pages(3), Budget(2)
    for _second in range(10):
        few[0].drawings += 1
        work(0.05)
        share(budget, few, engines=[os.getpid()])
    assert budget.rate == FULL_RATE


def work(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_chart_is_never_slower_than_its_slowest_rate(pages):
    far_too_many = pages(2000, 0.02)
    share(Budget(1), far_too_many)
    assert {page.rate for page in far_too_many} == {LOWEST_RATE}


def test_who_does_not_draw_takes_nothing_and_is_told_the_rate_too(pages):
    drawing, never, no_longer = pages(50, 0.0035), pages(100, ago=None), pages(100, ago=5.0)
    budget = Budget(2)
    share(budget, [*never, *drawing, *no_longer])
    assert budget.live == 50
    assert {page.rate for page in [*drawing, *never, *no_longer]} == {budget.rate}
    assert budget.rate == pytest.approx(2 * SHARE / (50 * (0.0035 + FRONT_END)))


def test_when_sessions_leave_the_others_draw_more(pages):
    many, budget = pages(200, 0.0035), Budget(2)
    share(budget, many)
    before = many[0].rate
    share(budget, many[:10])
    assert before < many[0].rate == FULL_RATE


def test_whatever_keeps_the_machine_busy_the_charts_give_way_and_come_back(pages):
    few, budget = pages(5), Budget(2)
    for _second in range(10):
        share(budget, few, late=2 * LATE)
    assert few[0].rate == LOWEST_RATE
    seconds = 0
    while few[0].rate < FULL_RATE and seconds < 60:
        share(budget, few, late=0.001)
        seconds += 1
    assert few[0].rate == FULL_RATE
    assert 3 < seconds < 20  # neither at once, which would swing, nor for ever


def test_what_a_teacher_sees_of_it(pages):
    budget = Budget(2)
    share(budget, pages(3))
    assert budget.status() == {"live": 3, "rate": FULL_RATE, "slack": 1.0}
