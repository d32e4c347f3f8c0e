"""Engines that a class server forks: the numbers of every engine, and nothing of the class within their reach."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from facts import SAFETY

from dltutor.serve.forks import Child, ForkServer
from dltutor.wire import (
    LONGEST_LINE,
    OURS,
    Command,
    Event,
    Failed,
    Finished,
    Grant,
    Metrics,
    Open,
    Own,
    Printed,
    Ready,
    Start,
    decode,
    encode,
    floats,
)

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="forks are watched by what only Linux has"),
    pytest.mark.asyncio(loop_scope="module"),
]
LABS = Path(__file__).parents[1] / "fixtures" / "labs"
E = TypeVar("E")
TANH = "dltutor/kernels/tanh.py:tanh_backward"
SOURCE = """
import numpy as np

def tanh_backward(y, dy, dx):
    for i in range(y.size):
        dx[i] += dy[i] * (np.float32(1) - y[i] * y[i])
"""
ENDLESS = """
def tanh_backward(y, dy, dx):
    while True:
        dx[0] += dy[0]
"""
NOSY = '''
"""A lab that tries what no lab should, and prints what succeeds."""

import os
import socket
from pathlib import Path

from dltutor.lab import Tick

STATE = Path(os.environ["DLTUTOR_HOME"])
ATTEMPTS = {
    "reads the key": lambda: (STATE / "host_key").read_text(),
    "lists learners": lambda: os.listdir(STATE / "users"),
    "writes kernels": lambda: (Path(os.environ["NUMBA_CACHE_DIR"]) / "new").touch(),
    "connects": lambda: socket.socket(),
    "starts": lambda: os.fork() or os._exit(0),
    "kills": lambda: os.kill(os.getppid(), 0),
    "reads kernels": lambda: os.listdir(os.environ["NUMBA_CACHE_DIR"]),
}

def lab(knobs, rng):
    for name, attempt in ATTEMPTS.items():
        try:
            attempt()
            print(name)
        except OSError:
            pass
    while True:
        yield Tick(loss=0.0)
'''


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class server's folder, and a lesson with a nosy lab beside it."""
    folder = tmp_path_factory.mktemp("class")
    (folder / "state" / "users" / "ada").mkdir(parents=True)
    (folder / "state" / "host_key").write_text("secret", encoding="utf-8")
    nosy = folder / "lessons" / "nosy"
    nosy.mkdir(parents=True)
    text = (LABS / "tiny" / "lesson.md").read_text(encoding="utf-8")
    (nosy / "lesson.md").write_text(text.replace("id: tiny", "id: nosy"), encoding="utf-8")
    (nosy / "lab.py").write_text(NOSY, encoding="utf-8")
    return folder / "state"


@pytest.fixture(scope="module")
def environment(state: Path) -> dict[str, str]:
    lessons = os.pathsep.join([str(LABS), str(state.parent / "lessons")])
    kernels = os.environ["NUMBA_CACHE_DIR"]
    return {"DLTUTOR_HOME": str(state), "DLTUTOR_LESSONS": lessons, "NUMBA_CACHE_DIR": kernels}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(environment: dict[str, str]) -> AsyncIterator[ForkServer]:
    """It compiles all kernels of the course, once, if nobody has before."""
    server = ForkServer("dltutor.engine.served", environment)
    await server.start()
    yield server
    await server.close()


