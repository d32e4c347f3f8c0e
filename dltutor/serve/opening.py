"""From the command to the open class: what must be so before, what the teacher is told, and the orderly end."""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import os
import shlex
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.cells import cell_len

from dltutor.errors import DltutorError, UsageError
from dltutor.i18n import _, plural
from dltutor.progress import home
from dltutor.serve.door import listener
from dltutor.serve.log import Log

if TYPE_CHECKING:
    from dltutor.serve.classroom import Classroom
    from dltutor.serve.desk import Desk
    from dltutor.serve.settings import Settings
    from dltutor.serve.ssh import SshDoor
    from dltutor.serve.web import WebDoor

LAST_SECONDS = 5.0  # that learners have after Ctrl-C or SIGTERM
STATE = "class"  # in the data folder, where no other folder is named
LOG_FILE = "server.log"
EVERYWHERE = ("", "0.0.0.0", "::", "*")
ELSEWHERE = ("192.0.2.1", 9)  # an address that nobody has


def keep_open(settings: Settings, log: Path | None) -> int:
    """Serve until somebody stops it."""
    need_the_extra(settings)
    prepare_folder(settings.state)
    check_roster(settings)
    with only_one(settings.state):
        check_port(settings)
        kept = Log(log_path(settings, log))
        try:
            asyncio.run(_serve(settings, kept))
        finally:
            kept.close()
    return 0


def log_path(settings: Settings, named: Path | None) -> Path | None:
    """A terminal is for the teacher to read, so the log goes into a file."""
    return named or (settings.state / LOG_FILE if sys.stderr.isatty() else None)


# ---------------------------------------------------------------- what must be so before


def need_the_extra(settings: Settings) -> None:
    if not importlib.util.find_spec("asyncssh"):
        raise UsageError(_('a class server needs one more package: pip install "dltutor[serve]"'))
    if settings.web is not None and not all(map(importlib.util.find_spec, ("aiohttp", "textual_serve"))):
        raise UsageError(_('browsers need one more package: pip install "dltutor[web]"'))


def prepare_folder(folder: Path) -> None:
    """Ours alone: in it are the host key and everybody's work."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        message = _("cannot make the state folder {folder}: {error}").format(folder=folder, error=error.strerror)
        raise DltutorError(message, _("Name another one with --state DIR.")) from error
    if found.st_uid != os.getuid():
        message = _("the state folder {folder} belongs to another user").format(folder=folder)
        raise DltutorError(message, _("Start as that user, or name another folder with --state DIR."))
    if stat.S_IMODE(found.st_mode) & 0o077:
        message = _("other users can look into the state folder {folder}").format(folder=folder)
        raise DltutorError(message, _("Close it to them: chmod 700 {folder}").format(folder=folder))


def check_roster(settings: Settings) -> None:
    roster = settings.keys
    if not roster:
        return
    try:
        roster.read_bytes()
    except FileNotFoundError as error:
        raise _nobody(settings, roster) from error
    except OSError as error:
        message = _("cannot read the roster {file}: {error}").format(file=roster, error=error.strerror)
        raise UsageError(message, _("Name a file of public keys, one a line, with --roster FILE.")) from error


def _nobody(settings: Settings, roster: Path) -> UsageError:
    if settings.roster:
        message = _("there is no roster {file}").format(file=roster)
        return UsageError(message, _("Name a file of public keys, one a line, with --roster FILE."))
    return UsageError(
        _("you have not said who may come in"),
        _("--roster FILE: whoever has one of the keys in it · --class-code CODE: whoever knows it · --open: everybody"),
    )


def check_port(settings: Settings) -> None:
    """Before anything takes time; a moment later another program may still take it."""
    listener(settings.host, settings.port).close()


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; a server that is killed lets go of it."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        message = _("a class server is running in {folder} already").format(folder=folder)
        raise DltutorError(
            message, _("`dltutor serve stop` ends it; --state DIR starts another one elsewhere.")
        ) from error
    finally:
        os.close(handle)


# ---------------------------------------------------------------- while it is open


async def _serve(settings: Settings, log: Log) -> None:
    from dltutor.serve.classroom import Classroom
    from dltutor.serve.desk import Desk
    from dltutor.serve.ssh import SshDoor

    classroom = Classroom(settings, log)
    desk = Desk(settings.state, classroom)
    door = SshDoor(settings, classroom, classroom.people, log)
    browsers = _door_for_browsers(settings, classroom, log)
    seconds = 0.0
    try:
        await _open(classroom, desk, door, browsers)
        seconds = await _stopped(desk)
        log.event("stopping", seconds=seconds)
    finally:
        await classroom.close(seconds)
        if browsers:
            await browsers.close()
        await door.close()
        await desk.close()
        log.event("stopped")


async def _open(classroom: Classroom, desk: Desk, door: SshDoor, browsers: WebDoor | None) -> None:
    """The doors last: whoever comes is let in at once."""
    settings, log = classroom.settings, classroom.log
    await desk.start()
    await classroom.start(click.echo)
    await door.start()
    classroom.login = ssh_command(settings.host, door.port, "{name}@")
    if browsers:
        await browsers.start()
    log.event("listening", port=door.port, fingerprint=door.fingerprint)
    click.echo(greeting(settings, classroom.people.keys, door, log, browsers.link if browsers else ""))


def _door_for_browsers(settings: Settings, classroom: Classroom, log: Log) -> WebDoor | None:
    if settings.web is None:
        return None
    from dltutor.serve.web import WebDoor

    return WebDoor(settings, classroom, classroom.people, log)


async def _stopped(desk: Desk) -> float:
    """How many seconds learners have, once somebody wants the end. A second Ctrl-C does not wait for anybody."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, desk.stop, LAST_SECONDS)
    seconds = await desk.stop_wanted
    loop.remove_signal_handler(signal.SIGINT)
    with suppress(OSError):  # the teacher's terminal may be gone
        click.echo(_("The class ends in {seconds:g} s. Everything is kept.").format(seconds=seconds))
    return seconds


