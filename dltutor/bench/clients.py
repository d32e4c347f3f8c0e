"""A class server, and learners who come to it with the real `ssh`: each in a terminal of its own, all read at once.

with serve(folder) as server, server.client(keygen(folder / "ada"), "ada") as ada:
    ada.until("Start")
    seconds = ada.paint("?", "Help")
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dltutor.bench.terminal import ANSWERS, PATIENCE, Piece, Terminal, environment_of, python
from dltutor.errors import DltutorError
from dltutor.i18n import _

START = 900.0  # seconds until a server is ready: it may have kernels to compile
STOP = 10.0  # ... until it has ended
HOST = "dltutor-server"  # what the clients know every server by, whichever port leads to it
LONGEST_QUESTION = max(map(len, ANSWERS))


def keygen(path: Path) -> Path:
    """A key pair at `path`: the private one; the public one lies beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def missing() -> str:
    """What is not installed here that clients need; empty where nothing is."""
    return next((program for program in ("ssh", "ssh-keygen") if not shutil.which(program)), "")


# ---------------------------------------------------------------- a learner


class Client(Terminal):
    """`ssh` to a server. What it writes is read and stamped as it comes, whether or not anybody waits for it."""

    def __init__(self, command: Sequence[str], columns: int, rows: int, environment: Mapping[str, str]) -> None:
        self._came = threading.Condition()
        self._seen = 0  # pieces that `_read` has told of
        self._tail = b""
        super().__init__(command, columns, rows, environment)
        os.set_blocking(self._fd, False)
        READER.add(self._fd, self._take)

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)

    def paint(self, keys: str, seen: str | Callable[[str], object], seconds: float = PATIENCE) -> float:
        """Seconds from `keys` to the piece that brought what is to be seen."""
        pressed = self.press(keys)
        return self.until(seen, seconds) - pressed

    def resize(self, columns: int, rows: int) -> None:
        self.columns, self.rows, self._asked = columns, rows, time.perf_counter()
        self._screen.resize(columns, rows)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, seen: str | Callable[[str], object], seconds: float = PATIENCE) -> float:
        try:
            return super().until(seen, seconds)
        except DltutorError:
            if self._drawn == len(self.pieces):
                raise
        return super().until(seen, seconds)  # the last piece came with the end

    # ------------------------------------------------------------ its end

    def send(self, number: int) -> None:
        """A signal to `ssh`: SIGKILL is a lost client, SIGSTOP one that reads nothing."""
        os.kill(self.pid, number)

    def code(self, seconds: float = PATIENCE) -> int:
        """What `ssh` ended with; 255 is its own word for a connection that failed."""
        end = time.monotonic() + seconds
        while not self.ended and time.monotonic() < end:
            self._read(0.1)
        if not self.ended:
            raise DltutorError(_("this client has not ended"), self.text())
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert found
        return found.si_status

    def close(self) -> None:
        """`ssh` has no children, so no group has to be searched for."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            READER.remove(self._fd)
            os.close(self._fd)
            used = os.wait4(self.pid, 0)[2]
            self.cpu = used.ru_utime + used.ru_stime
            self.pid, self.ended = 0, True

    # ------------------------------------------------------------ in the reading thread

    def _take(self) -> None:
        try:
            data = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        at = time.perf_counter()
        self._reply(data)
        with self._came:
            self.pieces.append(Piece(at, data))
            self.ended = not data
            self._came.notify_all()
        if not data:
            READER.remove(self._fd)

    def _reply(self, data: bytes) -> None:
        """A question may come in two pieces."""
        both = self._tail + data
        for question, answer in ANSWERS.items():
            for _time in range(both.count(question) - self._tail.count(question)):
                with suppress(OSError):
                    os.write(self._fd, answer)
        self._tail = both[-LONGEST_QUESTION:]

    def _read(self, seconds: float) -> bool:
        with self._came:
            if seconds and len(self.pieces) == self._seen and not self.ended:
                self._came.wait(seconds)
            more = len(self.pieces) > self._seen
            self._seen = len(self.pieces)
        return more and not self.ended


class Reader(threading.Thread):
    """Reads all clients' terminals, so that none is held up by one that nobody looks at."""

    def __init__(self) -> None:
        super().__init__(daemon=True, name="clients")
        self._poll: select.epoll | None = None
        self._takers: dict[int, Callable[[], None]] = {}
        self._lock = threading.RLock()

    def add(self, descriptor: int, take: Callable[[], None]) -> None:
        with self._lock:
            if self._poll is None:
                self._poll = select.epoll()
                self.start()
            self._takers[descriptor] = take
            self._poll.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int) -> None:
        """Returns when nobody reads it any more."""
        with self._lock:
            if self._takers.pop(descriptor, None) and self._poll:
                self._poll.unregister(descriptor)

    def run(self) -> None:
        assert self._poll
        while True:
            for descriptor, _events in self._poll.poll():
                with self._lock:
                    take = self._takers.get(descriptor)
                    if take:
                        take()


