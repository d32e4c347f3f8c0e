"""Checks for a class: what learners write is run by judges, one for each processor, behind walls or not at all.

A learner has at most one check that runs and one that waits, the newest; whoever was served goes to the end of the
queue. So an endless loop costs its author's patience and one judge's time, and however much one asks, the others' turns
come. A judge that dies is replaced.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from dltutor import i18n, wire
from dltutor.errors import DltutorError
from dltutor.i18n import _, plural
from dltutor.link import GraderLink, Link
from dltutor.serve.chores import Chores
from dltutor.serve.turns import Turns

WALLED = ("namespaces", "bubblewrap", "landlock")  # tiers of the room that others' code may be let into
SLOT = 50.0  # seconds that a check may take; what it runs is limited to less
GRACE = 3.0  # seconds that are left to a check that nobody waits for any more: a new judge costs as much
TELL_EVERY = 1.0  # seconds between two words on the place in the queue
LONGEST = 1 << 18  # bytes of a command
EXERCISE = re.compile(r"[\w-]{1,80}/[\w-]{1,80}")

MakeLink = Callable[[], Link]
Log = Callable[..., None]


class Grades:
    def __init__(
        self,
        cores: int,
        environment: Mapping[str, str],
        log: Log = lambda event, **fields: None,
        make_link: MakeLink | None = None,
    ) -> None:
        """`environment`: all that judges know of this process's."""
        self._log = log
        self.refusal: DltutorError | None = None
        """Why nothing is checked here."""
        self.tier = ""
        self.done = 0
        self._closed = False
        make_link = make_link or partial(GraderLink, "--walled", environment=environment)
        self._judges = [Judge(make_link) for _number in range(cores)]
        self._queue = Queue(cores)
        self._chores = Chores(log)

    async def start(self) -> None:
        """With warm judges. Where no walls hold, serving goes on, and each check is answered with the reason."""
        problems = await asyncio.gather(*map(problem_of, self._judges))
        if self._closed:  # meanwhile
            await self._dismiss()
            return
        if problem := next(filter(None, problems), None):
            await self._refuse(problem)
            return
        self.tier = self._judges[0].tier
        self._log("judges ready", tier=self.tier, judges=len(self._judges))
        for judge in self._judges:
            self._chores.begin(self._serve(judge))

    def attach(self, person: str, end: socket.socket, language: str = "en") -> None:
        """Hear the commands of a learner's session from `end`, which is ours from now on."""
        self._chores.begin(self._attend(person, end, language))

    async def close(self) -> None:
        self._closed = True
        await self._chores.cancel()
        await self._dismiss()

    async def _dismiss(self) -> None:
        await asyncio.gather(*(judge.close() for judge in self._judges))

    def status(self) -> dict[str, Any]:
        return {
            "tier": self.tier,
            "reason": self.refusal.message if self.refusal else "",
            "waiting": len(self._queue.waiting),
            "running": len(self._queue.running),
            "done": self.done,
        }

    async def _refuse(self, why: DltutorError) -> None:
        self.refusal = why
        self._log("grading refused", reason=why.message)
        await self._dismiss()
        for job in self._queue.clear():
            job.asker.tell(failed(why))

    # ------------------------------------------------------------ those who ask

    async def _attend(self, person: str, end: socket.socket, language: str) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=end, limit=LONGEST)
        asker, turns = Asker(person, writer, language), Turns()
        try:
            with suppress(ValueError, ConnectionError):  # a line without end, or nobody who listens
                async for line in reader:
                    async with turns.turn():
                        self._hear(asker, line)
                    await writer.drain()
        finally:
            self._queue.leave(asker)
            writer.close()

    def _hear(self, asker: Asker, line: bytes) -> None:
        match command(line):
            case wire.Prepare():
                asker.tell(failed(self.refusal) if self.refusal else wire.Ready(self.tier, 0.0))
            case wire.Check() as check if is_sound(check):
                asker.language = check.language or asker.language
                self._ask(Job(asker, check))
            case _:
                asker.tell(wire.Failed("not a check"))

    def _ask(self, job: Job) -> None:
        if self.refusal:
            job.asker.tell(failed(self.refusal))
        elif not EXERCISE.fullmatch(job.check.exercise):  # never a path: a judge would read what lies there
            job.asker.tell(wire.Failed("not an exercise"))
        else:
            self._queue.put(job)

    # ------------------------------------------------------------ those who judge

    async def _serve(self, judge: Judge) -> None:
        """For ever."""
        while True:
            if job := await self._next(judge):
                await self._settle(judge, job)
            else:
                self._log("judge died")
                await judge.close()
            with suppress(DltutorError):  # then the next job tries again, and its learner is told
                await judge.open()

    async def _next(self, judge: Judge) -> Job | None:
        """None where the judge dies before one comes: nobody is to wait for its successor."""
        job = asyncio.ensure_future(self._queue.next())
        try:
            either: list[asyncio.Future[Any]] = [job, *judge.listening()]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return job.result() if job.done() else None
        finally:
            job.cancel()

    async def _settle(self, judge: Judge, job: Job) -> None:
        try:
            answer = await self._answer(judge, job)
        finally:
            self._queue.finish(job)
        self.done += 1
        job.asker.tell(answer)

    async def _answer(self, judge: Judge, job: Job) -> wire.Verdict | wire.Failed:
        try:
            async with asyncio.timeout(SLOT) as job.limit:
                answer = await judge.answer(job) or await judge.answer(job) or ended(job)
        except TimeoutError:
            answer = stopped(job)
            await judge.close()
        except (DltutorError, OSError, ValueError) as error:  # the last: a line without end
            answer = failed(error if isinstance(error, DltutorError) else DltutorError(str(error)))
            await judge.close()
        return self._fit_for_learners(answer, job) if isinstance(answer, wire.Failed) else answer

    def _fit_for_learners(self, answer: wire.Failed, job: Job) -> wire.Failed:
        """Paths are for the log; and no end of a judge is the end of all judging."""
        where = {"person": job.asker.person, "exercise": job.check.exercise}
        self._log("check failed", **where, reason=answer.message, trace=answer.trace)
        return ended(job) if answer.fatal else replace(answer, trace="")


