"""One learner at work, on a small program in place of the application; the door is the test."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from doors import SAFETY, HandDoor
from facts import MB, memory

from dltutor.serve import session as module
from dltutor.serve.door import Terminal
from dltutor.serve.forks import Child, ForkServer
from dltutor.serve.people import Person
from dltutor.serve.pty import MOST_KEPT, MOST_TYPED, MOST_UNSENT, RESTORE
from dltutor.serve.session import Session
from dltutor.wire import Drop, Want, encode

HERE = Path(__file__).parent
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Room:
    """What a session needs of its classroom: the same program is the application and the engine."""

    def __init__(self, forks: ForkServer, folder: Path) -> None:
        self.forks, self.folder = forks, folder
        self.notes: list[tuple[str, dict[str, Any]]] = []
        self.graders: list[socket.socket] = []
        self.engines: list[Child] = []
        self.does = "echo"
        self.sessions = 0

    async def start_session(self, session: Session, descriptors: Sequence[int]) -> Child:
        environment = {"PATH": "/usr/bin:/bin", "TERM": session.terminal.name, "LANG": "C.UTF-8"}
        arguments = {"does": self.does, "saves": str(self.folder)}
        order = {"environment": environment, "terminal": True, "walls": None, "arguments": arguments}
        return await self.forks.spawn(order, descriptors)

    async def start_engine(self, language: str, locked: bool, descriptor: int) -> Child:
        order = {"environment": {}, "terminal": False, "walls": None, "arguments": {"does": "engine"}}
        child = await self.forks.spawn(order, [descriptor])
        self.engines.append(child)
        return child

    def start_grader(self, session: Session, language: str, end: socket.socket) -> None:
        self.graders.append(end)

    def join_code(self, person: Any) -> tuple[str, int]:
        return "maple-42", 10

    def note(self, event: str, session: Session, **fields: Any) -> None:
        self.notes.append((event, fields))

    async def begin(self, does: str) -> tuple[Session, HandDoor]:
        self.does = does
        self.sessions += 1
        door = HandDoor()
        session = Session(self.sessions, Person("ab" * 32, "Ada", self.folder), Terminal("xterm", 90, 30), door, self)
        await session.start()
        await door.shows("ready")
        return session, door


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def forks() -> AsyncIterator[ForkServer]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(HERE), "LANG": "C.UTF-8"}
    server = ForkServer("program", environment)
    await server.start()
    yield server
    await server.close()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is made to go: those who do went by themselves."""
    for name in ("POLITE", "PATIENT", "GIVEN_UP"):
        monkeypatch.setattr(module, name, 600.0)


@pytest_asyncio.fixture(loop_scope="module")
async def room(forks: ForkServer, tmp_path: Path) -> AsyncIterator[Room]:
    room = Room(forks, tmp_path)
    yield room
    for end in room.graders:
        end.close()


async def gone(session: Session) -> None:
    async with asyncio.timeout(SAFETY):
        await session.ended


async def left(session: Session) -> None:
    """Its learner goes, and nothing of it stays."""
    session.hang_up()
    await gone(session)


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


# ---------------------------------------------------------------- bytes


async def test_the_program_has_a_terminal_of_the_learners_size_and_kind(room: Room) -> None:
    session, door = await room.begin("echo")
    assert b"ready 90x30 xterm" in door.shown
    session.feed(b"abc")
    await door.shows("typed 3")
    session.resize(120, 40)
    await door.shows("120x40")
    await left(session)


@pytest.mark.parametrize(
    ("asked", "given"), [((0, 0), "80x24"), ((70000, 70000), "500x200"), ((-5, 2**31), "1x200"), ((1, 1), "1x1")]
)
async def test_t6_a_terminal_of_any_size_is_brought_to_one_that_can_be(
    room: Room, asked: tuple[int, int], given: str
) -> None:
    session, door = await room.begin("echo")
    session.resize(*asked)
    await door.shows(given)
    await left(session)


async def test_what_is_typed_too_early_arrives(room: Room) -> None:
    room.does = "echo"
    door = HandDoor()
    session = Session(1, Person("ab" * 32, "Ada", room.folder), Terminal("xterm", 90, 30), door, room)
    starting = asyncio.ensure_future(session.start())
    await asyncio.sleep(0)
    session.feed(b"early")
    await starting
    await door.shows("typed 5")
    await left(session)


