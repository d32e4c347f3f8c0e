"""Stands in for the judge's worker: runs the request as Python, and returns the bytes that it calls `reply`."""

from __future__ import annotations


def prepare() -> None:
    pass


def work(request: bytes) -> bytes:
    names: dict[str, object] = {"__name__": "learner", "reply": b""}
    exec(request, names)
    reply = names["reply"]
    assert isinstance(reply, bytes)
    return reply
