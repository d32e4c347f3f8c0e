"""Checks for a class: who is next, what judges must not know, and that nobody's code costs anybody else a thing."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import pytest_asyncio
from facts import files_of
from graders import FakeGrader

from dltutor import wire
from dltutor.bench.processes import descendants
from dltutor.errors import DltutorError
from dltutor.lesson.course import built_in
from dltutor.link import GraderLink, Link, Process
from dltutor.serve import grades as module
from dltutor.serve.grades import Asker, Grades

PATIENCE = 300.0  # seconds: judges let all others go first
EXERCISE = "01-linear-regression/mse-backward"
NOTHING = "def mse_backward(y, t, dy):\n    pass\n"
SOLUTION = (built_in() / "01-linear-regression/exercises/mse-backward/solution.py").read_text(encoding="utf-8")
ENVIRONMENT = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": "/nonexistent"}
on_linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="asks Linux's /proc")


class Learner:
    """A session's end of the socket."""

    def __init__(self, grades: Grades, person: str) -> None:
        self.person = person
        ours, theirs = socket.socketpair()
        self._socket = ours
        self.numbers = 0
        grades.attach(person, theirs)

    async def __aenter__(self) -> Learner:
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._socket)
        return self

    async def __aexit__(self, *_fault: object) -> None:
        self._writer.close()

    def send(self, line: bytes) -> None:
        self._writer.write(line)

    def ask(self, source: str = NOTHING, exercise: str = EXERCISE, language: str = "en") -> int:
        self.numbers += 1
        self.send(wire.encode(wire.Check(exercise, source, self.numbers, language)))
        return self.numbers

    async def hear(self) -> wire.Message:
        async with asyncio.timeout(PATIENCE):
            return wire.decode(await self._reader.readline())

    async def answer(self) -> wire.Verdict | wire.Failed:
        while not isinstance(event := await self.hear(), wire.Verdict | wire.Failed):
            pass
        return event

    async def check(self, source: str, language: str = "en") -> wire.Verdict | wire.Failed:
        self.ask(source, language=language)
        return await self.answer()

    async def until(self, word: str) -> None:
        """Until a stage says so."""
        while not (isinstance(event := await self.hear(), wire.Checking) and word in event.stage):
            pass


# ---------------------------------------------------------------- who is next, with judges of our own


class Bench:
    """Where the judges sit: who is being heard, and what the judges say."""

    def __init__(self) -> None:
        self.made: list[FakeLink] = []
        self.heard: list[str] = []
        self.tier = "namespaces"
        self._news = asyncio.Event()

    def link(self) -> FakeLink:
        self.made.append(FakeLink(self))
        return self.made[-1]

    def note(self, source: str) -> None:
        self.heard.append(source)
        self._news.set()

    async def until_heard(self, count: int) -> list[str]:
        async with asyncio.timeout(PATIENCE):
            while len(self.heard) < count:
                self._news.clear()
                await self._news.wait()
        return self.heard

    @property
    def busy(self) -> list[FakeLink]:
        return [link for link in self.made if link.check and not link.closed]

    def judge_of(self, source: str) -> FakeLink:
        return next(link for link in self.busy if link.check and link.check.source == source)


class FakeLink(FakeGrader):
    """A judge that ends a check when the test says so."""

    def __init__(self, bench: Bench) -> None:
        super().__init__([None])
        self._bench = bench
        self.check: wire.Check | None = None

    async def send(self, command: wire.Command) -> None:
        await super().send(command)
        if isinstance(command, wire.Prepare):
            self.say(wire.Ready(self._bench.tier, 0.1))
        elif isinstance(command, wire.Check):
            self.check = command
            self._bench.note(command.source)

    def judge(self) -> None:
        check, self.check = self.check, None
        assert check
        self.say(wire.Verdict(check.number, True, check.source), check.number)

    def die(self) -> None:
        self.say(wire.Failed("SIGKILL", trace="/root/secret.py", fatal=True))
        self.end()