class Engine:
    """A forked engine, spoken to as a link does."""

    def __init__(self, child: Child, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.child, self.reader, self.writer = child, reader, writer
        self.events: list[Event] = []

    def send(self, *commands: Command) -> None:
        self.writer.write(b"".join(map(encode, commands)))

    async def until(self, *kinds: type) -> Any:
        """The next event of one of these kinds."""
        async with asyncio.timeout(SAFETY):
            while not self.events or not isinstance(self.events[-1], kinds):
                line = await self.reader.readline()
                assert line, f"it ended; it said {self.events[-3:]}"
                self.events.append(decode(line))  # type: ignore[arg-type]
        return self.events.pop()

    async def ended(self) -> int:
        async with asyncio.timeout(SAFETY):
            return await self.child.ended


Engines = Callable[..., Awaitable[Engine]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engines(server: ForkServer, environment: dict[str, str]) -> AsyncIterator[Engines]:
    made: list[Engine] = []

    async def engine(locked: bool = False, language: str = "en") -> Engine:
        ours, theirs = socket.socketpair()
        arguments = {"language": language, "locked": locked}
        with theirs:
            order = {"environment": environment, "terminal": False, "walls": None, "arguments": arguments}
            child = await server.spawn(order, [theirs.fileno()])
        made.append(Engine(child, *await asyncio.open_unix_connection(sock=ours, limit=LONGEST_LINE)))
        return made[-1]

    yield engine
    for each in made:
        each.writer.close()


async def metrics(engine: Engine, *, steps: int, **knobs: Any) -> list[dict[str, float]]:
    """Of a whole run, step by step."""
    engine.send(Grant(), Start(knobs, 7, steps))
    rows: list[dict[str, float]] = []
    while not isinstance(event := await engine.until(Metrics, Finished, Failed), Finished):
        assert isinstance(event, Metrics), event
        columns = {name: floats(column) for name, column in event.columns.items()}
        count = max(map(len, columns.values()))
        rows += [{name: values[row] for name, values in columns.items()} for row in range(count)]
        engine.send(Grant())
    return rows


@pytest.mark.parametrize("lesson", ["01-linear-regression", "06-mlp"])
async def test_its_numbers_are_those_of_dltutor_run_to_the_bit(engines, dltutor, lesson):
    engine = await engines()
    engine.send(Open(lesson))
    await engine.until(Ready)
    rows = await metrics(engine, steps=30)
    told = await asyncio.to_thread(dltutor, "run", lesson, "--steps", "30", "--seed", "7", "--jsonl")
    lines = [json.loads(line) for line in told.stdout.splitlines()[1:-1]]
    assert len(lines) == 31
    for line, row in zip(lines, rows, strict=True):
        assert {name: value for name, value in row.items() if value == value} == {
            name: value for name, value in line.items() if name != "step" and value is not None
        }


async def test_it_ends_with_its_socket(engines):
    engine = await engines()
    engine.send(Open("tiny"))
    await engine.until(Ready)
    engine.writer.close()
    assert await engine.ended() == 0


@pytest.mark.parametrize("locked", [False, True])
async def test_one_in_an_endless_loop_ends_with_its_socket(engines, locked):
    engine = await engines(locked)
    engine.send(Open("layered", "cpu", Own("layered/some", ENDLESS, [TANH], passed=True)))
    await engine.until(Ready)
    engine.send(Start({}, 0, 100))
    engine.writer.close()
    assert await engine.ended() == 0


@pytest.mark.parametrize("locked", [False, True])
async def test_one_that_is_killed_is_gone_with_all_it_holds(engines, locked):
    engine = await engines(locked)
    engine.send(Open("tiny"))
    await engine.until(Ready)
    engine.child.kill()
    assert await engine.ended() == -signal.SIGKILL
    async with asyncio.timeout(SAFETY):
        with suppress(ConnectionError):
            while await engine.reader.read(1 << 16):  # comes back only once nobody holds the other end
                pass


async def test_it_trains_with_what_the_learner_wrote(engines):
    engine = await engines(locked=True)
    engine.send(Open("layered", "cpu", Own("layered/some", SOURCE, [TANH])))
    await engine.until(Ready)
    for row in await metrics(engine, steps=6):
        assert row["loss"] == pytest.approx(row[OURS + "loss"], rel=1e-4)


async def test_it_speaks_the_language_of_its_learner(engines):
    engine = await engines(language="zh")
    engine.send(Start())
    assert (await engine.until(Failed)).hint == "请先打开一课。"


@pytest.mark.parametrize("locked", [False, True])
async def test_t14_a_lab_reaches_nothing_of_the_class(engines, locked):
    engine = await engines(locked)
    engine.send(Open("nosy"))
    await engine.until(Ready)
    engine.send(Start({}, 0, 3))
    await engine.until(Finished)
    assert "".join(event.text for event in engine.events if isinstance(event, Printed)) == "reads kernels\n"


@pytest.mark.parametrize(
    "line",
    [
        "import os; open(os.environ['DLTUTOR_HOME'] + '/host_key').read()",
        "import os; os.listdir(os.environ['DLTUTOR_HOME'] + '/users')",
        "import os; open(os.environ['NUMBA_CACHE_DIR'] + '/new', 'w')",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.kill(os.getppid() or 2, 9)",
    ],
    ids=["reads", "lists", "writes", "connects", "starts", "kills"],
)
async def test_t14_a_learners_kernel_reaches_nothing_of_the_class(engines, line):
    engine = await engines(locked=True)
    engine.send(Open("layered", "cpu", Own("layered/some", line + SOURCE, [TANH])))
    failed = await engine.until(Ready, Failed)
    assert isinstance(failed, Failed) and "line 1 " in failed.message


async def test_it_is_gentle_and_holds_no_threads_but_its_own(engines):
    engine = await engines()
    engine.send(Open("tiny"))
    await engine.until(Ready)
    pid = engine.child.pid
    assert os.getpriority(os.PRIO_PROCESS, pid) == 19
    autogroup = Path(f"/proc/{pid}/autogroup")
    assert not autogroup.exists() or autogroup.read_text(encoding="ascii").endswith(" nice 19\n")
    assert os.sched_getscheduler(pid) == os.SCHED_BATCH
    assert len(os.listdir(f"/proc/{pid}/task")) == 2  # one trains, one listens


async def test_t19_its_environment_is_what_the_order_says(monkeypatch, server, engines, environment):
    engine = await engines()
    engine.send(Open("tiny"))
    await engine.until(Ready)
    known = Path(f"/proc/{engine.child.pid}/environ").read_text(encoding="utf-8")
    assert "PYTEST_CURRENT_TEST" in os.environ
    assert "PYTEST" not in known
