"""Training with what the learner wrote, beside the same training with ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from driving import driven

from dltutor.emulate.front import missing_toolkit
from dltutor.wire import (
    OURS,
    Compiling,
    Failed,
    Finished,
    Grant,
    Metrics,
    Open,
    Own,
    Paused,
    Ready,
    Resume,
    Set,
    Start,
    Step,
    Timed,
)

SOURCE = """
import math
import numpy as np


def slope(y):
    return np.float32(1) - y * y


def tanh_backward(y, dy, dx):
    for i in range(y.size):
        dx[i] += dy[i] * slope(y[i])
"""
OURS_TO_THE_BIT = """
import numpy as np

def mse_backward(y, t, dy):
    share = np.float32(2) / np.float32(max(y.size, 1))
    for i in range(y.size):
        dy[i] += share * (y[i] - t[i])
"""
TANH = "dltutor/kernels/tanh.py:tanh_backward"
MSE = "dltutor/kernels/mse.py:mse_backward"
DENSE = "dltutor/kernels/dense.py:dense_backward"
NUMPY = """
def dense_backward(x, w, dy, dx, dw, db):
    dx += dy @ w.T
    dw += x.T @ dy
    for row in dy:
        db += row
"""
CUDA = """
import numpy as np
from numba import cuda

def times(a, b):
    return a * b

def tanh_backward_cuda(y, dy, dx):
    i = cuda.grid(1)
    if i < y.size:
        dx[i] += times(dy[i], np.float32(1) - y[i] * y[i])
