"""How fast a terminal takes frames."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pacer:
    """One frame in flight: the next is drawn when the terminal has answered for the last.

    The question is a cursor position report: its answer comes back from behind everything that was sent before it,
    through SSH and its buffers. Without this a slow link gathers frames, and a key waits for all of them: 16 s against
    0.1 s on 100 kB/s. A terminal that does not answer three times is asked no more.
    """

    QUESTION = "\x1b[6n"
    PATIENCE = 1.5  # seconds after which an answer is taken for lost

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked: float | None = None
        self._lost = 0
        self.round_trip: float | None = None  # seconds, of the last answer

    @property
    def is_useful(self) -> bool:
        return self._lost < 3

    def may_draw(self) -> bool:
        if self._asked is None:
            return True
        if self._clock() - self._asked < self.PATIENCE:
            return False
        self._asked, self._lost = None, self._lost + 1
        return True

    def asked(self) -> None:
        self._asked = self._clock()

    def answered(self) -> None:
        if self._asked is not None:
            self.round_trip, self._asked, self._lost = self._clock() - self._asked, None, 0
