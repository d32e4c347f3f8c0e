"""The terminal as a tutor wants it: nothing queued, few reports of the mouse, no program started on this machine.

Private names used (textual 8.2, each held by a test): Driver._app, _loop, _mouse; LinuxDriver._file, _writer_thread,
_enable_mouse_support, _disable_mouse_support; WriterThread._queue.
"""

from __future__ import annotations

import threading

from textual.app import ScreenStackError
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from dltutor.i18n import _

# Clicks, the wheel, and moves with a button held. Textual also asks for every move: over a link each would cost bytes.
MOUSE_MODES = (1000, 1002, 1006)
BATCH = 64  # keys that are read before the application must have done with them
PAUSE = 0.005  # seconds until the application is asked again
PATIENCE = 0.05  # seconds between two looks whether it ends meanwhile
LINK_SECONDS = 20.0  # that an address stays on the screen: long enough to copy it


class TutorDriver(LinuxDriver):
    """Textual's driver for a terminal, also where that is at the other end of a slow link."""

    _read = 0  # keys and the like since the application last had done with all

    def process_message(self, message: Message) -> None:
        """In the thread that reads. However fast somebody types or pastes: what cannot be done yet is not read yet."""
        self._read += 1
        if self._read > BATCH:
            self._read = 0
            while not (self._has_come_to_the_end() or self.exit_event.wait(PAUSE)):
                pass
        super().process_message(message)

    def _has_come_to_the_end(self) -> bool:
        """Whether the application has done with what was read, once its loop has come around."""
        around = threading.Event()
        self._loop.call_soon_threadsafe(around.set)
        while not around.wait(PATIENCE):
            if self.exit_event.is_set():
                return True
        try:
            pumps = [self._app, self._app.screen, self._app.focused or self._app]
        except ScreenStackError:
            pumps = [self._app]
        return not any(pump.message_queue_size for pump in pumps)

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
