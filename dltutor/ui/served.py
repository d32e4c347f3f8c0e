"""What the session zygote forks: everything is imported and warm, so that a session paints at once.

`preload` runs once, in the zygote; `main` in each fork, whose terminal is its standard input and output.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any


def preload() -> None:
    """Import whatever a session may need: after its walls are up, nothing can be read any more."""
    import encodings.idna
    import sqlite3

    import platformdirs

    import dltutor.ui.hosted


def main(order: dict[str, Any], descriptors: list[int]) -> int:
    """Show the application on this terminal until its learner leaves it. `descriptors`: the channel, the page."""
    from dltutor.host import Host
    from dltutor.page import Page
    from dltutor.progress import Progress
    from dltutor.sitting import farewell
    from dltutor.ui.hosted import Hosted
    from dltutor.ui.plots.look import look_of

    arguments = order.get("arguments", order)
    channel, page = descriptors
    with Progress.open() as progress:
        _speak(arguments, progress)
        host = Host(socket.socket(fileno=channel))
        tutor = Hosted(progress, look_of(), host, Page(page), arguments.get("login", ""))
        tutor.run()
        for line in farewell(tutor, progress):
            print(line)
        return tutor.return_code or 0


def _speak(arguments: dict[str, Any], progress: Any) -> None:
    from dltutor import i18n

    i18n.use(arguments.get("language") or progress.preference("language", i18n.preferred()))
