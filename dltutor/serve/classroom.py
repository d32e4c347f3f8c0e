"""Everything of a class server but its doors: who is here, the processes that all share, and what the teacher sees."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakValueDictionary

from dltutor import __version__, i18n
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.page import DrawingTurns
from dltutor.room import keeps_files_apart
from dltutor.serve.budget import Budget, Drawing
from dltutor.serve.chores import Chores
from dltutor.serve.door import Door, Terminal
from dltutor.serve.forks import Child, ForkServer
from dltutor.serve.grades import Grades
from dltutor.serve.health import Health
from dltutor.serve.log import SHORT, Log
from dltutor.serve.people import People, Person
from dltutor.serve.session import Session
from dltutor.serve.settings import Settings

SESSIONS, ENGINES = "dltutor.ui.served", "dltutor.engine.served"
PAUSE = 2.0  # seconds before a zygote that died is started again
FILES, FILES_EACH = 500, 12  # that are open, and more with each session
LONGEST_SEEN, LARGEST_SEEN = 200, 1e9  # characters and numbers, of what a session says of itself


class Refusal(DltutorError):
    """Nobody can be let in now."""


class Supervisor:
    """A fork server, started again whenever it has died."""

    def __init__(self, module: str, environment: dict[str, str], log: Log) -> None:
        self.module, self._environment, self._log = module, environment, log
        self._server: ForkServer | None = None

    async def start(self) -> None:
        """Raises DltutorError where it cannot be started even once."""
        server = ForkServer(self.module, self._environment)
        try:
            await server.start()
        except BaseException:
            await server.close()
            raise
        self._server = server

    async def keep(self) -> None:
        """For ever."""
        while True:
            if self._server:
                await asyncio.shield(self._server.ended)
                self._server = None
                self._log.event("zygote died", module=self.module)
            await asyncio.sleep(PAUSE)
            try:
                await self.start()
                self._log.event("zygote started again", module=self.module)
            except DltutorError as error:
                self._log.event("zygote does not start", module=self.module, error=str(error))

    async def spawn(self, order: dict[str, Any], descriptors: Sequence[int]) -> Child:
        server = self._server
        try:
            if server:
                return await server.spawn(order, descriptors)
        except DltutorError:
            if not server or not server.ended.done():
                raise
        raise Refusal(_("a part of the class server is starting again"), _("Try again in some seconds."))

    async def close(self) -> None:
        if self._server:
            await self._server.close()


class Classroom:
    def __init__(self, settings: Settings, log: Log) -> None:
        self.settings, self.log = settings, log
        self.people = People(settings, log)
        self.grades = Grades(settings.cores, settings.environment(), log.event)
        self.budget = Budget(settings.cores)
        self.health = Health(settings.cores)
        self.sessions: dict[int, Session] = {}
        self.since = time.time()
        self._turns_to_draw = DrawingTurns.create(settings.cores)  # for ever: sessions have it open
        self._zygotes = {name: Supervisor(name, settings.environment(), log) for name in (SESSIONS, ENGINES)}
        self.login = ""  # how learners do, with {name} in place of the name: ssh -p 2222 {name}@tutor.host
        self._numbers = 0
        self._coming = 0  # being let in
        self._closing = False
        self._missing: set[int] = set()  # sessions whose key the roster had no longer at the last look
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # of a person's logins
        self._chores = Chores(log.event)  # none of them ends by itself

    # ------------------------------------------------------------ its day

    async def start(self, tell: Callable[[str], object] = print) -> None:
        """`tell`: the teacher, what it is busy with. Raises DltutorError where there can be no class."""
        allow_files(FILES + FILES_EACH * self.settings.max_sessions)
        self._make_folders()
        tell(_("Preparing the course. The first time this compiles its kernels, which takes a minute or two ..."))
        starting = [self.grades.start(), *(zygote.start() for zygote in self._zygotes.values())]
        for outcome in await asyncio.gather(*starting, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        for zygote in self._zygotes.values():
            self._chores.begin(zygote.keep())
        self._chores.begin(self.budget.run(self._drawings))
        self._chores.begin(self.health.run(lambda: [session.pid for session in self._here()], self._beat))
        tell(self._how_it_grades())
        if os.getuid() == 0:
            tell(_("This server runs as root. Learners do not; but it is safer to start it as an ordinary user."))
        if not keeps_files_apart():
            tell(_("This kernel has no Landlock: only dltutor itself keeps a session away from other learners' files."))

    def _make_folders(self) -> None:
        self.settings.users.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.settings.kernels.exists():
            self.settings.kernels.mkdir(parents=True)
            self.settings.kernels.chmod(0o755)  # in the locked room an engine is another user

    def _how_it_grades(self) -> str:
        if self.grades.refusal:
            return _("Exercises cannot be checked: {reason}").format(reason=self.grades.refusal.message)
        return _("Exercises are checked in a locked room ({tier}).").format(tier=self.grades.tier)

    async def close(self, seconds: float, reason: str = "") -> None:
        """Let learners save and tell them why, each in their language, then end everything."""
        self._closing = True
        await asyncio.gather(*(session.leave(seconds, reason or _over(session.language)) for session in self._here()))
        await self._chores.cancel()
        await asyncio.gather(*(zygote.close() for zygote in self._zygotes.values()), self.grades.close())

    def _beat(self) -> None:
        """Who is not on the roster goes; not at once, for perhaps it is just being written."""
        missing = {session.number for session in self._here() if not self.people.may_stay(session.person)}
        for session in self._here():
            gone = session.number in missing & self._missing
            session.look_after(60 * self.settings.idle_minutes, may_stay=not gone)
        self._missing = missing

    def _here(self) -> list[Session]:
        """Without those that have just ended."""
        return [session for session in self.sessions.values() if not session.ended.done()]

    def _drawings(self) -> Iterator[Drawing]:
        return ((session.page, [engine.pid for engine in session.engines]) for session in self._here())

    # ------------------------------------------------------------ who comes

    async def admit(self, person: Person, terminal: Terminal, door: Door) -> Session:
        """Somebody who was welcomed. Raises Refusal. An older session of theirs ends first: so they go on where they
        were."""
        with i18n.speaking(terminal.language):
            self._expect_room(person)
        self._coming += 1
        try:
            async with self._turns.setdefault(person.id, asyncio.Lock()):
                for older in self._sessions_of(person):
                    with i18n.speaking(older.language):
                        reason = _("You went on elsewhere, so this session was closed. All is saved.")
                    await older.leave(0.0, reason)
                return await self._begin(person, terminal, door)
        finally:
            self._coming -= 1

    def _expect_room(self, person: Person) -> None:
        self._expect_class()
        here = len(self.sessions) + self._coming - len(self._sessions_of(person))
        if here >= self.settings.max_sessions:
            message = _("the class is full: {n} are in it").format(n=here)
            raise Refusal(message, _("Try again when somebody has left."))

    def _expect_class(self) -> None:
        if self._closing:
            raise Refusal(_("the class has ended"))

    def _sessions_of(self, person: Person) -> list[Session]:
        return [session for session in self.sessions.values() if session.person.id == person.id]

    async def _begin(self, person: Person, terminal: Terminal, door: Door) -> Session:
        self._expect_class()
        self._numbers += 1
        session = Session(self._numbers, person, terminal, door, self)
        await session.start()
        self.sessions[session.number] = session
        session.ended.add_done_callback(lambda _ended: self.sessions.pop(session.number, None))
        return session

    # ------------------------------------------------------------ what a session needs

    async def start_session(self, session: Session, descriptors: Sequence[int]) -> Child:
        person, terminal = session.person, session.terminal
        environment = {
            **self.settings.environment(), **terminal.environment,
            "TERM": terminal.name, "DLTUTOR_LANG": terminal.language, "DLTUTOR_HOME": str(person.folder),
        }  # fmt: skip
        walls = {
            "readable": self.settings.lessons,
            "writable": [str(person.folder)],
            "hidden": [str(self.settings.state)],
        }
        order = {"environment": environment, "terminal": True, "walls": walls, "arguments": {"login": self.login}}
        return await self._zygotes[SESSIONS].spawn(order, [*descriptors, self._turns_to_draw])

    async def start_engine(self, language: str, locked: bool, descriptor: int) -> Child:
        arguments = {"language": language, "locked": locked}
        order = {"environment": self.settings.environment(), "terminal": False, "walls": None, "arguments": arguments}
        return await self._zygotes[ENGINES].spawn(order, [descriptor])

    def start_grader(self, session: Session, language: str, end: socket.socket) -> None:
        self.grades.attach(session.person.id, end, language)

    def join_code(self, person: Person) -> tuple[str, int]:
        return self.people.join_code(person)

    def note(self, event: str, session: Session, **fields: Any) -> None:
        self.log.event(event, session=session.number, person=session.person.id, **fields)

    # ------------------------------------------------------------ what the teacher does

    def say(self, text: str, to: str = "") -> int:
        """To everybody or to whoever has that name, number or fingerprint; how many have heard it."""
        heard = [session for session in self._here() if not to or is_meant(session, to)]
        for session in heard:
            session.say(text)
        return len(heard)

    def status(self) -> dict[str, Any]:
        return {
            "since": self.since,
            "now": time.time(),
            "version": __version__,
            "sessions": [self._seen(session) for session in self._here()],
            "load": self.health.status(),
            "budget": self.budget.status(),
            "grades": self.grades.status(),
            "people": len(self.people),
        }

    def _seen(self, session: Session) -> dict[str, Any]:
        page, here = session.page, session.here
        return {
            "number": session.number,
            "name": session.person.name,
            "id": session.person.id[:SHORT],
            "door": session.door_name,
            "address": session.address,
            "since": session.since,
            "idle": round(time.monotonic() - session.last_key, 1),
            "here_since": session.here_since,
            **{name: clipped(value) for name, value in vars(here).items()},
            "rate": round(clipped(page.rate), 2),
            "round_trip": round(clipped(page.round_trip), 4),
            "cost": round(clipped(page.cost), 6),
            "received": session.received,
            "sent": session.sent,
            "pid": session.pid,
            "memory": self.health.memory.get(session.pid, 0),
            "engines": len(session.engines),
        }


def allow_files(wanted: int) -> None:
    """Systems allow a process 1024 open files as a rule; more has to be asked for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _over(language: str) -> str:
    with i18n.speaking(language):
        return _("The class has ended. Everything is saved.")


def is_meant(session: Session, to: str) -> bool:
    person = session.person
    return to in (person.name, str(session.number)) or (len(to) >= 4 and person.id.startswith(to))


def clipped(value: Any) -> Any:
    """What a session says of itself, which it may have been made to say."""
    if isinstance(value, str):
        return "".join(character for character in value if character.isprintable())[:LONGEST_SEEN]
    if isinstance(value, int | float):
        return value if abs(value) <= LARGEST_SEEN else 0  # nor what is no number: it is never less
    return None
