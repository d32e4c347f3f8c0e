"""What the learner wrote, in the place of our kernels.

    kernels = compile_own(source, ["dltutor/kernels/dense.py:dense_backward"], guarded=True)
    with device.replaced(kernels):
        ...                                 # what is recorded here calls them

Their functions have our kernels' names and arguments, and are compiled as ours are, so that a race between the two is
fair; but they may allocate, and so NumPy expressions will do. They are not shared out among threads. `guarded` ones
look at every index. Machine code cannot say in which line it stopped: `reason` finds out, in plain Python.
"""

from __future__ import annotations

import inspect
import linecache
import re
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from types import FunctionType
from typing import Any

import numpy as np

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels.compile import (
    REORDER,
    CudaKernel,
    Kernel,
    Size,
    argument_names,
    numba_cuda,
    numba_types,
    numba_without_scipy,
    resolve,
)
from dltutor.kernels.learner import line_of, plain, rebound, unknown_name
from dltutor.kernels.machine_code import without_collector

FILE = "<yours>"  # what the learner's file is called in tracebacks
PATIENCE = 2.0  # seconds of the processor to look for a line in plain Python

Space = dict[str, Any]  # the names of a module
Own = dict[str, Kernel | CudaKernel]  # by what they take the place of


def compile_own(
    source: str, places: Sequence[str], guarded: bool, say: Callable[[str], None] = lambda name: None
) -> Own:
    """The learner's kernels for `places`; `say` hears the name of each before it is compiled.

    Raises DltutorError where the file does not run, has no such function, or Numba cannot compile it.
    """
    space = run(source)
    compiled: Own = {}
    for place in places:
        ours = resolve(place)
        say(ours.__name__)
        compiled[place] = own(ours, space, guarded)
        compiled[place].warm()
    return compiled


def run(source: str) -> Space:
    """The names that the learner's file defines."""
    space: Space = {"__name__": "yours"}
    linecache.cache[FILE] = (len(source), None, source.splitlines(keepends=True), FILE)
    try:
        exec(compile(source, FILE, "exec", dont_inherit=True), space)
    except SyntaxError as error:
        raise stopped_at(line_of(error, FILE), _("your file is not Python: {error}").format(error=error.msg)) from error
    except Exception as error:
        raise stopped_at(line_of(error, FILE), _("your file stopped: {error}").format(error=worded(error))) from error
    return space


def own(ours: Any, space: Space, guarded: bool) -> Kernel | CudaKernel:
    function = plain(space.get(ours.__name__), FILE)
    if function is None:
        message = _("your file defines no function {name}").format(name=ours.__name__)
        raise DltutorError(message, _("Define it, with the arguments of the kernel whose place it takes."))
    if isinstance(ours, Kernel):
        return OwnKernel(ours, space, guarded)
    if isinstance(ours, CudaKernel):
        return OwnCudaKernel(ours, function, guarded)
    message = _("{name} is several kernels, whose place one function cannot take").format(name=ours.__name__)
    raise DltutorError(message, _("Name one of them in the exercise."))


