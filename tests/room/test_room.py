"""The room against code that means harm: each attack against every tier that says it stops it, as whoever runs the
tests and, where that is root, as an ordinary user, too. A tier that doesn't hold on this machine is skipped."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import dltutor
from dltutor import room
from dltutor.errors import DltutorError
from dltutor.room import Limits, Outcome, linux, namespaces, sentences
from dltutor.room.watch import Ended

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such system calls")
HERE = Path(__file__).parent
WORKER = "attack_worker"
PACKAGE = Path(dltutor.__file__).parent
LESSONS = next((folder for folder in (PACKAGE / "lessons", PACKAGE.parent / "lessons") if folder.is_dir()), PACKAGE)
SMALL = Limits(cpu=60, wall=300, memory=512 << 20)
AMPLE = Limits(cpu=300, wall=600)  # what only must end, however slow the machine
USERS = ("present", "ordinary")
WALLED = ("namespaces", "bubblewrap", "landlock")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="these walls are those of Linux")


class Other:
    """A room that another user has opened."""

    def __init__(self, tier: str, user: int) -> None:
        self.tier = tier
        self._process = subprocess.Popen(
            [python_for(user), str(HERE / "attack_room.py"), tier],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, user=user, group=user, extra_groups=[],
            env={"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), "DLTUTOR_HOME": "/nonexistent"},
            cwd="/",
        )  # fmt: skip
        self.problem = self._heard()["problem"]

    def run(self, request: bytes, limits: Limits) -> Outcome:
        assert self._process.stdin
        print(json.dumps({"request": request.decode(), "limits": asdict(limits)}), file=self._process.stdin, flush=True)
        told = self._heard()
        return Outcome(**told | {"reply": told["reply"].encode() if told["reply"] is not None else None})

    def close(self) -> None:
        self._process.communicate()

    def _heard(self) -> dict[str, Any]:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())


@cache
def python_for(user: int) -> str:
    """A Python that `user` can start and that finds what this one finds; empty where there is none."""
    names = (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}")
    paths = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    for name in filter(os.path.exists, names):
        try:
            subprocess.run(
                [name, "-c", "import numba, dltutor.room, attack_worker"],
                env=paths, cwd="/", user=user, group=user, extra_groups=[], check=True, capture_output=True,
            )  # fmt: skip
            return name
        except (OSError, subprocess.CalledProcessError):
            continue
    return ""


_opened: dict[tuple[str, str], room.Room | Other | str] = {}


def opened(tier: str, user: str) -> room.Room | Other | str:
    """One for all tests; or why there is none."""
    if (tier, user) not in _opened:
        _opened[tier, user] = newly_opened(tier, user)
    return _opened[tier, user]


def newly_opened(tier: str, user: str) -> room.Room | Other | str:
    if user == "ordinary":
        if not python_for(namespaces.NOBODY):
            return "an ordinary user can start no Python that finds the same packages"
        other = Other(tier, namespaces.NOBODY)
        return other.problem or other
    try:
        return room.open_room(tier, WORKER)
    except DltutorError as error:
        return error.message


@pytest.fixture(scope="module", autouse=True)
def end_rooms() -> Iterator[None]:
    yield
    for there in _opened.values():
        if not isinstance(there, str):
            there.close()
    _opened.clear()


def every_user(*tiers: str) -> Any:
    names = [(tier, user) for tier in tiers or room.TIERS for user in USERS]
    return pytest.mark.parametrize("there", names, ids="-".join, indirect=True)


every_wall = pytest.mark.parametrize(
    "there", [("namespaces", "ordinary"), ("landlock", "present")], ids="-".join, indirect=True
)  # those that see files in ways of their own; bubblewrap is given what the first is
some_users = pytest.mark.parametrize(
    "there",
    [("namespaces", "present"), ("bubblewrap", "ordinary"), ("landlock", "ordinary"), ("limits", "present")],
    ids="-".join, indirect=True,
)  # fmt: skip


@pytest.fixture
def there(request: pytest.FixtureRequest) -> room.Room | Other:
    tier, user = request.param
    if tier != "limits" and sys.platform != "linux":
        pytest.skip("these walls are those of Linux")
    if user == "ordinary" and os.getuid():
        pytest.skip("only root can become another user; and this one is ordinary")
    found = opened(tier, user)
    if isinstance(found, str):
        pytest.skip(found)
    return found


class Outside:
    """What must not be reached: files, sockets and a process of whoever runs the code."""

    def __init__(self, user: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dltutor-outside-"))
        self.secret = self.folder / "secret"
        self.secret.write_text("secret", encoding="utf-8")
        self.secret.chmod(0o600)
        self.decoy = subprocess.Popen(["sleep", "1000"], user=user, group=user, env={"SECRET": "here"})
        self.treated = self._treatment()
        self.sockets = [socket.socket(), socket.socket(type=socket.SOCK_DGRAM)]
        self.sockets += [socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
        self._listen()
        for path in (self.folder, *self.folder.iterdir()):
            os.chown(path, user, user)

    def _listen(self) -> None:
        tcp, udp, unix, abstract = self.sockets
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        unix.bind(str(self.folder / "unix"))
        abstract.bind(b"\0" + self.folder.name.encode())
        for end in (tcp, unix, abstract):
            end.listen()
        for end in self.sockets:
            end.setblocking(False)

    @property
    def about(self) -> dict[str, Any]:
        tcp, udp, *_ = (end.getsockname() for end in self.sockets)
        answers = [PACKAGE / "kernels" / "dense.py", PACKAGE / "proof" / "checks.py", *LESSONS.glob("*/lesson.md")]
        return {
            "secret": str(self.secret), "decoy": self.decoy.pid, "tcp": tcp[1], "udp": udp[1],
            "unix": str(self.folder / "unix"), "abstract": self.folder.name,
            "files": [*map(str, [self.secret, *answers]), "/etc/shadow", "/etc/passwd", "/proc/1/environ", __file__],
            "folders": [str(self.folder), "/home", "/proc/self/fd"],
            "writable": [str(self.folder), "/tmp", "/dev/shm", "/var/tmp", str(PACKAGE), sys.prefix, "/"],
            "numbers": {name: linux.number(name) for name in linux.NUMBERS},
        }  # fmt: skip

    def is_as_it_was(self) -> bool:
        status = self.secret.stat()
        unchanged = self.secret.read_text(encoding="utf-8") == "secret" and status.st_mode & 0o777 == 0o600
        heard = [end for end in self.sockets if self._heard(end)]
        alone = self.decoy.poll() is None and self._treatment() == self.treated
        files = {path.name for path in self.folder.iterdir()}
        return unchanged and not heard and alone and files == {"secret", "unix"}

    def _treatment(self) -> tuple[int, set[int]]:
        """How the system treats the process, by what others can set."""
        return os.getpriority(os.PRIO_PROCESS, self.decoy.pid), os.sched_getaffinity(self.decoy.pid)

    def _heard(self, end: socket.socket) -> bool:
        try:
            return bool(end.recv(1) if end.type == socket.SOCK_DGRAM else end.accept())
        except BlockingIOError:
            return False

    def close(self) -> None:
        for end in self.sockets:
            end.close()
        self.decoy.kill()
        self.decoy.wait()
        shutil.rmtree(self.folder)


@pytest.fixture
def outside(there: room.Room | Other) -> Iterator[Outside]:
    place = Outside(namespaces.NOBODY if isinstance(there, Other) else os.getuid())
    yield place
    place.close()


def attack(there: room.Room | Other, name: str, about: dict[str, Any] | None = None, limits: Limits = SMALL) -> Outcome:
    source = (HERE / "attacks.py").read_text(encoding="utf-8")
    code = f"{source}\nimport json\nreply = json.dumps({name}(json.loads({json.dumps(json.dumps(about))}))).encode()"
    return there.run(code.encode(), limits)


def told(outcome: Outcome) -> Any:
    assert outcome.reply is not None, outcome
    return json.loads(outcome.reply)


def fine(there: room.Room | Other) -> bool:
    return there.run(b"reply = b'fine'", SMALL).reply == b"fine"


# ---------------------------------------------------------------- what must not be reached


@every_user(*WALLED)
def test_g1_no_network(there, outside):
    assert told(attack(there, "network", outside.about)) == []
    assert outside.is_as_it_was()


@every_user(*WALLED)
def test_g2_nothing_of_the_learner_and_no_answers_can_be_read(there, outside):
    assert told(attack(there, "read", outside.about)) == []


@every_user()
def test_g2_the_environment_is_empty_and_only_four_files_are_open(there):
    seen = told(attack(there, "surroundings"))
    assert set(seen["environment"]) <= {*room.zygote.NO_SECRETS, "LC_CTYPE", "HOME", "TMPDIR", "PWD", "LD_LIBRARY_PATH"}
    assert seen["open"] == [0, 1, 2, 3]


@every_user(*WALLED)
def test_g7_nothing_outside_is_changed(there, outside):
    assert told(attack(there, "write", outside.about)) == []
    assert outside.is_as_it_was()
    assert not any(Path(place, "dltutor-was-here").exists() for place in outside.about["writable"])


@every_user()
def test_g7_no_disk_is_filled(there):
    assert "one large file" not in told(attack(there, "fill_one"))


@every_user(*WALLED)
def test_g7_no_disk_is_filled_with_many_files(there):
    assert told(attack(there, "fill_many")) == []


@every_user(*WALLED)
def test_g8_neighbours_are_left_alone(there, outside):
    assert told(attack(there, "neighbours", outside.about)) == []
    assert outside.is_as_it_was()


@every_user(*WALLED)
def test_g11_no_way_out_through_the_rest_of_the_kernel(there, outside):
    assert told(attack(there, "escapes", outside.about)) == []


# ---------------------------------------------------------------- what must end


@every_user()
def test_g5_an_endless_loop_is_ended_by_the_clock(there):
    outcome = attack(there, "loop", limits=Limits(wall=0.1))
    assert (outcome.ended, outcome.reply) == ("time", None)


@pytest.mark.parametrize("there", [("namespaces", "present"), ("limits", "present")], ids="-".join, indirect=True)
def test_g5_an_endless_loop_that_python_cannot_stop_is_ended_by_time_of_the_processor(there):
    """Also where it is the first process of its place, to which signals mean less."""
    outcome = attack(there, "loop_in_numba", limits=Limits(cpu=1, wall=600))
    assert (outcome.ended, outcome.reply) == ("time", None)
    assert outcome.sentence == "It did not finish within 1 seconds: is there an endless loop?"
    assert outcome.printed == "step 1\n", "what it printed before is not lost"


@every_user()
def test_g6_a_sleeper_is_woken_for_good(there):
    outcome = attack(there, "sleeper", limits=Limits(wall=0.1))
    assert (outcome.ended, outcome.reply) == ("time", None)


@pytest.mark.parametrize(
    ("used", "sentence"),
    [
        (0.4, "It did not finish within 0.5 seconds: is there an endless loop?"),
        (0.01, "It waited, and did not finish within 0.5 seconds."),
    ],
)
def test_a_sleeper_is_told_from_a_loop_by_what_it_used_of_the_processor(used, sentence):
    ended = Ended(status=9, why="time", cpu=used, seconds=0.5)
    assert sentences.outcome(ended, Limits(wall=0.5)).sentence == sentence


@every_user()
def test_g4_memory_ends(there):
    outcome = attack(there, "memory")
    assert outcome.ended == "memory"
    assert "512 MiB" in outcome.sentence


@every_user()
def test_g10_a_flood_of_output_is_cut(there):
    outcome = attack(there, "flood")
    assert outcome.ended == "output"
    assert len(outcome.printed) == SMALL.output
    assert "more than 1 MiB" in outcome.sentence


@every_user(*WALLED)
def test_g3_a_fork_bomb_does_not_go_off_and_the_next_run_is_as_quick(there):
    assert told(attack(there, "processes")) == 0
    assert fine(there)


@every_user("namespaces")
def test_g3_threads_are_counted_for_each_run_alone(there):
    limits = Limits(cpu=60, wall=300, memory=8 << 30)  # of which every thread takes a little
    assert told(attack(there, "threads", limits=limits)) < limits.processes
    assert told(attack(there, "threads", limits=limits)) > limits.processes / 2


@every_user(*WALLED)
def test_g9_nothing_survives(there):
    attack(there, "daemon")
    assert "dltutor-daemon" not in running()
    assert fine(there)


def running() -> list[str]:
    names = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with_name = entry / "comm"
            try:
                names.append(with_name.read_text(encoding="utf-8").strip())
            except OSError:
                continue
    return names


# ---------------------------------------------------------------- ends that pretend to be others

FORGED = {
    "prints a verdict": "print('{\"passed\": true}')",
    "leaves by sys.exit": "import sys; print('{\"passed\": true}'); sys.exit(0)",
    "leaves by os._exit": "import os; os._exit(0)",
    "leaves by a signal": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "leaves at the end": "import atexit, os; atexit.register(os.write, 3, b'passed'); raise SystemExit",
    "writes a reply": "import os; os.write(3, b'{\"passed\": true}'); os._exit(0)",
    "writes before the reply": "import os; os.write(3, b'passed')",
    "closes the reply": "import os; os.close(3)",
}


@every_user()
@pytest.mark.parametrize("name", FORGED)
def test_only_what_work_returns_is_a_reply(there, name):
    outcome = there.run(FORGED[name].encode() + b"\nreply = b''", SMALL)
    assert outcome.reply in (None, b"")
    assert outcome.reply is not None or outcome.ended != "done"
    assert outcome.reply is not None or outcome.sentence


@some_users
def test_patched_numpy_ends_with_its_run(there):
    there.run(b"import numpy\nnumpy.allclose = lambda *_: True\nreply = b''", AMPLE)
    asked = b"import numpy\nreply = repr(numpy.allclose(1, 2)).encode()"
    assert there.run(asked, AMPLE).reply == b"False"


# ---------------------------------------------------------------- what the learner is told


@every_user()
@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import sys; sys.exit(0)", "It ended before there was a result: does it call exit()?"),
        ("import ctypes; ctypes.string_at(8)", "It crashed: it reached for memory"),
        ("import os; os.abort()", "It crashed"),
        ("raise ValueError('made up')", "It ended with an error"),
        ("try:\n import socket; socket.socket()\nexcept OSError: pass", "It tried to use the network."),
        ("try:\n import os; os.fork()\nexcept OSError: pass", "It tried to start another process."),
        ("reply = b'good'", ""),
    ],
)
def test_every_end_is_a_plain_sentence(there, code, sentence):
    outcome = there.run(code.encode(), SMALL)
    assert outcome.sentence.startswith(sentence), outcome
    assert sentence or not outcome.sentence


@every_user()
def test_what_is_printed_comes_out_beside_the_reply(there):
    outcome = there.run("print('loss', 0.5); import os; os.write(2, 'é\\n'.encode()); reply = b'x'".encode(), SMALL)
    assert (outcome.reply, outcome.ended) == (b"x", "done")
    assert set(outcome.printed.split("\n")) == {"loss 0.5", "é", ""}


@some_users
def test_nothing_printed_reaches_for_the_terminal(there):
    outcome = there.run(b"print('\\x1b]0;title\\x07red\\ttab\\x9b2J\\r')\nreply = b''", SMALL)
    assert outcome.printed == "]0;titlered\ttab2J\n"


@needs_linux
@pytest.mark.parametrize("tier", WALLED)
def test_what_is_hidden_in_what_can_be_read_and_what_is_shown_in_what_is_hidden(tier, monkeypatch, tmp_path):
    """As where dltutor is installed among other packages, or they are installed in the learner's data folder."""
    if isinstance(found := opened(tier, "present"), str):
        pytest.skip(found)
    for name in ("outer/file", "outer/hidden/file", "outer/hidden/shown/file"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text", encoding="utf-8")
    tmp_path.chmod(0o755)
    usual = room.view.for_grading(WORKER)
    outer, hidden = tmp_path / "outer", tmp_path / "outer" / "hidden"
    seen = room.view.View((*usual.readable, outer), (*usual.hidden, hidden), (*usual.shown, hidden / "shown"))
    monkeypatch.setattr(room.view, "for_grading", lambda worker: seen)
    with_view = room.Room(tier, WORKER)
    names = [str(path) for path in (outer / "file", hidden / "file", hidden / "shown" / "file")]
    about = {"files": names, "folders": [], "decoy": 1}
    assert told(attack(with_view, "read", about)) == [names[0], names[2]]
    with_view.close()


@every_wall
def test_the_judges_worker_finds_all_it_needs_and_a_kernel_is_compiled_and_called(there):
    code = b"""
import numba, numpy as np
from dltutor.emulate.front import compile_function
from dltutor.grading import worker
from dltutor.kernels.compile import numba_cuda
worker.prepare()

def add(x, y):
    for i in range(x.shape[0]):
        y[i] += 2 * x[i]

x, y = np.ones(3, np.float32), np.ones(3, np.float32)
numba.njit(add)(x, y)
reply = bytes(y) + bytes(np.dot(x, x)) + worker.__name__.encode()
"""
    outcome = there.run(code, AMPLE)
    assert outcome.reply == b"\0\0\x40\x40" * 4 + b"dltutor.grading.worker", outcome


# ---------------------------------------------------------------- the room itself


def test_the_strongest_walls_that_hold_are_taken():
    with_worker = room.open_room(worker=WORKER)
    assert with_worker.tier == next(tier for tier in room.TIERS if tier not in room._failed)
    with_worker.close()


def test_walls_that_do_not_hold_are_not_used(monkeypatch):
    monkeypatch.setattr(room, "_failed", {})
    monkeypatch.setattr(room.selftest, "problems", lambda opened: [] if opened.tier == "limits" else ["leaks"])
    last = room.open_room(worker=WORKER)
    assert last.tier == "limits"
    assert set(room._failed) == set(WALLED) or sys.platform != "linux"
    last.close()
    with pytest.raises(DltutorError, match="leaks"):
        room.open_room("landlock", WORKER)


def test_where_nothing_can_be_forked_each_run_gets_a_python_of_its_own(monkeypatch):
    monkeypatch.setattr(room, "LINUX", False)
    with_worker = room.open_room("limits", WORKER)
    assert with_worker._zygote is None
    assert fine(with_worker)
    assert with_worker.run(b"while True: pass", Limits(wall=0.1)).ended == "time"
    assert with_worker.run(b"import sys; sys.exit(0)", SMALL).ended == "crashed"


@needs_linux
def test_a_warm_python_that_is_gone_is_replaced():
    with_worker = room.open_room("limits", WORKER)
    assert with_worker._zygote
    gone = with_worker._zygote.pid
    os.kill(gone, 9)
    wait_until(lambda: not is_running(gone))
    assert fine(with_worker)
    with_worker.close()


@needs_linux
def test_a_warm_python_that_goes_in_the_middle_of_a_run_takes_it_along_and_is_replaced():
    with_worker = room.open_room("limits", WORKER)
    assert with_worker._zygote
    warm = with_worker._zygote.pid
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(with_worker.run, b"while True: pass", AMPLE)
        wait_until(lambda: busy(descendants(warm)))
        (run,) = descendants(warm)
        os.kill(warm, 9)
        assert ended.result().ended == "killed"
    wait_until(lambda: not is_running(run))
    assert fine(with_worker)
    with_worker.close()


@needs_linux
def test_the_next_run_waits_behind_its_walls_and_is_replaced_if_it_has_gone():
    if isinstance(found := opened("namespaces", "present"), str):
        pytest.skip(found)
    with_worker = room.open_room("namespaces", WORKER)
    assert fine(with_worker)
    wait_until(lambda: waiting(with_worker))
    (spare,) = waiting(with_worker)
    os.kill(spare, 9)
    wait_until(lambda: not is_running(spare))
    assert fine(with_worker)
    with_worker.close()


@needs_linux
@pytest.mark.parametrize("tier", WALLED)
def test_a_room_outlives_the_thread_that_opened_it(tier):
    if isinstance(found := opened(tier, "present"), str):
        pytest.skip(found)
    with ThreadPoolExecutor(1) as pool:
        with_worker = pool.submit(room.open_room, tier, WORKER).result()
    assert fine(with_worker)
    with_worker.close()


@needs_linux
@pytest.mark.parametrize("tier", WALLED)
def test_nothing_is_left_when_whoever_opened_a_room_dies(tier):
    if isinstance(found := opened(tier, "present"), str):
        pytest.skip(found)
    code = f"""
from dltutor import room
with_worker = room.open_room({tier!r}, {WORKER!r})
print(with_worker._zygote.pid, flush=True)
with_worker.run(b"import ctypes, time; ctypes.CDLL(None).prctl(1, 0, 0, 0, 0); time.sleep(100)")
"""
    paths = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    opener = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ | paths)
    assert opener.stdout
    zygote = int(opener.stdout.readline())
    runs = {"namespaces": 3, "bubblewrap": 4, "landlock": 2}[tier]  # with those that only wait
    wait_until(lambda: len(descendants(zygote)) + 1 == runs)
    family = [zygote, *descendants(zygote)]
    opener.kill()
    opener.wait()
    opener.stdout.close()
    wait_until(lambda: not any(map(is_running, family)))


