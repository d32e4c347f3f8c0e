"""A card that is not there: the stand-in driver, whose kernels are run by the native emulation.

`environment(folder)` compiles the driver and says how a process finds it; in that process, `Card()` connects it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

from dltutor.emulate.native import Bound, NativeKernel, native
from dltutor.kernels.compile import CudaKernel

SOURCE = Path(__file__).parent / "stand_in_driver.c"
LIBRARY = "libcuda.so.1"

OnLaunch = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint32), ctypes.POINTER(ctypes.c_void_p), ctypes.c_uint64
)
OnReplay = ctypes.CFUNCTYPE(None, ctypes.c_uint64)


def environment(folder: Path) -> dict[str, str]:
    """Variables for a process that is to have the card; empty where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        return {}
    command = [compiler, "-shared", "-fPIC", "-O1", "-w", "-o", str(folder / LIBRARY), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    places = [str(folder), os.environ.get("LD_LIBRARY_PATH", "")]
    return os.environ | {"LD_LIBRARY_PATH": ":".join(filter(None, places))}


class Card:
    """Runs what the driver is asked to launch, and remembers it."""

    def __init__(self, kernels: list[CudaKernel]) -> None:
        self.launched: list[str] = []  # kernels launched by themselves
        self.replayed: list[list[str]] = []  # the kernels of each graph that was launched
        self._kernels = kernels
        self._graphs: dict[int, list[Bound]] = defaultdict(list)
        self._driver = ctypes.CDLL(LIBRARY)
        self._keep = OnLaunch(self._launch), OnReplay(self._replay)
        for name, function in zip(("on_launch", "on_replay"), self._keep, strict=True):
            ctypes.c_void_p.in_dll(self._driver, name).value = ctypes.cast(function, ctypes.c_void_p).value

    def forget(self) -> None:
        self.launched.clear()
        self.replayed.clear()

    def told(self) -> dict[str, list[Any]]:
        """What has been launched since it was last forgotten."""
        return {"launched": list(self.launched), "replayed": list(self.replayed)}

    @property
    def allocations(self) -> int:
        return ctypes.c_int64.in_dll(self._driver, "allocations").value

    def refuse_capture(self) -> None:
        ctypes.c_int.in_dll(self._driver, "can_capture").value = 0

    def _launch(self, name: bytes, sizes: Any, arguments: Any, graph: int) -> None:
        kernel = self._named(name.decode())
        bound = Bound(kernel, tuple(sizes[0:3]), tuple(sizes[3:6]), read(kernel, arguments))
        if graph:
            self._graphs[graph].append(bound)
        else:
            self.launched.append(kernel.name)
            bound.run()

    def _replay(self, graph: int) -> None:
        self.replayed.append([bound.kernel.name for bound in self._graphs[graph]])
        for bound in self._graphs[graph]:
            bound.run()

    def _named(self, mangled: str) -> NativeKernel:
        """Numba's name for a function holds its own, after the length of that."""
        (kernel,) = [one for one in self._kernels if f"{len(one.__name__)}{one.__name__}B" in mangled]
        return native(kernel)


def read(kernel: NativeKernel, arguments: Any) -> list[int]:
    """The words of all arguments; arguments[i] is where the i-th one stands."""
    words, place = [], 0
    for parameter in kernel.parameters:
        size = parameter.dtype.itemsize if parameter.size == 1 else 8
        for address in arguments[place : place + parameter.size]:
            words.append(int.from_bytes(ctypes.string_at(address, size), "little"))
        place += parameter.size
    return words
