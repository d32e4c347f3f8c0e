"""Engines for tests: those that several share, and one of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from driving import Driver, driven


@pytest.fixture(scope="session")
def _tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with driven(DLTUTOR_HOME=str(tmp_path_factory.mktemp("engine"))) as driver:
        yield driver.open("tiny")


@pytest.fixture(scope="session")
def _faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with driven(DLTUTOR_HOME=str(tmp_path_factory.mktemp("engine"))) as driver:
        yield driver.open("faulty")


@pytest.fixture
def tiny(_tiny: Driver) -> Driver:
    """An engine with the lesson `tiny` open. Several tests share it: leave no run and no credit behind."""
    _tiny.events.clear()
    return _tiny


@pytest.fixture
def faulty(_faulty: Driver) -> Driver:
    """An engine with the lesson `faulty` open, for faults that it survives."""
    _faulty.events.clear()
    return _faulty


@pytest.fixture
def engine(home: Path) -> Iterator[Driver]:
    """An engine for one test, nothing open."""
    with driven(DLTUTOR_HOME=str(home)) as driver:
        yield driver


@pytest.fixture
def engine_with(home: Path) -> Iterator[Callable[..., Driver]]:
    """Make an engine with other environment variables; `limit`: how many bytes a file may have."""
    made: list[Driver] = []

    def make(limit: int = 0, **environment: str) -> Driver:
        made.append(Driver(limit=limit, DLTUTOR_HOME=str(home), **environment))
        return made[-1]

    yield make
    for driver in made:
        driver.close()
