"""The server's end of a learner's terminal: it reads no faster than the door takes, writes no faster than is read."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios

from dltutor.page import Page
from dltutor.serve.door import Door, clamped

MOST_UNSENT = 32 << 10  # bytes that the door may hold until the program's drawing waits
MOST_TYPED = 64 << 10  # bytes that may wait for the program until the door is told to wait
MOST_KEPT = 1 << 20  # ... and if the door does not: what comes after that is lost
CHUNK = 16 << 10
RECHECKS = (0.02, 0.25)  # seconds: the first look at a door that was full, and the slowest
RESTORE = (
    b"\x1b[?2026l\x1b[?2048l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?2004l\x1b[?1004l"
    b"\x1b[<u\x1b7\x1b[?1049l\x1b[?25h\x1b[?7h\x1b[0m"
)
"""Ends everything that a program may have asked of a terminal: mouse, paste, keys, the other screen, colours. Before it
leaves that screen it keeps the place of the cursor: who has left it already stays behind what was said since."""


class Pty:
    def __init__(self, width: int, height: int, door: Door, page: Page) -> None:
        self._master, self.slave = os.openpty()
        os.set_blocking(self._master, False)
        quiet(self.slave)
        self.resize(width, height)
        self._door, self._page = door, page
        self._typed = bytearray()
        self._paused = False  # the door is
        self._recheck: asyncio.TimerHandle | None = None
        self.sent = 0

    @property
    def closed(self) -> bool:
        return self._master < 0

    def resize(self, width: int, height: int) -> None:
        width, height = clamped(width, height)
        if not self.closed:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def started(self) -> None:
        """The program has the other end."""
        self.close_slave()
        if not self.closed:
            self._listen()
            self._flush()

    def close_slave(self) -> None:
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1

    def close(self) -> None:
        """The kernel tells the program so with a SIGHUP."""
        self.close_slave()
        if self.closed:
            return
        if self._recheck:
            self._recheck.cancel()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._master)
        loop.remove_writer(self._master)
        os.close(self._master)
        self._master = -1
        self._typed.clear()

    # ------------------------------------------------------------ from the program to the door

    def _listen(self) -> None:
        self._page.congested = 0
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def _read(self) -> None:
        if self._door.outstanding() > MOST_UNSENT:
            asyncio.get_running_loop().remove_reader(self._master)
            self._page.congested = 1
            self._look_again(RECHECKS[0])
            return
        data = self._take()
        if data is None:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)  # the program has ended
            return
        self.sent += len(data)
        self._door.write(data)

    def _look_again(self, seconds: float) -> None:
        self._recheck = asyncio.get_running_loop().call_later(seconds, self._check, min(2 * seconds, RECHECKS[1]))

    def _check(self, next_seconds: float) -> None:
        self._recheck = None
        if self._door.outstanding() > MOST_UNSENT // 2:
            self._look_again(next_seconds)
        else:
            self._listen()

    def _take(self) -> bytes | None:
        """What there is; empty at the end, None where there is nothing yet."""
        try:
            return os.read(self._master, CHUNK)
        except BlockingIOError:
            return None
        except OSError:  # how Linux says that nobody holds the other end
            return b""

    def drain(self) -> None:
        """After the program's end: what it had still to say."""
        while not self.closed and self._door.outstanding() <= MOST_UNSENT and (data := self._take()):
            self.sent += len(data)
            self._door.write(data)

    # ------------------------------------------------------------ from the door to the program

    def feed(self, data: bytes) -> None:
        if self.closed:
            return
        self._typed += data[: MOST_KEPT - len(self._typed)]
        if self.slave < 0:  # else the program is not there yet
            self._flush()
        if len(self._typed) > MOST_TYPED and not self._paused:
            self._paused = True
            self._door.pause()

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._typed:
                del self._typed[: os.write(self._master, self._typed[:4096])]
        except BlockingIOError:
            loop.add_writer(self._master, self._flush)
            return
        except OSError:  # nobody will read it
            self._typed.clear()
        loop.remove_writer(self._master)
        if self._paused:
            self._paused = False
            self._door.resume()


def quiet(slave: int) -> None:
    """What is typed before the program is there is neither echoed, nor a signal, nor lost."""
    modes = termios.tcgetattr(slave)
    modes[0] &= ~(termios.ICRNL | termios.IXON)
    modes[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN)
    with contextlib.suppress(termios.error):
        termios.tcsetattr(slave, termios.TCSANOW, modes)
