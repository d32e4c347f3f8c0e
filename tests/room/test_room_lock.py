"""The walls around a process that is already there: the engine, while it trains with the learner's kernel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dltutor.room import lock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these walls are those of Linux")

START = """
import json, os, sys
from pathlib import Path
from dltutor.room import lock_this_process
def works(attempt):
    try:
        attempt()
    except (OSError, MemoryError, RuntimeError):
        return False
    return True
try:
    tier = lock_this_process([Path(name) for name in sys.argv[2:]], tier=sys.argv[1])
except OSError as error:
    tier = ""
def say(what):
    print(json.dumps(what), flush=True)
say(tier)
"""
Locked = Callable[..., "subprocess.Popen[str]"]
LONGEST = 120.0  # seconds after which what does not end is a failure


@pytest.fixture(params=lock.TIERS)
def locked(request: pytest.FixtureRequest) -> Iterator[Locked]:
    """Starts a Python that locks itself by this tier and then runs the code."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *readable: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", START + code, request.param, *map(str, readable)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        started.append(process)
        if not heard(process):
            pytest.skip(f"{request.param} does not hold here")
        process.tier = request.param  # type: ignore[attr-defined]
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            stream.close()  # type: ignore[union-attr]


def heard(process: subprocess.Popen[str]) -> Any:
    assert process.stdout
    return json.loads(process.stdout.readline() or "null")


def test_it_calculates_with_numba_and_threads(locked):
    code = """
import threading
import numba, numpy as np
f = numba.njit(lambda x: x.sum())
sums = []
threads = [threading.Thread(target=lambda: sums.append(f(np.ones(3)))) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
say(sums)
"""
    assert heard(locked(code)) == [3.0] * 4


def test_it_reads_what_is_named_and_changes_nothing(locked, home):
    kernels, lesson = home / "numba", home / "lesson"
    for folder in (home, kernels, lesson):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "file").write_text("text", encoding="utf-8")
    code = """
attempts = {}
for folder in (os.environ["DLTUTOR_HOME"], *sys.argv[2:], str(Path(lock_this_process.__code__.co_filename).parents[1])):
    name = Path(folder).name
    attempts |= {
        f"{name} read": lambda folder=folder: os.listdir(folder)[0],
        f"{name} new": lambda folder=folder: open(folder + "/new", "w"),
        f"{name} change": lambda folder=folder: open(folder + "/file", "r+"),
        f"{name} chmod": lambda folder=folder: os.chmod(folder, 0o777),
    }
attempts["progress read"] = lambda: open(os.environ["DLTUTOR_HOME"] + "/file").read()
attempts["elsewhere"] = lambda: open(os.environ["DLTUTOR_HOME"] + "-elsewhere", "w")
if sys.argv[1] != "limits":  # which would let it write into this very package
    say([name for name in attempts if works(attempts[name])])
"""
    process = locked(code, kernels, lesson)
    if process.tier == "limits":
        pytest.skip("limits alone hide no file")
    done = heard(process)
    assert set(done) - {f"{home.name} read"} == {"numba read", "lesson read", "dltutor read"}
    assert sorted(os.listdir(kernels)) == ["file"]


def test_it_has_no_network_and_starts_nothing(locked):
    code = """
import ctypes, subprocess
libc = ctypes.CDLL(None)
say([libc.socket(2, 1, 0) >= 0, libc.socket(1, 1, 0) >= 0, works(lambda: subprocess.run(["true"]))])
"""
    process = locked(code)
    assert heard(process) == [process.tier == "limits"] * 3


def test_it_takes_no_more_memory_than_it_may(locked):
    """Memory that is asked for; none of it is touched."""
    assert heard(locked("import mmap\nsay([works(lambda: mmap.mmap(-1, size << 30)) for size in (1, 3)])")) == [
        True,
        False,
    ]


def test_pipes_stay_and_the_exit_code_is_passed_on(locked):
    process = locked("say(sys.stdin.readline())\nsys.stdin.read()\nos._exit(7)")
    assert process.stdin
    process.stdin.write("hello\n")
    process.stdin.flush()
    assert heard(process) == "hello\n"
    process.stdin.close()
    assert process.wait(LONGEST) == 7


def test_its_death_by_a_signal_is_passed_on(locked):
    process = locked("import ctypes\nctypes.string_at(8)")
    assert process.wait(LONGEST) == -signal.SIGSEGV


def test_its_death_by_the_system_is_passed_on(locked):
    process = locked("say(os.getpid())\nimport time\ntime.sleep(100)")
    heard(process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
    os.kill(int(children[0]) if children else process.pid, signal.SIGKILL)
    assert process.wait(LONGEST) == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_it_is_gone_with_all_it_holds(locked, number):
    process = locked("say('ready')\nimport time\ntime.sleep(100)")
    assert heard(process) == "ready"
    process.send_signal(number)
    assert process.wait(LONGEST) == -number
    assert process.stdout
    assert process.stdout.read() == ""  # comes back only once nobody holds the other end


def test_the_strongest_walls_that_hold_are_taken(monkeypatch):
    code = START.replace("tier=sys.argv[1]", "tier=None") + "say(1)"
    answered = subprocess.run([sys.executable, "-c", code, ""], capture_output=True, text=True, check=True).stdout
    assert json.loads(answered.splitlines()[0]) in lock.TIERS
