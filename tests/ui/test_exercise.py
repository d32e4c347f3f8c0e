"""Exercises and bug hunts, driven by keys, with verdicts made up in the place of a grader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from screens import shown, text, until
from textual.pilot import Pilot

from dltutor import i18n, wire
from dltutor import lesson as lessons
from dltutor.progress import Progress
from dltutor.ui.app import Tutor
from dltutor.ui.plots.look import Look
from dltutor.ui.screens.exercise import ExerciseScreen, task_screen

FIXTURE = Path(__file__).parents[1] / "fixtures" / "practice"
SMALL, LARGE = (80, 24), (140, 45)

WRONG = wire.Verdict(
    0,
    False,
    "dy is wrong in 5 of 6 places",
    [
        wire.Finding("compiles", True, "It compiles."),
        wire.Finding("gradient", False, "The gradient differs from the numeric one."),
    ],
    [wire.Element("dy[2, 0]", -1.25, 1.25, 1.25000001), wire.Element("dy[0, 0]", 0.5, -0.5, -0.5)],
    "sign",
    "The sign is the other way round: is it y - t?",
    2,
    "here I am\n",
    "namespaces",
    0.12,
)
RIGHT = wire.Verdict(0, True, "Everything is right", [wire.Finding("compiles", True, "It compiles.")], seconds=0.2)


class FakeGrader:
    """A link whose verdicts are known before. It answers each check with the next of `answers`; None: never."""

    def __init__(self, answers: list[wire.Event | None]) -> None:
        self.answers = answers
        self.asked: list[wire.Check] = []
        self.closed = False
        self._said: asyncio.Queue[wire.Event | None] = asyncio.Queue()

    async def start(self) -> None:
        pass

    async def send(self, command: wire.Command) -> None:
        if not isinstance(command, wire.Check):
            return
        self.asked.append(command)
        self._said.put_nowait(wire.Checking(command.number, "gradient"))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, wire.Verdict):
            answer = wire.Verdict(**(vars(answer) | {"number": command.number}))
        if answer:
            self._said.put_nowait(answer)

    async def events(self) -> AsyncIterator[wire.Event]:
        while event := await self._said.get():
            yield event

    async def close(self) -> None:
        self.closed = True
        self._said.put_nowait(None)


class Practice(Tutor):
    """The application with made-up graders."""

    def __init__(self, progress: Progress, answers: list[wire.Event | None]) -> None:
        super().__init__(progress, Look("256"))
        self.answers = answers
        self.graders: list[FakeGrader] = []
        self.outcomes: list = []

    def make_grader(self) -> FakeGrader:
        self.graders.append(FakeGrader(self.answers))
        return self.graders[-1]

    async def _prepare_engine(self) -> None:
        pass

    @property
    def asked(self) -> list[wire.Check]:
        return [check for grader in self.graders for check in grader.asked]


@pytest.fixture
def progress(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Progress]:
    monkeypatch.setenv("DLTUTOR_LESSONS", str(FIXTURE))
    with Progress.open(home) as opened:
        yield opened
    i18n.use("en")


@asynccontextmanager
async def at(
    progress: Progress, name: str = "mse-backward", *answers: wire.Event | None, size=SMALL, theme: str = ""
) -> AsyncIterator[Pilot]:
    """The screen of the exercise `name`; its checks come out as `answers` say."""
    app = Practice(progress, list(answers) or [WRONG])
    if theme:
        app.theme = theme
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.screen.query("#title"))
        lesson = lessons.load(FIXTURE, i18n.current())
        app.push_screen(task_screen(lesson, name), app.outcomes.append)
        await until(pilot, lambda: isinstance(app.screen, ExerciseScreen) and app.screen.query("Task Markdown"))
        yield pilot


async def test_a_wrong_kernel_gets_its_verdict(progress):
    async with at(progress) as pilot:
        await shown(pilot, "Write the gradient")
        await pilot.press("c")
        await shown(pilot, "dy is wrong in 5 of 6 places")
        for words in ("is it y - t?", "dy[2, 0]", "-1.25", "here I am"):
            assert words in text(pilot)
