"""A class as its learners have it: the whole application, engines and checks, through the real `ssh`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dltutor.bench import clients
from dltutor.bench.clients import START, Client, Server
from dltutor.bench.processes import children, command_of, descendants
from dltutor.bench.ssh import ask
from dltutor.bench.terminal import environment_of, python
from dltutor.bench.trouble import into_the_exercise
from dltutor.serve.desk import Visitor
from dltutor.serve.health import private_bytes

Come = Callable[..., Client]
SAFETY = 20  # seconds that nothing here takes
MB = 1 << 20


@pytest.fixture
def ada(server: Server, learner: Come) -> Iterator[Client]:
    """A new learner each time."""
    client = learner(server, "ada", 120, 32)
    client.until("Part 1")
    yield client


def pid_of(server: Server, name: str = "ada") -> int:
    """Of the newest session that a learner of that name has; 0: there is none."""
    theirs = [told for told in Visitor(server.state).status()["sessions"] if told["name"] == name]
    return max(theirs, key=lambda told: told["number"])["pid"] if theirs else 0


def wait_for(fact: Callable[[], Any], seconds: float = SAFETY) -> float:
    """Seconds until it was so."""
    began = time.monotonic()
    while not fact():
        assert time.monotonic() - began < seconds
        time.sleep(0.002)
    return time.monotonic() - began


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def settled_memory(pid: int) -> int:
    """Of a session that has painted and now waits."""
    before, now = 0, memory(pid)
    while abs(now - before) > 64 << 10:
        time.sleep(0.5)
        before, now = now, memory(pid)
    return now


def open_files(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def forked(server: Server) -> list[int]:
    """The sessions and engines that there are, also those that have ended and are not yet buried."""
    zygotes = [pid for pid in children(server.pid) if "dltutor.serve.zygote" in command_of(pid)]
    assert len(zygotes) == 2
    return [child for zygote in zygotes for child in descendants(zygote)]


# ---------------------------------------------------------------- a learner at work


def test_a_learner_trains_the_first_lesson(ada: Client) -> None:
    ada.press("\r")
    ada.until("space runs")
    ada.press(" ")
    ada.until("training")
    ada.press("x")


def test_what_a_learner_writes_is_checked_and_trains(ada: Client) -> None:
    into_the_exercise(ada)
    ada.press("c")
    ada.until("nothing was added to it")
    ada.press("t")
    ada.until("your mse_backward")
    ada.until("a step: yours")


def test_whoever_comes_again_goes_on_where_they_were(server: Server, learner: Come, ada: Client) -> None:
    into_the_exercise(ada)
    ada.send(signal.SIGKILL)
    again = learner(server, "ada", 120, 32)
    again.until("Write the gradient of the loss")


def test_whoever_goes_on_elsewhere_is_told_where_they_were_before(server: Server, learner: Come, ada: Client) -> None:
    into_the_exercise(ada)
    elsewhere = learner(server, "ada", 100, 30)
    elsewhere.until("Write the gradient of the loss")
    ada.until("You went on elsewhere")
    assert ada.code() == 0


def test_whoever_is_taken_off_the_roster_is_told_and_keeps_all(learner: Come, tmp_path: Path) -> None:
    lines = {name: clients.keygen(tmp_path / f"{name}-key").with_suffix(".pub").read_text() for name in ("ada", "lin")}
    roster = tmp_path / "keys.txt"
    roster.write_text("".join(lines.values()))
    with clients.serve(tmp_path, "--roster", str(roster)) as server:
        ada = learner(server, "ada", 120, 32)
        lin = learner(server, "lin", 120, 32, options=["-oSetEnv=LANG=zh_CN.UTF-8"])
        into_the_exercise(ada)
        lin.until("第 1 部分")
        roster.write_text(lines["ada"])
        lin.until("你的公钥已从本班名单中移除")
        assert lin.code() == 0
        ada.press("e# forty two")
        ada.until("# forty two")
        roster.write_text(lines["lin"])
        ada.until("Your key was taken off the roster")
        assert ada.code() == 0
        roster.write_text("".join(lines.values()))
        learner(server, "ada", 120, 32).until("# forty two")


# ---------------------------------------------------------------- its end


def test_t8_when_a_client_is_killed_its_session_is_gone_at_once(server: Server, ada: Client) -> None:
    ada.press("\r")
    ada.until("space runs")
    pid = pid_of(server)
    ada.send(signal.SIGKILL)
    assert wait_for(lambda: is_gone(pid)) < 0.9  # a second later it would have been made to


def test_t8_sessions_leave_no_file_open_and_no_process(server: Server, learner: Come) -> None:
    wait_for(lambda: not forked(server))
    files = open_files(server)
    for number in range(3):
        learners = [learner(server, f"learner{place}", 120, 32) for place in range(3)]
        for client in learners:
            client.until("Part 1" if not number else "space runs")
            client.press("\r")
        for client in learners:
            client.until("space runs")
            client.press(" ")
            client.until("training")
        assert len(forked(server)) >= 2 * len(learners)
        for client in learners:
            client.send(signal.SIGKILL)
        wait_for(lambda: not forked(server))
    wait_for(lambda: open_files(server) <= files)


# ---------------------------------------------------------------- a learner who is too much


def test_t9_a_client_that_stands_still_grows_nothing_and_goes_on(server: Server, ada: Client) -> None:
    ada.press("\r")
    ada.until("space runs")
    ada.press(" ")
    ada.until("training")
    front = memory(server.pid)
    ada.send(signal.SIGSTOP)
    time.sleep(5)
    assert memory(server.pid) - front < MB
    ada.send(signal.SIGCONT)
    ada.paint("?", "start, pause or go on with the training")


IMPATIENT = """
from dltutor.cli import main
from dltutor.serve import ssh

