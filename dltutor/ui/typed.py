"""What type checkers are to know of the application; at run time there is nothing here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.message_pump import MessagePump

    from dltutor.ui.app import Tutor

    class InTutor(MessagePump):
        @property
        def app(self) -> Tutor: ...  # type: ignore[override]
else:

    class InTutor:
        """Mix in before a screen or widget that asks the application for what only ours has."""
