"""Whatever process of a class server is killed: the class goes on, learners are told, and nothing stays behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from conftest import needs_linux
from test_class import children, into_the_exercise, is_gone, wait_for

from dltutor.bench.clients import Client, Server

Come = Callable[..., Client]
START = 60.0  # seconds that no process takes to start
pytestmark = needs_linux


def running(server: Server, *words: str) -> list[int]:
    """Processes of the server's with these words in their command, the oldest first."""
    return sorted(pid for pid in children(server.pid) if set(words) <= set(command(pid)))


def command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def zygote(server: Server, module: str) -> int:
    """That forks: its children have the same command."""
    return running(server, "dltutor.serve.zygote", module)[0]


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def check(client: Client) -> None:
    client.press("c")
    client.until("nothing was added to it", START)  # perhaps by a judge that has to be started first


def test_judges_that_are_killed_are_replaced_and_learners_told(server: Server, learner: Come) -> None:
    ada = learner(server, "ada", 120, 32)
    ada.until("Part 1")
    into_the_exercise(ada)
    check(ada)
    judges = running(server, "dltutor.grading")
    rooms = [child for judge in judges for child in children(judge)]
    assert judges
    assert rooms
    kill(*judges)
    wait_for(lambda: all(map(is_gone, [*judges, *rooms])))
    check(ada)


def test_rooms_that_are_killed_are_replaced(server: Server, learner: Come) -> None:
    ben = learner(server, "ben", 120, 32)
    ben.until("Part 1")
    into_the_exercise(ben)
    check(ben)
    rooms = [child for judge in running(server, "dltutor.grading") for child in children(judge)]
    kill(*rooms)
    wait_for(lambda: all(map(is_gone, rooms)))
    check(ben)


def test_when_what_forks_engines_dies_learners_are_told_and_train_again(server: Server, learner: Come) -> None:
    cem = learner(server, "cem", 120, 32)
    cem.until("Part 1")
    cem.press("\r")
    cem.until("space runs")
    cem.press(" ")
    cem.until("training")
    engines = running(server, "dltutor.engine.served")
    kill(engines[0])
    server.event("zygote started again", START, module="dltutor.engine.served")
    assert all(map(is_gone, engines))
    cem.until("the engine ended")
    cem.press(" ")
    cem.until("training", START)


def test_when_what_forks_sessions_dies_learners_are_told_and_come_again(server: Server, learner: Come) -> None:
    dan = learner(server, "dan", 120, 32)
    dan.until("Part 1")
    sessions = running(server, "dltutor.ui.served")
    kill(sessions[0])
    dan.until("The session ended unexpectedly")
    assert dan.code() == 1
    server.event("zygote started again", START, module="dltutor.ui.served")
    assert all(map(is_gone, sessions))
    learner(server, "dan", 120, 32).until("Part 1")


def test_t10_when_the_server_is_killed_nothing_of_it_is_left(server: Server, learner: Come) -> None:
    """The last test of this server."""
    eve = learner(server, "eve", 120, 32)
    eve.until("Part 1")
    into_the_exercise(eve)
    check(eve)
    eve.press("t")
    eve.until("your mse_backward")
    eve.until("a step: yours")
    left = children(server.pid)
    kill(server.pid)
    assert wait_for(lambda: all(map(is_gone, left))) < 3
