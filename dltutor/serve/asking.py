"""A line that a learner types before there is an application: not shown, with the keys that end and mend a line."""

from __future__ import annotations

import asyncio
import codecs
import re

LONGEST = 128  # characters
ENTER, ERASE, CLEAR, LEAVE = "\r\n", "\x7f\b", "\x15", "\x03\x04"
_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)  # arrows and the like


class Left(Exception):
    """They pressed ctrl+c or ctrl+d, or are gone."""


class Line:
    """What is fed to it, as lines."""

    def __init__(self) -> None:
        self._typed = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._waiting: asyncio.Future[str] | None = None
        self._gone = False

    async def read(self) -> str:
        """The next line. Raises Left."""
        if self._gone:
            raise Left
        self._waiting = asyncio.get_running_loop().create_future()
        return await self._waiting

    def feed(self, data: bytes) -> None:
        for character in _SEQUENCES.sub("", self._decoder.decode(data)):
            self._take(character)

    def leave(self) -> None:
        self._gone = True
        if self._waiting and not self._waiting.done():
            self._waiting.set_exception(Left())

    def _take(self, character: str) -> None:
        if character in LEAVE:
            self.leave()
        elif character in ENTER:
            self._end()
        elif character in ERASE:
            self._typed = self._typed[:-1]
        elif character == CLEAR:
            self._typed = ""
        elif character.isprintable():
            self._typed = (self._typed + character)[:LONGEST]

    def _end(self) -> None:
        """Enter; before anybody asks, it means nothing."""
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(self._typed)
        self._typed = ""
