"""The terminal, driven: few reports of the mouse, no program for a link, one frame in flight, an end with it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import textual
from terminals import LONGEST, Terminal
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver

from dltutor.bench.relay import Relay
from dltutor.bench.terminal import Terminal as Program
from dltutor.bench.terminal import python
from dltutor.progress import Progress
from dltutor.ui.app import HUNG_UP
from dltutor.ui.driver import Gauge
from dltutor.ui.pacer import Pacer

QUESTION = b"\x1b[6n"
HASTY = "from dltutor.ui.pacer import Pacer; Pacer.PATIENCE = Pacer.FIRST = {0}; from dltutor.cli import main; main()"
"""The application that waits less long for an answer of its terminal."""
ENDLESS = {"pace": 30.0, "steps": 10**9}  # no test sees the end of this run
TEXT = "A line through points"  # of the lesson
PATH = os.environ["PATH"]
KEYS = (("?", "all keys of this screen"), ("\x1b", "training"))  # help comes, and goes; and what is then to be seen


class Tutor(Program):
    """The application in a lesson whose run does not end by itself."""

    def __init__(self, patience: float = 0.0) -> None:
        """`patience`: seconds until it takes an answer of its terminal for lost; 0: as it is."""
        ours = {name: os.environ[name] for name in ("DLTUTOR_HOME", "DLTUTOR_LESSONS", "NUMBA_CACHE_DIR")}
        program = ("-c", HASTY.format(patience)) if patience else ("-m", "dltutor")
        super().__init__(python(*program, "launch", "tiny"), 100, 30, ours)

    def until(self, seen: str | Callable[[str], object], seconds: float = LONGEST) -> float:
        return super().until(seen, seconds)

    @property
    def written(self) -> bytes:
        return b"".join(piece.data for piece in self.pieces)

    @property
    def frames(self) -> int:
        """Of the chart: after each of them the terminal is asked whether it has come."""
        return self.written.count(QUESTION)

    def frames_until(self, at: float) -> int:
        """Those that had come then."""
        return b"".join(piece.data for piece in self.pieces if piece.at <= at).count(QUESTION)

    @property
    def last_question(self) -> float:
        """When it came."""
        return next(piece.at for piece in reversed(self.pieces) if QUESTION in piece.data)

    def train(self) -> float:
        """When that was asked for."""
        self.until(TEXT)
        began = self.press("\t ")
        self.until("training")
        return began

    def watch(self, frames: int) -> None:
        """Wait for so many more frames."""
        wanted, deadline = self.frames + frames, time.monotonic() + LONGEST
        while self.frames < wanted:
            assert time.monotonic() < deadline, "no more frames come"
            self.listen(0.05)

    def answer(self, key: str, words: str) -> int:
        """Press a key and wait until its answer stands on the screen: how many frames came before it."""
        before = self.frames
        self.press(key)
        return self.frames_until(self.until(words)) - before

    def rest(self, seconds: float) -> None:
        """Wait until nothing comes for so long."""
        deadline = time.monotonic() + LONGEST
        while self._read(seconds):
            assert time.monotonic() < deadline, f"it is never silent: {self.written[-200:]!r}"

    def leave(self) -> None:
        """Wait until it has ended by itself."""
        deadline = time.monotonic() + LONGEST
        while not self.ended:
            assert time.monotonic() < deadline, "it does not end"
            self.listen(0.05)

    def hang_up(self) -> int:
        """Let the terminal be gone; the exit code of the application."""
        os.close(self._fd)
        self.ended = True
        deadline = time.monotonic() + LONGEST
        while not (waited := os.waitpid(self.pid, os.WNOHANG))[0]:
            assert time.monotonic() < deadline, "it does not end"
            time.sleep(0.01)
        self.pid = 0
        return os.waitstatus_to_exitcode(waited[1])


class Afar(Tutor):
    """The terminal is at the other end of a slow line."""

    def __init__(self, rate: float, delay: float) -> None:
        super().__init__()
        self._program = self._fd
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._relay = Relay(listener.getsockname()[1], rate, delay).__enter__()
            self._far = socket.create_connection(("127.0.0.1", self._relay.port))
            self._near = listener.accept()[0]
        self._near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self._fd = self._far.fileno()
        for ends in ((self._program, self._near.fileno()), (self._near.fileno(), self._program)):
            threading.Thread(target=_carry, args=ends, daemon=True).start()

    def close(self) -> None:
        self._relay.__exit__()
        self._fd = self._program
        super().close()
        self._far.close()
        self._near.close()


def _carry(source: int, goal: int) -> None:
    with contextlib.suppress(OSError):  # an end was closed
        while data := os.read(source, 1024):
            while data:
                data = data[os.write(goal, data) :]


@pytest.fixture(autouse=True)
def lesson(labs: Path, home: Path) -> None:
    with Progress.open(home) as progress:
        progress.set_place("tiny", "one", 0.0, ENDLESS)


@pytest.fixture
def terminal() -> Iterator[Tutor]:
    with Tutor() as running:
        yield running


# ---------------------------------------------------------------- the mouse, and links


def test_the_mouse_is_heard_where_it_is_pressed_not_wherever_it_moves(terminal):
    terminal.until(TEXT)
    terminal.press("q")
    terminal.leave()
    for mode in (1000, 1002, 1006):
        assert terminal.written.index(b"\x1b[?%dh" % mode) < terminal.written.rindex(b"\x1b[?%dl" % mode)
    assert b"?1003" not in terminal.written and b"?1015" not in terminal.written


LINKED = """
from textual.app import App
from dltutor.ui.terminal import TerminalMixin

