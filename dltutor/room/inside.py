"""What happens in the process that runs the learner's code: the last walls go up, then `work` is called once."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import resource
import struct
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from dltutor.room.limits import Limits
from dltutor.room.linux import HIGHEST_FILE

Work = Callable[[bytes], bytes]

BEGUN = b"\1"  # the first byte of a reply: from now on the clock runs
HEAD = struct.Struct("!BQ")  # then, when all is done: what was tried, and how many bytes follow
OUT_OF_MEMORY, LEFT = 101, 102  # exit codes
NETWORK, PROCESS = 1, 2  # what was tried
TRIED = {  # by the names of Python's audit events, or what stands before the dot
    "socket": NETWORK, "subprocess": PROCESS, "pty": PROCESS, "os.fork": PROCESS, "os.forkpty": PROCESS,
    "os.exec": PROCESS, "os.posix_spawn": PROCESS, "os.system": PROCESS,
}  # fmt: skip
REFUSALS = {NETWORK: "there is no network in here", PROCESS: "there are no other processes in here"}


def limit(limits: Limits, alone: bool) -> None:
    """The limits that every Unix has. What this process has used of the processor so far doesn't count.

    Processes are counted by user: if this one is not `alone` in a namespace of users, with all others of the user.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = math.ceil(used.ru_utime + used.ru_stime) + limits.cpu if limits.cpu else resource.RLIM_INFINITY
    _limit("CPU", cpu)
    _limit("AS", limits.memory)
    _limit("FSIZE", limits.file)
    _limit("NOFILE", limits.files)
    if limits.processes:
        _limit("NPROC", limits.processes if alone else limits.processes + _tasks(os.getuid()))
    _limit("CORE", 0)
    _limit("MSGQUEUE", 0)


def _tasks(user: int) -> int:
    """Threads of all processes of `user`; many, where there is no /proc to count them in."""
    count = 0 if os.path.isdir("/proc/self") else 10_000
    for entry in os.scandir("/proc") if not count else ():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == user:
                count += len(os.listdir(f"/proc/{entry.name}/task"))
    return count


def _limit(name: str, value: int) -> None:
    """Never raises a limit; and one that a system doesn't have, or doesn't let be set, is left alone."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        kind = getattr(resource, f"RLIMIT_{name}")
        _soft, hard = resource.getrlimit(kind)
        lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (lowest, lowest))


def take_places(request: int, output: int, reply: int) -> int:
    """Nothing is open but 0 (the request), 1 and 2 (what is printed) and the reply, whose number is returned."""
    high = [os.dup(descriptor) for descriptor in (request, output, reply)]
    while min(high) < 4:  # out of the way of the places to be taken
        high = [os.dup(descriptor) for descriptor in high]
    for descriptor, place in zip((high[0], high[1], high[1], high[2]), range(4), strict=True):
        os.dup2(descriptor, place)
    os.closerange(4, HIGHEST_FILE)
    return 3


def serve(work: Work, request: bytes, reply: int) -> NoReturn:
    """Call `work` and send what it returns; nothing that was planned for the end of the process happens."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # so that it is there even if this is killed
    tried = _Tried()
    sys.addaudithook(tried)
    os.write(reply, BEGUN)
    code = 0
    try:
        content = work(request)
        _send(reply, tried.what, content)
    except MemoryError:
        code = OUT_OF_MEMORY
    except SystemExit:
        code = LEFT
    except BaseException:
        traceback.print_exc()
        code = 1
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _send(reply: int, tried: int, content: bytes) -> None:
    left = memoryview(HEAD.pack(tried, len(content)) + content)
    while left:
        left = left[os.write(reply, left) :]


class _Tried:
    """Python tells it what is about to happen; so a learner can be told why it didn't. Only a courtesy: the walls
    stand without it, and code that isn't Python passes it by."""

    def __init__(self) -> None:
        self.what = 0

    def __call__(self, event: str, _arguments: object) -> None:
        what = TRIED.get(event) or TRIED.get(event.partition(".")[0])
        if what:
            self.what |= what
            raise PermissionError(errno.EPERM, REFUSALS[what])
