"""A class as its learners have it: the whole application, engines and checks, through the real `ssh`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from facts import MB, is_gone, memory, sessions_of, wait_for
from servers import PATIENT

from dltutor.bench import clients
from dltutor.bench.clients import START, Client, Server
from dltutor.bench.processes import children, command_of, descendants
from dltutor.bench.ssh import ask_once
from dltutor.bench.terminal import environment_of
from dltutor.bench.trouble import into_the_exercise
from dltutor.cli import main
from dltutor.serve.grades import Grades
from dltutor.serve.health import private_bytes
from dltutor.serve.settings import Settings

Come = Callable[..., Client]
WAITING = 100  # checks


@pytest.fixture
def ada(server: Server, learner: Come) -> Iterator[Client]:
    """A new learner each time."""
    client = learner(server, "ada", 120, 32)
    client.until("Part 1")
    yield client


def session_of(server: Server, name: str = "ada") -> dict[str, Any]:
    """The newest one of a learner of that name, once there is one."""
    return wait_for(lambda: sessions_of(server, name))[0]


def train(client: Client) -> None:
    """From the course."""
    client.press("\r")
    client.until("space runs")
    client.press(" ")
    client.until("training")


def open_files(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def forked(server: Server) -> list[int]:
    """The sessions and engines that there are, also those that have ended and are not yet buried."""
    zygotes = [pid for pid in children(server.pid) if "dltutor.serve.zygote" in command_of(pid)]
    assert len(zygotes) == 2
    return [child for zygote in zygotes for child in descendants(zygote)]


# ---------------------------------------------------------------- a learner at work


def test_a_learner_trains_the_first_lesson(ada: Client) -> None:
    train(ada)
    ada.press("x")


def test_what_a_learner_writes_is_checked_and_trains(ada: Client) -> None:
    into_the_exercise(ada)
    ada.press("c")
    ada.until("nothing was added to it", START)
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


# ---------------------------------------------------------------- its end


def test_t8_when_a_client_is_killed_its_session_is_gone_at_once(server: Server, ada: Client) -> None:
    """By itself: this server would make it go after minutes."""
    ada.press("\r")
    ada.until("space runs")
    session = session_of(server)
    ada.send(signal.SIGKILL)
    server.event("session closed", session=session["number"])
    assert is_gone(session["pid"])


def test_t8_sessions_leave_no_file_open_and_no_process(server: Server, learner: Come) -> None:
    wait_for(lambda: not forked(server))
    files = open_files(server)
    for first in ("Part 1", "space runs"):  # they come again, and go on where they were
        learners = [learner(server, f"learner{place}", 120, 32) for place in range(3)]
        for client in learners:
            client.until(first)
            client.press("\r" if first == "Part 1" else "")
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
    train(ada)
    front = memory(server.pid)
    ada.send(signal.SIGSTOP)
    time.sleep(2)  # of training
    assert memory(server.pid) - front < 5 * MB
    ada.send(signal.SIGCONT)
    ada.paint("?", "start, pause or go on with the training")


def test_t9_what_was_written_before_a_client_stood_still_is_saved(server: Server, learner: Come, ada: Client) -> None:
    into_the_exercise(ada)
    ada.press("e# forty two")
    ada.until("# forty two")
    session = session_of(server)
    ada.send(signal.SIGSTOP)
    os.kill(server.pid, signal.SIGUSR1)  # it asks whether she is still there
    server.event("session closed", session=session["number"])
    assert is_gone(session["pid"])
    again = learner(server, "ada", 120, 32)
    again.until("# forty two")
    ada.send(signal.SIGKILL)


def test_g13_keys_are_answered_while_a_hundred_checks_wait(ada: Client) -> None:
    """By judges of another server on the same machine."""
    waiting, answered = threading.Event(), threading.Event()
    left: list[int] = []
    asking = threading.Thread(target=lambda: left.append(asyncio.run(crowd(waiting, answered))))
    asking.start()
    assert waiting.wait(START)
    for _time in range(5):
        ada.paint("?", "all keys of this screen")
        ada.paint("\x1b", "Part 1")
    answered.set()
    asking.join()
    assert left[0] > WAITING // 10  # so keys do not stand in their queue


async def crowd(waiting: threading.Event, answered: threading.Event) -> int:
    """How many of a hundred checks, which began as `waiting` was set, still wait as `answered` is."""
    grades = Grades(os.cpu_count() or 1, Settings(Path("/nonexistent")).environment())
    await grades.start()
    if grades.refusal:
        return WAITING
    asking = [asyncio.create_task(ask_once(grades, number)) for number in range(WAITING)]
    waiting.set()
    await asyncio.to_thread(answered.wait)
    left = grades.status()["waiting"]
    await grades.close()
    for asked in asking:
        asked.cancel()
    await asyncio.wait(asking)
    return int(left)


def test_t6_the_application_bears_any_size_and_stays_small(server: Server, ada: Client) -> None:
    train(ada)
    pid = session_of(server)["pid"]
    for size in ((1, 1), (500, 200), (65535, 65535)):
        before = len(ada.pieces)
        ada.resize(*size)
        if size == (1, 1):
            ada.listen(0.5)  # there is nothing to be seen
        else:
            wait_for(lambda before=before: LAST_ROWS.search(b"".join(piece.data for piece in ada.pieces[before:])))
        ada.resize(120, 32)
        ada.until("training")
        ada.paint("?", "all keys of this screen")
        ada.paint("\x1b", lambda screen: "training" in screen and "all keys of this screen" not in screen)
        assert private_bytes(pid) < 60 * MB


LAST_ROWS = re.compile(rb"\x1b\[(19\d|200);\d+H")  # of the largest screen that an application can have


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
    before = session_of(server, "paste")["number"]
    client = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment_of({"TERM": "xterm-256color"})
    )
    try:
        wait_for(lambda: session_of(server, "paste")["number"] > before)
        pids = server.pid, session_of(server, "paste")["pid"]
        paste(client, piece, 0.5)  # until what always grows has grown
        for pid, size in [(pid, memory(pid)) for pid in pids]:
            paste(client, piece, 0.5)
            assert memory(pid) - size < 5 * MB
    finally:
        client.kill()
        client.wait()


def paste(client: subprocess.Popen[bytes], piece: bytes, seconds: float) -> None:
    """50 MB, or as much as is taken in so many seconds."""
    assert client.stdin
    os.set_blocking(client.stdin.fileno(), False)
    end = time.monotonic() + seconds
    given = 0
    while time.monotonic() < end and given < 50 * MB:
        try:
            given += os.write(client.stdin.fileno(), piece[given:] if len(piece) > MB else piece)
        except BlockingIOError:
            time.sleep(0.01)


def test_every_line_of_the_log_is_json(server: Server) -> None:
    """Nothing else was written by what has happened here so far."""
    assert server.other == []
    assert all(json.dumps(event) for event in server.events)


# ---------------------------------------------------------------- a class of its own, without judges


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: clients.keygen(folder / name) for name in ("ada", "lin", "eve")}


def lines(keys: dict[str, Path], *names: str) -> str:
    return "".join(keys[name].with_suffix(".pub").read_text() for name in names)


@pytest.fixture(scope="module")
def listed(keys: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For those on a roster."""
    folder = tmp_path_factory.mktemp("listed")
    (folder / "roster").write_text(lines(keys, *keys))
    with clients.serve(folder, "--roster", str(folder / "roster"), program=[str(PATIENT), "lenient"]) as server:
        yield server


