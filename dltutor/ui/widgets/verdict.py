"""What came of a check: mark and headline, the likely cause, the line, the numbers side by side, what it printed."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.ui.typed import InTutor
from dltutor.ui.verdicts import apart, in_words
from dltutor.wire import Verdict


class VerdictPane(InTutor, VerticalScroll):
    """Says what the grader is doing, and then what it found."""

    DEFAULT_CSS = """
    VerdictPane { padding: 0 1; scrollbar-size-vertical: 1; border-top: solid $faint; border-title-color: $muted;
        height: auto; }
    VerdictPane:focus { border-title-color: $blue; }
    VerdictPane Static { height: auto; }
    VerdictPane #outdated { display: none; color: $orange; margin: 0 0 1 0; }
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._shown: tuple[Verdict, str] | None = None
        self._words: RenderableType = Text()

    def compose(self) -> ComposeResult:
        yield Static(_("on what you had written before"), id="outdated")  # where there is no frame to say so
        yield Static(self._words, id="words")

    def _show(self, words: RenderableType, remark: str = "", waiting: bool = False) -> None:
        self._words = words
        self.set_class(waiting, "-waiting")
        self.remove_class("-outdated")
        self._head(remark)
        if self.is_mounted and self.query("#words"):
            self.query_one("#words", Static).update(words)
            self.scroll_home(animate=False)

    def _head(self, remark: str) -> None:
        self.border_title = " · ".join(filter(None, [_("verdict"), remark]))

    @property
    def says_something(self) -> bool:
        """More than what to do."""
        return not self.has_class("-waiting")

    def wait(self, words: str) -> None:
        """Nothing was checked yet."""
        self._shown = None
        self._show(Text(words, self.app.ink("muted")), waiting=True)

    def checking(self, stage: str) -> None:
        words = Text.assemble((f"◌ {_('checking…')} ", f"bold {self.app.ink('orange')}"), stage)
        words.append("\n" + _("esc cancels"), self.app.ink("muted"))
        self._show(words)

    def trouble(self, error: DltutorError) -> None:
        """The grader could not do it."""
        self._shown = None
        words = Text.assemble((f"! {error.message}", self.app.ink("red")), "\n", (error.hint, self.app.ink("text")))
        words.append("\n" + _("c checks again, with a new grader"), self.app.ink("muted"))
        self._show(words)

    def show(self, verdict: Verdict, source: str) -> None:
        """The verdict on `source`."""
        self._shown = verdict, source
        parts = in_words(verdict, source, self.app.ink)
        if verdict.passed:
            done = _("Done. n goes on, t trains the lab with your kernel.")
            parts.insert(1, Text(done, f"bold {self.app.ink('orange')}"))
        remark = " · ".join(filter(None, [f"{verdict.seconds:.2g} s" if verdict.seconds else "", verdict.tier]))
        self._show(apart(parts), remark)

    def recolour(self) -> None:
        """The same in the colours, and the language, of now."""
        if self._shown:
            self.show(*self._shown)

    def outdated(self) -> None:
        """The learner has gone on writing."""
        if self._shown:
            self._head(_("on what you had written before"))
            self.query_one("#outdated", Static).update(_("on what you had written before"))
            self.add_class("-outdated")
