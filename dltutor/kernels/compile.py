"""How a loop becomes machine code.

A kernel is a plain Python function over arrays. `@kernel` hands it to Numba, which compiles it for this processor the
first time it is wanted and keeps the machine code in a file; nothing is compiled at import. `@cuda_kernel` does the
same for a graphics card, or for the emulation of one. `@scalar` is for a formula of a few numbers that kernels share.

The annotations of a kernel are its signature:

    Vector    float32[::1]        any number of float32
    Matrix    float32[:, ::1]     (rows, columns), row after row
    Tensor3   float32[:, :, ::1]  and so Tensor4
    Labels    int32[::1]          class numbers
    Tokens    int32[:, ::1]       numbers of words
    Number    float32
    Whole     int64               a size or a step

and for integers of other sizes Uint32Vector, Int8Vector, Int8Matrix, Int8Tensor4, Int32Matrix.

`warm()` compiles exactly that. Called with float64 arrays, a kernel is compiled once more, for them: the tests do so.
Numba is imported only when a kernel is built.
"""

from __future__ import annotations

import dis
import hashlib
import importlib
import importlib.util
import inspect
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dltutor.errors import DltutorError, UsageError
from dltutor.i18n import _
from dltutor.kernels import machine, machine_code, shape_errors

Vector = NDArray[Any]
Matrix = NDArray[Any]
Tensor3 = NDArray[Any]
Tensor4 = NDArray[Any]
Labels = NDArray[Any]
Tokens = NDArray[Any]
Uint32Vector = NDArray[Any]
Int8Vector = NDArray[Any]
Int8Matrix = NDArray[Any]
Int8Tensor4 = NDArray[Any]
Int32Matrix = NDArray[Any]
Number = Any
Whole = Any
Function = Any  # a plain Python function
Threads = Any  # of a block: a number, or (x, y)
Size = tuple[int, int, int]  # of a grid or a block: x, y, z

cuda: Any = None  # kernel files import this name; the real numba.cuda takes its place in a kernel when it is built

TYPES = {
    "Vector": "float32[::1]",
    "Matrix": "float32[:, ::1]",
    "Tensor3": "float32[:, :, ::1]",
    "Tensor4": "float32[:, :, :, ::1]",
    "Labels": "int32[::1]",
    "Tokens": "int32[:, ::1]",
    "Uint32Vector": "uint32[::1]",
    "Int8Vector": "int8[::1]",
    "Int8Matrix": "int8[:, ::1]",
    "Int8Tensor4": "int8[:, :, :, ::1]",
    "Int32Matrix": "int32[:, ::1]",
    "Number": "float32",
    "Whole": "int64",
}

# Sums may be reordered (so that they use vector registers) and a * b + c rounded once. "nnan" and "ninf" are left
# out on purpose: NaN and infinity must come through, so that a run that breaks can say where.
REORDER = {"reassoc", "contract", "nsz", "arcp"}
KEEP_ORDER = {"contract", "nsz"}


class Written:
    """A function of Python that is more than itself: it keeps the function, and goes by its name."""

    def __init__(self, function: Function) -> None:
        self.py_func = function
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__module__ = function.__module__


