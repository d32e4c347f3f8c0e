"""`dltutor serve` with its screen: the server and the application know nothing of each other, this knows both."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dltutor.errors import UsageError
from dltutor.i18n import _
from dltutor.serve.command import folder_of, of_a_class, serve

if TYPE_CHECKING:
    from dltutor.serve.desk import Visitor

EVERY = 1.0  # seconds

__all__ = ["serve"]


@serve.command(help=_("Watch the class. Who is here, where, and who is stuck; q leaves it."))
@click.option("--json", "as_json", is_flag=True, help=_("For programs: a JSON object a second."))
@click.option("--once", is_flag=True, help=_("One JSON object."))
@click.option("--theme", type=click.Choice(["dark", "light"]), default="dark", help=_("Dark or light."))
@of_a_class
def watch(state: Path | None, as_json: bool, once: bool, theme: str) -> int:
    from dltutor.serve.desk import Visitor

    desk = Visitor(folder_of(state))
    if as_json or once:
        return _print(desk, once)
    _check_terminal()
    return _show(desk, theme)


def _print(desk: Visitor, once: bool) -> int:
    """A line a second, until the server ends."""
    while True:
        click.echo(json.dumps(desk.status(), ensure_ascii=False))
        if once:
            return 0
        time.sleep(EVERY)


def _check_terminal() -> None:
    plain = os.environ.get("TERM", "") in ("", "dumb", "unknown")
    if plain or not (sys.stdin.isatty() and sys.stdout.isatty()):
        reason = _("there is no terminal to show the class in")
        raise UsageError(reason, _("`dltutor serve status` needs none, nor does --json."))


def _show(desk: Visitor, theme: str) -> int:
    from dltutor.ui.classroom import Watch
    from dltutor.ui.plots.look import impose, look_of

    told = desk.status()  # where nothing runs, that is said before the screen changes
    look = look_of()
    impose(look, os.environ)
    watch = Watch(desk, told, look, dark=theme == "dark")
    watch.run()
    return watch.return_code or 0
