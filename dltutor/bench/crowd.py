"""A class that is measured: `dltutor serve`, and learners who come to it with the real `ssh` and train.

Whoever trains has a lesson open whose lab never ends, at the pace that it has in the course.
"""

from __future__ import annotations

import base64
import hashlib
import math
import random
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dltutor.bench import clients
from dltutor.bench.clients import Client, Server
from dltutor.bench.processes import children, command_of
from dltutor.bench.relay import Relay
from dltutor.bench.rows import Row, at_most, median, quantile, to_know
from dltutor.bench.sitting import DRAWN, TRAINED, Keys, built_in_lessons, knob, settle_in

LESSON = "06-mlp"
ENDLESS = {"pace": 30.0, "steps": 10**9}
SIZE = 120, 36
ENGINES = "dltutor.engine.served"  # in the command line of the process that forks them
QUESTION = b"\x1b[6n"  # after each frame of a chart
KNOBS = ("k", "k")  # the first shows which knob is chosen, the second hides it
LAST_LINE = re.compile(r"\bquit\b")  # of the course: with it the first frame is whole
PATIENCE = 20.0  # seconds
AT_ONCE = 8  # logins, where it is not logins that are measured
MB = 1e6


Expected = tuple[Path, str]
"""A learner: the key, and its fingerprint."""


@dataclass(frozen=True)
class Amount:
    """How much of each is measured."""

    sessions: int = 50  # and twice as many
    paints: int = 20
    learners: int = 8  # whose memory is taken
    keys: int = 80
    seconds: float = 10.0  # in which bytes are counted
    slow_keys: int = 20
    logins: int = 30
    kills: int = 10
    stalled: float = 30.0  # seconds
    grades: int = 40
    checks: int = 100  # that wait
    peaceful: int = 28  # learners beside those who make trouble
    latest: float = 480.0  # seconds after which no further part begins


QUICK = Amount(
    sessions=10,
    paints=5,
    learners=2,
    keys=16,
    seconds=3.0,
    slow_keys=6,
    logins=30,
    kills=3,
    stalled=10.0,
    grades=10,
    checks=40,
    peaceful=6,
    latest=75.0,
)


class Class:
    """A server, and learners who come to it; use it in `with`."""

    def __init__(self, folder: Path, amount: Amount) -> None:
        self.folder, self.amount = folder, amount
        self.here: dict[Client, Expected] = {}
        self._lesson = next(lesson for lesson in built_in_lessons() if lesson.id == LESSON)
        self._stack = ExitStack()
        self._numbers = 0
        self._began = time.monotonic()

    @property
    def is_late(self) -> bool:
        """Whether nothing more is to begin."""
        return time.monotonic() - self._began > self.amount.latest

    def __enter__(self) -> Class:
        return self

    def __exit__(self, *fault: object) -> None:
        self.leave()
        self._stack.close()

    @cached_property
    def server(self) -> Server:
        """It starts when it is first needed."""
        return self._stack.enter_context(clients.serve(self.folder / "class"))

    def relay(self, rate: float = math.inf, delay: float = 0.0) -> Relay:
        return self._stack.enter_context(Relay(self.server.port, rate, delay))

    # ------------------------------------------------------------ who comes

    def expect(self, settled: bool = True) -> Expected:
        """A learner with progress of their own: their key, and its fingerprint. `settled`: who was here before."""
        self._numbers += 1
        key = clients.keygen(self.folder / "keys" / f"learner-{self._numbers}")
        blob = base64.b64decode(key.with_suffix(".pub").read_text(encoding="ascii").split()[1])
        fingerprint = hashlib.sha256(blob).hexdigest()
        home = self.server.state / "users" / fingerprint
        home.mkdir(mode=0o700, parents=True)
        if settled:
            settle_in(home, self._lesson, **ENDLESS)
        return key, fingerprint

    def come(self, expected: Expected | None = None, port: int = 0, compress: bool = False) -> Client:
        expected = expected or self.expect()
        key, _fingerprint = expected
        client = self.server.client(key, key.name, *SIZE, port=port, compress=compress)
        self.here[client] = expected
        return client

    def come_again(self, client: Client) -> Client:
        """The learner of one that is lost."""
        return self.come(self.here[client])

    def train(self, client: Client) -> Client:
        """From the course to a lab that runs."""
        client.until(whole, PATIENCE)
        client.press("\r")
        client.until(f" 1/{len(self._lesson.section_ids)} ", PATIENCE)
        client.press(" ")
        client.until(trains, PATIENCE)
        return client

    def crowd(self, count: int) -> list[Client]:
        """So many who train."""
        found: list[Client] = []
        while len(found) < count and not self.is_late:
            several = [self.come() for _number in range(min(AT_ONCE, count - len(found)))]
            found += [self.train(client) for client in several]
        return found

    def leave(self) -> None:
        """All who are here."""
        for client in self.here:
            client.close()
        self.here.clear()

    # ------------------------------------------------------------ its processes

    def session_of(self, client: Client) -> int:
        """The process that draws what this client shows."""
        _key, fingerprint = self.here[client]
        return int(self.server.event("session opened", person=fingerprint[:12])["pid"])

    def engines(self) -> list[int]:
        """The processes that train, one for each who does."""
        zygotes = [pid for pid in children(self.server.pid) if ENGINES in command_of(pid)]
        return [engine for zygote in zygotes for engine in children(zygote)]


def begun(screen: str) -> bool:
    return bool(screen.splitlines()[-1].strip())


def whole(screen: str) -> bool:
    return bool(LAST_LINE.search(screen))


def trains(screen: str) -> bool:
    found = TRAINED.search(screen)
    return bool(found and int(found[1].replace(",", "")) >= 1 and DRAWN.search(screen))


# ---------------------------------------------------------------- keys

Probes = dict[Client, Keys]  # at which keys are pressed


def probes_of(several: Iterable[Client]) -> Probes:
    """What came before is on their screens: nothing but keys takes time from then on."""
    for client in several:
        _seen = client.lines
    return {client: Keys(KNOBS, knob) for client in several}


def press(pressed: Probes, count: int) -> None:
    """So many keys, by turns."""
    probes = list(pressed)
    for number in range(count):
        client = probes[number % len(probes)]
        made = pressed[client].pressed
        made.append(client.press(KNOBS[len(made) % 2]))
        client.listen(random.uniform(0.5, 1.0) / len(probes))
    probes[0].listen(1.0)


def answers(pressed: Probes) -> list[float]:
    """The seconds that each key took to be seen."""
    for client, made in pressed.items():
        made.shown += [(at, knob(client.drawn)) for at, _data in client.draw()]
    return [seconds for made in pressed.values() for seconds in made.answers()]


def paints(name: str, seconds: list[float], limit: float) -> Iterator[Row]:
    yield to_know(f"{name}: key to paint, p50", 1e3 * median(seconds), "ms")
    yield at_most(f"{name}: key to paint, p95", 1e3 * quantile(seconds, 0.95), limit, "ms")


def count_since(client: Client, what: bytes, began: float) -> int:
    return b"".join(piece.data for piece in list(client.pieces) if piece.at >= began).count(what)
