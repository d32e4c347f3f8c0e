"""The CUDA kernels on the emulated card and in the interpreter: every operation against its reference, whole lessons
against the processor, and what is said where something is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from dltutor.emulate.front import missing_toolkit
from dltutor.emulate.interpreter import Interpreter
from dltutor.emulate.native import Native
from dltutor.errors import DltutorError
from dltutor.kernels import device
from dltutor.kernels.compile import cuda_run_with
from dltutor.kernels.dense import dense_forward_cuda
from dltutor.kernels.softmax import softmax_forward_cuda
from dltutor.proof.checks import (
    Case,
    all_cases,
    all_steps,
    call,
    cast,
    check_backward,
    check_forward,
    check_nan,
    check_step,
    poisoned,
    upstream,
)

CASES = {case.name: case for case in all_cases() if case.with_cuda}
STEPS = {step.name: step for step in all_steps()}
SMALL = 64  # numbers in an input that the interpreter can take in a moment
ROUNDING = 2e-6  # between the libraries' e^x, sine and so on


@pytest.fixture(autouse=True)
def emulated() -> Iterator[None]:
    pytest.importorskip("numba_cuda", reason="the emulated card needs numba-cuda")
    with cuda_run_with(Native()):
        yield
    device.use("cpu")


@pytest.mark.parametrize("name", CASES)
def test_forward_is_the_reference_on_every_shape_and_backward_adds_it_and_nan_comes_through(name: str) -> None:
    case = CASES[name]
    for shape in case.shapes:
        check_forward(case, shape, suffix="_cuda")
        if case.backward_reference:
            check_backward(case, shape, suffix="_cuda")
    check_nan(case, case.shapes[-1], "_cuda")


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_the_reference_and_spends_the_gradient(name: str) -> None:
    for n in (0, 1, 2, 7, 33, 130):
        check_step(STEPS[name], n, suffix="_cuda")


# ---------------------------------------------------------------- native = PTX = CPU


@pytest.mark.skipif(bool(missing_toolkit()), reason=f"no CUDA compiler: {missing_toolkit()}")
@pytest.mark.parametrize("name", CASES)
def test_the_emulation_is_the_card_s_own_code_interpreted_and_the_processor(name: str) -> None:
    """The same numbers from machine code of the processor made from the CUDA kernel, from its PTX, and from the CPU
    kernel: up to how a library rounds, and to the order of a sum."""
    case = CASES[name]
    shape = max((shape for shape in case.shapes if size_of(case, shape) <= SMALL), key=lambda s: size_of(case, s))
    native, processor = outcome(case, shape, "_cuda"), outcome(case, shape, "")
    with cuda_run_with(Interpreter()):
        interpreted = outcome(case, shape, "_cuda")
    for array, values in native.items():
        np.testing.assert_allclose(values, interpreted[array], ROUNDING, ROUNDING, err_msg=f"{array}, interpreted")
        tolerance = 2 * case.tolerance
        np.testing.assert_allclose(values, processor[array], tolerance, tolerance, err_msg=f"{array}, processor")


def size_of(case: Case, shape: Any) -> int:
    inputs = case.make(np.random.default_rng(0), shape)
    return max(np.size(value) for value in inputs.values())


def outcome(case: Case, shape: Any, suffix: str) -> dict[str, np.ndarray]:
    """The outputs of the forward kernel, and what the backward ones add to zeros."""
    rng = np.random.default_rng(6)
    inputs = case.make(rng, shape)
    outputs = case.reference(**inputs)
    arrays = cast(inputs | upstream(case, inputs, rng), np.float32)
    made = {name: np.copy(arrays.get(name, poisoned(value, np.float32))) for name, value in outputs.items()}
    forward, backward = case.kernels(suffix)
    call(forward, arrays | made)
    if case.backward_reference is None:
        return made
    given = cast(inputs | outputs | upstream(case, inputs, rng), np.float32)
    wanted = case.backward_reference(**given)
    gradients = {name: np.zeros(value.shape, np.float32) for name, value in wanted.items()}
    for kernel in backward:
        call(kernel, given | gradients)
    return made | gradients


# ---------------------------------------------------------------- whole lessons


@pytest.mark.parametrize("lesson", ["01-linear-regression", "02-logistic-regression", "06-mlp"])
def test_a_lesson_trains_on_the_emulated_card_as_on_the_processor(lesson: str) -> None:
    ours, theirs = losses(lesson, "cpu"), losses(lesson, "emulate")
    assert len(ours) == 21
    np.testing.assert_allclose(theirs, ours, 1e-4)


def losses(lesson: str, device: str) -> list[float]:
    command = [sys.executable, "-m", "dltutor", "run", lesson, "--device", device, "--steps", "20", "--jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    return [record["loss"] for record in records if "loss" in record]


def test_the_device_can_be_chosen_again_at_any_time() -> None:
    assert training("cpu") == pytest.approx(training("emulate"), rel=1e-5)
    assert training("emulate") == training("emulate"), "and the numbers are always the same"


def training(name: str) -> list[float]:
    device.use(name)
    from dltutor.layers import MSE, Adam, Dense, Sequential, Tanh

    rng = np.random.default_rng(0)
    net = Sequential(Dense(2, 3), Tanh(), Dense(3, 1), rng=rng)
    x = rng.standard_normal((5, 2)).astype(np.float32)
    t = x[:, :1].copy()
    loss, optimiser = MSE(), Adam(net)

    def step() -> float:
        value = loss(net.forward(x), t)
        net.backward(loss.grad)
        optimiser.step(lr=0.1)
        return value

    return [step() for _ in range(5)]


# ---------------------------------------------------------------- grids


def test_a_kernel_picks_a_grid_that_covers_its_work() -> None:
    """An element has a thread, and a row a block or a thread."""
    y = np.empty((100, 3), np.float32)
    blocks, threads = dense_forward_cuda.grid((None, None, None, y))
    assert np.prod(blocks) * np.prod(threads) >= 300
    blocks, threads = softmax_forward_cuda.grid((None, y))
    assert blocks * threads >= 100


def test_nothing_to_do_launches_nothing() -> None:
    empty = np.empty((0, 3), np.float32)
    with cuda_run_with(Refusing()):
        dense_forward_cuda(empty, empty, empty, empty)


class Refusing:
    def launch(self, *_launch: Any) -> None:
        raise AssertionError("launched")

    def warm(self, _kernel: Any) -> None: ...


# ---------------------------------------------------------------- what is missing


def test_a_card_that_is_not_there_is_said_with_a_remedy() -> None:
    from numba import cuda

    if cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(DltutorError, match="no CUDA device was found") as error:
        device.use("cuda")
    assert "--device emulate" in error.value.hint


@pytest.mark.parametrize("name", ["cuda", "emulate"])
def test_numba_cuda_that_is_not_there_is_said_with_a_remedy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "numba_cuda")
    with pytest.raises(DltutorError, match="numba-cuda, which is not installed") as error:
        device.use(name)
    assert "pip install numba-cuda" in error.value.hint


def hide(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    import importlib.util

    found: Callable[[str], Any] = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == module else found(name, *more))
