"""Where compiled kernels are kept: beside the learner's progress, so that the installation may be read-only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from dltutor import progress
from dltutor.errors import DltutorError
from dltutor.i18n import _


def prepare_folder(say: Callable[[str], object]) -> None:
    """Name the folder of compiled kernels; where it cannot be written, use one that lives as long as the process."""
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or progress.home() / "numba")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x" * 4096)
    except OSError as error:
        say(cache_notice(folder, error))
        folder = passing_folder()
    os.environ["NUMBA_CACHE_DIR"] = str(folder)


def passing_folder() -> Path:
    """This user's folder among the temporary files, where no one else can put machine code."""
    try:
        folder = Path(tempfile.gettempdir(), f"dltutor-numba-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        ours = status.st_uid == os.getuid() and not status.st_mode & 0o022
        return folder if ours else Path(tempfile.mkdtemp(prefix="dltutor-numba-"))
    except OSError as error:
        message = _("there is nowhere to keep compiled kernels: {error}").format(error=error)
        raise DltutorError(message, _("Free some space on the disk, or set TMPDIR to a folder with room.")) from error


def cache_notice(folder: Path, error: OSError) -> str:
    return _(
        "Compiled kernels cannot be kept in {folder} ({error}): a temporary folder takes its place. "
        "Make that folder writable, or name another with DLTUTOR_HOME.\n"
    ).format(folder=folder, error=error.strerror)