@asynccontextmanager
async def opened(make_link: Callable[[], Link], cores: int = 1) -> AsyncIterator[Grades]:
    grades = Grades(cores, ENVIRONMENT, make_link=make_link)
    await grades.start()
    yield grades
    await grades.close()


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_learners_take_turns_however_much_one_asks(bench):
    async with (
        opened(bench.link) as grades,
        Learner(grades, "x") as x, Learner(grades, "y") as y, Learner(grades, "z") as z,
    ):  # fmt: skip
        x.ask("x1")
        await bench.until_heard(1)
        for number in range(2, 9):
            x.ask(f"x{number}")
        await x.until("before yours")
        y.ask("y1")
        await y.until("before yours")
        z.ask("z1")
        await z.until("before yours")
        for count in (2, 3, 4):
            (judge,) = bench.busy
            judge.judge()
            await bench.until_heard(count)
        assert bench.heard == ["x1", "x8", "y1", "z1"]


async def test_a_judge_that_dies_while_nobody_asks_is_replaced_before_anybody_does(bench):
    async with opened(bench.link) as grades, Learner(grades, "x") as x:
        bench.made[0].die()
        async with asyncio.timeout(PATIENCE):
            while len(bench.made) < 2:
                await asyncio.sleep(0)
        x.ask("x1")
        await bench.until_heard(1)
        bench.judge_of("x1").judge()
        assert isinstance(await x.answer(), wire.Verdict)
        assert len(bench.made) == 2


async def test_no_more_run_at_once_than_there_are_judges_and_one_of_a_learner(bench):
    async with opened(bench.link, cores=2) as grades, Learner(grades, "x") as x, Learner(grades, "y") as y:
        x.ask("x1")
        await bench.until_heard(1)
        x.ask("x2")
        await x.until("before yours")
        assert len(bench.busy) == 1  # though the other judge has nothing to do
        y.ask("y1")
        await bench.until_heard(2)
        assert grades.status() | {"done": 0} == {
            "tier": "namespaces", "reason": "", "waiting": 1, "running": 2, "done": 0,
        }  # fmt: skip
        bench.judge_of("y1").judge()
        assert (await y.answer()).headline == "y1"
        y.ask("y2")
        await bench.until_heard(3)
        assert bench.heard == ["x1", "y1", "y2"]
        bench.judge_of("x1").judge()
        await bench.until_heard(4)
        assert bench.heard[3] == "x2"


async def test_a_learner_is_told_the_place_in_the_queue_in_their_language(bench):
    async with (
        opened(bench.link) as grades,
        Learner(grades, "x") as x, Learner(grades, "y") as y, Learner(grades, "z") as z,
    ):  # fmt: skip
        x.ask("x1")
        await x.until("gradient")
        y.ask("y1", language="en")
        assert (await y.hear()).stage == "1 check is before yours"
        z.ask("z1", language="zh")
        assert "2" in (told := (await z.hear()).stage)
        assert "before" not in told


async def test_whoever_goes_waits_no_longer_and_frees_the_judge(bench, monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.0)
    async with opened(bench.link) as grades, Learner(grades, "y") as y:
        async with Learner(grades, "x") as x, Learner(grades, "z") as z:
            x.ask("x1")
            await x.until("gradient")
            z.ask("z1")
            await z.until("before yours")
            y.ask("y1")
            await y.until("before yours")
        await bench.until_heard(2)
        assert bench.heard == ["x1", "y1"]
        assert [link.closed for link in bench.made] == [True, False]


async def test_a_check_that_nobody_waits_for_may_end_by_itself(bench):
    async with opened(bench.link) as grades:
        async with Learner(grades, "x") as x:
            x.ask("x1")
            await x.until("gradient")
        async with Learner(grades, "y") as y:
            y.ask("y1")
            await y.until("before yours")
            bench.busy[0].judge()
            await bench.until_heard(2)
        assert len(bench.made) == 1


