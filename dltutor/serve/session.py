"""One learner at work: a program on a terminal of its own, what it asks for, and how it ends. Any door will do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Protocol

from dltutor import i18n
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.page import Page
from dltutor.serve.chores import Chores
from dltutor.serve.door import Door, Terminal
from dltutor.serve.forks import Child
from dltutor.serve.paste import LONGEST as LONGEST_PASTE
from dltutor.serve.paste import Pastes
from dltutor.serve.people import Person
from dltutor.serve.pty import RESTORE, Pty
from dltutor.serve.turns import Turns
from dltutor.wire import (
    LONGEST_PACKET,
    Code,
    CodeWanted,
    Crashed,
    Drop,
    Given,
    Here,
    Leave,
    Refused,
    Reply,
    Request,
    Said,
    Want,
    decode,
    encode,
)

MOST = {"engine": 2, "grader": 1}  # that one session may have
POLITE, PATIENT = 1.0, 1.0  # seconds from SIGHUP to SIGTERM, and from there to SIGKILL
MOST_COMPLAINTS = 20  # of one session in the log
GIVEN_UP = 5.0  # seconds until nobody waits any longer for one that does not even die
TO_SAVE = 2.0  # seconds for a learner who has been away too long
WARNING = 60.0  # seconds before that
_REPORTS = re.compile(rb"\x1b\[(?:\d+;\d+R|[IO]|\?[\d;]*(?:\$y|[cu])|48(?:;\d+)*t)")
"""What terminals send of their own accord: where the cursor is, what they can, that they have the focus, their size."""


class Classroom(Protocol):
    """What a session needs of the classroom it belongs to."""

    async def start_session(self, session: Session, descriptors: Sequence[int]) -> Child: ...

    async def start_engine(self, language: str, locked: bool, descriptor: int) -> Child: ...

    def start_grader(self, session: Session, language: str, end: socket.socket) -> None: ...

    def join_code(self, person: Person) -> tuple[str, int]:
        """That lets another key in, and for how many minutes."""

    def note(self, event: str, session: Session, **fields: Any) -> None: ...


class Session:
    def __init__(self, number: int, person: Person, terminal: Terminal, door: Door, classroom: Classroom) -> None:
        self.number, self.person, self.terminal, self.door = number, person, terminal, door
        self.language = terminal.language  # of its learner, as far as is known
        self.here = Here()
        self.here_since = time.time()
        self.since = time.time()
        self.last_key = self._began = time.monotonic()
        self.received = 0
        self.pid = 0
        self.ended = asyncio.get_running_loop().create_future()  # when nothing of it is left
        self._classroom = classroom
        self._reason = ""  # that the server ends it for
        self._left = False  # the learner has
        self._warned = False
        self._complaints = 0
        self._pastes = Pastes()
        self._child: Child | None = None
        self._lent: dict[int, tuple[str, Child | None]] = {}  # by the number of the Want
        self._chores = Chores(partial(classroom.note, session=self))
        self._listener: asyncio.Task[None] | None = None

    @property
    def door_name(self) -> str:
        return self.door.name

    @property
    def address(self) -> str:
        return self.door.address

    @property
    def sent(self) -> int:
        return self.pty.sent

    @property
    def engines(self) -> list[Child]:
        return [child for _kind, child in self._lent.values() if child]

    # ------------------------------------------------------------ its beginning

    async def start(self) -> None:
        """Raises DltutorError where no process can be had."""
        self.page, page = Page.create()
        self.pty = Pty(self.terminal.width, self.terminal.height, self.door, self.page)
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        try:
            descriptors = [self.pty.slave, theirs.fileno(), page]
            self._child = await self._classroom.start_session(self, descriptors)
        except BaseException:
            self._close()
            raise
        finally:
            os.close(page)
            theirs.close()
        self.pid = self._child.pid
        self._opened()

    def _opened(self) -> None:
        terminal = self.terminal
        self._classroom.note("session opened", self, door=self.door_name, address=self.address, term=terminal.name,
                             size=[terminal.width, terminal.height], pid=self.pid)  # fmt: skip
        self.pty.started()
        self._chores.begin(self._live())
        self._listener = self._chores.begin(self._listen())
        if self._left:
            self._chores.begin(self._stop())

    # ------------------------------------------------------------ what the door does

    def feed(self, data: bytes) -> None:
        """The learner has typed; the terminal's own reports are no sign of life."""
        self.received += len(data)
        if _REPORTS.sub(b"", data):
            self.last_key = time.monotonic()
            self._warned = False
        self.pty.feed(self._pastes.shorten(data))
        if self._pastes.cut:
            self._pastes.cut = False
            with i18n.speaking(self.language):
                told = _("You pasted more than {size} KB: the rest was left out.")
                self._remark(told.format(size=LONGEST_PASTE >> 10))

    def resize(self, width: int, height: int) -> None:
        self.terminal.width, self.terminal.height = width, height
        self.pty.resize(width, height)

    def hang_up(self) -> None:
        """The learner is gone, whoever ended it."""
        if not self._left:
            self._left = True
            if self._child:
                self._chores.begin(self._stop())

    # ------------------------------------------------------------ what the classroom does

    def say(self, text: str) -> None:
        """The teacher does."""
        self._tell(Said(text))

    async def leave(self, seconds: float, reason: str) -> None:
        """Let it save and tell its learner why, then end it; returns when nothing of it is left."""
        self._reason = self._reason or reason
        if not self.ended.done():
            self._tell(Leave(seconds, reason))
            assert self._child
            await within(seconds, self._child.ended)
            await self._stop()
        await within(GIVEN_UP, self.ended)

    def look_after(self, limit: float, may_stay: bool = True) -> None:
        """Once a second: who has not typed for `limit` seconds leaves, or may not stay."""
        idle = time.monotonic() - self.last_key
        with i18n.speaking(self.language):
            if not may_stay:
                self._show_out(_("Your key was taken off the roster of this class. All is saved."))
            elif idle >= limit:
                self._show_out(
                    _("You were away for a long time, so this session was closed. All is saved: log in again.")
                )
            elif limit > 2 * WARNING and idle >= limit - WARNING and not self._warned:
                self._warned = True
                self._remark(_("Are you still there? Press a key, or this session is saved and closed in a minute."))

    def _show_out(self, reason: str) -> None:
        """Once, for the first reason."""
        if not self._reason:
            self._reason = reason
            self._chores.begin(self.leave(TO_SAVE, reason))

    # ------------------------------------------------------------ what the program asks for

    async def _listen(self) -> None:
        """Serve its requests in their order, until its end of the channel is closed."""
        loop, turns = asyncio.get_running_loop(), Turns()
        with contextlib.suppress(OSError):
            while packet := await loop.sock_recv(self._channel, LONGEST_PACKET):
                async with turns.turn():
                    await self._hear(packet)

    async def _hear(self, packet: bytes) -> None:
        try:
            await self._serve(decode(packet))  # type: ignore[arg-type]
        except Exception as error:  # whatever a session says, it harms nobody else
            self._complain("not understood", error=f"{type(error).__name__}: {error}")

    async def _serve(self, request: Request) -> None:
        match request:
            case Want():
                await self._lend(request)
            case Drop(number):
                self._end_loan(number)
            case Here():
                self._see(request)
            case CodeWanted():
                self._tell(Code(*self._classroom.join_code(self.person)))
            case Crashed(incident, trace):
                self._complain("crash", incident=incident, trace=trace)

    def _see(self, here: Here) -> None:
        """Where it is; since when tells who lingers there."""
        if place(here) != place(self.here):
            self.here_since = time.time()
        self.here = here

    def _complain(self, event: str, **fields: str) -> None:
        """A session that is out of its mind does not fill the log."""
        self._complaints += 1
        if self._complaints <= MOST_COMPLAINTS:
            self._classroom.note(event, self, **fields)

    async def _lend(self, want: Want) -> None:
        """One end of a socket is the session's, the other the engine's or the grader's."""
        self.language = want.language if want.language in i18n.LANGUAGES else self.language
        try:
            self._expect_spare(want.kind)
            self._expect_new(want.number)
            ours, theirs = socket.socketpair()
            with ours, theirs:
                self._lent[want.number] = want.kind, await self._engage(want, theirs)
                self._tell(Given(want.number), [ours.fileno()])
        except DltutorError as error:
            self._tell(Refused(want.number, error.message, error.hint))
        except OSError as error:
            self._tell(Refused(want.number, str(error)))

    def _expect_spare(self, kind: str) -> None:
        if [lent for lent, _child in self._lent.values()].count(kind) >= MOST.get(kind, 0):
            raise DltutorError(_("this session has as many of that as it may have: {kind}").format(kind=kind))

    def _expect_new(self, number: int) -> None:
        """What is lent under a number must not be forgotten."""
        if type(number) is not int or number in self._lent:
            raise DltutorError(f"not a new number: {str(number)[:20]}")

    async def _engage(self, want: Want, end: socket.socket) -> Child | None:
        if want.kind == "grader":
            self._classroom.start_grader(self, want.language, end.dup())
            return None
        child = await self._classroom.start_engine(want.language, want.locked, end.fileno())
        if self.ended.done():
            child.kill(signal.SIGKILL)
        return child

    def _end_loan(self, number: int) -> None:
        """A grader sees that its socket is closed; an engine may be busy."""
        _kind, child = self._lent.pop(number, ("", None))
        if child and not child.ended.done():
            child.kill(signal.SIGKILL)

    def _remark(self, text: str) -> None:
        """The server says something by itself."""
        self._tell(Said(text, by_teacher=False))

    def _tell(self, message: Reply, descriptors: Iterable[int] = ()) -> None:
        """A program that does not listen is told nothing."""
        with contextlib.suppress(OSError):
            socket.send_fds(self._channel, [encode(message)], list(descriptors))

    # ------------------------------------------------------------ its end

    async def _stop(self) -> None:
        """Close its terminal, which saves and ends it; insist where that is not enough."""
        child = self._child
        assert child
        self._end_loans()
        self.pty.close()
        if not await within(POLITE, child.ended):
            child.kill(signal.SIGTERM)
            if not await within(PATIENT, child.ended):
                child.kill(signal.SIGKILL)
                with contextlib.suppress(OSError):
                    os.killpg(child.pid, signal.SIGKILL)

    async def _live(self) -> None:
        assert self._child
        code = await self._child.ended
        self.pty.drain()
        if not self._left:
            self.door.write(RESTORE)
            self.door.end(*self._farewell(code))
        self._classroom.note("session closed", self, seconds=round(time.monotonic() - self._began, 1),
                             received=self.received, sent=self.sent, exit=code, reason=self._reason)  # fmt: skip
        self._close()

    def _farewell(self, code: int) -> tuple[int, str]:
        """What the learner reads in the shell that they are back in."""
        if self._reason or not code:
            return 0, self._reason
        with i18n.speaking(self.language):
            return 1, _("The session ended unexpectedly. All is saved: log in again.")

    def _end_loans(self) -> None:
        for number in list(self._lent):
            self._end_loan(number)

    def _close(self) -> None:
        """Nothing of it is left."""
        self._end_loans()
        self.pty.close()
        asyncio.get_running_loop().remove_reader(self._channel)
        if self._listener:
            self._listener.cancel()
        self._channel.close()
        self.page.close()
        if not self.ended.done():
            self.ended.set_result(None)


def place(here: Here) -> tuple[str, ...]:
    return here.screen, here.lesson, here.section, here.task


async def within(seconds: float, future: asyncio.Future[Any]) -> bool:
    """Wait for it, but not for longer; has it come?"""
    await asyncio.wait([future], timeout=seconds)
    return future.done()
