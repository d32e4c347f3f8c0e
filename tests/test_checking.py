"""One grader answers checks one after the other, and is replaced where it dies or is given up."""

from __future__ import annotations

import asyncio

import pytest
from graders import RIGHT, WRONG, FakeGrader

from dltutor import wire
from dltutor.checking import Grader
from dltutor.errors import DltutorError


class Office:
    """Hires graders who answer so, and knows them all."""

    def __init__(self, *answers: wire.Event | None) -> None:
        self.answers = list(answers)
        self.graders: list[FakeGrader] = []

    def hire(self) -> FakeGrader:
        self.graders.append(FakeGrader(self.answers))
        return self.graders[-1]


async def test_what_is_being_looked_at_is_told_until_the_verdict_comes():
    told: list[str] = []
    verdict = await Grader(Office(WRONG).hire).check("a/b", "source", told.append)
    assert verdict.headline == WRONG.headline and told == ["waiting for the grader", "gradient"]


async def test_one_grader_serves_all_checks():
    office = Office(WRONG, RIGHT)
    grader = Grader(office.hire)
    await asyncio.gather(grader.prepare(), grader.prepare())
    assert not (await grader.check("a/b", "one", str)).passed
    assert (await grader.check("a/b", "two", str)).passed
    assert [check.source for check in office.graders[0].asked] == ["one", "two"] and len(office.graders) == 1


async def test_a_verdict_on_what_was_asked_before_is_no_answer():
    office = Office(None)
    grader = Grader(office.hire)
    task = asyncio.create_task(grader.check("a/b", "source", str))
    while not (office.graders and office.graders[0].asked):
        await asyncio.sleep(0)
    office.graders[0].say(WRONG, number=0)
    office.graders[0].say(RIGHT, number=1)
    assert (await task).passed


async def test_a_grader_that_dies_is_told_and_replaced():
    office = Office(wire.Failed("the grader ended unexpectedly", "Nothing is lost.", fatal=True), RIGHT)
    grader = Grader(office.hire)
    with pytest.raises(DltutorError, match="ended unexpectedly"):
        await grader.check("a/b", "source", str)
    assert (await grader.check("a/b", "source", str)).passed
    assert office.graders[0].closed and len(office.graders) == 2


async def test_giving_up_ends_the_process():
    office = Office(None)
    task = asyncio.create_task(Grader(office.hire).check("a/b", "while True: pass", str))
    while not (office.graders and office.graders[0].asked):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert office.graders[0].closed
