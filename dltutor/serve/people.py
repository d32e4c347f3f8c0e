"""Who may come in, and where their progress is. A learner is the fingerprint of a key; names are labels, never paths.

<state>/roster          authorized_keys of a class, one key a line, its comment the learner's name
<state>/people.json     who came in by the class code, and which further keys are whose
<state>/users/<id>/     the progress of one learner
<state>/host_key        the server's own key
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.whole import write_whole

if TYPE_CHECKING:
    import asyncssh

    from dltutor.serve.log import Log
    from dltutor.serve.settings import Settings

LONGEST_NAME = 32
LARGEST_ROSTER = 4 << 20  # bytes
JOIN = "join-"  # a user name that begins so brings a code
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another
CODE_LENGTH = 8  # 8e11 codes
CODE_MINUTES = 10
NEW_PEOPLE = (128, 3600.0)  # of --open: so many from one address, in so many seconds
WRONG_CODES = (60, 600.0)  # the same of codes: a class of thirty may mistype theirs twice


@dataclass(frozen=True)
class Person:
    id: str
    """SHA-256 of the first key that they came with, in hexadecimal."""
    name: str
    """To show, and for nothing else."""
    folder: Path


class People:
    def __init__(self, settings: Settings, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises DltutorError where there is no roster, or what is known of people cannot be read."""
        self._settings, self._log, self._clock = settings, log, clock
        self._roster = Roster(settings.keys, log) if settings.keys else None
        self._memory = settings.state / "people.json"
        self._enrolled, self._keys = _remembered(self._memory)
        self._codes: dict[str, tuple[Person, float]] = {}  # until when each lets another key in
        self._new = Allowance(*NEW_PEOPLE, clock)
        self._wrong = Allowance(*WRONG_CODES, clock)

    def __len__(self) -> int:
        """Learners that have ever been here."""
        with suppress(OSError):
            return sum(1 for _entry in os.scandir(self._settings.users))
        return 0

    @property
    def keys(self) -> int:
        """How many the roster has."""
        return self._roster.count if self._roster else 0

    # ------------------------------------------------------------ who is it?

    def by_key(self, fingerprint: str, username: str) -> Person | None:
        """Whose key that is, if they may come in."""
        account = self._keys.get(fingerprint, fingerprint)
        name = self._name(account, username)
        return None if name is None else Person(account, name, self._settings.users / account)

    def _name(self, account: str, username: str) -> str | None:
        if self._roster and (listed := self._roster.name(account)) is not None:
            return label(listed) or label(username) or nameless()
        if self._settings.class_code and account in self._enrolled:
            return self._enrolled[account]
        return label(username) or nameless() if self._settings.open else None

    def may_stay(self, person: Person) -> bool:
        """Whether they are on the roster still, if there is one."""
        return not self._roster or self._name(person.id, person.name) is not None

    def may_try(self, fingerprint: str, username: str) -> bool:
        """Is it worth to let that key sign: does it belong to a learner, or may it yet?"""
        if self._settings.class_code or self.by_key(fingerprint, username):
            return True
        return username.startswith(JOIN) and self._owner(username) is not None

    def welcome(self, person: Person, address: str) -> None:
        """Their folder is there from now on. Raises DltutorError where too many new ones come from one address."""
        if person.folder.is_dir():
            return
        if self._settings.open and not self._new.take(address):
            hint = _("Try again in an hour, or ask for a place on the roster.")
            raise DltutorError(_("Too many new learners came from {address}.").format(address=address), hint)
        try:
            self._settings.users.mkdir(mode=0o700, parents=True, exist_ok=True)
            person.folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _unwritable(person.folder, error) from error

    # ------------------------------------------------------------ the class code

    @property
    def ask_code(self) -> bool:
        """May who is not known yet come in by a code?"""
        return bool(self._settings.class_code)

    def right_code(self, typed: str, address: str) -> bool:
        """Is that the code of the class? Raises DltutorError where too many wrong ones came from there."""
        if self._wrong.spent(address):
            message = _("Too many wrong codes came from {address}.").format(address=address)
            raise DltutorError(message, _("Try again in ten minutes."))
        right = hmac.compare_digest(_folded(typed), _folded(self._settings.class_code))
        if not right:
            self._wrong.take(address)
        return right

    def enrol(self, fingerprint: str, username: str) -> Person:
        """From now on that key is a learner's."""
        name = label(username) or nameless()
        self._enrolled[fingerprint] = name
        self._keys.pop(fingerprint, None)
        self._save()
        return Person(fingerprint, name, self._settings.users / fingerprint)

    # ------------------------------------------------------------ another key of the same learner

    def join_code(self, person: Person) -> tuple[str, int]:
        """That lets another key of theirs in, once, and for how many minutes; earlier ones no longer do."""
        self._codes = {code: kept for code, kept in self._codes.items() if kept[0].id != person.id}
        code = "".join(secrets.choice(LETTERS) for _letter in range(CODE_LENGTH))
        self._codes[code] = person, self._clock() + 60 * CODE_MINUTES
        return code, CODE_MINUTES

    def join(self, fingerprint: str, username: str, address: str) -> Person:
        """The learner whose code the user name brings; the key is theirs from now on. Raises DltutorError."""
        owner = None if self._wrong.spent(address) else self._owner(username)
        if owner is None:
            self._wrong.take(address)
            hint = _("Get a new one where you are already logged in: it works once, within {n} minutes.")
            raise DltutorError(_("That code is wrong, or has expired."), hint.format(n=CODE_MINUTES))
        del self._codes[_code(username)]
        self._keys[fingerprint] = owner.id
        if fingerprint == owner.id:
            del self._keys[fingerprint]
        self._save()
        self._log.event("joined", person=owner.id, name=owner.name, key=fingerprint)
        return owner

    def _owner(self, username: str) -> Person | None:
        person, until = self._codes.get(_code(username), (None, 0.0))
        return person if until > self._clock() else None

    def _save(self) -> None:
        text = json.dumps({"enrolled": self._enrolled, "keys": self._keys}, indent=1, ensure_ascii=False)
        try:
            self._settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._memory, text + "\n", 0o600)
        except OSError as error:
            raise _unwritable(self._memory, error) from error


