"""The live pictures a lab can show, as plain data: what crosses the wire, and what the plots draw.

A lab fills the arrays with NumPy; the engine packs each to the dtype its field names; the plots read them back.
This file knows neither NumPy nor the screen. A picture's title comes from the lesson's front matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

Interval = tuple[float, float]


def packed(dtype: str) -> Any:
    """A field holding an array that crosses the wire as `dtype`: u1 (256 levels over its range), f2, f4, f8, i4."""
    return field(metadata={"dtype": dtype})


def packed_or_none(dtype: str) -> Any:
    return field(default=None, metadata={"dtype": dtype})


@dataclass
class Points:
    """Samples in the plane, each with the number of its class (0 for all where there is only one)."""

    x: Any = packed("f4")  # (N,)
    y: Any = packed("f4")  # (N,)
    label: Any = packed_or_none("u1raw")  # (N,) class numbers, or None


@dataclass
class Curves:
    """Values over steps (or any sorted x). Series share no x: a metric may be taken only now and then."""

    series: list[Series]
    x_label: str = ""
    log: bool = False


@dataclass
class Series:
    name: str
    x: Any = packed("f8")  # (N,) ascending
    y: Any = packed("f8")  # (N,) NaN and infinities are drawn as gaps after a mark; leave out what was not taken


@dataclass
class Scatter:
    """Points with lines through them: data and the model's fit."""

    points: Points
    lines: list[Series]
    x: Interval
    y: Interval
    x_label: str = ""
    y_label: str = ""


@dataclass
class Heat:
    """A field over a rectangle, with points over it and iso-lines through it; values[0] is the row at the top."""

    x: Interval
    y: Interval
    values: Any = packed("u1")  # (H, W)
    low: float = 0.0  # the colour scale's ends; its middle is the neutral colour
    high: float = 1.0
    iso: tuple[float, ...] = ()
    points: Points | None = None
    classes: tuple[str, ...] = ()
    x_label: str = ""
    y_label: str = ""


@dataclass
class Contour:
    """A loss surface as level lines, with the path over it and its lowest point; values[0] is the row at the top."""

    x: Interval
    y: Interval
    values: Any = packed("f4")  # (H, W)
    path_x: Any = packed("f4")  # (N,)
    path_y: Any = packed("f4")  # (N,)
    minimum: tuple[float, float] | None = None
    x_label: str = ""
    y_label: str = ""


@dataclass
class Images:
    """K small images in a grid, each with a short caption. `signed` images use the diverging colours around 0."""

    values: Any = packed("u1")  # (K, H, W)
    captions: tuple[str, ...] = ()
    wrong: tuple[int, ...] = ()  # indices to mark as mistakes
    signed: bool = False


@dataclass
class Histograms:
    """One histogram a layer over the same bins."""

    names: tuple[str, ...]
    counts: Any = packed("f4")  # (L, B)
    low: float = -1.0
    high: float = 1.0
    x_label: str = ""


@dataclass
class Confusion:
    """How often class i (row) was taken for class j (column)."""

    counts: Any = packed("i4")  # (K, K)
    classes: tuple[str, ...] = ()


Picture = Curves | Scatter | Heat | Contour | Images | Histograms | Confusion
KINDS: dict[str, type] = {
    kind.__name__: kind for kind in (Curves, Scatter, Heat, Contour, Images, Histograms, Confusion, Points, Series)
}


def reworded(value: Any, word: Callable[[str], str]) -> Any:
    """A picture with `word` applied to every text in it."""
    if isinstance(value, str):
        return word(value)
    if isinstance(value, list | tuple):
        return type(value)(reworded(item, word) for item in value)
    if type(value) in KINDS.values() and is_dataclass(value):
        texts = {f.name: reworded(getattr(value, f.name), word) for f in fields(value) if "dtype" not in f.metadata}
        return replace(value, **texts)  # type: ignore[type-var]
    return value
