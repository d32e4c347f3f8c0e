"""Where the arrays live and the kernels run: the processor, a graphics card, or the emulation of one.

`use` is called once, before a lab is imported. Layers ask here for arrays and operations; labs never mention it.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from dltutor.errors import DltutorError, UsageError
from dltutor.i18n import _
from dltutor.kernels.clear import clear_cuda
from dltutor.kernels.compile import CudaKernel, CudaSequence, Kernel, numba_cuda, resolve, simulated

DEVICES = ("cpu", "cuda", "emulate")


class Cpu:
    """NumPy arrays in main memory; loops compiled for the processor."""

    name = "cpu"
    suffix = ""

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
        return np.empty(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
        return np.zeros(shape, dtype)

    def array(self, host: Any) -> Any:
        """`host` itself, no copy."""
        return host

    def host(self, array: Any) -> Any:
        """`array` itself, no copy."""
        return array

    def clear(self, array: Any) -> None:
        array.fill(0)

    def callable(self, kernel: Any) -> Any:
        """Numba's dispatcher, called without a detour through Python."""
        return kernel.dispatcher


class Cuda:
    """Arrays in the card's memory. With `emulate`, Numba's simulator runs the same kernels as Python threads."""

    suffix = "_cuda"

    def __init__(self, name: str) -> None:
        self.name = name
        self.cuda = numba_cuda()

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
        return self.cuda.device_array(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
        return self.cuda.to_device(np.zeros(shape, dtype))

    def array(self, host: Any) -> Any:
        """A copy of `host` on the card; what is there already stays."""
        return self.cuda.to_device(host) if isinstance(host, np.ndarray) else host

    def host(self, array: Any) -> Any:
        """A copy of `array` in main memory."""
        return array if isinstance(array, np.ndarray) else array.copy_to_host()

    def clear(self, array: Any) -> None:
        clear_cuda(array)

    def callable(self, kernel: Any) -> Any:
        return kernel


_current: Cpu | Cuda = Cpu()


def use(name: str) -> None:
    """Run on "cpu", "cuda" or "emulate" from now on.

    Raises DltutorError where there is no such device, or it cannot be used any more in this process.
    """
    global _current
    if name not in DEVICES:
        message = _("no device {name}").format(name=name)
        raise UsageError(message, _("Choose one of: {names}").format(names=", ".join(DEVICES)))
    if name == "emulate":
        _start_simulator()
    elif name == "cuda":
        _require_card()
    _current = Cpu() if name == "cpu" else Cuda(name)


def name() -> str:
    return _current.name


def empty(shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
    """A new array, its values undefined."""
    return _current.empty(shape, dtype)


def zeros(shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
    return _current.zeros(shape, dtype)


def array(host: Any) -> Any:
    """A NumPy array, on the device."""
    return _current.array(host)


def host(array: Any) -> Any:
    """An array of the device as a NumPy array; on the processor the very same one."""
    return _current.host(array)


def clear(array: Any) -> None:
    """Set a flat array to zero."""
    _current.clear(array)


def kernel(where: str) -> Kernel | CudaKernel | CudaSequence:
    """The kernel that a lesson names, "dltutor/kernels/dense.py:dense_forward", in its version for this device."""
    return resolve(where if where.endswith(_current.suffix) else where + _current.suffix)


def op(name: str) -> Any:
    """What to call for "dense_forward" on this device. The file is named like the operation."""
    operation, _slash, _way = name.rpartition("_")
    return _current.callable(kernel(f"dltutor/kernels/{operation}.py:{name}"))


def _start_simulator() -> None:
    if "numba" not in sys.modules:
        os.environ["NUMBA_ENABLE_CUDASIM"] = "1"
    if not simulated():
        message = _("the emulated device cannot be chosen any more: this process has loaded Numba without it")
        raise DltutorError(message, _("Set NUMBA_ENABLE_CUDASIM=1 before starting, or choose the device first."))


def _require_card() -> None:
    if not numba_cuda().is_available():
        message = _("no CUDA device was found")
        hint = _('Install pip install "dltutor[cuda]" and an NVIDIA driver, or use --device emulate.')
        raise DltutorError(message, hint)
