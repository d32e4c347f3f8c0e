"""What the application knows of a run, event after event."""

from __future__ import annotations

import json
import math
from array import array
from pathlib import Path

import numpy as np

from dltutor import wire
from dltutor.link import read_recording
from dltutor.pictures import Images
from dltutor.ui.run_state import RunState, fold

RECORDING = Path(__file__).parents[1] / "recordings" / "06-mlp.jsonl"
STARTED = wire.Started("06-mlp", {"lr": 0.1}, 7, 100, "cpu")
NAN = math.nan


def folded(*events: wire.Event, state: RunState | None = None) -> RunState:
    state = state or RunState()
    for event in events:
        state = fold(state, event)
    return state


def metrics(first: int, **columns: list[float]) -> wire.Metrics:
    return wire.Metrics(first, {name: wire.column(array("d", values)) for name, values in columns.items()})


def test_a_new_lab_starts_compiles_and_is_ready():
    state = RunState()
    assert state.status == "starting"
    state = folded(wire.Compiling(2, 5, "dense_forward"), state=state)
    assert state.status == "compiling" and state.compiling.kernel == "dense_forward"
    state = folded(wire.Ready("cpu", 1.5), state=state)
    assert state.status == "ready" and state.compiling is None


def test_a_run_goes_on_pauses_and_ends():
    state = folded(STARTED)
    assert state.status == "ready" and state.started.seed == 7
    assert folded(wire.Resumed(3), state=state).status == "running"
    state = folded(wire.Paused(4), state=state)
    assert (state.status, state.step) == ("paused", 4)
    for reason, status in (("done", "done"), ("stopped", "stopped")):
        state = folded(wire.Finished(100, reason, {"loss": 0.5}, 2.0), state=state)
        assert (state.status, state.step, state.finished.reason) == (status, 100, reason)


def test_metrics_are_columns_over_steps_and_deliveries_are_counted():
    state = folded(STARTED, metrics(0, loss=[3.0, 2.0]), metrics(2, loss=[1.0]))
    assert list(state.steps_of["loss"]) == [0, 1, 2]
    assert list(state.values_of["loss"]) == [3, 2, 1]
    assert (state.step, state.deliveries, state.latest("loss")) == (2, 2, 1)
    assert state.latest("accuracy") is None and state.last_metrics() == {"loss": 1}


def test_a_metric_that_was_not_taken_leaves_no_gap():
    state = folded(STARTED, metrics(0, loss=[3.0, 2.0, 1.0], test_loss=[4.0, NAN, NAN]))
    assert list(state.steps_of["test_loss"]) == [0] and state.latest("test_loss") == 4
    assert state.step == 2


def test_numbers_that_went_bad_end_their_curve_in_a_mark_where_it_happened():
    state = folded(STARTED, metrics(0, loss=[3.0, 2.0], test_loss=[4.0, NAN]), wire.Failed("loss became nan", step=2))
    assert state.status == "failed" and state.failure.message == "loss became nan"
    assert list(state.steps_of["loss"]) == [0, 1, 2] and math.isnan(state.values_of["loss"][-1])
    assert list(state.steps_of["test_loss"]) == [0]


def test_an_engine_that_ends_is_dead_and_what_it_drew_stays():
    state = folded(STARTED, metrics(0, loss=[3.0]), wire.Failed("the engine ended", fatal=True))
    assert state.status == "dead" and state.latest("loss") == 3


def test_the_pictures_of_the_last_frame_are_shown():
    old, new = Images(np.zeros((1, 2, 2))), Images(np.ones((1, 2, 2)))
    state = folded(STARTED, wire.Frame(0, {"digits": old}), wire.Frame(1, {"digits": new}))
    assert state.pictures == {"digits": new}


def test_what_the_lab_prints_is_kept_by_lines_and_not_for_ever():
    state = folded(wire.Printed("loading\n"), STARTED, wire.Printed("one\ntwo\n"))
    assert list(state.printed) == ["loading", "one", "two"]
    state = folded(*(wire.Printed(f"{n}\n") for n in range(1000)), state=state)
    assert len(state.printed) == 200 and state.printed[-1] == "999"
    assert not folded(STARTED, state=state).printed


def test_a_run_after_a_run_begins_with_nothing_of_it():
    state = folded(STARTED, metrics(0, loss=[3.0]), wire.Frame(0, {"a": Images(np.zeros((1, 2, 2)))}))
    state = folded(wire.Failed("it broke"), STARTED, state=state)
    assert (state.status, state.step, state.failure, state.pictures, state.values_of) == ("ready", 0, None, {}, {})


def test_any_order_of_events_is_taken():
    late = folded(metrics(5, loss=[1.0]), wire.Frame(5, {}), wire.Paused(5), wire.Finished(5, "stopped", {}, 0.0))
    assert (late.status, late.step, list(late.steps_of["loss"])) == ("stopped", 5, [5])
    assert folded(wire.Paused(9), metrics(2, loss=[1.0])).step == 9
    assert folded(wire.Failed("gone", step=3)).values_of == {}


def test_a_recording_folds_into_the_numbers_that_were_sent_to_the_bit():
    state = folded(*(event for _at, event in read_recording(RECORDING)))
    sent: dict[str, list[float]] = {}
    for line in RECORDING.read_text(encoding="utf-8").splitlines()[1:]:
        event = json.loads(line).get("up", {})
        if event.get("") == "Metrics":
            for name, values in wire.decode(json.dumps(event)).columns.items():
                sent.setdefault(name, []).extend(wire.floats(values))
    assert state.status == "done" and sent
    for name, values in sent.items():
        assert list(state.values_of[name]) == [value for value in values if not math.isnan(value)]
        assert list(state.steps_of[name]) == [step for step, value in enumerate(values) if not math.isnan(value)]
    assert state.last_metrics().items() >= {k: v for k, v in state.finished.metrics.items() if k in sent}.items()


def test_what_is_kept_of_a_run_can_repeat_it():
    kept = folded(STARTED, metrics(0, loss=[3.0, 2.0]), wire.Finished(1, "stopped", {}, 1.0)).for_progress()
    assert kept["setting"] == {"knobs": {"lr": 0.1}, "seed": 7, "steps": 100}
    assert (kept["lesson"], kept["device"], kept["steps"], kept["ended"]) == ("06-mlp", "cpu", 1, "stopped")
    assert kept["metrics"] == {"loss": 2}


def test_of_a_race_the_learners_numbers_are_the_runs_and_ours_stand_beside_them():
    started = folded(STARTED, state=RunState(own="06-mlp/dense-backward"))
    both = {"loss": [3.0, 2.0], wire.OURS + "loss": [3.0, 1.0]}
    state = folded(metrics(0, **both), wire.Timed(1, ours=1e-5, own=2e-5), state=started)
    assert state.is_race and state.timed.own == 2e-5
    assert state.last_metrics() == {"loss": 2}
    assert [list(series.y) for series in state.ours(("loss",))] == [[3, 1]]
    kept = state.for_progress()
    assert kept["setting"]["own"] == "06-mlp/dense-backward" and set(kept["columns"]) == {"loss"}
    assert not folded(STARTED, metrics(0, loss=[3.0])).is_race