async def test_t9_a_door_that_is_full_stops_the_drawing_and_costs_no_memory(room: Room) -> None:
    session, door = await room.begin("flood")
    door.full = MOST_UNSENT + 1
    async with asyncio.timeout(SAFETY):
        while not session.page.congested:
            await asyncio.sleep(0.01)
    shown, before = len(door.shown), memory()
    await asyncio.sleep(0.2)
    assert len(door.shown) == shown
    assert memory() - before < 16 * MB
    door.full = 0
    await door.until(lambda: len(door.shown) > shown)
    assert not session.page.congested
    await left(session)


async def test_t13_what_a_program_does_not_read_waits_at_the_learners(room: Room) -> None:
    session, door = await room.begin("deaf")
    piece, pasted = b"x" * (32 << 10), 0
    while not door.paused:
        session.feed(piece)
        pasted += len(piece)
        assert pasted < 1 << 20
    assert pasted >= MOST_TYPED
    os.kill(session.pid, signal.SIGUSR1)  # now it reads
    await door.until(lambda: not door.paused)
    await door.shows(f"typed {pasted}")
    await paste(session, door, 10 * MB)  # what always grows has grown
    before, its = memory(), memory(session.pid)
    await paste(session, door, 50 * MB)
    assert memory() - before < 5 * MB
    assert memory(session.pid) - its < 5 * MB
    await left(session)


