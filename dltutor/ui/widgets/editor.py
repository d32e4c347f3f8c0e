"""Where the learner writes: Python in colour, and the line at fault marked."""

from __future__ import annotations

from typing import Any

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import TextAreaTheme

from dltutor.ui.typed import InTutor
from dltutor.ui.widgets.key_bar import bind

INDENT = 4
MARK = "✗"
_COLOURS = {
    "muted": ("comment", "attribute", "spell"),  # spell: also what documents a function
    "green": ("string", "string.escape"),
    "orange": ("number", "float", "boolean", "constant.builtin"),
    "blue": (
        "keyword", "keyword.function", "keyword.operator", "keyword.return", "include", "conditional", "repeat",
        "exception", "function",
    ),
}  # fmt: skip


class Editor(InTutor, TextArea):
    """A text area for a kernel. Escape leaves it; then letters are keys again."""

    DEFAULT_CSS = """
    Editor { border: none; padding: 0 1; color: $text; background: $background; scrollbar-size: 0 1; }
    Editor:focus { border: none; }
    Editor .text-area--gutter { color: $faint; background: $background; }
    Editor .text-area--cursor-line { background: $background; }
    Editor .text-area--cursor-gutter { color: $muted; background: $background; text-style: none; }
    Editor:focus .text-area--cursor-line { background: $raised; }
    Editor:focus .text-area--cursor-gutter { color: $text; background: $raised; text-style: bold; }
    Editor .text-area--cursor { color: $input-cursor-foreground; background: $input-cursor-background; }
    Editor.-read-only .text-area--cursor { color: $text !important; background: $faint !important; }
    Editor .text-area--selection { background: $input-selection-background; color: $block-cursor-foreground; }
    Editor .text-area--matching-bracket { background: $faint; text-style: bold; }
    """
    BINDINGS = [
        bind("escape", "leave", "keys", "leave the text: letters are keys again"),
        bind("enter", "enter", "", "write here; escape ends it"),
    ]

    class Entered(Message):
        """The learner wants to write: a click, or enter."""

    class Left(Message):
        """The learner has pressed escape."""

    def __init__(self, text: str, **options: Any) -> None:
        super().__init__(text, soft_wrap=False, tab_behavior="indent", show_line_numbers=True, **options)
        self.language = "python"  # said above, it would be made ready twice: 60 ms
        self.indent_width = INDENT
        self.cursor_blink = False  # over a slow line each blink would cost bytes
        self._at_fault: tuple[int, str] | None = None

    def on_mount(self) -> None:
        self.recolour()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_beginnings)

    def _show_beginnings(self) -> None:
        """Lines from their first column, where that leaves the cursor in sight: it was placed before there was room."""
        if self.cursor_location[1] < self.content_size.width - self.gutter_width:
            self.scroll_to(x=0, animate=False)

    def recolour(self) -> None:
        """Take the colours of the application's theme."""
        ink = self.app.ink
        styles = {name: Style(color=ink(colour)) for colour, names in _COLOURS.items() for name in names}
        self.register_theme(TextAreaTheme(self.app.theme, syntax_styles=styles))
        self.theme = self.app.theme

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("leave", "enter"):
            return self.read_only == (action == "enter")
        return super().check_action(action, parameters)

    def replace_all(self, text: str) -> None:
        """Put `text` in the place of all that is written; undo brings that back."""
        if text == self.text:
            return
        place = self.cursor_location
        self.replace(text, (0, 0), self.document.end, maintain_selection_offset=False)
        self.move_cursor(self.clamp_visitable(place))

    # ------------------------------------------------------------ the line at fault

    def mark(self, number: int | None) -> None:
        """Mark a line, by its number from 1, as the one at fault, for as long as it stays as it is; or none."""
        known = number is not None and 0 < number <= self.document.line_count
        self._at_fault = (number - 1, self.document[number - 1]) if number and known else None
        self.notify_style_update()
        if self._at_fault:
            self.move_cursor((self._at_fault[0], 0), center=True)
            self.action_cursor_line_end()

    def _is_at_fault(self, index: int) -> bool:
        return self._at_fault == (index, self.document[index])

    def get_line(self, line_index: int) -> Text:
        line = super().get_line(line_index)
        if self._is_at_fault(line_index):
            start = len(line.plain) - len(line.plain.lstrip())
            line.stylize(Style(underline=True, color=self.app.ink("red")), start)
        return line

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        index = y + self.scroll_offset.y
        if index < self.document.line_count and self._is_at_fault(index):
            at = self.gutter_width - 2
            style = next(iter(strip.crop(at, at + 1))).style or Style()
            mark = Segment(MARK, style + Style(color=self.app.ink("red"), bold=True))
            strip = Strip.join([strip.crop(0, at), Strip([mark], 1), strip.crop(at + 1)])
        return strip

    # ------------------------------------------------------------ keys

    async def _on_key(self, event: events.Key) -> None:
        """Keys that mean more in Python than in a text; all others are the text area's."""
        if self.read_only:
            return
        actions = {"escape": self.action_leave, "enter": self._break_line, "shift+tab": self._dedent}
        if self._selects_lines:
            actions["tab"] = self._indent
        if event.key in actions:
            actions[event.key]()
        elif not await self._run_bound(event.key):
            return
        event.stop()
        event.prevent_default()

    async def _run_bound(self, key: str) -> bool:
        """Run what a key of the text area's own is bound to, at once. Left to Textual it goes up to the application
        first; what was typed after it would then come before it, on a busy machine."""
        for binding in self._bindings.key_to_bindings.get(key, ()):
            if await self.app.run_action(binding.action, self):
                return True
        return False

    def action_enter(self) -> None:
        self.post_message(self.Entered())

    def on_click(self) -> None:
        if self.read_only:
            self.action_enter()

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def _break_line(self) -> None:
        """A new line as deep as this one; deeper after a colon."""
        row, column = self.selection.start if self.selection.start < self.selection.end else self.selection.end
        before = self.document[row][:column]
        depth = len(before) - len(before.lstrip(" "))
        if before.split("#")[0].rstrip().endswith(":"):
            depth += INDENT
        self._replace_via_keyboard("\n" + " " * depth, *self.selection)

    def action_delete_left(self) -> None:
        """In the white space before a line, back to the tab stop."""
        row, column = self.cursor_location
        if self.selection.is_empty and column and not self.document[row][:column].strip(" "):
            self._delete_via_keyboard((row, (column - 1) // INDENT * INDENT), (row, column))
        else:
            super().action_delete_left()

    # ------------------------------------------------------------ several lines

    @property
    def _selects_lines(self) -> bool:
        return self.selection.start[0] != self.selection.end[0]

    def _rows(self) -> range:
        first, last = sorted((self.selection.start, self.selection.end))
        return range(first[0], last[0] + (last[1] > 0 or first == last))

    def _indent(self) -> None:
        for row in self._rows():
            if self.document[row]:
                self.insert(" " * INDENT, (row, 0))

    def _dedent(self) -> None:
        for row in self._rows():
            line = self.document[row]
            depth = len(line) - len(line.lstrip(" "))
            if depth:
                self.delete((row, 0), (row, (depth - 1) % INDENT + 1))
