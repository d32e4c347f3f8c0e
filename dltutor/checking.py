"""Asking a grader what comes of what the learner wrote: for the application and the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from dltutor import i18n, wire
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.link import GraderLink, Link


class Grader:
    """Asks the grader's process, one check at a time. One that has died, or was given up, is replaced."""

    def __init__(self, make_link: Callable[[], Link] = GraderLink) -> None:
        self._make_link = make_link
        self._link: Link | None = None
        self._events: AsyncIterator[wire.Event] | None = None
        self._number = 0
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Grader:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def prepare(self) -> None:
        """Start the process before it is needed: it takes a second or two."""
        async with self._opening:
            if self._link:
                return
            link = self._link = self._make_link()
            await link.start()
            self._events = link.events()
            await link.send(wire.Prepare())

    async def check(self, exercise: str, source: str, told: Callable[[str], None] = lambda stage: None) -> wire.Verdict:
        """What comes of `source`; `told` hears what is being looked at. Raises DltutorError where the grader fails.

        Cancelling it ends the process, and whatever of the learner's runs in it.
        """
        try:
            await self.prepare()
            return await self._ask(exercise, source, told)
        except BaseException:
            await self.close()
            raise

    async def _ask(self, exercise: str, source: str, told: Callable[[str], None]) -> wire.Verdict:
        assert self._link and self._events
        self._number += 1
        told(_("waiting for the grader"))
        await self._link.send(wire.Check(exercise, source, self._number, i18n.current()))
        async for event in self._events:
            match event:
                case wire.Checking(number, stage) if number == self._number:
                    told(stage)
                case wire.Verdict(number=number) if number == self._number:
                    return event
                case wire.Failed():
                    raise DltutorError(event.message, event.hint)
        raise DltutorError(_("the grader ended"), _("`dltutor doctor` may name the cause."))

    async def close(self) -> None:
        async with self._opening:
            link, self._link, self._events = self._link, None, None
            if link:
                await link.close()