class Limits(ssh.Limits):
    def __init__(self): super().__init__(alive=0.5)

ssh.Limits = Limits
main()
"""


def test_t9_what_was_written_before_a_client_stood_still_is_saved(learner: Come, tmp_path: Path) -> None:
    options = ["serve", "--open", "--state", str(tmp_path / "state"), "--host", "127.0.0.1", "--port", "0"]
    with clients.running(python("-c", IMPATIENT, *options), tmp_path) as server:
        ada = learner(server, "ada", 120, 32)
        into_the_exercise(ada)
        ada.press("e# forty two")
        ada.until("# forty two")
        pid = pid_of(server)
        ada.send(signal.SIGSTOP)
        server.event("session closed", SAFETY)
        wait_for(lambda: is_gone(pid))
        again = learner(server, "ada", 120, 32)
        again.until("# forty two")
        ada.send(signal.SIGKILL)


def test_g13_keys_are_answered_while_a_hundred_checks_wait(ada: Client) -> None:
    """By judges of another server on the same machine. The limit is for what is not answered at all."""
    ready = threading.Event()
    asking = threading.Thread(target=lambda: asyncio.run(ask(100, ready)))
    asking.start()
    ready.wait(START)
    took = []
    while asking.is_alive():
        took += [ada.paint("?", "all keys of this screen"), ada.paint("\x1b", "Part 1")]
    assert sorted(took)[int(0.95 * len(took))] < 3


@pytest.mark.parametrize("size", [(1, 1), (500, 200), (65535, 65535)], ids=str)
def test_t6_the_application_bears_any_size_and_stays_small(
    server: Server, learner: Come, ada: Client, size: tuple[int, int]
) -> None:
    ada.press("\r")
    ada.until("space runs")
    ada.press(" ")
    ada.until("training")
    pid = pid_of(server)
    ada.resize(*size)
    settled_memory(pid)
    ada.resize(120, 32)
    ada.until("training")
    assert private_bytes(pid) < 60 * MB


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b"x" * 4096, id="keys"),
        pytest.param(b"\x1b[<35;10;10M" * 400, id="mouse"),
        pytest.param(b"\x1b[200~" + b"y" * 50 * MB, id="paste"),
    ],
)
def test_t13_whatever_is_pasted_grows_nothing(server: Server, learner: Come, tmp_path: Path, piece: bytes) -> None:
    learner(server, "paste", 120, 32).until("Part 1")  # its key is there now
    command = server.command(tmp_path / "paste-key", "paste", ["-tt"])
    before = pid_of(server, "paste")
    client = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment_of({"TERM": "xterm-256color"})
    )
    try:
        wait_for(lambda: pid_of(server, "paste") not in (0, before))
        session = pid_of(server, "paste")
        settled_memory(session)
        paste(client, piece, server, session)
    finally:
        client.kill()
        client.wait()


def paste(client: subprocess.Popen[bytes], piece: bytes, server: Server, session: int) -> None:
    """50 MB, or as much as is taken in five seconds."""
    assert client.stdin
    os.set_blocking(client.stdin.fileno(), False)
    front, its = memory(server.pid), memory(session)
    end = time.monotonic() + 5
    given = 0
    while time.monotonic() < end and given < 50 * MB:
        try:
            given += os.write(client.stdin.fileno(), piece[given:] if len(piece) > MB else piece)
        except BlockingIOError:
            time.sleep(0.01)
    assert memory(server.pid) - front < 2 * MB
    assert memory(session) - its < 2 * MB


def test_every_line_of_the_log_is_json(server: Server) -> None:
    """The last one: nothing else was written by what has happened here."""
    assert server.other == []
    assert all(json.dumps(event) for event in server.events)
