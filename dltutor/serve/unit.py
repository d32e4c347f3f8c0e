"""`dltutor serve --unit`: the server as a service of systemd, and what whoever runs it should know."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import dltutor
from dltutor import i18n
from dltutor.i18n import _
from dltutor.serve.settings import Settings

STATE_HOME = Path("/var/lib")
STATE = STATE_HOME / "dltutor"
SECRETS = Path("/etc/dltutor.env")  # readable by root alone: systemd reads it before it becomes another user
SESSION_MEMORY, GROUND_MEMORY = 40, 1500  # MB: of each session with its engine, and of what all share
SESSION_TASKS, GROUND_TASKS = 12, 200
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))

UNIT = """\
[Unit]
Description=dltutor: a deep learning class over SSH
After=network-online.target
Wants=network-online.target

[Service]
User=dltutor
Group=dltutor
{state}
UMask=0077
Environment=DLTUTOR_LANG={language}
{secrets}ExecStart={command}
Restart=on-failure
RestartSec=2
KillMode=mixed
TimeoutStopSec=20

MemoryMax={memory}M
TasksMax={tasks}
LimitNOFILE=65536

NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome={home}
PrivateTmp=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
RestrictNamespaces=user mnt pid net ipc uts
{port}# Not here, for the grader builds walls of its own from namespaces and mounts, and compiles while it runs:
# PrivateUsers, PrivateDevices, ProtectProc, ProtectKernelTunables, ProtectControlGroups, ProtectKernelModules,
# SystemCallFilter, MemoryDenyWriteExecute.

[Install]
WantedBy=multi-user.target
"""


def unit_of(settings: Settings, log: Path | None) -> str:
    """The unit that starts this installation as these settings say."""
    sessions = settings.max_sessions
    return UNIT.format(
        state="\n".join(_writable(settings.state, log)),
        language=i18n.current(),
        secrets=f"EnvironmentFile={SECRETS}\n" if settings.class_code else "",
        command=" ".join(map(quoted, _command(settings, log))),
        memory=_memory(sessions),
        tasks=GROUND_TASKS + SESSION_TASKS * sessions,
        home="read-only" if any(_is_under_home(place) for place in _installation()) else "yes",
        port="AmbientCapabilities=CAP_NET_BIND_SERVICE\n" if _needs_rights(settings) else "",
    )


def _writable(state: Path, log: Path | None) -> Iterator[str]:
    """systemd makes what is its own; any other folder has to be there."""
    if state.is_relative_to(STATE_HOME) and state != STATE_HOME:
        yield f"StateDirectory={state.relative_to(STATE_HOME)}\nStateDirectoryMode=0700"
    else:
        yield f"ReadWritePaths={quoted(str(state))}"
    if log:
        yield f"ReadWritePaths={quoted(str(log.absolute().parent))}"


def _command(settings: Settings, log: Path | None) -> list[str]:
    """A class code is no argument: everybody could see it in the list of processes."""
    command = [sys.executable, "-m", "dltutor", "serve", "--state", str(settings.state), "--port", str(settings.port)]
    options = {
        "--host": settings.host,
        "--roster": settings.roster,
        "--web": settings.web,
        "--web-host": settings.web_host if settings.web is not None else "",
        "--log": log and log.absolute(),
    }
    command += [part for name, value in options.items() if value not in ("", None) for part in (name, str(value))]
    command += ["--open"] if settings.open else []
    return [*command, "--max-sessions", str(settings.max_sessions), "--idle", f"{settings.idle_minutes:g}"]


def quoted(word: str) -> str:
    """As systemd reads a command: % and $ stand for something else there."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return word if word and not set(word) & set(" '\"\\;#\t") else f'"{word}"'


def _needs_rights(settings: Settings) -> bool:
    return any(port and port < 1024 for port in (settings.port, settings.web))


# ---------------------------------------------------------------- the note


def advice(settings: Settings) -> str:
    """What a unit cannot say."""
    return "\n".join([_("How to use it, and what else to do:"), "", *(f"  - {line}" for line in _advice(settings))])


def _advice(settings: Settings) -> Iterator[str]:
    state, sessions = settings.state, settings.max_sessions
    yield _("Once: useradd --system --home-dir {state} --shell /usr/sbin/nologin dltutor").format(state=state)
    yield _("Write the unit to /etc/systemd/system/dltutor.service, then: systemctl enable --now dltutor")
    command = f"sudo -u dltutor {sys.executable} -m dltutor serve watch --state {state}"
    yield _("Watch the class: {command}").format(command=command)
    if settings.class_code:
        yield _("Write DLTUTOR_CLASS_CODE=... into {file}, for root alone (chmod 600).").format(file=SECRETS)
    closed = [place for place in _installation() if not _is_open(place)]
    if closed:
        told = _("Other users cannot read {place}: install dltutor in /opt, say, and print the unit from there.")
        yield told.format(place=closed[-1])
    yield _("On the open Internet, give it its own virtual machine: one hole in its kernel opens every sandbox.")
    told = _("MemoryMax={memory}M is for {n} sessions: lower both on a small machine.")
    yield told.format(memory=_memory(sessions), n=sessions)
    told = _("Let the firewall pass TCP port {port} and no other; from your own network alone, where that will do.")
    yield told.format(port=settings.port)
    yield _(
        "The strongest sandbox needs user namespaces; `dltutor doctor` says whether they are open. What closes them:"
        " kernel.unprivileged_userns_clone=0, kernel.apparmor_restrict_unprivileged_userns=1."
    )
    yield _("Back up {state}: everybody's progress is in it, and the host key.").format(state=state)
    told = _(
        "Keep {file} secret and keep it the same; with another one, ssh warns every learner. Tell them its fingerprint."
    )
    yield told.format(file=state / "host_key")


def _memory(sessions: int) -> int:
    """MB."""
    return GROUND_MEMORY + SESSION_MEMORY * sessions


def _installation() -> list[Path]:
    """Where Python and this package lie; the link in a virtual environment as well as what it means."""
    return [Path(sys.executable), Path(sys.executable).resolve(), Path(dltutor.__file__)]


def _is_under_home(place: Path) -> bool:
    return any(place.is_relative_to(home) for home in HOMES)


def _is_open(place: Path) -> bool:
    """Whether every user can get there."""
    return all(os.stat(folder).st_mode & 0o001 for folder in place.parents)
