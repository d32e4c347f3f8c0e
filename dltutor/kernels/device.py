"""Where the arrays live and the kernels run: the processor, a graphics card, or the emulation of one.

`use` is called once, before a lab is imported. Layers ask here for arrays and operations; labs never mention it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from dltutor.errors import DltutorError, UsageError
from dltutor.i18n import _
from dltutor.kernels.compile import (
    Card,
    CudaKernel,
    CudaSequence,
    Kernel,
    numba_cuda,
    require_numba_cuda,
    resolve,
    run_cuda_with,
)
from dltutor.kernels.launch import Graph

Operation = Kernel | CudaKernel | CudaSequence


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

    def copy(self, target: Any, source: Any) -> None:
        np.copyto(target, source)

    def address(self, array: Any) -> int:
        """Where the first element stands."""
        return array.__array_interface__["data"][0]

    def graph(self) -> Graph:
        return Graph()


class Emulated(Cpu):
    """The CUDA kernels on NumPy arrays: no card, no driver."""

    name = "emulate"
    suffix = "_cuda"

    def __init__(self) -> None:
        from dltutor.emulate.native import Native

        require_numba_cuda()
        run_cuda_with(Native())

    def graph(self) -> Any:
        from dltutor.kernels.cuda_graph import EmulatedGraph

        return EmulatedGraph()


class Cuda:
    """Arrays in the card's memory."""

    name = "cuda"
    suffix = "_cuda"

    def __init__(self) -> None:
        self.cuda: Any = numba_cuda()
        if not self.cuda.is_available():
            message = _("no CUDA device was found")
            hint = _('Install pip install "dltutor[cuda]" and an NVIDIA driver, or use --device emulate.')
            raise DltutorError(message, hint)
        run_cuda_with(Card())

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

    def copy(self, target: Any, source: Any) -> None:
        target.copy_to_device(source)

    def address(self, array: Any) -> int:
        return array.device_ctypes_pointer.value

    def graph(self) -> Any:
        from dltutor.kernels.cuda_graph import CudaGraph

        return CudaGraph()


KINDS: dict[str, Callable[[], Cpu | Cuda]] = {"cpu": Cpu, "cuda": Cuda, "emulate": Emulated}
DEVICES = tuple(KINDS)

_current: Cpu | Cuda = Cpu()
_replaced: Mapping[str, Operation] = {}


def use(name: str) -> None:
    """Run on "cpu", "cuda" or "emulate" from now on.

    Raises DltutorError where there is no such device, or what it needs is missing.
    """
    global _current
    if name not in DEVICES:
        message = _("no device {name}").format(name=name)
        raise UsageError(message, _("Choose one of: {names}").format(names=", ".join(DEVICES)))
    _current = KINDS[name]()


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


def copy(target: Any, source: Any) -> None:
    """Overwrite an array of the device with another one, of the device or NumPy's."""
    _current.copy(target, source)


def address(array: Any) -> int:
    """What tells one array from another that has the same shape."""
    return _current.address(array)


def graph() -> Any:
    """Launches to be replayed: launch.Graph, or what stands for it on this device."""
    return _current.graph()


def kernel(where: str) -> Operation:
    """The kernel that a lesson names, "dltutor/kernels/dense.py:dense_forward", in its version for this device."""
    return resolve(for_this_device(where))


def op(name: str) -> Operation:
    """The kernel for "dense_forward" on this device, in the file named like the operation, or "clear.py:clear"."""
    operation, _slash, _way = name.rpartition("_")
    where = for_this_device(f"dltutor/kernels/{name if ':' in name else f'{operation}.py:{name}'}")
    return _replaced.get(where) or resolve(where)


def for_this_device(where: str) -> str:
    return where if where.endswith(_current.suffix) else where + _current.suffix


@contextmanager
def replaced(kernels: Mapping[str, Operation]) -> Iterator[None]:
    """What is recorded inside calls these, each in the place of ours that it is filed under."""
    global _replaced
    before, _replaced = _replaced, kernels
    try:
        yield
    finally:
        _replaced = before