async def test_a_check_without_end_is_stopped_and_its_learner_told(bench, monkeypatch):
    monkeypatch.setattr(module, "SLOT", 0.05)
    async with opened(bench.link) as grades, Learner(grades, "x") as x:
        told = await x.check("for ever")
        assert isinstance(told, wire.Failed)
        assert "did not end" in told.message
        assert bench.made[0].closed
        x.ask("again")
        await bench.until_heard(2)


async def test_a_judge_that_dies_is_replaced_and_its_learner_told_without_paths(bench):
    async with opened(bench.link) as grades, Learner(grades, "x") as x:
        x.ask("x1")
        await x.until("gradient")
        bench.busy[0].die()
        told = await x.answer()
        assert isinstance(told, wire.Failed)
        assert (told.fatal, told.trace) == (False, "")
        x.ask("x2")
        await bench.until_heard(2)
        bench.busy[-1].judge()
        assert (await x.answer()).headline == "x2"


async def test_a_judge_that_died_while_nothing_was_asked_is_not_noticed(bench):
    async with opened(bench.link) as grades, Learner(grades, "x") as x:
        bench.made[0].die()
        bench.made[0].send = lambda command: asyncio.sleep(0)  # type: ignore[method-assign]
        x.ask("x1")
        await bench.until_heard(1)
        bench.busy[-1].judge()
        assert (await x.answer()).headline == "x1"


async def test_a_new_session_of_a_learner_waits_for_its_old_one(bench, monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.0)
    async with opened(bench.link, cores=2) as grades:
        async with Learner(grades, "x") as old:
            old.ask("old")
            await old.until("gradient")
        async with Learner(grades, "x") as new:
            new.ask("new")
            await bench.until_heard(2)
            bench.judge_of("new").judge()
            assert (await new.answer()).headline == "new"


@pytest.mark.parametrize("exercise", ["../../etc/passwd", "/etc/passwd", "a/../b", "..", "", "a/b/c", "./a", "a" * 500])
async def test_only_the_name_of_an_exercise_reaches_a_judge(bench, exercise):
    async with opened(bench.link) as grades, Learner(grades, "x") as x:
        x.ask(exercise=exercise)
        assert isinstance(await x.answer(), wire.Failed)
        assert bench.heard == []


async def test_what_is_no_check_is_answered_and_a_line_without_end_closes_the_line(bench):
    async with opened(bench.link) as grades, Learner(grades, "x") as x, Learner(grades, "y") as y:
        for line in (b"not even JSON\n", wire.encode(wire.Stop()), b'{"": "Check"}\n'):
            x.send(line)
            assert isinstance(await x.hear(), wire.Failed)
        x.send(b"x" * (module.LONGEST + 1))
        with pytest.raises((DltutorError, ConnectionError)):
            await x.hear()
        y.ask("y1")
        await bench.until_heard(1)


@pytest.mark.parametrize(
    "check",
    [
        wire.Check(EXERCISE, NOTHING, language=["en"]),  # type: ignore[arg-type]
        wire.Check(EXERCISE, NOTHING, "\ud800"),  # type: ignore[arg-type]
        wire.Check(EXERCISE, NOTHING, {}),  # type: ignore[arg-type]
        wire.Check(EXERCISE, "\ud800"),
        wire.Check(EXERCISE, 7),  # type: ignore[arg-type]
        wire.Check([EXERCISE], NOTHING),  # type: ignore[arg-type]
    ],
)  # fmt: skip
async def test_a_check_that_is_none_disturbs_no_judge_and_nobody_else(bench, check):
    async with opened(bench.link) as grades, Learner(grades, "x") as x, Learner(grades, "y") as y:
        x.ask("x1")
        await bench.until_heard(1)
        y.send(json.dumps({"": "Check"} | vars(check)).encode() + b"\n")
        y.send(b"[" * 50_000 + b"\n")
        for _line in range(2):
            assert isinstance(await y.hear(), wire.Failed)
        y.ask("y1")
        bench.judge_of("x1").judge()
        await x.answer()
        await bench.until_heard(2)
        bench.judge_of("y1").judge()
        assert isinstance(await y.answer(), wire.Verdict)


