"""Small tables of numbers that a kernel keeps to itself, beside its loop variables.

    tile = stack(c, 4, 64)

gives 4 rows of 64 numbers of c's type, unset; in CUDA, cuda.local.array does this. They lie on the processor's stack,
so nothing is allocated. Sizes are known to the compiler, and where every index is known to it too, or the table is all
that an inner loop writes to, the numbers stand in registers and memory never sees them.

Both sizes must be written out, or be constants of the module. The table is gone when the kernel ends. A thread's stack
holds half a million bytes at least: keep to a tenth of that.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Whether a register holds 16 float32, and there are 32 of them (AVX-512); else most have 16 registers of 8, or 32 of 4.
_numpy: Any = np  # what it knows of the processor, it does not show to type checkers
WIDE_REGISTERS = bool(getattr(_numpy._core._multiarray_umath, "__cpu_features__", {}).get("AVX512F"))
CACHE_LINE = 64  # bytes: a row that starts with one is loaded in whole registers


class Stack:
    """What the name `stack` stands for: a function to Python, to Numba a piece of compiler."""

    def __call__(self, like: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
        return np.empty((rows, columns), like.dtype)

    @cached_property
    def _numba_type_(self) -> Any:
        from numba.core.registry import cpu_target
        from numba.extending import intrinsic

        on_stack = intrinsic(prefer_literal=True)(_on_stack)
        cpu_target.typing_context.refresh()
        return cpu_target.typing_context.resolve_value_type(on_stack)


def _on_stack(_context: Any, like: Any, rows: Any, columns: Any) -> Any:
    """The type of `stack(like, rows, columns)`, and how to make it: Numba calls this for each place that has it."""
    from numba.core import types

    kind = types.Array(like.dtype, 2, "C")
    shape = (rows.literal_value, columns.literal_value)
    return kind(like, rows, columns), lambda context, builder, _signature, _arguments: _room(
        context, builder, kind, shape
    )


def _room(context: Any, builder: Any, kind: Any, shape: tuple[int, int]) -> Any:
    """Instructions that set a table aside where the function starts, so that a loop does not do so in every round."""
    from llvmlite import ir

    number = context.get_data_type(kind.dtype)
    size = context.get_abi_sizeof(number)
    with builder.goto_entry_block():
        room = builder.alloca(ir.ArrayType(number, shape[0] * shape[1]))
    room.align = CACHE_LINE
    words = [ir.Constant(ir.IntType(64), word) for word in (*shape, shape[1] * size, size)]
    array = context.make_array(kind)(context, builder)
    context.populate_array(
        array,
        data=builder.bitcast(room, number.as_pointer()),
        shape=words[:2],
        strides=words[2:],
        itemsize=words[3],
        meminfo=None,
    )
    return array._getvalue()


stack: Any = Stack()
