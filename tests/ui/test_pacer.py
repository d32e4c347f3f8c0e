"""One frame in flight, at most so many a second, and none for nobody."""

from __future__ import annotations

import itertools
import math

import pytest

from dltutor.ui.pacer import Attention, Beat, Pacer


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_next_frame_waits_for_the_answer(clock):
    pacer = Pacer(clock)
    assert pacer.may_draw()
    pacer.asked()
    assert not pacer.may_draw()
    pacer.answered()
    assert pacer.may_draw()


def test_the_round_trip_is_known(clock):
    pacer = Pacer(clock)
    pacer.asked()
    clock.now += 0.25
    pacer.answered()
    assert pacer.round_trip == 0.25


def test_a_link_that_takes_long_over_a_frame_rests_as_long_again(clock):
    pacer = Pacer(clock)
    pacer.asked()
    clock.now += 0.3
    pacer.answered()
    assert not pacer.may_draw()
    clock.now += 0.31
    assert pacer.may_draw()
    pacer.asked()
    clock.now += 30.0
    pacer.answered()
    clock.now += Pacer.LONGEST_REST
    assert pacer.may_draw()


def sees(pacer, clock, size, seconds):
    pacer.asked(size)
    clock.now += seconds
    pacer.answered()


def test_what_a_line_carries_at_once_shows_in_how_much_longer_large_frames_take(clock):
    pacer = Pacer(clock)
    assert pacer.room == math.inf
    sees(pacer, clock, 200, 0.1)
    assert pacer.room == math.inf
    sees(pacer, clock, 5000, 0.2)  # 50,000 bytes a second
    assert pacer.room == pytest.approx(50_000 * Pacer.HELD_UP, rel=0.01)


def test_a_machine_that_is_busy_for_a_moment_does_not_make_a_line_slow(clock):
    pacer = Pacer(clock)
    sees(pacer, clock, 200, 0.1)
    for seconds in (0.101, 0.3, 0.2):
        sees(pacer, clock, 5000, seconds)
    assert pacer.room > 5000


def test_a_line_may_become_longer(clock):
    pacer = Pacer(clock)
    sees(pacer, clock, 200, 0.1)
    for _frame in range(1000):
        sees(pacer, clock, 200, 0.3)
    sees(pacer, clock, 5000, 0.31)
    assert pacer.room > 5000


def test_a_lost_answer_is_not_waited_for_for_ever(clock):
    pacer = Pacer(clock)
    pacer.asked()
    pacer.answered()
    pacer.asked()
    clock.now += Pacer.PATIENCE - 0.1
    assert not pacer.may_draw()
    clock.now += 0.2
    assert pacer.may_draw()


def test_the_first_answer_has_longer_as_the_first_screen_comes_before_it(clock):
    pacer = Pacer(clock)
    pacer.asked()
    clock.now += Pacer.FIRST - 0.1
    assert not pacer.may_draw()


def test_a_terminal_that_never_answers_gets_a_frame_every_two_seconds(clock):
    pacer, frames = Pacer(clock), []
    while clock.now < 200:
        if pacer.may_draw():
            frames.append(clock.now)
            pacer.asked()
        clock.now += 0.1
    late = [now for now in frames if now > 120]
    assert all(1.9 < after - before < 2.2 for before, after in itertools.pairwise(late))
    assert len(late) > 30


def test_it_is_known_for_how_long_nothing_will_be_drawn(clock):
    beat = Beat(clock)
    assert beat.left(2.0) == 0
    beat.drawn(2.0)
    clock.now += beat.left(2.0) - 0.01
    assert not beat.allows(2.0)
    clock.now += 0.02
    assert beat.allows(2.0) and beat.left(2.0) == 0
    assert beat.left(0.0) == math.inf


@pytest.mark.parametrize("rate", [10.0, 4.0, 0.5])
def test_a_rate_is_kept_and_a_tick_that_comes_early_is_not_lost(clock, rate):
    beat, frames = Beat(clock), 0
    for tick in range(1000):
        clock.now = 100 + tick * 0.1 + (0.004 if tick % 2 else -0.004)
        if beat.allows(rate):
            beat.drawn(rate)
            frames += 1
    assert 100 * rate - 2 <= frames <= 100 * rate + 1


def test_a_higher_rate_holds_at_once_and_none_stops_all(clock):
    beat = Beat(clock)
    beat.drawn(0.5)
    clock.now += 0.2
    assert not beat.allows(0.5) and not beat.allows(0.0) and beat.allows(10.0)


# ---------------------------------------------------------------- who looks


def test_of_a_terminal_that_says_nothing_perhaps_somebody_looks(clock):
    attention = Attention(clock)
    assert attention.rate == math.inf
    clock.now += Attention.AWAY
    assert attention.rate == Attention.SLOW
    clock.now += Attention.GONE
    assert attention.rate == 0


def test_where_the_focus_is_somebody_looks_for_longer(clock):
    attention = Attention(clock)
    attention.focused(True)
    clock.now += Attention.AWAY
    assert attention.rate == math.inf
    clock.now += Attention.GONE
    assert attention.rate == 0


def test_where_it_was_lost_nobody_looks(clock):
    attention = Attention(clock)
    attention.focused(False)
    assert attention.rate == math.inf
    clock.now += Attention.AWAY
    assert attention.rate == 0
    attention.focused(True)
    assert attention.rate == math.inf


def test_any_key_goes_on(clock):
    attention = Attention(clock)
    clock.now += Attention.GONE
    attention.touched()
    assert attention.rate == math.inf
