"""A session's end of the channel to its class server: it asks for engines and graders, and is told what is said.

The server has made the channel, so it knows whose session it is: no message says so. A message is a packet of the
channel. With Given comes the descriptor of a socket that speaks the ordinary wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Callable
from dataclasses import dataclass

from dltutor import i18n
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.wire import LONGEST_PACKET, Drop, Given, Leave, Refused, Reply, Request, Want, decode, encode


@dataclass(frozen=True)
class Lent:
    """A socket of the server's, with an engine or a grader at its other end."""

    number: int  # to give it back by
    socket: socket.socket


class Host:
    """The class server, for a session of it."""

    def __init__(self, channel: socket.socket) -> None:
        """`channel`: a socket of whole packets (SOCK_SEQPACKET), which is the host's from now on."""
        channel.setblocking(False)
        self._channel = channel
        self._numbers = itertools.count(1)
        self._wanted: dict[int, asyncio.Future[socket.socket]] = {}
        self._heard: Callable[[Reply], None] = lambda reply: None

    def listen(self, heard: Callable[[Reply], None]) -> None:
        """From now on, and in the loop that runs: `heard` is told what the server says unasked, at last a Leave."""
        self._heard = heard
        asyncio.get_running_loop().add_reader(self._channel, self._receive)

    async def want(self, kind: str, locked: bool = False) -> Lent:
        """An "engine" or a "grader". Raises DltutorError where the server refuses."""
        number = next(self._numbers)
        try:
            self._channel.send(encode(Want(kind, number, i18n.current(), locked)))
        except OSError as error:
            raise gone() from error
        given = self._wanted[number] = asyncio.get_running_loop().create_future()
        try:
            return Lent(number, await given)
        except asyncio.CancelledError:
            self._wanted.pop(number, None)  # what comes for it now goes back
            raise

    def drop(self, number: int) -> None:
        """It is no longer needed."""
        self.tell(Drop(number))

    def tell(self, message: Request) -> None:
        """Never waits and never fails: what a server that is stuck or gone does not hear is lost."""
        with contextlib.suppress(OSError):
            self._channel.send(encode(message))

    def close(self) -> None:
        """No more is heard; whoever waits is refused."""
        if self._channel.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._channel)
            self._channel.close()
        for number in list(self._wanted):
            self._answer(number, gone())

    def _receive(self) -> None:
        """One packet; at the end of the channel the server is gone."""
        packet, descriptors = received(self._channel)
        if packet is None:
            return
        if packet:
            self._obey(decode(packet), [socket.socket(fileno=descriptor) for descriptor in descriptors])  # type: ignore[arg-type]
        else:
            self.close()
            self._heard(Leave(0.0, str(gone())))

    def _obey(self, reply: Reply, sockets: list[socket.socket]) -> None:
        match reply:
            case Given(number) if sockets:
                self._answer(number, sockets[0])
            case Refused(number, message, hint):
                self._answer(number, DltutorError(message, hint))
            case _:
                self._heard(reply)

    def _answer(self, number: int, answer: socket.socket | DltutorError) -> None:
        waiting = self._wanted.pop(number, None)
        if isinstance(answer, DltutorError):
            if waiting and not waiting.done():
                waiting.set_exception(answer)
        elif waiting and not waiting.done():
            waiting.set_result(answer)
        else:  # nobody wants it any more
            answer.close()
            self.drop(number)


def received(channel: socket.socket) -> tuple[bytes | None, list[int]]:
    """A packet, with at most one descriptor: none where none is there yet, an empty one at the end of the channel."""
    try:
        return socket.recv_fds(channel, LONGEST_PACKET, 1)[:2]
    except BlockingIOError:
        return None, []
    except OSError:
        return b"", []


def gone() -> DltutorError:
    return DltutorError(_("the class server is gone"), _("Nothing is lost: log in again."))
