"""Screens that are arranged for their size from the first picture on."""

from __future__ import annotations

from typing import Any

from textual.reactive import Reactive
from textual.screen import Screen, ScreenResultType
from textual.widget import Widget

from dltutor.ui.typed import InTutor


class SizedScreen(InTutor, Screen[ScreenResultType]):
    """Has the classes of its breakpoints at once. Textual sets them when it tells of a size, one picture too late."""

    KIND = ""  # as a teacher sees it: see wire.Here
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)  # who gets it, and who loses it, draw themselves

    def __init__(self) -> None:
        super().__init__()
        width, height = self.app.size
        for extent, breakpoints in ((width, self.HORIZONTAL_BREAKPOINTS), (height, self.VERTICAL_BREAKPOINTS)):
            fitting = [name for least, name in sorted(breakpoints or []) if least <= extent]
            self.add_class(*fitting[-1:])

    def place(self) -> dict[str, Any]:
        """What brings the learner back to where they are on it: see ui/resume.py."""
        return {}

    def on_screen_resume(self) -> None:
        self.app.place_changed()
