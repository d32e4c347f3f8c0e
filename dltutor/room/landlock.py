"""Landlock: the kernel lets this process read and write what it names, and asks for no privilege to promise so."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from dltutor.room import linux

# Rights, from <linux/landlock.h>; the number of them that the kernel knows, by its version of Landlock.
WRITE_FILE, READ_FILE, READ_DIR = 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
REFER, TRUNCATE = 1 << 13, 1 << 14  # since versions 2 and 3: to another folder of those that can be written; shorter
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
READ = READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE
OF_A_FILE = READ_FILE | WRITE_FILE | TRUNCATE
NET_RIGHTS = 2  # since version 4: to bind and to connect
SCOPES = 2  # since version 6: no signals and no abstract sockets to others
VERSION_FLAG, PATH_BENEATH = 1, 1


@cache
def version() -> int:
    """Of Landlock in this kernel; 0 where there is none."""
    try:
        return linux.system_call("landlock_create_ruleset", None, 0, VERSION_FLAG)
    except OSError:
        return 0


def require() -> None:
    """Raise OSError where there is none."""
    if not version():
        raise OSError("this kernel has no Landlock")


def restrict(readable: Iterable[Path], listed: Iterable[Path] = (), writable: Iterable[Path] = ()) -> None:
    """From here on this process and its children read these paths and what lies below them, and write those.

    Of the folders that are `listed`, they learn what is in them.
    """
    rules = _ruleset()
    for paths, rights in ((readable, READ), (listed, READ_DIR), (writable, WRITE)):
        for path in paths:
            _allow(rules, path, rights & _known_files())
    linux.no_new_privileges()
    linux.system_call("landlock_restrict_self", rules, 0)
    os.close(rules)


def _ruleset() -> int:
    known = version()
    net = (1 << NET_RIGHTS) - 1 if known >= 4 else 0
    scopes = (1 << SCOPES) - 1 if known >= 6 else 0
    size = 8 if known < 4 else 16 if known < 6 else 24
    handled = ctypes.create_string_buffer(struct.pack("QQQ", _known_files(), net, scopes), 24)
    return linux.system_call("landlock_create_ruleset", handled, size, 0)


def _known_files() -> int:
    """All rights to files that this kernel knows."""
    return int((1 << FILE_RIGHTS.get(version(), 16)) - 1)


def _allow(rules: int, path: Path, rights: int) -> None:
    """A path that is not there needs no rule."""
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rule = ctypes.create_string_buffer(struct.pack("=Qi", rights if path.is_dir() else rights & OF_A_FILE, opened), 12)
    linux.system_call("landlock_add_rule", rules, PATH_BENEATH, rule, 0)
    os.close(opened)
