"""What a class over SSH costs: real `ssh` clients, each in a terminal of its own, against `dltutor serve`.

The clients run on the same processors as what they measure, so the load stands beside the numbers. Whoever trains has a
lesson open whose lab never ends, at the pace that it has in the course.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import math
import os
import random
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dltutor.bench import clients
from dltutor.bench.clients import Client, Server
from dltutor.bench.processes import children, command_of, descendants, lives, processor_seconds
from dltutor.bench.relay import Relay
from dltutor.bench.rows import Row, at_most, median, quantile, to_know
from dltutor.bench.sitting import DRAWN, TRAINED, Keys, built_in_lessons, knob, settle_in
from dltutor.errors import DltutorError, UsageError
from dltutor.i18n import _
from dltutor.serve.health import private_bytes

if TYPE_CHECKING:
    from dltutor.serve.grades import Grades

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
    latest: float = 300.0  # seconds after which no further part begins


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
    latest=75.0,
)


def measure(folder: Path, amount: Amount, only: Sequence[str] = ()) -> list[Row]:
    """The parts that `only` names; all of them where it names none."""
    if unknown := sorted(set(only) - set(PARTS)):
        message = _("this bench has no part {name}").format(name=", ".join(unknown))
        raise UsageError(message, _("It has: {names}").format(names=", ".join(PARTS)))
    if clients.missing():
        raise DltutorError(_("{program} is not installed").format(program=clients.missing()))
    rows: list[Row] = []
    with Class(folder, amount) as learners:
        for name in [name for name in PARTS if name in (only or PARTS)]:
            rows += [left_out(name)] if learners.is_late else PARTS[name](learners)
            learners.leave()
    return [*rows, to_know("load at the end", os.getloadavg()[0], "")]


def left_out(what: str) -> Row:
    return to_know(f"left out, as time was up: {what}", math.nan, "")


# ---------------------------------------------------------------- the class


class Class:
    """A server, and learners who come to it; use it in `with`."""

    def __init__(self, folder: Path, amount: Amount) -> None:
        self.folder, self.amount = folder, amount
        self.here: dict[Client, str] = {}  # by their keys' fingerprints
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

    def expect(self) -> tuple[Path, str]:
        """A learner with progress of their own, who was here before: their key, and its fingerprint."""
        self._numbers += 1
        key = clients.keygen(self.folder / "keys" / f"learner-{self._numbers}")
        blob = base64.b64decode(key.with_suffix(".pub").read_text(encoding="ascii").split()[1])
        fingerprint = hashlib.sha256(blob).hexdigest()
        home = self.server.state / "users" / fingerprint
        home.mkdir(mode=0o700, parents=True)
        settle_in(home, self._lesson, **ENDLESS)
        return key, fingerprint

    def come(self, expected: tuple[Path, str] | None = None, port: int = 0, compress: bool = False) -> Client:
        key, fingerprint = expected or self.expect()
        client = self.server.client(key, key.name, *SIZE, port=port, compress=compress)
        self.here[client] = fingerprint
        return client

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
        return int(self.server.event("session opened", person=self.here[client][:12])["pid"])

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


# ---------------------------------------------------------------- coming


def first_paint(learners: Class) -> Iterator[Row]:
    """From the start of `ssh` to the whole first frame, one learner at a time."""
    first, seconds = [], []
    for _time in range(learners.amount.paints):
        client = learners.come()
        first.append(client.until(begun, PATIENCE) - client.began)
        seconds.append(client.until(whole, PATIENCE) - client.began)
        client.settle()
        learners.leave()
        time.sleep(0.3)  # until the server has taken it away
    yield to_know("first paint: something in the last line, p50", 1e3 * median(first), "ms")
    yield to_know("first paint: p50", 1e3 * median(seconds), "ms")
    yield at_most("first paint: p95", 1e3 * quantile(seconds, 0.95), 250, "ms")


def logins(learners: Class) -> Iterator[Row]:
    """All at once, as at the beginning of a lesson."""
    count = learners.amount.logins
    expected = [learners.expect() for _number in range(count)]
    came = [learners.come(one) for one in expected]
    began = came[0].began
    painted = [painted_at(client) - began for client in came]
    refused = sum(map(math.isinf, painted))
    yield at_most(f"{count} logins at once: all painted", max(painted), 3, "s")
    yield to_know(f"{count} logins at once: p50", median(painted), "s")
    yield at_most(f"{count} logins at once: refused", refused, 0, "")


def painted_at(client: Client) -> float:
    try:
        return client.until(whole, PATIENCE)
    except DltutorError:
        return math.inf


# ---------------------------------------------------------------- being there


def memory(learners: Class) -> Iterator[Row]:
    """What the machine would get back if one learner left: the application and the engine, while it trains."""
    crowd = learners.crowd(learners.amount.learners)
    crowd[0].listen(2.0)
    sessions = [private_bytes(learners.session_of(client)) / MB for client in crowd]
    engines = [private_bytes(pid) / MB for pid in learners.engines()]
    application, engine = sum(sessions) / len(sessions), sum(engines) / len(crowd)
    yield at_most("private memory of a session with its engine", application + engine, 20, "MB")
    yield to_know("private memory: application", application, "MB")
    yield to_know("private memory: engine", engine, "MB")


def keys(learners: Class) -> Iterator[Row]:
    """From the key to the screen, while so many charts are alive."""
    for count, limit in ((learners.amount.sessions, 60), (2 * learners.amount.sessions, 100)):
        learners.crowd(count - len(learners.here))
        crowd = list(learners.here)
        if len(crowd) < count:
            yield left_out(f"{count} sessions that train")
            return
        probes = probes_of(random.sample(crowd, min(4, count)))
        crowd[0].listen(4.0)  # the budget is shared out anew
        with Watched(learners, crowd) as watched:
            press(probes, learners.amount.keys)
        yield from paints(f"{count} sessions that train", answers(probes), limit)
        yield to_know(f"{count} sessions that train: frames", watched.frames, "/s each")
        yield at_most(f"{count} sessions that train: front end, each", watched.front_end, 0.3, "% of a core")
        yield to_know(f"{count} sessions that train: application, each", watched.applications, "% of a core")
        yield to_know(f"{count} sessions that train: engine, each", watched.engines, "% of a core")
        yield to_know(f"{count} sessions that train: `ssh`, each", watched.clients, "% of a core")


class Watched:
    """What a crowd takes of the processors, and how often its charts move, from `with` to its end."""

    def __init__(self, learners: Class, crowd: list[Client]) -> None:
        self._crowd = crowd
        self._groups = {
            "front_end": [learners.server.pid],
            "applications": [learners.session_of(client) for client in crowd],
            "engines": learners.engines(),
            "clients": [client.pid for client in crowd],
        }

    def __enter__(self) -> Watched:
        self._began, self._before = time.perf_counter(), self._times()
        return self

    def __exit__(self, *fault: object) -> None:
        seconds = time.perf_counter() - self._began
        shares = [
            100 * (after - before) / seconds / len(self._crowd)
            for before, after in zip(self._before, self._times(), strict=True)
        ]
        self.front_end, self.applications, self.engines, self.clients = shares
        asked = sum(count_since(client, QUESTION, self._began) for client in self._crowd)
        self.frames = asked / seconds / len(self._crowd)

    def _times(self) -> list[float]:
        return [sum(map(processor_seconds, group)) for group in self._groups.values()]


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


# ---------------------------------------------------------------- the wire


def wire(learners: Class) -> Iterator[Row]:
    """Bytes that leave the server, for a chart that lives and for a page that is read."""
    for name, compress, limit in (("plain", False, 20), ("compressed", True, 4)):
        relay = learners.relay()
        client = learners.come(port=relay.port, compress=compress)
        client.until(whole, PATIENCE)
        client.settle(1.0)
        yield to_know(f"first frame, {name}", relay.sent / 1e3, "kB")
        yield at_most(f"nothing moves, {name}", rate(client, relay, learners.amount.seconds), 0, "B/s")
        learners.train(client)
        client.listen(1.0)
        yield at_most(f"a chart lives, {name}", rate(client, relay, learners.amount.seconds) / 1e3, limit, "kB/s")
        learners.leave()


def rate(client: Client, relay: Relay, seconds: float) -> float:
    """Bytes a second."""
    before, began = relay.sent, time.perf_counter()
    client.listen(seconds)
    return (relay.sent - before) / (time.perf_counter() - began)


def slow_link(learners: Class) -> Iterator[Row]:
    """20 kB/s, and 200 ms there and back."""
    relay = learners.relay(rate=20_000, delay=0.1)
    client = learners.come(port=relay.port)
    learners.train(client)
    probes = probes_of([client])
    client.listen(2.0)
    began = time.perf_counter()
    press(probes, learners.amount.slow_keys)
    frames = count_since(client, QUESTION, began) / (time.perf_counter() - began)
    yield from paints("20 kB/s and 200 ms there and back", answers(probes), 350)
    yield to_know("20 kB/s and 200 ms there and back: frames", frames, "/s")


def stalled(learners: Class) -> Iterator[Row]:
    """A client that is there and reads nothing."""
    client = learners.crowd(1)[0]
    client.listen(1.0)
    session, server = learners.session_of(client), learners.server.pid
    client.send(signal.SIGSTOP)
    client.listen(2.0)  # until all buffers of the kernel's are full
    before = private_bytes(server), private_bytes(session)
    client.listen(learners.amount.stalled)
    after = private_bytes(server), private_bytes(session)
    seconds = f"{learners.amount.stalled:g} s"
    yield at_most(f"a client reads nothing for {seconds}: front end grows", (after[0] - before[0]) / MB, 1, "MB")
    yield to_know(f"a client reads nothing for {seconds}: session grows", (after[1] - before[1]) / MB, "MB")


# ---------------------------------------------------------------- going


def killed(learners: Class) -> Iterator[Row]:
    """A client that is lost, in the middle of training."""
    seconds = []
    for _time in range(learners.amount.kills):
        client = learners.crowd(1)[0]
        pids = {learners.session_of(client), *learners.engines()}
        began = time.perf_counter()
        client.send(signal.SIGKILL)
        seconds.append(gone(pids, began))
        learners.leave()
    yield at_most("`ssh` is killed: session and engine are gone, worst", 1e3 * max(seconds), 100, "ms")
    yield to_know("`ssh` is killed: session and engine are gone, p50", 1e3 * median(seconds), "ms")


def front_end_killed(learners: Class) -> Iterator[Row]:
    """The server's end, and with it that of all it has started; the last part, for that reason."""
    learners.crowd(4)
    pids = {learners.server.pid, *descendants(learners.server.pid)}
    began = time.perf_counter()
    os.kill(learners.server.pid, signal.SIGKILL)
    learners.server.process.wait()
    yield at_most("front end is killed: all is gone", gone(pids, began), 3, "s")
    yield to_know("front end is killed: processes that it had", len(pids), "")


