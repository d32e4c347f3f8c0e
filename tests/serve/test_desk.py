"""The teacher's desk: questions and answers over its socket, whoever asks and whatever they ask."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dltutor.errors import DltutorError
from dltutor.serve.desk import LONGEST_LINE, LONGEST_TEXT, MOST, NAME, Desk, Visitor

NONSENSE = [
    b"", b"{", b"[]", b"null", b"7", b'"status"', b"{}", b'{"ask": "open"}', b'{"ask": ["status"]}', b'{"ask": "say"}',
    b'{"ask": "say", "text": 7}', b'{"ask": "say", "text": "  "}', b'{"ask": "say", "text": "\\u001b\\u0007"}',
    b'{"ask": "stop"}', b'{"ask": "stop", "seconds": -1}', b'{"ask": "stop", "seconds": NaN}',
    b'{"ask": "stop", "seconds": 1e9}', b'{"ask": "stop", "seconds": "1"}',
    b"\xff\xfe\x00", b"[" * 50_000, b"GET / HTTP/1.1",
]  # fmt: skip


class Class:
    """A classroom that only remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.broken = False

    def status(self) -> dict[str, Any]:
        if self.broken:
            raise KeyError("sessions")
        return {"sessions": [{"name": "李伟"}], "people": 1}

    def say(self, text: str, to: str = "") -> int:
        self.heard.append((text, to))
        return 2 if not to else 1


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for a socket, wherever pytest keeps its own."""
    with tempfile.TemporaryDirectory(prefix="desk") as name:
        yield Path(name)


@pytest.fixture
async def desk(folder: Path) -> AsyncIterator[Desk]:
    desk = Desk(folder, Class())
    await desk.start()
    yield desk
    await desk.close()


async def asked(folder: Path, *lines: bytes) -> list[dict[str, Any]]:
    """What is answered to `lines` on one connection."""
    reader, writer = await asyncio.open_unix_connection(str(folder / NAME), limit=1 << 22)
    writer.write(b"".join(line + b"\n" for line in lines))
    answers = [json.loads(await asyncio.wait_for(reader.readline(), 10)) for _line in lines]
    writer.close()
    return answers


# ---------------------------------------------------------------- what a teacher asks


async def test_status_say_and_stop(desk, folder):
    visitor = Visitor(folder)
    assert await asyncio.to_thread(visitor.status) == {"sessions": [{"name": "李伟"}], "people": 1}
    assert await asyncio.to_thread(visitor.say, "Ten minutes") == 2
    assert await asyncio.to_thread(visitor.say, "看这里", "李伟") == 1
    assert desk.classroom.heard == [("Ten minutes", ""), ("看这里", "李伟")]
    assert not desk.stop_wanted.done()
    assert await asyncio.to_thread(visitor.stop, 60) == 60
    assert await desk.stop_wanted == 60
    with pytest.raises(DltutorError, match="ending already"):
        await asyncio.to_thread(visitor.stop, 5)


async def test_what_is_said_is_one_line_without_commands_to_a_terminal(desk, folder):
    await asyncio.to_thread(Visitor(folder).say, " Read\x1b[2J\nsection\t3 " + "x" * 9999)
    [(text, _to)] = desk.classroom.heard
    assert text.startswith("Read[2J section 3 x") and len(text) == LONGEST_TEXT


# ---------------------------------------------------------------- what others try


@pytest.mark.parametrize("line", NONSENSE, ids=lambda line: repr(line[:30]))
async def test_nonsense_is_answered_and_the_next_question_too(desk, folder, line):
    nonsense, status = await asked(folder, line, b'{"ask": "status"}')
    assert list(nonsense) == ["error"] and nonsense["error"]
    assert status["status"]["people"] == 1
    assert not desk.stop_wanted.done() and not desk.classroom.heard


async def test_a_line_without_an_end_ends_the_conversation_and_nothing_else(desk, folder):
    reader, writer = await asyncio.open_unix_connection(str(folder / NAME))
    writer.write(b"x" * (4 * LONGEST_LINE))
    with suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()
    assert (await asked(folder, b'{"ask": "status"}'))[0]["status"]


async def test_who_asks_and_goes_before_the_answer_disturbs_nobody(desk, folder):
    for _visit in range(MOST - 1):
        with socket.socket(socket.AF_UNIX) as visitor:
            visitor.connect(str(folder / NAME))
            visitor.sendall(b'{"ask": "status"}\n' * 20)
    assert (await asked(folder, b'{"ask": "status"}'))[0]["status"]


async def test_those_who_only_hold_the_line_are_few(desk, folder):
    held = [await asyncio.open_unix_connection(str(folder / NAME)) for _visit in range(MOST + 1)]
    assert await asyncio.wait_for(held[-1][0].read(), 60) == b""
    for _reader, writer in held:
        writer.close()
        await writer.wait_closed()
    while desk._visitors:
        await asyncio.sleep(0)
    assert (await asked(folder, b'{"ask": "status"}'))[0]["status"]


async def test_a_fault_in_the_server_is_told_and_survived(desk, folder):
    desk.classroom.broken = True
    with pytest.raises(DltutorError, match="sessions"):
        await asyncio.to_thread(Visitor(folder).status)
    desk.classroom.broken = False
    assert await asyncio.to_thread(Visitor(folder).status)


async def test_the_socket_is_for_its_owner_alone(desk, folder):
    assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
async def test_another_user_gets_no_answer_even_where_the_socket_is_open(desk, folder):
    folder.chmod(0o755)
    (folder / NAME).chmod(0o777)
    assert await asyncio.to_thread(_as_nobody, folder) == 0


def _as_nobody(folder: Path) -> int:
    """What a child of another user hears: 0 where that is nothing."""
    child = os.fork()
    if not child:
        heard = 1
        try:
            os.setresuid(65534, 65534, 65534)
            with socket.socket(socket.AF_UNIX) as visitor:
                visitor.settimeout(60)
                visitor.connect(str(folder / NAME))
                visitor.sendall(b'{"ask": "status"}\n')
                heard = min(2, len(visitor.recv(99)))
        except (BrokenPipeError, ConnectionResetError):
            heard = 0
        finally:
            os._exit(heard)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# ---------------------------------------------------------------- where it is


def test_where_nothing_runs_that_is_said(folder):
    with pytest.raises(DltutorError, match=f"no class server is running in {folder}") as told:
        Visitor(folder).status()
    assert "--state" in told.value.hint
    with pytest.raises(DltutorError, match="no class server is running"):
        Visitor(folder / "gone").status()


async def test_the_end_of_the_server_is_said_too(folder):
    desk = Desk(folder, Class())
    await desk.start()
    await desk.close()
    assert not (folder / NAME).exists()
    with pytest.raises(DltutorError, match="no class server is running"):
        Visitor(folder).status()


async def test_what_a_killed_server_left_behind_makes_room(folder):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(folder / NAME))
    left.close()
    desk = Desk(folder, Class())
    await desk.start()
    assert await asyncio.to_thread(Visitor(folder).status)
    await desk.close()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no other way to a long path than /proc")
async def test_a_path_too_long_for_a_socket_works_all_the_same():
    base = Path(tempfile.mkdtemp())
    folder = base / ("long-" * 20) / ("longer-" * 20)
    folder.mkdir(parents=True)
    desk = Desk(folder, Class())
    await desk.start()
    assert (await asyncio.to_thread(Visitor(folder).status))["people"] == 1
    await desk.close()
    assert not (folder / NAME).exists()
    shutil.rmtree(base)
