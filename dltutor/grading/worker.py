"""What runs inside the room, in one process with the learner's code. Nobody outside believes a word of it.

`work` takes a parcel and gives one back. Into the room go the learner's source and calls: the name of a function, and
its arguments, arrays between guard cells that the judge has filled. Out come the same arrays after each call, and for
what went wrong the kind, the message and the learner's line. No answer is here to be found.

What can be done once for all checks: importing this module loads NumPy and Numba, `prepare` has Numba compile.
"""

from __future__ import annotations

import ast
import ctypes.util
import io
import math
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np
import scipy.linalg  # noqa: F401 - what np.dot needs, once Numba compiles it

from dltutor.grading.parcel import unwrap, wrap
from dltutor.kernels import shape_errors
from dltutor.kernels.learner import line_of, plain, rebound, unknown_name

GUARD = 64  # cells on each side of an array; see dltutor/proof/checks.py
COMPILED: dict[str, Any] = {"error_model": "numpy", "boundscheck": True, "no_cfunc_wrapper": True}
"""The last because C never calls it: that is a sixth less to compile."""
NUMBERS = {"float32": np.float32, "float64": float, "int64": int}
Header = dict[str, Any]
Buffers = list[np.ndarray]


def work(request: bytes) -> bytes:
    """Do what the parcel asks."""
    order, buffers = unwrap(request)
    warnings.simplefilter("ignore")
    if order["cuda"]:
        prepare_cuda()
    try:
        learner = Learner(order["source"], order["file"], order["cuda"])
    except BaseException as error:  # the learner's file may raise anything, SystemExit too
        return wrap({"fault": fault("load", error, order["file"])}, [])
    reply: Header = {"fault": None, "functions": learner.describe(), "calls": []}
    if order["cuda"]:
        return wrap(reply | {"ptx": learner.ptx(order["signatures"])}, [])
    arrays: Buffers = []
    for call in order["calls"]:
        told, made = learner.call(call, buffers)
        reply["calls"].append(told)
        arrays += made
    sys.stdout.flush()
    return wrap(reply, arrays)


class Learner:
    """The learner's file, executed: its functions as they stand there, and compiled."""

    def __init__(self, source: str, file: str, cuda: bool) -> None:
        self.source, self.file = source, file
        space: dict[str, Any] = {"__name__": "exercise", "__file__": file}
        exec(compile(source, file, "exec", dont_inherit=True), space)
        self.plain = {name: found for name, value in space.items() if (found := plain(value, file))}
        self.space = space | self.plain  # without the learner's own decorators
        self.compiled_space = dict(self.space)
        self.compiled = {name: self._compiled(name, cuda) for name in self.plain}
        self.refused: dict[Any, Header] = {}  # what cannot be compiled, and why: it is not tried again

    def _compiled(self, name: str, cuda: bool) -> Any:
        """The function as Numba has it; what it calls is compiled, too."""
        function = rebound(self.plain[name], self.compiled_space)
        if cuda:
            from dltutor.kernels.compile import numba_cuda

            found = numba_cuda().jit(function, device=True, lineinfo=True)
        else:
            found = numba.njit(function, **COMPILED)
        self.compiled_space[name] = found
        return found

    def describe(self) -> Header:
        """Of each function its line, its arguments, and those to whose names it gives something new."""
        nodes = [node for node in ast.walk(ast.parse(self.source)) if isinstance(node, ast.FunctionDef)]
        return {node.name: described(node) for node in nodes if node.name in self.plain}

    # ------------------------------------------------------------ for the processor: compiled, or as Python

    def call(self, call: Header, buffers: Buffers) -> tuple[Header, Buffers]:
        """Call a function as often as asked for: what it told, and all its arrays after each time."""
        name = call["function"]
        if name not in self.compiled:
            return {"fault": missing(name)}, []
        copies, arguments = given(call["arguments"], buffers)
        function, problem = self._ready(name, arguments) if call["compiled"] else (self._plainly(name), None)
        if problem:
            return {"fault": problem | {"python": self._in_python(name, call, buffers)}}, []
        made: Buffers = []
        returned = None
        try:
            for time in range(call["times"]):
                returned = run(function, arguments, aloud=call["aloud"] and time == 0)
                made += [copy.copy() for copy in copies]
        except BaseException as error:
            return {"fault": self._named(name, call, buffers, error)}, []
        return {"fault": None, "returned": "" if returned is None else type(returned).__name__}, made

    def _ready(self, name: str, arguments: list[Any]) -> tuple[Any, Header | None]:
        """The function, compiled for these types of arguments; or why it cannot be."""
        kinds = tuple(map(numba.typeof, arguments))
        compiled = self.compiled[name]
        if (name, kinds) not in self.refused:
            try:
                compiled.compile(kinds)
                return compiled, None
            except BaseException as error:
                self.refused[name, kinds] = fault("compile", error, self.file)
        return None, self.refused[name, kinds]

    def _plainly(self, name: str) -> Any:
        """The function as Python runs it; what it calls, too."""
        return rebound(self.plain[name], self.space)

    def _named(self, name: str, call: Header, buffers: Buffers, error: BaseException) -> Header:
        """Compiled code does not know its lines; Python does."""
        return self._in_python(name, call, buffers) or fault("run", error, self.file)

    def _in_python(self, name: str, call: Header, buffers: Buffers) -> Header | None:
        """What Python says to the same call: it often says more, and always where."""
        _copies, arguments = given(call["arguments"], buffers)
        try:
            run(self._plainly(name), arguments)
        except BaseException as error:
            return fault("run", error, self.file)
        return None

    # ------------------------------------------------------------ for a graphics card

    def ptx(self, signatures: Header) -> Header:
        """Each of these functions compiled for a card, or why it cannot be."""
        return {name: self._ptx(name, signature) for name, signature in signatures.items()}

    def _ptx(self, name: str, signature: str) -> Header:
        from dltutor.emulate.front import compile_function

        if name not in self.plain:
            return {"fault": missing(name)}
        if unknown := unknown_name(self.plain.values(), self.space):  # Python, which would say so, cannot run it
            message = f"name '{unknown[0]}' is not defined"
            return {"fault": {"stage": "compile", "kind": "NameError", "message": message, "line": unknown[1]}}
        try:
            kernel = compile_function(rebound(self.plain[name], self.compiled_space), signature)
            return {"fault": None, "text": kernel.ptx()}
        except BaseException as error:
            return {"fault": fault("compile", error, self.file)}


