"""Every CUDA kernel there is, and what the tests here share."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
from pathlib import Path
from typing import Any

import pytest

import dltutor.kernels
from dltutor.emulate import cubin, front
from dltutor.kernels.compile import CudaKernel

CAPABILITIES = ((7, 5), (8, 0), (8, 9), (9, 0), (10, 0), (12, 0))
DIALECTS = {(10, 0): (10, 0), (12, 0): (10, 0)}
"""Whose PTX a card has, up to the card's name; (9, 0)'s where nothing is said. A test in test_ptx.py compares them."""
BUDGETS = Path(__file__).parent / "budgets.json"

needs_compiler = pytest.mark.skipif(
    bool(front.missing_toolkit()), reason=f"no CUDA compiler: {front.missing_toolkit()}"
)
needs_assembler = pytest.mark.skipif(
    bool(cubin.missing_assembler()), reason=f"no assembler: {cubin.missing_assembler()}"
)


def all_kernels() -> dict[str, CudaKernel]:
    """By name, from every file of dltutor/kernels."""
    found: dict[str, CudaKernel] = {}
    for file in pkgutil.iter_modules(dltutor.kernels.__path__):
        module = importlib.import_module(f"dltutor.kernels.{file.name}")
        own = (value for value in vars(module).values() if isinstance(value, CudaKernel))
        found |= {value.__name__: value for value in own if value.__module__ == module.__name__}
    return found


KERNELS = all_kernels()


def ptx(kernel: CudaKernel, capability: front.Capability) -> str:
    """What Compiled.ptx makes for that card, compiled once for all cards with the same."""
    like = DIALECTS.get(capability, front.H100)
    return front.compiled(kernel).ptx(like).replace(target(like), target(capability))


def target(capability: front.Capability) -> str:
    return f".target sm_{number(capability)}"


def number(capability: front.Capability) -> str:
    return f"{capability[0]}{capability[1]}"


def recorded(part: str) -> dict[str, Any]:
    """What budgets.json says: "costs" or "traffic"."""
    return json.loads(BUDGETS.read_text())[part]


def renewing() -> bool:
    """Write what is measured to budgets.json, rather than compare with it.

    DLTUTOR_RENEW=1 pytest tests/emulate -k "budget or traffic"     (without -n: every test writes the file)
    """
    return os.environ.get("DLTUTOR_RENEW") == "1"


def record(part: str, name: str, measured: Any) -> None:
    """Put it into budgets.json, one line a kernel, and leave out kernels that are gone."""
    found = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {"costs": {}, "traffic": {}}
    found[part][name] = measured
    found["costs"] = {name: found["costs"][name] for name in sorted(found["costs"]) if name in KERNELS}
    lines = [f"{json.dumps(key)}: {{\n{rows(value)}\n}}" for key, value in found.items()]
    BUDGETS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def rows(table: dict[str, Any]) -> str:
    return ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in table.items())