"""


def own(source: str, kernel: str = TANH, passed: bool = False) -> Own:
    return Own("layered/some", source, [kernel], passed)


Trainer = Callable[..., Any]


@pytest.fixture(scope="module")
def engine_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    """One engine for all: it opens `layered` with what the learner wrote."""
    with driven(DLTUTOR_HOME=str(tmp_path_factory.mktemp("own"))) as engine:

        def open_with(mine: Own | None = None, device: str = "cpu") -> Any:
            engine.events.clear()
            engine.send(Open("layered", device, mine))
            engine.until(Ready)
            return engine

        yield open_with


def curves(engine: Any, **run: Any) -> tuple[list[float], list[float]]:
    """The losses of a whole run, theirs and ours."""
    engine.run(**run)
    return engine.metric("loss"), engine.metric(OURS + "loss")


def test_the_same_kernel_trains_the_same_to_the_bit(engine_of):
    engine = engine_of(own(OURS_TO_THE_BIT, MSE, passed=True))
    theirs, ours = curves(engine)
    assert theirs == ours and len(theirs) == 21
    engine = engine_of()
    engine.run()
    assert engine.metric("loss") == ours


def test_a_right_kernel_written_otherwise_trains_as_well(engine_of):
    theirs, ours = curves(engine_of(own(SOURCE)))
    assert theirs == pytest.approx(ours, rel=1e-4)


def test_numpy_expressions_will_do_and_a_gradient_nobody_asks_for_is_no_trap(engine_of):
    """The input of the first layer has no gradient: dx has no rows there."""
    theirs, ours = curves(engine_of(own(NUMPY, DENSE)))
    assert theirs == pytest.approx(ours, rel=1e-4)


def test_a_wrong_kernel_trains_and_one_sees_how_it_fails(engine_of):
    engine = engine_of(own(SOURCE.replace("+=", "-=")))
    theirs, ours = curves(engine)
    assert theirs[0] == ours[0] and theirs[-1] > ours[-1]
    engine = engine_of()
    engine.run()
    assert engine.metric("loss") == ours


def test_a_live_knob_turns_both(engine_of):
    engine = engine_of(own(SOURCE))
    unturned, _ours = curves(engine, steps=8)
    engine.events.clear()
    engine.send(Start({}, 0, 8, paused=True), Step(3))
    while engine.until(Paused).step < 3:
        pass
    engine.send(Set("lr", 0.01), Resume())
    engine.until(Finished)
    turned = engine.metric("loss")
    assert turned[:4] == unturned[:4] and turned[4:] != unturned[4:]
    assert turned == pytest.approx(engine.metric(OURS + "loss"), rel=1e-4)


def test_the_time_of_a_step_comes_with_each_delivery_of_a_race_only(engine_of):
    engine = engine_of(own(SOURCE))
    engine.send(Grant())
    engine.run()
    timed = engine.of(Timed)
    assert timed[-1].step == 20 and timed[-1].ours > 0 and timed[-1].own > 0
    engine_of().run()
    assert not engine.of(Timed)
    assert set(engine.of(Metrics)[0].columns) == {"loss"}


def test_compiling_says_whose_kernel_it_is(engine_of):
    assert engine_of(own(SOURCE)).of(Compiling)[-1].kernel == "your tanh_backward"


def test_a_kernel_for_a_card_takes_its_place_in_the_emulation(engine_of):
    theirs, ours = curves(engine_of(own(CUDA, TANH + "_cuda"), "emulate"), steps=5)
    assert theirs == pytest.approx(ours, rel=1e-4)


def test_in_the_emulation_too_an_index_out_of_bounds_names_the_line(engine_of):
    if missing_toolkit():
        pytest.skip(missing_toolkit())
    said = failed(engine_of(own(CUDA.replace("<", "<="), TANH + "_cuda"), "emulate"))
    assert "line 11 " in said.message and "times(dy[i]" in said.hint


# ---------------------------------------------------------------- what goes wrong


def failed(engine: Any, steps: int = 20) -> Failed:
    engine.send(Start({}, 0, steps))
    return engine.until(Failed)


def test_bad_numbers_are_blamed_on_whose_they_are(engine_of):
    said = failed(engine_of(own(SOURCE.replace("slope(y[i])", "np.float32(np.nan)"))))
    assert "your kernel" in said.message and "layer 1 dense" in said.message
    assert said.step == 1 and "With ours all is finite" in said.hint


def test_bad_numbers_of_both_are_not(engine_of):
    engine = engine_of(own(SOURCE))
    engine.send(Start({"lr": 10.0}, 0, 10**6))
    assert "learning rate" in engine.until(Failed).hint


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (SOURCE.replace("y.size", "y.size + 1"), 12),
        (SOURCE.replace("slope(y[i])", "slope(y[:0])").replace("y * y", "y[0]"), 7),
    ],
    ids=["in the kernel", "in a function that it calls"],
)
def test_an_index_out_of_bounds_names_the_line_and_the_engine_goes_on(engine_of, wrong, line):
    said = failed(engine_of(own(wrong)))
    assert f"line {line} " in said.message and "out of bounds" in said.message
    assert wrong.splitlines()[line - 1].strip() in said.hint
    assert curves(engine_of(own(SOURCE)))


def test_an_exception_of_theirs_is_told_with_its_words(engine_of):
    said = failed(engine_of(own(SOURCE.replace("+=", "+= 0; assert i < 1, 'not yet'; dx[i] +="))))
    assert "not yet" in said.message and "line 12 " in said.message


@pytest.mark.parametrize(
    ("wrong", "said", "line"),
    [
        (SOURCE.replace("dy[i] *", "dy[i] +* "), "invalid syntax", 12),
        (SOURCE.replace("import math", "import maths"), "maths", 2),
        (SOURCE.replace("def tanh_backward", "def tanh_backwards"), "no function tanh_backward", 0),
        (SOURCE.replace("(y, dy, dx)", "(y, dx)"), "takes 2 arguments", 10),
        (SOURCE.replace("y * y", "y.real.imagine"), "imagine", 7),
        (SOURCE.replace("y * y", "y * z"), "'z'", 7),
    ],
)
def test_what_cannot_be_compiled_is_told_and_nothing_trains(engine_of, wrong, said, line):
    engine = engine_of()
    engine.send(Open("layered", "cpu", own(wrong)), Start())
    failure = engine.until(Failed)
    assert said in failure.message and failure.hint
    assert not line or f"line {line} " in failure.message
    assert "no lab is open" in engine.until(Failed).message


# ---------------------------------------------------------------- locked up


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An engine behind walls; the kernels of `layered` were compiled before, outside."""
    home = tmp_path_factory.mktemp("locked")
    (home / "secret").write_text("secret", encoding="utf-8")
    with driven(DLTUTOR_HOME=str(home)) as engine:
        engine.open("layered")
    with driven("--locked", DLTUTOR_HOME=str(home)) as engine:
        yield engine


def opened(engine: Any, source: str) -> Any:
    """What comes of opening the lab with this."""
    engine.events.clear()
    engine.send(Open("layered", "cpu", own(source)))
    while not engine.of(Ready) and not engine.of(Failed):
        engine.next()
    return engine.events[-1]


def test_a_locked_engine_trains(locked):
    assert isinstance(opened(locked, SOURCE), Ready)
    theirs, ours = curves(locked)
    assert theirs == pytest.approx(ours, rel=1e-4)


@pytest.mark.parametrize(
    "line",
    [
        "import os; open(os.environ['DLTUTOR_HOME'] + '/secret').read()",
        "import os; open(os.environ['NUMBA_CACHE_DIR'] + '/new', 'w')",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import subprocess; subprocess.run(['true'])",
    ],
    ids=["reads", "writes", "connects", "starts"],
)
def test_a_locked_engine_lets_nothing_out(locked, line):
    failed = opened(locked, line + SOURCE)
    assert isinstance(failed, Failed) and "line 1 " in failed.message