class Linked(TerminalMixin, App):
    def on_mount(self):
        self.open_url("https://example.org/read")

Linked().run()
"""
BROWSERS = ("lynx", "w3m", "links", "elinks", "xdg-open", "open", "www-browser", "x-www-browser", "sensible-browser")


def test_t15_a_link_starts_no_program(tmp_path):
    started, programs = tmp_path / "started", tmp_path / "bin"
    programs.mkdir()
    for name in BROWSERS:
        (programs / name).write_text(f"#!/bin/sh\necho {name} >> {started}\n")
        (programs / name).chmod(0o755)
    environment = {"PATH": f"{programs}:{PATH}", "BROWSER": "lynx", "DISPLAY": ""}
    with Program(python("-c", LINKED), 80, 24, environment) as program:
        program.until("https://example.org/read", LONGEST)
        program.press("\x11")  # quits
        program.listen(LONGEST)
        assert program.ended
    assert not started.exists(), started.read_text()


# ---------------------------------------------------------------- one frame in flight


def test_no_frame_is_sent_before_the_last_has_arrived_and_keys_do_not_wait(terminal):
    terminal.train()
    terminal.watch(5)
    began, terminal.answers = terminal.last_question, {}  # from then on none was answered
    frames = sum(terminal.answer(key, words) for key, words in KEYS * 2)
    assert frames <= 1 + (time.perf_counter() - began) / Pacer.PATIENCE


def test_a_terminal_that_never_answers_gets_a_frame_now_and_then_and_its_keys_are_heard():
    patience = 0.5
    with Tutor(patience) as terminal:
        terminal.answers = {}
        began = terminal.train()
        terminal.watch(7)  # of which one was for the first screen, and another for the run that had yet to begin
        assert terminal.frames <= 3 + (terminal.last_question - began) / patience
        terminal.answer(*KEYS[0])


def test_on_a_slow_line_a_key_waits_for_one_frame_at_most():
    """20 kB a second, 200 ms there and back: a queue of frames would hold a key for seconds."""
    with Afar(rate=20_000, delay=0.1) as terminal:
        terminal.train()
        terminal.watch(5)
        for key, words in KEYS * 2:
            began = terminal.last_question
            frames = terminal.answer(key, words)  # the one on its way, and those around its answer
            assert frames <= 3 + (time.perf_counter() - began) // Pacer.PATIENCE


def test_where_nothing_happens_nothing_is_sent(terminal):
    terminal.until("space runs")
    terminal.watch(1)
    terminal.rest(1.5)
    assert not terminal.ended


# ---------------------------------------------------------------- the end


def test_a_terminal_that_is_gone_ends_the_application_and_the_run_is_kept(terminal, home):
    terminal.train()
    terminal.watch(3)
    assert terminal.hang_up() == HUNG_UP
    with Progress.open(home) as progress:
        assert [run.lesson for run in progress.runs()] == ["tiny"]


def test_it_ends_also_where_nobody_sends_it_the_signal(monkeypatch):
    """As in a session that has left its terminal: the kernel tells those whom it controls, not those who look at it."""
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *command, preexec_fn, **rest: popen(*command, **rest))
    terminal = Terminal("launch", "tiny")
    terminal.until("through")
    os.close(terminal._inside)
    os.close(terminal._screen)
    assert terminal.process.wait(LONGEST) == HUNG_UP


# ---------------------------------------------------------------- living with Textual


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (LinuxDriver, "_app"),
        (LinuxDriver, "_loop"),
        (LinuxDriver, "_mouse"),
        (LinuxDriver, "_file"),
        (LinuxDriver, "_writer_thread"),
        (LinuxDriver, "_enable_mouse_support"),
        (LinuxDriver, "_disable_mouse_support"),
        (LinuxDriver, "exit_event"),
        (LinuxDriver, "disable_input"),
        (LinuxDriver, "process_message"),
        (WriterThread, "_queue"),
    ],
)
def test_textual_still_has(owner, name):
    bases = [base.__init__.__code__.co_names for base in owner.__mro__ if hasattr(base.__init__, "__code__")]
    assert hasattr(owner, name) or any(name in names for names in bases), (
        f"{owner.__name__}.{name}, which dltutor/ui/driver.py uses, was last seen in Textual 8.2.8; "
        f"this is {textual.__version__}"
    )


def test_the_writer_writes_as_the_gauge_expects():
    """What is written is flushed once the queue is empty: then nothing is on its way any more."""
    inside, outside = os.pipe()
    with os.fdopen(outside, "w") as file:
        gauge = Gauge(file)
        writer = WriterThread(gauge)  # type: ignore[arg-type]
        writer.start()
        writer.write("a frame")
        writer.stop()
        assert os.read(inside, 100) == b"a frame" and not gauge.is_writing
    os.close(inside)
