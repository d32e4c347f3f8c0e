"""Which system calls the learner's code may make: a filter in the kernel's own little language, assembled here.

A kernel of the learner's calculates. It needs memory, threads, the clock and its few open files; so whatever opens a
network, starts a process, touches another one or changes what is known about a file answers "not permitted".
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from dltutor.room import linux

ARCHITECTURES = {linux.X86: 0xC000003E, linux.ARM: 0xC00000B7}  # from <linux/audit.h>
X32_BIT = 0x40000000  # the third set of system calls of x86_64
NEWER = 454  # from here on come system calls that were unknown when this was written: they are not there
CLONE_THREAD, CLONE_NEW = 0x00010000, 0x7E020080  # every CLONE_NEW... flag
TIOCSTI, TIOCLINUX, TIOCSETD = 0x5412, 0x541C, 0x5423  # type into a terminal, or make another thing of it
FIOSETOWN, SIOCSPGRP = 0x8901, 0x8902  # whom a file sends a signal
F_SETOWN, F_SETSIG, F_SETOWN_EX = 8, 10, 15  # whom, and which: SIGKILL is one
O_TRUNC, O_ACCMODE = 0x200, 0x3
FOR_WRITING = (1, 2)  # of O_ACCMODE
STREAM = 1  # a kind of socket
STREAM_FLAGS = (0, 0x800, 0x80000, 0x80800)  # what may come with it: does not block, is not inherited
MODE_FILTER = 2

# Instructions and answers, from <linux/bpf_common.h> and <linux/seccomp.h>
LOAD, EQUAL, AT_LEAST, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # where they stand in what the filter looks at

SPECIAL = {  # has a rule of its own below
    "clone", "clone3", "kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "prlimit64", "ioctl", "open", "creat",
    "openat", "openat2", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "capset", "prctl",
    "fcntl",
}  # fmt: skip
TALK = {"socketpair", "sendto", "sendmsg"}  # over sockets that are there, or to oneself
KEEP = {"fchmod"}  # files that are open: SQLite's
OWN_ONLY = ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")

Code = list[bytes]


def restrict(read_only: bool = False, session: bool = False) -> None:
    """Put the filter over this thread and all that come from it, for good.

    With `read_only`, no file may be cut short: Landlock of older kernels doesn't look after that. A `session` is a
    program of ours, that keeps files and talks over sockets which it was given.
    """
    code = b"".join(program(os.getpid(), read_only, session=session))
    held = ctypes.create_string_buffer(code, len(code))
    told = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(held))
    linux.no_new_privileges()
    linux.prctl(linux.PR_SET_SECCOMP, MODE_FILTER, ctypes.create_string_buffer(told, len(told)))


def program(own: int, read_only: bool = False, machine: str = linux.MACHINE, session: bool = False) -> Code:
    """The filter for the process with the number `own`."""

    def of(name: str) -> int | None:
        return linux.NUMBERS[name][machine == linux.ARM]

    special = SPECIAL | TALK | KEEP if session else SPECIAL
    rules = [_refused(of(name)) for name in linux.NUMBERS if name not in special]
    rules += [_only(of(name), {own}) for name in OWN_ONLY]
    rules += [_only(of("prlimit64"), {0, own}), _threads_only(of("clone")), _refused(of("clone3"), errno.ENOSYS)]
    rules += [_never(of("ioctl"), 1, value) for value in (TIOCSTI, TIOCLINUX, TIOCSETD, FIOSETOWN, SIOCSPGRP)]
    rules += [_never(of("fcntl"), 1, value) for value in (F_SETOWN, F_SETSIG, F_SETOWN_EX)]
    rules += [_never(of("prctl"), 0, linux.PR_SET_PDEATHSIG)]  # whatever watches over this process, it dies with it
    if read_only:
        rules += [_refused(of("creat")), _refused(of("openat2"), errno.ENOSYS)]
        rules += [_without(of("open"), 1, O_TRUNC), _without(of("openat"), 2, O_TRUNC)]
    if session:
        rules += [_only(of("socketpair"), {STREAM | flags for flags in STREAM_FLAGS}, argument=1)]
        rules += [_refused(of("openat2"), errno.ENOSYS), _cut_only_to_write(of("open"), 1)]
        rules += [_cut_only_to_write(of("openat"), 2)]
    return [*_start(machine), *(line for rule in rules for line in rule), _answer(ALLOW)]


def _start(machine: str) -> Code:
    newer = [_line(AT_LEAST, NEWER, 0, 1), _answer(ERRNO | errno.ENOSYS)]
    x32 = [_line(AT_LEAST, X32_BIT, 0, 1), _answer(KILL)] if machine == linux.X86 else []
    known = [_load(ARCHITECTURE), _line(EQUAL, ARCHITECTURES[machine], 1, 0), _answer(KILL)]
    return [*known, _load(NUMBER), *x32, *newer]


def _refused(call: int | None, error: int = errno.EPERM) -> Code:
    return _when(call, [_answer(ERRNO | error)])


def _only(call: int | None, values: set[int], argument: int = 0) -> Code:
    """Allowed where the argument is one of `values`."""
    tests = [_line(EQUAL, value, len(values) - place, 0) for place, value in enumerate(values)]
    return _when(call, [_load(ARGUMENTS + 8 * argument), *tests, _answer(ERRNO | errno.EPERM), _answer(ALLOW)])


def _never(call: int | None, argument: int, value: int) -> Code:
    refuse = [_line(EQUAL, value, 0, 1), _answer(ERRNO | errno.EPERM)]
    return _when(call, [_load(ARGUMENTS + 8 * argument), *refuse, _load(NUMBER)])


def _without(call: int | None, argument: int, bits: int) -> Code:
    refuse = [_line(ANY_BIT, bits, 0, 1), _answer(ERRNO | errno.EPERM)]
    return _when(call, [_load(ARGUMENTS + 8 * argument), *refuse, _load(NUMBER)])


def _cut_only_to_write(call: int | None, argument: int) -> Code:
    """A file that is opened to be read isn't cut short by that: Landlock of older kernels doesn't look after it."""
    flags = [_load(ARGUMENTS + 8 * argument), _line(ANY_BIT, O_TRUNC, 0, 2 + len(FOR_WRITING))]
    ways = [_line(EQUAL, way, len(FOR_WRITING) - place, 0) for place, way in enumerate(FOR_WRITING)]
    return _when(call, [*flags, _line(AND, O_ACCMODE), *ways, _answer(ERRNO | errno.EPERM), _load(NUMBER)])


def _threads_only(call: int | None) -> Code:
    """`clone` makes threads, no processes and no namespaces."""
    tests = [_line(ANY_BIT, CLONE_NEW, 1, 0), _line(ANY_BIT, CLONE_THREAD, 1, 0)]
    return _when(call, [_load(ARGUMENTS), *tests, _answer(ERRNO | errno.EPERM), _answer(ALLOW)])


def _when(call: int | None, rule: Code) -> Code:
    """`rule`, jumped over for every other system call; nothing where this processor has no such call."""
    return [] if call is None else [_line(EQUAL, call, 0, len(rule)), *rule]


def _load(place: int) -> bytes:
    return _line(LOAD, place)


def _answer(value: int) -> bytes:
    return _line(RETURN, value)


def _line(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction; the jumps say how many of the next ones to leave out."""
    return struct.pack("HBBI", operation, if_true, if_false, value)
