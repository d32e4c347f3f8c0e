"""A slow line within this machine: so many bytes a second each way, and so long until they arrive.

Its buffers are small, as those of a line are: what it cannot carry yet waits with whoever sends it.
"""

from __future__ import annotations

import asyncio
import math
import socket
import threading
from typing import Self

CHUNK = 1024  # bytes that are carried at once
ON_THE_WAY = 64  # chunks at most
BUFFER = 4096  # of a socket
HOST = "127.0.0.1"


class Relay:
    """Leads from `port`, a free one, to the port `target`. Use it in `with`; it runs in a thread of its own."""

    def __init__(self, target: int, rate: float = math.inf, delay: float = 0.0) -> None:
        """`rate` in bytes a second; `delay` in seconds one way: there and back is twice as long."""
        self._target, self._rate, self._delay = target, rate, delay
        self.port = 0
        self.sent = 0  # bytes that have come from the target, and were carried on
        self._loop = asyncio.new_event_loop()
        self._listener = socket.socket()
        self._thread = threading.Thread(target=self._run, daemon=True, name="relay")

    def __enter__(self) -> Self:
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)  # what comes in inherits it
        self._listener.bind((HOST, 0))
        self._listener.listen()
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._thread.start()
        return self

    def __exit__(self, *_fault: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        accepting = self._loop.create_task(self._accept())
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop) | {accepting}
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _accept(self) -> None:
        calls = set()  # held, as the loop does not hold them
        while True:
            here, _address = await self._loop.sock_accept(self._listener)
            calls.add(self._loop.create_task(self._connect(here)))

    async def _connect(self, here: socket.socket) -> None:
        with here, socket.socket() as there:
            there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            there.setblocking(False)
            await self._loop.sock_connect(there, (HOST, self._target))
            for end in (here, there):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ways = [self._loop.create_task(way) for way in (self._carry(here, there), self._carry(there, here, True))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:  # where one end has closed the other has nobody to speak to
                way.cancel()

    async def _carry(self, source: socket.socket, goal: socket.socket, counted: bool = False) -> None:
        """One way, until its source ends."""
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(ON_THE_WAY)
        arriving = self._loop.create_task(self._arrive(on_the_way, goal))
        free = self._loop.time()  # when the line is
        try:
            while data := await self._loop.sock_recv(source, CHUNK):
                free = max(free, self._loop.time()) + len(data) / self._rate
                await asyncio.sleep(free - self._loop.time())
                await on_the_way.put((free + self._delay, data))
                self.sent += len(data) if counted else 0
            await asyncio.sleep(self._delay)
            await on_the_way.join()
        except ConnectionError:
            pass
        finally:
            arriving.cancel()

    async def _arrive(self, on_the_way: asyncio.Queue[tuple[float, bytes]], goal: socket.socket) -> None:
        while True:
            at, data = await on_the_way.get()
            await asyncio.sleep(at - self._loop.time())
            await self._loop.sock_sendall(goal, data)
            on_the_way.task_done()
