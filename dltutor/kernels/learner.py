"""What a learner wrote, whoever runs it: their functions as Python has them, and the line in which one went wrong."""

from __future__ import annotations

import builtins
import dis
import os
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from types import FunctionType, TracebackType
from typing import Any


def plain(value: Any, file: str) -> FunctionType | None:
    """The Python function of `file` that this is, compiled by the learner or not; None where it is anything else."""
    function = getattr(value, "py_func", value)
    return function if isinstance(function, FunctionType) and function.__code__.co_filename == file else None


def rebound(function: Any, space: dict[str, Any]) -> FunctionType:
    """`function`, which finds its names in `space`."""
    return FunctionType(function.__code__, space, function.__name__, function.__defaults__, function.__closure__)


def unknown_name(functions: Iterable[FunctionType], space: dict[str, Any]) -> tuple[str, int | None] | None:
    """The first name in these functions that nobody defines, and where it stands: Numba does not say."""
    for step in chain.from_iterable(map(dis.get_instructions, functions)):
        if step.opname == "LOAD_GLOBAL" and step.argval not in space and not hasattr(builtins, step.argval):
            return step.argval, step.positions.lineno if step.positions else None
    return None


def line_of(error: BaseException, file: str) -> int | None:
    """The line of `file`: by what ran, by what Numba says it was at, or by what it was looking at."""
    if isinstance(error, SyntaxError):
        return error.lineno
    ran = [frame.tb_lineno for frame in frames(error) if frame.tb_frame.f_code.co_filename == file]
    if ran:
        return ran[-1]
    named = re.findall(rf'{re.escape(file)}", line (\d+)|{re.escape(file)} \((\d+)\)', str(error))
    if named:
        return int(named[0][0] or named[0][1])
    values = [error, *(value for frame in frames(error) for value in frame.tb_frame.f_locals.values())]
    places: list[Any] = [getattr(value, "loc", None) for value in values]
    lines = [int(place.line) for place in places if os.path.basename(getattr(place, "filename", "")) == file]
    return lines[-1] if lines else None


def frames(error: BaseException) -> Iterator[TracebackType]:
    trace = error.__traceback__
    while trace:
        yield trace
        trace = trace.tb_next
