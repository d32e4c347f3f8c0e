"""The grader as a process, and kernels for a graphics card that is not there."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from dltutor import lesson
from dltutor.emulate.front import missing_toolkit
from dltutor.grading.process import latest
from dltutor.lesson import exercises
from dltutor.link import GraderLink
from dltutor.wire import Check, Command, Event, Failed, Prepare, Ready, Verdict

LESSONS = Path(__file__).parents[1] / "fixtures" / "grading"
needs_compiler = pytest.mark.skipif(bool(missing_toolkit()), reason=f"no CUDA compiler: {missing_toolkit()}")
Ask = Callable[..., list[Event]]
LINES = {  # that race, or leave their array
    "wrong_no_barrier": "shares[me] += shares[me + half]",
    "wrong_no_guard": "total += dy[n, m]",
}


@pytest.fixture(scope="module", autouse=True)
def lessons() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLTUTOR_LESSONS", str(LESSONS))
        yield


@pytest.fixture(scope="module")
def grader() -> Iterator[Ask]:
    """Sends commands to one grader; what it says until so many are answered."""
    with asyncio.Runner() as runner:
        link = GraderLink()

        async def start() -> AsyncIterator[Event]:
            await link.start()
            return link.events()

        events = runner.run(start())

        async def answers(commands: tuple[Command, ...], wanted: int) -> list[Event]:
            for command in commands:
                await link.send(command)
            found: list[Event] = []
            async with asyncio.timeout(300):
                while sum(isinstance(event, Ready | Verdict | Failed) for event in found) < wanted:
                    found.append(await anext(events))
            return found

        yield lambda *commands, wanted=1: runner.run(answers(commands, wanted))
        runner.run(link.close())


def task(name: str) -> exercises.Exercise:
    return exercises.load(lesson.load(LESSONS / "cuda-sums", "en"), name)


def test_it_says_when_it_is_ready_and_how_strong_its_walls_are(grader):
    (ready,) = grader(Prepare())
    assert isinstance(ready, Ready)
    assert ready.device in ("namespaces", "bubblewrap", "landlock", "limits")


def test_a_newer_check_takes_the_place_of_one_that_waits():
    waiting: SimpleQueue[Command] = SimpleQueue()
    for command in (Check("a/b", "old", 1), Prepare(), Check("a/b", "newer", 2), Check("a/b", "newest", 3)):
        waiting.put(command)
    assert latest(waiting) == [Prepare(), Check("a/b", "newest", 3)]
    assert waiting.empty()


def test_an_exercise_that_is_not_there_is_told(grader):
    *_stages, failed = grader(Check("cuda-sums/none", ""))
    assert isinstance(failed, Failed)
    assert "none" in failed.message
    assert not failed.fatal


async def test_a_grader_that_is_killed_is_told():
    link = GraderLink()
    await link.start()
    assert link.pid
    os.kill(link.pid, signal.SIGKILL)
    (failed,) = [event async for event in link.events()]
    await link.close()
    assert isinstance(failed, Failed)
    assert failed.fatal
    assert "the grader ended unexpectedly (SIGKILL)" in failed.message


@needs_compiler
@pytest.mark.parametrize("name", ["sum-columns", "mean-of-squares"])
def test_kernels_for_a_card_are_checked_without_one(name, grader):
    """The start fails, the solution passes, and each wrong answer fails for its reason."""

    def verdict(source: str) -> Verdict:
        return grader(Check(f"cuda-sums/{name}", source))[-1]

    assert verdict(task(name).solution).passed
    assert not verdict(task(name).start).passed
    for wrong in task(name).wrong:
        found = verdict(wrong.source)
        assert (found.passed, found.cause, found.why) == (False, wrong.cause, wrong.why), found
        if wrong.name in LINES:
            assert found.line
            assert wrong.source.splitlines()[found.line - 1].strip() == LINES[wrong.name]
            assert found.headline.startswith(f"line {found.line}: ")
