"""A program with its registers numbered and its variables placed in memory."""

from __future__ import annotations

from typing import Any

from dltutor.emulate.arithmetic import DTYPES
from dltutor.emulate.memory import CONSTANTS, GLOBAL_SHIFT, LOCAL_SHIFT, SHARED_SHIFT, Piece
from dltutor.emulate.ptx import Program


class Layout:
    """What a launch needs to know of a program, besides its instructions."""

    def __init__(self, kernel: str, program: Program) -> None:
        self.kernel, self.program = kernel, program
        self.parameter_names = [name for name, _kind in program.parameters]
        self.numbers = {name: number for number, name in enumerate(program.registers)}
        self.dtypes: list[Any] = [DTYPES[kind] for kind in program.registers.values()]
        self.shared, self.local = (self._pieces(space) for space in ("shared", "local"))
        self.constants = self._pieces("const") + self._pieces("global")
        self.warp_sync = any(i.name == "bar" and "warp" in i.modifiers for i in program.instructions)
        self.addresses = self._addresses()
        self.cells = {space: self._cell(space) for space in ("shared", "global")}

    def _pieces(self, space: str) -> list[Piece]:
        return [Piece(v.name, v.size, 1, v.values) for v in self.program.variables_in(space)]

    def _addresses(self) -> dict[str, int]:
        """Variables by name, with the address of each."""
        memories = (
            (self.shared, SHARED_SHIFT, 0),
            (self.local, LOCAL_SHIFT, 0),
            (self.constants, GLOBAL_SHIFT, CONSTANTS),
        )
        return {
            piece.name: (number + 1 << shift) + base
            for pieces, shift, base in memories
            for number, piece in enumerate(pieces)
        }

    def _cell(self, space: str) -> int:
        """The least that the program reads or writes at once there: what races are told apart by."""
        sizes = [
            DTYPES[i.type].itemsize
            for i in self.program.instructions
            if i.name in ("ld", "st", "atom", "red") and i.space in (space, "generic")
        ]
        return min([4, *sizes])