def waiting(with_worker: Any) -> list[int]:
    """Of the processes of a room, those that have put up a filter of system calls: the warm Python has not."""
    warm = with_worker._zygote.pid
    return [pid for pid in descendants(warm) if filters(pid) > filters(warm)]


def filters(pid: int) -> list[str]:
    """Whether there are any, and, where the kernel says so, how many: a container may have put up its own."""
    return re.findall(r"Seccomp\w*:\s*(\d+)", known(pid, "status"))


def descendants(pid: int) -> list[int]:
    children = list(map(int, known(pid, f"task/{pid}/children").split()))
    return [*children, *(other for child in children for other in descendants(child))]


def busy(pids: list[int]) -> bool:
    """Whether one of them has computed for a while."""
    return any(int(times[11]) > 10 for pid in pids if (times := numbers(pid)))


def is_running(pid: int) -> bool:
    return numbers(pid)[:1] not in ([], ["Z"])


def numbers(pid: int) -> list[str]:
    """What the system counts of a process, from its state on; nothing, where it is gone."""
    return known(pid, "stat").rpartition(")")[2].split()


def known(pid: int, file: str) -> str:
    """A file of the system about a process; empty where that has gone meanwhile."""
    try:
        return Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8")
    except OSError:
        return ""


def wait_until(fact: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.01)
