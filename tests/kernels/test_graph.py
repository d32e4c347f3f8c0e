"""Launches bound once: on the emulated card by one native call, on a card by one graph.

There is no card here. A stand-in driver takes its place (tests/emulate/stand_in_driver.c): Numba and cuda.core talk to
it as to a real one, and what they launch is run by the emulation, with the very addresses that the driver was given.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "emulate"))
from stand_in import environment
from traced import kept

from dltutor.emulate.cubin import missing_assembler
from dltutor.emulate.front import missing_toolkit
from dltutor.emulate.native import Native
from dltutor.kernels import device
from dltutor.kernels.compile import cuda_run_with
from dltutor.kernels.cuda_graph import EmulatedGraph, launches
from dltutor.kernels.dense import dense_backward_cuda, dense_forward_cuda
from dltutor.kernels.relu import relu_forward_cuda
from dltutor.kernels.sgd import sgd_step_cuda


@pytest.fixture(autouse=True)
def emulated() -> Iterator[None]:
    pytest.importorskip("numba_cuda", reason="CUDA kernels need numba-cuda")
    with cuda_run_with(Native()):
        yield
    device.use("cpu")


def f32(*values: Any) -> np.ndarray:
    return np.array(values, np.float32)


# ---------------------------------------------------------------- the emulated card


def test_a_graph_runs_its_kernels_in_order_and_sees_what_the_arrays_hold() -> None:
    x, y, z = f32(-1, 2, -3), np.empty(3, np.float32), np.empty(3, np.float32)
    graph = EmulatedGraph()
    graph.add(relu_forward_cuda, x, y)
    graph.add(relu_forward_cuda, y, z)
    graph.replay()
    assert z.tolist() == [0, 2, 0]
    x[:] = 5, -1, 7
    graph.replay()
    assert z.tolist() == [5, 0, 7]


def test_kernels_may_be_added_after_a_replay() -> None:
    x, y, z = f32(1, -1), np.empty(2, np.float32), np.empty(2, np.float32)
    graph = EmulatedGraph()
    graph.add(relu_forward_cuda, x, y)
    graph.replay()
    graph.add(relu_forward_cuda, y, z)
    graph.replay()
    assert z.tolist() == [1, 0]


def test_a_number_can_be_changed_between_replays() -> None:
    p, g = f32(10), f32(2)
    graph = EmulatedGraph()
    step = graph.add(sgd_step_cuda, p, g, 0.5)
    graph.replay()
    assert p[0] == 9
    g[0] = 2
    step.set("lr", 2)
    graph.replay()
    assert p[0] == 5


def test_a_graph_of_nothing_does_nothing() -> None:
    EmulatedGraph().replay()
    graph = EmulatedGraph()
    nothing = np.empty((0,), np.float32)
    graph.add(relu_forward_cuda, nothing, nothing)
    graph.replay()


def test_a_sequence_is_the_launches_of_its_kernels_with_the_arrays_it_was_given() -> None:
    x, w, dy = np.ones((5, 2), np.float32), np.ones((2, 3), np.float32), np.ones((5, 3), np.float32)
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(3, np.float32)
    made = launches(dense_backward_cuda, (x, w, dy, dx, dw, db))
    assert len(made) > 1
    given = [argument for _kernel, _grid, _block, arguments in made for argument in arguments]
    assert {id(a) for a in given if isinstance(a, np.ndarray)} >= {id(a) for a in (x, w, dy, dx, dw)}
    graph = EmulatedGraph()
    graph.add(dense_backward_cuda, x, w, dy, dx, dw, db)
    graph.replay()
    graph.replay()
    assert dx.tolist() == [[6, 6]] * 5
    assert db.tolist() == [10, 10, 10]


def test_a_replay_allocates_nothing() -> None:
    x, w, b = np.ones((8, 8), np.float32), np.ones((8, 8), np.float32), np.ones(8, np.float32)
    y, z = np.empty((8, 8), np.float32), np.empty(64, np.float32)
    graph = EmulatedGraph()
    graph.add(dense_forward_cuda, x, w, b, y)
    graph.add(relu_forward_cuda, y.reshape(64), z)
    graph.replay()
    assert kept(graph.replay, 1000, limit=2000) < 2000


# ---------------------------------------------------------------- the stand-in card


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Train on the stand-in card in a process of its own; what it tells."""
    if missing := missing_toolkit() or missing_assembler():
        pytest.skip(f"no CUDA compiler: {missing}")
    variables = environment(tmp_path_factory.mktemp("driver"))
    if not variables:
        pytest.skip("no C compiler for the stand-in driver")
    command = [sys.executable, str(Path(__file__).parent / "on_stand_in.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_training_on_a_card_goes_the_same_way_as_on_the_processor(trained: dict[str, Any]) -> None:
    """So every launch was given the addresses of the right arrays, and everything happened in the right order."""
    np.testing.assert_allclose(trained["cuda"], trained["cpu"], 1e-5)


def test_a_pass_through_the_network_is_one_launch(trained: dict[str, Any]) -> None:
    forward, loss, backward = trained["replayed"]
    assert forward == ["dense_forward_cuda", "relu_forward_cuda", "dense_forward_cuda"]
    assert "cross_entropy_backward_cuda" in loss
    assert len(backward) >= 7


def test_only_the_optimiser_whose_numbers_change_is_launched_by_itself(trained: dict[str, Any]) -> None:
    assert trained["launched"] == ["adam_step_cuda"]


def test_a_step_allocates_nothing_on_the_card(trained: dict[str, Any]) -> None:
    assert trained["allocated"] == 0


def test_a_kernel_whose_number_changes_is_taken_out_of_its_graph(trained: dict[str, Any]) -> None:
    told = trained["changed"]
    relu, sgd = "relu_forward_cuda", "sgd_step_cuda"
    assert told["first"] == {"launched": [relu, relu, sgd, relu, relu], "replayed": []}
    assert told["before"] == {"launched": [], "replayed": [[relu, relu, sgd, relu, relu]]}
    assert told["after"] == {"launched": [sgd], "replayed": [[relu, relu], [relu, relu]]}
    assert told["p"] == [-0.5] * 3, "1 - 1 * 1, then, the gradient being spent, - 0, then - 0.5 * 1"


def test_where_the_driver_cannot_record_kernels_are_launched_one_by_one(trained: dict[str, Any]) -> None:
    told = trained["refused"]
    np.testing.assert_allclose(told["cuda"], trained["cpu"], 1e-5)
    assert told["replayed"] == []
    assert len(told["launched"]) > 10
