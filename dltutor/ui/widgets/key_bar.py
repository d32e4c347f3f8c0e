"""The one line at the bottom: a letter an action, in the learner's language, each with a tooltip."""

from __future__ import annotations

from collections.abc import Iterator

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from dltutor.i18n import _


def bind(
    key: str, action: str, label: str = "", tooltip: str = "", *, show: bool = True, priority: bool = False
) -> Binding:
    """A binding whose id is its action, and which always says what it does. Texts are message ids."""
    name = action.partition("(")[0]
    return Binding(
        key, action, label or tooltip, show=show and bool(label), priority=priority, tooltip=tooltip, id=name
    )


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
        for _node, binding, enabled, _tip in self.screen.active_bindings.values():
            if binding.show and binding.action not in shown:
                shown.add(binding.action)
                display = self.app.get_key_display(binding)
                key = FooterKey(
                    binding.key, display, _(binding.description), binding.action, not enabled, _(binding.tooltip)
                )
                key.compact = True
                yield key
