"""Children forked from a warm Python: what they are given, how they end, and that none is left."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from doors import SAFETY

from dltutor.bench.processes import lives
from dltutor.errors import DltutorError
from dltutor.serve.forks import NOT_BEGUN, Child, ForkServer

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="forks are watched by what only Linux has"),
    pytest.mark.asyncio(loop_scope="module"),
]
HERE = str(Path(__file__).parent)
Spawn = Callable[..., Awaitable[tuple[Child, "Said"]]]


class Said:
    """What a child writes, a line of JSON each."""

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(SAFETY)
        self._end, self._lines = end, end.makefile("rb")

    async def next(self) -> Any:
        line = await asyncio.to_thread(self._lines.readline)
        return json.loads(line) if line else None

    async def to_the_end(self) -> None:
        """Comes back once nobody holds the other end."""
        while await self.next() is not None:
            pass

    def close(self) -> None:
        self._lines.close()
        self._end.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[ForkServer]:
    server = ForkServer("forked", {"PYTHONPATH": os.pathsep.join([HERE, *sys.path])})
    await server.start()
    yield server
    await server.close()


@pytest_asyncio.fixture(loop_scope="module")
async def spawn(server: ForkServer) -> AsyncIterator[Spawn]:
    async with spawning(server) as spawn:
        yield spawn


@asynccontextmanager
async def spawning(server: ForkServer) -> AsyncIterator[Spawn]:
    """Its children are gone at the end."""
    said: list[Said] = []
    born: list[Child] = []

    async def spawn(code: str, *others: int, **order: Any) -> tuple[Child, Said]:
        ours, theirs = socket.socketpair()
        with theirs:
            given = {"environment": {}, "terminal": False, "walls": None, "code": code} | order
            child = await server.spawn(given, [theirs.fileno(), *others])
        said.append(Said(ours))
        born.append(child)
        return child, said[-1]

    yield spawn
    for each in said:
        each.close()
    for child in born:
        child.kill()
        await child.ended


async def ended(child: Child) -> int:
    async with asyncio.timeout(SAFETY):
        return await child.ended


async def test_a_child_runs_what_was_loaded_with_what_it_was_given(spawn):
    read, write = os.pipe()
    child, said = await spawn("say([os.getpid(), descriptors])\nos.write(descriptors[0], b'hello')\ncode = 7", write)
    os.close(write)
    assert await said.next() == [child.pid, [3]]
    assert await asyncio.to_thread(os.read, read, 100) == b"hello"
    os.close(read)
    assert await ended(child) == 7


async def test_a_child_has_a_terminal_of_its_own(server):
    master, slave = pty.openpty()
    code = "os.write(1, f'{os.ttyname(0)} {os.getsid(0) == os.getpid()} {os.tcgetpgrp(0) == os.getpid()}'.encode())"
    name = os.ttyname(slave)
    child = await server.spawn({"environment": {}, "terminal": True, "code": code}, [slave])
    assert await ended(child) == 0
    os.close(slave)
    assert os.read(master, 1000).decode() == f"{name} True True"
    os.close(master)


async def test_closing_its_terminal_hangs_a_child_up(server):
    master, slave = pty.openpty()
    code = "import time\nos.write(1, b'.')\ntime.sleep(3600)"
    child = await server.spawn({"environment": {}, "terminal": True, "code": code}, [slave])
    os.close(slave)
    await asyncio.to_thread(os.read, master, 1)
    os.close(master)
    assert await ended(child) == -signal.SIGHUP


async def test_a_death_by_a_signal_is_told_as_it_was(spawn):
    """Its descriptor is readable before the zygote knows how it has ended: only the zygote's word counts."""
    child, _said = await spawn("import ctypes; ctypes.string_at(8)")
    assert await ended(child) == -signal.SIGSEGV


async def test_t11_a_child_that_ignores_signals_is_killed(spawn):
    code = "import signal, time\nfor s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\nsay(1)\ntime.sleep(3600)"
    child, said = await spawn(code)
    await said.next()
    child.kill(signal.SIGHUP)
    child.kill(signal.SIGTERM)
    child.kill()
    assert await ended(child) == -signal.SIGKILL
    child.kill()  # whoever has its number now is left alone


async def test_children_draw_different_random_numbers(spawn):
    drawn = [await (await spawn("import random; say(random.random())"))[1].next() for _ in range(3)]
    assert len(set(drawn)) == 3


