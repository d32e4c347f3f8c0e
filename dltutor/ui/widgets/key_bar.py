"""The one line at the bottom: a letter an action, in the learner's language, each with a tooltip."""

from __future__ import annotations

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import Resize
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from dltutor.i18n import _


def bind(
    key: str, action: str, label: str = "", tooltip: str = "", *, display: str | None = None, priority: bool = False
) -> Binding:
    """A binding that always says what it does; with a label it stands in the line. Texts are message ids."""
    return Binding(key, action, label or tooltip, bool(label), display, priority, tooltip, id=f"{action}:{key}")


class KeyBar(Footer):
    """As many keys as there is room for, those of the focused widget first; the last one, help, always."""

    ALWAYS = ("keys", "close")  # actions
    DEFAULT_CSS = """
    KeyBar FooterKey { margin-right: 1; }
    KeyBar FooterKey .footer-key--key { padding: 0; }
    KeyBar FooterKey .footer-key--description { padding: 0 0 0 1; }
    KeyBar { padding-left: 1; }
    """

    def __init__(self) -> None:
        super().__init__(compact=True, show_command_palette=False)

    def compose(self) -> ComposeResult:
        if self._bindings_ready:
            for binding, enabled in self._fitting():
                display = self.app.get_key_display(binding)
                text, tooltip = _(binding.description), _(binding.tooltip)
                key = FooterKey(binding.key, display, text, binding.action, not enabled, tooltip)
                key.compact = True
                yield key

    def on_resize(self, _event: Resize) -> None:
        self.bindings_changed(self.screen)

    def _fitting(self) -> list[tuple[Binding, bool]]:
        """The named keys that fit, and whether each is enabled."""
        named = self._named()
        room = self.app.size.width - 1 - sum(map(self._width, (one for one in named if one[0].action in self.ALWAYS)))
        fitting = []
        for one in named:
            always = one[0].action in self.ALWAYS
            room -= 0 if always else self._width(one)
            if always or room >= 0:
                fitting.append(one)
        return fitting

    def _width(self, one: tuple[Binding, bool]) -> int:
        return cell_len(self.app.get_key_display(one[0])) + cell_len(_(one[0].description)) + 2

    def _named(self) -> list[tuple[Binding, bool]]:
        """The keys that have a word in the line, an action once."""
        wanted = getattr(self.screen, "names_key", lambda _action: True)
        active = self.screen.active_bindings.values()
        named = {b.action: (b, enabled) for _node, b, enabled, _tip in reversed(active) if b.show and wanted(b.action)}
        return list(reversed(named.values()))
