"""What goes into the room and comes out of it: a JSON header, then the bytes of arrays. Opening it runs nothing.

8 bytes    length of the header, little-endian
header     {"arrays": [[dtype, length], ...], ...}
arrays     one after the other, flat
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

DTYPES = ("float32", "float64", "int8", "int32", "int64", "uint32")
PREFIX = 8


def wrap(header: dict[str, Any], arrays: Sequence[np.ndarray]) -> bytes:
    described = header | {"arrays": [[array.dtype.name, array.size] for array in arrays]}
    text = json.dumps(described).encode()
    return b"".join([len(text).to_bytes(PREFIX, "little"), text, *(array.tobytes() for array in arrays)])


def unwrap(parcel: bytes) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The header, and flat arrays that can be written to. Raises ValueError where this is no parcel."""
    start = PREFIX + int.from_bytes(parcel[:PREFIX], "little")
    header = json.loads(parcel[PREFIX:start])
    if not isinstance(header, dict) or not isinstance(header.get("arrays"), list):
        raise ValueError("no header")
    arrays = []
    for dtype, length in header["arrays"]:
        if dtype not in DTYPES or type(length) is not int or length < 0:
            raise ValueError(f"not an array: {dtype} {length}")
        end = start + np.dtype(dtype).itemsize * length
        arrays.append(np.frombuffer(bytearray(parcel[start:end]), dtype, length))
        start = end
    if start != len(parcel):
        raise ValueError("too many bytes")
    return header, arrays
