"""Forks sessions of `dltutor.ui.served` as a zygote does, drives them, and prints what was seen as JSON."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import sys
import tempfile
import termios
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pyte

from dltutor.page import DrawingTurns, Page
from dltutor.ui import served

SESSIONS = 8
LONGEST = 60.0  # seconds after which what does not come is a failure
PAINTED = "quit"  # the last words of the course
NOT = "no "
WAY = [
    ("\r", "esc course"), (" ", "starting the engine"), ("\x1b", "esc course"), ("n", "2/"), ("?", "Keys"),
    ("\x1b", NOT + "Keys"), ("\x10", "Search"), ("\x1b", NOT + "Search"), ("\x1b", "/ search"),
    ("/", "search the lessons"), ("practice", "What does a learner write"), ("\r", "press e"), ("e", "enter opens it"),
    ("\r", "task/code"), ("e", "^s"), ("# x", "# x"), ("\x13", "saved"), ("\x1b", "c check"), ("\x1b", "esc text"),
    ("\x1b", "esc course"), ("\x1b", "v review"), ("v", "Nothing is due"), ("\x1b", "v review"), ("TL", "退出"),
]  # fmt: skip
"""Keys, and what is to be seen then and not before, or no longer: an escape and the next key are two."""


def descriptors() -> list[str]:
    return sorted(os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _is_open(name))


def _is_open(name: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{name}")


class Session:
    """A fork on a terminal of its own."""

    def __init__(self, home: Path) -> None:
        self.seen = pyte.Screen(80, 24)
        self.stream = pyte.ByteStream(self.seen)
        self.screen, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.server, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        page, described = Page.create()
        self.report, told = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            self._live(home, inside, theirs.detach(), described, told)
        for descriptor in (inside, described, told):
            os.close(descriptor)
        theirs.close()
        page.close()

    def _live(self, home: Path, inside: int, channel: int, page: int, told: int) -> None:
        code = 1
        try:
            os.setsid()
            fcntl.ioctl(inside, termios.TIOCSCTTY, 0)
            for place in range(3):
                os.dup2(inside, place)
            os.close(self.screen)
            self.server.close()
            os.environ.update(DLTUTOR_HOME=str(home), TERM="xterm-256color", DLTUTOR_GLYPHS="braille")
            before = set(sys.modules)
            code = served.main({"arguments": {}}, [channel, page, DrawingTurns.create(1)])
            os.write(told, json.dumps(sorted(set(sys.modules) - before)).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def read(self, seconds: float) -> bool:
        """What it writes next; False where it is silent for so long, or gone."""
        if not select.select([self.screen], [], [], seconds)[0]:
            return False
        try:
            self.stream.feed(os.read(self.screen, 1 << 16))
        except OSError:
            return False
        return True

    def shows(self, words: str) -> bool:
        wanted = words.removeprefix(NOT)
        return (wanted in "\n".join(self.seen.display).replace("  ", "")) != (wanted != words)

    def sees(self, words: str) -> bool:
        return self.until(lambda: self.shows(words))

    def until(self, fact: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + LONGEST
        while not fact() and time.monotonic() < deadline:
            self.read(0.05)
        return fact()

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def imported(session: Session) -> list[str]:
    """What a session has imported on its way through the application; or where it did not come through."""
    for keys, words in WAY:
        if not session.until(lambda words=words: not session.shows(words)):  # the key bar may come last
            return [f"{words} before {keys!r}", *session.seen.display]
        os.write(session.screen, keys.encode())
        if not session.sees(words):
            return [f"no {words} after {keys!r}", *session.seen.display]
    os.write(session.screen, b"q")
    ended = session.until(lambda: bool(select.select([session.report], [], [], 0)[0]))
    return json.loads(os.read(session.report, 1 << 16)) if ended else ["it did not end"]


def main() -> None:
    os.environ["DLTUTOR_LESSONS"] = str(Path(__file__).parents[1] / "fixtures" / "practice")
    environment, before = dict(os.environ), descriptors()
    served.preload()
    seen = {
        "threads": threading.active_count(),
        "modules": sorted(sys.modules),
        "environment": sorted(set(os.environ) - set(environment)),
        "descriptors_before": before,
        "descriptors": descriptors(),
    }
    with tempfile.TemporaryDirectory() as folder:
        sessions = [Session(Path(folder) / str(number)) for number in range(SESSIONS)]
        painted = [session.sees(PAINTED) for session in sessions]
        for session in sessions[1:]:
            session.end()
        seen |= {"started": SESSIONS, "painted": sum(painted), "imported": imported(sessions[0])}
        sessions[0].end()
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