async def test_whoever_never_stops_asking_keeps_nobody_waiting(bench, monkeypatch):
    heard = 0

    def hear(self: Grades, asker: Asker, line: bytes) -> None:
        nonlocal heard
        heard += 1
        genuine(self, asker, line)

    genuine = Grades._hear
    monkeypatch.setattr(Grades, "_hear", hear)
    async with opened(bench.link) as grades, Learner(grades, "x") as x:
        x.send(b'{"":"Prepare"}\n' * 30_000)
        await x.hear()
        for _turn in range(5):
            before = heard
            await asyncio.sleep(0)
            assert heard - before < 15_000


async def test_g13_a_hundred_that_wait_are_told_seldom_and_all_are_served(bench):
    async with opened(bench.link) as grades:
        learners = [await Learner(grades, f"learner {number}").__aenter__() for number in range(100)]
        for learner in learners:
            learner.ask(learner.person)
        for count in range(1, 101):
            await bench.until_heard(count)
            (judge,) = bench.busy
            judge.judge()
        assert sorted(bench.heard) == sorted(learner.person for learner in learners)
        words = 0
        for learner in learners:
            while not isinstance(await learner.hear(), wire.Verdict):
                words += 1
        assert words < 100 * 10
        for learner in learners:
            await learner.__aexit__()


async def test_g15_a_judge_that_only_limits_is_not_believed_to_be_safe(bench):
    bench.tier = "limits"
    async with opened(bench.link, cores=2) as grades, Learner(grades, "x") as x:
        assert grades.refusal
        assert "limits" in grades.refusal.message
        assert isinstance(await x.check(SOLUTION), wire.Failed)
        assert bench.heard == []
        assert all(link.closed for link in bench.made)


async def test_a_server_that_is_stopped_while_its_judges_start_refuses_nothing():
    said: list[str] = []
    judge = FakeGrader([None])
    grades = Grades(1, ENVIRONMENT, lambda event, **fields: said.append(event), lambda: judge)
    starting = asyncio.create_task(grades.start())
    while not grades._judges[0].listening():
        await asyncio.sleep(0)
    await grades.close()
    await starting
    assert judge.closed
    assert (said, grades.refusal) == ([], None)


# ---------------------------------------------------------------- judges as they are


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real() -> AsyncIterator[Grades]:
    """Started by a server that has a secret."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLTUTOR_TEST_SECRET", "hunter2")
        grades = Grades(2, ENVIRONMENT)
        await grades.start()
        if grades.refusal:
            pytest.skip(f"no walls hold here: {grades.refusal.message}")
        yield grades
        await grades.close()


async def processes_of(grades: Grades) -> set[int]:
    """Judges, and all that they have started, once they are all there."""
    links = [judge._link for judge in grades._judges]
    await until_gone(lambda: not all(link and link.pid and len(descendants(link.pid)) >= 2 for link in links))
    return {pid for link in links for pid in (link.pid, *descendants(link.pid))}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_solution_passes_and_what_does_nothing_does_not(real):
    async with Learner(real, "x") as x:
        passed, failed = await x.check(SOLUTION), await x.check(NOTHING)
    assert (passed.passed, failed.passed) == (True, False)
    assert passed.tier == real.tier


@pytest.mark.asyncio(loop_scope="module")
async def test_each_learner_is_answered_in_their_language(real):
    async with Learner(real, "x") as x, Learner(real, "y") as y:
        x.ask(language="zh")
        y.ask(language="en")
        chinese, english = await x.answer(), await y.answer()
        assert "什么也没有加进去" in chinese.headline
        assert "nothing was added" in english.headline
        x.ask(exercise="none/such", language="zh")
        assert "没有" in (await x.answer()).message


FORGED = wire.encode(wire.Verdict(1, True, "All is right.")).decode()
CHEATS = {
    "prints a verdict": f"import os\nfor file in range(1, 64):\n    try:\n        os.write(file, {FORGED.encode()!r})\n"
    "    except OSError:\n        pass\n",
    "is gone at once": "import os\nos._exit(0)\n",
    "finds all numbers close": "import numpy as np\nnp.allclose = np.isclose = np.array_equal = lambda *a, **k: True\n",
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("cheat", CHEATS)
async def test_g14_a_forged_verdict_never_passes_through_the_server_either(real, cheat):
    async with Learner(real, "x") as x:
        verdict = await x.check(CHEATS[cheat] + NOTHING)
    assert isinstance(verdict, wire.Verdict)
    assert not verdict.passed


@on_linux
@pytest.mark.asyncio(loop_scope="module")
async def test_t19_judges_and_their_rooms_hold_no_variable_of_the_servers(real):
    theirs = await processes_of(real)
    known = {pid: variables_of(pid) for pid in theirs}
    assert all(known[judge._link.pid] for judge in real._judges)
    assert not any(b"SECRET" in text or b"hunter2" in text for text in known.values())
    files = [name for pid in theirs for name in files_of(pid)]
    assert not [file for file in files if file.startswith("/") and not file.startswith(("/dev/", "/proc", "/tmp"))]


def variables_of(pid: int) -> bytes:
    """None of one that has just ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes()
    return b""


