"""Screens that are arranged for their size from the first picture on."""

from __future__ import annotations

from textual.screen import Screen, ScreenResultType

from dltutor.ui.typed import InTutor


class SizedScreen(InTutor, Screen[ScreenResultType]):
    """Has the classes of its breakpoints at once. Textual sets them when it tells of a size, one picture too late."""

    def __init__(self) -> None:
        super().__init__()
        width, height = self.app.size
        for extent, breakpoints in ((width, self.HORIZONTAL_BREAKPOINTS), (height, self.VERTICAL_BREAKPOINTS)):
            fitting = [name for least, name in sorted(breakpoints or []) if least <= extent]
            self.add_class(*fitting[-1:])
