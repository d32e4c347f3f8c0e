"""Which shapes the terminal's font has: only eyes can tell. Asked once for each kind of terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from dltutor.i18n import _
from dltutor.ui.plots.look import GLYPHS
from dltutor.ui.screens.dialogs import Dialog
from dltutor.ui.typed import InTutor
from dltutor.ui.widgets.key_bar import KeyBar, bind

ROOM = (70, 23)  # columns and rows that the whole curves need

# One noisy loss curve as the plots draw it; as text, since NumPy is not there before the first plot.
CURVES = {
    "braille": """\
⠉⠖⢄
  ⠘⠤⠊⠱⡀⡜⠱⡀
      ⠓⠁ ⠉⠑⠤⠔⠒⢄⡀⢀⡀
               ⠈⠁⠈⠉⠉⠉⠉⠢⠔⠒⠊⠑⠢⠤⠤⠤⠤⠒⠤⠤⠤⠤⠤⠔⠤⠤⠔⠤⠤""",
    "block": """\
▀▞▖
  ▝▄▀▚ ▞▚
      ▀  ▀▀▄▞▀▄▖▗▖
               ▝▘▝▀▀▀▀▚▞▀▀▀▚▄▄▄▄▀▄▄▄▄▄▞▄▄▞▄▄""",
    "ascii": """\
**
  **** **
      *  ******* *
                * **************************""",
}


class WhichGlyphs(InTutor, Dialog):
    """The same curve in each; the answer is the name of the finest that can be seen, or nothing."""

    DEFAULT_CSS = """
    WhichGlyphs > #box { width: 70; }
    WhichGlyphs Static { margin: 1 1 0 1; }
    WhichGlyphs.-small Static { margin: 0; }
    """
    BINDINGS = [
        bind("1", "choose('braille')", "dots", "draw plots in braille dots"),
        bind("2", "choose('block')", "blocks", "draw plots in blocks"),
        bind("3", "choose('ascii')", "ASCII", "draw plots in ASCII characters"),
        bind("escape,q,enter", "close", "as it is", "go on as it is"),
    ]

    def compose(self) -> ComposeResult:
        width, height = self.app.size
        self.set_class(width < ROOM[0] or height < ROOM[1], "-small")
        with VerticalScroll(id="box") as box:
            box.border_title = _("Which of these can you see?")
            yield Static(_("Press the number of the first that looks like one falling curve, without boxes or “?”."))
            yield Static(self._table())
        yield KeyBar()

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        names = {"braille": _("dots"), "block": _("blocks"), "ascii": _("ASCII")}
        for number, glyphs in enumerate(GLYPHS, 1):
            if number > 1 and not self.has_class("-small"):
                table.add_row()
            digit = Text(str(number), f"bold {self.app.ink('orange')}")
            table.add_row(digit, self._curve(glyphs), self._named(names[glyphs], glyphs))
        return table

    def _curve(self, glyphs: str) -> Text:
        """All of it; its steep beginning where there is little room."""
        rows, columns = (2, 18) if self.has_class("-small") else (4, 44)
        lines = [line[:columns] for line in CURVES[glyphs].splitlines()[:rows]]
        return Text("\n".join(lines), self.app.ink("blue"), no_wrap=True)

    def _named(self, name: str, glyphs: str) -> Text:
        """What is drawn now is marked."""
        now = self.app.plot_look.glyphs == glyphs
        return Text(name, self.app.ink("text" if now else "muted")) + Text(_(" (now)") if now else "")

    def action_choose(self, glyphs: str) -> None:
        self.dismiss(glyphs)
