"""Which files are seen from inside the room: Python and its packages, to read; not the course's answers, nor the
learner's own files."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]  # dltutor
SYSTEM = ("/usr", "/lib", "/lib64", "/nix/store", "/etc/ld.so.cache", "/proc/cpuinfo")
LIBRARIES = ("numpy", "numba", "llvmlite")
FOR_TERMINALS = ("/etc/localtime", "/etc/terminfo", "/dev/urandom")
COMPILER = ("__init__", "compile", "kept", "learner", "machine", "machine_code", "shape_errors")
FOR_GRADING = (
    "__init__.py", "errors.py", "i18n.py", "locale", "grading", "room", "emulate",
    *(f"kernels/{name}.py" for name in COMPILER),
)  # fmt: skip
"""What of this package is needed to compile and call a kernel: no kernels, no proofs, no lessons."""


@dataclass(frozen=True)
class View:
    """`readable`, without what is `hidden` in it, but with what is `shown` again."""

    readable: tuple[Path, ...]
    hidden: tuple[Path, ...]
    shown: tuple[Path, ...]

    def pieces(self) -> Iterator[Path]:
        """The same as a list of folders and files that can all be read entirely."""
        for path in self.readable:
            yield from _around(path, self.hidden)
        yield from self.shown

    def as_text(self) -> str:
        return json.dumps([list(map(str, paths)) for paths in (self.readable, self.hidden, self.shown)])

    @classmethod
    def from_text(cls, text: str) -> View:
        return cls(*(tuple(map(Path, names)) for names in json.loads(text)))

    def folders(self) -> set[Path]:
        """Where Python looks for what is shown."""
        return {path.parent for path in self.shown}


def for_grading(worker: str) -> View:
    """What code needs that is checked: `worker` is the module that checks it."""
    spec = importlib.util.find_spec(worker) if worker else None
    origin = [Path(spec.origin)] if spec and spec.origin else []
    parts = [PACKAGE / name for name in FOR_GRADING]
    return _view(hidden=[PACKAGE, _data_folder()], shown=[*parts, *origin])


def for_training(readable: Iterable[Path]) -> View:
    """What training needs: the whole package, and `readable`, even in the learner's data folder."""
    return _view(hidden=[_data_folder()], shown=[PACKAGE, *readable])


def for_session(readable: Iterable[Path], hidden: Iterable[Path] = ()) -> View:
    """What an application needs that somebody uses from elsewhere: the whole package, and `readable`."""
    return _view(hidden=hidden, shown=[PACKAGE, *map(Path, FOR_TERMINALS), *readable])


def _view(hidden: Iterable[Path], shown: Iterable[Path]) -> View:
    return View(roots(), _distinct(hidden), _distinct(shown))


@cache
def roots() -> tuple[Path, ...]:
    """Where the system, Python and its packages are."""
    named = [Path(name) for name in (*SYSTEM, sys.base_prefix, sys.prefix)]
    return _outermost([*named, *(_home(name) for name in LIBRARIES)])


def _home(package: str) -> Path:
    """The folder that `package` is installed in, found without importing it."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parents[1] if spec and spec.origin else Path(sys.prefix)


def _data_folder() -> Path:
    from dltutor.progress import home

    return home()


def _distinct(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(path.absolute() for path in paths if os.path.exists(path)))


def _outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Without those that lie in another one."""
    found = _distinct(paths)
    return tuple(path for path in found if not any(other in path.parents for other in found))


def _around(path: Path, hidden: tuple[Path, ...]) -> Iterator[Path]:
    """`path`, taken apart where something hidden lies in it."""
    if path in hidden:
        return
    if not any(path in hole.parents for hole in hidden):
        yield path
        return
    for entry in path.iterdir():
        yield from _around(entry, hidden)
