"""`dltutor serve` as a teacher meets it: what is refused before it starts, what is said, and a class that runs."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from facts import wait_for
from servers import Servers
from terminals import Terminal

from dltutor.bench import clients
from dltutor.bench.clients import Client, Server
from dltutor.cli import main
from dltutor.serve import opening
from dltutor.serve.desk import Visitor
from dltutor.serve.settings import Settings

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Said:
    """Call `dltutor serve` in this process: exit code, output, errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["serve", *arguments])
        return code, *capfd.readouterr()

    return call


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


def refused(answer: tuple[int, str, str], code: int, *named: object) -> None:
    """One clear sentence, perhaps a hint, and nothing else."""
    assert answer[0] == code
    assert answer[1] == ""
    assert answer[2].startswith("dltutor: ") and len(answer[2].splitlines()) <= 2
    for name in named:
        assert str(name) in answer[2]


# ---------------------------------------------------------------- what is refused


def test_without_the_extra_one_line_says_what_to_install(said, state, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: name != "asyncssh" and find(name, *more))
    answer = said("--open", "--state", str(state))
    refused(answer, 2, 'pip install "dltutor[serve]"')
    assert len(answer[2].splitlines()) == 1


@pytest.mark.parametrize(
    ("ways", "named"),
    [
        (["--open", "--class-code", "maple"], "--class-code --open"),
        (["--open", "--roster", "keys"], "--roster --open"),
        (["--roster", "keys", "--class-code", "maple"], "--roster --class-code"),
    ],
    ids=" ".join,
)
def test_there_is_one_way_in(said, ways, named):
    refused(said(*ways), 2, named)


def test_it_must_be_said_who_may_come_in(said, state):
    refused(said("--state", str(state)), 2, "--roster", "--class-code", "--open")


def test_a_roster_that_is_not_there(said, state):
    refused(said("--state", str(state), "--roster", "/no/keys"), 2, "/no/keys", "--roster")


def test_a_roster_that_cannot_be_read(said, state, tmp_path):
    refused(said("--state", str(state), "--roster", str(tmp_path)), 2, tmp_path)


@pytest.mark.parametrize("port", ["-1", "65536", "ssh"])
def test_a_port_that_is_none(said, port):
    code, _out, errors = said("--open", "--port", port)
    assert code == 2 and "--port" in errors


def test_a_port_that_is_taken(said, state):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused(said("--open", "--state", str(state), "--host", "127.0.0.1", "--port", port), 1, port, "--port")


def test_a_state_folder_that_others_can_look_into(said, state):
    state.chmod(0o755)
    refused(said("--open", "--state", str(state)), 1, state, f"chmod 700 {state}")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_state_folder_of_somebody_else(said, state):
    os.chown(state, 65534, 65534)
    refused(said("--open", "--state", str(state)), 1, state, "another user")


def test_a_state_folder_that_cannot_be(said, tmp_path):
    (tmp_path / "file").touch()
    refused(said("--open", "--state", str(tmp_path / "file")), 1, tmp_path / "file", "--state")


def test_a_folder_in_which_a_server_runs_already(said, state):
    with (state / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused(said("--open", "--state", str(state)), 1, state, "dltutor serve stop")


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["say", "hello"], ["stop"], ["watch", "--once"]])
def test_where_no_server_runs_that_is_said(said, state, command):
    refused(said(*command, "--state", str(state)), 1, "no class server is running", state)
    refused(said("--state", str(state), *command), 1, "no class server is running", state)


def test_the_screen_needs_a_terminal(said, state):
    refused(said("watch", "--state", str(state)), 2, "terminal")


# ---------------------------------------------------------------- what the teacher is told


class Door:
    port, fingerprint = 2222, "SHA256:abc"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"open": True}, "everybody"),
        ({"class_code": "maple"}, "maple"),
        ({"roster": Path("/etc/keys")}, "28 keys in this file: /etc/keys"),
        ({}, "roster"),
    ],
)
def test_the_greeting_says_what_learners_type_and_who_may_come_in(state, settings, told):
    log = opening.Log(state / "log")
    link = "http://tutor.local/?token=7"
    text = opening.greeting(Settings(state=state, host="tutor.local", **settings), 28, Door(), log, link)
    for fact in ("ssh -p 2222 tutor.local", link, "SHA256:abc", told, f"serve watch --state {state}", "Ctrl-C"):
        assert fact in text