def test_whoever_is_taken_off_the_roster_is_told_and_keeps_all(
    listed: Server, learner: Come, keys: dict[str, Path]
) -> None:
    roster = listed.folder / "roster"
    ada = learner(listed, "ada", 120, 32, key=keys["ada"])
    lin = learner(listed, "lin", 120, 32, key=keys["lin"], options=["-oSetEnv=LANG=zh_CN.UTF-8"])
    into_the_exercise(ada)
    lin.until("第 1 部分")
    roster.write_text(lines(keys, "ada", "eve"))
    lin.until("你的公钥已从本班名单中移除")
    assert lin.code() == 0
    ada.press("e# forty two")
    ada.until("# forty two")
    roster.write_text(lines(keys, "lin", "eve"))
    ada.until("Your key was taken off the roster")
    assert ada.code() == 0
    roster.write_text(lines(keys, *keys))
    learner(listed, "ada", 120, 32, key=keys["ada"]).until("# forty two")


def test_at_the_end_the_learner_is_told_and_the_server_is_gone(
    listed: Server, learner: Come, keys: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """The last one of that class."""
    eve = learner(listed, "eve", 120, 32, key=keys["eve"])
    eve.until("Part 1")
    command = ["serve", "stop", "--in", "1", "--state", str(listed.state)]
    assert main(command) == 0 and "1 s" in capfd.readouterr().out
    eve.until("The class has ended")
    assert eve.code() == 0
    assert listed.process.wait(60) == 0
    listed.event("stopped")
    assert main(command) == 1 and "no class server is running" in capfd.readouterr().err
