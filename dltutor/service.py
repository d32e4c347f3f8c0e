"""What the engine's process and the grader's have in common.

They keep stdout for the wire, hear commands in a thread, and die with whoever started them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import BinaryIO

from dltutor import i18n
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.wire import LONGEST_LINE, Command, Event, Failed, decode, encode

PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>
Work = Callable[[SimpleQueue[Command], "Wire"], None]


def serve(work: Work, cannot_go_on: Callable[[], str], first: Callable[[Wire], None] | None = None) -> None:
    """Let `work` obey commands until stdin ends; a fault that it does not handle is the process's last message.

    `first` is done before there are threads.
    """
    wire = claim_stdout()
    die_with_parent()
    i18n.use(i18n.preferred())
    inbox: SimpleQueue[Command] = SimpleQueue()
    try:
        if first:
            first(wire)
        threading.Thread(target=listen, args=(sys.stdin.buffer, inbox, wire), daemon=True).start()
        work(inbox, wire)
    except BrokenPipeError:
        pass  # nobody listens any more
    except BaseException as error:  # the process edge: whoever listens is told why it ends
        with contextlib.suppress(OSError):
            wire.send(last_words(error, cannot_go_on()))
    finally:
        os._exit(0)  # nothing to clean up, and no thread may keep the process


def last_words(error: BaseException, cannot_go_on: str) -> Failed:
    if isinstance(error, DltutorError):
        return Failed(error.message, error.hint, fatal=True)
    message = cannot_go_on.format(kind=type(error).__name__, error=error)
    return Failed(message, _("`dltutor doctor` may name the cause."), trace=traceback.format_exc(), fatal=True)


class Wire:
    """The way up: whole lines, whichever thread sends them."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, event: Event) -> None:
        line = encode(event)
        if len(line) > LONGEST_LINE:
            raise too_large(len(line))
        with self._lock:
            self._stream.write(line)
            self._stream.flush()


def too_large(size: int) -> DltutorError:
    message = _("the pictures take {size} MB, more than the {limit} MB that can be sent at once").format(
        size=round(size / 1e6), limit=round(LONGEST_LINE / 1e6)
    )
    return DltutorError(message, _("Let the lab yield coarser ones: a screen shows about 200 x 120 points."))


def claim_stdout() -> Wire:
    """Move file descriptor 1 aside, so that no print, not even one in C, can write between two messages."""
    descriptor = os.dup(1)
    os.dup2(2, 1)
    widen(descriptor)
    return Wire(os.fdopen(descriptor, "wb"))


def widen(pipe: int) -> None:
    """Let a whole delivery wait in the pipe, so that a reader that pauses does not hold up the training."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def die_with_parent() -> None:
    """On Linux the kernel ends this process with its parent; elsewhere the end of stdin does (see `listen`)."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(5)  # keys before steps
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def listen(stream: BinaryIO, inbox: SimpleQueue[Command], wire: Wire) -> None:
    """Turn lines into commands until stdin ends, and the process with it."""
    for line in stream:
        try:
            inbox.put(decode(line))  # type: ignore[arg-type]
        except DltutorError as error:
            wire.send(Failed(error.message, error.hint))
    os._exit(0)
