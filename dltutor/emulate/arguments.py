"""What the host gives a kernel, as a card gets it: arrays in global memory, then a flat list of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dltutor.emulate.memory import GLOBAL_SHIFT, Piece, Space
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels.launch import array_words

Array = Any


class Arguments:
    """The arguments of one launch."""

    def __init__(self, names: Sequence[str], types: Sequence[Any], values: Sequence[Any]) -> None:
        require_matching(names, types, values)
        self.arrays = [value for value in values if isinstance(value, np.ndarray)]
        array_names = [name for name, value in zip(names, values, strict=True) if isinstance(value, np.ndarray)]
        self.homes, pieces = overlapping(self.arrays, array_names)
        self.space = Space(pieces, GLOBAL_SHIFT)
        self.flat = list(self._flatten(types, values))

    def _flatten(self, types: Sequence[Any], values: Sequence[Any]) -> Iterator[Any]:
        places = iter(self.homes)
        for kind, value in zip(types, values, strict=True):
            if isinstance(value, np.ndarray):
                piece, offset = next(places)
                yield from array_words(value, self.space.address(piece) + offset)
            else:
                yield scalar_of(kind, value)

    def upload(self) -> None:
        for array, inside in zip(self.arrays, self._insides(), strict=True):
            inside[...] = array.view(np.uint8).reshape(-1) if array.size else inside

    def download(self) -> None:
        for array, inside in zip(self.arrays, self._insides(), strict=True):
            if array.size and array.flags.writeable:
                array.reshape(-1).view(np.uint8)[...] = inside

    def _insides(self) -> Iterator[Array]:
        for array, (piece, offset) in zip(self.arrays, self.homes, strict=True):
            start = int(self.space.starts[piece]) + offset
            yield self.space.bytes[start : start + array.nbytes]


def scalar_of(kind: Any, value: Any) -> Any:
    from numba.np.numpy_support import as_dtype

    return as_dtype(kind).type(value)


def require_matching(names: Sequence[str], types: Sequence[Any], values: Sequence[Any]) -> None:
    if len(values) != len(types):
        message = _("{given} arguments for a kernel that takes {wanted}").format(given=len(values), wanted=len(types))
        raise DltutorError(message, _("It takes: {names}").format(names=", ".join(names)))
    for name, kind, value in zip(names, types, values, strict=True):
        if problem := mismatch(kind, value):
            raise DltutorError(_("argument {name}: {problem}").format(name=name, problem=problem))


def mismatch(kind: Any, value: Any) -> str:
    """Why a value cannot be the argument; empty where it can."""
    axes = getattr(kind, "ndim", None)
    if (axes is not None) != isinstance(value, np.ndarray):
        return _("{value} where the kernel takes {kind}").format(value=type(value).__name__, kind=kind)
    if axes is None:
        return ""
    if value.ndim != axes or value.dtype.name != str(kind.dtype):
        found = _("{dtype} with {axes} axes").format(dtype=value.dtype, axes=value.ndim)
        return _("{value} where the kernel takes {kind}").format(value=found, kind=kind)
    return "" if value.flags.c_contiguous else _("its rows do not follow one another in memory")


def overlapping(arrays: Sequence[Array], names: Sequence[str]) -> tuple[list[tuple[int, int]], list[Piece]]:
    """Arrays that share memory share it on the card, too: each is found in a piece, some bytes behind its start."""
    homes: list[tuple[int, int]] = [(0, 0)] * len(arrays)
    pieces: list[Piece] = []
    start = end = -1
    # the empty ones first: they overlap nothing, wherever they are
    for k in sorted(range(len(arrays)), key=lambda k: (arrays[k].size > 0, address_of(arrays[k]), -arrays[k].nbytes)):
        first, size = address_of(arrays[k]), arrays[k].nbytes
        if size and first < end:
            end = max(end, first + size)
            joint = "/".join((pieces[-1].name, names[k]))
            pieces[-1] = Piece(joint, end - start, min(pieces[-1].item, arrays[k].itemsize))
        else:
            start, end = first, first + size if size else -1
            pieces.append(Piece(names[k], size, arrays[k].itemsize))
        homes[k] = (len(pieces) - 1, first - start)
    return homes, pieces


def address_of(array: Array) -> int:
    return int(array.__array_interface__["data"][0])
