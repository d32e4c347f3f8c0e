"""Machine code kept from one process to the next, in files that may vanish, be damaged or be those of another version.

A file's name holds the key of what it was made from, and its first bytes the digest of the rest. Whatever is not what
it should be is made anew and written again; where nothing can be written, everything is made in each process.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import linecache
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import FunctionType

DIGEST = 32  # bytes


def folder() -> Path:
    """NUMBA_CACHE_DIR, which every process of ours names first (dltutor/compiled.py); without it, beside this file."""
    return Path(os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).with_name("__pycache__"))


def kept(name: str, key: str, make: Callable[[], bytes]) -> bytes:
    """What `make` makes, from a file if it was made before with the same key. Files of `name` with other keys go."""
    file = path(name, key)
    return read(file) or _made(file, name, make)


def _made(file: Path, name: str, make: Callable[[], bytes]) -> bytes:
    """Made here, or by another process while this one waited for it."""
    with alone(name):
        code = read(file)
        if not code:
            code = make()
            with contextlib.suppress(OSError):  # no folder, no space: then not kept
                write(file, code)
                remove_others(file, name)
    return code


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Nobody else makes something of this name meanwhile; where a file system has no locks, somebody may.

    A process that ends lets go of its locks.
    """
    place = int(key(name), 16) % 2**30  # a byte of the file of locks
    with contextlib.suppress(OSError):
        fcntl.lockf(_locks(folder()), fcntl.LOCK_EX, 1, place)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.lockf(_locks(folder()), fcntl.LOCK_UN, 1, place)


@cache
def _locks(folder: Path) -> int:
    """Stays open: closing it would let go of all locks."""
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(folder / "locks", os.O_RDWR | os.O_CREAT, 0o600)


def forget_locks() -> None:
    """Before a fork: the child's own files would have their numbers."""
    _locks.cache_clear()


def path(name: str, key: str) -> Path:
    return folder() / f"{name}-{key}.o"


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
    try:
        unfinished.write_bytes(hashlib.sha256(code).digest() + code)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def remove_others(path: Path, name: str) -> None:
    for other in path.parent.glob(f"{name}-*.o"):
        if other != path:
            other.unlink(missing_ok=True)


def key(*parts: bytes | str) -> str:
    """A name for what was made from these."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else part.encode())
    return digest.hexdigest()[:16]


def source(function: FunctionType) -> bytes:
    """The file that a function stands in, or what it was read from; where there is neither, what Python made of it."""
    file = Path(function.__code__.co_filename)
    if file.is_file():
        return file.read_bytes()
    return "".join(linecache.getlines(str(file))).encode() or function.__code__.co_code
