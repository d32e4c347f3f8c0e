"""The CUDA kernels, in Numba's simulator: in a process of its own, since Numba chooses it when it is first imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kernel_cases import CASES, STEPS

from dltutor.kernels.dense import dense_forward_cuda
from dltutor.kernels.mse import mse_forward_cuda
from dltutor.kernels.softmax import softmax_forward_cuda

HERE = Path(__file__).parent
NAMES = [
    *(f"{case.name} {way}" for case in CASES if case.name != "matmul_simple" for way in ("forward", "backward")),
    *(step.name for step in STEPS),
    "clear",
]


def simulate(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=HERE, env=environment, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def results() -> dict[str, str]:
    done = simulate("on_simulator.py")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_a_cuda_kernel_is_its_reference(results: dict[str, str], name: str) -> None:
    assert results[name] == ""


def test_training_goes_the_same_way_on_the_emulated_device() -> None:
    """Five steps of the same small network: the losses agree to six digits."""
    program = """
import sys
import numpy as np
from dltutor.kernels import device
device.use(sys.argv[1])
from dltutor.layers import MSE, Adam, Dense, Sequential, Tanh
rng = np.random.default_rng(0)
net = Sequential(Dense(2, 3), Tanh(), Dense(3, 1), rng=rng)
x = rng.standard_normal((5, 2)).astype(np.float32)
t = x[:, :1].copy()
loss, opt = MSE(), Adam(net)
for _ in range(5):
    print(loss(net.forward(x), t))
    net.backward(loss.grad)
    opt.step(lr=0.1)
print(*(np.isfinite(values).all() for _name, values in net.tensors()))
"""
    cpu, emulated = (simulate("-c", program, name) for name in ("cpu", "emulate"))
    assert cpu.returncode == emulated.returncode == 0, cpu.stderr + emulated.stderr
    ours, theirs = ([float(line) for line in done.stdout.split("\n")[:5]] for done in (cpu, emulated))
    np.testing.assert_allclose(ours, theirs, 1e-5)
    assert "False" not in emulated.stdout


def test_a_kernel_picks_a_grid_that_covers_its_work() -> None:
    """An element, or a row, has a thread; a sum has one block."""
    y, loss = np.empty((100, 3), np.float32), np.empty(1, np.float32)
    blocks, threads = dense_forward_cuda.grid((None, None, None, y))
    assert (blocks - 1) * threads < 300 <= blocks * threads
    blocks, threads = softmax_forward_cuda.grid((None, y))
    assert (blocks - 1) * threads < 100 <= blocks * threads
    assert mse_forward_cuda.grid((y, y, loss))[0] == 1


def test_nothing_to_do_launches_nothing() -> None:
    empty = np.empty((0, 3), np.float32)
    dense_forward_cuda(empty, empty, empty, empty)  # would need a card


def test_a_card_that_is_not_there_is_said_with_a_remedy() -> None:
    done = simulate("-c", "from dltutor.kernels import device; device.use('cuda')")
    if done.returncode == 0:
        pytest.skip("there is a CUDA device")
    assert "no CUDA device was found" in done.stderr
    assert "--device emulate" in done.stderr


def test_emulation_asked_for_too_late_is_said_with_a_remedy() -> None:
    done = simulate("-c", "import numba; from dltutor.kernels import device; device.use('emulate')")
    assert "DltutorError" in done.stderr
    assert "NUMBA_ENABLE_CUDASIM=1" in done.stderr
