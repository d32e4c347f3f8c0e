"""The line that a learner types before there is an application."""

from __future__ import annotations

import asyncio

import pytest

from dltutor.serve.asking import LONGEST, Left, Line


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (b"maple\r", "maple"),
        (b"maple\n", "maple"),
        (b"mapel\x7f\x7fle\r", "maple"),
        (b"\x08\x08maple\r", "maple"),
        (b"oak\x15maple\r", "maple"),
        (b"\x1b[Amap\x1b[3~\x1bOPle\x07\r", "maple"),
        ("枫树\r".encode(), "枫树"),
        (b"\xff\xfemaple\r", "maple"),
        (b"x" * 1000 + b"\r", "x" * LONGEST),
        (b"\r", ""),
    ],
)
async def test_keys_make_and_mend_a_line(typed: bytes, read: str) -> None:
    line = Line()
    asking = asyncio.ensure_future(line.read())
    await asyncio.sleep(0)
    line.feed(typed)
    assert await asking == read


async def test_a_character_may_come_in_pieces() -> None:
    line = Line()
    asking = asyncio.ensure_future(line.read())
    await asyncio.sleep(0)
    for byte in "枫树\r".encode():
        line.feed(bytes([byte]))
    assert await asking == "枫树"


@pytest.mark.parametrize("key", [b"\x03", b"\x04"])
async def test_leaving_is_always_possible(key: bytes) -> None:
    line = Line()
    asking = asyncio.ensure_future(line.read())
    await asyncio.sleep(0)
    line.feed(b"map" + key)
    with pytest.raises(Left):
        await asking
    with pytest.raises(Left):
        await line.read()


async def test_lines_come_one_after_the_other() -> None:
    line = Line()
    for word in ("oak", "maple"):
        asking = asyncio.ensure_future(line.read())
        await asyncio.sleep(0)
        line.feed(word.encode() + b"\r")
        assert await asking == word
