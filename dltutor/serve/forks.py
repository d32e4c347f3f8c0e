"""Children forked from a warm Python (zygote.py), seen from outside."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from dltutor.errors import DltutorError
from dltutor.host import received
from dltutor.i18n import _
from dltutor.serve.zygote import LONGEST_PACKET, NOT_BEGUN

__all__ = ["NOT_BEGUN", "Child", "ForkServer"]

BARE = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",  # threads do not survive a fork
    "NUMBA_THREADING_LAYER": "workqueue",  # the one that survives it
}
"""The environment of a zygote, if nothing is added to it: nothing of the server's."""
FULL = 0.005  # seconds until a channel that was full is tried again
PATIENCE = 2.0  # seconds for a zygote to be gone
LAST_WORDS = 2000  # bytes


class Child:
    """A process that a zygote has forked. It is reached by its descriptor: its number may be somebody else's soon."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid, self.pidfd = pid, pidfd
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """Its exit code, or the negative number of the signal that it died of: from the zygote, which is told."""
        self.problem = ""  # why it did not begin

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; to one that is gone, nothing."""
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)

    def bury(self, code: int, problem: str = "") -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        self.problem = problem
        if not self.ended.done():
            self.ended.set_result(code)


class ForkServer:
    """Starts a zygote of `module`, and has it fork. It ends with this process, and takes its children along."""

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        """`environment`: of the zygote; its children have what their orders say."""
        self._module = module
        self._environment = BARE | python_needs() | dict(environment)
        self._process: asyncio.subprocess.Process | None = None
        self._channel: socket.socket | None = None
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as it runs
        self._numbers = itertools.count(1)
        self._ready: asyncio.Future[None]
        self._spawning: dict[int, asyncio.Future[Child]] = {}
        self._children: dict[int, tuple[int, Child]] = {}  # by pid: the number of its order, and the child
        self._problems: dict[int, str] = {}  # by the number of the order
        self.ended: asyncio.Future[None]
        """Done when the zygote is gone, and its children with it."""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Returns when all is loaded. Raises DltutorError with the zygote's last words where that fails."""
        if sys.platform != "linux":
            raise DltutorError(_("a class server needs Linux"), _("Run it on Linux; any system can connect to it."))
        loop = asyncio.get_running_loop()
        self._ready, self.ended = loop.create_future(), loop.create_future()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "dltutor.serve.zygote", self._module,
                stdin=theirs.fileno(), stdout=self._complaints, stderr=self._complaints,
                env=self._environment, cwd="/", start_new_session=True,
            )  # fmt: skip
        self._channel.setblocking(False)
        loop.add_reader(self._channel, self._receive)
        await self._ready

    async def spawn(self, order: Mapping[str, Any], descriptors: Sequence[int] = ()) -> Child:
        """A child that obeys `order` (see zygote.py) with these descriptors, which stay the caller's as they are.

        Raises DltutorError where no process can be started.
        """
        number = next(self._numbers)
        packet = json.dumps({**order, "number": number}).encode()
        born = self._spawning[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(packet, descriptors)
        except OSError as error:
            del self._spawning[number]
            raise self._lost() from error
        return await born

    async def close(self) -> None:
        """End the zygote and all of its children; returns when it is gone."""
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), PATIENCE)
        if self._channel:
            self._end()
        self._complaints.close()

    async def _send(self, packet: bytes, descriptors: Sequence[int]) -> None:
        if len(packet) > LONGEST_PACKET:
            raise OSError("an order too long to be sent")
        while self._channel:
            try:
                socket.send_fds(self._channel, [packet], descriptors)
                return
            except BlockingIOError:
                await asyncio.sleep(FULL)
        raise OSError("the zygote is gone")

    # ------------------------------------------------------------ what the zygote says

    def _receive(self) -> None:
        assert self._channel
        packet, descriptors = received(self._channel)
        if packet is None:
            return
        if packet:
            self._obey(json.loads(packet), descriptors)
        else:
            self._end()

    def _obey(self, message: dict[str, Any], descriptors: list[int]) -> None:
        match message:
            case {"ready": True}:
                self._ready.set_result(None)
            case {"number": int(number), "pid": int(pid)}:
                self._give(number, Child(pid, *descriptors))
            case {"number": int(number), "refused": str(problem)}:
                self._refuse(number, problem)
            case {"number": int(number), "problem": str(problem)}:
                self._problems[number] = problem
            case {"ended": int(pid), "code": int(code)}:
                number, child = self._children.pop(pid)
                child.bury(code, self._problems.pop(number, ""))
            case {"problem": str(problem)} if not self._ready.done():
                self._ready.set_exception(self._cannot_start(problem))

    def _give(self, number: int, child: Child) -> None:
        self._children[child.pid] = number, child
        born = self._spawning.pop(number)
        if born.done():  # nobody waits for it any more
            child.kill()
        else:
            born.set_result(child)

    def _refuse(self, number: int, problem: str) -> None:
        born = self._spawning.pop(number)
        if not born.done():
            message = _("no process can be started: {problem}").format(problem=problem)
            born.set_exception(DltutorError(message, _("This machine may be short of memory or of processes.")))

    def _end(self) -> None:
        """The zygote is gone: so are its children, which the kernel has killed, and nobody will say so."""
        assert self._channel
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        self._channel = None
        asked: list[asyncio.Future[Any]] = [self._ready, *self._spawning.values()]
        for waiting in asked:
            if not waiting.done():
                waiting.set_exception(self._lost())
                waiting.exception()  # perhaps nobody asks
        for _number, child in self._children.values():
            child.kill()
            child.bury(-signal.SIGKILL)
        self._children.clear()
        self.ended.set_result(None)

    def _lost(self) -> DltutorError:
        return self._cannot_start(self._last_words() or _("it has ended"))

    def _cannot_start(self, problem: str) -> DltutorError:
        message = _("the process that starts the others, {module}, is not running: {problem}")
        return DltutorError(
            message.format(module=self._module, problem=problem), _("`dltutor doctor` may name the cause.")
        )

    def _last_words(self) -> str:
        if self._complaints.closed:
            return ""
        size = self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(0, size - LAST_WORDS))
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def python_needs() -> dict[str, str]:
    """So that another Python finds what this one finds: nothing that must not be known."""
    libraries = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return {"PYTHONPATH": os.pathsep.join(path for path in map(os.path.abspath, sys.path))} | libraries
