"""Graphs of launches: the kernels do what they do when called, whoever does the work."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from traced import kept

from dltutor.kernels.compile import ZERO, Matrix, Number, Vector, kernel
from dltutor.kernels.dense import dense_forward
from dltutor.kernels.launch import Graph, use_threads
from dltutor.kernels.sgd import sgd_step


@kernel(rows="x y", sums="total")
def scale(x: Matrix, factor: Number, y: Matrix, total: Vector) -> None:
    for n in range(x.shape[0]):
        row = ZERO
        for d in range(x.shape[1]):
            y[n, d] = factor * x[n, d]
            row += y[n, d]
        total[0] += row


@pytest.fixture
def threads() -> Iterator[None]:
    yield
    use_threads(1)


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_launches_run_in_order_and_see_what_their_arrays_hold_then() -> None:
    x, w, b, y = floats(3, 2), floats(2, 2), floats(2), np.zeros((3, 2), np.float32)
    graph = Graph()
    graph.add(dense_forward, x, w, b, y)
    graph.add(sgd_step, y.reshape(6), np.ones(6, np.float32), 0.5)
    graph.replay()
    np.testing.assert_allclose(y, x @ w + b - 0.5, rtol=1e-5)
    x[:] = 0
    graph.replay()  # the step has spent its gradient
    np.testing.assert_allclose(y, np.tile(b, (3, 1)))


def test_a_number_can_be_changed_between_replays() -> None:
    p, g = np.ones(2, np.float32), np.ones(2, np.float32)
    graph = Graph()
    step = graph.add(sgd_step, p, g, 0.5)
    graph.replay()
    g[:] = 1
    step.set("lr", 0.25)
    graph.replay()
    assert p.tolist() == [0.25, 0.25]


def test_the_numbers_do_not_depend_on_the_number_of_threads(threads: None) -> None:
    """Large enough to be cut into pieces, and repeated often enough for several threads to be tried."""
    x = floats(2000, 301)
    totals, outputs = [], []
    for count in (1, 2, 3):
        use_threads(count)
        y, total, graph = np.zeros_like(x), np.zeros(1, np.float32), Graph()
        graph.add(scale, x, 3.0, y, total)
        for _time in range(8):
            graph.replay()
        totals.append(total[0])
        outputs.append(y)
    assert totals[0] == totals[1] == totals[2]
    assert totals[0] == pytest.approx(8 * 3 * x.sum(dtype=float), rel=1e-3)
    for y in outputs:
        np.testing.assert_array_equal(y, x * np.float32(3))


def test_an_array_that_a_kernel_cannot_take_is_refused() -> None:
    with pytest.raises(AssertionError):
        Graph().add(dense_forward, floats(2, 2).T, floats(2, 2), floats(2), floats(2, 2))
    with pytest.raises(AssertionError):
        Graph().add(sgd_step, floats(2, 2), floats(2), 0.1)


def test_a_replay_allocates_nothing() -> None:
    graph, p = Graph(), floats(10)
    graph.add(sgd_step, p, floats(10), 0.1)
    graph.replay()
    assert kept(graph.replay, 1000, limit=2000) < 2000
