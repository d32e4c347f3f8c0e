"""What tests wait for: facts about processes and servers, however long a slow machine takes for them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from dltutor.bench.clients import Server
from dltutor.serve.desk import Visitor

SAFETY = 300.0  # seconds after which what does not come is a failure: judges and engines let all others go first
MB = 1 << 20


def wait_for(fact: Callable[[], Any]) -> Any:
    """What it says as soon as it holds."""
    end = time.monotonic() + SAFETY
    while not (found := fact()):
        assert time.monotonic() < end, "it never was so"
        time.sleep(0.01)
    return found


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def memory(pid: int | str = "self") -> int:
    """Bytes of a process that are in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def sessions_of(server: Server, name: str) -> list[dict[str, Any]]:
    """As its teacher sees them, the newest first."""
    told = [told for told in Visitor(server.state).status()["sessions"] if told["name"] == name]
    return sorted(told, key=lambda session: -session["number"])


def files_of(pid: int) -> Iterator[str]:
    """That are open; one may just be closed."""
    with suppress(OSError):
        for file in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                yield os.readlink(f"/proc/{pid}/fd/{file}")
