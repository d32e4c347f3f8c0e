"""The edge of every `dltutor` process: it obeys a command line, and says in words what went wrong.

    0 it worked    1 it failed    2 it was asked for wrongly    130 Ctrl-C

The commands themselves are in commands.py. Nothing is imported before `main` can catch a Ctrl-C.
"""

from __future__ import annotations

import sys

FAILED, USAGE, INTERRUPTED = 1, 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Obey `arguments` (those of this process, where there are none); the exit code."""
    try:
        return _obey(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


def _obey(arguments: list[str] | None) -> int:
    from dltutor import i18n
    from dltutor.errors import DltutorError, UsageError

    i18n.use(i18n.preferred())  # before the commands, whose help is text
    import click

    from dltutor.commands import dltutor

    _survive_encodings()
    try:
        code = dltutor.main(arguments, "dltutor", standalone_mode=False)
        sys.stdout.flush()
        return code or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except DltutorError as error:
        _complain(error.message, error.hint)
        return USAGE if isinstance(error, UsageError) else FAILED
    except BrokenPipeError:  # whoever read has read enough
        _forget_output()
        return FAILED
    except OSError as error:  # a full disk behind `>`, and the like
        _complain(": ".join(filter(None, [error.filename and str(error.filename), error.strerror or str(error)])))
        _forget_output()
        return FAILED


def _complain(message: str, hint: str = "") -> None:
    from contextlib import suppress

    from click import style

    sign = style("dltutor:", fg="red", bold=True) if sys.stderr.isatty() else "dltutor:"
    with suppress(OSError):
        print("\n".join(filter(None, [f"{sign} {message}", hint])), file=sys.stderr, flush=True)


def _survive_encodings() -> None:
    """A locale that lacks a character gets a question mark, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _forget_output() -> None:
    """Let Python's last flush go nowhere, so that it does not complain."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
