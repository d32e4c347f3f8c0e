"""A module for zygotes of tests: a child does what the `code` of its order says, and tells what it is to `say`."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from dltutor.lesson.course import built_in
from dltutor.room import landlock, linux, lock, namespaces, view


def preload() -> None:
    """`AS` in the environment names what is to be different."""
    different = os.environ.get("AS", "")
    if different == "faulty":
        raise RuntimeError("no such thing as preloading")
    if different == "threads":
        sys.modules["__main__"].LAST_INSTRUCTIONS = 0.1  # type: ignore[attr-defined]  # the zygote's patience
        threading.Thread(target=threading.Event().wait, daemon=True, name="another").start()
    if different == "no landlock":
        landlock.version = lambda: 0
    if different == "ordinary user":
        become_ordinary()


def become_ordinary() -> None:
    """Another user than root, from whom Landlock alone keeps what can be reached: the folder `STATE`, and /proc."""
    shown = [Path(os.environ["STATE"]), Path("/proc")]
    namespaces.hide_files(view.for_session([Path(__file__).parent, built_in()]), shown)
    namespaces.become(lock.SOMEBODY)
    linux.prctl(linux.PR_SET_DUMPABLE, 1)
    linux.die_with_parent()


def main(order: dict, descriptors: list[int]) -> int:
    def say(what: Any) -> None:
        os.write(1, json.dumps(what).encode() + b"\n")

    def works(attempt: Any) -> bool:
        try:
            attempt()
        except (OSError, MemoryError):
            return False
        return True

    names = {"say": say, "works": works, "os": os, "sys": sys, "descriptors": descriptors, "order": order}
    exec(order["code"], names)
    return int(names.get("code", 0))
