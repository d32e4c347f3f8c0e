"""How a run ended, in the learner's language."""

from __future__ import annotations

import os
import re
import signal

from dltutor.i18n import _
from dltutor.room import inside
from dltutor.room.limits import MIB, Limits, Outcome
from dltutor.room.watch import Ended

NEARLY = 0.3  # seconds that the clock of a process may lag behind its limit
IDLE = 0.1  # of the time: who used less of the processor did not loop, however busy the machine
MUCH = 0.6  # of the memory: who crashes with so much most likely wanted more

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # characters that move a terminal's cursor and the like


def outcome(ended: Ended, limits: Limits) -> Outcome:
    kind, sentence = _kind(ended, limits)
    printed = CONTROL.sub("", ended.printed.decode(errors="replace"))
    return Outcome(ended.reply, printed, kind, sentence, ended.seconds)


def _kind(ended: Ended, limits: Limits) -> tuple[str, str]:
    code = os.waitstatus_to_exitcode(ended.status)
    used_up = ended.cpu >= limits.cpu - NEARLY
    if ended.reply is not None:
        return "done", _tried(ended.tried)
    if ended.why == "output":
        return "output", _("It printed more than {size} MiB, and was stopped.").format(size=limits.output // MIB)
    if ended.why == "time" or (code in (-signal.SIGKILL, -signal.SIGXCPU) and used_up):
        return "time", _slow(ended, limits)
    if code == inside.OUT_OF_MEMORY or (code < 0 and ended.memory > MUCH * limits.memory):
        return "memory", _("It wanted more memory than the {size} MiB that it may use.").format(
            size=limits.memory // MIB
        )
    if code == -signal.SIGKILL:
        return "killed", _("The system stopped it: perhaps this machine has too little memory left.")
    return "crashed", _crash(-code) if code < 0 else _left(code)


def _tried(what: int) -> str:
    if what & inside.NETWORK:
        return _("It tried to use the network. There is none in here.")
    if what & inside.PROCESS:
        return _("It tried to start another process. That is not possible in here.")
    return ""


def _slow(ended: Ended, limits: Limits) -> str:
    if ended.why and ended.cpu < IDLE * ended.seconds:
        return _("It waited, and did not finish within {n} seconds.").format(n=_number(limits.wall))
    seconds = _number(min(limits.cpu, limits.wall))
    return _("It did not finish within {n} seconds: is there an endless loop?").format(n=seconds)


def _crash(number: int) -> str:
    if number in (signal.SIGSEGV, signal.SIGBUS):
        return _("It crashed: it reached for memory that is not its own. Is an index outside of its array?")
    if number == signal.SIGFPE:
        return _("It crashed: it divided a whole number by zero.")
    name = signal.Signals(number).name if number in signal.valid_signals() else str(number)
    return _("It crashed ({signal}).").format(signal=name)


def _left(code: int) -> str:
    if code == 1:
        return _("It ended with an error; see what it has printed.")
    return _("It ended before there was a result: does it call exit()?")


def _number(seconds: float) -> str:
    return f"{seconds:g}"
