"""What every test may rely on: a data folder of its own, English, no lessons but the built-in ones; and helpers."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

LABS = Path(__file__).parent / "fixtures" / "labs"
"""Lessons with labs made for tests: `tiny` trains, `faulty` misbehaves as its knob says."""
PERSONAL = ("DLTUTOR_LESSONS", "DLTUTOR_COLORS", "DLTUTOR_GLYPHS", "DLTUTOR_FASHION_MNIST", "NO_COLOR", "FORCE_COLOR")
LONGEST = 300.0  # seconds after which a command hangs: it may compile, on a slow machine that has other work
_numbers = itertools.count()


def pytest_configure(config: pytest.Config) -> None:
    """Keep what Numba compiles from one test run to the next, and away from the learner's."""
    if "NUMBA_CACHE_DIR" not in os.environ:
        os.environ["NUMBA_CACHE_DIR"] = str(config.cache.mkdir("numba"))  # type: ignore[union-attr]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of this test; it does not exist yet."""
    folder = tmp_path_factory.getbasetemp() / f"home-{next(_numbers)}"
    monkeypatch.setenv("DLTUTOR_HOME", str(folder))
    monkeypatch.setenv("DLTUTOR_LANG", "en")
    for name in PERSONAL:
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def labs(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lessons made for tests are part of the course."""
    monkeypatch.setenv("DLTUTOR_LESSONS", str(LABS))
    return LABS


@pytest.fixture
def dltutor(labs: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call `dltutor` with arguments, in a process of its own, without a terminal."""

    def call(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dltutor", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False, **options)  # type: ignore[call-overload]

    return call
