"""Nobody has more of the server's time than their part, and whoever does little never waits."""

from __future__ import annotations

import pytest

from dltutor.serve import turns
from dltutor.serve.turns import ADVANCE, PART, Turns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(turns.time, "monotonic", lambda: now[0])
    return now


def test_whoever_does_little_never_waits(clock: list[float]) -> None:
    mine = Turns()
    for _key in range(1000):
        clock[0] += 0.05
        assert mine.take(0.05 * PART) == 0


def test_whoever_never_stops_has_their_part(clock: list[float]) -> None:
    mine, busy = Turns(), 0.0
    while clock[0] < 200:
        clock[0] += 0.01 + mine.take(0.01)
        busy += 0.01
    assert busy <= 100 * PART + 2 * ADVANCE
