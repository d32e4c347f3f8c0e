"""Loads, stores and atomic operations: find the bytes, check that they may be touched, count what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dltutor.emulate import memory
from dltutor.emulate.arithmetic import DTYPES
from dltutor.emulate.layout import Layout
from dltutor.emulate.memory import CONSTANTS, LOCAL_WINDOW, SHARED_WINDOW, Piece, Shadow, Space
from dltutor.emulate.ptx import Instruction
from dltutor.emulate.report import KernelFault
from dltutor.emulate.threads import Group, Run, fault
from dltutor.i18n import _

Array = Any


class Access:
    """A load or a store: finds the bytes, checks and counts."""

    def __init__(
        self, layout: Layout, index: int, instruction: Instruction, address: Callable[[Run, Group], Array], width: int
    ) -> None:
        self.layout, self.index, self.instruction, self.address = layout, index, instruction, address
        self.width, self.dtype = width, DTYPES[instruction.type]
        self.size = width * self.dtype.itemsize
        self.space = instruction.space

    def read(self, run: Run, group: Group) -> list[Array]:
        """`width` numbers for each thread."""
        found = [np.zeros(group.count, self.dtype) for _number in range(self.width)]
        for space, chosen, part, address in self._parts(run, group):
            place, view = self._find(run, part, space, address, "reads")
            self._note_read(run, part, space, place)
            for number in range(self.width):
                found[number][chosen] = view[place // self.dtype.itemsize + number]
        return found

    def write(self, run: Run, group: Group, values: list[Array]) -> None:
        given = [np.broadcast_to(np.asarray(value, self.dtype), group.count) for value in values]
        for space, chosen, part, address in self._parts(run, group):
            place, view = self._find(run, part, space, address, "writes")
            first = place // self.dtype.itemsize
            mine = [value[chosen] for value in given]
            self._note_write(run, part, space, place, mine, view)
            for number in range(self.width):
                view[first + number] = mine[number]
            self._check_kept(run, part, space, first, mine, view)

    def change(self, run: Run, group: Group, function: Callable[..., Array], values: list[Array]) -> Array:
        """An atomic operation: one thread after the other."""
        given = [np.broadcast_to(np.asarray(value, self.dtype), group.count) for value in values]
        found = np.zeros(group.count, self.dtype)
        for space, chosen, part, address in self._parts(run, group):
            place, view = self._find(run, part, space, address, "writes")
            stamps = run.stamp[part.at] | memory.ATOMIC
            note = lambda shadow, cells, who: shadow.write(cells, who, self.index, np.False_)  # noqa: E731
            self._races(run, part, space, place, note, stamps)
            found[chosen] = one_by_one(view, place // self.dtype.itemsize, function, [value[chosen] for value in given])
        return found

    # ------------------------------------------------------------ where

    def _parts(self, run: Run, group: Group) -> Iterator[tuple[str, Any, Group, Array]]:
        """The memories that the threads mean: one, unless their addresses tell them and differ."""
        address = self.address(run, group)
        if self.space in ("shared", "local"):
            yield self.space, slice(None), group, address
            return
        if (address < CONSTANTS).all():
            yield "global", slice(None), group, address
            return
        kinds = np.where(address >= LOCAL_WINDOW, 2, np.where(address >= SHARED_WINDOW, 1, 0))
        kinds = np.where((address >= CONSTANTS) & (address < SHARED_WINDOW), 3, kinds)
        for kind in np.unique(kinds):
            name = ("global", "shared", "local", "const")[kind]
            offset = (0, SHARED_WINDOW, LOCAL_WINDOW, CONSTANTS)[kind]
            chosen = kinds == kind
            yield name, chosen, group if chosen.all() else group.where(chosen), address[chosen] - offset

    def _memory(self, run: Run, group: Group, space: str) -> tuple[Space, Array]:
        """The memory, and which copy of it each thread has."""
        if space == "shared":
            return run.shared, run.local_block[group.at]
        if space == "local":
            return run.local, group.ids
        return run.launching.constants if space == "const" else run.launching.memory, np.int64(0)

    def _find(self, run: Run, group: Group, space: str, address: Array, does: str) -> tuple[Array, Array]:
        """The place of each access among the bytes, and these as numbers of its type."""
        found, copy = self._memory(run, group, space)
        place, outside = found.locate(address, copy, self.size)
        if outside.any():
            raise self._outside(group, found, address, outside, does)
        if (address & (self.size - 1)).any():
            raise self._misaligned(group.where(address & (self.size - 1) != 0), address)
        self._count(run, group, space, place)
        return place, found.view(self.dtype)

    def _count(self, run: Run, group: Group, space: str, place: Array) -> None:
        counts = run.launching.counts[self.index]
        if space == "global":
            counts.requests += group.warps
            counts.sectors += memory.sectors(group.warp, place)
        elif space == "shared":
            asked, least = memory.wavefronts(group.warp, run.lane[group.at], place, self.size)
            counts.wavefronts += asked
            counts.without_conflicts += least

    # ------------------------------------------------------------ checks

    def _outside(self, group: Group, space: Space, address: Array, outside: Array, does: str) -> KernelFault:
        number, offset = space.piece_of(int(address[outside][0]))
        piece = space.pieces[number] if space.pieces else Piece("?", 0)
        item = self.dtype.itemsize if self.space == "shared" else piece.item
        message = _("{kernel} {does} number {index} of {array}, which has {count}").format(
            kernel=self.layout.kernel, does=_("writes") if does == "writes" else _("reads"), index=offset // item,
            array=friendly(piece.name), count=piece.size // item,
        )  # fmt: skip
        hint = _("Numbers count from 0. Test the index before: if i < x.size.")
        return fault("bounds", self.instruction, message, hint, group.where(outside))

    def _misaligned(self, group: Group, address: Array) -> KernelFault:
        message = _("{kernel}: an access of {size} bytes must start at a multiple of {size}").format(
            kernel=self.layout.kernel, size=self.size
        )
        hint = _("Give wide accesses arrays whose rows are a multiple of that long.")
        return fault("misaligned", self.instruction, message, hint, group)

    def _shadow(self, run: Run, space: str) -> Shadow | None:
        return {"shared": run.shared_shadow, "global": run.launching.shadow}.get(space)

    def _note_read(self, run: Run, group: Group, space: str, place: Array) -> None:
        def note(shadow: Shadow, cells: Array, stamps: Array) -> list[memory.Race]:
            if space == "shared":
                self._check_written(run, group, shadow, cells)
            return shadow.read(cells, stamps, self.index)

        self._races(run, group, space, place, note, run.stamp[group.at])

    def _note_write(self, run: Run, group: Group, space: str, place: Array, values: list[Array], view: Array) -> None:
        first = place // self.dtype.itemsize

        def note(shadow: Shadow, cells: Array, stamps: Array) -> list[memory.Race]:
            same = [bits(view[first + number]) == bits(value) for number, value in enumerate(values)]
            unchanged = np.repeat(np.stack(same, 1).ravel(), max(self.dtype.itemsize // shadow.cell, 1))
            return shadow.write(cells, stamps, self.index, unchanged)

        self._races(run, group, space, place, note, run.stamp[group.at])

    def _races(self, run: Run, group: Group, space: str, place: Array, note: Any, stamps: Array) -> None:
        shadow = self._shadow(run, space)
        if shadow is None:
            return
        cells, stamps = shadow.cells(place, self.size, stamps)
        for race in note(shadow, cells, stamps):
            threads = race.who.reshape(group.count, -1).any(axis=1)
            self._report_race(run, group.where(threads), space, int(place[threads][0]), race)

    def _report_race(self, run: Run, group: Group, space: str, place: int, race: memory.Race) -> None:
        other = self.layout.program.instructions[race.other].place
        message = _("{kernel} {does} {array} while another thread {did} it in line {line}").format(
            kernel=self.layout.kernel,
            does=_("reads") if self.instruction.name == "ld" else _("writes"),
            did=_("reads") if race.what == "read" else _("writes"),
            array=friendly(self._name_at(run, space, place)),
            line=other.line if other.file == self.instruction.place.file else other,
        )  # fmt: skip
        if space == "shared":
            hint = _("Put cuda.syncthreads() between the two lines.")
        else:
            hint = _("Give each number to one thread only, or use another kernel for the second step.")
        run.launching.note(fault("race", self.instruction, message, hint, group).fault, self.index)

    def _name_at(self, run: Run, space: str, place: int) -> str:
        found = run.shared if space == "shared" else run.launching.memory
        starts = found.starts[: len(found.pieces)]
        inside = place % found.stride if space == "shared" and found.stride else place
        return found.pieces[int(np.searchsorted(starts, inside, "right")) - 1].name

    def _check_kept(self, run: Run, group: Group, space: str, first: Array, values: list[Array], view: Array) -> None:
        """Of threads that write different values to one place at once, all but one find another's there."""
        if self._shadow(run, space) is None:
            return
        lost = np.zeros(group.count, bool)
        for number, value in enumerate(values):
            lost |= bits(view[first + number]) != bits(value)
        if lost.any():
            race = memory.Race(lost, self.index, "write")
            self._report_race(run, group.where(lost), space, int(first[lost][0]) * self.dtype.itemsize, race)

    def _check_written(self, run: Run, group: Group, shadow: Shadow, cells: Array) -> None:
        empty = shadow.unwritten(cells)
        if empty.any():
            chosen = group.where(empty.reshape(group.count, -1).any(axis=1))
            message = _("{kernel} reads shared memory that no thread has written").format(kernel=self.layout.kernel)
            hint = _("It starts with anything. Fill all of it, also where the input has ended.")
            found = fault("uninitialised", self.instruction, message, hint, chosen).fault
            run.launching.note(found, self.index)


def one_by_one(view: Array, places: Array, function: Callable[..., Array], values: list[Array]) -> Array:
    """Change each place in turn; what was there before."""
    before = np.zeros(len(places), view.dtype)
    for number, place in enumerate(places):
        before[number] = view[place]
        view[place] = function(view[place], *(value[number] for value in values))
    return before


def bits(values: Array) -> Array:
    """For comparing: NaN is NaN."""
    return values.view(f"u{values.dtype.itemsize}")


def friendly(name: str) -> str:
    """Numba calls shared arrays _cudapy_smem_1 and so on."""
    return _("a shared array") if name.startswith("_cudapy_smem") else name
