"""One SQLite file that outlives what happens to files: other applications, kills, full disks, damage, newer versions.

usable                         WAL; a rollback journal where WAL can't be (a network file system)
damaged, newer, not ours       set aside under a dated name, a new file begun, `notice` says so
no permission, no space        everything goes on in memory, `notice` says so once; each later write tries the file
                               again, and once it can be written all that was held back goes into it
busy for BUSY_SECONDS          DltutorError
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dltutor.errors import DltutorError
from dltutor.i18n import _

if TYPE_CHECKING:
    import sqlite3

BUSY_SECONDS = 2.0  # how long to wait for another application's write
CHECKED_BYTES = 4_000_000  # a file up to this size is checked page by page when it is opened: a few milliseconds

Statement = tuple[str, tuple[Any, ...]]


class _Spoiled(Exception):
    """The file is none we can use. `newer`: a later version of dltutor can."""

    def __init__(self, reason: str, newer: bool = False) -> None:
        super().__init__(reason)
        self.newer = newer


class Store:
    """Statements to and from one file. Its methods may be called from any thread."""

    def __init__(self, path: Path, application: int, migrations: Sequence[str]) -> None:
        """`application` marks the file as ours; migration n brings its schema from version n to n + 1."""
        self.path = path
        self.notice = ""
        self.application, self.migrations = application, migrations
        self._held: list[Statement] | None = None  # written to memory only; None: the file is in use
        self._lock = threading.RLock()
        self._inode = 0
        self._database = self._open()

    @property
    def in_memory(self) -> bool:
        """Nothing is being kept."""
        return self._held is not None

    def read(self, sql: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._surviving(lambda: self._database.execute(sql, values).fetchall())

    def write(self, *statements: Statement) -> int:
        """Apply all of `statements` or none; how many rows they changed. Raises DltutorError where the file is busy.

        Each must do no harm when it is applied a second time.
        """
        with self._lock:
            if self._held is not None:
                self._return_to_file()
            elif self._moved():
                self._database.close()
                self._database = self._open()
            return self._surviving(lambda: self._apply_and_hold(statements))

    def close(self) -> None:
        with self._lock:
            if self._held:
                self._return_to_file()
            self._database.close()

    # ------------------------------------------------------------ statements

    def _apply_and_hold(self, statements: Sequence[Statement]) -> int:
        changed = self._apply(self._database, statements)
        if self._held is not None:
            self._held += statements
        return changed

    def _apply(self, database: sqlite3.Connection, statements: Sequence[Statement]) -> int:
        before = database.total_changes
        with _transaction(database):
            for sql, values in statements:
                database.execute(sql, values)
        return database.total_changes - before

    def _surviving(self, act: Any) -> Any:
        """`act`; if the file fails, once more on what takes its place."""
        import sqlite3

        try:
            return act()
        except sqlite3.DatabaseError as error:
            self._replace(error)
        return act()

    def _replace(self, error: sqlite3.DatabaseError) -> None:
        """Put something usable in the place of a file that has failed, or raise."""
        kind = _kind(error)
        if kind == "busy":
            raise self._busy() from error
        if kind == "other":
            raise error
        if kind == "damaged":
            with contextlib.suppress(Exception):
                self._database.close()
            self._database = self._begin_anew(_Spoiled(str(error)))
        else:
            self._database = self._into_memory(self._database, error)

    # ------------------------------------------------------------ opening

    def _open(self) -> sqlite3.Connection:
        import sqlite3

        try:
            return self._connect()
        except _Spoiled as spoiled:
            return self._begin_anew(spoiled)
        except OSError as error:
            return self._into_memory(None, error)
        except sqlite3.DatabaseError as error:
            match _kind(error):
                case "damaged":
                    return self._begin_anew(_Spoiled(str(error)))
                case "busy":
                    raise self._busy() from error
            return self._into_memory(None, error)

    def _connect(self, thorough: bool = False) -> sqlite3.Connection:
        """The file, made where there is none, with the present schema."""
        import sqlite3

        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        try:
            return self._ready(_use_wal, thorough)
        except sqlite3.OperationalError as error:
            if _kind(error) != "unwritable":
                raise
        return self._ready(_use_rollback_journal, thorough)

    def _ready(self, use_journal: Callable[[sqlite3.Connection], None], thorough: bool) -> sqlite3.Connection:
        import sqlite3

        database = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            if use_journal is _use_rollback_journal:
                database.execute("PRAGMA locking_mode = EXCLUSIVE")  # only so can WAL be read without shared memory
            self._recognise(database)
            use_journal(database)
            self._check(database, thorough)
            self._migrate(database)
            self._inode = self.path.stat().st_ino
        except BaseException:
            database.close()
            raise
        return database

    def _recognise(self, database: sqlite3.Connection) -> None:
        """Raise _Spoiled unless the file is empty, or ours."""
        tables = _number(
            database, "SELECT count(*) FROM sqlite_schema"
        )  # before the mark: both come in one transaction
        if tables and _number(database, "PRAGMA application_id") != self.application:
            raise _Spoiled(_("it holds something else"))
        if _number(database, "PRAGMA user_version") > len(self.migrations):
            raise _Spoiled(_("a newer version of dltutor wrote it"), newer=True)

    def _check(self, database: sqlite3.Connection, thorough: bool) -> None:
        """Raise _Spoiled where the file is damaged inside."""
        if not thorough and self.path.stat().st_size > CHECKED_BYTES:
            return
        check = "integrity_check" if thorough else "quick_check"
        verdict = str(database.execute(f"PRAGMA {check}(1)").fetchone()[0])
        if verdict != "ok":
            raise _Spoiled(verdict.splitlines()[-1])

    def _migrate(self, database: sqlite3.Connection) -> None:
        if _number(database, "PRAGMA user_version") == len(self.migrations):
            return
        with _transaction(database):
            version = _number(database, "PRAGMA user_version")  # another application may have been first
            for script in self.migrations[version:]:
                for statement in filter(str.strip, script.split(";")):
                    database.execute(statement)
            database.execute(f"PRAGMA application_id = {self.application}")
            database.execute(f"PRAGMA user_version = {len(self.migrations)}")

    def _moved(self) -> bool:
        """Whether the file at our path is no longer the one we opened: deleted, or set aside by another application."""
        try:
            return self.path.stat().st_ino != self._inode
        except OSError:
            return True

    # ------------------------------------------------------------ a file that is none

    def _begin_anew(self, spoiled: _Spoiled) -> sqlite3.Connection:
        import sqlite3

        try:
            with _alone(self.path.with_suffix(".lock")):
                mended = self._mended()
                if mended:
                    return mended
                aside = self._set_aside(spoiled)
                database = self._connect()
        except (OSError, sqlite3.DatabaseError, _Spoiled) as error:
            return self._into_memory(None, error)
        self.notice = self._set_aside_notice(spoiled, aside)
        return database

    def _mended(self) -> sqlite3.Connection | None:
        """The file, if another application has seen to it meanwhile."""
        import sqlite3

        try:
            return self._connect(thorough=True)
        except _Spoiled:
            return None
        except sqlite3.DatabaseError as error:
            if _kind(error) != "damaged":
                raise
            return None

    def _set_aside(self, spoiled: _Spoiled) -> Path:
        if spoiled.newer:
            self._leave_alone_if_open()
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
        aside = self.path.with_name(f"{self.path.stem}-{stamp}{self.path.suffix}")
        self.path.rename(aside)
        for ending in ("-wal", "-shm", "-journal"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{ending}").rename(f"{aside}{ending}")
        return aside

    def _leave_alone_if_open(self) -> None:
        """Raise where the newer application is running; else gather the file's parts into one."""
        import sqlite3

        database = sqlite3.connect(self.path, timeout=0.2, isolation_level=None)
        with contextlib.closing(database):
            database.execute("PRAGMA journal_mode = DELETE")  # fails as busy unless we are alone

    def _set_aside_notice(self, spoiled: _Spoiled, aside: Path) -> str:
        if spoiled.newer:
            text = _(
                "Your progress was written by a newer version of dltutor. It is kept in {aside}, and this version began"
                " a new file. To have it back: update dltutor, then move that file to {file}."
            )
        else:
            text = _(
                "Your progress file could not be read ({reason}). It is kept in {aside}, and a new one was begun."
                " If you have an export, `dltutor progress import FILE` brings it back;"
                " `sqlite3 {aside} .recover` may save more."
            )
        return text.format(reason=spoiled, aside=aside, file=self.path)

    # ------------------------------------------------------------ no file at all

    def _into_memory(self, source: sqlite3.Connection | None, error: Exception) -> sqlite3.Connection:
        """Go on without the file, with what it holds as far as that can be read."""
        import sqlite3

        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        with contextlib.suppress(sqlite3.DatabaseError, _Spoiled, OSError):
            if source is None:
                source = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
                self._recognise(source)
            source.backup(memory)
        self._migrate(memory)
        if source is not None:
            with contextlib.suppress(sqlite3.DatabaseError):
                source.close()
        self._held = []
        self.notice = _(
            "Progress can't be saved to {file}: {error}. Everything works, but is forgotten when you leave, unless"
            " that is mended meanwhile. Free some space or allow writing there, or name another folder:"
            " DLTUTOR_HOME=FOLDER dltutor launch"
        ).format(file=self.path, error=getattr(error, "strerror", None) or error)
        return memory

    def _return_to_file(self) -> None:
        """Try the file again, with all that was held back."""
        import sqlite3

        try:
            database = self._connect()
        except (OSError, sqlite3.DatabaseError, _Spoiled):
            return
        try:
            self._apply(database, self._held or [])
        except sqlite3.DatabaseError:
            database.close()
            return
        self._database.close()
        self._database, self._held, self.notice = database, None, ""

    def _busy(self) -> DltutorError:
        return DltutorError(
            _("another program is keeping {file} busy").format(file=self.path),
            _("Try again. If it stays so, close the other dltutor."),
        )


