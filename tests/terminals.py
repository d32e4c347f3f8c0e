"""A program in a pseudo-terminal: keys go in, what it writes comes out."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress

WHERE, CURSOR = b"\x1b[6n", b"\x1b[1;1R"  # what a terminal is asked after a drawing, and answers
LONGEST = 300.0  # seconds after which what does not come is a failure
AGAIN = 0.5  # seconds after which the whole screen is asked for again
TELLING = {"TERM": "xterm-256color", "DLTUTOR_GLYPHS": "braille"}  # a terminal of which nothing need be asked


class Terminal:
    """Runs `dltutor` with `arguments` as the only program of a terminal of its own."""

    answers = True  # when it is asked where the cursor is

    def __init__(self, *arguments: str, columns: int = 100, rows: int = 30, **environment: str) -> None:
        self.written = ""
        self._asked = b""  # what may be the beginning of a question
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode  # a read may cut a letter
        self._screen, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(inside)
        self._inside = inside
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dltutor", *arguments],
            stdin=inside, stdout=inside, stderr=inside, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env=os.environ | TELLING | {"COLUMNS": str(columns), "LINES": str(rows)} | environment,
        )  # fmt: skip

    def press(self, keys: str) -> None:
        os.write(self._screen, keys.encode())

    def until(self, text: str) -> None:
        """Wait until the program has written `text`."""
        deadline = time.monotonic() + LONGEST
        while text not in self.written:
            assert time.monotonic() < deadline, f"{text!r} did not come; it wrote {self.written[-2000:]!r}"
            self._read(0.05)

    def sees(self, words: str) -> None:
        """Wait until `words` stand on the screen, which is sent whole when ctrl+l asks for it."""
        self.written = ""
        deadline = time.monotonic() + LONGEST
        while words not in self.written:
            assert time.monotonic() < deadline, f"{words!r} is not to be seen: {self.written[-2000:]!r}"
            self.press("\x0c")
            again = time.monotonic() + AGAIN
            while words not in self.written and time.monotonic() < again:
                self.idle()

    def idle(self) -> None:
        """Let the program go on for a moment, and read what it writes."""
        self._read(0.05)

    def end(self) -> int:
        """Wait until the program has ended; its exit code."""
        deadline = time.monotonic() + LONGEST
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it goes on; it wrote {self.written[-2000:]!r}"
            self._read(0.05)
        while self._read(0.0):
            pass
        return self.process.returncode

    @property
    def is_restored(self) -> bool:
        """Echo, line by line, as before; the cursor visible; the first screen back."""
        same = termios.tcgetattr(self._inside)[:4] == self.before[:4]
        cursor = self.written.rfind("\x1b[?25h") >= self.written.rfind("\x1b[?25l")
        screen = self.written.rfind("\x1b[?1049l") >= self.written.rfind("\x1b[?1049h")
        return same and cursor and screen

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._screen)
        os.close(self._inside)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._screen], [], [], seconds)[0]:
            return False
        data = os.read(self._screen, 1 << 16)
        heard = self._asked + data
        if self.answers:
            os.write(self._screen, CURSOR * heard.count(WHERE))
        self._asked = heard[1 - len(WHERE) :]
        self.written += self._decode(data)
        return True
