"""The one line at the bottom: a letter an action, in the learner's language, each with a tooltip."""

from __future__ import annotations

from collections.abc import Iterator

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from dltutor.i18n import _


def bind(
    key: str, action: str, label: str = "", tooltip: str = "", *, display: str | None = None, priority: bool = False
) -> Binding:
    """A binding that always says what it does; with a label it stands in the line. Texts are message ids."""
    return Binding(key, action, label or tooltip, bool(label), display, priority, tooltip, id=f"{action}:{key}")


class KeyBar(Footer):
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
            yield from self._keys()

    def _keys(self) -> Iterator[FooterKey]:
        shown = set()
        named = getattr(self.screen, "names_key", lambda _action: True)
        for _node, binding, enabled, _tip in self.screen.active_bindings.values():
            if binding.show and binding.action not in shown and named(binding.action):
                shown.add(binding.action)
                display = self.app.get_key_display(binding)
                key = FooterKey(
                    binding.key, display, _(binding.description), binding.action, not enabled, _(binding.tooltip)
                )
                key.compact = True
                yield key
