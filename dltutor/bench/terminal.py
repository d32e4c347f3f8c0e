"""A program in a terminal of its own, as a person would use it: keys go in, and what it writes is kept with its times.

Writing and looking are apart: pyte takes milliseconds for what a pty gives in microseconds, so pieces are first
taken and stamped, then drawn on the screen.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import NamedTuple, Self

from dltutor.bench import processes
from dltutor.errors import DltutorError
from dltutor.i18n import _

PATIENCE = 180.0  # seconds to wait for what should be on the screen
# A terminal of today answers these; programs write differently when it does.
ANSWERS = {b"\x1b[?2026$p": b"\x1b[?2026;2$y", b"\x1b[6n": b"\x1b[1;1R"}
POP_KEYBOARD_MODE = b"\x1b[<u"  # pyte does not know it and would write a "u"
# Settings of the learner's that would make one machine's numbers differ from the next one's.
OURS = ("DLTUTOR_", "NUMBA_", "TEXTUAL", "COLUMNS", "LINES", "NO_COLOR", "COLORFGBG", "PYTHON")


def pyte() -> ModuleType:
    """The terminal emulator; the only part of dltutor that needs it is this one."""
    try:
        import pyte
    except ImportError as error:
        message = _("the terminal emulator pyte cannot be imported: {error}").format(error=error)
        raise DltutorError(message, 'pip install "dltutor[bench]"') from error
    return pyte


class Screen:
    """What a terminal shows after what it was sent."""

    def __init__(self, columns: int, rows: int) -> None:
        emulator = pyte()
        self._screen = emulator.Screen(columns, rows)
        self._stream = emulator.ByteStream(self._screen)

    def feed(self, data: bytes) -> None:
        self._stream.feed(data.replace(POP_KEYBOARD_MODE, b""))

    def resize(self, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)

    @property
    def lines(self) -> list[str]:
        return list(self._screen.display)

    @property
    def cursor(self) -> tuple[int, int]:
        """Its row and column."""
        return self._screen.cursor.y, self._screen.cursor.x


class Piece(NamedTuple):
    """What came in one read, and when (time.perf_counter)."""

    at: float
    data: bytes


class Terminal:
    """Use it in `with`: at the end nothing of the program is left, nor of what it started."""

    def __init__(
        self,
        command: Sequence[str],
        columns: int = 80,
        rows: int = 24,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.columns, self.rows = columns, rows
        self.pieces: list[Piece] = []
        self.ended = False
        self.answers: Mapping[bytes, bytes] = ANSWERS
        self.cpu = 0.0
        """Seconds that the program has used, once it is closed."""
        self._screen = Screen(columns, rows)
        self._drawn = 0  # pieces that are on the screen
        self._latest = self._asked = 0.0  # when the last of them came, and when something was last asked of the program
        variables = environment_of(environment or {})
        self.began = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            _become(command, variables, columns, rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        self.close()

    # ------------------------------------------------------------ keys and pieces

    def press(self, keys: str) -> float:
        """Type `keys`; when that was."""
        self._asked = time.perf_counter()
        os.write(self._fd, keys.encode())
        return self._asked

    def listen(self, seconds: float) -> None:
        """Take what the program writes, for so long."""
        end = time.perf_counter() + seconds
        while not self.ended and (left := end - time.perf_counter()) > 0:
            self._read(left)

    def settle(self, seconds: float = 0.3) -> None:
        """Take what the program writes, until it writes nothing for so long."""
        while self._read(seconds):
            pass

    def _read(self, seconds: float) -> bool:
        if self.ended or not select.select([self._fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:  # Linux says so when the last program of a terminal has gone
            data = b""
        self.ended = not data
        self.pieces.append(Piece(time.perf_counter(), data))
        for question, answer in self.answers.items():
            if question in data:
                os.write(self._fd, answer)
        return not self.ended

    # ------------------------------------------------------------ the screen

    @property
    def lines(self) -> list[str]:
        for _piece in self.draw():
            pass
        return self._screen.lines

    def draw(self) -> Iterator[Piece]:
        """Draw what was taken, piece by piece; after each, `lines` as they were then are in `drawn`."""
        while self._drawn < len(self.pieces):
            piece = self.pieces[self._drawn]
            self._drawn += 1
            self._screen.feed(piece.data)
            self._latest = piece.at
            yield piece

    @property
    def drawn(self) -> list[str]:
        return self._screen.lines

    @property
    def cursor(self) -> tuple[int, int]:
        return self._screen.cursor

    def until(self, seen: str | Callable[[str], object], seconds: float = PATIENCE) -> float:
        """Wait until a text stands on the screen, or `seen(screen)` holds: when the piece came that brought it. What
        stood there when it was last asked for something is no answer."""
        end = time.perf_counter() + seconds
        holds = seen if callable(seen) else lambda screen: seen in screen
        if self._drawn == len(self.pieces) and self._latest > self._asked and holds("\n".join(self.drawn)):
            return self._latest
        while True:
            for piece in self.draw():
                if holds("\n".join(self.drawn)):
                    return piece.at
                self._read(0)  # stamped now, not after all that is waiting is drawn
            if self.ended or time.perf_counter() > end:
                raise self._never(seen)
            self._read(0.05)

    def _never(self, seen: object) -> DltutorError:
        shown = "\n".join(line.rstrip() for line in self.drawn if line.strip())
        what = seen if isinstance(seen, str) else getattr(seen, "__name__", "?")
        return DltutorError(_("never seen on the screen: {what}").format(what=what), shown)

    # ------------------------------------------------------------ the end

    def close(self) -> None:
        """End the program, and all it has started: it leads a session and a process group of its own."""
        if self.pid:
            processes.end(self.pid)
            os.close(self._fd)
            used = os.wait4(self.pid, 0)[2]
            self.cpu = used.ru_utime + used.ru_stime
            self.pid, self.ended = 0, True


def _become(command: Sequence[str], variables: dict[str, str], columns: int, rows: int) -> None:
    """In the child: turn into the program."""
    try:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.execvpe(command[0], list(command), variables)
    except OSError as error:
        print(error, flush=True)
    finally:
        os._exit(127)


def environment_of(more: Mapping[str, str]) -> dict[str, str]:
    """The same terminal, language and settings on every machine; the package is found wherever this one was."""
    from dltutor.lesson.course import PACKAGE

    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    fixed = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8", "DLTUTOR_LANG": "en"}
    fixed["DLTUTOR_GLYPHS"] = "braille"  # otherwise the first start asks
    return kept | fixed | {"PYTHONPATH": str(PACKAGE.parent)} | dict(more)


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]
