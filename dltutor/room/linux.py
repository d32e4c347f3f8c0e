"""System calls of Linux that Python has no name for."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from pathlib import Path
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)
X86, ARM = "x86_64", "aarch64"
MACHINE = platform.machine()

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 1 << 17, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT = 1, 2, 4, 32
MS_BIND, MS_REC, MS_PRIVATE, MS_RELATIME = 1 << 12, 1 << 14, 1 << 18, 1 << 21
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 1, 4, 24, 38, 22
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
CAPABILITY_VERSION_3 = 0x20080522
HIGHEST_FILE = 1 << 16  # the number of an open one
LAST_CAPABILITY = 63  # more than there are: the kernel says no to the rest

NUMBERS = {  # of system calls: on x86_64, on aarch64
    # the network
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206), "sendmsg": (46, 211), "sendmmsg": (307, 269),
    # new processes and programs
    "clone": (56, 220), "clone3": (435, 435), "fork": (57, None), "vfork": (58, None), "execve": (59, 221),
    "execveat": (322, 281),
    # other processes
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "kcmp": (312, 272), "prlimit64": (302, 261), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "sched_setscheduler": (144, 119), "sched_setattr": (314, 274), "sched_setparam": (142, 118),
    "sched_setaffinity": (203, 122), "migrate_pages": (256, 238), "move_pages": (279, 239),
    # namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430),
    "fsmount": (432, 432), "fsconfig": (431, 431), "fspick": (433, 433), "mount_setattr": (442, 442),
    "swapon": (167, 224), "swapoff": (168, 225), "quotactl": (179, 60), "quotactl_fd": (443, 443), "acct": (163, 89),
    # what is known about files
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "truncate": (76, 45), "utime": (132, None),
    "utimes": (235, None), "utimensat": (280, 88), "futimesat": (261, None), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "fremovexattr": (199, 16), "mknod": (133, None), "mknodat": (259, 33), "open": (2, None), "creat": (85, None),
    "openat": (257, 56), "openat2": (437, 437),
    # doors to the rest of the kernel
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "fanotify_init": (300, 262),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "sethostname": (170, 161), "setdomainname": (171, 162),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "personality": (135, 92), "syslog": (103, 116), "vhangup": (153, 58), "iopl": (172, None), "ioperm": (173, None),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42), "vmsplice": (278, 75), "ioctl": (16, 29), "fcntl": (72, 25), "capset": (126, 91),
    "prctl": (157, 167),
    # memory that outlives or is shared
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196),
    "shmctl": (31, 195), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "semget": (64, 190),
    "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192), "mq_open": (240, 180), "mq_unlink": (241, 181),
    # Landlock
    "landlock_create_ruleset": (444, 444), "landlock_add_rule": (445, 445), "landlock_restrict_self": (446, 446),
}  # fmt: skip


def number(name: str) -> int | None:
    """Of the system call `name` on this processor; None where it has none of that name."""
    if MACHINE not in (X86, ARM):
        raise OSError(f"system calls of {MACHINE} are not known here")
    return NUMBERS[name][MACHINE == ARM]


def system_call(name: str, *arguments: Any) -> int:
    """Call the kernel: integers and buffers. Raises OSError."""
    longs = (ctypes.c_long(value) if isinstance(value, int) else value for value in arguments)
    return _checked(libc.syscall(ctypes.c_long(number(name) or -1), *longs), name)


def prctl(option: int, *arguments: Any) -> int:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    longs = (ctypes.c_ulong(value) if isinstance(value, int) else value for value in padded)
    return _checked(libc.prctl(ctypes.c_int(option), *longs), f"prctl {option}")


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, options: str = "") -> None:
    texts = [text.encode() if text is not None else None for text in (source, target, kind)]
    done = libc.mount(*texts, ctypes.c_ulong(flags), options.encode() or None)
    _checked(done, f"mount {target}")


def unmount(target: str) -> None:
    _checked(libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def unshare(flags: int) -> None:
    _checked(libc.unshare(flags), "unshare")


def setns(descriptor: int, kind: int) -> None:
    _checked(libc.setns(descriptor, kind), "setns")


def drop_capabilities() -> None:
    """For good: neither this process nor what it might start gets them back."""
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0)
    libc.prctl(PR_CAP_AMBIENT, ctypes.c_ulong(PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    system_call("capset", header, (ctypes.c_uint32 * 6)())


def no_new_privileges() -> None:
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent() -> None:
    prctl(PR_SET_PDEATHSIG, 9)


def step_back(nice: int) -> None:
    """Let others go first: this process, and the session that it is in."""
    os.nice(nice)
    hold_back(os.getpid())


def hold_back(pid: int) -> None:
    """Let the session of `pid` be as nice as this process. Among sessions kernels share the time out evenly, and how
    nice a process is counts only within its own."""
    if nice := os.nice(0):
        with contextlib.suppress(OSError):  # a kernel that does not do so
            Path(f"/proc/{pid}/autogroup").write_text(str(nice), encoding="ascii")


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result
