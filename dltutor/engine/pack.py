"""NumPy arrays into the compact arrays of the wire."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from dltutor.wire import Array

LEVELS = 254  # of u1; level 255 says NaN


def pack(value: Any) -> Any:
    """`value` (a picture, or anything inside one) with each array in the dtype that its field names."""
    if is_dataclass(value) and not isinstance(value, type):
        packed = {f.name: _field(getattr(value, f.name), f.metadata.get("dtype")) for f in fields(value)}
        return replace(value, **packed)
    if isinstance(value, list | tuple):
        return type(value)(pack(item) for item in value)
    if isinstance(value, np.generic):
        return value.item()
    return value


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
    low, high = (float(values[finite].min()), float(values[finite].max())) if finite.any() else (0.0, 1.0)
    scale = LEVELS / (high - low) if high > low else 0.0
    levels = np.where(finite, np.rint((np.where(finite, values, low) - low) * scale), 255)
    return Array("u1", values.shape, levels.astype(np.uint8).tobytes(), low, high)
