"""NumPy arrays into the compact arrays of the wire."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from dltutor.wire import Array

LEVELS = 254  # of u1; level 255 says NaN


def pack(value: Any) -> Any:
    """`value` (a picture, or anything inside one) with each array in the dtype that its field names."""
    kind = type(value)
    if is_dataclass(kind):
        return kind(*(_field(getattr(value, name), dtype) for name, dtype in _dtypes(kind)))
    if isinstance(value, list | tuple):
        return kind(pack(item) for item in value)
    if isinstance(value, np.generic):
        return value.item()
    return value


@lru_cache
def _dtypes(kind: type) -> list[tuple[str, str | None]]:
    """The fields of a picture, and how each crosses."""
    return [(f.name, f.metadata.get("dtype")) for f in fields(kind)]


def _field(value: Any, dtype: str | None) -> Any:
    if dtype is None or value is None or isinstance(value, Array):
        return pack(value)
    return quantised(np.asarray(value)) if dtype == "u1" else plain(np.asarray(value), dtype)


def plain(values: np.ndarray, dtype: str) -> Array:
    kind = "u1" if dtype == "u1raw" else dtype
    return Array(dtype, values.shape, np.ascontiguousarray(values, "<" + kind).tobytes())


def quantised(values: np.ndarray) -> Array:
    """255 levels over the range of the finite values: an error of at most 1/508 of it, a byte an element."""
    finite = np.isfinite(values)
    good = values if finite.all() else values[finite]
    low, high = (float(good.min()), float(good.max())) if good.size else (0.0, 1.0)
    scale = LEVELS / (high - low) if high > low else 0.0
    levels = (np.where(finite, values, low) - low) * scale
    return Array("u1", values.shape, np.where(finite, np.rint(levels), 255).astype(np.uint8).tobytes(), low, high)