def _kind(error: Exception) -> str:
    """What a fault of the file asks for: busy (wait), damaged (set it aside), unwritable (go on without), other."""
    import sqlite3

    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "busy"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return "damaged"
    unwritable = (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOLFS,
    )
    return "unwritable" if code in unwritable else "other"


def _number(database: sqlite3.Connection, sql: str) -> int:
    return int(database.execute(sql).fetchone()[0])


def _use_wal(database: sqlite3.Connection) -> None:
    """Readers and a writer at once. Raises OperationalError on a file system without shared memory.

    A file in use with a rollback journal lies on such a one, and keeps it.
    """
    in_use = _number(database, "SELECT count(*) FROM sqlite_schema")
    if in_use and database.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        return
    _patiently(lambda: database.execute("PRAGMA journal_mode = WAL"))
    database.execute("PRAGMA synchronous = NORMAL")  # a kill loses nothing; a power cut at most the last moment
    database.execute("BEGIN IMMEDIATE")  # some file systems promise WAL, and fail here
    database.execute("ROLLBACK")


def _use_rollback_journal(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA journal_mode = DELETE")
    database.execute("PRAGMA locking_mode = NORMAL")
    database.execute("SELECT count(*) FROM sqlite_schema")  # the lock is let go by the next use


def _patiently(act: Callable[[], Any]) -> Any:
    """`act`, again and again while another application is in its way, for what SQLite itself doesn't wait for."""
    import sqlite3

    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return act()
        except (sqlite3.OperationalError, BlockingIOError) as error:
            waiting = isinstance(error, BlockingIOError) or _kind(error) == "busy"
            if not waiting or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    """One writer at a time, all or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """The only application that is mending the file."""
    try:
        import fcntl
    except ImportError:  # no such locks here
        yield
        return
    with path.open("w") as file:
        try:
            _patiently(lambda: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError:
            pass  # a file system without locks
        yield