class Kernel(Written):
    """A loop for the processor: call it, or `warm()` it first so that the call does not wait for the compiler."""

    vectorise_lines = False  # whether short loops of known length gain from being unrolled and then vectorised

    def __init__(
        self,
        function: Function,
        part: bool = False,
        rows: str = "",
        sums: str = "",
        scratch: str = "",
        nan: bool = True,
    ) -> None:
        super().__init__(function)
        self.part = part
        self.freedom = REORDER if nan else REORDER | {"nnan"}
        self.rows, self.sums, self.scratch = rows.split(), sums.split(), scratch.split()

    def __call__(self, *arguments: Any) -> Any:
        """Arguments of other types than declared, float64 for instance, are compiled for at once."""
        if self.part or not fitting(self, arguments):
            with machine_code.without_collector():
                return self.callable(*arguments)
        from dltutor.kernels.launch import Launch

        return Launch(self, arguments).run()

    def __repr__(self) -> str:
        return f"<kernel {self.__name__}>"

    @property
    def signature(self) -> str:
        return signature(self.py_func)

    def taken(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """What is bound where these are given."""
        return arguments

    @cached_property
    def address(self) -> int:
        """Where the machine code for the declared types stands: just compiled, or read from a file."""
        return machine_code.address(self, self.full_name, lambda: numba_types(self.signature))

    @property
    def full_name(self) -> str:
        return f"{Path(self.py_func.__code__.co_filename).stem}.{self.__name__}"

    @property
    def is_kept(self) -> bool:
        """Whether it was compiled before, as it is now."""
        return machine_code.is_kept(self, self.full_name)

    def warm(self) -> None:
        """Compile for the declared types, or load what was compiled."""
        assert self.address

    @cached_property
    def dispatcher(self) -> Any:
        """Numba's own object for this function; Python cannot call what it compiles."""
        return self._dispatcher(no_cpython_wrapper=True)

    @cached_property
    def callable(self) -> Any:
        """The same, for Python to call with arguments of any types."""
        return self._dispatcher()

    def _dispatcher(self, **options: Any) -> Any:
        register_scalars(self.py_func)
        options |= {
            "nogil": True,
            "error_model": "numpy",  # division by zero gives infinity or NaN, as in NumPy
            "fastmath": self.freedom,
            "_nrt": False,  # a kernel allocates nothing; so Numba can leave out the counting of references
            "no_cfunc_wrapper": True,  # nobody calls it from C
        }
        return numba_without_scipy().njit(self.py_func, **options)

    @property
    def _numba_type_(self) -> Any:
        """Lets one kernel call another: Numba sees the compiled function behind the name."""
        return self.dispatcher._numba_type_


class Pasted(Written):
    """A part whose lines Numba puts in place of its calls, before it looks at types."""

    targetoptions = {"inline": "always"}  # where Numba looks for it

    @property
    def _numba_type_(self) -> Any:
        """The name stays behind, unused, and wants a type."""
        from numba.core import types

        return types.Opaque("pasted")


class Scalar(Written):
    """A formula of a few numbers, written once: compiled into the kernels that use it, on either device."""

    def __init__(self, function: Function) -> None:
        super().__init__(function)
        self.float32_func = function

    def __call__(self, *numbers: Any) -> Any:
        return self.py_func(*numbers)

    def float32(self, function: Function) -> Function:
        """Use `function` instead where the numbers are float32, on the processor."""
        self.float32_func = function
        return function

    @cached_property
    def registered(self) -> bool:
        """Tell Numba about this function and those that it uses, once."""
        from numba.core import types
        from numba.extending import overload

        def choose(*kinds: Any) -> Function:
            return self.float32_func if kinds[0] == types.float32 else self.py_func

        choose.__signature__ = inspect.signature(self.py_func)  # type: ignore[attr-defined] # Numba compares them
        register_scalars(self.py_func)
        register_scalars(self.float32_func)
        overload(self, jit_options={"error_model": "numpy", "fastmath": KEEP_ORDER, "forceinline": True})(choose)
        return True

    @cached_property
    def cuda(self) -> Any:
        """The same function for a graphics card."""
        return numba_cuda().jit(device=True, lineinfo=True)(with_cuda(self.py_func))


class CudaKernel(Written):
    """A kernel for a graphics card: called like its sibling for the processor, it picks its own grid and block.

    What it starts depends on one argument, an array: `over` a thread for each of its elements; `rows_of` a thread for
    each of its rows; `blocks_of` a block for each of its rows; `tiles_of` blocks of (x, y) threads that cover its last
    two axes, and as many layers of them as there are such matrices. Where none is named, one block does everything.

    Who runs it is the `Executor`: the card, or an emulation of one.
    """

    def __init__(self, function: Function, threads: Threads, of: tuple[str, str], each: int = 1) -> None:
        super().__init__(function)
        self.threads = threads
        self.each = each  # numbers along each axis of a tile that a thread makes
        self.unit, counted = of
        self.counted = argument_names(function).index(counted) if counted else 0

    def __call__(self, *arguments: Any) -> None:
        blocks, threads = self.grid(arguments)
        if blocks:  # CUDA refuses to launch nothing
            _executor.launch(self, three(blocks), three(threads), arguments)

    def __repr__(self) -> str:
        return f"<CUDA kernel {self.__name__}>"

    @property
    def signature(self) -> str:
        return signature(self.py_func)

    def grid(self, arguments: tuple[Any, ...]) -> tuple[Any, Threads]:
        """Blocks, and threads in each; no blocks where there is nothing to do."""
        counted = arguments[self.counted]
        if self.unit == "one block":
            return 1, self.threads
        if self.unit == "tiles_of":
            return self._tiles(counted.shape)
        rows = counted.size // max(counted.shape[-1], 1)
        if self.unit == "blocks_of":
            return rows, self.threads
        wanted = counted.size if self.unit == "over" else rows
        return -(-wanted // self.threads), self.threads

    def _tiles(self, shape: tuple[int, ...]) -> tuple[Any, Threads]:
        *layers, rows, columns = shape
        x, y = self.threads
        blocks = -(-columns // (x * self.each)), -(-rows // (y * self.each)), math.prod(layers)
        return blocks if all(blocks) else 0, self.threads

    @cached_property
    def dispatcher(self) -> Any:
        return numba_cuda().jit(with_cuda(self.py_func))

    def try_out(self, grid: Size, block: Size, arguments: Sequence[Any]) -> None:
        """Before it is bound: raise where it is known to do wrong with these."""

    def warm(self) -> None:
        """Compile the declared signature, for whoever runs it."""
        _executor.warm(self)


class CudaSequence(Written):
    """An operation that takes several CUDA kernels, one after the other: plain Python that calls them."""

    def __call__(self, *arguments: Any) -> None:
        self.py_func(*arguments)

    def __repr__(self) -> str:
        return f"<CUDA kernels {self.__name__}>"

    def warm(self) -> None:
        for value in used_globals(self.py_func).values():
            if isinstance(value, CudaKernel | CudaSequence):
                value.warm()


class Executor(Protocol):
    """What runs CUDA kernels."""

    def launch(self, kernel: CudaKernel, grid: Size, block: Size, arguments: tuple[Any, ...]) -> None:
        """Run so many blocks of so many threads: x, y, z each."""

    def warm(self, kernel: CudaKernel) -> None:
        """Compile what launches will need."""


class Card:
    """A graphics card. Python's own numbers would be 64 bits wide there."""

    def launch(self, kernel: CudaKernel, grid: Size, block: Size, arguments: tuple[Any, ...]) -> None:
        kernel.dispatcher[grid, block](*(np.float32(a) if isinstance(a, float) else a for a in arguments))

    def warm(self, kernel: CudaKernel) -> None:
        kernel.dispatcher.compile(kernel.signature)


_executor: Executor = Card()


def run_cuda_with(executor: Executor) -> Executor:
    """Run CUDA kernels with this one from now on; the one before it."""
    global _executor
    before, _executor = _executor, executor
    return before


@contextmanager
def cuda_run_with(executor: Executor) -> Iterator[None]:
    """CUDA kernels called inside are run by this one."""
    before = run_cuda_with(executor)
    try:
        yield
    finally:
        run_cuda_with(before)


def three(size: Any) -> Size:
    """128 -> (128, 1, 1) and (16, 8) -> (16, 8, 1)."""
    x, y, z, *_rest = (*(size if isinstance(size, tuple) else (size,)), 1, 1)
    return x, y, z


def kernel(function: Function = None, *, rows: str = "", sums: str = "", scratch: str = "") -> Any:
    """Compile `function` for the processor, when first wanted.

    `@kernel(rows="x dy dx", sums="dw db")` says that the rows of the first ones (their first axis) can be calculated
    apart from each other, and that the others are sums over rows: so several threads can share the work. Each then has
    `scratch` of its own: arguments that are only room to work in.
    """
    if function is None:
        return lambda function: Kernel(function, rows=rows, sums=sums, scratch=scratch)
    return Kernel(function)


def part(function: Function = None, *, nan: bool = True) -> Any:
    """Compile `function` into the kernels that call it; Python cannot.

    With nan=False the compiler may take it that no number is NaN.
    """
    if function is None:
        return lambda function: Kernel(function, part=True, nan=nan)
    return Kernel(function, part=True)


def pasted(function: Function) -> Any:
    """Put the lines of `function` wherever it is called: for a part with one caller, and half as long to compile."""
    return Pasted(function)


def scalar(function: Function) -> Scalar:
    """Compile `function` into the kernels that call it."""
    return Scalar(function)


def cuda_kernel(threads: Threads, each: int = 1, **of: str) -> Callable[[Function], CudaKernel]:
    """Compile the function for a graphics card, when first wanted: `@cuda_kernel(threads=128, over="y")`.

    At most one of over, rows_of, blocks_of, tiles_of names the argument that decides the grid. See CudaKernel. With
    tiles_of, a thread makes `each` times `each` numbers of a tile.
    """
    unit, counted = next(iter(of.items()), ("one block", ""))
    assert unit in ("one block", "over", "rows_of", "blocks_of", "tiles_of"), unit
    return lambda function: CudaKernel(function, threads, (unit, counted), each)


def cuda_part(function: Function) -> Scalar:
    """Compile `function`, which may take arrays, into the CUDA kernels that call it."""
    return Scalar(function)


def cuda_sequence(function: Function) -> CudaSequence:
    """`function` calls CUDA kernels."""
    return CudaSequence(function)


def resolve(where: str) -> Kernel | CudaKernel | CudaSequence:
    """The kernel that "dltutor/kernels/dense.py:dense_forward" names; with "_cuda" behind it, the one for CUDA.

    Raises UsageError where there is none.
    """
    path, _colon, name = where.partition(":")
    folder, _slash, file = path.rpartition("/")
    try:
        if folder != "dltutor/kernels" or not file.endswith(".py"):
            raise ImportError
        found = getattr(importlib.import_module(f"dltutor.kernels.{file[:-3]}"), name)
        if not isinstance(found, Kernel | CudaKernel | CudaSequence):
            raise AttributeError
    except (ImportError, AttributeError) as error:
        message = _("no kernel {where}").format(where=where)
        hint = _("A kernel is named by its file and function: dltutor/kernels/dense.py:dense_forward")
        raise UsageError(message, hint) from error
    return found


def every_kernel(cuda: bool = False) -> Iterator[str]:
    """Where each kernel stands, "dltutor/kernels/adam.py:adam_step", of all there are for the processor or for CUDA."""
    wanted = CudaKernel | CudaSequence if cuda else Kernel
    for file in sorted(Path(__file__).parent.glob("*.py")):
        module = importlib.import_module(f"dltutor.kernels.{file.stem}")
        for name, value in vars(module).items():
            own = isinstance(value, wanted) and value.__module__ == module.__name__
            if own and not getattr(value, "part", False):
                yield f"dltutor/kernels/{file.name}:{name}"


# ---------------------------------------------------------------- the parts


def argument_names(function: Function) -> tuple[str, ...]:
    return function.__code__.co_varnames[: function.__code__.co_argcount]


def signature(function: Function) -> str:
    """Numba's spelling of the annotations: (x: Matrix, y: Matrix) -> "void(float32[:, ::1], float32[:, ::1])"."""
    kinds = (TYPES[function.__annotations__[name]] for name in argument_names(function))
    return f"void({', '.join(kinds)})"


def declared(kernel: Kernel | CudaKernel) -> list[tuple[str, int]]:
    """The dtype of each argument and its number of axes, 0 for a number."""
    found = re.findall(r"(\w+)(?:\[([^]]*)\])?", kernel.signature.removeprefix("void"))
    return [(dtype, axes.count(",") + 1 if axes else 0) for dtype, axes in found]


def fitting(kernel: Kernel, arguments: tuple[Any, ...]) -> bool:
    """Whether the arguments are of the declared types; numbers are converted."""
    return all(
        isinstance(value, np.ndarray) and (value.dtype.name, value.ndim) == (dtype, axes) and value.flags.c_contiguous
        if axes
        else not isinstance(value, np.ndarray)
        for value, (dtype, axes) in zip(arguments, declared(kernel), strict=True)
    )


def numba_types(signature: str) -> tuple[Any, ...]:
    """The types of the arguments, as Numba knows them."""
    numba_without_scipy()
    from numba.core import sigutils

    return sigutils.normalize_signature(signature)[0]


def register_scalars(function: Function) -> None:
    for value in used_globals(function).values():
        if isinstance(value, Scalar):
            assert value.registered


def used_globals(function: Function) -> dict[str, Any]:
    names = {line.argval for line in dis.get_instructions(function) if line.opname == "LOAD_GLOBAL"}
    return {name: function.__globals__[name] for name in names if name in function.__globals__}


def with_cuda(function: Function) -> Function:
    """`function` with the name `cuda` bound to Numba's module and shared scalars to their versions for the card."""
    names = {name: value.cuda for name, value in used_globals(function).items() if isinstance(value, Scalar)}
    space = function.__globals__ | names | {"cuda": numba_cuda()}
    bound = FunctionType(function.__code__, space, function.__name__, function.__defaults__, function.__closure__)
    bound.__module__ = function.__module__
    return bound


@cache
def source_stamp() -> bytes:
    """Changes whenever any kernel's source does, or what compiles it.

    Numba itself looks at the kernel's own file only, but what a kernel calls may stand in another one.
    """
    from importlib.metadata import version

    digest = hashlib.sha256(f"{version('numba')} {version('llvmlite')}".encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.digest()


def prepare() -> None:
    """Load Numba and what it knows of Python and NumPy, as the first kernel that is compiled would."""
    numba_without_scipy()
    from numba.core.registry import cpu_target

    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()


@cache
def numba_without_scipy() -> Any:
    """Numba. It imports scipy.linalg only to see that it is there, a quarter of a second: that it could be is enough.

    A kernel that calls np.dot still imports it, when it is compiled. Private names: ensure_blas of numba.np.linalg.
    """
    import numba
    from numba.np import linalg

    use_wide_registers(numba.config)

    ensure = linalg.ensure_blas
    if importlib.util.find_spec("scipy"):
        linalg.ensure_blas = lambda: None
    arraymath = importlib.import_module("numba.np.arraymath")
    linalg.ensure_blas = arraymath.ensure_blas = ensure  # type: ignore[attr-defined]
    shape_errors.shorten()
    return numba


def use_wide_registers(config: Any) -> None:
    """LLVM leaves the upper half of AVX-512 registers alone unless told to: loops over float32 run up to 1.5 x faster.

    NUMBA_CPU_FEATURES in the environment still decides, and so does NUMBA_CPU_NAME.
    """
    if config.CPU_FEATURES is None and config.CPU_NAME is None and machine.wide_registers():
        config.CPU_FEATURES = machine.wide_registers()
        os.environ["NUMBA_CPU_FEATURES"] = config.CPU_FEATURES  # it reads all settings anew when one changes


def numba_cuda() -> ModuleType:
    """Numba's CUDA target; the one place that imports it."""
    require_numba_cuda()
    try:
        return importlib.import_module("numba.cuda")
    except ImportError as error:
        message = _("Numba cannot load its CUDA target: {reason}").format(reason=error)
        raise DltutorError(message, _("Install it again with: pip install --force-reinstall numba-cuda")) from error


def require_numba_cuda() -> None:
    """Raise where it is not installed. Numba brings along an older one, which nobody looks after."""
    if importlib.util.find_spec("numba_cuda") is None:
        message = _("CUDA kernels need the package numba-cuda, which is not installed")
        raise DltutorError(message, _("Install it with: pip install numba-cuda (there is none for macOS)"))


# Small numbers for formulas: a bare 1 or 0.5 would make Numba calculate in float64. All are exact in both.
ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
INFINITY = np.float32(np.inf)
