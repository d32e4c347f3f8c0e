"""A program in a pseudo-terminal: keys go in, what it writes comes out."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from contextlib import suppress

WHERE, CURSOR = b"\x1b[6n", b"\x1b[1;1R"  # what a terminal is asked after a drawing, and answers
LONGEST = 60.0  # seconds of silence after which a test fails
TELLING = {"TERM": "xterm-256color", "DLTUTOR_GLYPHS": "braille"}  # a terminal of which nothing need be asked


class Terminal:
    """Runs `dltutor` with `arguments` as the only program of a terminal of its own."""

    answers = True  # when it is asked where the cursor is

    def __init__(self, *arguments: str, columns: int = 100, rows: int = 30, **environment: str) -> None:
        self.written = ""
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
        while text not in self.written:
            assert self._read(), f"{text!r} did not come; it wrote {self.written[-2000:]!r}"

    def idle(self) -> None:
        """Let the program go on for a moment, and read what it writes."""
        self._read(0.05)

    def end(self) -> int:
        """Wait until the program has ended; its exit code."""
        while self.process.poll() is None:
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

    def _read(self, seconds: float = LONGEST) -> bool:
        if not select.select([self._screen], [], [], seconds)[0]:
            return False
        data = os.read(self._screen, 1 << 16)
        if self.answers:
            os.write(self._screen, CURSOR * data.count(WHERE))
        self.written += data.decode(errors="replace")
        return True
