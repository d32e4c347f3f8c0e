"""The walls of `bwrap`, a program of many distributions, where it may do what this process itself may not.

The warm Python stands behind them, and each run beside it: what keeps a run from reaching it is the filter of system
calls alone (seccomp.py). There is nothing that could be written to, so nothing is left from one run to the next.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from dltutor.room.namespaces import DEVICES, NOBODY
from dltutor.room.view import View

ALONE = (
    "--unshare-all", "--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY), "--cap-drop", "ALL",
    "--new-session", "--clearenv",
)  # fmt: skip


def found() -> str | None:
    """Where `bwrap` is."""
    return shutil.which("bwrap", path=os.environ.get("PATH", "") + ":/usr/bin:/usr/local/bin")


def wrapped(command: list[str], view: View, environment: dict[str, str]) -> list[str]:
    """`command`, to be run by bwrap behind its walls."""
    named = [word for name, value in environment.items() for word in ("--setenv", name, value)]
    devices = [word for name in DEVICES for word in ("--dev-bind", f"/dev/{name}", f"/dev/{name}")]
    end = ["--remount-ro", "/", "--chdir", "/", "--"]
    return [found() or "bwrap", *ALONE, *named, *_files(view), *devices, *end, *command]


def _files(view: View) -> Iterator[str]:
    """In the order in which they lie in one another, as in `namespaces`."""
    shown, hidden = {*view.readable, *view.shown}, set(view.hidden)
    for path in sorted(shown | hidden, key=lambda path: len(path.parts)):
        if path in hidden and _lies_in(path, shown):
            yield from ("--tmpfs", str(path))
        if path in shown:
            yield from ("--ro-bind", os.path.realpath(path), str(path))
    for path in hidden:
        if _lies_in(path, shown):
            yield from ("--remount-ro", str(path))


def _lies_in(path: Path, others: set[Path]) -> bool:
    return any(other in path.parents for other in others)
