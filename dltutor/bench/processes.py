"""The processes that a program and all it has started run in: which they are, their memory, their end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PATIENCE = 5.0  # seconds for what was killed to end


def resident(group: int) -> dict[int, float]:
    """The living processes of a group, and how much of each is in memory, in MB."""
    return dict(_linux(group) if Path("/proc/self/stat").exists() else _posix(group))


def end(group: int) -> None:
    """Kill all processes of a group, and wait until none of them lives."""
    patience = time.monotonic() + PATIENCE
    with suppress(ProcessLookupError, PermissionError):  # macOS forbids what Linux does not find
        os.killpg(group, signal.SIGKILL)
    while resident(group) and time.monotonic() < patience:
        time.sleep(0.002)


def _linux(group: int) -> Iterator[tuple[int, float]]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if int((folder / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                yield from _memory(int(folder.name), (folder / "status").read_text())


def _memory(pid: int, status: str) -> Iterator[tuple[int, float]]:
    found = re.search(r"VmRSS:\s*(\d+) kB", status)
    if found:  # the dead have none
        yield pid, int(found[1]) * 1024 / 1e6


def _posix(group: int) -> Iterator[tuple[int, float]]:
    command = ["ps", "-A", "-o", "pid=,pgid=,rss="]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        pid, its_group, kilobytes = map(int, line.split())
        if its_group == group and kilobytes:
            yield pid, kilobytes * 1024 / 1e6


# ---------------------------------------------------------------- by their numbers, on Linux


def children(pid: int) -> list[int]:
    """Of all its threads, each of which may just end."""
    tasks = _entries(f"{pid}/task")
    return [int(child) for task in tasks for child in _told(pid, f"task/{task}/children").split()]


def descendants(pid: int) -> list[int]:
    return [found for child in children(pid) for found in (child, *descendants(child))]


def command_of(pid: int) -> str:
    return _told(pid, "cmdline").replace("\0", " ")


def lives(pid: int) -> bool:
    return _told(pid, "stat").rpartition(")")[2].split()[:1] not in ([], ["Z"], ["X"])


def _entries(folder: str) -> list[str]:
    with suppress(OSError):
        return os.listdir(f"/proc/{folder}")
    return []


def _told(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
