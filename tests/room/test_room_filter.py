"""The filter of system calls, as the kernel would read it, on both kinds of processor."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from dltutor.room import linux, seccomp

HEADERS = {
    linux.X86: Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    linux.ARM: Path("/usr/include/asm-generic/unistd.h"),
}
OWN = 4711
MACHINES = pytest.mark.parametrize("machine", [linux.X86, linux.ARM])


def answer(machine: str, call: int, *arguments: int, architecture: int | None = None, **which: bool) -> int:
    """What the filter says: 0 for yes, an error number, or -1 where the process would be killed."""
    asked = struct.pack("=iIQ6Q", call, architecture or seccomp.ARCHITECTURES[machine], 0, *(*arguments, *[0] * 6)[:6])
    code = [struct.unpack("HBBI", line) for line in seccomp.program(OWN, machine=machine, **which)]
    place = held = 0
    while True:
        operation, if_true, if_false, value = code[place]
        place += 1
        if operation == seccomp.RETURN:
            return {seccomp.ALLOW: 0, seccomp.KILL: -1}.get(value, value & 0xFFFF)
        if operation == seccomp.LOAD:
            (held,) = struct.unpack_from("=I", asked, value)
            continue
        if operation == seccomp.AND:
            held &= value
            continue
        tests = {seccomp.EQUAL: held == value, seccomp.AT_LEAST: held >= value, seccomp.ANY_BIT: bool(held & value)}
        place += if_true if tests[operation] else if_false


def number(machine: str, name: str) -> int:
    found = linux.NUMBERS[name][machine == linux.ARM]
    assert found is not None
    return found


@MACHINES
def test_numbers_are_those_of_the_kernel(machine):
    if not HEADERS[machine].exists():
        pytest.skip(f"no {HEADERS[machine]}")
    text = HEADERS[machine].read_text(encoding="utf-8")
    official = {name: int(digits) for name, digits in re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)", text)}
    ours = {name: numbers[machine == linux.ARM] for name, numbers in linux.NUMBERS.items()}
    assert {name: ours[name] for name in ours if name in official} == {
        name: official[name] for name in ours if name in official
    }
    assert len(set(ours.values()) - {None}) == len([value for value in ours.values() if value is not None])


@MACHINES
@pytest.mark.parametrize("name", ["socket", "execve", "ptrace", "unshare", "mount", "keyctl", "bpf", "io_uring_setup"])
def test_what_a_kernel_does_not_need_is_not_permitted(machine, name):
    assert answer(machine, number(machine, name)) == errno.EPERM


@MACHINES
def test_reading_writing_and_memory_are_permitted(machine):
    for call in {linux.X86: (0, 1, 9, 10, 11, 202), linux.ARM: (63, 64, 222, 226, 215, 98)}[machine]:
        assert answer(machine, call) == 0


@MACHINES
def test_threads_but_no_processes_and_no_namespaces(machine):
    clone = number(machine, "clone")
    assert answer(machine, clone, seccomp.CLONE_THREAD | 0xF00) == 0
    assert answer(machine, clone, 17) == errno.EPERM
    assert answer(machine, clone, seccomp.CLONE_THREAD | 0x10000000) == errno.EPERM
    assert answer(machine, number(machine, "clone3")) == errno.ENOSYS


@MACHINES
def test_signals_and_limits_for_oneself_only(machine):
    for name in ("kill", "tgkill"):
        assert answer(machine, number(machine, name), OWN, 6) == 0
        assert answer(machine, number(machine, name), 1, 6) == errno.EPERM
        assert answer(machine, number(machine, name), 2**64 - 1, 6) == errno.EPERM
    assert [answer(machine, number(machine, "prlimit64"), pid) for pid in (0, OWN, 1)] == [0, 0, errno.EPERM]


@MACHINES
def test_nothing_types_into_a_terminal(machine):
    ioctl = number(machine, "ioctl")
    assert answer(machine, ioctl, 0, 0x5413) == 0
    assert answer(machine, ioctl, 0, 0x5412) == answer(machine, ioctl, 0, 0x541C) == errno.EPERM
    assert answer(machine, ioctl, 0, 0x1_0000_5412) == errno.EPERM


@MACHINES
def test_no_file_sends_signals_to_others(machine):
    for call, commands in (("fcntl", (8, 10, 15, 1 << 32 | 8)), ("ioctl", (0x8901, 0x8902))):
        assert {answer(machine, number(machine, call), 3, value) for value in commands} == {errno.EPERM}
    assert {answer(machine, number(machine, "fcntl"), 3, value) for value in (0, 1, 2, 3, 4, 6, 1030)} == {0}


@MACHINES
def test_nothing_is_cut_short_where_all_is_read_only(machine):
    openat, cut = number(machine, "openat"), 0x200
    assert answer(machine, openat, 0, 0, cut) == 0
    assert answer(machine, openat, 0, 0, cut, read_only=True) == errno.EPERM
    assert answer(machine, openat, 0, 0, 0, read_only=True) == 0


@MACHINES
def test_other_sets_of_system_calls_are_deadly_and_newer_ones_not_there(machine):
    assert answer(machine, 0, architecture=0x40000003) == -1
    assert answer(machine, 463) == errno.ENOSYS
    assert answer(linux.X86, seccomp.X32_BIT | 1) == -1


@MACHINES
def test_t14_a_session_talks_over_what_it_has_and_opens_no_socket(machine):
    pair, internet = number(machine, "socketpair"), number(machine, "socket")
    assert answer(machine, pair, 1, 1 | 0x80000, session=True) == 0
    assert answer(machine, pair, 1, 2, session=True) == errno.EPERM  # whose ends could send to any other's
    assert answer(machine, pair, 1, 1) == errno.EPERM  # in the room
    assert answer(machine, internet, 1, 1, session=True) == errno.EPERM
    assert answer(machine, number(machine, "connect"), session=True) == errno.EPERM
    assert answer(machine, number(machine, "sendto"), session=True) == 0


@MACHINES
def test_t14_a_session_cuts_files_short_only_where_it_writes(machine):
    opened = number(machine, "openat")
    allowed = [answer(machine, opened, 0, 0, way | 0x200, session=True) == 0 for way in range(4)]
    assert allowed == [False, True, True, False]
    assert all(answer(machine, opened, 0, 0, way | 0o100, session=True) == 0 for way in range(4))


@MACHINES
@pytest.mark.parametrize(
    "name", ["execve", "ptrace", "unshare", "mount", "bpf", "chmod", "fchmodat", "setns", "keyctl"]
)
def test_t14_what_a_session_does_not_need_is_not_permitted(machine, name):
    call = linux.NUMBERS[name][machine == linux.ARM]
    assert call is None or answer(machine, call, session=True) == errno.EPERM
