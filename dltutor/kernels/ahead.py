"""Compile kernels in a second process, from the last one to the first, while the caller compiles from the first on.

    with Ahead("cpu", names):
        for name in names:
            device.kernel(name).warm()

Both leave machine code in files (kept.py), so what one of them has compiled, the other one loads. Numba itself compiles
in one thread only.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from types import TracebackType

from dltutor.kernels import device
from dltutor.kernels.compile import Kernel
from dltutor.kernels.launch import usable_cores

WORTH_IT = 4  # kernels to compile: a second Python and a second Numba take a second to start


class Ahead:
    """Runs the second process, where it pays, until the caller is done."""

    def __init__(self, device_name: str, names: list[str]) -> None:
        self._device, self._missing = device_name, [name for name in names if not is_kept(name)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> None:
        if len(self._missing) < WORTH_IT or usable_cores() < 2:
            return
        command = [sys.executable, "-m", "dltutor.kernels.ahead", self._device, *reversed(self._missing)]
        quiet = subprocess.DEVNULL
        with contextlib.suppress(OSError):  # a process that is locked up starts no other one
            self._process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)

    def __exit__(self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()


def is_kept(name: str) -> bool:
    """Whether there is machine code of it, for the processor; of CUDA kernels nobody knows before they are built."""
    kernel = device.kernel(name)
    return isinstance(kernel, Kernel) and kernel.is_kept


def main() -> None:
    device_name, *names = sys.argv[1:]
    device.use(device_name)
    for name in names:
        if not is_kept(name):
            device.kernel(name).warm()


if __name__ == "__main__":
    main()
