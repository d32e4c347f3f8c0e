"""The one exception a user ever sees: what happened, with its value, then what to do."""

from __future__ import annotations


class DltutorError(Exception):
    """A problem with a remedy.

    `message` says what happened and names the value; `hint` says what to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(DltutorError):
    """The user asked for something that does not exist or cannot be: exit code 2."""