class OwnKernel(Kernel):
    """A function of the learner's that is called as `ours` is."""

    def __init__(self, ours: Kernel, space: Space, guarded: bool) -> None:
        super().__init__(ours.py_func)  # whose arguments and types it has
        self.space = space
        self.guarded = guarded

    def taken(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """A gradient that nobody asks for, dx without rows, gets room: the learner need not think of it."""
        given = dict(zip(argument_names(self.py_func), arguments, strict=True))
        return tuple(room(given.get(name[1:]), value) if name[0] == "d" else value for name, value in given.items())

    @cached_property
    def address(self) -> int:
        compiled = self.compiled
        made = compiled.overloads[numba_types(self.signature)]
        return int(made.library.get_pointer_to_function(made.fndesc.llvm_func_name))

    @cached_property
    def compiled(self) -> Any:
        """Numba's object; it keeps the machine code."""
        space = self._compiled_space()
        compiled = self._jit(rebound(call_of(self, space), space))
        with without_collector(), warnings.catch_warnings(), refused_by_numba(self.__name__, space):
            warnings.simplefilter("ignore")  # of slow products, and so on
            compiled.compile(numba_types(self.signature))
        return compiled

    def in_python(self, arguments: Sequence[Any]) -> None:
        """Run it in plain Python, on copies."""
        with np.errstate(all="ignore"), limited(PATIENCE):
            call_of(self, self.space)(*copies(arguments))

    def _compiled_space(self) -> Space:
        """The learner's names, the functions among them compiled; so they may call each other."""
        space = dict(self.space)
        space |= {name: self._jit(rebound(function, space)) for name, function in functions(space).items()}
        return space

    def _jit(self, function: Any) -> Any:
        options = {"nogil": True, "error_model": "numpy", "fastmath": REORDER, "boundscheck": self.guarded}
        return numba_without_scipy().njit(function, **options)


class OwnCudaKernel(CudaKernel):
    """A function of the learner's that is launched as `ours` is."""

    def __init__(self, ours: CudaKernel, function: FunctionType, guarded: bool) -> None:
        names = argument_names(ours.py_func)
        require_arguments(ours.__name__, function, len(names))
        kinds = [ours.py_func.__annotations__[name] for name in names]
        helpers = {name: device_function(helper) for name, helper in functions(function.__globals__).items()}
        function = rebound(function, function.__globals__ | helpers)
        function.__annotations__ = dict(zip(argument_names(function), kinds, strict=True))
        super().__init__(function, ours.threads, (ours.unit, ""), ours.each)
        self.counted = ours.counted
        self.guarded = guarded

    def try_out(self, grid: Size, block: Size, arguments: Sequence[Any]) -> None:
        """Once in the interpreter, where there is one: the emulation itself looks at no index."""
        from dltutor.emulate.front import missing_toolkit
        from dltutor.emulate.interpreter import launch
        from dltutor.emulate.report import KernelFault

        if not self.guarded or missing_toolkit():
            return
        try:
            launch(self, grid, block, copies(arguments)).require_sound()
        except KernelFault as error:
            message = _("your {name} stopped: {error}").format(name=self.__name__, error=error.fault.message)
            place = error.fault.place
            raise stopped_at(place.line_in(FILE) if place else None, message) from error

    def warm(self) -> None:
        with refused_by_numba(self.__name__, self.py_func.__globals__):
            super().warm()


def copies(arguments: Sequence[Any]) -> list[Any]:
    return [np.copy(argument) if isinstance(argument, np.ndarray) else argument for argument in arguments]


def device_function(function: Any) -> Any:
    return numba_cuda().jit(device=True, lineinfo=True)(function)


# ---------------------------------------------------------------- functions


def functions(space: Space) -> dict[str, FunctionType]:
    """The learner's own among the names."""
    return {name: function for name, value in space.items() if (function := plain(value, FILE))}


def call_of(kernel: Kernel, space: Space) -> FunctionType:
    """A function of exactly our arguments that calls the learner's in `space`, whatever that returns."""
    names = argument_names(kernel.py_func)
    require_arguments(kernel.__name__, plain(space[kernel.__name__], FILE), len(names))
    here: Space = {}
    exec(f"def _call({', '.join(names)}):\n    {kernel.__name__}({', '.join(names)})", space, here)
    return here["_call"]  # type: ignore[no-any-return]


def room(values: Any, gradient: Any) -> Any:
    """A gradient of as many numbers as there are values; where it is left out, one that nobody will look at."""
    left_out = isinstance(values, np.ndarray) and gradient.ndim == values.ndim and gradient.size < values.size
    return np.zeros_like(values) if left_out else gradient


def require_arguments(name: str, function: Any, wanted: int) -> None:
    given = len(inspect.signature(function).parameters)
    if given != wanted:
        message = _("your {name} takes {given} arguments, and the kernel whose place it takes {wanted}")
        line = function.__code__.co_firstlineno
        raise stopped_at(line, message.format(name=name, given=given, wanted=wanted))


# ---------------------------------------------------------------- where it went wrong


def reason(launches: Iterable[Any]) -> DltutorError | None:
    """Why one of these launches raised an error: the first of the learner's that does so again, in plain Python."""
    suspects = [launch for launch in launches if isinstance(launch.kernel, OwnKernel)]
    for launch in suspects:
        try:
            launch.kernel.in_python(launch.arguments)
        except TimeoutError:
            continue
        except Exception as error:
            message = _("your {name} stopped: {error}").format(name=launch.kernel.__name__, error=worded(error))
            return stopped_at(line_of(error, FILE), message)
    if not suspects:
        return None
    names = ", ".join(dict.fromkeys(launch.kernel.__name__ for launch in suspects))
    return DltutorError(_("your {name} stopped").format(name=names), _("Its check may say where: press c there."))


def stopped_at(line: int | None, message: str) -> DltutorError:
    """With the learner's line, by its number and as it stands there."""
    if not line:
        return DltutorError(message, _("Mend it, and train again."))
    text = linecache.getline(FILE, line).strip()
    where = _("in line {line} of your file").format(line=line)
    return DltutorError(f"{message} ({where})", _("The line is: {text}").format(text=text) if text else "")


def worded(error: BaseException) -> str:
    return f"{error}" or type(error).__name__


@contextmanager
def refused_by_numba(name: str, space: Space) -> Iterator[None]:
    """Numba's own errors are long: what the learner gets is the line, and the first sentence."""
    from numba.core.errors import NumbaError

    try:
        yield
    except NumbaError as error:
        said = re.sub(r"\x1b\[[\d;]*m", "", str(error))
        sentence = next((line for line in said.splitlines() if line.strip() and "Failed in" not in line), "")
        message = _("Numba cannot compile your {name}: {error}").format(name=name, error=sentence.strip())
        unknown = unknown_name(functions(space).values(), space) if "NameError" in said else None
        raise stopped_at(unknown[1] if unknown else line_of(error, FILE), message) from error


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """What uses more of the processor ends with TimeoutError: others may use it, too."""

    def stop(*_signal: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