# ---------------------------------------------------------------- the parts


def run(function: Any, arguments: list[Any], aloud: bool = False) -> Any:
    with printing(aloud), np.errstate(all="ignore"):
        return function(*arguments)


def given(arguments: list[Header], buffers: Buffers) -> tuple[Buffers, list[Any]]:
    """Copies of the buffers that a call needs, and its arguments: arrays inside of them, and numbers."""
    copies: Buffers = []
    values: list[Any] = []
    for argument in arguments:
        if "number" in argument:
            values.append(NUMBERS[argument["dtype"]](argument["number"]))
            continue
        buffer = buffers[argument["array"]].copy()
        copies.append(buffer)
        values.append(buffer[GUARD : buffer.size - GUARD].reshape(argument["shape"]))
    return copies, values


def described(node: ast.FunctionDef) -> Header:
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    lines: dict[str, int] = {}
    for name, line in sorted(bound(node), key=lambda found: found[1]):
        if name in names:
            lines.setdefault(name, line)
    returns = [found.lineno for found in ast.walk(node) if isinstance(found, ast.Return) and found.value is not None]
    return {
        "line": node.lineno,
        "arguments": names,
        "rebound": lines,
        "assigned": dict(sorted(assigned(node), key=lambda found: -found[1])),
        "returns": min(returns, default=None),
    }


def bound(function: ast.FunctionDef) -> Iterator[tuple[str, int]]:
    """Names that the function binds: y = ..., where y[...] = ... may have been meant. y += ... writes into an array."""
    added_to = [node.target for node in ast.walk(function) if isinstance(node, ast.AugAssign)]
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node not in added_to:
            yield node.id, node.lineno


def assigned(function: ast.FunctionDef) -> Iterator[tuple[str, int]]:
    """Arrays into which the function writes with =, where += may have been meant."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                    yield target.value.id, node.lineno


def missing(name: str) -> Header:
    return {"stage": "load", "kind": "Missing", "message": name, "line": None}


def fault(stage: str, error: BaseException, file: str) -> Header:
    """What went wrong, and in which of the learner's lines."""
    return {
        "stage": stage,
        "kind": type(error).__name__,
        "message": str(getattr(error, "msg", "") or error)[:4000],
        "line": line_of(error, file),
    }


class Quiet(io.TextIOBase):
    """What is printed is lost."""

    def write(self, text: str) -> int:
        return len(text)


@contextmanager
def printing(aloud: bool) -> Iterator[None]:
    """What the learner prints is heard in one call, not in all of them."""
    stdout = sys.stdout
    if not aloud:
        sys.stdout = Quiet()
    try:
        yield
    finally:
        sys.stdout = stdout


# ---------------------------------------------------------------- once

shape_errors.shorten()


def first(x: Any, y: Any, total: Any) -> None:
    """Has a bit of what learners write: Numba is slow to compile it for the first time only."""
    N, M = x.shape
    for n in range(N):
        for m in range(M):
            y[n, m] += max(x[n, m] * total[0], 0.0)
        total[0] -= math.exp(-x[n].sum()) / N
    y[:] = np.dot(x, x.T)[:, :M] + x


def prepare_cuda() -> None:
    """For a card, compile as well as it can be."""
    ctypes.util.find_library = lambda name: None  # Numba's CUDA target would start a program, and can do without
    os.environ.pop("NUMBA_OPT", None)
    numba.config.reload_config()


def prepare() -> None:
    numba.njit(first, **COMPILED).compile("(f4[:, ::1], f4[:, ::1], f4[::1])")
