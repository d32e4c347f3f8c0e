"""Compiled kernels in files, one for each kernel and the types it was compiled for.

Numba's own files know when they are stale, but not when they are broken: a half-written one ends the process, and one
with a flipped bit runs. These carry a digest of what is in them. What does not fit is compiled anew and overwritten.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

DIGEST = 32  # bytes of SHA-256
NAME = 16  # letters of a digest that tell files apart


class CompiledFiles:
    """Takes the place of Numba's IndexDataCacheFile: what was saved under a key, or nothing."""

    def __init__(self, folder: str, kernel: str, sources: bytes) -> None:
        """`sources` changes whenever the machine code may: files saved with another value are not looked at."""
        self._folder, self._kernel = Path(folder), kernel
        self._stamp = _name(sources)

    def load(self, key: Any) -> Any:
        from dltutor.kernels.shared import provide_all  # which imports compile.py, which imports this

        try:
            data = self._file(key).read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data[DIGEST:]).digest() != data[:DIGEST]:
            return None
        provide_all(data)
        return pickle.loads(data[DIGEST:])

    def save(self, key: Any, compiled: Any) -> None:
        """Raises OSError where the folder cannot be written."""
        from numba.core.serialize import dumps

        data = dumps(compiled)
        file = self._file(key)
        if file.is_dir():  # then nothing can be kept here
            return
        _write_whole(file, hashlib.sha256(data).digest() + data)
        self._forget_others()

    def flush(self) -> None:
        for file in self._folder.glob(f"{self._kernel}.*.nbc"):
            file.unlink(missing_ok=True)

    def _file(self, key: Any) -> Path:
        return self._folder / f"{self._kernel}.{self._stamp}.{_name(repr(key).encode())}.nbc"

    def _forget_others(self) -> None:
        """Remove what was compiled from other sources."""
        for file in self._folder.glob(f"{self._kernel}.*.nbc"):
            if not file.name.startswith(f"{self._kernel}.{self._stamp}."):
                with suppress(OSError):
                    file.unlink()


def _name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:NAME]


def _write_whole(file: Path, data: bytes) -> None:
    """Other processes see the file as it was, or complete."""
    number, name = tempfile.mkstemp(dir=file.parent, prefix=file.name)
    try:
        with os.fdopen(number, "wb") as part:
            part.write(data)
        os.replace(name, file)
    except OSError:
        os.unlink(name)
        raise
