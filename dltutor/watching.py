"""`dltutor serve` with its screen: the server and the application know nothing of each other, this knows both."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

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
    from dltutor import sitting

    sitting.check_terminal()
    return _show(desk, theme)


def _print(desk: Visitor, once: bool) -> int:
    """A line a second, until the server ends."""
    while True:
        click.echo(json.dumps(desk.status(), ensure_ascii=False))
        if once:
            return 0
        time.sleep(EVERY)


def _show(desk: Visitor, theme: str) -> int:
    from dltutor.ui.classroom import Watch

    watch = Watch(
        desk, desk.status(), dark=theme == "dark"
    )  # where nothing runs, that is said before the screen changes
    watch.run()
    return watch.return_code or 0
