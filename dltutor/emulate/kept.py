"""Machine code kept from one process to the next, in files that may vanish, be damaged or be those of another version.

A file's name holds the key of what it was made from, and its first bytes the digest of the rest. Whatever is not what
it should be is made anew and written again; where nothing can be written, everything is made in each process.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

DIGEST = 32  # bytes


def folder() -> Path:
    """Beside what Numba keeps. The engine names that folder; without one, the data folder has it."""
    home = os.environ.get("DLTUTOR_HOME") or platformdirs.user_data_path("dltutor", appauthor=False)
    return Path(os.environ.get("NUMBA_CACHE_DIR") or Path(home) / "numba") / "emulate"


def kept(name: str, key: str, make: Callable[[], bytes]) -> bytes:
    """What `make` makes, from a file if it was made before with the same key. Files of `name` with other keys go."""
    path = folder() / f"{name}-{key}.o"
    code = read(path)
    if not code:
        code = make()
        with contextlib.suppress(OSError):  # no folder, no space: then not kept
            write(path, code)
            remove_others(path, name)
    return code


def read(path: Path) -> bytes:
    """Empty where there is no such file, or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return b""
    digest, code = content[:DIGEST], content[DIGEST:]
    return code if hashlib.sha256(code).digest() == digest else b""


def write(path: Path, code: bytes) -> None:
    """All at once: another process reads the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(hashlib.sha256(code).digest() + code)
    unfinished.replace(path)


def remove_others(path: Path, name: str) -> None:
    for other in path.parent.glob(f"{name}-*.o"):
        if other != path:
            other.unlink(missing_ok=True)
