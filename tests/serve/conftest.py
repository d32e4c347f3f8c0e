"""Servers and learners for tests: the real `ssh` against the real server, or against a door that only echoes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from dltutor.bench import clients
from dltutor.bench.clients import Client, Server
from dltutor.bench.terminal import python
from dltutor.serve import desk

ECHO = Path(__file__).parent / "echo.py"
PATIENT = Path(__file__).parent / "patient.py"
needs_ssh = pytest.mark.skipif(bool(clients.missing()), reason=f"{clients.missing()} is not installed")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through Linux's /proc")


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """The teacher waits for an answer as long as a slow machine takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk, "PATIENCE", 60.0)
        yield


class Servers:
    """`dltutor serve --open --web 0`: one for all tests, and another when a test has ended that."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._server: Server | None = None
        self._stack = ExitStack()

    def one(self) -> Server:
        if not self._server or self._server.process.poll() is not None:
            folder = self._folders.mktemp("server")
            options = "--open", "--web", "0"
            self._server = self._stack.enter_context(clients.serve(folder, *options, program=[str(PATIENT)]))
        return self._server

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    servers = Servers(tmp_path_factory)
    yield servers
    servers.close()


@pytest.fixture
def server(servers: Servers) -> Server:
    if clients.missing():
        pytest.skip(f"{clients.missing()} is not installed")
    return servers.one()


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The door alone, open to any key, with a classroom that echoes."""
    if clients.missing():
        pytest.skip(f"{clients.missing()} is not installed")
    with echo_server(tmp_path_factory.mktemp("echo"), open=True) as server:
        yield server


def echo_server(folder: Path, **settings: Any) -> AbstractContextManager[Server]:
    """`settings`: of the server, as far as they are JSON; `part`: of its time, that one may have."""
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
