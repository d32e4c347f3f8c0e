"""A module for zygotes of tests: a child does what the `code` of its order says, and tells what it is to `say`."""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def preload() -> None:
    fault = os.environ.get("FAULT", "")
    if fault == "raises":
        raise RuntimeError("no such thing as preloading")
    if fault == "threads":
        import threading

        threading.Thread(target=threading.Event().wait, daemon=True, name="another").start()


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