class Judge:
    """A grader's process, or its successor."""

    def __init__(self, make_link: MakeLink) -> None:
        self._make_link = make_link
        self._link: Link | None = None
        self._events: AsyncIterator[wire.Event] | None = None
        self._word: asyncio.Future[wire.Event | None] | None = None  # its next one, as soon as somebody listens
        self.tier = ""

    async def open(self) -> str:
        """Its tier. Raises DltutorError where no walls hold that are strong enough."""
        if self._link:
            return self.tier
        event = await self._first_word()
        if isinstance(event, wire.Ready) and event.device in WALLED:
            self.tier = event.device
            return self.tier
        await self.close()
        raise self._unfit(event)

    async def _first_word(self) -> wire.Event | None:
        link = self._link = self._make_link()
        try:
            await link.start()
        except OSError as error:  # no more processes, or no memory
            await self.close()
            raise DltutorError(str(error)) from error
        self._events = link.events()
        await link.send(wire.Prepare())
        return await self._hear()

    def listening(self) -> list[asyncio.Future[wire.Event | None]]:
        """For what it says next, if it is there; when nobody asks, that is its end."""
        if self._events and not self._word:
            self._word = asyncio.ensure_future(anext(self._events, None))
        return [self._word] if self._word else []

    async def _hear(self) -> wire.Event | None:
        """None at its end, and where it is closed meanwhile."""
        (word,) = self.listening()
        await asyncio.wait([word])
        if self._word is word:
            self._word = None
        return None if word.cancelled() else word.result()

    async def answer(self, job: Job) -> wire.Verdict | wire.Failed | None:
        """What comes of a check; None where the judge had died before."""
        await self.open()
        assert self._link
        await self._link.send(job.check)
        heard = False
        while event := await self._hear():
            match event:
                case wire.Failed(fatal=True):
                    await self.close()
                    return event if heard else None
                case wire.Verdict() | wire.Failed():
                    return event
            heard = True
            job.asker.tell(event)
        await self.close()
        return None

    async def close(self) -> None:
        link, self._link, self._events = self._link, None, None
        if self._word:
            self._word.cancel()
            self._word = None
        if link:
            await link.close()

    def _unfit(self, event: wire.Event | None) -> DltutorError:
        match event:
            case wire.Failed(message=message, hint=hint):
                return DltutorError(message, hint)
            case wire.Ready(device=tier):
                return DltutorError(_("walls of the kind “{tier}” protect from accidents only").format(tier=tier))
        return DltutorError(_("the grader ended"), _("`dltutor doctor` may name the cause."))


