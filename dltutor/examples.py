"""The examples in the help of a command."""

from __future__ import annotations

from dltutor.i18n import _


def examples(*lines: tuple[str, str]) -> str:
    """Command lines with what each does, kept as they are (\\b) by the help's layout."""
    return _("Examples:") + "\n\n\b\n" + "\n".join(f"  {command:<50}  {what}" for command, what in lines)
