"""The terminal as a tutor wants it: nothing queued, few reports of the mouse, no program started on this machine.

Private names used (textual 8.2, each held by a test): Driver._app, _loop, _mouse; LinuxDriver._file, _writer_thread,
_enable_mouse_support, _disable_mouse_support; WriterThread._queue.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from typing import Any, TextIO, cast

from textual.app import ScreenStackError
from textual.drivers.linux_driver import LinuxDriver
from textual.events import CursorPosition, Key
from textual.message import Message

from dltutor.i18n import _
from dltutor.ui.pacer import Pacer

# Clicks, the wheel, and moves with a button held. Textual also asks for every move: over a link each would cost bytes.
MOUSE_MODES = (1000, 1002, 1006)
BATCH = 64  # keys of a text that are read before the application must have done with them
PAUSE = 0.005  # seconds until the application is asked again
PATIENCE = 0.05  # seconds between two looks whether it ends meanwhile
LAST_ANSWER = 1.0  # seconds that quitting waits for one
LINK_SECONDS = 20.0  # that an address stays on the screen: long enough to copy it


class Gauge:
    """The terminal for the thread that writes on it, and whether it is at it."""

    def __init__(self, file: TextIO | None) -> None:
        assert file, "standard error is closed"
        self._file = file
        self.is_writing = False

    def write(self, text: str) -> None:
        self.is_writing = True
        with contextlib.suppress(OSError):  # the terminal is gone: `_watch` ends us, and until then nobody waits
            self._file.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._file.flush()
        self.is_writing = False

    def fileno(self) -> int:
        return self._file.fileno()


class TutorDriver(LinuxDriver):
    """Textual's driver for a terminal, also where that is at the other end of a slow link."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._gauge = Gauge(self._file)
        self._file = cast(Any, self._gauge)
        self._read = 0  # keys and the like since the application last had done with all
        self._is_obeying = False  # the last of them was a command, not text
        self._asked = 0.0  # when it was last asked
        self._answered = threading.Event()
        self._answered.set()
        self._watching = False

    # ------------------------------------------------------------ what comes in

    def run_input_thread(self) -> None:
        """Until the terminal is gone, which is no fault to show: `_watch` ends us, and has the processor for it."""
        with contextlib.suppress(OSError):
            super().run_input_thread()

    def process_message(self, message: Message) -> None:
        """In the thread that reads. However fast somebody types or pastes: what cannot be done yet is not read yet.

        A command is done before the next key: it may decide who gets that. Over a slow link they come together.
        """
        if isinstance(message, CursorPosition):
            self._answered.set()
        self._read += 1
        if self._is_obeying or self._read > BATCH:
            self._read = 0
            while not (self._has_come_to_the_end() or self.exit_event.wait(PAUSE)):
                pass
        self._is_obeying = isinstance(message, Key) and not (message.is_printable and self._is_in_a_field())
        super().process_message(message)

    def _is_in_a_field(self) -> bool:
        """Whether the learner writes text."""
        try:
            focused = self._app.focused
        except ScreenStackError:
            return False
        return hasattr(focused, "cursor_blink") and not getattr(focused, "read_only", False)

    def _has_come_to_the_end(self) -> bool:
        """Whether the application has done with what was read, once its loop has come around."""
        around = threading.Event()
        self._loop.call_soon_threadsafe(self._loop.call_soon, around.set)  # what was read is posted a turn later
        while not around.wait(PATIENCE):
            if self.exit_event.is_set():
                return True
        try:
            pumps = [self._app, self._app.screen, self._app.focused or self._app]
        except ScreenStackError:
            pumps = [self._app]
        return not any(pump.message_queue_size for pump in pumps)

    def disable_input(self) -> None:
        """After an answer that is on its way: in the shell it would stand as if it had been typed."""
        self._answered.wait(max(0.0, self._asked + LAST_ANSWER - time.monotonic()))
        self._answered.set()
        super().disable_input()

    def start_application_mode(self) -> None:
        super().start_application_mode()
        if not self._watching:
            self._watching = True
            threading.Thread(target=self._watch, daemon=True, name="dltutor-terminal").start()

    def _watch(self) -> None:
        """Hang up when the terminal is gone, also where the system tells only others: reading goes on at its end."""
        terminal = select.poll()
        terminal.register(self.fileno, 0)  # its end is told in any case
        terminal.poll()
        self.exit_event.set()  # or reading would go on at the end of the terminal, as fast as it can
        os.kill(os.getpid(), signal.SIGHUP)

    # ------------------------------------------------------------ what goes out

    def congested(self) -> bool:
        """Whether the last frame is still being written."""
        writer = self._writer_thread
        return writer is not None and (self._gauge.is_writing or not writer._queue.empty())

    def write(self, data: str) -> None:
        if Pacer.QUESTION in data:
            self._asked = time.monotonic()
            self._answered.clear()
        super().write(data)

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