async def test_t19_nothing_of_the_servers_environment_is_known_to_children(monkeypatch):
    monkeypatch.setenv("CLASS_SECRET", "hunter2")
    second = ForkServer("forked", {"PYTHONPATH": os.pathsep.join([HERE, *sys.path])})
    await second.start()
    code = "say([dict(os.environ), open('/proc/self/environ').read()])"
    ours, theirs = socket.socketpair()
    child = await second.spawn({"environment": {"TERM": "xterm"}, "terminal": False, "code": code}, [theirs.fileno()])
    theirs.close()
    said = Said(ours)
    environment, at_start = await said.next()
    said.close()
    assert environment == {"TERM": "xterm"}
    assert "CLASS_SECRET" not in at_start
    assert "CLASS_SECRET" not in Path(f"/proc/{second.pid}/environ").read_text(encoding="utf-8")
    assert "DLTUTOR_HOME" not in at_start
    await ended(child)
    await second.close()


async def test_a_child_keeps_no_descriptor_of_the_zygotes(spawn):
    await spawn("import time; time.sleep(3600)")
    _child, said = await spawn("say(sorted(int(name) for name in os.listdir('/proc/self/fd')))")
    assert await said.next() == [0, 1, 2, 3]  # the last is the listing itself


async def test_many_at_once_are_all_born_and_all_told(spawn):
    both = await asyncio.gather(*(spawn(f"code = {number}") for number in range(60)))
    assert [await ended(child) for child, _said in both] == list(range(60))


async def test_what_nobody_waits_for_any_more_is_killed(server):
    ours, theirs = socket.socketpair()
    order = {"environment": {}, "terminal": False, "code": "import time; time.sleep(3600)"}
    spawning = asyncio.create_task(server.spawn(order, [theirs.fileno()]))
    await asyncio.sleep(0)
    spawning.cancel()
    theirs.close()
    said = Said(ours)
    async with asyncio.timeout(SAFETY):
        await said.to_the_end()
    said.close()


@pytest.mark.parametrize(("fault", "says"), [("faulty", "no such thing as preloading"), ("threads", "threads")])
async def test_a_module_that_cannot_be_forked_is_refused_in_words(fault, says):
    server = ForkServer("forked", {"PYTHONPATH": os.pathsep.join([HERE, *sys.path]), "AS": fault})
    with pytest.raises(DltutorError, match=says):
        await server.start()
    await server.close()


async def test_a_module_that_is_not_there_is_named():
    other = ForkServer("dltutor.nothing", {})
    with pytest.raises(DltutorError, match=r"dltutor\.nothing"):
        await other.start()
    await other.close()


async def test_walls_that_cannot_be_put_up_let_nothing_begin(spawn):
    child, said = await spawn("say('begun')", walls={"readable": 7})
    assert await said.next() is None
    assert await ended(child) == NOT_BEGUN
    assert "TypeError" in child.problem


async def test_a_zygote_that_dies_takes_its_children_along():
    server = ForkServer("forked", {"PYTHONPATH": os.pathsep.join([HERE, *sys.path])})
    await server.start()
    async with spawning(server) as spawn:
        child, said = await spawn("import time; say(1); time.sleep(3600)")
        await said.next()
        os.kill(server.pid, signal.SIGKILL)
        async with asyncio.timeout(SAFETY):
            await said.to_the_end()
            await server.ended
        assert await ended(child) == -signal.SIGKILL
        with pytest.raises(DltutorError):
            await spawn("pass")
    await server.close()


FRONT_END = """
import asyncio, os, sys
from dltutor.serve.forks import ForkServer
async def main():
    server = ForkServer("forked", {"PYTHONPATH": os.pathsep.join([sys.argv[1], *sys.path])})
    await server.start()
    code = "import signal, time\\nfor s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)"
    code += "\\nos.write(1, b'.')\\ntime.sleep(3600)"
    for walls in (None, {}):
        order = {"environment": {}, "terminal": False, "walls": walls, "code": code}
        await server.spawn(order, [int(sys.argv[2])])
    print(server.pid, flush=True)
    await asyncio.sleep(3600)
asyncio.run(main())
"""


async def test_t10_nothing_is_left_when_the_front_end_is_killed():
    ours, theirs = socket.socketpair()
    with theirs:
        front_end = await asyncio.create_subprocess_exec(
            sys.executable, "-c", FRONT_END, HERE, str(theirs.fileno()),
            stdout=asyncio.subprocess.PIPE, pass_fds=[theirs.fileno()],
        )  # fmt: skip
    assert front_end.stdout
    zygote = int(await front_end.stdout.readline())
    said = Said(ours)
    for _child in range(2):
        assert await asyncio.to_thread(ours.recv, 1) == b"."
    front_end.kill()
    async with asyncio.timeout(SAFETY):
        await said.to_the_end()  # all children are gone
        await front_end.wait()
        while lives(zygote):
            await asyncio.sleep(0.01)
    said.close()
