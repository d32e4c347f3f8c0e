"""What a learner's session can reach, asked from inside one; and what an engine can."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dltutor.room import landlock, lock
from dltutor.serve.forks import ForkServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these walls are those of Linux")
needs_landlock = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
HERE = str(Path(__file__).parent)
Ask = Callable[..., Awaitable[Any]]

CALLS = """
import ctypes, signal, socket, threading
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
"""


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class server's folder, with two learners."""
    folder = tmp_path_factory.mktemp("state")
    (folder / "host_key").write_text("secret", encoding="utf-8")
    for learner in ("ada", "bob"):
        (folder / "users" / learner).mkdir(parents=True)
        (folder / "users" / learner / "notes").write_text(learner, encoding="utf-8")
    (folder / "numba").mkdir()
    if os.getuid() == 0:
        lock._give(folder, lock.SOMEBODY)
    return folder


@pytest.fixture(
    params=[
        pytest.param("", marks=needs_landlock),
        pytest.param("ordinary user", marks=[as_root, needs_landlock]),
        pytest.param("no landlock", marks=as_root),
    ],
    ids=["as it is", "ordinary user", "no Landlock"],
)
async def ask(request: pytest.FixtureRequest, state: Path) -> AsyncIterator[Ask]:
    """What ada's session answers: the names of the attempts in this code that succeed there."""
    environment = {"PYTHONPATH": os.pathsep.join([HERE, *sys.path]), "AS": request.param, "STATE": str(state)}
    server = ForkServer("forked", environment)
    await server.start()
    own = state / "users" / "ada"

    async def ask(attempts: dict[str, str], walled: bool = True) -> list[str]:
        names = json.dumps({"state": str(state), "own": str(own), "server": os.getpid()})
        code = f"{CALLS}\nimport json\nglobals().update(json.loads({names!r}))\n"
        code += "".join(
            f"def attempt():\n    {text}\nif works(attempt): say({name!r})\n" for name, text in attempts.items()
        )
        master, slave = pty.openpty()
        ours, theirs = socket.socketpair()
        walls = {"readable": [str(state / "numba")], "writable": [str(own)], "hidden": [str(state)], "user": None}
        code = f"os.dup2(3, 1)\n{code}"
        environment = {"DLTUTOR_HOME": str(own)}
        order = {"environment": environment, "terminal": True, "walls": walls if walled else None, "code": code}
        with theirs:
            child = await server.spawn(order, [slave, theirs.fileno()])
        async with asyncio.timeout(60):
            assert await child.ended == 0, child.problem
        os.close(slave)
        with ours, ours.makefile("rb") as lines:
            answers = [json.loads(line) for line in lines]
        os.close(master)
        return answers

    yield ask
    await server.close()


async def test_without_walls_these_attempts_succeed(ask):
    """So that it is the walls that hold, and not a mistake in an attempt."""
    attempts = {
        "host key": "open(state + '/host_key').read()",
        "another's notes": "open(state + '/users/bob/notes').read()",
        "internet": "socket.socket(socket.AF_INET).close()",
        "kill its parent": "os.kill(os.getppid(), 0)",
        "its parent's environment": "open(f'/proc/{os.getppid()}/environ').read()",
        "chmod": "os.chmod(state + '/host_key', 0o600)",
    }
    assert await ask(attempts, walled=False) == list(attempts)


async def test_t14_no_file_of_the_server_or_of_another_learner_is_reached(ask):
    attempts = {
        "host key": "open(state + '/host_key').read()",
        "host key written": "open(state + '/host_key', 'a')",
        "others": "if os.listdir(state + '/users') == ['ada']: raise OSError",
        "another's folder": "os.listdir(state + '/users/bob')",
        "another's notes": "open(state + '/users/bob/notes').read()",
        "by way of ..": "open(own + '/../bob/notes').read()",
        "another's notes written": "open(state + '/users/bob/notes', 'w')",
        "a link": "os.symlink(state + '/users/bob/notes', own + '/link'); open(own + '/link').read()",
        "a hard link": "os.link(state + '/users/bob/notes', own + '/hard')",
        "something moved in": "os.rename(state + '/users/bob/notes', own + '/stolen')",
        "users": "open('/etc/passwd').read()",
        "the server's environment": "open(f'/proc/{server}/environ').read()",
        "its parent's environment": "open(f'/proc/{os.getppid()}/environ').read()",
        "its parent's memory": "open(f'/proc/{os.getppid()}/mem', 'rb')",
        "temporary files": "open('/tmp/from-a-session', 'w')",
        "shared memory": "open('/dev/shm/from-a-session', 'w')",
        "the kernels": "open(state + '/numba/x', 'w')",
        "this very package": "open(sys.modules['dltutor'].__file__, 'a')",
        "cut short, opened to read": "os.open(sys.modules['dltutor'].__file__, os.O_RDONLY | os.O_TRUNC)",
    }
    assert await ask(attempts) == []


