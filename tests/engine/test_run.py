"""One run: metrics in columns, whatever a lab yields."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dltutor.engine.run import Run
from dltutor.lab import Tick
from dltutor.wire import Failed, Start, decode, encode, floats


def run_of(*ticks: Tick, steps: int = 100) -> Run:
    return Run(lambda knobs, rng: iter(ticks), Start(steps=steps))


def test_a_metric_that_comes_late_fills_the_steps_before_with_nan():
    run = run_of(Tick(loss=1.0), Tick(loss=2.0, accuracy=0.5), Tick(loss=3.0))
    for _ in range(3):
        run.advance()
    columns = run.metrics().columns
    assert floats(columns["loss"]).tolist() == [1, 2, 3]
    late = floats(columns["accuracy"]).tolist()
    assert math.isnan(late[0]) and late[1] == 0.5 and math.isnan(late[2])


def test_each_delivery_goes_on_where_the_last_ended():
    run = run_of(*(Tick(loss=float(n)) for n in range(5)))
    run.advance()
    assert run.metrics().first == 0
    assert not run.news
    run.advance()
    run.advance()
    delivery = run.metrics()
    assert (delivery.first, floats(delivery.columns["loss"]).tolist()) == (1, [1, 2])


@pytest.mark.parametrize("value", [np.float32(0.1), np.float64(0.1), 1, np.int64(3)])
def test_any_kind_of_number_arrives_to_the_bit(value):
    run = run_of(Tick(loss=value))
    run.advance()
    assert floats(run.metrics().columns["loss"])[0] == float(value)
    assert decode(encode(run.finished("done"))).metrics == {"loss": float(value)}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_bad_number_with_nothing_bad_before_it_is_itself_to_blame(value):
    failed = run_of(Tick(loss=value)).advance()
    assert isinstance(failed, Failed)
    assert (failed.step, failed.tensor) == (0, "loss")


def test_the_last_good_values_are_those_of_the_end():
    run = run_of(Tick(loss=1.0, test=0.5), Tick(loss=0.5, test=None))
    run.advance()
    run.advance()
    assert run.finished("done").metrics == {"loss": 0.5, "test": 0.5}


def test_pictures_are_made_once_a_step():
    made: list[int] = []
    run = run_of(Tick(pictures=lambda: made.append(1) or {}, loss=1.0))
    run.advance()
    assert run.frame() is not None
    assert run.frame() is None
    assert made == [1]


def test_a_lab_without_a_single_tick_is_over_at_once():
    run = run_of()
    run.advance()
    assert run.done
    assert run.finished("done").steps == 0