READER = Reader()


# ---------------------------------------------------------------- a server


class Server:
    """A running one. `events` are the lines of its log so far."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process, self.folder, self.state = process, folder, folder / "state"
        self.pid = process.pid
        self.port = 0
        self.events: list[dict[str, Any]] = []
        self.other: list[str] = []
        """Lines that it has written besides."""
        self._came = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            with self._came:
                try:
                    self.events.append(dict(json.loads(line)))
                except ValueError:
                    self.other.append(line.decode("utf-8", "replace").rstrip())
                self._came.notify_all()
        with self._came:
            self._came.notify_all()

    def event(self, name: str, seconds: float = PATIENCE, **fields: Any) -> dict[str, Any]:
        """The first line of its log with that name and these fields; waits for it."""
        end = time.monotonic() + seconds
        with self._came:
            while not (found := self._found(name, fields)):
                left = end - time.monotonic()
                if left <= 0 or self.process.poll() is not None:
                    told = [*map(str, self.events[-5:]), *self.other[-20:]]
                    raise DltutorError(_("the server never said: {event}").format(event=name), "\n".join(told))
                self._came.wait(min(left, 0.5))
            return found

    def _found(self, name: str, fields: dict[str, Any]) -> dict[str, Any] | None:
        wanted = {"event": name} | fields
        return next((event for event in self.events if wanted.items() <= event.items()), None)

    def ready(self) -> None:
        """Wait until it listens; its clients know its key from then on."""
        self.port = self.event("listening", START)["port"]
        command = ["ssh-keygen", "-y", "-f", str(self.state / "host_key")]
        key = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        (self.folder / "known_hosts").write_text(f"{HOST} {key}")

    def command(self, key: Path | None, name: str, options: Sequence[str] = (), port: int = 0) -> list[str]:
        """Which calls `ssh`, as far as what is to run over there."""
        fixed = {
            "UserKnownHostsFile": str(self.folder / "known_hosts"),
            "HostKeyAlias": HOST,
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
        }
        identity = ["-i", str(key)] if key else ["-o", "IdentityFile=none"]
        settings = [part for item in fixed.items() for part in ("-o", "=".join(item))]
        where = ["-p", str(port or self.port), f"{name}@127.0.0.1"]
        return ["ssh", "-F", "none", *options, *settings, *identity, *where]

    def client(
        self,
        key: Path,
        name: str = "learner",
        columns: int = 80,
        rows: int = 24,
        *,
        term: str = "xterm-256color",
        compress: bool = False,
        options: Sequence[str] = (),
        port: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> Client:
        """`port`: of a relay that leads here. `options`: of `ssh`, for example ["-o", "SendEnv=COLORTERM"]."""
        more = ["-tt", *(["-C"] if compress else []), *options]
        variables = {"TERM": term} | dict(environment or {})
        return Client(self.command(key, name, more, port), columns, rows, variables)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            self.process.wait(STOP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def serve(
    folder: Path,
    *options: str,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = ("-m", "dltutor"),
) -> Iterator[Server]:
    """`dltutor serve` with its state in `folder`, for any key unless `options` say whom; ended at the end."""
    ours = {"--roster", "--class-code", "--open"} & set(options)
    state = folder / "state"
    _lend_kernels(state)
    command = python(*program, "serve", *([] if ours else ["--open"]), *options)
    command += ["--state", str(state), "--host", "127.0.0.1", "--port", "0"]
    with running(command, folder, environment) as server:
        yield server


def _lend_kernels(state: Path) -> None:
    """What is compiled already where this program keeps it, a server need not compile again."""
    compiled = os.environ.get("NUMBA_CACHE_DIR")
    if compiled and not (state / "numba").exists():
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        (state / "numba").symlink_to(Path(compiled).absolute())


@contextmanager
def running(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A program that logs as the server does."""
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment_of(environment or {}),
    )
    server = Server(process, folder)
    try:
        server.ready()
        yield server
    finally:
        server.close()
