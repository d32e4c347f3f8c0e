"""Verdicts made up, and a link that gives them: what a test needs in the place of a grader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from dltutor import wire

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
        if answer:
            self.say(answer, command.number)

    def say(self, event: wire.Event, number: int = 0) -> None:
        """Let it say this now, of the check of that number."""
        self._said.put_nowait(replace(event, number=number) if isinstance(event, wire.Verdict) else event)

    async def events(self) -> AsyncIterator[wire.Event]:
        while event := await self._said.get():
            yield event

    def end(self) -> None:
        self._said.put_nowait(None)

    async def close(self) -> None:
        self.closed = True
        self.end()