async def paste(session: Session, door: HandDoor, size: int) -> None:
    """By a door that obeys."""
    piece = b"x" * (32 << 10)
    for _time in range(size // len(piece)):
        session.feed(piece)
        await door.until(lambda: not door.paused)
        door.shown.clear()


async def test_t13_even_a_door_that_does_not_wait_costs_little(room: Room) -> None:
    session, _door = await room.begin("deaf")
    before = memory()
    piece = b"x" * (64 << 10)
    for _time in range(800):
        session.feed(piece)
    assert memory() - before < MOST_KEPT + 4 * MB
    await left(session)


# ---------------------------------------------------------------- its end


async def test_t8_a_learner_who_is_gone_leaves_nothing_behind(room: Room) -> None:
    await left((await room.begin("echo"))[0])  # what is opened once
    before = descriptors()
    for _time in range(20):
        session, _door = await room.begin("echo")
        await left(session)
        assert room.notes[-1][1]["exit"] == 129
        with pytest.raises(ProcessLookupError):
            os.kill(session.pid, 0)
    assert descriptors() <= before
    assert (room.folder / "saved").exists()


async def test_t11_a_program_that_hears_no_signal_is_killed(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLITE", 0.1)
    monkeypatch.setattr(module, "PATIENT", 0.1)
    session, _door = await room.begin("stubborn")
    began = time.monotonic()
    await left(session)
    assert time.monotonic() - began > 0.15
    assert room.notes[-1][1]["exit"] == -signal.SIGKILL


async def test_a_learner_who_quits_has_their_terminal_back(room: Room) -> None:
    session, door = await room.begin("echo")
    session.feed(b"q")
    await gone(session)
    assert door.ended == (0, "")
    assert door.shown.endswith(RESTORE)


async def test_a_program_that_dies_gives_the_terminal_back_and_says_so(room: Room) -> None:
    session, door = await room.begin("echo")
    os.kill(session.pid, signal.SIGSEGV)
    await gone(session)
    assert door.ended == (1, "The session ended unexpectedly. All is saved: log in again.")
    assert door.shown.endswith(RESTORE)
    assert room.notes[-1][1]["exit"] == -signal.SIGSEGV


async def test_a_learner_who_must_leave_is_told_before_and_after(room: Room) -> None:
    session, door = await room.begin("relay")
    await session.leave(SAFETY, "The class has ended.")
    await door.shows('"reason":"The class has ended."')
    assert door.ended == (0, "The class has ended.")


async def test_what_must_leave_twice_leaves_once(room: Room) -> None:
    session, door = await room.begin("echo")
    session.hang_up()
    await asyncio.gather(session.leave(5, "first"), session.leave(5, "second"))
    assert door.ended is None  # nobody is there to be told


async def test_t18_whoever_is_away_too_long_leaves(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TO_SAVE", 0.1)
    session, door = await room.begin("echo")
    session.last_key -= 3600
    session.feed(b"\x1b[12;40R\x1b[I")  # the terminal answers, nobody types
    session.look_after(3500)
    await gone(session)
    assert door.ended is not None
    assert "You were away for a long time" in door.ended[1]
    assert (room.folder / "saved").exists()


async def test_t18_whoever_is_away_long_is_asked_first(room: Room) -> None:
    session, door = await room.begin("relay")
    session.last_key -= 1750
    session.look_after(1800)
    await door.shows("Are you still there?")
    session.feed(b" ")
    session.look_after(1800)
    assert not door.ended
    await left(session)


# ---------------------------------------------------------------- what it asks for


def line(message: Any) -> bytes:
    return encode(message)


async def test_an_engine_is_lent_and_taken_back(room: Room) -> None:
    session, door = await room.begin("relay")
    session.feed(line(Want("engine", 1)))
    await door.shows('{"":"Given","number":1} with 1')
    (engine,) = room.engines
    session.feed(line(Drop(1)))
    async with asyncio.timeout(SAFETY):
        assert await engine.ended == -signal.SIGKILL
    session.feed(line(Want("grader", 2)))
    await door.shows('{"":"Given","number":2} with 1')
    assert len(room.graders) == 1
    await left(session)


async def test_a_session_has_two_engines_and_one_grader_at_most(room: Room) -> None:
    session, door = await room.begin("relay")
    for number, kind in enumerate(("engine", "engine", "engine", "grader", "grader", "printer"), 1):
        session.feed(line(Want(kind, number)))
    await door.shows('"Refused","number":6')
    refused = [number for number in range(1, 7) if b'"Refused","number":%d' % number in door.shown]
    assert refused == [3, 5, 6]
    await left(session)
    async with asyncio.timeout(SAFETY):
        for engine in room.engines:
            assert await engine.ended == -signal.SIGKILL


async def test_a_number_is_given_once_and_nothing_that_is_lent_is_forgotten(room: Room) -> None:
    session, door = await room.begin("relay")
    for number in (1, 1, True, "x", [], 2):
        session.feed(line(Want("engine", number)))  # type: ignore[arg-type]
    await door.shows('"Given","number":2} with 1')
    assert len(room.engines) == len(session.engines) == 2
    await left(session)
    async with asyncio.timeout(SAFETY):
        for engine in room.engines:
            assert await engine.ended == -signal.SIGKILL


async def test_a_session_that_never_stops_talking_keeps_nobody_waiting(room: Room) -> None:
    session, door = await room.begin("chatter")
    files = len(descriptors())
    for _turn in range(30):
        await asyncio.sleep(0.01)
    assert b"silent" not in door.shown
    session.feed(b"\r\n")
    await door.shows("silent")
    assert len(descriptors()) <= files + 1  # one that has just come
    await left(session)


async def test_t14_a_session_cannot_take_its_page_away_from_the_server(room: Room) -> None:
    session, door = await room.begin("tear")
    await door.shows("PermissionError")
    assert session.page.rate
    await left(session)


async def test_what_makes_no_sense_is_noted_and_harms_nothing(room: Room) -> None:
    session, door = await room.begin("relay")
    for number in range(40):
        session.feed(b'{"":"Want","kind":[],"number":{}}\n' if number % 2 else b"nonsense\n")
    session.feed(b'{"":"CodeWanted"}\n')
    await door.shows("maple-42")
    assert sum(event == "not understood" for event, _fields in room.notes) == 20
    await left(session)


# ---------------------------------------------------------------- its language


async def test_the_server_speaks_the_language_of_each_learner(room: Room) -> None:
    room.does = "echo"
    door = HandDoor()
    terminal = Terminal("xterm", 90, 30, {"LANG": "zh_CN.UTF-8"})
    session = Session(1, Person("ab" * 32, "Ada", room.folder), terminal, door, room)
    await session.start()
    os.kill(session.pid, signal.SIGKILL)
    await gone(session)
    assert door.ended == (1, "会话意外结束了。一切都已保存：请重新登录。")
