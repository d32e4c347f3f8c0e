"""A session of a class server: what it says and hears, what it hides, and how it is forked."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from graders import WRONG
from screens import shown, text, until
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input

from dltutor import i18n, wire
from dltutor.host import LONGEST_PACKET, Host
from dltutor.progress import Progress
from dltutor.ui import resume
from dltutor.ui.hosted import Fault, Hosted
from dltutor.ui.plots.look import Look
from dltutor.ui.screens.exercise import ExerciseScreen
from dltutor.ui.screens.lesson import LessonScreen

pytestmark = pytest.mark.usefixtures("brisk")

PRACTICE = Path(__file__).parents[1] / "fixtures" / "practice"
SIZE = 140, 45


class Server:
    """The server's end of a session's channel."""

    def __init__(self) -> None:
        self.session, self._channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        self._told: list[wire.Request] = []

    def say(self, message: wire.Reply) -> None:
        self._channel.send(wire.encode(message))

    def told(self, kind: type) -> list:
        """What the session has said so far, of one kind."""
        while True:
            try:
                self._told.append(wire.decode(self._channel.recv(LONGEST_PACKET)))
            except BlockingIOError:
                return [message for message in self._told if isinstance(message, kind)]

    def last(self, kind: type):
        return (self.told(kind) or [kind()])[-1]


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("DLTUTOR_LESSONS", str(PRACTICE))
    monkeypatch.setattr(resume, "PERIOD", 0.05)
    yield Server()
    i18n.use("en")


@asynccontextmanager
async def session(server: Server, login: str = "ssh -p 2222 {name}@tutor.host") -> AsyncIterator[Pilot]:
    with Progress.open() as progress:
        app = Hosted(progress, Look("256"), Host(server.session), login=login)
        async with app.run_test(size=SIZE, notifications=True) as pilot:
            await until(pilot, lambda: app.screen.query("#title"))
            yield pilot
        app.host.close()


async def in_exercise(pilot: Pilot) -> None:
    pilot.app.open_lesson("practice")
    await until(pilot, lambda: isinstance(pilot.app.screen, LessonScreen) and pilot.app.screen.is_mounted)
    pilot.app.screen.open_task("mse-backward")
    await until(pilot, lambda: isinstance(pilot.app.screen, ExerciseScreen) and pilot.app.screen.query("Task Markdown"))


# ---------------------------------------------------------------- what it hears


async def test_the_teachers_words_are_shown(server):
    async with session(server) as pilot:
        server.say(wire.Said("Look at [b]exercise[/b] 2, please."))
        await shown(pilot, "Look at [b]exercise[/b] 2")
        assert "Your teacher" in text(pilot)


async def test_the_teachers_words_are_left_as_they_are(server):
    async with session(server) as pilot:
        server.say(wire.Said("Send me ~/.ssh/id_ed25519.pub"))
        await shown(pilot, "~/.ssh/id_ed25519.pub")


async def test_a_code_for_another_key_comes_with_the_line_to_type(server):
    async with session(server) as pilot:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: pilot.app.screen.query(Input))
        await pilot.press(*"another key")
        await shown(pilot, "Add another key or machine")
        while isinstance(pilot.app.screen, CommandPalette):  # it is chosen, then done
            await pilot.press("enter")
        await until(pilot, lambda: server.told(wire.CodeWanted))
        server.say(wire.Code("abcd2345", 10))
        await shown(pilot, "ssh -p 2222 join-abcd2345@tutor.host")
        assert "Within 10 minutes" in text(pilot)


async def test_before_the_server_ends_all_is_saved_and_the_reason_told(server, home):
    async with session(server) as pilot:
        await in_exercise(pilot)
        await pilot.press("e", *"# half")
        server.say(wire.Leave(30.0, "The class is over."))
        await shown(pilot, "The class is over.")
        assert "30 seconds" in text(pilot)
        assert "# half" in (home / "exercises" / "practice" / "mse-backward.py").read_text()
        with Progress.open() as progress:
            assert progress.preference(resume.NAME)["place"]["task"]["writes"]


async def test_a_session_that_must_end_now_leaves_and_is_gone_on_with(server, home):
    async with session(server) as pilot:
        await in_exercise(pilot)
        server.say(wire.Leave(0.0, "You went on elsewhere."))
        await until(pilot, lambda: not pilot.app.is_running)
    async with session(Server()) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, ExerciseScreen))


async def test_a_refusal_is_told_with_its_hint(server):
    async with session(server) as pilot:
        await in_exercise(pilot)
        await pilot.press("c")
        await until(pilot, lambda: server.told(wire.Want))
        wanted = server.last(wire.Want)
        assert wanted.kind == "grader"
        server.say(wire.Refused(wanted.number, "nothing is checked here today", "Train in the lab meanwhile."))
        await shown(pilot, "nothing is checked here today")
        assert "Train in the lab meanwhile." in text(pilot)


# ---------------------------------------------------------------- what it tells


async def test_the_server_knows_where_the_learner_is(server):
    async with session(server) as pilot:
        await in_exercise(pilot)
        await until(pilot, lambda: server.last(wire.Here).screen == "exercise")
        here = server.last(wire.Here)
        assert (here.lesson, here.section, here.task) == ("practice", "write", "mse-backward")
        assert (here.tries, here.headline, here.sections) == (0, "", 2)
        for _try in range(2):
            pilot.app.screen.hear(WRONG, pilot.app.screen.editor.text)
        await until(pilot, lambda: server.last(wire.Here).tries == 2)
        assert server.last(wire.Here).headline == WRONG.headline
        await pilot.press("escape", "escape")
        await until(pilot, lambda: server.last(wire.Here).screen == "home")


# ---------------------------------------------------------------- what it hides


async def test_t16_a_crash_shows_a_number_and_no_path_and_no_variable(server, home):
    secret = "hunter2"
    with pytest.raises(Fault) as fault:
        async with session(server) as pilot:
            await in_exercise(pilot)
            await pilot.press("e", *"# kept")
            pilot.app.call_later(lambda: {}[secret])
            await until(pilot, lambda: server.told(wire.Crashed))
    crashed = server.last(wire.Crashed)
    assert crashed.incident in str(fault.value) and "log in again" in str(fault.value)
    assert "KeyError" in crashed.trace and "test_served.py" in crashed.trace
    for hidden in (secret, "KeyError", "/", ".py"):
        assert hidden not in str(fault.value)
    assert "# kept" in (home / "exercises" / "practice" / "mse-backward.py").read_text()


async def test_no_path_of_the_server_is_shown(server, home):
    async with session(server) as pilot:
        await in_exercise(pilot)
        await shown(pilot, "It is saved as you type")
        await pilot.press("e", *"# x", "ctrl+s")
        await shown(pilot, "saved")
        pilot.app.notify(f"can't write {home / 'exercises' / 'a.py'}: No space left on device, and/or 1/2")
        await shown(pilot, "can't write a.py: No space")
        await shown(pilot, "and/or 1/2")
        assert str(home) not in text(pilot)


async def test_no_program_of_the_server_is_offered(server, monkeypatch):
    monkeypatch.setenv("EDITOR", "vi")
    async with session(server) as pilot:
        await in_exercise(pilot)
        assert "$EDITOR" not in text(pilot)
        screen = pilot.app.screen
        assert not screen.check_action("outside", ())
        await pilot.press("E")
        await pilot.press("question_mark")
        await until(pilot, lambda: pilot.app.screen is not screen)
        assert "your own editor" not in text(pilot)
        names = {command.title for command in pilot.app.get_system_commands(screen)}
        assert not any("creenshot" in name for name in names)


# ---------------------------------------------------------------- the zygote


@pytest.fixture(scope="module")
def forked() -> Iterator[dict]:
    """What a zygote sees after the preload, and a fork of it that was driven through the application."""
    script = Path(__file__).parent / "forked.py"
    environment = {name: os.environ[name] for name in ("PATH",)} | {"LANG": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=300, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    yield json.loads(done.stdout)


def test_the_preload_leaves_one_thread_no_descriptor_and_no_numba(forked):
    assert forked["threads"] == 1
    assert forked["descriptors"] == forked["descriptors_before"]
    assert "numba" not in forked["modules"]
    assert "DLTUTOR_HOME" not in forked["environment"]


def test_a_fork_imports_nothing_any_more(forked):
    assert forked["imported"] == []


def test_p7_sessions_that_start_at_once_all_paint(forked):
    assert forked["painted"] == forked["started"] == 8
