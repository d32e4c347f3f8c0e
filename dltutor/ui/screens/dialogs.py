"""Small screens over the others: help, a question with a typed answer, a message, too small a terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Static

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.ui.widgets.key_bar import KeyBar, bind

SMALLEST = (40, 12)


class Dialog(ModalScreen):
    """A box in the middle; Esc always closes it."""

    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background; }
    Dialog > #box {
        width: 76; max-width: 100%; height: auto; max-height: 100%;
        border: round $blue; border-title-color: $blue; padding: 0 1; background: $background;
        scrollbar-size-vertical: 1;
    }
    Dialog #box > VerticalScroll { height: auto; max-height: 100h; }
    """
    BINDINGS = [bind("escape,q", "close", "close", "close this and go back")]

    def action_close(self) -> None:
        self.dismiss(None)


class Help(Dialog):
    """Every key that works on the screen below, and what it does."""

    BINDINGS = [bind("question_mark", "close", "", "close this and go back")]

    def __init__(self, below: Screen) -> None:
        super().__init__()
        self._rows = list(help_rows(below))

    def compose(self) -> ComposeResult:
        table = Table.grid(padding=(0, 2))
        for keys, what in self._rows:
            table.add_row(Text(keys, "bold"), what)
        with VerticalScroll(id="box") as box:
            box.border_title = _("Keys")
            yield Static(table)
        yield KeyBar()


def help_rows(screen: Screen) -> list[tuple[str, str]]:
    """(keys, what they do) of all active bindings that say what they do; keys of one action stand together."""
    keys: dict[str, list[str]] = {}
    for _node, binding, enabled, _tip in screen.active_bindings.values():
        if binding.tooltip and enabled:
            keys.setdefault(_(binding.tooltip), []).append(screen.app.get_key_display(binding))
    return [(_together(list(dict.fromkeys(names))), what) for what, names in keys.items()]


def _together(names: list[str]) -> str:
    """Keys in a row: digits as a range."""
    return f"{min(names)}-{max(names)}" if len(names) > 2 and all(map(str.isdigit, names)) else " ".join(names)


class Message(Dialog):
    """A text to read, perhaps to copy."""

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="box") as box:
            box.border_title = self._title
            yield Static(self._text, markup=False)
        yield KeyBar()


class Confirm(Dialog):
    """A question; true where it is answered with yes."""

    BINDINGS = [bind("y", "agree", "yes", "yes, do it"), bind("n,escape", "close", "no", "no, leave it as it is")]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Static(self._question, markup=False)
        yield KeyBar()

    def action_agree(self) -> None:
        self.dismiss(True)


class Answer(Input):
    BINDINGS = [bind("enter", "submit", "ok", "take this value")]


class Ask(Dialog):
    """A typed answer. `parse` turns it into a value, or raises a DltutorError that is shown under it."""

    DEFAULT_CSS = """
    Ask #wrong { color: $red; height: auto; }
    Ask Input { margin: 1 0; background: $raised; }
    """
    BINDINGS = [bind("escape", "close", "close", "close this and go back")]

    def __init__(self, title: str, note: str, value: str, parse: Callable[[str], object]) -> None:
        super().__init__()
        self._title, self._note, self._value, self._parse = title, note, value, parse

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = self._title
            yield Static(self._note, markup=False)
            yield Answer(self._value, compact=True)
            yield Static("", id="wrong", markup=False)
        yield KeyBar()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        try:
            self.dismiss(self._parse(event.value))
        except DltutorError as error:
            self.query_one("#wrong", Static).update(str(error))


class TooSmall(Screen):
    """Stands in front until the terminal has grown."""

    DEFAULT_CSS = "TooSmall { align: center middle; } TooSmall Static { width: auto; text-align: center; }"

    def compose(self) -> ComposeResult:
        text = _("Too small.\nMake it {width}x{height}\nor larger.")
        yield Static(text.format(width=SMALLEST[0], height=SMALLEST[1]), markup=False)