@on_linux
@pytest.mark.asyncio(loop_scope="module")
async def test_judges_and_their_rooms_let_sessions_go_first(real):
    niceness, shares = set(), set()
    for pid in await processes_of(real):
        with suppress(OSError):  # one may just have ended
            niceness.add(os.getpriority(os.PRIO_PROCESS, pid))
        with suppress(OSError):  # nor has every kernel groups
            shares.add(int(Path(f"/proc/{pid}/autogroup").read_text(encoding="ascii").split()[-1]))
    assert min(niceness) > os.nice(0) and shares <= niceness


BOMB = """
import os
import threading

def burst():
    while True:
        try:
            os.fork()
        except OSError:
            pass

for number in range(100):
    try:
        threading.Thread(target=burst).start()
    except RuntimeError:
        pass
burst()
"""


@pytest.mark.asyncio(loop_scope="module")
async def test_g12_a_fork_bomb_delays_nobody_else(real, monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.1)
    async with Learner(real, "y") as y:
        async with Learner(real, "x") as x:
            x.ask(BOMB + NOTHING)
            await x.until("running")
            assert (await y.check(f"{SOLUTION}# meanwhile\n")).passed
            assert "x" in real._queue.running  # the bomb has not even ended
            bombing = set(descendants(os.getpid()))
        await until_gone(lambda: real.status()["running"])
        assert (await y.check(f"{SOLUTION}# afterwards\n")).passed
        await until_gone(lambda: bombing & alive() - set(descendants(os.getpid())))


def alive() -> set[int]:
    return {int(folder.name) for folder in Path("/proc").glob("[0-9]*")}


async def until_gone(left: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while left():
            await asyncio.sleep(0.05)


async def test_g15_where_no_walls_hold_nothing_is_checked_and_the_reason_is_told():
    environment = ENVIRONMENT | {"PYTHONPATH": str(Path(__file__).parent)}

    def link() -> Link:
        return Link("grader", Process("wall_less_judge", "--walled", environment=environment))

    async with opened(link) as grades, Learner(grades, "x") as x:
        assert grades.refusal
        reason = grades.refusal.message
        assert all(tier in reason for tier in ("namespaces", "bubblewrap", "landlock"))
        assert "limits" not in reason
        told = await x.check(SOLUTION)
        assert isinstance(told, wire.Failed)
        assert told.message == reason == grades.status()["reason"]


async def test_on_ones_own_machine_the_same_code_is_checked_within_limits():
    """So the test above tests the flag."""
    environment = ENVIRONMENT | {"PYTHONPATH": str(Path(__file__).parent)}
    link = Link("grader", Process("wall_less_judge", environment=environment))
    await link.start()
    await link.send(wire.Prepare())
    ready = await anext(link.events())
    await link.close()
    assert isinstance(ready, wire.Ready)
    assert ready.device == "limits"


def test_judges_are_ordinary_graders():
    """What a class server starts is what a learner has at home."""
    assert issubclass(GraderLink, Link)
