"""Whether the walls of a tier hold here: asked from inside, before any of the learner's code is let in."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import AF_INET, socket
from typing import TYPE_CHECKING

from dltutor.room.limits import MIB, Limits

if TYPE_CHECKING:
    from dltutor.room import Room

OPEN = ("limits",)
"""Tiers that don't say that network, files and processes outside can't be reached."""
ALWAYS = ("the limit of time", "the limit of open files", *["the limit of memory"] * (sys.platform == "linux"))
"""What even those say; macOS limits no memory."""
QUICK = Limits(cpu=1, wall=0.2, memory=256 * MIB)
PROBE = Limits(wall=10, memory=512 * MIB)


def problems(room: Room) -> list[str]:
    """What does not hold."""
    with outside(PROBE) as about:
        outcome = room.probe(about, PROBE)
    if not outcome.reply:
        return [outcome.printed.strip() or outcome.sentence]
    told = json.loads(outcome.reply) | {"the limit of time": _ends_sleepers(room)}
    return [name for name, held in told.items() if not held and (room.tier not in OPEN or name in ALWAYS)]


def _ends_sleepers(room: Room) -> bool:
    return room.probe(json.dumps({"sleep": 60}).encode(), QUICK).ended == "time"


@contextmanager
def outside(limits: Limits) -> Iterator[bytes]:
    """What must not be reached from inside: a file, a server, this process. `probe` is told where they are."""
    with tempfile.TemporaryDirectory() as folder, socket(AF_INET) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        secret = Path(folder, "secret")
        secret.write_text("secret", encoding="utf-8")
        places = {"secret": str(secret), "port": server.getsockname()[1], "parent": os.getpid()}
        yield json.dumps(places | {"memory": limits.memory, "files": limits.files}).encode()


# ---------------------------------------------------------------- inside


def probe(request: bytes) -> bytes:
    """Try what must not succeed; which walls held."""
    about: dict = json.loads(request)
    if "sleep" in about:
        import time

        time.sleep(about["sleep"])
    secret, port, parent = about["secret"], about["port"], about["parent"]
    tried: dict[str, Callable[[], object]] = {
        "the network": lambda: _connect(port),
        "reading files outside": lambda: Path(secret).read_bytes(),
        "writing files outside": lambda: Path(secret).write_bytes(b"overwritten"),
        "writing what is shown": lambda: os.open(__file__, os.O_WRONLY),
        "changing files outside": lambda: os.chmod(secret, 0o777),
        "signals to processes outside": lambda: os.kill(parent, 0),
        "new processes": _fork,
        "the limit of memory": lambda: bytearray(about["memory"]),
        "the limit of open files": lambda: [os.dup(0) for _ in range(about["files"])],
    }
    return json.dumps({name: _held(attempt) for name, attempt in tried.items()}).encode()


def _held(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (OSError, MemoryError):
        return True
    return False


def _connect(port: int) -> None:
    """Past Python's own audit hook, so that it is the wall that is asked."""
    import ctypes
    import struct

    libc = ctypes.CDLL(None, use_errno=True)
    end = libc.socket(2, 1, 0)
    address = struct.pack("=H", 2) + struct.pack("!H4s8x", port, bytes([127, 0, 0, 1]))
    if end < 0 or libc.connect(end, address, len(address)) < 0:
        raise OSError(ctypes.get_errno(), "no connection")


def _fork() -> None:
    import ctypes

    child = ctypes.CDLL(None, use_errno=True).fork()
    if child < 0:
        raise OSError(ctypes.get_errno(), "no fork")
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
