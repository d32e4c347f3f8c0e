"""The threads of a launch: who they are, what their registers hold, and where each of them stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from dltutor.emulate import memory
from dltutor.emulate.arguments import Arguments
from dltutor.emulate.layout import Layout
from dltutor.emulate.memory import GLOBAL_SHIFT, LOCAL_SHIFT, SHARED_SHIFT, Shadow, Space
from dltutor.emulate.ptx import Instruction
from dltutor.emulate.report import WARP, Counts, Fault, KernelFault
from dltutor.i18n import _

Array = Any
Dimensions = int | tuple[int, ...]

AT_ONCE = 8192  # threads that run together; blocks beyond come after them
END = 1 << 30  # where a thread goes that has returned


class Launch:
    """One launch: its memory, its numbers so far."""

    def __init__(self, layout: Layout, blocks: Dimensions, threads: Dimensions, arguments: Arguments) -> None:
        self.layout = layout
        self.blocks, self.threads = dimensions(blocks), dimensions(threads)
        self.per_block = int(np.prod(self.threads))
        self.arguments = arguments
        self.memory = arguments.space
        self.constants = Space(layout.constants, GLOBAL_SHIFT)
        self.parameters = dict(zip(layout.parameter_names, arguments.flat, strict=True))
        self.shadow = Shadow(self.memory, layout.cells["global"], layout.warp_sync)
        self.counts = [Counts() for _instruction in layout.program.instructions]
        self.visits: Counter[int] = Counter()  # of blocks of instructions, by warps
        self.threads_in: Counter[int] = Counter()
        self.faults: dict[tuple[str, int], Fault] = {}

    def batches(self) -> Iterator[Array]:
        """Blocks to run together."""
        count, together = int(np.prod(self.blocks)), max(AT_ONCE // self.per_block, 1)
        for first in range(0, count, together):
            yield np.arange(first, min(first + together, count))

    def note(self, fault: Fault, index: int) -> None:
        """Keep a fault that does not stop the launch, once an instruction."""
        before = self.faults.get((fault.kind, index))
        count = fault.count + (before.count if before else 0)
        kept = before or fault
        self.faults[fault.kind, index] = Fault(
            kept.kind, kept.message, kept.hint, kept.place, kept.instruction, count
        )  # fmt: skip


class Run:
    """Some blocks of a launch: their threads' registers, and where each of them stands."""

    def __init__(self, layout: Layout, launching: Launch, blocks: Array) -> None:
        self.launching = launching
        self.parameters = launching.parameters
        per_block = launching.per_block
        self.size: int = per_block * len(blocks)
        size = self.size
        self.local_block = np.repeat(np.arange(len(blocks)), per_block)
        self.block, self.thread = np.repeat(blocks, per_block), np.tile(np.arange(per_block), len(blocks))
        warps_per_block = -(-per_block // WARP)
        self.lane = self.thread % WARP
        self.warp = self.local_block * warps_per_block + self.thread // WARP
        self.first_of_warp = np.arange(size) - self.lane
        self.special = self._special_registers(launching)
        self.registers = [np.zeros(size, dtype) for dtype in layout.dtypes]
        self.stamp = memory.stamp(self.block, self.thread)
        self.shared = Space(layout.shared, SHARED_SHIFT, len(blocks))
        self.local = Space(layout.local, LOCAL_SHIFT, size)
        self.shared_shadow = Shadow(self.shared, layout.cells["shared"], layout.warp_sync)
        self.position = np.zeros(size, np.int64)
        self.waiting = np.zeros(size, bool)  # at the barrier in front of `position`

    def _special_registers(self, launching: Launch) -> dict[str, Array]:
        found: dict[str, Array] = {"%laneid": self.lane, "%warpid": self.thread // WARP}
        for name, number, (x, y, z) in (
            ("tid", self.thread, launching.threads),
            ("ctaid", self.block, launching.blocks),
        ):
            found |= {f"%{name}.x": number % x, f"%{name}.y": number // x % y, f"%{name}.z": number // (x * y)}
            found |= {
                f"%n{name}.{axis}": np.full(self.size, count) for axis, count in zip("xyz", (x, y, z), strict=True)
            }
        found |= lane_masks(self.lane)
        return {name: value.astype(np.uint32) for name, value in found.items()}

    def next_group(self) -> Group | None:
        """The threads furthest behind, or None when all have returned or wait at a barrier."""
        standing = np.where(self.waiting, END, self.position)
        first = standing.min(initial=END)
        return None if first >= END else Group(self, np.flatnonzero(standing == first))

    def ready(self) -> int:
        return int(np.count_nonzero((self.position < END) & ~self.waiting))


class Group:
    """Threads that run an instruction together."""

    def __init__(self, run: Run, ids: Array) -> None:
        self.ids = ids
        self.count = len(ids)
        self.everyone = self.count == run.size
        self.at: Any = slice(None) if self.everyone else ids  # what picks their numbers out of a register
        self.run = run

    @cached_property
    def warp(self) -> Array:
        return self.run.warp[self.at]

    @cached_property
    def warps(self) -> int:
        return memory.distinct(self.warp)

    def where(self, chosen: Array) -> Group:
        """Those for which it is true."""
        return Group(self.run, self.ids[np.broadcast_to(chosen, self.ids.shape)])


def dimensions(size: Dimensions) -> tuple[int, int, int]:
    x, y, z, *_none = (*(size if isinstance(size, tuple) else (size,)), 1, 1)
    return int(x), int(y), int(z)


def lane_masks(lane: Array) -> dict[str, Array]:
    bit = np.int64(1) << lane
    below = bit - 1
    masks = {"eq": bit, "lt": below, "le": below | bit, "gt": ~(below | bit), "ge": ~below}
    return {f"%lanemask_{name}": mask & 0xFFFFFFFF for name, mask in masks.items()}


def mask_of(group: Group, lane: Array, chosen: Array | None = None) -> Array:
    """For each thread, the lanes of its warp as bits: all that are in the group, or those chosen."""
    ones = np.int64(1) << lane
    sums = np.zeros(int(group.warp.max()) + 1, np.int64)
    np.bitwise_or.at(sums, group.warp, ones if chosen is None else np.where(chosen, ones, 0))
    return sums[group.warp]


def fault(kind: str, instruction: Instruction, message: str, hint: str, group: Group) -> KernelFault:
    where = _("(thread {thread} of block {block})")
    if group.count > 1:
        where = _("(thread {thread} of block {block} and {count} more)")
    where = where.format(thread=coordinates(group, "tid"), block=coordinates(group, "ctaid"), count=group.count - 1)
    said = f"{message} {where}"
    return KernelFault(Fault(kind, said, hint, instruction.place, instruction.text, group.count))


def coordinates(group: Group, name: str) -> str:
    """Where the first thread is: (3, 0, 1), or 3 where only x counts."""
    first = group.ids[0]
    x, y, z = (int(group.run.special[f"%{name}.{axis}"][first]) for axis in "xyz")
    return f"({x}, {y}, {z})" if y or z else str(x)