# ---------------------------------------------------------------- what the teacher is told


def greeting(settings: Settings, keys: int, door: SshDoor, log: Log, link: str = "") -> str:
    facts = {
        _("Learners type"): click.style(ssh_command(settings.host, door.port), bold=True),
        _("In a browser"): link,
        _("Who may come in"): admission(settings, keys),
        _("Host key"): door.fingerprint,
        _("Kept in"): str(settings.state),
        _("Log"): str(log.path or _("the error output")),
    }
    width = max(map(cell_len, facts))
    lines = [f"  {what}{' ' * (width - cell_len(what))}   {told}" for what, told in facts.items() if told]
    state = f" --state {shlex.quote(str(settings.state))}" if settings.state != home() / STATE else ""
    watch, stop = f"dltutor serve watch{state}", f"dltutor serve stop{state}"
    return "\n".join([
        "", _("The class is open."), "", *lines, "",
        _("{watch} shows who is here, and who is stuck.").format(watch=watch),
        _("{stop} ends it, and so does Ctrl-C.").format(stop=stop), "",
    ])  # fmt: skip


def ssh_command(host: str, port: int, who: str = "") -> str:
    return f"ssh {'' if port == 22 else f'-p {port} '}{who}{host_name(host)}"


def host_name(host: str) -> str:
    """What learners call this machine: the address that was named, else the one by which it is in a network."""
    if host not in EVERYWHERE:
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(ELSEWHERE)  # sends nothing, but chooses the way
        return str(probe.getsockname()[0])
    return socket.gethostname()


def admission(settings: Settings, keys: int) -> str:
    """`keys`: how many the roster has."""
    if settings.open:
        return _("everybody, with any key")
    if settings.class_code:
        return _("whoever knows the class code {code}").format(code=click.style(settings.class_code, bold=True))
    if not keys:
        return _("nobody yet: there is no key in {file}").format(file=settings.keys)
    told = plural("whoever has the {n} key in this file:", "whoever has one of the {n} keys in this file:", keys)
    return f"{told} {settings.keys}"