async def problem_of(judge: Judge) -> DltutorError | None:
    try:
        await judge.open()
    except DltutorError as error:
        return error
    return None


# ---------------------------------------------------------------- the queue


@dataclass(eq=False)
class Asker:
    """A learner's session, as long as its end of the socket is open."""

    person: str
    writer: asyncio.StreamWriter
    language: str

    def tell(self, event: wire.Event) -> None:
        if not self.writer.is_closing():
            self.writer.write(wire.encode(event))


@dataclass(eq=False)
class Job:
    asker: Asker
    check: wire.Check
    limit: asyncio.Timeout | None = None
    """Of a running one."""
    told: float = -TELL_EVERY
    """When its learner was told the place."""

    def leave(self) -> None:
        """Nobody waits for it: it may still end by itself, but not take long."""
        if self.limit and not self.limit.expired():
            self.limit.reschedule(asyncio.get_running_loop().time() + GRACE)


class Queue:
    """Learners by turns: each has one job that runs, and one that waits."""

    def __init__(self, judges: int) -> None:
        self.judges = judges
        self.waiting: dict[str, Job] = {}  # by learner, the next one first
        self.running: dict[str, Job] = {}
        self._more = asyncio.Event()

    def put(self, job: Job) -> None:
        """In the place of an older one of the same learner, if there is one."""
        self.waiting[job.asker.person] = job
        self._more.set()
        if len(self.running) >= self.judges or job.asker.person in self.running:
            self._tell_places()

    async def next(self) -> Job:
        while not (job := self._first()):
            self._more.clear()
            await self._more.wait()
        del self.waiting[job.asker.person]
        self.running[job.asker.person] = job
        self._tell_places()
        return job

    def finish(self, job: Job) -> None:
        del self.running[job.asker.person]
        self._more.set()

    def leave(self, asker: Asker) -> None:
        """Nobody is there to hear of its jobs."""
        if (job := self.waiting.get(asker.person)) and job.asker is asker:
            del self.waiting[asker.person]
        if (job := self.running.get(asker.person)) and job.asker is asker:
            job.leave()

    def clear(self) -> list[Job]:
        jobs, self.waiting = list(self.waiting.values()), {}
        return jobs

    def _first(self) -> Job | None:
        return next((job for person, job in self.waiting.items() if person not in self.running), None)

    def _tell_places(self) -> None:
        now = time.monotonic()
        for before, job in enumerate(self.waiting.values(), len(self.running)):
            if now - job.told >= TELL_EVERY:
                job.told = now
                job.asker.tell(wire.Checking(job.check.number, place(before, job.asker.language)))


def place(before: int, language: str) -> str:
    with i18n.speaking(language):
        return plural("{n} check is before yours", "{n} checks are before yours", before)


def ended(job: Job) -> wire.Failed:
    with i18n.speaking(job.asker.language):
        return wire.Failed(_("the grader ended"), _("Check again."))


def stopped(job: Job) -> wire.Failed:
    with i18n.speaking(job.asker.language):
        message = _("the check did not end within {n} seconds").format(n=round(SLOT))
        return wire.Failed(message, _("Is there an endless loop?"))


def command(line: bytes) -> wire.Message | None:
    with suppress(DltutorError, RecursionError):
        return wire.decode(line)
    return None


def is_sound(check: wire.Check) -> bool:
    """Each part of it is of its kind, and can be sent on: judges, and what is told to others, rely on that."""
    texts = check.exercise, check.source, check.language
    return type(check.number) is int and all(isinstance(text, str) and is_text(text) for text in texts)


def is_text(text: str) -> bool:
    """JSON can hold halves of characters, which nothing can be told in."""
    with suppress(UnicodeEncodeError):
        return bool(text.encode() or True)
    return False


def failed(error: DltutorError) -> wire.Failed:
    return wire.Failed(error.message, error.hint)
