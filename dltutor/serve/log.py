"""What happened in the class server, a JSON object a line. Whoever reads a log learns who came, never what was typed.

{"time": "2026-03-01T09:30:00.125+00:00", "event": "came", "person": "3f0c22b1a9d4", "name": "Li Wei"}
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dltutor.errors import DltutorError
from dltutor.i18n import _

LONGEST = 4000  # characters of a field that are kept
SHORT = 12  # characters of a fingerprint that are kept
_FINGERPRINT = re.compile(r"\b[0-9a-f]{64}\b")


class Log:
    """To `path`, or to the standard error output. What rotates logs may take the file away at any time."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._file = _opened(path) if path else sys.stderr.fileno()

    def event(self, name: str, /, **fields: Any) -> None:
        """A log that cannot be written stops no class."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = line_of({"time": now, "event": name} | fields)
        with suppress(OSError, DltutorError):
            self._follow_rotation()
            os.write(self._file, line)  # one write a line: lines of several processes never mix

    def _follow_rotation(self) -> None:
        if self.path and not _is_at(self._file, self.path):
            renewed = _opened(self.path)
            os.close(self._file)
            self._file = renewed

    def close(self) -> None:
        if self.path:
            os.close(self._file)


def _opened(path: Path) -> int:
    """For its owner alone, also where it was there before; a device is left as it is."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        file = os.open(path, flags, 0o600)
        if stat.S_ISREG(os.fstat(file).st_mode):
            os.fchmod(file, 0o600)
    except OSError as error:
        message = _("cannot write the log {file}: {error}").format(file=path, error=error.strerror)
        raise DltutorError(message, _("Name a file of your own with --log FILE.")) from error
    return file


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except OSError:
        return False


# ---------------------------------------------------------------- lines


def line_of(fields: dict[str, Any]) -> bytes:
    """`fields` as a line that shows as one on any terminal."""
    return visible(json.dumps(_told(fields), ensure_ascii=False, default=str)).encode() + b"\n"


def _told(value: Any) -> Any:
    match value:
        case str():
            return _FINGERPRINT.sub(lambda found: found[0][:SHORT], value)[:LONGEST]
        case dict():
            return {str(name): _told(item) for name, item in value.items()}
        case list() | tuple():
            return [_told(item) for item in value]
        case _:
            return value


def visible(text: str) -> str:
    """`text` with a \\u escape for whatever is not printed but done: control, direction, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
