"""A class that trains, and three who make trouble: one checks a fork bomb as its exercise, one loses its link in the
middle of a word and comes back, and a stranger floods the login. Nobody else is to notice."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from dltutor.bench.clients import Client, Server
from dltutor.bench.crowd import PATIENCE, QUESTION, Class, answers, count_since, paints, press, probes_of
from dltutor.bench.rows import Row, at_least, at_most, to_know

EXERCISE = "01-linear-regression/mse-backward"
TASK = "Write the gradient of the loss"
BOMB = "import os\n\n\ndef mse_backward(y, t, dy):\n    pass\n\n\nwhile True:\n    os.fork()\n"
WORD = "half_a_wo"  # when the link is lost
VERDICT = re.compile(r"verdict · [\d.]+ s")
STRANGERS, LOGINS = 4, 60.0  # so many try so many logins a second, as far as they get
NOTICED = 150.0  # ms, p95 from the key to the screen


def measure(learners: Class) -> Iterator[Row]:
    """Keys of those who train: before, and under all of it."""
    writer, bomber = in_the_exercise(learners), in_the_exercise(learners, BOMB)
    crowd = learners.crowd(learners.amount.peaceful)
    name = f"{len(crowd) + 2} are here"
    crowd[0].listen(4.0)  # the budget is shared out anew
    yield from pressing(learners, crowd, f"{name}, no trouble")
    with flood(learners.server) as turned_away, ThreadPoolExecutor() as beside:
        exploded = bomber.press("c")
        leaving = beside.submit(lost_and_back, learners, writer)
        yield from pressing(learners, crowd, f"{name}, three make trouble")
        seconds, is_same = leaving.result()
    verdict = bomber.until(judged, PATIENCE) - exploded
    yield to_know(f"{name}: a fork bomb has its verdict", verdict, "s")
    yield to_know(f"{name}: strangers turned away", len(turned_away), "")
    yield to_know(f"{name}: back after the link was lost", seconds, "s")
    yield at_least(f"{name}: back at the same text and cursor", is_same, 1, "")
    yield at_most(f"{name}: others whose session ended", sum(client.ended for client in [*crowd, bomber]), 0, "")


def pressing(learners: Class, crowd: list[Client], name: str) -> Iterator[Row]:
    """Keys pressed at some of them, and how often their charts move."""
    probes = probes_of(crowd[:4])
    began = time.perf_counter()
    press(probes, learners.amount.keys)
    seconds = answers(probes)
    frames = sum(count_since(client, QUESTION, began) for client in crowd) / (time.perf_counter() - began)
    yield from paints(name, seconds, NOTICED)
    yield to_know(f"{name}: frames", frames / len(crowd), "/s each")


# ---------------------------------------------------------------- the three


def in_the_exercise(learners: Class, text: str = "") -> Client:
    """A learner who has the first exercise of the course open, with this text in it."""
    key, fingerprint = learners.expect(settled=False)
    if text:
        file = learners.server.state / "users" / fingerprint / "exercises" / f"{EXERCISE}.py"
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
    client = learners.come((key, fingerprint))
    into_the_exercise(client)
    return client


def into_the_exercise(client: Client) -> None:
    """From the course to the first exercise of the first lesson."""
    client.until("Part 1")
    client.press("\r")
    client.until("space runs")
    for section in (2, 3, 4):
        client.press("n")
        client.until(f"{section}/12")
    client.press("e")
    client.until("enter opens it")
    client.press("\r")
    client.until(TASK)


def judged(screen: str) -> bool:
    return bool(VERDICT.search(screen))


def lost_and_back(learners: Class, writer: Client) -> tuple[float, bool]:
    """Seconds from the loss to the same screen; and whether text and cursor were where they had been."""
    writer.press("e" + WORD)
    writer.until(WORD)
    writer.settle()
    before = writer.cursor, lines_with(WORD, writer)
    began = time.perf_counter()
    writer.send(signal.SIGKILL)
    again = learners.come_again(writer)
    seconds = again.until(WORD) - began
    again.settle()
    return seconds, (again.cursor, lines_with(WORD, again)) == before


def lines_with(word: str, client: Client) -> list[str]:
    return [line for line in client.lines if word in line]


@contextmanager
def flood(server: Server) -> Iterator[list[int]]:
    """Strangers at the door, again and again; the exit codes of their `ssh`."""
    codes: list[int] = []
    over = threading.Event()
    strangers = [threading.Thread(target=knock, args=(server, codes, over)) for _number in range(STRANGERS)]
    for stranger in strangers:
        stranger.start()
    try:
        yield codes
    finally:
        over.set()
        for stranger in strangers:
            stranger.join()


def knock(server: Server, codes: list[int], over: threading.Event) -> None:
    """With no key at all."""
    command = server.command(None, "stranger", ["-o", "BatchMode=yes", "-o", "PubkeyAuthentication=no"])
    while not over.wait(STRANGERS / LOGINS):
        codes.append(subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).returncode)
