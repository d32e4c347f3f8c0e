"""Launches: a kernel bound to its arguments once, so that calling it again costs next to nothing.

A call from Python costs half a microsecond to two: every argument is looked at, unpacked and handed over. In a small
network that is more than the arithmetic. A `Graph` does this work once. It keeps, for each kernel, the address of its
machine code and the very words it wants to be called with, and `replay` runs through all of them in one native call:

    graph = Graph()
    step = graph.add(sgd_step, p, g, 0.1)
    graph.replay()
    step.set("lr", 0.05)

The arrays are bound, not copied: change their contents, and the next replay sees it. Python's lock is released
meanwhile. A graph for a graphics card stands in cuda_graph.py.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np

from dltutor.kernels.compile import Kernel, argument_names


class Launch:
    """One kernel and the words of its arguments: of an array its address, shape and strides; a number as it is."""

    def __init__(self, kernel: Kernel, arguments: tuple[Any, ...]) -> None:
        self.kernel = kernel
        self.arguments = arguments  # the words point into them: they must not go away
        self.function, self.form = native(kernel)
        self.places = dict(zip(argument_names(kernel.py_func), _starts(arguments), strict=True))
        self.words = np.array([word for argument in arguments for word in _words(argument)], np.int64)
        assert self.words.size == len(self.form), f"{kernel} cannot take {arguments}"
        self._float32, self._int64 = self.words.view(np.float32), self.words
        for name, argument in zip(self.places, arguments, strict=True):
            if not isinstance(argument, np.ndarray):
                self.set(name, argument)

    def set(self, name: str, number: float) -> None:
        """Give the number argument `name` another value."""
        place = self.places[name]
        if self.form[place] == "f":
            self._float32[2 * place] = number
        else:
            self._int64[place] = number


class Graph:
    """Launches in the order in which they were added, replayed by one native call."""

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self._run: Callable[[], int] | None = None
        self._steps: Any = None  # a row a launch: address of its trampoline, of its machine code, of its words

    def add(self, kernel: Kernel, *arguments: Any) -> Launch:
        """Bind a kernel to arrays, C-contiguous and of the declared dtypes, and numbers."""
        launch = Launch(kernel, arguments)
        self.launches.append(launch)
        self._run = None
        return launch

    def replay(self) -> None:
        run = self._run or self._prepare()
        failed = run()
        if failed >= 0:
            raise RuntimeError(f"{self.launches[failed].kernel} raised an error")

    def _prepare(self) -> Callable[[], int]:
        trampolines = addresses(launch.form for launch in self.launches)
        rows = [(trampolines[launch.form], launch.function, launch.words.ctypes.data) for launch in self.launches]
        self._steps = np.array(rows, np.int64).reshape(-1, 3)
        count, where = ctypes.c_int64(len(rows)), ctypes.c_int64(self._steps.ctypes.data)
        replay = replayer()
        self._run = lambda: replay(count, where)
        return self._run


# ---------------------------------------------------------------- the words that machine code wants


def native(kernel: Kernel) -> tuple[int, str]:
    """The address of a kernel's machine code and the form of its arguments: a letter for each word it takes.

    p is an address, i a 64-bit integer, f a float32. Numba passes an array as two addresses that only matter where
    memory is counted, the number of elements, their size, the address of the first, then the shape and the strides.
    """
    kernel.warm()
    compiled = kernel.dispatcher.overloads[tuple(_types(kernel))]
    form = "".join(_letters(kind) for kind in compiled.signature.args)
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name), form


def _types(kernel: Kernel) -> Iterable[Any]:
    from numba.core import sigutils

    arguments, _nothing = sigutils.normalize_signature(kernel.signature)
    return arguments


def _letters(kind: Any) -> str:
    if hasattr(kind, "ndim"):
        return "ppiip" + "ii" * kind.ndim
    return {"float32": "f", "int64": "i"}[str(kind)]


def _words(argument: Any) -> tuple[int, ...]:
    if not isinstance(argument, np.ndarray):
        return (0,)  # Launch.set writes it
    assert argument.flags.c_contiguous, "kernels take C-contiguous arrays"
    return 0, 0, argument.size, argument.itemsize, argument.ctypes.data, *argument.shape, *argument.strides


def _starts(arguments: tuple[Any, ...]) -> list[int]:
    """The place of each argument's first word."""
    sizes = [len(_words(argument)) for argument in arguments]
    return [sum(sizes[:i]) for i in range(len(sizes))]


# ---------------------------------------------------------------- trampolines


KINDS = {"p": "ptr", "i": "i64", "f": "float"}
_engines: list[Any] = []  # own the machine code made here
_addresses: dict[str, int] = {}  # of the trampoline for each form

REPLAY = """
define i64 @replay(i64 %count, ptr %steps) {
entry:
  br label %test
test:
  %i = phi i64 [0, %entry], [%next, %step]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %step, label %done
step:
  %row = getelementptr [3 x i64], ptr %steps, i64 %i
  %second = getelementptr i64, ptr %row, i64 1
  %third = getelementptr i64, ptr %row, i64 2
  %trampoline = load ptr, ptr %row
  %function = load ptr, ptr %second
  %words = load ptr, ptr %third
  %status = call i32 %trampoline(ptr %function, ptr %words)
  %next = add i64 %i, 1
  %fine = icmp eq i32 %status, 0
  br i1 %fine, label %test, label %failed
failed:
  ret i64 %i
done:
  ret i64 -1
}
"""


@cache
def replayer() -> Any:
    """replay(count, steps): run the steps in order; the number of the one that failed, or -1."""
    engine = _compile(REPLAY)
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(engine.get_function_address("replay"))


def addresses(forms: Iterable[str]) -> dict[str, int]:
    """Where the trampoline for each form stands; those not yet there are compiled together."""
    missing = sorted(set(forms) - set(_addresses))
    if missing:
        engine = _compile("".join(map(_trampoline, missing)))
        _addresses.update((form, engine.get_function_address(_symbol(form))) for form in missing)
    return _addresses


def _symbol(form: str) -> str:
    return f"call_{form}"


def _trampoline(form: str) -> str:
    """A function that takes words from memory and calls a kernel with them, as a kernel wants to be called."""
    loads, arguments = [], ["ptr %result", "ptr %error"]
    for i, letter in enumerate(form):
        kind = KINDS[letter]
        loads.append(f"  %p{i} = getelementptr i64, ptr %words, i64 {i}\n  %w{i} = load {kind}, ptr %p{i}\n")
        arguments.append(f"{kind} %w{i}")
    return (
        f"define i32 @{_symbol(form)}(ptr %function, ptr %words) {{\n"
        "  %result = alloca ptr\n  %error = alloca ptr\n"
        f"{''.join(loads)}  %status = call i32 %function({', '.join(arguments)})\n  ret i32 %status\n}}\n"
    )


def _compile(text: str) -> Any:
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(opt=1, jit=True)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(text), machine)
    engine.finalize_object()
    _engines.append(engine)
    return engine
