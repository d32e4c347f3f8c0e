"""The knobs of a lab: a table to turn them in, one line to read them in."""

from __future__ import annotations

from typing import Any

from rich.style import Style
from rich.text import Text
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from dltutor.i18n import _
from dltutor.lesson import Knob
from dltutor.ui.widgets.key_bar import bind

COLUMN = 32


class Knobs(Widget, can_focus=True):
    """A row a knob: up and down choose one, left and right turn it, enter asks for a value."""

    DEFAULT_CSS = """
    Knobs { height: auto; padding: 0 1; }
    Knobs .knobs--label { color: $text; }
    Knobs .knobs--value { color: $blue; text-style: bold; }
    Knobs .knobs--note { color: $muted; }
    Knobs .knobs--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    """
    COMPONENT_CLASSES = {"knobs--label", "knobs--value", "knobs--note", "knobs--cursor"}
    BINDINGS = [
        bind("up", "choose(-1)", "", "the knob above"),
        bind("down", "choose(1)", "choose", "the knob below", display="↑↓"),
        bind("left", "nudge(-1)", "", "turn the chosen knob down"),
        bind("right", "nudge(1)", "turn", "turn the chosen knob up", display="←→"),
        bind("enter", "ask", "type", "type a value for the chosen knob"),
        bind("escape", "close", "done", "back to the lab"),
        bind("backspace", "default", "default", "put the chosen knob back to its default"),
    ]

    class Turned(Message):
        def __init__(self, name: str, value: Any) -> None:
            super().__init__()
            self.name, self.value = name, value

    class Closed(Message):
        """The learner has turned enough."""

    class Asked(Message):
        def __init__(self, knob: Knob) -> None:
            super().__init__()
            self.knob = knob

    def __init__(self, knobs: dict[str, Knob], values: dict[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self.knobs = knobs
        self.values = values
        self._chosen = 0

    @property
    def chosen(self) -> Knob:
        return list(self.knobs.values())[self._chosen]

    def set(self, values: dict[str, Any]) -> None:
        self.values = values
        self.refresh()

    def _rows(self, width: int) -> int:
        """Rows of the table, which is read column after column."""
        return -(-len(self.knobs) // max(1, width // COLUMN))

    def get_content_height(self, _container: Any, _viewport: Any, width: int) -> int:
        return self._rows(width)

    def render(self) -> Text:
        rows = self._rows(self.size.width)
        knobs = list(enumerate(self.knobs.values()))
        width = self.size.width // max(1, self.size.width // COLUMN)
        lines = [[self._cell(index, knob, width) for index, knob in knobs[row::rows]] for row in range(rows)]
        return Text("\n", no_wrap=True).join(Text().join(line) for line in lines)

    def _cell(self, index: int, knob: Knob, width: int) -> Text:
        cursor = self.has_focus and index == self._chosen
        part = lambda name: Style() if cursor else self.get_component_rich_style(f"knobs--{name}", partial=True)  # noqa: E731
        note = _("live") if knob.live else _("restarts")
        cell = Text(no_wrap=True)
        cell.append(knob.label, part("label"))
        cell.append("  ")
        cell.append(
            f"‹ {knob.format(self.values[knob.name])} ›" if cursor else knob.format(self.values[knob.name]),
            part("value"),
        )
        room = width - cell.cell_len - 3
        if room > Text(note).cell_len + 1:
            cell.append(" " * (room - Text(note).cell_len) + note, part("note"))
        cell.truncate(width - 3, overflow="ellipsis", pad=True)
        if cursor:
            cell.stylize_before(self.get_component_rich_style("knobs--cursor", partial=True))
        cell.append("   ")
        return cell

    def action_choose(self, by: int) -> None:
        self._chosen = (self._chosen + by) % len(self.knobs)
        self.refresh()

    def action_nudge(self, direction: int) -> None:
        knob = self.chosen
        self._post(knob.nudge(self.values[knob.name], direction))

    def action_default(self) -> None:
        self._post(self.chosen.default)

    def action_ask(self) -> None:
        self.post_message(self.Asked(self.chosen))

    def _post(self, value: Any) -> None:
        if value != self.values[self.chosen.name]:
            self.post_message(self.Turned(self.chosen.name, value))

    def action_close(self) -> None:
        self.post_message(self.Closed())

    def on_click(self, event: Click) -> None:
        at = event.get_content_offset(self)
        if at is None:  # its border
            return
        rows = self._rows(self.size.width)
        index = at.y + rows * (at.x // max(1, self.size.width // max(1, self.size.width // COLUMN)))
        if index < len(self.knobs):
            self._chosen = index
            self.focus()
            self.refresh()
