"""The CUDA kernels on the emulated card: every operation against its reference, training, and what is said where
something is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dltutor.emulate.native import Native
from dltutor.errors import DltutorError
from dltutor.kernels import compile as compiling
from dltutor.kernels import device
from dltutor.kernels.compile import cuda_run_with
from dltutor.kernels.dense import dense_forward_cuda
from dltutor.kernels.softmax import softmax_forward_cuda
from dltutor.proof.checks import all_cases, all_steps, check_backward, check_forward, check_nan, check_step

CASES = {case.name: case for case in all_cases() if case.with_cuda}
STEPS = {step.name: step for step in all_steps()}
WITH_BACKWARD = [name for name, case in CASES.items() if case.backward_reference]


@pytest.fixture(autouse=True)
def emulated() -> Iterator[None]:
    pytest.importorskip("numba_cuda", reason="the emulated card needs numba-cuda")
    with cuda_run_with(Native()):
        yield


@pytest.mark.parametrize("name", CASES)
def test_forward_is_the_reference_on_every_shape(name: str) -> None:
    for shape in CASES[name].shapes:
        check_forward(CASES[name], shape, suffix="_cuda")


@pytest.mark.parametrize("name", WITH_BACKWARD)
def test_backward_adds_the_reference_on_every_shape(name: str) -> None:
    for shape in CASES[name].shapes:
        check_backward(CASES[name], shape, suffix="_cuda")


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_the_reference_and_spends_the_gradient(name: str) -> None:
    for n in (0, 1, 2, 7, 33, 130):
        check_step(STEPS[name], n, suffix="_cuda")
