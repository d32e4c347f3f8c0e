"""What a class server's engine zygote forks: an engine that has everything loaded and compiled, for one learner's lab.

`preload` runs once, in the zygote; `main` in each fork, whose standard input and output are a socket that speaks the
wire.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from dltutor import compiled
from dltutor.engine.engine import CLEAR, Engine
from dltutor.engine.process import readable, work
from dltutor.i18n import _
from dltutor.kernels import device, kept
from dltutor.kernels.ahead import Ahead
from dltutor.kernels.compile import Kernel, prepare
from dltutor.kernels.launch import addresses, form, replayer
from dltutor.kernels.own import compile_own
from dltutor.lesson.course import built_in, catalogue
from dltutor.progress import home
from dltutor.room import confine, lock_this_process
from dltutor.service import Wire, serve
from dltutor.wire import Open, Start

KEPT = ("NUMBA_", "DLTUTOR_LESSONS")  # how variables begin that forks must find as they were when all was loaded
SAMPLE_OF = "dltutor/kernels/tanh.py:tanh_backward"
SAMPLE = """
import numpy as np

def tanh_backward(y, dy, dx):
    for i in range(y.shape[0]):
        dx[i] += dy[i] * np.sqrt(y[i])
"""  # what the compiler works out for the first kernel of a learner's is there for all
_readable: list[Path] = []
_environment: dict[str, str] = {}


# ---------------------------------------------------------------- in the zygote


def preload() -> None:
    """Load Numba, the layers, and the kernels that the lessons name; what was never compiled is compiled now."""
    compiled.prepare_folder(sys.stderr.write)
    importlib.import_module("dltutor.layers")
    prepare()
    replayer()
    _load(sorted({kernel for entry in catalogue().entries for kernel in _kernels(entry.heading)} | {CLEAR}))
    compile_own(SAMPLE, [SAMPLE_OF], guarded=True)
    _rehearse()
    kept.forget_locks()
    with suppress(OSError):  # a folder of somebody else's
        kept.folder().chmod(0o755)  # forks of root's are other users
    _readable.extend(readable())
    _environment.update({name: value for name, value in os.environ.items() if name.startswith(KEPT)})


def _kernels(heading: Any) -> list[str]:
    """Those of ours; others come with a lab, and with them code that is not ours."""
    named = heading.kernels if heading else []
    return [name for name in named if name.startswith("dltutor/kernels/")]


def _load(kernels: list[str]) -> None:
    with Ahead(device.name(), kernels):
        for name in kernels:
            device.kernel(name).warm()
    addresses([form(kernel) for kernel in map(device.kernel, kernels) if isinstance(kernel, Kernel)])


def _rehearse() -> None:
    """The beginning of each lab of ours, unseen: what labs import and work out is there for all."""
    for entry in catalogue().entries:
        if entry.heading and entry.heading.has_lab and entry.folder.parent == built_in():
            engine = Engine(SimpleQueue(), lambda event: None)
            engine.open(Open(entry.id))
            engine.begin(Start(entry.heading.setting({}), paused=True))
            if engine.run:
                engine.finish(engine.run, "done")


# ---------------------------------------------------------------- in a fork


def main(order: dict[str, Any], _descriptors: list[int]) -> int:
    """An engine, until its socket is closed."""
    arguments = order["arguments"]
    os.environ.update(_environment, DLTUTOR_LANG=arguments["language"])
    walls = _lock if arguments["locked"] else _confine
    serve(partial(work, threads=1), lambda: _("the engine cannot go on: {kind}: {error}"), walls)
    return 0


def _lock(_wire: Wire) -> None:
    """Before anything of the learner's is there."""
    lock_this_process(_readable)
    tempfile.tempdir = None


def _confine(_wire: Wire) -> None:
    """It runs nothing of learners', and still needs nothing of theirs."""
    confine(_readable, hidden=[home()])
