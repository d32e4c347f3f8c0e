"""What a class over SSH costs: real `ssh` clients, each in a terminal of its own, against `dltutor serve`.

The clients run on the same processors as what they measure, so the load stands beside the numbers.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dltutor.bench import clients, trouble
from dltutor.bench.clients import Client
from dltutor.bench.crowd import (
    MB,
    PATIENCE,
    QUESTION,
    QUICK,
    Amount,
    Class,
    answers,
    begun,
    count_since,
    paints,
    press,
    probes_of,
    whole,
)
from dltutor.bench.processes import descendants, lives
from dltutor.bench.relay import Relay
from dltutor.bench.rows import Row, at_most, median, quantile, to_know
from dltutor.errors import DltutorError, UsageError
from dltutor.i18n import _
from dltutor.serve.health import private_bytes, processor_seconds, share, stolen_times

__all__ = ["QUICK", "Amount", "measure"]

if TYPE_CHECKING:
    from dltutor.serve.grades import Grades


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
            rows += [left_out(name)] if learners.is_late else told(name, learners)
            learners.leave()
    return [*rows, to_know("load at the end", os.getloadavg()[0], "")]


def told(name: str, learners: Class) -> Iterator[Row]:
    """A part, and how far the machine itself may have spoilt it."""
    before = stolen_times()
    yield from PARTS[name](learners)
    yield to_know(f"{name}: taken by other machines", 100 * share(before, stolen_times()), "%")


def left_out(what: str) -> Row:
    return to_know(f"left out, as time was up: {what}", math.nan, "")


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
    "trouble": trouble.measure,
    "keys": keys,
    "end": front_end_killed,
}
