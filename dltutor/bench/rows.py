"""What was measured, beside what it should be: one row a number, for people and for programs."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from dltutor.i18n import _

PACKAGES = ("textual", "numpy", "numba", "pyte")


@dataclass(frozen=True)
class Row:
    name: str
    target: str | None
    """None where there is nothing to meet, only something to know."""
    measured: float
    unit: str
    met: bool | None


def at_most(name: str, measured: float, limit: float, unit: str) -> Row:
    return Row(name, f"<= {limit:g}", _rounded(measured), unit, measured <= limit)


def at_least(name: str, measured: float, limit: float, unit: str) -> Row:
    return Row(name, f">= {limit:g}", _rounded(measured), unit, measured >= limit)


def to_know(name: str, measured: float, unit: str) -> Row:
    return Row(name, None, _rounded(measured), unit, None)


def _rounded(value: float) -> float:
    """Three digits say all that a measurement knows."""
    return float(f"{value:.3g}") if abs(value) < 1000 or not math.isfinite(value) else round(value)


def median(values: Sequence[float]) -> float:
    return quantile(values, 0.5)


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed, interpolated between neighbours; NaN for no values."""
    if not values:
        return math.nan
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    if place == below or ordered[below + 1] == ordered[below]:  # infinite ones, too
        return ordered[below]
    return ordered[below] + (place - below) * (ordered[below + 1] - ordered[below])


# ---------------------------------------------------------------- where


def machine() -> dict[str, Any]:
    """What the numbers depend on. A `load` above the number of cores makes them worthless."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


# ---------------------------------------------------------------- how they are shown


def as_json(rows: Sequence[Row], where: dict[str, Any]) -> str:
    plain = [asdict(row) | {"measured": row.measured if math.isfinite(row.measured) else None} for row in rows]
    return json.dumps({"machine": where, "rows": plain}, indent=2, ensure_ascii=False)


def show(rows: Sequence[Row], where: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column(_("measured"), justify="right")
    table.add_column("")
    table.add_column(_("target"), justify="right")
    table.add_column("")
    for row in rows:
        table.add_row(row.name, f"{row.measured:,g}", row.unit, row.target or "", MARKS[row.met])
    console = Console()
    console.print(table)
    console.print(" · ".join(f"{name} {value}" for name, value in where.items()), style="dim", highlight=False)


MARKS = {True: "[green]✓[/]", False: "[red]✕[/]", None: ""}
