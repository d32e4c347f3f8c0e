"""The door with a classroom that only echoes, as a process: python echo.py STATE [key=value of the settings]...

What comes in is said back as JSON lines on the learner's terminal. A line `flood` starts an application that draws
without end, as fast as the door takes it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dltutor import i18n
from dltutor.errors import DltutorError
from dltutor.serve import turns
from dltutor.serve.door import Terminal
from dltutor.serve.log import Log
from dltutor.serve.people import People, Person
from dltutor.serve.pty import MOST_UNSENT
from dltutor.serve.settings import Settings
from dltutor.serve.ssh import Limits, SshDoor, Visit


class Echo:
    def __init__(self, room: Room, person: Person, terminal: Terminal, door: Visit) -> None:
        self.room, self.person, self.door = room, person, door
        self.typed = bytearray()
        self.resizes = 0
        self.drawing: asyncio.Task[None] | None = None
        self.say(id=person.id, name=person.name, term=terminal.name, size=[terminal.width, terminal.height],
                 environment=terminal.environment)  # fmt: skip

    def say(self, **fields: Any) -> None:
        self.door.write(json.dumps(fields).encode() + b"\r\n")

    def feed(self, data: bytes) -> None:
        self.typed += data
        while b"\r" in self.typed:
            line, _end, rest = self.typed.partition(b"\r")
            self.typed = bytearray(rest)
            self.line(line.decode("utf-8", "replace"))

    def line(self, line: str) -> None:
        match line.split():
            case ["flood"]:
                self.drawing = asyncio.ensure_future(self.draw())
            case ["code"]:
                self.say(code=self.room.people.join_code(self.person)[0])
            case ["bye", code]:
                self.door.end(int(code), "See you")
            case _:
                self.say(line=line, resizes=self.resizes)

    async def draw(self) -> None:
        while True:
            while self.door.outstanding() <= MOST_UNSENT:
                self.door.write(b"x" * 16384)
            await asyncio.sleep(0.01)

    def resize(self, width: int, height: int) -> None:
        self.resizes += 1
        self.say(size=[width, height])

    def hang_up(self) -> None:
        if self.drawing:
            self.drawing.cancel()
        self.room.log.event("left", person=self.person.id)


class Room:
    """Some names come to something of their own."""

    def __init__(self, people: People, log: Log) -> None:
        self.people, self.log = people, log

    async def admit(self, person: Person, terminal: Terminal, door: Visit) -> Echo:
        if person.name == "full":
            raise DltutorError("The classroom is full.", "Come again in a minute.")
        echo = Echo(self, person, Terminal(**vars(terminal)), door)
        if person.name == "slow":
            await asyncio.sleep(0.5)
        self.log.event("came", person=person.id, name=person.name)
        return echo


@asynccontextmanager
async def opened(state: Path, log: Any, limits: Limits | None = None, **given: Any) -> AsyncIterator[SshDoor]:
    """The door, in the loop that runs."""
    if "roster" in given:
        given["roster"] = Path(given["roster"])
    settings = Settings(state, host="127.0.0.1", port=0, **given)
    people = People(settings, log)
    door = SshDoor(settings, Room(people, log), people, log, limits)
    await door.start()
    try:
        yield door
    finally:
        await door.close()


async def main(state: Path, given: dict[str, Any]) -> None:
    turns.PART = given.pop("part", turns.PART)
    log, stopped = Log(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with opened(state, log, **given) as door:
        log.event("listening", port=door.port, fingerprint=door.fingerprint)
        await stopped.wait()


if __name__ == "__main__":
    i18n.use(i18n.preferred())
    asyncio.run(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
