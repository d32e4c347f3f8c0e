"""The teacher's desk: a socket in the state folder, over which the teacher asks the running server and tells it.

    {"ask": "status"}                               {"status": {...}}
    {"ask": "say", "text": "Ten minutes", "to": ""}      {"said": 17}
    {"ask": "stop", "seconds": 60}                  {"stops": 60}

One JSON object a line, both ways; {"error": "..."} answers what makes no sense. Only the server's own user, and root,
may connect: the folder and the socket are theirs alone, and the kernel names who is at the other end.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from dltutor.errors import DltutorError
from dltutor.i18n import _

NAME = "desk.sock"
LONGEST_PATH = 100  # bytes; what the kernel takes is 107, elsewhere 103
LONGEST_LINE = 1 << 16  # of a question
LONGEST_ANSWER = 1 << 24
LONGEST_TEXT = 500  # characters that the teacher can say at once
LONGEST_STOP = 86400  # seconds
MOST = 16  # who may be connected at once
PATIENCE = 5.0  # seconds until an answer


class Taught(Protocol):
    """What the desk needs to know of the classroom."""

    def status(self) -> dict[str, Any]: ...

    def say(self, text: str, to: str = "") -> int: ...


@contextmanager
def address_of(folder: Path) -> Iterator[str]:
    """The socket's path; where that is longer than sockets may have it, another way to the same place."""
    path = folder / NAME
    if len(os.fsencode(path)) <= LONGEST_PATH:
        yield str(path)
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        short = f"/proc/self/fd/{handle}/{NAME}"
        if not os.path.isdir(os.path.dirname(short)):
            message = _("the path of {folder} is too long for a socket in it").format(folder=folder)
            raise DltutorError(message, _("Name a shorter one with --state DIR."))
        yield short
    finally:
        os.close(handle)


# ---------------------------------------------------------------- in the server


class Desk:
    """Answers on the socket while the server runs. Whoever makes one is the only server of that folder."""

    def __init__(self, folder: Path, classroom: Taught) -> None:
        self.folder, self.classroom = folder, classroom
        self.stop_wanted: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._server: asyncio.Server | None = None
        self._visitors: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        with address_of(self.folder) as address:
            listener = _listener(address)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=LONGEST_LINE)

    async def close(self) -> None:
        """Also where it never was."""
        if self._server:
            self._server.close()
        for visitor in list(self._visitors):
            visitor.close()
        with suppress(OSError):
            (self.folder / NAME).unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._visitors.add(writer)
        try:
            if _may_ask(writer.get_extra_info("socket")) and len(self._visitors) <= MOST:
                await self._converse(reader, writer)
        except (OSError, ValueError):  # gone; or a line without an end
            pass
        finally:
            self._visitors.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(json.dumps(self.answer(line), ensure_ascii=False).encode(errors="replace") + b"\n")
            await writer.drain()

    # ------------------------------------------------------------ questions

    def answer(self, line: bytes) -> dict[str, Any]:
        try:
            return self._answered(json.loads(line))
        except DltutorError as error:
            return {"error": error.message}
        except Exception as error:  # whatever is asked, and whatever is wrong here: the class goes on
            return {"error": f"not understood: {error or type(error).__name__}"}

    def _answered(self, question: Any) -> dict[str, Any]:
        match question:
            case {"ask": "status"}:
                return {"status": self.classroom.status()}
            case {"ask": "say", "text": str(text), **rest}:
                return {"said": self.classroom.say(spoken(text), str(rest.get("to", "")))}
            case {"ask": "stop", "seconds": float() | int() as seconds} if 0 <= seconds <= LONGEST_STOP:
                return {"stops": self._end(seconds)}
        raise ValueError("status, say and stop can be asked")

    def _end(self, seconds: float) -> float:
        if self.stop_wanted.done():
            raise DltutorError(_("the class is ending already"))
        self.stop(seconds)
        return seconds

    def stop(self, seconds: float) -> None:
        """Who has said so first is heard."""
        if not self.stop_wanted.done():
            self.stop_wanted.set_result(seconds)


def spoken(text: str) -> str:
    """What a teacher says, in one line that does nothing to a terminal. Raises DltutorError where nothing is left."""
    line = "".join(character for character in " ".join(text.split()) if character.isprintable())
    if not line:
        raise DltutorError(_("there is nothing to say"), _("Write some words."))
    return line[:LONGEST_TEXT]


def _listener(address: str) -> socket.socket:
    """What an earlier server left behind makes room; the folder's lock says that it is gone."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(address).st_mode):
            os.unlink(address)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(address)
    finally:
        os.umask(before)
    listener.listen()
    return listener


def _may_ask(visitor: socket.socket) -> bool:
    """The same user or root, by the word of the kernel; where it has none, the socket's mode must do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    credentials = visitor.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, user, _group = struct.unpack("3i", credentials)
    return user in (0, os.getuid())


# ---------------------------------------------------------------- at the teacher's


class Visitor:
    """Asks the server of a state folder: a connection for each question, so that the server may come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def status(self) -> dict[str, Any]:
        return dict(self._ask("status", ask="status"))

    def say(self, text: str, to: str = "") -> int:
        return int(self._ask("said", ask="say", text=text, to=to))

    def stop(self, seconds: float) -> float:
        return float(self._ask("stops", ask="stop", seconds=seconds))

    def _ask(self, wanted: str, **question: Any) -> Any:
        with _connected(self.folder) as connection:
            try:
                connection.sendall(json.dumps(question).encode() + b"\n")
                with connection.makefile("rb") as answers:
                    answer = json.loads(answers.readline(LONGEST_ANSWER) or b"{}")
            except TimeoutError as error:
                raise _silent(self.folder) from error
            except (OSError, ValueError) as error:
                raise _nothing(self.folder) from error
        if wanted in answer:
            return answer[wanted]
        raise DltutorError(str(answer["error"])) if "error" in answer else _nothing(self.folder)


def _connected(folder: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE)
    try:
        with address_of(folder) as address:
            connection.connect(address)
    except (OSError, DltutorError) as error:
        connection.close()
        raise _unheard(folder, error) from error
    return connection


def _unheard(folder: Path, error: Exception) -> Exception:
    if isinstance(error, PermissionError):
        message = _("the class server in {folder} belongs to somebody else").format(folder=folder)
        return DltutorError(message, _("Run this as the user who started it, or as root."))
    return _nothing(folder) if isinstance(error, OSError) else error


def _nothing(folder: Path) -> DltutorError:
    return DltutorError(
        _("no class server is running in {folder}").format(folder=folder),
        _("`dltutor serve` starts one. If its state folder is elsewhere, name it with --state DIR."),
    )


def _silent(folder: Path) -> DltutorError:
    return DltutorError(
        _("the class server in {folder} does not answer").format(folder=folder), _("Its log may say why.")
    )
