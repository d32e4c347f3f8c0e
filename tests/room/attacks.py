"""What code that means harm tries. This file goes into the room as text; each function is one attack and returns what
succeeded. System calls are made past Python, which would refuse some out of courtesy.

All of it is bounded: outside of the room it would be a nuisance, no more.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)
About = dict[str, Any]


def succeeded(attempts: dict[str, Callable[[], object]]) -> list[str]:
    return [name for name, attempt in attempts.items() if works(attempt)]


def works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (OSError, MemoryError):
        return False
    return True


def call(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def system_call(about: About, name: str, *arguments: Any) -> int:
    longs = (ctypes.c_long(value) if isinstance(value, int) else value for value in arguments)
    return call(libc.syscall(ctypes.c_long(about["numbers"][name]), *longs))


def ignore_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM, signal.SIGXCPU):
        signal.signal(number, signal.SIG_IGN)


# ---------------------------------------------------------------- network, files


def network(about: About) -> list[str]:
    def connect(family: int, kind: int, address: bytes) -> None:
        end = call(libc.socket(family, kind, 0))
        call(libc.connect(end, address, len(address)))
        os.write(end, b"x")

    def inet(port: int) -> bytes:
        return struct.pack("=H", 2) + struct.pack("!H4s8x", port, bytes([127, 0, 0, 1]))

    def listen() -> None:
        end = call(libc.socket(2, 1, 0))
        call(libc.bind(end, inet(0), 16))
        call(libc.listen(end, 1))

    return succeeded(
        {
            "tcp": lambda: connect(2, 1, inet(about["tcp"])),
            "udp": lambda: connect(2, 2, inet(about["udp"])),
            "listen": listen,
            "unix": lambda: connect(1, 1, struct.pack("=H", 1) + about["unix"].encode() + b"\0"),
            "abstract": lambda: connect(1, 1, struct.pack("=H", 1) + b"\0" + about["abstract"].encode()),
        }
    )


def read(about: About) -> list[str]:
    files = [*about["files"], *(f"/proc/{about['decoy']}/{name}" for name in ("environ", "mem", "maps"))]
    attempts = {name: lambda name=name: os.open(name, os.O_RDONLY) for name in files}
    attempts |= {name: lambda name=name: _something(name) for name in about["folders"]}
    return succeeded(attempts)


def _something(folder: str) -> None:
    if not os.listdir(folder):
        raise OSError("empty")


def surroundings(_about: About) -> dict[str, Any]:
    is_open = {number: works(lambda number=number: os.fstat(number)) for number in range(200)}
    return {"environment": sorted(os.environ), "open": [number for number in is_open if is_open[number]]}


def write(about: About) -> list[str]:
    new = [f"{folder}/dltutor-was-here" for folder in about["writable"]]
    places = {name: lambda name=name: os.open(name, os.O_WRONLY | os.O_CREAT) for name in new}
    secret = about["secret"]
    return succeeded(
        {
            **places,
            "overwrite": lambda: os.open(secret, os.O_RDWR),
            "cut short": lambda: os.close(os.open(secret, os.O_RDONLY | os.O_TRUNC)),
            "truncate": lambda: call(libc.truncate(secret.encode(), 0)),
            "chmod": lambda: os.chmod(secret, 0o777),
            "touch": lambda: os.utime(secret, (1, 1)),
            "rename": lambda: os.rename(secret, secret + "2"),
            "link": lambda: os.link(secret, secret + "3"),
            "remove": lambda: os.remove(secret),
            "attribute": lambda: os.setxattr(secret, "user.here", b"x"),
        }
    )


def fill_one(_about: About) -> list[str]:
    """One file of 64 MB. It is gone with the process, should it be possible."""

    def one() -> None:
        with tempfile.TemporaryFile() as file:
            for _ in range(64):
                file.write(bytes(1 << 20))

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    return succeeded({"one large file": one})


def fill_many(_about: About) -> list[str]:
    """128 MB altogether, in files of 8 MB."""

    def many() -> None:
        for number in range(16):
            with open(f"part{number}", "wb") as file:
                file.write(bytes(8 << 20))

    return succeeded({"many files": many})


# ---------------------------------------------------------------- processes


def processes(_about: About) -> int:
    """A bomb: every child would fork again, were there any."""
    made = 0
    for _ in range(300):
        child = libc.fork()
        if child == 0:
            time.sleep(20)
            os._exit(0)
        made += child > 0
    return made


def threads(_about: About) -> int:
    made = 0
    for _ in range(300):
        try:
            threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        except RuntimeError:
            break
        made += 1
    return made


def memory(_about: About) -> None:
    held = []
    for _ in range(64):
        held.append(bytearray(64 << 20))


def loop(_about: About) -> None:
    ignore_signals()
    while True:
        pass


def loop_in_numba(_about: About) -> None:
    print("step 1")
    import numba

    @numba.njit(nogil=True)
    def spin(x: float) -> float:
        while x > 0:
            x += 1.0
        return x

    ignore_signals()
    spin(1.0)


def sleeper(_about: About) -> None:
    ignore_signals()
    time.sleep(1000)


def daemon(_about: About) -> None:
    """A grandchild in a session of its own, that holds nothing open."""
    if libc.fork() == 0:
        libc.setsid()
        if libc.fork() == 0:
            ignore_signals()
            os.closerange(0, 100)
            libc.prctl(15, b"dltutor-daemon", 0, 0, 0)
            time.sleep(20)
        os._exit(0)


def neighbours(about: About) -> list[str]:
    decoy = about["decoy"]
    limit = ctypes.create_string_buffer(struct.pack("QQ", 1, 1))
    return succeeded(
        {
            "kill": lambda: os.kill(decoy, signal.SIGTERM),
            "kill all": lambda: os.kill(-1, 0),
            "attach": lambda: call(libc.ptrace(16, decoy, 0, 0)),
            "renice": lambda: os.setpriority(os.PRIO_PROCESS, decoy, 19),
            "confine": lambda: os.sched_setaffinity(decoy, {0}),
            "limit": lambda: system_call(about, "prlimit64", decoy, 1, limit, None),
            "read memory": lambda: system_call(about, "process_vm_readv", decoy, limit, 1, limit, 1, 0),
        }
    )


def flood(_about: About) -> None:
    block = b"A" * 65536
    for _ in range(3200):
        os.write(1, block)


# ---------------------------------------------------------------- the rest of the kernel


def escapes(about: About) -> list[str]:
    room = ctypes.create_string_buffer(4096)
    attempts: dict[str, tuple[Any, ...]] = {
        "user namespace": ("unshare", 0x10000000),
        "mount namespace": ("unshare", 0x00020000),
        "clone into a namespace": ("clone", 0x10000000 | 17, None, None, None, 0),
        "clone3": ("clone3", room, 88),
        "keyctl": ("keyctl", 0, -3, 0),
        "io_uring": ("io_uring_setup", 1, room),
        "bpf": ("bpf", 0, room, 120),
        "perf": ("perf_event_open", room, 0, -1, -1, 0),
        "userfaultfd": ("userfaultfd", 0),
        "memory file": ("memfd_create", b"x", 0),
        "mount": ("mount", b"none", b"/", b"tmpfs", 0, None),
        "new root": ("chroot", b"/"),
        "personality": ("personality", 0x40000),
        "shared memory": ("shmget", 1, 4096, 0o1600),
        "type into the terminal": ("ioctl", 0, 0x5412, b"x"),
        "run a program": ("execve", b"/bin/true", None, None),
    }
    done = {name: lambda order=order: system_call(about, *order) for name, order in attempts.items()}
    return succeeded({**done, "become root": lambda: os.setuid(0) if os.getuid() else call(-1)})
