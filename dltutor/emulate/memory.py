"""The memories of a graphics card, with what a debugger adds: bounds of every array, and who touched which number last.

Arrays stand far apart in the address space, so that an address tells which array was meant, even one far outside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any

SECTOR = 32  # bytes: the least that comes from global memory
BANKS = 32  # of shared memory: it serves one word of 4 bytes from each at a time
WORD = 4
ALIGNMENT = 256  # where arrays start, as CUDA allocates them: so sectors and banks come out as on a card

GLOBAL_SHIFT, SHARED_SHIFT, LOCAL_SHIFT = 40, 24, 24  # how far apart arrays stand: 2^shift bytes
# where the other memories appear in addresses that tell the memory themselves
CONSTANTS, SHARED_WINDOW, LOCAL_WINDOW = 1 << 59, 1 << 60, 1 << 61


@dataclass(frozen=True)
class Piece:
    """One array in a memory."""

    name: str
    size: int  # bytes
    item: int = 1  # bytes in a number
    values: bytes = b""


class Space:
    """A memory made of pieces; where each block or thread has its own, `copies` of it.

    The address of a piece is its number times 2^shift, counted from 1; its bytes stand in `bytes`, one piece after
    the other, one copy after the other.
    """

    def __init__(self, pieces: Sequence[Piece], shift: int, copies: int = 1) -> None:
        self.pieces = tuple(pieces)
        self.shift = shift
        sizes = np.array([piece.size for piece in pieces], np.int64)
        rounded = -(-sizes // ALIGNMENT) * ALIGNMENT
        self.starts = np.r_[np.cumsum(rounded) - rounded, 0, 0].astype(np.int64)
        self.limits = np.r_[sizes, 0, 0].astype(np.int64)  # [-1] and [len(pieces)] are no pieces: size 0
        self.stride = int(rounded.sum())
        self.bytes = np.zeros(max(self.stride * copies, 16), np.uint8)
        self.views: dict[Any, Array] = {}
        for number, piece in enumerate(pieces):
            for copy in range(copies if piece.values else 0):
                start = copy * self.stride + self.starts[number]
                self.bytes[start : start + len(piece.values)] = np.frombuffer(piece.values, np.uint8)

    def address(self, number: int) -> int:
        return (number + 1) << self.shift

    def piece_of(self, address: int) -> tuple[int, int]:
        """The piece that an address, maybe a wrong one, lies nearest to; and how many bytes behind its start."""
        number = min(max((address + (1 << self.shift - 1)) >> self.shift, 1), max(len(self.pieces), 1)) - 1
        return number, address - self.address(number)

    def locate(self, address: Array, copy: Array, size: int) -> tuple[Array, Array]:
        """Where in `bytes` the addresses are, and which of them are out of bounds."""
        number = np.minimum(np.maximum((address >> self.shift) - 1, -1), len(self.pieces))
        offset = address & ((1 << self.shift) - 1)
        outside = offset + size > self.limits[number]
        return self.starts[number] + offset + copy * self.stride, outside

    def view(self, dtype: Any) -> Array:
        """All bytes as numbers of that type."""
        if dtype not in self.views:
            self.views[dtype] = self.bytes[: self.bytes.size // dtype.itemsize * dtype.itemsize].view(dtype)
        return self.views[dtype]


# ---------------------------------------------------------------- races

NOBODY, SEVERAL_BLOCKS = np.int64(-1), np.int64(-2)
THREAD_BITS, INTERVAL_BITS = 11, 28
ALL = np.int64((1 << THREAD_BITS) - 1)  # stands for several threads of one block; a block has at most 1024
ATOMIC = np.int64(1 << 62)
NEXT_INTERVAL = np.int64(1 << THREAD_BITS)


def stamp(block: Array, thread: Array) -> Array:
    """Who touches memory: a block, the interval between two of its barriers, a thread in it, in one number."""
    return (block.astype(np.int64) << (THREAD_BITS + INTERVAL_BITS)) | thread


def block_of(stamps: Array) -> Array:
    return (stamps & ~ATOMIC) >> (THREAD_BITS + INTERVAL_BITS)


def thread_of(stamps: Array) -> Array:
    return stamps & ALL


def unordered(old: Array, mine: Array) -> Array:
    """Whether nothing orders the two: they are in different blocks, or between the same two barriers of one."""
    touched = old != NOBODY
    if not touched.any():
        return touched
    blocks = block_of(old) != block_of(mine)
    together = ((old ^ mine) & ~ATOMIC) >> THREAD_BITS == 0
    both_atomic = (old & mine & ATOMIC != 0) & (old >= 0)
    return touched & ((old & ~ATOMIC) != (mine & ~ATOMIC)) & (blocks | together) & ~both_atomic


def joined(old: Array, mine: Array) -> Array:
    """The readers so far and one more: itself, several threads of a block, or threads of several blocks."""
    alone = (old == NOBODY) | (old == mine)
    if alone.all():
        return mine
    blocks = block_of(old) != block_of(mine)
    together = old >> THREAD_BITS == mine >> THREAD_BITS
    merged = np.where(blocks, SEVERAL_BLOCKS, np.where(together, mine | ALL, mine))
    return np.where(alone, mine, merged)


@dataclass(frozen=True)
class Race:
    """Two threads at one number, one of them writing, and nothing that decides who is first."""

    who: Array  # of the threads that an instruction runs for, those that race
    other: int  # the instruction that another thread ran before it
    what: str  # "read", "write": what that one did


class Shadow:
    """For every cell of a memory, who wrote and who read it last, and by which instruction.

    `warps` says that the program orders the threads of a warp by itself (syncwarp): then they do not race.
    """

    def __init__(self, space: Space, cell: int, warps: bool) -> None:
        self.cell, self.warps = cell, warps
        count = space.bytes.size // cell + 1
        self.writer = np.full(count, NOBODY)
        self.reader = np.full(count, NOBODY)
        self.writer_at = np.zeros(count, np.int32)
        self.reader_at = np.zeros(count, np.int32)

    def cells(self, place: Array, size: int, mine: Array) -> tuple[Array, Array]:
        """The cells of an access of `size` bytes, and whose they are: one for each thread, or as many as it covers."""
        first = place // self.cell
        if size <= self.cell:
            return first, mine
        several = np.arange(size // self.cell)
        return (first[:, None] + several).ravel(), np.repeat(mine, several.size)

    def read(self, cells: Array, mine: Array, at: int) -> list[Race]:
        """Note a read; where another thread may write at the same time."""
        races = self._races("write", cells, mine)
        self._join_readers(cells, joined(self.reader[cells], mine))
        self.reader_at[cells] = at
        return races

    def write(self, cells: Array, mine: Array, at: int, unchanged: Array) -> list[Race]:
        """Note a write; where another thread may write something else, or read, at the same time."""
        races = self._races("write", cells, mine, ~unchanged) + self._races("read", cells, mine)
        self.writer[cells] = mine
        self.writer_at[cells] = at
        return races

    def unwritten(self, cells: Array) -> Array:
        return self.writer[cells] == NOBODY

    def _races(self, what: str, cells: Array, mine: Array, where: Any = True) -> list[Race]:
        last, last_at = (self.writer, self.writer_at) if what == "write" else (self.reader, self.reader_at)
        old = last[cells]
        racing = unordered(old, mine) & where
        if self.warps:
            racing &= (block_of(old) != block_of(mine)) | (thread_of(old) // 32 != thread_of(mine) // 32)
        return [Race(racing, int(last_at[cells[racing][0]]), what)] if racing.any() else []

    def _join_readers(self, cells: Array, readers: Array) -> None:
        """Where several threads read one cell, NumPy keeps one of them: join until all are in."""
        while cells.size:
            self.reader[cells] = readers
            kept = self.reader[cells]
            together = joined(kept, readers)
            lost = together != kept
            cells, readers = cells[lost], together[lost]


# ---------------------------------------------------------------- what a profiler counts


def sectors(warp: Array, place: Array) -> int:
    """How many sectors of 32 bytes the warps ask for: 4 a warp where its threads read 32 neighbours."""
    return distinct((warp << np.int64(40)) | (place // SECTOR))


def wavefronts(warp: Array, lane: Array, place: Array, size: int) -> tuple[int, int]:
    """How many times shared memory is asked, and how many it would be without bank conflicts.

    Of a warp that moves 8 or 16 bytes a thread, a half or a quarter is served at a time.
    """
    words = max(size // WORD, 1)
    phase = warp * words + lane.astype(np.int64) * words // 32
    word = place // WORD
    if words > 1:
        phase, word = np.repeat(phase, words), (word[:, None] + np.arange(words)).ravel()
    asked = np.unique((phase << np.int64(32)) | word)  # one word for several threads is sent once
    banks, load = np.unique((asked >> np.int64(32) << np.int64(5)) | (asked & (BANKS - 1)), return_counts=True)
    phases, first = np.unique(banks >> np.int64(5), return_index=True)
    return int(np.maximum.reduceat(load, first).sum()), phases.size


def distinct(keys: Array) -> int:
    ordered = np.sort(keys)
    return int(1 + np.count_nonzero(ordered[1:] != ordered[:-1]))
