"""Servers and learners for tests: the real `ssh` against the real server, or against a door that only echoes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Servers, echo_server

from dltutor.bench import clients
from dltutor.bench.clients import Client, Server
from dltutor.serve import desk


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """The teacher waits for an answer as long as a slow machine takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk, "PATIENCE", 60.0)
        yield


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
