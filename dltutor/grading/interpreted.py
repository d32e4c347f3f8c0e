"""Runs what the room has compiled for a graphics card: in the interpreter, which is ours and checks every access.

The PTX comes from the learner's code and may be anything; here it is only read, and it can calculate nothing but
numbers in arrays of limited size, for a limited time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dltutor.emulate.front import Capability, Compiled, require_toolkit
from dltutor.emulate.interpreter import H100, Machine
from dltutor.emulate.report import Fault, KernelFault
from dltutor.errors import DltutorError
from dltutor.grading.trials import Subject, Trial, guarded, inside
from dltutor.i18n import _
from dltutor.kernels.compile import numba_types, three

LONGEST = 1 << 20  # characters of PTX
SHARED, LOCAL = 48 << 10, 16 << 10  # bytes: of a block, as on a card; and of a thread
LIMIT = 20_000  # pieces of program until it counts as endless: a second or two
Buffers = list[dict[str, np.ndarray]]


@dataclass(frozen=True)
class Given(Compiled):
    """A kernel that is PTX already."""

    text: str = ""

    def ptx(self, capability: Capability = H100) -> str:
        return self.text


class Interpreted:
    """One function of the learner's, ready to be launched."""

    def __init__(self, subject: Subject, text: str, file: str) -> None:
        """Raises DltutorError where it cannot be run."""
        require_toolkit()
        if len(text) > LONGEST:
            raise DltutorError(_("{name} is too long when it is compiled").format(name=subject.name))
        self.kernel, self.file = subject.kernel, file
        types = numba_types(self.kernel.signature)
        self.machine = Machine(Given(subject.name, "", subject.names, types, None, text), H100)
        self._require_small()

    def _require_small(self) -> None:
        layout = self.machine.layout
        for pieces, limit, name in ((layout.shared, SHARED, _("shared")), (layout.local, LOCAL, _("local"))):
            size = sum(piece.size for piece in pieces)
            if size > limit:
                message = _("{size} bytes of {name} memory are more than the {limit} there are")
                raise DltutorError(message.format(size=size, name=name, limit=limit))
        if sum(piece.size for piece in layout.constants) > LONGEST:
            raise DltutorError(_("its constants are too large"))

    def run(self, trial: Trial) -> tuple[dict[str, Any] | None, Buffers]:
        """What was wrong, if anything; and the arrays between guard cells after each call."""
        values = {name: guarded(value) if isinstance(value, np.ndarray) else value for name, value in trial.arguments}
        arguments = [inside(values[name], like) for name, like in trial.arguments]
        blocks, threads = self.kernel.grid(tuple(arguments))
        made: Buffers = []
        for _time in range(trial.times):
            try:
                if blocks:
                    self.machine.launch(three(blocks), three(threads), arguments, LIMIT).require_sound()
            except KernelFault as error:
                return self._told(error.fault), []
            made.append({name: value.copy() for name, value in values.items() if isinstance(value, np.ndarray)})
        return None, made

    def _told(self, fault: Fault) -> dict[str, Any]:
        line = fault.place and fault.place.line_in(self.file)
        return {"stage": "interpreter", "kind": fault.kind, "message": fault.message, "line": line, "hint": fault.hint}
