"""One frame in flight."""

from dltutor.ui.pacer import Pacer


def paced(now=lambda: 0.0) -> Pacer:
    return Pacer(now)


def test_the_next_frame_waits_for_the_answer():
    pacer = paced()
    assert pacer.may_draw()
    pacer.asked()
    assert not pacer.may_draw()
    pacer.answered()
    assert pacer.may_draw()


def test_a_lost_answer_is_not_waited_for_for_ever_and_a_silent_terminal_not_asked_again():
    time = iter(range(0, 100, 2))
    pacer = paced(lambda: float(next(time)))
    for _ in range(3):
        assert pacer.is_useful
        pacer.asked()
        assert pacer.may_draw()
    assert not pacer.is_useful


def test_the_round_trip_is_known():
    time = iter([1.0, 1.25])
    pacer = paced(lambda: next(time))
    pacer.asked()
    pacer.answered()
    assert pacer.round_trip == 0.25