async def test_t14_no_right_of_a_file_is_changed(ask):
    attempts = {
        "chmod": "os.chmod(state + '/host_key', 0o777)",
        "chown": "os.chown(state + '/host_key', 1, 1)",
        "times": "os.utime(state + '/host_key')",
        "a device": "os.mknod(own + '/device', 0o20666, os.makedev(1, 1))",
    }
    assert await ask(attempts) == []


async def test_t14_no_network_no_programs_and_no_other_process(ask):
    attempts = {
        "internet": "socket.socket(socket.AF_INET)",
        "unix": "socket.socket(socket.AF_UNIX)",
        "datagrams to anybody's socket": "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "exec": "os.execv('/bin/true', ['true'])",
        "fork": "os.fork() or os._exit(0)",
        "fork in C": "call('fork') or os._exit(0)",
        "kill": "os.kill(server, 0)",
        "kill its parent": "os.kill(os.getppid(), 0)",
        "kill its group": "os.kill(0, 0)",
        "ptrace": "call('ptrace', 16, os.getppid(), 0, 0)",
        "limits of others": "__import__('resource').prlimit(os.getppid(), 7)",
        "namespaces": "call('unshare', 0x10000000)",
        "a mount": "call('mount', b'none', own.encode(), b'tmpfs', 0, 0)",
        "typing into its terminal": "import fcntl; fcntl.ioctl(0, 0x5412, b'x')",
        "a signal by way of a file": "import fcntl; fcntl.fcntl(0, 10, 9); fcntl.fcntl(0, fcntl.F_SETOWN, server)",
        "a signal to itself, even": "import fcntl; fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())",
        "another line discipline": "import fcntl; fcntl.ioctl(0, 0x5423, bytes(4))",
        "outliving the server": "call('prctl', 1, 0, 0, 0, 0)",
        "gaining rights": "call('setresuid', 0, 0, 0) if os.getuid() else call('setresuid', 1, 1, 1)",
    }
    assert await ask(attempts) == []


async def test_t14_its_own_folder_works_as_learners_need_it(ask, state):
    attempts = {
        "read": "assert open(own + '/notes').read() == 'ada'",
        "folders": "os.makedirs(own + '/exercises/01/x'); os.rmdir(own + '/exercises/01/x')",
        "written whole": "open(own + '/exercises/new', 'w').write('x'); "
        "os.replace(own + '/exercises/new', own + '/exercises/01/x.py')",
        "cut short": "os.truncate(os.open(own + '/notes', os.O_RDWR), 1)",
        "removed": "os.unlink(own + '/notes')",
        "progress": "import dltutor.progress as p; store = p.Progress.open(); store.complete('01', 's'); "
        "assert store.completed('01') == {'s'} and not store.in_memory and not store.notice; store.close()",
        "wal": "import sqlite3; c = sqlite3.connect(own + '/w'); c.execute('PRAGMA journal_mode=WAL'); "
        "c.execute('CREATE TABLE t (x)'); c.commit(); assert c.execute('PRAGMA journal_mode').fetchone()[0] == 'wal'",
        "threads": "ran = []; t = threading.Thread(target=ran.append, args=[1]); t.start(); t.join(); assert ran",
        "a loop": "import asyncio; asyncio.run(asyncio.sleep(0))",
        "sockets to itself": "a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'",
        "zones": "import zoneinfo; zoneinfo.ZoneInfo('Asia/Shanghai')",
        "lessons": "from dltutor.lesson.course import catalogue; assert not catalogue('zh').problems",
        "its terminal": "import termios; termios.tcgetattr(0); os.get_terminal_size(0)",
        "nothing": "open('/dev/null', 'w')",
    }
    assert await ask(attempts) == list(attempts)


@as_root
async def test_t14_root_is_nobody_there(ask):
    attempts = {
        "somebody": f"assert os.getresuid() == ({lock.SOMEBODY},) * 3 and os.getgroups() == []",
        "owns": "assert os.stat(own).st_uid == os.getuid()",
    }
    assert await ask(attempts) == list(attempts)


async def test_t14_what_it_may_use_is_limited(ask):
    attempts = {
        "memory": "bytearray(8 << 30)",
        "one file": "f = open(own + '/much', 'wb'); f.seek(4 << 30); f.write(b'x'); f.flush()",
        "open files": "[os.dup(0) for _ in range(1000)]",
    }
    assert await ask(attempts) == []
