"""A Python that has loaded a module, and forks a child for each order: nobody waits until it is loaded again.

    python -m dltutor.serve.zygote MODULE

The module has `preload()`, which loads all there is to load and starts no thread, and `main(order, descriptors)`, whose
result is the exit code of a child. Stdin is the channel to whoever started this (see forks.py): a packet is a line of
JSON. This process holds no secret, and neither do its children: their environment is what the order says.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import random
import selectors
import signal
import socket
import sys
import termios
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from dltutor.lesson.course import built_in
from dltutor.room import confine, linux
from dltutor.room.view import roots
from dltutor.serve import holes

LONGEST_PACKET = 1 << 16  # bytes
MOST_DESCRIPTORS = 8
OUT_OF_THE_WAY = 64  # above all descriptors that a child is given
LAST_INSTRUCTIONS = 5.0  # seconds that a thread may take to be gone once it has ended
NOT_BEGUN = 70  # exit code of a child that did not come as far as its main
KINDS = ("readable", "writable", "hidden")  # of folders, for walls
GENTLE = 19  # how nice those are to the others that nobody talks to: keys before steps

Order = dict[str, Any]


def main() -> NoReturn:
    channel = socket.socket(fileno=_moved_away(0))
    linux.die_with_parent()
    try:
        module = importlib.import_module(sys.argv[1])
        module.preload()
        _require_one_thread()
        _require_walls()
    except BaseException as error:  # the process edge: whoever started this is told why it is not there
        traceback.print_exc()
        _say(channel, problem=_worded(error))
        os._exit(1)
    gc.collect()
    holes.outlive()
    _filling = holes.fill()
    gc.freeze()
    _say(channel, ready=True)
    Zygote(channel, module).serve()


class Zygote:
    def __init__(self, channel: socket.socket, module: ModuleType) -> None:
        self.channel, self.module = channel, module
        self.pid = os.getpid()
        self.selector = selectors.DefaultSelector()
        self.selector.register(channel, selectors.EVENT_READ)

    def serve(self) -> NoReturn:
        """Until nobody listens any more; the kernel then ends the children, too."""
        while True:
            for key, _events in self.selector.select():
                if key.data is None:
                    self.obey()
                else:
                    self.bury(key.fd, key.data)

    def obey(self) -> None:
        packet, descriptors, _flags, _address = socket.recv_fds(self.channel, LONGEST_PACKET, MOST_DESCRIPTORS)
        if not packet:
            os._exit(0)
        order = json.loads(packet)
        try:
            self.answer(order["number"], self.fork(order, descriptors))
        except OSError as error:  # no memory, too many processes
            _say(self.channel, number=order["number"], refused=_worded(error))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def fork(self, order: Order, descriptors: list[int]) -> int:
        child = os.fork()
        if not child:
            _live(self, order, descriptors)
        return child

    def answer(self, number: int, child: int) -> None:
        """Its number, and a descriptor of it: to kill it by, whatever becomes of the number."""
        descriptor = os.pidfd_open(child)
        self.selector.register(descriptor, selectors.EVENT_READ, child)
        text = json.dumps({"number": number, "pid": child}).encode()
        socket.send_fds(self.channel, [text], [descriptor])

    def bury(self, descriptor: int, child: int) -> None:
        """How it has ended is known here alone: a parent is told."""
        self.selector.unregister(descriptor)
        os.close(descriptor)
        _pid, status = os.waitpid(child, 0)
        _say(self.channel, ended=child, code=os.waitstatus_to_exitcode(status))


# ---------------------------------------------------------------- the child


def _live(zygote: Zygote, order: Order, descriptors: list[int]) -> NoReturn:
    """A child must never return into the loop of its parent."""
    code = NOT_BEGUN
    try:
        given = _settle(zygote, order, descriptors)
        code = 1
        code = zygote.module.main(order, given)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    finally:
        os._exit(code)


def _settle(zygote: Zygote, order: Order, descriptors: list[int]) -> list[int]:
    """All that makes a child a process of its own; the descriptors that its main is given."""
    channel = _moved_away(zygote.channel.fileno())
    try:
        linux.die_with_parent()
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        given = _take_places(descriptors, channel, bool(order["terminal"]))
        _stand_alone(bool(order["terminal"]))
        os.environ.clear()
        os.environ.update(order["environment"])
        _shuffle()
        _put_up(order.get("walls"))
        if os.getppid() != zygote.pid:
            os._exit(NOT_BEGUN)  # it died before it was watched
    except BaseException as error:
        _say(socket.socket(fileno=channel), number=order["number"], problem=_worded(error))
        raise
    os.close(channel)
    return given


def _take_places(descriptors: list[int], channel: int, terminal: bool) -> list[int]:
    """A terminal is 0, 1 and 2; a socket 0 and 1. The others are 3, 4, ...; the channel stays, all else is closed."""
    nothing = os.open(os.devnull, os.O_RDWR)
    first, *others = descriptors or [nothing]
    wanted = [first, first, first if terminal else nothing, *others]
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, OUT_OF_THE_WAY) for descriptor in wanted]
    for place, descriptor in enumerate(high):
        os.dup2(descriptor, place, inheritable=place < 3)
    os.closerange(len(wanted), channel)
    os.closerange(channel + 1, linux.HIGHEST_FILE)
    return list(range(3, len(wanted)))


def _stand_alone(terminal: bool) -> None:
    """A session has its terminal. All else stays in one session, so that the kernel gives it one share of the time."""
    if terminal:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        return
    os.setpgid(0, 0)
    linux.step_back(GENTLE)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _shuffle() -> None:
    """Or all children would draw the same random numbers."""
    random.seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def _put_up(walls: dict[str, list[str]] | None) -> None:
    if walls is not None:
        readable, writable, hidden = ([Path(name) for name in walls.get(kind, ())] for kind in KINDS)
        confine([built_in(), *readable], writable, hidden)


# ---------------------------------------------------------------- words


def _moved_away(descriptor: int) -> int:
    """To a number out of the way of others; what was there is nothing."""
    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, OUT_OF_THE_WAY)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, descriptor)
    os.close(nothing)
    return high


def _require_one_thread() -> None:
    """Only the thread that forks lives on in a child; locks that others hold are never opened there.

    One that Python has joined may be at its last instructions still, on a busy machine.
    """
    end = time.monotonic() + LAST_INSTRUCTIONS
    while len(threads := os.listdir("/proc/self/task")) > 1 and time.monotonic() < end:
        time.sleep(0.001)
    if len(threads) > 1:
        names = [Path("/proc/self/task", thread, "comm").read_text(encoding="utf-8").strip() for thread in threads]
        raise RuntimeError(f"it has started threads: {', '.join(names)}")


def _require_walls() -> None:
    """Raise where a child could not be walled in; better now than when the first learner comes."""
    roots()  # found once, for all children
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _try_walls(writing)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        problem = pipe.read()
    _pid, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(problem or f"a child behind walls ended with status {status}")


def _try_walls(complaints: int) -> NoReturn:
    code = 1
    try:
        confine([built_in()])
        code = 0
    except OSError as error:
        os.write(complaints, str(error).encode())
    finally:
        os._exit(code)


def _say(channel: socket.socket, **message: object) -> None:
    with contextlib.suppress(BrokenPipeError):
        channel.send(json.dumps(message).encode())


def _worded(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
