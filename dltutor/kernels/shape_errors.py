"""Makes Numba's own errors about shapes say less.

Where an array may not fit, as in y[:] = x and x.sum(axis=0), Numba compiles code that would put the shapes into a
sentence: seven seconds and two, in every process. With `shorten` such lines compile in half a second.
"""

from __future__ import annotations

from functools import cache
from typing import Any


def shapes_differ(source: Any, target: Any) -> None:
    """Stands for an error in compiled code."""


def axis_out_of_bounds(array: Any, axis: Any) -> None:
    """Stands for a look at the axis, or at several."""


@cache
def shorten() -> None:
    """Call it before the first compilation. Private names of Numba: where one is gone, it says as much as ever."""
    from numba.extending import overload
    from numba.np import arraymath, arrayobj

    overload(shapes_differ)(fail)
    overload(axis_out_of_bounds)(look)
    if hasattr(arrayobj, "raise_with_shape_context"):
        arrayobj.raise_with_shape_context = shapes_differ
    if hasattr(arraymath, "check_axis_bounds"):
        arraymath.check_axis_bounds = axis_out_of_bounds


def fail(source: Any, target: Any) -> Any:
    """What Numba compiles for shapes_differ."""

    def compiled(source: Any, target: Any) -> None:
        raise ValueError("the shapes differ")

    return compiled


def look(array: Any, axis: Any) -> Any:
    """What Numba compiles for axis_out_of_bounds, by the type of the axis."""
    from numba.core import types

    def none(array: Any, axis: Any) -> None:
        pass

    def one(array: Any, axis: Any) -> None:
        if axis < -array.ndim or axis >= array.ndim:
            raise ValueError("the axis is out of bounds")

    def several(array: Any, axis: Any) -> None:
        for each in axis:
            if each < -array.ndim or each >= array.ndim:
                raise ValueError("an axis is out of bounds")

    return one if isinstance(axis, types.Integer) else several if isinstance(axis, types.BaseTuple) else none
