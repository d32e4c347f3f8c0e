"""A new Python for each run: slower by Numba's start, but it can be put behind walls that are built from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from functools import partial
from typing import NoReturn

from dltutor.grading.room import bubblewrap, inside, linux, seccomp, zygote
from dltutor.grading.room.limits import Limits
from dltutor.grading.room.view import View
from dltutor.grading.room.watch import UNKNOWN, Ended, Watch, kill_group


def run(tier: str, view: View, command: list[str], message: bytes, limits: Limits) -> Ended:
    """Start `command`, a Python that calls `main`, and follow it to its end."""
    output, printing = os.pipe()
    reply, replying = os.pipe()
    environment = zygote.NO_SECRETS
    command = [*command, str(replying)]
    if tier == "bubblewrap":
        command = bubblewrap.wrapped(command, view, environment, limits.scratch)
    with tempfile.TemporaryFile() as file:
        file.write(message)
        file.seek(0)
        child = subprocess.Popen(
            command, stdin=file, stdout=printing, stderr=printing, pass_fds=[replying],
            env=environment, cwd="/", start_new_session=True,
        )  # fmt: skip
    os.close(printing)
    os.close(replying)
    ended = Watch(child.pid, reply, output, limits, partial(kill_group, child.pid)).follow()
    child.returncode = ended.status  # it has been waited for
    os.close(output)
    os.close(reply)
    return _unwrapped(ended) if tier == "bubblewrap" else ended


def _unwrapped(ended: Ended) -> Ended:
    """bwrap tells a signal as shells do: 128 and its number; and not how long the processor was used."""
    ended.cpu = UNKNOWN
    code = os.waitstatus_to_exitcode(ended.status)
    ended.status = code - 128 if 128 < code <= 128 + signal.SIGRTMAX else ended.status
    return ended


def main(tier: str, worker: str, reply: str) -> NoReturn:
    """In the new Python: one request, from stdin."""
    header, _newline, request = sys.stdin.buffer.read().partition(b"\n")
    order = json.loads(header)
    work = zygote.loaded(worker)[order["probe"]]
    place = inside.take_places(1, int(reply))
    sys.argv = [""]
    inside.limit(Limits(**order["limits"]), alone=tier == "bubblewrap")
    if tier == "bubblewrap":
        linux.drop_capabilities()
        seccomp.restrict()
    inside.serve(work, request, place)
