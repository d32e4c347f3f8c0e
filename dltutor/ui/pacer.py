"""When a picture may be drawn: the terminal has shown the last one, the rate allows it, and somebody looks."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

Clock = Callable[[], float]  # in seconds


class Pacer:
    """One frame in flight: the next is drawn when the terminal has answered for the last.

    The question is a cursor position report: its answer comes back from behind everything that was sent before it,
    through SSH and its buffers. Without this a slow link gathers frames, and a key waits for all of them: 16 s against
    0.1 s on 100 kB/s. A terminal that does not answer gets a frame every two seconds. A link that takes long over one
    rests as long again: most keys then find it free. How much longer a large frame takes than a small one tells how
    much the link carries while a key may be held up: what is larger goes in parts.
    """

    QUESTION = "\x1b[6n"
    PATIENCE = 2.0  # seconds after which an answer is taken for lost
    LONG = 0.25  # seconds there and back, after which a link is given a rest
    LONGEST_REST = 1.0  # seconds: the first screen, which is large, says little of what comes after it
    HELD_UP = 0.06  # seconds that a key may wait for what is sent before its answer
    TELLING = 1000  # bytes: with less, it is not the link that takes the time
    LONGER = 1.002  # times: the shortest round trip is forgotten slowly, as a link may change
    FIRST = 5.0  # of a terminal that has not answered yet: on a slow link the whole first screen comes before it

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._first = 0.0  # when it was asked for the first time
        self._asked: float | None = None
        self._rests_until = -math.inf
        self._size = 0  # bytes that the question was asked behind
        self._shortest = math.inf  # seconds there and back
        self._large: deque[tuple[int, float]] = deque(maxlen=8)  # bytes, and seconds there and back
        self.round_trip: float | None = None  # seconds, of the last answer

    def may_draw(self) -> bool:
        now = self._clock()
        if self._asked is None:
            return now >= self._rests_until
        early = self.round_trip is None and now - self._first < self.FIRST
        return not early and now - self._asked >= self.PATIENCE

    @property
    def is_waiting(self) -> bool:
        """Whether the terminal has yet to answer, as far as one can tell."""
        return self._asked is not None and self._clock() - self._asked < self.PATIENCE

    @property
    def room(self) -> float:
        """Bytes that may be sent at once."""
        return max(self.TELLING, self.HELD_UP * self._speed)

    @property
    def _speed(self) -> float:
        """Bytes a second, of the quickest frame: what else took time made the link look slower."""
        took = ((size, seconds - self._shortest) for size, seconds in self._large)
        return max((size / seconds for size, seconds in took if seconds > 0), default=math.inf)

    def asked(self, size: int = 0) -> None:
        """Behind a frame of so many bytes."""
        self._asked, self._size = self._clock(), size
        self._first = self._first or self._asked

    def answered(self) -> None:
        if self._asked is not None:
            now = self._clock()
            self.round_trip, self._asked = now - self._asked, None
            self._learn(self.round_trip)
            if self.round_trip > self.LONG:
                self._rests_until = now + min(self.round_trip, self.LONGEST_REST)

    def _learn(self, seconds: float) -> None:
        self._shortest = min(seconds, self.LONGER * self._shortest)
        if self._size >= self.TELLING:
            self._large.append((self._size, seconds))


class Beat:
    """At most so many drawings a second. A tick of the timer that comes a little early still counts."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._last = -math.inf

    def allows(self, rate: float) -> bool:
        return rate > 0 and self._clock() >= self._last + 1 / rate

    def left(self, rate: float) -> float:
        """Seconds until the next one is allowed."""
        return max(0.0, self._last + 1 / rate - self._clock()) if rate > 0 else math.inf

    def drawn(self, rate: float) -> None:
        """Half an interval is left for what comes early."""
        self._last = max(self._last + 1 / rate, self._clock() - 0.5 / rate)


KEY_FIRST = 0.1  # seconds in which a key is answered, and nothing else is drawn


class Attention:
    """Whether somebody looks, as far as a terminal tells: a key was pressed, or it has, or has lost, the focus.

    A terminal that was left open, in tmux perhaps, would be drawn on for ever.
    """

    AWAY = 120.0  # seconds without a key after which nobody looks where the focus is lost, and perhaps none else
    GONE = 600.0  # after which nobody does in any case
    SLOW = 0.5  # drawings a second for somebody who perhaps looks

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._touched = clock()
        self._pressed = self._began = -math.inf
        self._focused: bool | None = None  # None: it has never told

    def touched(self) -> None:
        if self.since_key >= KEY_FIRST:
            self._began = self._clock()
        self._touched = self._pressed = self._clock()

    def focused(self, here: bool) -> None:
        self._focused = here
        if here:
            self._touched = self._clock()

    @property
    def since_key(self) -> float:
        """Seconds since the last one was pressed."""
        return self._clock() - self._pressed

    @property
    def since_first_key(self) -> float:
        """Seconds since the first of those that came one right after the other."""
        return self._clock() - self._began

    @property
    def rate(self) -> float:
        """Drawings a second that are worth it; 0: none."""
        idle = self._clock() - self._touched
        if idle >= self.GONE or (idle >= self.AWAY and self._focused is False):
            return 0.0
        return self.SLOW if idle >= self.AWAY and self._focused is None else math.inf
