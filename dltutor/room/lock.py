"""Walls around a process that is already there.

The same as those of the room around the engine, while it trains with the learner's kernel; and thinner ones around the
processes of a class server, that run what is ours, but for many learners, each of whom must stay among their own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from dltutor.room import inside, landlock, linux, namespaces, seccomp, selftest, view
from dltutor.room.limits import MIB, Limits

TIERS = ("namespaces", "landlock", "limits")
TRAINING = Limits(cpu=0, memory=2048 * MIB, files=256, processes=64)
SESSION = Limits(cpu=0, memory=2048 * MIB, file=512 * MIB, files=256, processes=0)
"""Threads are not counted, for the system counts those of a user together, which all sessions may be. Each takes its
stack out of the memory, which ends it at about a hundred; and the filter of system calls lets no processes be made."""
NOTHING = Path("/dev/null")
SOMEBODY = 65533  # who runs sessions where root would have to: no user that there is, and not the room's


def lock_this_process(readable: Iterable[Path] = (), limits: Limits = TRAINING, tier: str | None = None) -> str:
    """Put the strongest walls that hold here around this process, for good; the name of the tier.

    Call it early, with a single thread and before Numba or NumPy is imported. Afterwards this process

    - reads Python, its packages, the whole of dltutor and `readable`, and nothing else; so name the folder of compiled
      kernels, the lessons' and the data sets' folders. The learner's data folder is hidden, except for what of it is
      named in `readable`;
    - writes to a small folder in memory (TMPDIR) at most; the folder of compiled kernels stays as it is;
    - has no network, starts no processes, only threads, and takes no more memory than `limits` says;
    - keeps stdin, stdout and stderr. Other open files are left open: close what must not be seen.

    In the tier "namespaces" the function returns in a new process, the first one of its namespaces. The process that
    called it stays behind only to end as that one does: whoever started it sees one process, whose end, kill and exit
    code mean what they always did. Ended with SIGKILL, or its own parent gone, it takes the new one along.
    """
    seen = view.for_training(readable)
    for name in [tier] if tier else TIERS:
        if name == "limits" or _holds(name, seen, limits):
            _lock(name, seen, limits)
            return name
    raise OSError(f"{tier} does not hold here")


def confine(
    readable: Iterable[Path] = (), writable: Iterable[Path] = (), hidden: Iterable[Path] = (), limits: Limits = SESSION
) -> None:
    """Leave to this process, for good, what a learner's session needs.

    Afterwards it reads Python, its packages, the whole of dltutor and `readable`, without what is `hidden` in it; it
    keeps files in the folders `writable`; it has no network, starts no processes, only threads, and reaches no other
    one; open files and sockets stay. Root becomes an ordinary user, who owns the `writable`. For everybody else it is
    Landlock that keeps files apart: where the kernel has none (see `keeps_files_apart`), those of its user are not
    kept from it. Raises OSError where no such walls can be put up.
    """
    inside.limit(limits, alone=False)
    seen, own = view.for_session(readable, hidden), [folder.absolute() for folder in writable]
    if os.getuid() == 0:
        _step_down(seen, own)
    if landlock.version():
        landlock.restrict(seen.pieces(), writable=[*own, NOTHING])
    linux.drop_capabilities()
    seccomp.restrict(session=True)


def _step_down(seen: view.View, own: list[Path]) -> None:
    """From root to an ordinary user, who may not be able to find Python where it is: so it is shown to them."""
    for folder in own:
        _give(folder, SOMEBODY)
    try:
        namespaces.hide_files(seen, own)
    except PermissionError:  # a container, in which root may not do so
        if not landlock.version():
            raise
    namespaces.become(SOMEBODY)
    linux.die_with_parent()
    if not os.access(__file__, os.R_OK):
        raise PermissionError(
            f"no user but root can read {__file__}: install Python where everybody can, or start as an ordinary user"
        )


def _give(folder: Path, user: int) -> None:
    """The folder and all in it; links are not followed."""
    for _path, folders, files, descriptor in os.fwalk(folder):
        os.chown(descriptor, user, user)
        for name in (*folders, *files):
            os.chown(name, user, user, dir_fd=descriptor, follow_symlinks=False)


def keeps_files_apart() -> bool:
    """Whether `confine` can say which files a process reaches."""
    return landlock.version() > 0 or os.getuid() == 0


def _lock(tier: str, seen: view.View, limits: Limits) -> None:
    if tier == "namespaces":
        within = namespaces.enter(seen, with_parent=True)
        namespaces.settle(within, limits.scratch)
        within.close()
        linux.die_with_parent()  # anew: the kernel forgets it with the change of user
    inside.limit(limits, alone=tier == "namespaces")
    if tier == "landlock":
        landlock.restrict(seen.pieces())
    if tier != "limits":
        linux.drop_capabilities()
        seccomp.restrict(read_only=tier == "landlock")


def _holds(tier: str, seen: view.View, limits: Limits) -> bool:
    """Whether a child that is locked like this can't get out."""
    with selftest.outside(limits) as about:
        child = os.fork()
        if not child:
            _try(tier, seen, limits, about)
        _pid, status = os.waitpid(child, 0)
    return status == 0


def _try(tier: str, seen: view.View, limits: Limits, about: bytes) -> None:
    """In a child: exit code 0 where all walls held."""
    held = False
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        _lock(tier, seen, limits)
        held = all(json.loads(selftest.probe(about)).values())
    finally:
        os._exit(not held)
