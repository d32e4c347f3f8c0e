"""Runs every CUDA kernel in Numba's simulator: `python on_simulator.py`. A line of JSON tells what became of each."""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from collections.abc import Callable

import numpy as np
from kernel_cases import CASES, STEPS, check_backward, check_clear, check_forward, check_step

from dltutor.kernels import device


def main() -> None:
    warnings.simplefilter("ignore")  # on a card, overflow is no warning
    device.use("emulate")
    results = {}
    for case in CASES:
        if case.name == "matmul_simple":
            continue
        few = [shape for shape in case.shapes if np.prod(shape) < 60]
        results[f"{case.name} forward"] = outcome(
            lambda case=case, few=few: [check_forward(case, shape, np.float32, 3e-6, "_cuda") for shape in few]
        )
        results[f"{case.name} backward"] = outcome(
            lambda case=case, few=few: [check_backward(case, shape, np.float32, 5e-6, "_cuda") for shape in few]
        )
    for step in STEPS:
        results[step.name] = outcome(
            lambda step=step: [check_step(step, n, np.float32, 3e-6, "_cuda") for n in (0, 1, 7)]
        )
    results["clear"] = outcome(lambda: [check_clear(n) for n in (0, 1, 9)])
    json.dump(results, sys.stdout)


def outcome(check: Callable[[], object]) -> str:
    """Nothing where it went well."""
    try:
        check()
    except Exception:
        return traceback.format_exc()
    return ""


if __name__ == "__main__":
    main()
