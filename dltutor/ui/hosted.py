"""The application as a session of a class: engines and checks come from its server, and so do the teacher's words."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.css.stylesheet import Stylesheet
from textual.screen import Screen

from dltutor import i18n, wire
from dltutor.i18n import _
from dltutor.lesson.course import Course, catalogue
from dltutor.page import Page
from dltutor.progress import Progress
from dltutor.ui.app import Tutor
from dltutor.ui.plots.look import Look

if TYPE_CHECKING:
    from dltutor.host import Host
    from dltutor.link import Link

SAID_SECONDS = 30  # that the teacher's words stay

read_course = functools.cache(catalogue)  # the lessons of a class server stay as they are while it runs
_stylesheets: dict[str, Stylesheet] = {}  # by theme, as the rehearsal left them


class Hosted(Tutor):
    def __init__(self, progress: Progress, look: Look, host: Host, page: Page | None = None, login: str = "") -> None:
        """`login`: how one logs in here, with `{name}` in the place of the name: `ssh -p 2222 {name}@tutor.host`."""
        super().__init__(progress, look)
        self.host, self.page, self._login = host, page, login
        self.stylesheet = _stylesheets.get(self.theme, self.stylesheet)

    def leave_stylesheet(self) -> None:
        """To those who come after: it takes a fifth of a first paint to read."""
        _stylesheets[self.theme] = self.stylesheet

    def refresh_css(self, animate: bool = True) -> None:
        """Not at the start, when the stylesheet is ready for the theme."""
        if self.stylesheet is _stylesheets.get(self.theme):
            self.get_css_variables()  # from now on there are theme_variables
            return
        if self.stylesheet in _stylesheets.values():  # it will not be what it was
            _stylesheets.clear()
        super().refresh_css(animate)

    def read_course(self) -> Course:
        return read_course(i18n.current())

    @property
    def is_hosted(self) -> bool:
        return True

    def on_mount(self) -> None:
        self.host.listen(self.hear)

    # ------------------------------------------------------------ engines and graders

    def make_link(self, locked: bool = False) -> Link:  # type: ignore[override]
        from dltutor.link import HostedLink

        return HostedLink(self.host, "engine", locked)

    def make_grader(self) -> Link:
        from dltutor.link import HostedLink

        return HostedLink(self.host, "grader", False)

    async def _prepare_engine(self) -> None:
        """The server forks one as quickly as it is wanted."""

    # ------------------------------------------------------------ what the server says

    def hear(self, reply: wire.Reply) -> None:
        match reply:
            case wire.Said(text):
                self.notify(text, title=_("Your teacher"), timeout=SAID_SECONDS, markup=False)

    def get_system_commands(self, screen: Screen) -> Iterable[SystemCommand]:
        yield from super().get_system_commands(screen)