def gone(pids: Iterable[int], began: float) -> float:
    """Seconds until none of them lives."""
    left = set(pids)
    while left and time.perf_counter() < began + PATIENCE:
        left = {pid for pid in left if lives(pid)}
        time.sleep(0.001)
    return time.perf_counter() - began if not left else math.inf


# ---------------------------------------------------------------- checks


def grades(learners: Class) -> Iterator[Row]:
    """What the strongest room that holds here adds to a check: the answer to a file that is run as it is, and to one
    that Numba compiles."""
    from dltutor.grading.parcel import wrap
    from dltutor.room import open_room

    room = open_room(walled=True)
    for name, compiled, limit in (("as Python", False, 25), ("compiled anew", True, 150)):
        seconds = []
        for number in range(learners.amount.grades + 1):
            parcel = wrap(*order(number, compiled))
            began = time.perf_counter()
            outcome = room.run(parcel)
            seconds.append(time.perf_counter() - began)
            if outcome.reply is None:
                raise DltutorError(outcome.sentence)
        yield to_know(f"check, {name} ({room.tier}): p50", 1e3 * median(seconds[1:]), "ms")
        yield at_most(f"check, {name} ({room.tier}): p95", 1e3 * quantile(seconds[1:], 0.95), limit, "ms")
    room.close()


