"""Servers for tests: the real one, and a door that only echoes; and what tests of them need."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from dltutor.bench import clients
from dltutor.bench.clients import Server
from dltutor.bench.terminal import python

ECHO = Path(__file__).parent / "echo.py"
PATIENT = Path(__file__).parent / "patient.py"
needs_ssh = pytest.mark.skipif(bool(clients.missing()), reason=f"{clients.missing()} is not installed")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through Linux's /proc")


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


def echo_server(folder: Path, **settings: Any) -> AbstractContextManager[Server]:
    """`settings`: of the server, as far as they are JSON; `part`: of its time, that one may have."""
    return clients.running(python(str(ECHO), str(folder / "state"), json.dumps(settings)), folder)
