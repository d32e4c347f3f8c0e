"""A session's end of the channel to its class server, and the links that the server lends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from dltutor.errors import DltutorError
from dltutor.host import LONGEST_PACKET, Host
from dltutor.link import HostedLink
from dltutor.wire import (
    Drop,
    Event,
    Failed,
    Given,
    Here,
    Leave,
    Message,
    Paused,
    Refused,
    Reply,
    Resume,
    Said,
    Want,
    decode,
    encode,
)


class Server:
    """The server's end of a channel."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.lent: list[socket.socket] = []  # its ends of what it has lent

    def heard(self) -> Message:
        return decode(self.channel.recv(LONGEST_PACKET))

    def say(self, reply: Reply) -> None:
        self.channel.send(encode(reply))

    def lend(self, number: int) -> socket.socket:
        ours, theirs = socket.socketpair()
        socket.send_fds(self.channel, [encode(Given(number))], [theirs.fileno()])
        theirs.close()
        ours.settimeout(60)
        self.lent.append(ours)
        return ours

    async def wanted(self) -> Want:
        want = await asyncio.to_thread(self.heard)
        assert isinstance(want, Want)
        return want


@pytest.fixture
def ends() -> Iterator[tuple[Host, Server]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(60)
    server = Server(ours)
    yield Host(theirs), server
    for end in (ours, theirs, *server.lent):
        end.close()


async def heard(link: HostedLink) -> list[Event]:
    async with asyncio.timeout(60):
        return [event async for event in link.events()]


async def started(link: HostedLink, server: Server) -> socket.socket:
    """The server's end of a link that it lends."""
    starting = asyncio.create_task(link.start())
    end = server.lend((await server.wanted()).number)
    await starting
    return end


async def test_a_link_that_is_lent_speaks_the_wire(ends):
    host, server = ends
    host.listen(lambda reply: None)
    link = HostedLink(host, "engine", locked=True)
    starting = asyncio.create_task(link.start())
    want = await server.wanted()
    assert (want.kind, want.locked, want.language) == ("engine", True, "en")
    end = server.lend(want.number)
    await starting
    await link.send(Resume())
    assert decode(end.recv(1000)) == Resume()
    end.send(encode(Paused(7)))
    assert await anext(link.events()) == Paused(7)
    await link.close()


async def test_the_end_of_what_is_lent_is_a_failure_with_a_remedy(ends):
    host, server = ends
    host.listen(lambda reply: None)
    link = HostedLink(host, "grader")
    (await started(link, server)).close()
    failed = (await heard(link))[-1]
    assert isinstance(failed, Failed)
    assert failed.fatal
    assert "the grader ended unexpectedly" in failed.message
    assert "start it again" in failed.hint


async def test_closing_gives_it_back_and_is_no_failure(ends):
    host, server = ends
    host.listen(lambda reply: None)
    link = HostedLink(host, "engine")
    end = await started(link, server)
    listening = asyncio.create_task(heard(link))
    await asyncio.sleep(0)
    await link.close()
    await link.close()
    assert await listening == []
    assert isinstance(server.heard(), Drop)
    assert await asyncio.to_thread(end.recv, 1) == b""


async def test_a_refusal_is_what_the_link_says_first_and_last(ends):
    host, server = ends
    host.listen(lambda reply: None)
    link = HostedLink(host, "grader")
    starting = asyncio.create_task(link.start())
    server.say(Refused((await server.wanted()).number, "no room to run code in", "ask your teacher"))
    await starting
    await link.send(Resume())  # to nobody
    assert await heard(link) == [Failed("no room to run code in", "ask your teacher", fatal=True)]
    await link.close()


async def test_what_comes_when_nobody_wants_it_any_more_goes_back(ends):
    host, server = ends
    host.listen(lambda reply: None)
    wanting = asyncio.create_task(host.want("engine"))
    number = (await server.wanted()).number
    wanting.cancel()
    await asyncio.wait([wanting])
    end = server.lend(number)
    assert await asyncio.to_thread(server.heard) == Drop(number)
    assert end.recv(1) == b""


async def test_a_link_closed_while_it_starts_keeps_nothing(ends):
    host, server = ends
    host.listen(lambda reply: None)
    link = HostedLink(host, "engine")
    starting = asyncio.create_task(link.start())
    number = (await server.wanted()).number
    await link.close()
    server.lend(number)
    await starting
    assert await asyncio.to_thread(server.heard) == Drop(number)
    assert await heard(link) == []


async def test_what_the_server_says_is_heard_and_its_end_is_a_leave(ends):
    host, server = ends
    replies: asyncio.Queue[Reply] = asyncio.Queue()
    host.listen(replies.put_nowait)
    server.say(Said("ten minutes left"))
    wanting = asyncio.create_task(host.want("engine"))
    async with asyncio.timeout(60):
        assert await replies.get() == Said("ten minutes left")
        server.channel.close()
        assert isinstance(await replies.get(), Leave)
        with pytest.raises(DltutorError, match="class server is gone"):
            await wanting


async def test_telling_a_server_that_is_stuck_or_gone_does_nothing(ends):
    host, server = ends
    for _ in range(10_000):  # more than the channel holds
        host.tell(Here("lesson"))
    with pytest.raises(DltutorError, match="class server is gone"):
        await host.want("engine")
    server.channel.close()
    host.tell(Here("lesson"))
