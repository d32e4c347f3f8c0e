"""From a kernel's Python function to what a graphics card runs, on a machine that has none.

    Python  --Numba-->  LLVM IR  --NVVM-->  PTX  --nvJitLink-->  cubin

The first step needs the package numba-cuda; the other two NVIDIA's compilers (`pip install "dltutor[cuda]"`), but no
driver. The LLVM IR is the same for every card, so it is made once; PTX is made for each compute capability.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels.compile import CudaKernel, argument_names, numba_cuda, with_cuda
from dltutor.kernels.machine_code import without_collector

Capability = tuple[int, int]  # which instructions a card has: (9, 0), written sm_90
Function = Any  # a plain Python function

H100: Capability = (9, 0)

_lock = threading.RLock()


@dataclass(frozen=True)
class Compiled:
    """One kernel for one signature, as LLVM IR inside Numba, ready to become PTX."""

    name: str  # of the Python function
    entry: str  # the same in LLVM IR and PTX
    names: tuple[str, ...]  # of its arguments
    arguments: tuple[Any, ...]  # their types, as Numba has them
    library: Any  # Numba's code library

    def ptx(self, capability: Capability = H100) -> str:
        """The kernel in PTX for cards of that compute capability. It knows the Python line of each instruction."""
        require_toolkit()
        with _lock:
            (text,) = self.library.get_asm_strs(cc=capability)
        return str(text)

    def modules(self) -> tuple[str, ...]:
        """LLVM IR as NVVM gets it: the kernel's own module, then those of the functions that it calls.

        The kernel takes what the card is given (see `array_words` in launch.py) and returns nothing. llvmlite's
        parse_assembly reads it, and writes it again with its pointers as `ptr`.
        """
        return tuple(str(library._module) for library in with_called(self.library))


def with_called(library: Any) -> list[Any]:
    """A code library, those of the functions that it calls, and of those that they call: each once."""
    found = [library]
    for one in found:  # grows meanwhile
        called = sorted(one._linking_libraries, key=lambda library: str(library.name))
        found += [other for other in called if other not in found]
    return found


@cache
def compiled(kernel: CudaKernel) -> Compiled:
    """A kernel of ours, with the signature that its annotations say."""
    return compile_function(with_cuda(kernel.py_func), kernel.signature)


def compile_function(function: Function, signature: str) -> Compiled:
    """Any kernel whose globals name Numba's `cuda`. `signature` is Numba's: "void(float32[::1], int64)".

    Raises DltutorError where there is no compiler, and Numba's own errors where it cannot compile the function.
    """
    require_compiler()
    compiler: Any = importlib.import_module("numba.cuda.compiler")
    sigutils: Any = importlib.import_module("numba.cuda.core.sigutils")
    arguments, _nothing = sigutils.normalize_signature(signature)
    with _lock, assumed_card(H100), without_collector(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Could not find source")  # of a function typed in: then lines have no text
        library, _nothing = compiler._compile_pyfunc_with_fixup(
            function, signature, device=False, abi="numba", lineinfo=True, cc=H100
        )
    return Compiled(function.__name__, library._entry_name, argument_names(function), tuple(arguments), library)


# ---------------------------------------------------------------- what is there


def require_compiler() -> None:
    """Raise where Numba cannot make LLVM IR for a card."""
    numba_cuda()
    config: Any = importlib.import_module("numba").config
    if config.ENABLE_CUDASIM:
        message = _("Numba's CUDA simulator is on, and it compiles nothing")
        raise DltutorError(message, _("Start without NUMBA_ENABLE_CUDASIM in the environment."))


def require_toolkit() -> None:
    """Raise where NVIDIA's compiler is missing."""
    if reason := missing_toolkit():
        message = _("NVIDIA's compiler cannot be loaded: {reason}").format(reason=reason)
        raise DltutorError(message, _('Install it with: pip install "dltutor[cuda]"'))


@cache
def missing_toolkit() -> str:
    """Why no PTX can be made here; empty where it can."""
    try:
        require_compiler()
        nvrtc: Any = importlib.import_module("numba.cuda.cudadrv.nvrtc")
        nvvm: Any = importlib.import_module("numba.cuda.cudadrv.nvvm")
        nvvm.NVVM()
        nvrtc.get_arch_option(*H100)
    except Exception as error:  # each library has its own errors for "not found", and some are plain RuntimeErrors
        return first_line(error)
    return ""


def first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


# ---------------------------------------------------------------- Numba's insides


class _Card:
    def __init__(self, capability: Capability) -> None:
        self.compute_capability = capability


@contextlib.contextmanager
def assumed_card(capability: Capability) -> Iterator[None]:
    """A kernel that calls a device function makes Numba ask what card this is. It gets this answer."""
    dispatcher: Any = importlib.import_module("numba.cuda.dispatcher")
    asked = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: _Card(capability)
    try:
        yield
    finally:
        dispatcher.get_current_device = asked
