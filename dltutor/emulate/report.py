"""What a launch in the interpreter tells: what every instruction did, and what was wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from dltutor.emulate.ptx import Place, Program
from dltutor.errors import DltutorError
from dltutor.i18n import _

WARP = 32  # threads that a card runs in step


@dataclass(frozen=True)
class Fault:
    """Something wrong with a kernel, and where."""

    kind: str  # "race", "bounds", "misaligned", "barrier", "uninitialised", "shuffle", "endless", "trap"
    message: str
    hint: str
    place: Place
    instruction: str
    count: int = 1  # how many threads it happened to

    def __str__(self) -> str:
        lines = [f"{self.place}: {self.place.source}"]
        if self.place.caller:
            caller = self.place.outermost
            lines.append(_("called in {place}: {source}").format(place=caller, source=caller.source))
        return "\n".join((self.message, *lines, f"PTX: {self.instruction}"))


class KernelFault(DltutorError):
    """A kernel did what no card allows."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault), fault.hint)
        self.fault = fault


@dataclass
class Counts:
    """What one instruction did."""

    warps: int = 0  # times a warp ran it
    threads: int = 0
    requests: int = 0  # times a warp asked global memory
    sectors: int = 0
    wavefronts: int = 0  # times shared memory was asked
    without_conflicts: int = 0
    divergent: int = 0  # times the threads of a warp went different ways

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass
class Report:
    """What a launch did, instruction by instruction, and what was wrong with it."""

    kernel: str
    program: Program
    threads: int
    counts: list[Counts]
    faults: list[Fault] = field(default_factory=list)

    @cached_property
    def total(self) -> Counts:
        return sum(self.counts, Counts())

    @property
    def instructions(self) -> int:
        """Executed by a warp, as a profiler counts them."""
        return self.total.warps

    @property
    def lanes_busy(self) -> float:
        """The share of a warp's threads that took part: 1 where nothing diverges."""
        return self.total.threads / max(WARP * self.total.warps, 1)

    @property
    def sectors_per_request(self) -> float:
        """32-byte sectors for each load or store of a warp: 4 for 32 neighbouring float32, 32 for scattered ones."""
        return self.total.sectors / max(self.total.requests, 1)

    @property
    def bank_factor(self) -> float:
        """How many times longer shared memory takes than without conflicts: 1 is best, 32 worst."""
        return self.total.wavefronts / self.total.without_conflicts if self.total.without_conflicts else 1.0

    @property
    def divergent(self) -> int:
        return self.total.divergent

    @property
    def executed(self) -> Counter[str]:
        """How often a warp ran each kind of instruction."""
        found: Counter[str] = Counter()
        for instruction, counts in zip(self.program.instructions, self.counts, strict=True):
            found[instruction.opcode] += counts.warps
        return found

    @property
    def lines(self) -> dict[Place, Counts]:
        """The same for each line of the kernel; what it calls counts for the line that calls it."""
        found: dict[Place, Counts] = {}
        for instruction, counts in zip(self.program.instructions, self.counts, strict=True):
            place = instruction.place.outermost
            found[place] = found.get(place, Counts()) + counts
        return found

    def require_sound(self) -> None:
        """Raise the first fault."""
        if self.faults:
            raise KernelFault(self.faults[0])