def checks(learners: Class) -> Iterator[Row]:
    """Keys while very many wait for their checks: as many judges as the server has, and those who ask are here."""
    waiting = learners.amount.checks
    probes = probes_of(learners.crowd(4))
    ready = threading.Event()
    took: list[float] = []
    asking = threading.Thread(target=lambda: took.append(asyncio.run(ask(waiting, ready))))
    asking.start()
    ready.wait()
    press(probes, learners.amount.keys)
    asking.join()
    yield from paints(f"{waiting} checks wait", answers(probes), 150)
    yield to_know(f"{waiting} checks wait: until the last is done", took[0], "s")


async def ask(count: int, ready: threading.Event) -> float:
    """Let so many learners ask at once; seconds until all are answered."""
    from dltutor.serve.grades import Grades
    from dltutor.serve.settings import Settings

    judges = Grades(os.cpu_count() or 1, Settings(Path("/nonexistent")).environment())
    await judges.start()
    ready.set()
    began = time.perf_counter()
    await asyncio.gather(*(ask_once(judges, number) for number in range(count)))
    await judges.close()
    return time.perf_counter() - began


async def ask_once(judges: Grades, number: int) -> None:
    from dltutor import wire

    ours, theirs = socket.socketpair()
    judges.attach(f"learner-{number}", theirs)
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    writer.write(wire.encode(wire.Check(EXERCISE, f"{EMPTY}# {number}\n")))
    while not isinstance(wire.decode(await reader.readline()), wire.Verdict | wire.Failed):
        pass
    writer.close()


EXERCISE = "01-linear-regression/mse-backward"
EMPTY = "def mse_backward(y, t, dy):\n    pass\n"
SOURCE = """
def add(x, y, out):
    for i in range(x.size):
        out[i] = x[i] + y[i] * {number}
"""


def order(number: int, compiled: bool) -> tuple[dict, list]:
    """What a room is asked: one function, called once, as nobody has written it before."""
    import numpy as np

    from dltutor.grading.worker import GUARD

    arrays = [np.zeros(2 * GUARD + 100, np.float32) for _argument in range(3)]
    arguments = [{"array": place, "shape": [100]} for place in range(3)]
    call = {"function": "add", "arguments": arguments, "times": 1, "compiled": compiled, "aloud": False}
    return {"source": SOURCE.format(number=number), "file": "add.py", "cuda": False, "calls": [call]}, arrays


PARTS: dict[str, Callable[[Class], Iterable[Row]]] = {
    "grades": grades,
    "paint": first_paint,
    "logins": logins,
    "memory": memory,
    "wire": wire,
    "slow": slow_link,
    "killed": killed,
    "stalled": stalled,
    "checks": checks,
    "keys": keys,
    "end": front_end_killed,
}
