"""Whatever process of a class server is killed: the class goes on, learners are told, and nothing stays behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from facts import is_gone, wait_for
from servers import needs_linux

from dltutor.bench.clients import START, Client, Server
from dltutor.bench.processes import children, descendants
from dltutor.bench.trouble import into_the_exercise
from dltutor.serve.desk import Visitor

Come = Callable[..., Client]
VERDICT = "nothing was added to it"
FAILURES = "the grader ended", "the check did not end"  # a room that starts may take too long
pytestmark = needs_linux


def running(server: Server, *words: str) -> list[int]:
    """Processes of the server's with these words in their command, the oldest first."""
    return sorted(pid for pid in children(server.pid) if set(words) <= set(command(pid)))


def command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def kill(*pids: int) -> None:
    """With one of them another may have ended."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def check(server: Server, client: Client) -> None:
    """Until there is a verdict, perhaps of a judge that has to be started first; one that fails asks for another."""
    judged = False
    while not judged:
        before = done(server)
        client.press("c")
        wait_for(lambda before=before: done(server) > before)
        client.until(lambda screen: any(answer in screen for answer in (VERDICT, *FAILURES)))
        judged = VERDICT in client.text()


def done(server: Server) -> int:
    return int(Visitor(server.state).status()["grades"]["done"])


def test_judges_and_rooms_that_are_killed_are_replaced(server: Server, learner: Come) -> None:
    ada = learner(server, "ada", 120, 32)
    ada.until("Part 1")
    into_the_exercise(ada)
    check(server, ada)
    judges = running(server, "dltutor.grading")
    rooms = [child for judge in judges for child in children(judge)]
    assert judges and rooms
    kill(*rooms)
    wait_for(lambda: all(map(is_gone, rooms)))
    check(server, ada)
    theirs = [child for judge in judges for child in descendants(judge)]
    kill(*judges)
    wait_for(lambda: all(map(is_gone, [*judges, *theirs])))
    check(server, ada)


def test_when_what_forks_engines_dies_learners_are_told_and_train_again(server: Server, learner: Come) -> None:
    cem = learner(server, "cem", 120, 32)
    cem.until("Part 1")
    cem.press("\r")
    cem.until("space runs")
    cem.press(" ")
    cem.until("training")
    (zygote,) = running(server, "dltutor.engine.served")
    engines = descendants(zygote)
    kill(zygote)
    cem.until("the engine ended")
    server.event("zygote started again", START, module="dltutor.engine.served")
    wait_for(lambda: all(map(is_gone, [zygote, *engines])))
    cem.press(" ")
    cem.until("training", START)


def test_when_what_forks_sessions_dies_learners_are_told_and_come_again(server: Server, learner: Come) -> None:
    dan = learner(server, "dan", 120, 32)
    dan.until("Part 1")
    (zygote,) = running(server, "dltutor.ui.served")
    sessions = descendants(zygote)
    kill(zygote)
    dan.until("The session ended unexpectedly")
    assert dan.code() == 1
    server.event("zygote started again", START, module="dltutor.ui.served")
    wait_for(lambda: all(map(is_gone, [zygote, *sessions])))
    learner(server, "dan", 120, 32).until("Part 1")


def test_t10_when_the_server_is_killed_nothing_of_it_is_left(server: Server, learner: Come) -> None:
    """The last test of this server: whoever needs one after it has to start another."""
    eve = learner(server, "eve", 120, 32)
    eve.until("Part 1")
    into_the_exercise(eve)
    check(server, eve)
    eve.press("t")
    eve.until("your mse_backward")
    eve.until("a step: yours")
    left = descendants(server.pid)
    kill(server.pid)
    wait_for(lambda: all(map(is_gone, left)))
