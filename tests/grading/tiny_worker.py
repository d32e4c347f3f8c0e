"""Stands in for the judge's worker: runs the request as Python, and returns what it calls `reply`."""

from __future__ import annotations


def work(request: bytes) -> bytes:
    names: dict[str, object] = {"reply": b""}
    exec(request, names)
    reply = names["reply"]
    return reply if isinstance(reply, bytes) else repr(reply).encode()
