"""The one line at the bottom: a letter an action, in the learner's language, each with a tooltip."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.binding import Binding
from textual.events import Click, MouseMove, Resize
from textual.screen import Screen
from textual.widget import Widget

from dltutor.i18n import _

ALWAYS = ("keys", "close")  # actions that are named however little room there is


def bind(
    key: str, action: str, label: str = "", tooltip: str = "", *, display: str | None = None, priority: bool = False
) -> Binding:
    """A binding that always says what it does; with a label it stands in the line. Texts are message ids."""
    return Binding(key, action, label or tooltip, bool(label), display, priority, tooltip, id=f"{action}:{key}")


EVERYWHERE = (
    bind("question_mark", "keys", "help", "all keys of this screen"),
    bind("L", "language", "中文/EN", "English or Chinese"),
    bind("T", "theme", "", "dark or light"),
    bind("ctrl+l", "redraw", "", "draw the whole screen again"),
)
"""Of every application."""


class Key(NamedTuple):
    """One key of the line."""

    display: str
    label: str
    tooltip: str
    action: str
    name: str
    """What pressing it is called: a click does the same."""
    enabled: bool

    @property
    def width(self) -> int:
        return cell_len(self.display) + cell_len(self.label) + 2


class KeyBar(Widget):
    """As many keys as there is room for, those of the focused widget first; help, the last, always.

    One widget for all of them: a widget for each took most of the time from a key to the screen.
    """

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; padding: 0 1; color: $footer-foreground; background: $footer-background; }
    KeyBar > .key-bar--key { color: $footer-key-foreground; text-style: bold; }
    KeyBar > .key-bar--disabled { color: $text-disabled; }
    """
    COMPONENT_CLASSES = {"key-bar--key", "key-bar--disabled"}
    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[Key] = []
        self._ends: list[int] = []  # the column behind each key

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._renew)
        self.call_after_refresh(self._renew, self.screen)

    def on_resize(self, _event: Resize) -> None:
        self._renew(self.screen)

    def _renew(self, screen: Screen) -> None:
        keys = self._that_fit(screen)
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def _that_fit(self, screen: Screen) -> list[Key]:
        return fitting(named_keys(screen), self.app.size.width - 1)

    def render(self) -> Text:
        text, self._ends = Text(no_wrap=True), []
        self._keys = self._keys or self._that_fit(self.screen)  # in the first picture of a screen, too
        for key in self._keys:
            text.append(key.display, self._style("key" if key.enabled else "disabled"))
            text.append(f" {key.label}", "" if key.enabled else self._style("disabled"))
            self._ends.append(text.cell_len)
            text.append(" ")
        return text

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"key-bar--{name}", partial=True)

    # ------------------------------------------------------------ the mouse

    def _key_at(self, column: int) -> Key | None:
        return next((key for key, end in zip(self._keys, self._ends, strict=False) if column < end), None)

    def on_mouse_move(self, event: MouseMove) -> None:
        key = self._key_at(event.x - 1)
        self.tooltip = key.tooltip if key else None

    def on_click(self, event: Click) -> None:
        key = self._key_at(event.x - 1)
        if key and key.enabled:
            self.app.simulate_key(key.name)


def fitting(keys: list[Key], width: int) -> list[Key]:
    """The first keys that fit into `width` cells, beside those that always stand there."""
    room = width - sum(key.width for key in keys if key.action in ALWAYS)
    chosen = []
    for key in keys:
        room -= 0 if key.action in ALWAYS else key.width
        if key.action in ALWAYS or room >= 0:
            chosen.append(key)
    return chosen


def named_keys(screen: Screen) -> list[Key]:
    """The keys that have a word in the line, an action once."""
    wanted = getattr(screen, "names_key", lambda _action: True)
    active = reversed(screen.active_bindings.values())
    named = {b.action: (b, enabled) for _node, b, enabled, _tip in active if b.show and wanted(b.action)}
    return [_key(screen, binding, enabled) for binding, enabled in reversed(named.values())]


def _key(screen: Screen, binding: Binding, enabled: bool) -> Key:
    display = screen.app.get_key_display(binding)
    return Key(display, _(binding.description), _(binding.tooltip), binding.action, binding.key, enabled)
