"""The terminal as a tutor wants it: nothing queued, few reports of the mouse, no program started on this machine.

Private names used (textual 8.2, each held by a test): Driver._app, Driver._mouse; LinuxDriver._file, _writer_thread,
_enable_mouse_support, _disable_mouse_support; WriterThread._queue.
"""

from __future__ import annotations

from textual.drivers.linux_driver import LinuxDriver

from dltutor.i18n import _

# Clicks, the wheel, and moves with a button held. Textual also asks for every move: over a link each would cost bytes.
MOUSE_MODES = (1000, 1002, 1006)
LINK_SECONDS = 20.0  # that an address stays on the screen: long enough to copy it


class TutorDriver(LinuxDriver):
    """Textual's driver for a terminal, also where that is at the other end of a slow link."""

    def congested(self) -> bool:
        """Whether the last frame is still being written."""
        writer = self._writer_thread
        return writer is not None and not writer._queue.empty()

    def _enable_mouse_support(self) -> None:
        self._set_mouse("h")

    def _disable_mouse_support(self) -> None:
        self._set_mouse("l")

    def _set_mouse(self, on_or_off: str) -> None:
        if self._mouse:
            self.write("".join(f"\x1b[?{mode}{on_or_off}" for mode in MOUSE_MODES))
            self.flush()

    def open_url(self, url: str, new_tab: bool = True) -> None:
        """Show the address. A browser started here would run as this user: where it is one for the terminal, on it."""
        self._app.copy_to_clipboard(url)
        self._app.notify(url, title=_("Open this address in your browser"), timeout=LINK_SECONDS, markup=False)
