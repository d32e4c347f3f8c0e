"""Commands while a lab runs, and deliveries by credit."""

from __future__ import annotations

import math
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest

from dltutor.engine import engine as engines
from dltutor.engine.engine import Engine
from dltutor.engine.run import Run
from dltutor.wire import (
    Failed,
    Finished,
    Frame,
    Grant,
    Metrics,
    Open,
    Pace,
    Pause,
    Paused,
    Resume,
    Resumed,
    Rewind,
    Set,
    Start,
    Started,
    Step,
    Stop,
)

ENDLESS = 10**9  # steps


def stopped(engine: Any) -> Finished:
    engine.send(Stop())
    return engine.until(Finished)


def reached(engine: Any, step: int) -> None:
    """Wait until the run is paused there; it may have been before, where commands came one by one."""
    while engine.until(Paused).step < step:
        pass


def test_a_run_says_its_full_setting_first(tiny):
    tiny.run(steps=5, seed=7, lr=0.5)
    assert tiny.events[0] == Started("tiny", {"lr": 0.5, "points": 50}, 7, 5, "cpu")


def test_tick_n_is_the_model_after_n_updates(tiny):
    finished = tiny.run(steps=5)
    assert (finished.steps, finished.reason) == (5, "done")
    assert len(tiny.metric("loss")) == 6


def test_the_same_start_gives_the_same_numbers_to_the_bit(tiny):
    tiny.run(seed=3)
    first = tiny.metric("loss")
    tiny.run(seed=3)
    assert tiny.metric("loss") == first
    tiny.run(seed=4)
    assert tiny.metric("loss") != first


def test_numbers_do_not_depend_on_who_looks_or_how_fast(tiny):
    tiny.run()
    unseen = tiny.metric("loss")
    tiny.events.clear()
    tiny.send(*[Grant()] * 5, Start({}, 0, 20, pace=200))
    while not tiny.of(Finished):
        if isinstance(tiny.next(), Frame):
            tiny.send(Grant())
    assert tiny.metric("loss") == unseen
    assert len(tiny.of(Frame)) > 1
    tiny.send(Start({}, 0, ENDLESS, paused=True))  # spend what credit is left
    tiny.send(*[Step()] * 30)
    reached(tiny, 30)
    stopped(tiny)


def test_a_metric_that_was_not_taken_is_nan(tiny):
    tiny.run(steps=11)
    taken = [step for step, value in enumerate(tiny.metric("test_loss")) if not math.isnan(value)]
    assert taken == [0, 10]


def test_a_live_knob_turns_at_the_next_step(tiny):
    tiny.run(steps=10)
    untouched = tiny.metric("loss")
    tiny.events.clear()
    tiny.send(Start({}, 0, 10, paused=True), Step(4))
    reached(tiny, 4)
    tiny.send(Set("lr", 0.01), Resume())
    tiny.until(Finished)
    turned = tiny.metric("loss")
    assert turned[:5] == untouched[:5]
    assert turned[5] > untouched[5]


def test_another_knob_waits_for_the_rewind(tiny):
    tiny.send(Start({}, 0, ENDLESS, paused=True), Set("points", 3), Step(2), Rewind())
    tiny.until(Started)
    assert tiny.until(Started).knobs["points"] == 3
    stopped(tiny)


@pytest.mark.parametrize(("knob", "value"), [("lr", 1e9), ("lr", "fast"), ("colour", 1)])
def test_a_knob_that_cannot_be_turned_so_is_told_by_name(tiny, knob, value):
    tiny.send(Start({}, 0, ENDLESS), Set(knob, value))
    failed = tiny.until(Failed)
    assert knob in failed.message
    assert failed.hint


def test_pausing_holds_the_run_where_it_is(tiny):
    tiny.send(Start({}, 0, ENDLESS), Pause())
    held = tiny.until(Paused).step
    tiny.send(Step(3))
    assert tiny.until(Paused).step == held + 3
    tiny.send(Resume())
    assert tiny.until(Resumed).step == held + 3
    assert stopped(tiny).reason == "stopped"


