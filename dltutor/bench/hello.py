"""The least that an application on Textual can be: what `dltutor launch` is measured against.

It is copied out of the package and started from there, so that it imports nothing of ours.
"""

from textual.app import App, ComposeResult
from textual.widgets import Static


class Hello(App[None]):
    def compose(self) -> ComposeResult:
        yield Static("Hello")


def main() -> None:
    Hello().run()
