"""The strongest walls: processes, network, users and files of one's own, in which there is nothing but what is needed.

`enter` makes this process the first one of such a place, with the rights to fork further ones; `settle` then takes
these rights away. As root, what would need no namespace of users gets none, until the rights are dropped with the user.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from dltutor.room import linux
from dltutor.room.view import View

NOBODY = 65534
SEPARATE = linux.NEWUTS | linux.NEWIPC | linux.NEWNET | linux.NEWPID
READ_ONLY = linux.MS_BIND | linux.MS_REMOUNT | linux.MS_RDONLY | linux.MS_NOSUID
DEVICES = ("null", "zero", "urandom")
PLACE = "/tmp"  # a folder that every system has: the new root stands on it until it is the root itself
BEFORE = "/before"  # the root of the outside, while the inside is made
SCRATCH = "/scratch"  # the one folder inside that can be written to


@dataclass(frozen=True)
class Inside:
    """What the first process of the namespaces keeps open, to go on."""

    processes: int
    """Its own namespace of processes: to come back to from a child's."""
    proc: int
    """/proc of the outside."""

    def close(self) -> None:
        os.close(self.processes)
        os.close(self.proc)


def enter(view: View, with_parent: bool = False) -> Inside:
    """Return in a new process, the first one inside; this one waits for it and ends as it does.

    It also ends, `with_parent`, when the thread that has started it does.
    """
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    _separate(proc)
    child = os.fork()
    if child:
        _wait_for(child, with_parent)
    linux.die_with_parent()
    linux.unshare(linux.NEWNS)  # only here: the process that waits keeps its files
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    processes = os.open("self/ns/pid", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    _build(view, proc)
    return Inside(processes, proc)


def hide_files(view: View, writable: Iterable[Path] = ()) -> None:
    """From here on this process, root's, sees the files of `view`, to read, and those that are `writable`."""
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    linux.unshare(linux.NEWNS)
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    _build(view, proc, set(writable))
    os.close(proc)


def become(user: int) -> None:
    """Root no longer. The kernel then forgets with whom this process is to die."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def fork_inside(inside: Inside) -> int:
    """Like os.fork, but the child is the first process of a place of its own: with it ends whatever it starts."""
    linux.unshare(linux.NEWPID)
    child = -1
    try:
        child = os.fork()
    finally:
        if child:
            linux.setns(inside.processes, linux.NEWPID)
    return child


def settle(inside: Inside, scratch: int) -> None:
    """Give up all rights: an ordinary user in a namespace of users, with `scratch` bytes of files to write."""
    linux.unshare(linux.NEWNS | linux.NEWIPC)
    flags = linux.MS_NOSUID | linux.MS_NODEV
    linux.mount("tmpfs", SCRATCH, "tmpfs", flags, f"size={scratch},nr_inodes=4096,mode=1777")
    os.chdir(SCRATCH)
    os.environ["TMPDIR"] = SCRATCH
    if os.getuid() == 0:
        become(NOBODY)
        linux.prctl(linux.PR_SET_DUMPABLE, 1)  # or the kernel would not let it write its own map of users
    _own_users(inside.proc, os.getuid(), os.getgid())
    linux.drop_capabilities()


def _separate(proc: int) -> None:
    """Root may; everybody else first needs a namespace of users, in which they are root."""
    try:
        linux.unshare(SEPARATE)
    except PermissionError:
        user, group = os.getuid(), os.getgid()
        linux.unshare(SEPARATE | linux.NEWUSER)
        _map(proc, user, group)


def _own_users(proc: int, user: int, group: int) -> None:
    """In a namespace of users of its own, processes are counted by themselves."""
    linux.unshare(linux.NEWUSER)
    _map(proc, user, group)


def _map(proc: int, user: int, group: int) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"{NOBODY} {user} 1"), ("gid_map", f"{NOBODY} {group} 1")):
        file = os.open(f"self/{name}", os.O_WRONLY, dir_fd=proc)
        os.write(file, text.encode())
        os.close(file)


def _wait_for(child: int, with_parent: bool) -> NoReturn:
    """End as the child does. Nothing else can happen: this process must not go on beside it."""
    status = 1 << 8
    try:
        if with_parent:
            linux.die_with_parent()
        _let_go_of_files()
        _pid, status = os.waitpid(child, 0)
    finally:
        if os.WIFSIGNALED(status):
            with contextlib.suppress(OSError):  # nobody can set what SIGKILL does
                signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
            os.kill(os.getpid(), os.WTERMSIG(status))
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _let_go_of_files() -> None:
    """So that pipes end when the child does."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.closerange(3, linux.HIGHEST_FILE)


# ---------------------------------------------------------------- the files


def _build(view: View, proc: int, writable: Collection[Path] = ()) -> None:
    """A root of its own, with what can be seen bound into it, all but the `writable` read-only."""
    devices = [Path("/dev", name) for name in DEVICES]
    shown = {path: os.path.realpath(path) for path in (*view.readable, *view.shown, *devices, *writable)}
    _turn()
    for path in sorted({*shown, *view.hidden}, key=lambda path: len(path.parts)):  # what lies in another one after it
        if path in view.hidden:
            _hide(path)
        if path in shown:
            _show(path, BEFORE + shown[path])
    Path(SCRATCH).mkdir()
    linux.unmount(BEFORE)
    os.rmdir(BEFORE)
    for place in _mounts(proc):
        flags = READ_ONLY & ~linux.MS_RDONLY if Path(place) in writable else READ_ONLY
        linux.mount("none", place, None, flags | _kept(place))


def _turn() -> None:
    """An empty folder becomes the root, and what was the root a folder in it."""
    linux.mount("tmpfs", PLACE, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "size=1m,mode=755")
    os.chdir(PLACE)
    os.mkdir(BEFORE[1:])
    linux.system_call("pivot_root", b".", BEFORE[1:].encode())
    os.chdir("/")


def _hide(path: Path) -> None:
    if path.is_dir():
        linux.mount("tmpfs", str(path), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "size=1m,mode=755")


def _show(path: Path, source: str) -> None:
    if os.path.isdir(source):
        path.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    linux.mount(source, str(path), None, linux.MS_BIND | linux.MS_REC)


def _mounts(proc: int) -> list[str]:
    with open(os.open("self/mountinfo", os.O_RDONLY, dir_fd=proc), encoding="utf-8") as lines:
        places = [line.split()[4] for line in lines]
    return [re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), place) for place in places]


def _kept(place: str) -> int:
    """The flags of a mount that its owner may have set for good; without them the kernel refuses to change it."""
    flags = os.statvfs(place).f_flag
    kept = flags & (os.ST_NOEXEC | os.ST_NOATIME | os.ST_NODIRATIME)
    if flags & os.ST_RELATIME:
        kept |= linux.MS_RELATIME
    return kept if place.startswith("/dev/") else kept | linux.MS_NODEV
