"""A new Python for each run, slower by Numba's start: where a process that has loaded libraries must not be forked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from typing import NoReturn

from dltutor.room import inside, zygote
from dltutor.room.limits import Limits
from dltutor.room.watch import Ended, Watch, kill_group


def run(command: list[str], message: bytes, limits: Limits) -> Ended:
    """Start `command`, a Python that calls `main`, and follow it to its end."""
    output, printing = os.pipe()
    reply, replying = os.pipe()
    with tempfile.TemporaryFile() as file:
        file.write(message)
        file.seek(0)
        child = subprocess.Popen(
            [*command, str(replying)], stdin=file, stdout=printing, stderr=printing, pass_fds=[replying],
            env=zygote.NO_SECRETS, cwd="/", start_new_session=True,
        )  # fmt: skip
    os.close(printing)
    os.close(replying)
    ended = Watch(child.pid, reply, output, limits, partial(kill_group, child.pid)).follow()
    child.returncode = ended.status  # it has been waited for
    os.close(output)
    os.close(reply)
    return ended


def main(worker: str, reply: str) -> NoReturn:
    """In the new Python: one request, from stdin."""
    header, _newline, request = sys.stdin.buffer.read().partition(b"\n")
    order = json.loads(header)
    work = zygote.loaded(worker)[order["probe"]]
    place = inside.take_places(os.open(os.devnull, os.O_RDONLY), 1, int(reply))
    sys.argv = [""]
    inside.limit(Limits(**order["limits"]), alone=False)
    inside.serve(work, request, place)
