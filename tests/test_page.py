"""Who may draw: as many at the same moment as there are turns; who dies has none, and who keeps one stops nobody."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from dltutor.page import DrawingTurns

Holder = Callable[[], int]


@pytest.fixture
def file() -> Iterator[int]:
    descriptor = DrawingTurns.create(2)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def another(file: int) -> Iterator[Holder]:
    """Another process that draws, for ever; its number."""
    children: list[int] = []

    def begin() -> int:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                with DrawingTurns(file):
                    os.write(writing, b"!")
                    signal.pause()
            finally:
                os._exit(1)
        os.close(writing)
        assert os.read(reading, 1), "it ended before it drew"
        os.close(reading)
        children.append(child)
        return child

    yield begin
    for child in children:
        end(child)


def end(child: int) -> None:
    try:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def test_two_draw_at_once_and_the_third_is_later(file, another):
    turns = DrawingTurns(file)
    assert turns.has_one
    another()
    assert turns.has_one
    first = another()
    assert not turns.has_one
    end(first)
    assert turns.has_one


def test_a_turn_is_over_when_the_drawing_is_or_fails(file):
    turns = DrawingTurns(file)
    for _drawing in range(3):
        with pytest.raises(ZeroDivisionError), turns:
            raise ZeroDivisionError
    child = os.fork()
    if not child:
        os._exit(0 if DrawingTurns(file).has_one else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_who_keeps_all_turns_stops_nobody_for_long(file, another):
    now = [100.0]
    turns = DrawingTurns(file, lambda: now[0])
    another()
    another()
    drawn = 0
    for _tick in range(100):
        now[0] += 0.1
        if turns.has_one:
            with turns:
                drawn += 1
    assert 3 <= drawn <= 6


def test_whoever_had_nothing_to_draw_for_a_while_has_not_waited(file, another):
    now = [100.0]
    turns = DrawingTurns(file, lambda: now[0])
    first, _second = another(), another()
    assert not turns.has_one
    end(first)
    assert turns.has_one
    now[0] += 10 * DrawingTurns.PATIENCE
    another()
    assert not turns.has_one


def test_nothing_can_be_left_for_others_in_it(file):
    for change in (lambda: os.write(file, b"x"), lambda: os.ftruncate(file, 10), lambda: os.ftruncate(file, 0)):
        with pytest.raises(PermissionError):
            change()
