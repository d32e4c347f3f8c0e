"""What a class server is started with, where it keeps its things, and what its processes may know."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dltutor.progress import home

PASSED_ON = ("DLTUTOR_GLYPHS", "DLTUTOR_LESSONS", "TZ")  # of the server's own environment; all else stays here


@dataclass(frozen=True)
class Settings:
    state: Path
    host: str = ""  # all interfaces
    port: int = 2222
    roster: Path | None = None  # authorized_keys of who may come in; None: see `keys`
    class_code: str = ""
    open: bool = False  # to any key
    web: int | None = None  # a port for browsers
    web_host: str = "127.0.0.1"
    max_sessions: int = 200
    idle_minutes: float = 30.0
    cores: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))

    @property
    def keys(self) -> Path | None:
        """The file that says who may come in, where that is not said in another way."""
        return self.roster or (None if self.class_code or self.open else self.state / "roster")

    @property
    def users(self) -> Path:
        """A folder for each learner lies in it."""
        return self.state / "users"

    @property
    def kernels(self) -> Path:
        """Compiled, for all learners; where the server's own environment names a folder for them, there."""
        return Path(os.environ.get("NUMBA_CACHE_DIR") or self.state / "numba")

    @property
    def lessons(self) -> list[str]:
        """Folders of lessons that are not built in."""
        return [folder for folder in os.environ.get("DLTUTOR_LESSONS", "").split(os.pathsep) if folder]

    def environment(self, own: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Of the processes that are started here, built from nothing: of `own`, the server's, only what they need."""
        images = own.get("DLTUTOR_FASHION_MNIST") or str(home() / "fashion-mnist")
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            "HOME": "/nonexistent",
            "LANG": "C.UTF-8",
            "DLTUTOR_HOME": str(self.state),
            "DLTUTOR_FASHION_MNIST": images,
            "NUMBA_CACHE_DIR": str(self.kernels),
            "NUMBA_THREADING_LAYER": "workqueue",  # the only one that survives a fork
            "OPENBLAS_NUM_THREADS": "1",
            **{name: own[name] for name in PASSED_ON if own.get(name)},
        }