def test_many_steps_can_be_interrupted(tiny):
    tiny.send(Start({}, 0, ENDLESS, paused=True), Step(ENDLESS // 2))
    assert tiny.until(Paused).step == 0
    tiny.send(Pause())
    held = tiny.until(Paused).step
    tiny.send(Step())
    assert tiny.until(Paused).step == held + 1
    stopped(tiny)


def test_steps_asked_for_one_by_one_are_all_taken(tiny):
    tiny.send(Start({}, 0, ENDLESS, paused=True), *[Step()] * 7)
    reached(tiny, 7)
    assert stopped(tiny).steps == 7


def test_a_run_can_begin_paused_before_its_first_update(tiny):
    tiny.send(Start({}, 0, ENDLESS, paused=True))
    assert tiny.until(Paused).step == 0
    assert stopped(tiny).steps == 0


def test_rewinding_gives_the_same_numbers_again(tiny):
    tiny.send(Start({}, 5, 30, paused=True), Step(30))
    tiny.until(Finished)
    first = tiny.metric("loss")
    tiny.events.clear()
    tiny.send(Rewind(), Resume())
    tiny.until(Finished)
    assert tiny.metric("loss") == first


def test_a_rewind_stays_paused_where_the_run_was(tiny):
    tiny.send(Start({}, 0, ENDLESS, paused=True), Step(5))
    reached(tiny, 5)
    tiny.send(Rewind())
    assert tiny.until(Paused).step == 0
    stopped(tiny)


def test_a_change_of_pace_applies_at_once(tiny):
    """One step an hour would last for ever."""
    tiny.send(Start({}, 0, 50, pace=1 / 3600))
    tiny.until(Resumed)
    tiny.send(Pace(0))
    assert tiny.until(Finished).steps == 50


def test_a_run_can_be_paced(tiny):
    tiny.send(Start({}, 0, ENDLESS, pace=1 / 3600))
    tiny.until(Resumed)
    tiny.send(Pause())
    assert tiny.until(Paused).step <= 1
    stopped(tiny)


def test_at_a_quick_pace_it_wakes_up_for_several_steps_and_at_a_slow_one_for_each(monkeypatch):
    monkeypatch.setattr(engines, "time", SimpleNamespace(monotonic=lambda: 1000.0))  # no time goes by
    engine = Engine(SimpleQueue(), lambda event: None)
    engine.run, engine.running = Run(lambda knobs, random: iter(()), Start()), True
    for pace, least in ((100.0, 5), (3.0, 1)):
        engine.pace, engine.due = pace, 1000.0 + 1 / pace
        steps = math.floor(pace * engine.wait())
        assert least <= steps < least + 4


def test_stopping_keeps_the_engine_for_another_start(tiny):
    tiny.send(Start({}, 0, ENDLESS))
    assert stopped(tiny).reason == "stopped"
    assert tiny.run(steps=3).reason == "done"


def test_commands_without_a_run_do_no_harm(engine):
    engine.send(Pause(), Resume(), Step(), Rewind(), Stop(), Set("lr", 1.0), Pace(3))
    assert engine.open().run(steps=3).steps == 3


def test_starting_before_opening_says_so(engine):
    engine.send(Start())
    assert engine.until(Failed).hint


def test_opening_what_is_not_there_says_so_and_another_can_be_opened(engine):
    engine.send(Open("no-such-lesson"))
    assert "no-such-lesson" in engine.until(Failed).message
    assert engine.open("tiny").run(steps=1).steps == 1


# ---------------------------------------------------------------- credit


def test_without_credit_training_goes_on_and_nothing_is_sent(tiny):
    tiny.send(Start({}, 0, ENDLESS, paused=True), Step(100))
    reached(tiny, 100)
    assert not tiny.of(Metrics)
    assert not tiny.of(Frame)
    stopped(tiny)
    assert len(tiny.metric("loss")) == 101  # all that was held back


def test_one_credit_buys_one_delivery(tiny):
    tiny.send(Start({}, 0, ENDLESS, paused=True), Step(10), Grant(), Step(10), Step(10))
    reached(tiny, 30)
    assert len(tiny.of(Metrics)) == len(tiny.of(Frame)) == 1
    stopped(tiny)
    assert len(tiny.metric("loss")) == 31


def test_the_untrained_model_is_shown_while_the_run_waits(tiny):
    tiny.send(Grant(), Start({}, 0, ENDLESS, paused=True))
    frame = tiny.until(Frame)
    assert frame.step == 0
    assert set(frame.pictures) == {"fit"}
    stopped(tiny)


def test_where_nobody_looks_no_pictures_are_made(tiny):
    tiny.send(Grant(pictures=False), Start({}, 0, 10))
    tiny.until(Finished)
    assert tiny.of(Metrics)
    assert not tiny.of(Frame)
    tiny.send(Grant(0))


def test_the_last_pictures_come_with_the_end(tiny):
    tiny.run(steps=7)
    assert tiny.of(Frame)[-1].step == 7


# ---------------------------------------------------------------- devices


def test_the_emulated_card_agrees_with_the_processor(engine):
    """Sums in another order: the same to about single precision, not to the bit."""
    losses = {}
    for device in ("cpu", "emulate"):
        engine.open("layered", device).run(steps=3)
        assert engine.of(Started)[0].device == device
        losses[device] = engine.metric("loss")
    assert losses["emulate"] == pytest.approx(losses["cpu"], rel=1e-4)


def test_a_device_that_is_not_there_says_what_to_do(engine):
    engine.send(Open("tiny", "abacus"))
    failed = engine.until(Failed)
    assert "abacus" in failed.message
    assert "emulate" in failed.hint