def test_a_roster_without_a_key_is_told(state):
    assert "nobody yet" in opening.admission(Settings(state=state), 0)


def test_a_server_on_the_port_of_ssh_needs_no_p():
    assert opening.ssh_command("tutor.local", 22) == "ssh tutor.local"


def test_a_server_for_all_addresses_names_one_that_learners_can_type():
    name = opening.ssh_command("", 2222).removeprefix("ssh -p 2222 ")
    assert name and name not in opening.EVERYWHERE


def test_the_log_stays_out_of_the_way_of_what_the_teacher_reads(state, monkeypatch):
    settings = Settings(state=state)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert opening.log_path(settings, None) == state / opening.LOG_FILE
    assert opening.log_path(settings, Path("/x")) == Path("/x")
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert opening.log_path(settings, None) is None


# ---------------------------------------------------------------- a class that runs


@pytest.fixture(scope="module")
def ada(servers: Servers) -> Iterator[Client]:
    """A learner who is there in all that follows, and nobody else."""
    if clients.missing():
        pytest.skip(f"{clients.missing()} is not installed")
    server = servers.one()
    wait_for(lambda: not Visitor(server.state).status()["sessions"])
    client = server.client(clients.keygen(server.folder / "ada-key"), "ada", 100, 30)
    client.until("Part 1")
    yield client
    client.close()


@pytest.fixture
def teacher(said: Said, server: Server) -> Said:
    """Call `dltutor serve` for the server that runs."""
    return lambda *arguments: said(*arguments, "--state", str(server.state))


def test_status_names_who_is_here(teacher, ada):
    [session] = json.loads(teacher("status", "--json")[1])["sessions"]
    assert session["name"] == "ada" and session["door"] == "ssh" and len(session["id"]) == 12
    code, words, _errors = teacher("status")
    assert code == 0
    assert "ada" in words and "1 session" in words


def test_watch_prints_what_programs_read(teacher, ada):
    code, out, _errors = teacher("watch", "--once")
    assert code == 0
    assert [session["name"] for session in json.loads(out)["sessions"]] == ["ada"]


def test_the_teacher_sees_the_learner_on_a_screen(server, ada):
    screen = Terminal("serve", "watch", "--state", str(server.state))
    try:
        screen.until("ada")
        screen.press("q")
        assert screen.end() == 0
        assert screen.is_restored
    finally:
        screen.close()


def test_what_the_teacher_says_stands_on_the_learner_s_screen(teacher, ada):
    code, out, _errors = teacher("say", "Ten", "more", "minutes", "--to", "ada")
    assert code == 0 and "1 session" in out
    ada.until("Ten more minutes")


def test_to_say_something_to_nobody_is_a_mistake_that_names_who_is_here(teacher, ada):
    refused(teacher("say", "hello", "--to", "bob"), 1, "bob", "ada")


def test_a_second_server_in_the_same_folder_is_refused(teacher, ada):
    refused(teacher("--open", "--port", "0"), 1, "already")


def test_t17_what_is_typed_is_in_no_log_and_in_no_status(server, teacher, ada):
    secret = "swordfish"
    ada.press("/")
    ada.until("search the lessons")
    ada.press(secret)
    ada.until(secret)
    status = teacher("status", "--json")[1]
    ada.press("\x1b")
    ada.until(lambda text: secret not in text)
    told = "\n".join([*map(json.dumps, server.events), *server.other, status])
    assert secret not in told
    identity = next(server.state.glob("users/*")).name
    assert identity[:12] in told and identity not in told


def test_nobody_else_reads_what_the_server_keeps(server, ada):
    kept = [server.state, *server.state.iterdir(), *server.state.glob("users/*")]
    open_to_others = [path.name for path in kept if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert set(open_to_others) <= {"numba"}  # within a folder that is not