def _code(username: str) -> str:
    return username.removeprefix(JOIN).lower() if username.startswith(JOIN) else ""


def _folded(code: str) -> bytes:
    """Nobody is kept out by a capital letter, or by the width of one."""
    return unicodedata.normalize("NFKC", code).strip().casefold().encode()


def _remembered(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Names by account, and accounts by further key."""
    try:
        kept = json.loads(path.read_text("utf-8"))
        return dict(kept["enrolled"]), dict(kept["keys"])
    except FileNotFoundError:
        return {}, {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        message = _("{file} cannot be read: {error}").format(file=path, error=error)
        raise DltutorError(
            message, _("Put a copy of it back, or move it away: then class codes are asked anew.")
        ) from error


def _unwritable(path: Path, error: OSError) -> DltutorError:
    message = _("cannot write {file}: {error}").format(file=path, error=error.strerror)
    return DltutorError(message, _("Tell your teacher."))


# ---------------------------------------------------------------- names


def label(text: str) -> str:
    """`text` as a name to show: short, on one line, nothing in it that a terminal obeys; may be empty."""
    if text.startswith(JOIN):
        return ""
    flat = " ".join(unicodedata.normalize("NFKC", text).split())
    return "".join(character for character in flat if character.isprintable())[:LONGEST_NAME].strip()


def nameless() -> str:
    return _("learner")


# ---------------------------------------------------------------- the roster


class Roster:
    """A file of public keys, read anew when it has changed. A line that is none is told, and skipped."""

    def __init__(self, path: Path, log: Log) -> None:
        self.path, self._log = path, log
        self._names: dict[str, str] = {}
        self._seen: tuple[int, ...] = ()
        try:
            self._read()
        except OSError as error:
            message = _("no roster: {file}: {error}").format(file=path, error=error.strerror)
            raise DltutorError(message, roster_hint()) from error

    @property
    def count(self) -> int:
        return len(self._names)

    def name(self, fingerprint: str) -> str | None:
        """What the roster calls whose key that is; empty where it has no name for them."""
        try:
            self._read()
        except OSError as error:  # perhaps it is just being replaced: who was in it still is
            if self._seen:
                self._seen = ()
                self._log.event("roster unreadable", file=str(self.path), error=error.strerror)
        return self._names.get(fingerprint)

    def _read(self) -> None:
        found = self.path.stat()
        seen = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns)
        if seen == self._seen:
            return
        with self.path.open("rb") as file:
            text = file.read(LARGEST_ROSTER).decode("utf-8", "replace")
        self._names = dict(self._keys(text))
        self._seen = seen
        self._log.event("roster", file=str(self.path), keys=len(self._names))

    def _keys(self, text: str) -> Iterator[tuple[str, str]]:
        for number, line in enumerate(text.splitlines(), 1):
            line = line.strip().removeprefix("\ufeff")
            if line and not line.startswith("#"):
                try:
                    yield listed(line)
                except DltutorError as error:
                    self._log.event("roster line skipped", file=str(self.path), line=number, reason=error.message)


def roster_hint() -> str:
    return _(
        "Put a file there with the public keys of your learners, one a line, the name at its end, or start the server"
        " with --roster FILE, --class-code CODE or --open."
    )


def listed(line: str) -> tuple[str, str]:
    """The fingerprint and the name in a line of a roster. Raises DltutorError."""
    import asyncssh

    if not re.match(r"(ssh-|ecdsa-|sk-)\S+\s", line):
        # Not followed blindly: `from=` and `expiry-time=` before a key would let in whom they keep out elsewhere.
        raise DltutorError(_("this is not a public key, or has options before it"))
    try:
        key = asyncssh.import_public_key(line)
    except (asyncssh.KeyImportError, ValueError) as error:
        raise DltutorError(_("this public key cannot be read: {error}").format(error=error)) from error
    return fingerprint(key), key.get_comment() or ""


def fingerprint(key: asyncssh.SSHKey) -> str:
    """The same 32 bytes that `ssh-keygen -l` shows, in hexadecimal: fit for a folder's name."""
    return hashlib.sha256(key.public_data).hexdigest()


# ---------------------------------------------------------------- the server's own key


def host_key(path: Path) -> asyncssh.SSHKey:
    """The key that learners know this server by, made when there is none. Raises DltutorError."""
    import asyncssh

    if not path.exists():
        _make_key(path)
    _for_its_owner(path)
    try:
        return asyncssh.read_private_key(path)
    except (OSError, asyncssh.KeyImportError) as error:
        message = _("the server's key {file} cannot be read: {error}").format(file=path, error=error)
        raise DltutorError(
            message, _("Put its copy back. With a new one, learners are warned about this server.")
        ) from error


def _make_key(path: Path) -> None:
    """Whole or not at all, and never over another one."""
    import asyncssh

    part = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "wb") as file:
            file.write(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
            os.fsync(handle)
        with suppress(FileExistsError):
            os.link(part, path)
    except OSError as error:
        raise DltutorError(_("cannot write {file}: {error}").format(file=path, error=error.strerror)) from error
    finally:
        part.unlink(missing_ok=True)


def _for_its_owner(path: Path) -> None:
    """Who else could read it could pretend to be this server."""
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        message = _("the server's key {file} can be read by others (mode {mode})").format(file=path, mode=f"{mode:04o}")
        hint = _("chmod 600 {file}, or remove it for a new one if others may have read it.").format(file=path)
        raise DltutorError(message, hint)


# ---------------------------------------------------------------- not too often


class Allowance:
    """So many times in so many seconds, each address for itself."""

    MOST_ADDRESSES = 10_000  # then all are counted anew: memory has an end

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._taken: Counter[str] = Counter()
        self._until = 0.0

    def take(self, address: str) -> bool:
        """Once more; is it within the allowance?"""
        spent = self.spent(address)
        self._taken[address] += 1
        return not spent

    def spent(self, address: str) -> bool:
        if self._clock() >= self._until or len(self._taken) > self.MOST_ADDRESSES:
            self._taken.clear()
            self._until = self._clock() + self._seconds
        return self._taken[address] >= self._most
