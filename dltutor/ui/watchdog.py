"""Notices that an engine is busy with something that does not end: a loop of the learner's."""

from __future__ import annotations

from dltutor import wire
from dltutor.ui.run_state import Status

STEP, FIRST, COMPILE = 5.0, 15.0, 60.0  # seconds: for a step; before the first one, with its data; to compile
PATIENCE: dict[Status, float] = {"running": STEP, "paused": STEP, "ready": FIRST, "compiling": COMPILE}


class Watchdog:
    """Counts the time in which an answer is owed, by the ticks of the application: while that is held up itself, or
    stopped, no time goes by."""

    def __init__(self) -> None:
        self.silent = 0.0  # seconds
        self._credit = 0
        self._asked = False  # something that is answered in any case

    def sent(self, command: wire.Command) -> None:
        if isinstance(command, wire.Grant):
            self._credit += command.frames
        if isinstance(command, wire.Open | wire.Start | wire.Step | wire.Rewind):
            self._asked = True

    def heard(self, event: wire.Event) -> None:
        self.silent = 0.0
        if isinstance(event, wire.Metrics):
            self._credit = max(0, self._credit - 1)
        if isinstance(event, wire.Ready | wire.Resumed | wire.Paused | wire.Finished | wire.Failed):
            self._asked = False

    def tick(self, seconds: float, status: Status) -> bool:
        """Whether the engine has been silent for too long."""
        owes = self._asked or (status == "running" and self._credit > 0)
        self.silent = self.silent + seconds if owes else 0.0
        return self.silent > PATIENCE.get(status, COMPILE)
