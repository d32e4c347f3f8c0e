"""The curves of a run as a few compressed bytes: steps and values of each metric, to the bit.

A curve longer than LIMIT points keeps the lowest and highest value of each stretch, and both its ends.
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import NamedTuple

from dltutor.errors import DltutorError
from dltutor.i18n import _

LIMIT = 4000  # points a curve: more than any screen has columns
_CURVES = 64  # of one run
_MOST_BYTES = 2 * _CURVES * LIMIT * 16  # a blob that unpacks to more was not made here


class Column(NamedTuple):
    """One metric of one run."""

    steps: array[float]  # float64, ascending
    values: array[float]  # float64, as many; no NaN


def column(steps: Iterable[float], values: Sequence[float]) -> Column:
    """The values that were taken (not NaN), at most LIMIT of them, with their steps."""
    taken = [value == value for value in values]
    curve = Column(array("d", compress(steps, taken)), array("d", compress(values, taken)))
    return curve if len(curve.values) <= LIMIT else _thinned(curve)


def _thinned(curve: Column) -> Column:
    count, stretches = len(curve.values), LIMIT // 2 - 1
    kept = {0, count - 1}
    for stretch in range(stretches):
        first = stretch * count // stretches
        values = curve.values[first : (stretch + 1) * count // stretches]
        kept |= {first + values.index(min(values)), first + values.index(max(values))}
    order = sorted(kept)
    return Column(*(array("d", [part[at] for at in order]) for part in curve))


def pack(columns: Mapping[str, Column]) -> bytes:
    """A line of JSON (names and lengths), then steps and values of each, bytes of equal weight together."""
    first = dict(list(columns.items())[:_CURVES])
    header = json.dumps([[name, len(curve.steps)] for name, curve in first.items()]).encode()
    data = b"".join(_planes(part) for curve in first.values() for part in curve)
    return zlib.compress(header + b"\n" + data)


def unpack(blob: bytes) -> dict[str, Column]:
    """The columns in `blob`. Raises DltutorError where it holds none."""
    try:
        header, _newline, data = zlib.decompressobj().decompress(blob, _MOST_BYTES).partition(b"\n")
        columns, at = {}, 0
        for name, count in json.loads(header):
            steps, values = (data[at + part * 8 * count :][: 8 * count] for part in (0, 1))
            if not isinstance(name, str) or len(values) != 8 * count:
                raise ValueError(name)
            columns[name] = Column(_floats(steps), _floats(values))
            at += 16 * count
        return columns
    except (zlib.error, ValueError, TypeError) as error:
        raise DltutorError(_("the curves of this run can't be read: {error}").format(error=error)) from error


def _planes(values: array[float]) -> bytes:
    """All first bytes, then all second ones, and so on: neighbours are alike, which compresses better."""
    data = _little_endian(values).tobytes()
    return b"".join(data[byte::8] for byte in range(8))


def _floats(planes: bytes) -> array[float]:
    data, count = bytearray(len(planes)), len(planes) // 8
    for byte in range(8):
        data[byte::8] = planes[byte * count : (byte + 1) * count]
    values = array("d")
    values.frombytes(data)
    return _little_endian(values)


def _little_endian(values: array[float]) -> array[float]:
    if sys.byteorder == "little":
        return values
    swapped = array("d", values)
    swapped.byteswap()
    return swapped
