"""A class without its doors: who is let in, what happens when a part of it dies, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from doors import SAFETY, HandDoor
from stand_ins import NoGrades

from dltutor.attendance import as_text, learners
from dltutor.bench.processes import children
from dltutor.errors import DltutorError
from dltutor.serve import classroom as module
from dltutor.serve import session as sessions
from dltutor.serve.classroom import Classroom, Refusal, Supervisor
from dltutor.serve.door import Terminal
from dltutor.serve.forks import ForkServer
from dltutor.serve.log import Log
from dltutor.serve.people import Person
from dltutor.serve.session import Session
from dltutor.serve.settings import Settings
from dltutor.ui.classroom import link_of

HERE = Path(__file__).parent
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class ForTests(Settings):
    """The zygotes find the small program."""

    def environment(self, own: Any = os.environ) -> dict[str, str]:
        return {**super().environment(own), "PYTHONPATH": str(HERE)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zygote() -> AsyncIterator[ForkServer]:
    """One for all classes of this file."""
    server = ForkServer("program", {"PYTHONPATH": str(HERE)})
    await server.start()
    yield server
    await server.close()


@pytest.fixture
def shared(zygote: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes find it there, and leave it there."""

    class Shared(Supervisor):
        async def start(self) -> None:
            self._server = zygote

        async def close(self) -> None: ...

    monkeypatch.setattr(module, "Supervisor", Shared)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that are quick to start; and nobody is made to go before a slow machine lets them."""
    monkeypatch.setattr(module, "SESSIONS", "program")
    monkeypatch.setattr(module, "ENGINES", "program")
    monkeypatch.setattr(module, "Grades", NoGrades)
    monkeypatch.setattr(module, "PAUSE", 0.05)
    for name in ("POLITE", "PATIENT", "GIVEN_UP"):
        monkeypatch.setattr(sessions, name, 600.0)


@pytest_asyncio.fixture(loop_scope="module")
async def classroom(tmp_path: Path, shared: None) -> AsyncIterator[Classroom]:
    async with opened(tmp_path) as room:
        yield room


@pytest_asyncio.fixture(loop_scope="module")
async def of_its_own(tmp_path: Path) -> AsyncIterator[Classroom]:
    """With a zygote that may be killed."""
    async with opened(tmp_path) as room:
        yield room


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[Classroom]:
    state = tmp_path / "state"
    state.mkdir(0o700)
    room = Classroom(ForTests(state=state, open=True, max_sessions=3), Log(tmp_path / "log"))
    await room.start(tell=lambda line: None)
    yield room
    await room.close(0, "over")


async def test_a_teacher_is_told_where_the_system_keeps_no_files_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: None
) -> None:
    monkeypatch.setattr(module, "keeps_files_apart", lambda: False)
    told: list[str] = []
    room = Classroom(ForTests(state=tmp_path / "state", open=True), Log(tmp_path / "log"))
    await room.start(told.append)
    await room.close(0)
    assert "no Landlock" in told[-1]


async def admit(classroom: Classroom, door: HandDoor, who: str = "a", does: str = "echo") -> Session:
    person = Person(who * 64, f"learner {who}", classroom.settings.users / (who * 64))
    terminal = Terminal("xterm-256color", 80, 24, {"DOES": does})
    classroom.people.welcome(person, door.address)
    return await classroom.admit(person, terminal, door)


async def enter(classroom: Classroom, who: str = "a", does: str = "echo") -> tuple[Session, HandDoor]:
    door = HandDoor()
    session = await admit(classroom, door, who, does)
    await door.shows("ready")
    return session, door


async def gone(session: Session) -> None:
    async with asyncio.timeout(SAFETY):
        await session.ended


async def test_a_learner_comes_and_goes_and_the_log_tells_no_more(classroom: Classroom) -> None:
    session, door = await enter(classroom)
    session.feed(b"secret")
    await door.shows("typed 6")
    assert list(classroom.sessions) == [session.number]
    session.hang_up()
    await gone(session)
    await asyncio.sleep(0)
    assert not classroom.sessions
    log = classroom.log.path.read_text()  # type: ignore[union-attr]
    opened, closed = (
        next(entry for entry in map(json.loads, log.splitlines()) if entry["event"] == event)
        for event in ("session opened", "session closed")
    )
    assert opened["person"] == closed["person"] == "a" * 12
    assert (opened["door"], opened["term"], opened["size"]) == ("test", "xterm-256color", [80, 24])
    assert closed["received"] == 6
    assert closed["sent"] == session.sent > 0
    assert closed["exit"] == 129
    assert "secret" not in log


async def test_the_newest_session_of_a_person_takes_the_place_of_the_older(classroom: Classroom) -> None:
    older, door = await enter(classroom)
    saved = older.person.folder / "saved"
    assert not saved.exists()
    newer, _door = await enter(classroom)
    assert older.ended.done()
    assert saved.exists()  # before the newer one began
    assert door.ended is not None
    assert "You went on elsewhere" in door.ended[1]
    assert list(classroom.sessions) == [newer.number]


async def test_of_many_logins_of_a_person_at_once_the_last_stays(classroom: Classroom) -> None:
    sessions = await asyncio.gather(*(admit(classroom, HandDoor()) for _time in range(3)))
    await asyncio.sleep(0)
    assert list(classroom.sessions.values()) == [session for session in sessions if not session.ended.done()]
    assert len(classroom.sessions) == 1


async def test_a_full_class_refuses_strangers_and_lets_its_own_come_again(classroom: Classroom) -> None:
    for who in "abc":
        await enter(classroom, who)
    with pytest.raises(Refusal, match="the class is full: 3 are in it"):
        await enter(classroom, "d")
    await enter(classroom, "a")
    assert len(classroom.sessions) == 3


async def test_what_the_teacher_says_is_heard_by_whom_it_is_for(classroom: Classroom) -> None:
    (_a, door_a), (_b, door_b) = await enter(classroom, "a", "relay"), await enter(classroom, "b", "relay")
    assert classroom.say("Ten minutes!") == 2
    await door_a.shows("Ten minutes!")
    await door_b.shows("Ten minutes!")
    assert classroom.say("Well done", "learner b") == 1
    await door_b.shows("Well done")
    assert classroom.say("Who?", "learner c") == 0
    assert b"Well done" not in door_a.shown


async def test_the_status_says_who_is_here_and_where(classroom: Classroom) -> None:
    session, door = await enter(classroom, "a", "relay")
    session.feed(b'{"":"Here","screen":"lesson","lesson":"01\\u001b[2J","read":2,"sections":5,"trains":true}\n')
    session.feed(b'{"":"CodeWanted"}\n')
    await door.shows('"":"Code"')
    told = classroom.status()
    (seen,) = told["sessions"]
    assert (seen["name"], seen["id"], seen["screen"], seen["lesson"]) == ("learner a", "a" * 12, "lesson", "01[2J")
    assert (seen["read"], seen["sections"], seen["trains"], seen["pid"]) == (2, 5, True, session.pid)
    assert told["people"] == 1
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize("number", [float("inf"), float("nan"), -float("inf"), 1e300])
async def test_what_a_session_says_of_itself_can_be_shown(classroom: Classroom, number: float) -> None:
    session, door = await enter(classroom, "a", "relay")
    session.feed(b'{"":"Here","screen":[],"tries":%s,"read":1e400,"sections":NaN,"headline":{"a":1}}\n' % (b"9" * 4000))
    session.feed(b'{"":"CodeWanted"}\n')
    await door.shows('"":"Code"')
    session.page.rate = session.page.round_trip = session.page.cost = number
    told = classroom.status()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    (learner,) = learners(told)
    assert as_text(told)
    assert (link_of(learner), learner.tries, learner.trouble) == ("", 0, "")


async def test_who_is_not_on_the_roster_any_more_is_told_and_saved(
    classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gone_soon, door), (stays, _door) = await enter(classroom, "a"), await enter(classroom, "b")
    listed = {gone_soon.person.id: False, stays.person.id: True}
    monkeypatch.setattr(classroom.people, "may_stay", lambda person: listed[person.id])
    classroom._beat()
    listed[gone_soon.person.id] = True  # it was just being written
    classroom._beat()
    listed[gone_soon.person.id] = False
    classroom._beat()
    monkeypatch.setattr(sessions, "TO_SAVE", 0.1)
    assert not gone_soon._reason
    classroom._beat()
    await gone(gone_soon)
    assert door.ended == (0, "Your key was taken off the roster of this class. All is saved.")
    assert (gone_soon.person.folder / "saved").exists()
    assert not stays.ended.done()


async def test_t18_the_class_looks_after_who_is_away(classroom: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "TO_SAVE", 0.1)
    session, door = await enter(classroom)
    session.last_key -= 60 * classroom.settings.idle_minutes
    await gone(session)
    assert "You were away for a long time" in door.ended[1]  # type: ignore[index]


async def test_when_what_forks_sessions_dies_they_end_and_the_next_begin(of_its_own: Classroom) -> None:
    classroom = of_its_own
    session, door = await enter(classroom)
    zygote = classroom._zygotes["program"]
    assert zygote._server
    os.kill(zygote._server.pid, signal.SIGKILL)
    await gone(session)
    assert door.ended == (1, "The session ended unexpectedly. All is saved: log in again.")
    async with asyncio.timeout(SAFETY):
        while True:
            try:
                await enter(classroom)
                break
            except Refusal:
                await asyncio.sleep(0.05)


async def test_a_class_that_ends_tells_everybody_and_leaves_nothing_running(
    classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    (polite, door), (stubborn, _door) = await enter(classroom, "a", "relay"), await enter(classroom, "b", "stubborn")
    stubborn.hang_up()  # but its program stays
    async with asyncio.timeout(SAFETY):
        await polite.leave(SAFETY, "The class has ended.")
        for name in ("POLITE", "PATIENT"):
            monkeypatch.setattr(sessions, name, 0.1)
        await classroom.close(0.1, "The class has ended.")
    assert b'"reason":"The class has ended."' in door.shown
    assert door.ended == (0, "The class has ended.")
    for session in (polite, stubborn):
        with pytest.raises(ProcessLookupError):
            os.kill(session.pid, 0)
    with pytest.raises(Refusal, match="the class has ended"):
        await enter(classroom)


async def test_a_class_that_cannot_begin_says_why_and_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENGINES", "no_such_program")
    room = Classroom(ForTests(state=tmp_path, open=True), Log(tmp_path / "log"))
    before = children(os.getpid())
    with pytest.raises(DltutorError, match="No module named 'no_such_program'"):
        await room.start(tell=lambda line: None)
    await room.close(0, "over")
    async with asyncio.timeout(SAFETY):
        while not set(children(os.getpid())) <= set(before):  # one of an earlier test may end meanwhile
            await asyncio.sleep(0.01)


async def test_a_class_may_open_as_many_files_as_it_needs() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        module.allow_files(600)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (600, before[1])
        module.allow_files(300)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (600, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_a_session_that_has_just_ended_disturbs_nobody(classroom: Classroom) -> None:
    session, _door = await enter(classroom)
    seen: list[int] = []
    close = session._close

    def look_at_once() -> None:
        close()
        seen.append(len(classroom.status()["sessions"]) + len(list(classroom._drawings())) + classroom.say("hello"))

    session._close = look_at_once  # type: ignore[method-assign]
    session.hang_up()
    await gone(session)
    assert seen == [0]
