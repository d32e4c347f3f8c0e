"""Servers and learners for tests: the real `ssh` against the real server, or against a door that only echoes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from dltutor.bench import clients
from dltutor.bench.clients import Client, Server
from dltutor.bench.terminal import python

ECHO = Path(__file__).parent / "echo.py"
needs_ssh = pytest.mark.skipif(bool(clients.missing()), reason=f"{clients.missing()} is not installed")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through Linux's /proc")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`dltutor serve --open`, one for all tests of a file."""
    if clients.missing():
        pytest.skip(f"{clients.missing()} is not installed")
    with clients.serve(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The door alone, open to any key, with a classroom that echoes."""
    if clients.missing():
        pytest.skip(f"{clients.missing()} is not installed")
    with echo_server(tmp_path_factory.mktemp("echo"), open=True) as server:
        yield server


def echo_server(folder: Path, **settings: Any) -> AbstractContextManager[Server]:
    """`settings`: of the server, as far as they are JSON; `limits` are the door's."""
    return clients.running(python(str(ECHO), str(folder / "state"), json.dumps(settings)), folder)


@pytest.fixture
def learner(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Let somebody come: learner(server, "ada") is a client with a key of its own; gone at the end of the test."""
    came: list[Client] = []

    def come(server: Server, name: str = "ada", columns: int = 400, rows: int = 24, **options: Any) -> Client:
        key = tmp_path / f"{name}-key"
        if not key.exists():
            clients.keygen(key)
        came.append(server.client(options.pop("key", key), name, columns, rows, **options))
        return came[-1]

    yield come
    for client in came:
        client.close()
