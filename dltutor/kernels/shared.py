"""Parts that many kernels call and that take long to compile: compiled once, and found by their name.

A `@part` becomes a piece of every kernel that calls it, and is optimised again with each. A `@shared` part does not.
Its machine code stands by itself, and the kernels contain a call to a name such as

    dltutor$matmul.add_panels$f4_2A$f4_2C$f4_2C$i8$$

that is, the file, the function, and what it was compiled for: float32 arrays of 2 axes, the first one a view, and a
whole number. LLVM finds the address of such a name when it loads a kernel, and ends the process where there is none. So
`provide` has to come first: when a kernel that calls one is compiled, and when its file is read (see machine_code.py).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from dltutor.kernels import machine, machine_code
from dltutor.kernels.compile import Function, Kernel

NAMES = re.compile(rb"dltutor\$([\w.$]+?)\$\$")  # in machine code, where nothing need be between two names


class Shared(Kernel):
    """A part that is called where it stands."""

    vectorise_lines = True

    def __init__(self, function: Function) -> None:
        super().__init__(function, part=True)
        self._provided: set[str] = set()

    def provide(self, kinds: tuple[Any, ...]) -> str:
        """Its name for arguments of these types. From here on LLVM knows it."""
        file = self.__module__.rpartition(".")[2]
        name = "$".join(["dltutor", f"{file}.{self.__name__}", *map(_spelled, kinds), "$"])
        self.provide_named(name, lambda: kinds)
        return name

    def provide_named(self, name: str, kinds: Callable[[], tuple[Any, ...]]) -> None:
        if name not in self._provided:
            place = machine_code.address(self, name.strip("$").replace("$", "-"), kinds)
            machine.llvm().add_symbol(name, place)
            self._provided.add(name)

    @cached_property
    def _numba_type_(self) -> Any:
        """How Numba types and writes a call of it."""
        from numba.core import types
        from numba.core.imputils import lower_builtin
        from numba.core.registry import cpu_target
        from numba.core.typing import signature
        from numba.core.typing.templates import AbstractTemplate

        class Call(AbstractTemplate):  # type: ignore[misc] # Numba has no types of its own
            key = self

            def generic(self, arguments: Any, _names: Any) -> Any:
                kinds = tuple(map(types.unliteral, arguments))
                self.key.provide(kinds)
                return signature(types.none, *kinds)

        lower_builtin(self, types.VarArg(types.Any))(self._call)
        cpu_target.target_context.refresh()
        return types.Function(Call)

    def _call(self, context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        from numba.core import cgutils

        kind = context.call_conv.get_function_type(signature.return_type, signature.args)
        function = cgutils.get_or_insert_function(builder.module, kind, self.provide(signature.args))
        call = context.call_conv.call_function
        status, nothing = call(builder, function, signature.return_type, signature.args, arguments)
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return nothing


def shared(function: Function) -> Shared:
    """Compile `function` once for all kernels that call it."""
    return Shared(function)


def provide_all(machine_code: bytes) -> None:
    """Provide every shared part whose name stands in it."""
    for name in sorted(set(NAMES.findall(machine_code))):
        where, *kinds = name.decode().split("$")
        file, _dot, function = where.partition(".")
        part = getattr(importlib.import_module(f"dltutor.kernels.{file}"), function)
        part.provide_named(f"dltutor${name.decode()}$$", lambda kinds=kinds: tuple(map(_meant, kinds)))


def _spelled(kind: Any) -> str:
    """float32[:, ::1] -> "f4_2C", int64 -> "i8"."""
    from numba.np.numpy_support import as_dtype

    number = as_dtype(getattr(kind, "dtype", kind))
    axes = f"_{kind.ndim}{kind.layout}" if hasattr(kind, "ndim") else ""
    return f"{number.kind}{number.itemsize}{axes}"


def _meant(spelled: str) -> Any:
    """The type that is spelled so."""
    from numba.core import types
    from numba.np.numpy_support import from_dtype

    number, _line, axes = spelled.partition("_")
    dtype = from_dtype(np.dtype(number))
    array: Any = types.Array
    return array(dtype, int(axes[:-1]), axes[-1]) if axes else dtype
