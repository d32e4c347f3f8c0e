"""Runs compiled PTX on the processor: every thread of the grid, with every access checked and counted.

    report = launch(softmax_forward_cuda, 4, 32, (x, p))
    report.sectors_per_request, report.bank_factor, report.faults

All threads that stand at the same instruction run it together, as one NumPy operation. Of threads at different
instructions, those furthest behind go first; so they meet again behind a branch, as a card's do.

A thread that leaves its arrays, misses a barrier or never ends stops the launch with a KernelFault. Races, shared
memory read before it was written, and shuffles with threads that are not there are collected in the report. Each says
the kernel, the line of Python and the PTX instruction.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np

from dltutor.emulate import memory
from dltutor.emulate.arithmetic import DTYPES, Operation, operation
from dltutor.emulate.front import H100, Capability, Compiled, compiled
from dltutor.emulate.memory import Piece, Shadow, Space
from dltutor.emulate.ptx import Instruction, Place, Program, parse
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels.compile import CudaKernel, argument_names

Array = Any
Dimensions = int | tuple[int, ...]
Read = Callable[["Run", "Group"], Array]
Step = Callable[["Run", "Group"], None]
Jump = Callable[["Run", "Group"], Any]  # where its threads go on: an instruction for all of them, or one for each

WARP = 32
AT_ONCE = 8192  # threads that run together; blocks beyond come after them
ENDLESS = 5_000_000  # groups of instructions after which a launch counts as endless
END = 1 << 30  # where a thread goes that has returned
GLOBAL_SHIFT, SHARED_SHIFT, LOCAL_SHIFT = 40, 24, 24
SHARED_WINDOW, LOCAL_WINDOW = 1 << 60, 1 << 61  # where other memories appear in addresses that tell it themselves

LEAVING = ("bra", "ret", "exit", "trap")
BARRIERS = ("bar", "barrier")


# ---------------------------------------------------------------- what a launch tells


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
        where = _("{place}: {source}").format(place=self.place, source=self.place.source)
        return f"{self.message}\n{where}\nPTX: {self.instruction}"


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
        """The same for each line of Python."""
        found: dict[Place, Counts] = {}
        for instruction, counts in zip(self.program.instructions, self.counts, strict=True):
            found[instruction.place] = found.get(instruction.place, Counts()) + counts
        return found

    def require_sound(self) -> None:
        """Raise the first fault."""
        if self.faults:
            raise KernelFault(self.faults[0])


def launch(
    kernel: CudaKernel,
    blocks: Dimensions,
    threads: Dimensions,
    arguments: Sequence[Any],
    capability: Capability = H100,
) -> Report:
    """Run one of our kernels over NumPy arrays, which it writes to, and numbers.

    Raises KernelFault where it cannot go on.
    """
    machine = assembled(compiled(kernel), capability)
    return machine.launch(argument_names(kernel.py_func), blocks, threads, arguments)


def launch_compiled(
    kernel: Compiled,
    blocks: Dimensions,
    threads: Dimensions,
    arguments: Sequence[Any],
    capability: Capability = H100,
    limit: int = ENDLESS,
) -> Report:
    """The same for any compiled function."""
    return assembled(kernel, capability).launch(kernel.names, blocks, threads, arguments, limit)


@cache
def assembled(kernel: Compiled, capability: Capability) -> Assembly:
    return Assembly(kernel.name, parse(kernel.ptx(capability)), kernel.arguments)


# ---------------------------------------------------------------- arguments


class Arguments:
    """What the host gives, as a card gets it: arrays in global memory, then a flat list of numbers."""

    def __init__(self, names: Sequence[str], types: Sequence[Any], values: Sequence[Any]) -> None:
        require_matching(names, types, values)
        self.arrays = [value for value in values if isinstance(value, np.ndarray)]
        array_names = [name for name, value in zip(names, values, strict=True) if isinstance(value, np.ndarray)]
        self.homes, pieces = overlapping(self.arrays, array_names)
        self.space = Space(pieces, GLOBAL_SHIFT)
        self.flat = list(self._flatten(types, values))

    def _flatten(self, types: Sequence[Any], values: Sequence[Any]) -> Iterator[Any]:
        places = iter(self.homes)
        for kind, value in zip(types, values, strict=True):
            if isinstance(value, np.ndarray):
                piece, offset = next(places)
                yield from flatten(value, self.space.address(piece) + offset)
            else:
                yield scalar_of(kind, value)

    def upload(self) -> None:
        for array, inside in zip(self.arrays, self._insides(), strict=True):
            inside[...] = array.view(np.uint8).reshape(-1) if array.size else inside

    def download(self) -> None:
        for array, inside in zip(self.arrays, self._insides(), strict=True):
            if array.size and array.flags.writeable:
                array.reshape(-1).view(np.uint8)[...] = inside

    def _insides(self) -> Iterator[Array]:
        for array, (piece, offset) in zip(self.arrays, self.homes, strict=True):
            start = int(self.space.starts[piece]) + offset
            yield self.space.bytes[start : start + array.nbytes]


def flatten(array: Array, address: int) -> list[int]:
    """An array as Numba hands it to a kernel: two pointers of the host, sizes, the data, shape and strides."""
    return [0, 0, array.size, array.itemsize, address, *array.shape, *array.strides]


def scalar_of(kind: Any, value: Any) -> Any:
    from numba.np.numpy_support import as_dtype

    return as_dtype(kind).type(value)


def require_matching(names: Sequence[str], types: Sequence[Any], values: Sequence[Any]) -> None:
    if len(values) != len(types):
        message = _("{given} arguments for a kernel that takes {wanted}").format(given=len(values), wanted=len(types))
        raise DltutorError(message, _("It takes: {names}").format(names=", ".join(names)))
    for name, kind, value in zip(names, types, values, strict=True):
        if problem := mismatch(kind, value):
            raise DltutorError(_("argument {name}: {problem}").format(name=name, problem=problem))


def mismatch(kind: Any, value: Any) -> str:
    """Why a value cannot be the argument; empty where it can."""
    axes = getattr(kind, "ndim", None)
    if (axes is not None) != isinstance(value, np.ndarray):
        return _("{value} where the kernel takes {kind}").format(value=type(value).__name__, kind=kind)
    if axes is None:
        return ""
    if value.ndim != axes or value.dtype.name != str(kind.dtype):
        found = _("{dtype} with {axes} axes").format(dtype=value.dtype, axes=value.ndim)
        return _("{value} where the kernel takes {kind}").format(value=found, kind=kind)
    return "" if value.flags.c_contiguous else _("its rows do not follow one another in memory")


def overlapping(arrays: Sequence[Array], names: Sequence[str]) -> tuple[list[tuple[int, int]], list[Piece]]:
    """Arrays that share memory share it on the card, too: each is found in a piece, some bytes behind its start."""
    homes: list[tuple[int, int]] = [(0, 0)] * len(arrays)
    pieces: list[Piece] = []
    start = end = -1
    # the empty ones first: they overlap nothing, wherever they are
    for k in sorted(range(len(arrays)), key=lambda k: (arrays[k].size > 0, address_of(arrays[k]), -arrays[k].nbytes)):
        first, size = address_of(arrays[k]), arrays[k].nbytes
        if size and first < end:
            end = max(end, first + size)
            joint = "/".join((pieces[-1].name, names[k]))
            pieces[-1] = Piece(joint, end - start, min(pieces[-1].item, arrays[k].itemsize))
        else:
            start, end = first, first + size if size else -1
            pieces.append(Piece(names[k], size, arrays[k].itemsize))
        homes[k] = (len(pieces) - 1, first - start)
    return homes, pieces


def address_of(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


# ---------------------------------------------------------------- threads


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


class Run:
    """Some blocks of a launch: their threads' registers, and where each of them stands."""

    def __init__(self, assembly: Assembly, launching: Launch, blocks: Array) -> None:
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
        self.registers = [np.zeros(size, dtype) for dtype in assembly.dtypes]
        self.stamp = memory.stamp(self.block, self.thread)
        self.shared = Space(assembly.shared, SHARED_SHIFT, len(blocks))
        self.local = Space(assembly.local, LOCAL_SHIFT, size)
        self.shared_shadow = Shadow(self.shared, assembly.cell("shared"), assembly.warp_sync)
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


def lane_masks(lane: Array) -> dict[str, Array]:
    bit = np.int64(1) << lane
    below = bit - 1
    masks = {"eq": bit, "lt": below, "le": below | bit, "gt": ~(below | bit), "ge": ~below}
    return {f"%lanemask_{name}": mask & 0xFFFFFFFF for name, mask in masks.items()}


class Launch:
    """One launch: its memory, its numbers so far."""

    def __init__(self, assembly: Assembly, blocks: Dimensions, threads: Dimensions, arguments: Arguments) -> None:
        self.assembly = assembly
        self.blocks, self.threads = dimensions(blocks), dimensions(threads)
        self.per_block = int(np.prod(self.threads))
        self.arguments = arguments
        self.memory = arguments.space
        self.constants = Space(assembly.constants, GLOBAL_SHIFT)
        self.parameters = dict(zip(assembly.parameter_names, arguments.flat, strict=True))
        self.shadow = Shadow(self.memory, assembly.cell("global"), assembly.warp_sync)
        self.counts = [Counts() for _instruction in assembly.program.instructions]
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


# ---------------------------------------------------------------- a program made ready to run


@dataclass
class Block:
    """Instructions that run one after another, and the jump at their end."""

    first: int
    last: int  # behind the last one
    steps: list[Step]
    jump: Jump


class Assembly:
    """A program whose instructions have become Python functions."""

    def __init__(self, kernel: str, program: Program, types: Sequence[Any]) -> None:
        self.kernel, self.program, self.types = kernel, program, types
        self.parameter_names = [name for name, _kind in program.parameters]
        self.numbers = {name: number for number, name in enumerate(program.registers)}
        self.dtypes = [DTYPES[kind] for kind in program.registers.values()]
        self.shared, self.local = (self._pieces(space) for space in ("shared", "local"))
        self.constants = self._pieces("const") + self._pieces("global")
        self.warp_sync = any(i.name == "bar" and "warp" in i.modifiers for i in program.instructions)
        self.addresses = self._addresses()
        self.blocks = {block.first: block for block in self._blocks()}

    def _pieces(self, space: str) -> list[Piece]:
        return [Piece(v.name, v.size, 1, v.values) for v in self.program.variables_in(space)]

    def _addresses(self) -> dict[str, int]:
        """Variables by name, with the address of each."""
        found: dict[str, int] = {}
        shifts = ((self.shared, SHARED_SHIFT), (self.local, LOCAL_SHIFT), (self.constants, GLOBAL_SHIFT))
        for pieces, shift in shifts:
            found |= {piece.name: (number + 1) << shift for number, piece in enumerate(pieces)}
        return {name: address + CONSTANTS * (name in self._constant_names) for name, address in found.items()}

    @property
    def _constant_names(self) -> set[str]:
        return {piece.name for piece in self.constants}

    def cell(self, space: str) -> int:
        """The least that the program reads or writes at once there: what races are told apart by."""
        sizes = [
            DTYPES[i.type].itemsize
            for i in self.program.instructions
            if i.name in ("ld", "st", "atom", "red") and i.space in (space, "generic")
        ]
        return min([4, *sizes])

    # ------------------------------------------------------------ control

    def _blocks(self) -> Iterator[Block]:
        instructions = self.program.instructions
        starts = sorted({0, *self.program.labels.values(), *self._behind_leaving()} - {len(instructions)})
        for first, last in zip(starts, [*starts[1:], len(instructions)], strict=True):
            final = instructions[last - 1]
            leaves = final.name in LEAVING or is_barrier(final)
            body = range(first, last - 1 if leaves else last)
            steps = [self._step(index, instructions[index]) for index in body]
            behind = last if last < len(instructions) else END
            yield Block(first, last, steps, self._jump(last - 1, final) if leaves else go_to(behind))

    def _behind_leaving(self) -> Iterator[int]:
        for index, instruction in enumerate(self.program.instructions):
            if instruction.name in LEAVING or is_barrier(instruction):
                yield index + 1

    def _jump(self, index: int, instruction: Instruction) -> Jump:
        if is_barrier(instruction):
            return self._barrier(index, instruction)
        if instruction.name == "trap":
            return self._trap(instruction)
        target = self.program.labels[instruction.operands[0]] if instruction.name == "bra" else END
        if not instruction.guard:
            return go_to(target)
        return self._branch(index, instruction, target)

    def _branch(self, index: int, instruction: Instruction, target: int) -> Jump:
        taken = self._guard(instruction)

        def jump(run: Run, group: Group) -> Any:
            takes = taken(run, group)
            going = int(np.count_nonzero(takes))
            if going in (0, group.count):
                return target if going else index + 1
            warps = np.unique(group.warp[takes])
            others = np.unique(group.warp[~takes])
            run.launching.counts[index].divergent += np.intersect1d(warps, others, assume_unique=True).size
            return np.where(takes, target, index + 1)

        return jump

    def _barrier(self, index: int, instruction: Instruction) -> Jump:
        if instruction.guard or "red" in instruction.modifiers:
            raise self.unknown(instruction)

        def jump(run: Run, group: Group) -> int:
            run.waiting[group.at] = True
            return index + 1

        return jump

    def _trap(self, instruction: Instruction) -> Jump:
        def jump(run: Run, group: Group) -> int:
            message = _("{kernel} gave up on purpose").format(kernel=self.kernel)
            raise self.fault("trap", instruction, message, "", group)

        return jump

    # ------------------------------------------------------------ one instruction

    def _step(self, index: int, instruction: Instruction) -> Step:
        step = self._unguarded(index, instruction)
        if not instruction.guard:
            return step
        taken = self._guard(instruction)

        def guarded(run: Run, group: Group) -> None:
            chosen = group.where(taken(run, group))
            if chosen.count:
                step(run, chosen)

        return guarded

    def _unguarded(self, index: int, instruction: Instruction) -> Step:
        special = self.SPECIAL.get(instruction.name)
        if special is None or (instruction.name == "mov" and "{" not in "".join(instruction.operands)):
            return self._calculation(instruction)
        return special(self, index, instruction)

    def _calculation(self, instruction: Instruction) -> Step:
        found = operation(instruction)
        if found is None or len(instruction.operands) != len(found.takes) + 1:
            raise self.unknown(instruction)
        write = self._write(instruction.operands[0], found.result)
        reads = [self._read(text, kind) for text, kind in zip(instruction.operands[1:], found.takes, strict=True)]
        return calculation(found, reads, write)

    def _guard(self, instruction: Instruction) -> Read:
        return self._read(("!" if instruction.negated else "") + instruction.guard, "pred")

    def unknown(self, instruction: Instruction) -> DltutorError:
        message = _("{kernel} uses a PTX instruction that the interpreter does not know: {text}").format(
            kernel=self.kernel, text=instruction.text
        )
        return DltutorError(message, _("It comes from {place}.").format(place=instruction.place))

    # ------------------------------------------------------------ operands

    def _read(self, text: str, kind: str) -> Read:
        """What fetches an operand as that type, for the threads of a group."""
        if text.startswith("!"):
            plain = self._read(text[1:], kind)
            return lambda run, group: ~plain(run, group)
        if text in self.numbers:
            return self._read_register(text, kind)
        if text.startswith("%"):
            return self._read_special(text, DTYPES[kind])
        constant = self._constant(text, kind)
        return lambda _run, _group: constant

    def _read_register(self, name: str, kind: str) -> Read:
        number, dtype, declared = self.numbers[name], DTYPES[kind], DTYPES[self.program.registers[name]]
        if dtype == declared:
            return lambda run, group: run.registers[number][group.at]
        if dtype.itemsize == declared.itemsize:
            return lambda run, group: run.registers[number][group.at].view(dtype)
        low = np.dtype(f"u{dtype.itemsize}")  # of a larger register the lower part
        return lambda run, group: run.registers[number][group.at].astype(low).view(dtype)

    def _read_special(self, name: str, dtype: Any) -> Read:
        return lambda run, group: run.special[name][group.at].astype(dtype)

    def _constant(self, text: str, kind: str) -> Any:
        dtype = DTYPES[kind]
        if text[:2] in ("0f", "0F"):
            return number_of_bits(int(text[2:], 16), "<I", "<f4", dtype)
        if text[:2] in ("0d", "0D"):
            return number_of_bits(int(text[2:], 16), "<Q", "<f8", dtype)
        if text == "WARP_SZ":
            return dtype.type(WARP)
        name, _plus, offset = text.replace("generic(", "").replace(")", "").partition("+")
        value = self.addresses[name] + int(offset or 0) if name in self.addresses else int(text, 0)
        if dtype.kind == "b":
            return np.bool_(value)
        if dtype.kind == "f":
            return dtype.type(value)
        return np.array(value % (1 << 8 * dtype.itemsize), f"u{dtype.itemsize}").view(dtype)[()]

    def _write(self, text: str, kind: str) -> Callable[[Run, Group, Array], None]:
        """What puts a result of that type into a register; `_` throws it away."""
        if text == "_":
            return lambda _run, _group, _value: None
        number, dtype, declared = self.numbers[text], DTYPES[kind], DTYPES[self.program.registers[text]]

        def write(run: Run, group: Group, value: Array) -> None:
            run.registers[number][group.at] = value

        def write_bits(run: Run, group: Group, value: Array) -> None:
            value = np.asarray(value, dtype)
            if dtype.itemsize != declared.itemsize:
                signed = value.astype(f"{'i' if dtype.kind == 'i' else 'u'}{declared.itemsize}", copy=False)
                run.registers[number][group.at] = signed.view(declared)
            else:
                run.registers[number][group.at] = value.view(declared)

        return write if dtype == declared else write_bits

    def _address(self, text: str) -> Read:
        """[%rd1+4] or [name+4], as int64 for each thread."""
        name, offset = address_parts(text)
        if name in self.addresses:
            constant = np.int64(self.addresses[name] + offset)
            return lambda _run, group: np.full(group.count, constant)
        read = self._read(name, "s64" if DTYPES[self.program.registers[name]].itemsize == 8 else "u32")
        if offset:
            return lambda run, group: read(run, group).astype(np.int64) + offset
        return lambda run, group: read(run, group).astype(np.int64)

    # ------------------------------------------------------------ memory

    def _load(self, index: int, instruction: Instruction) -> Step:
        if instruction.space == "param":
            return self._load_parameter(instruction)
        target, source = instruction.operands
        names, kind = split_vector(target), instruction.type
        writes = [self._write(name, kind) for name in names]
        access = Access(self, index, instruction, self._address(source), len(names))

        def load(run: Run, group: Group) -> None:
            for number, values in enumerate(access.read(run, group)):
                writes[number](run, group, values)

        return load

    def _load_parameter(self, instruction: Instruction) -> Step:
        name, offset = address_parts(instruction.operands[1])
        if name not in self.parameter_names or offset:
            raise self.unknown(instruction)
        write, dtype = self._write(instruction.operands[0], instruction.type), DTYPES[instruction.type]

        def load(run: Run, group: Group) -> None:
            write(run, group, as_parameter(run.parameters[name], dtype))

        return load

    def _store(self, index: int, instruction: Instruction) -> Step:
        target, source = instruction.operands
        reads = [self._read(name, instruction.type) for name in split_vector(source)]
        access = Access(self, index, instruction, self._address(target), len(reads))
        return lambda run, group: access.write(run, group, [read(run, group) for read in reads])

    def _atomic(self, index: int, instruction: Instruction) -> Step:
        """atom gives the old value, red does not."""
        result, *operands = instruction.operands if instruction.name == "atom" else ("_", *instruction.operands)
        write, kind = self._write(result, instruction.type), instruction.type
        reads = [self._read(text, kind) for text in operands[1:]]
        access = Access(self, index, instruction, self._address(operands[0]), 1)
        change = next((ATOMICS[name] for name in instruction.modifiers if name in ATOMICS), None)
        if change is None:
            raise self.unknown(instruction)
        return lambda run, group: write(
            run, group, access.change(run, group, change, [read(run, group) for read in reads])
        )

    def _convert_address(self, _index: int, instruction: Instruction) -> Step:
        """cvta: between an address in one memory and one that tells the memory itself."""
        window = np.int64({"shared": SHARED_WINDOW, "local": LOCAL_WINDOW}.get(instruction.space, 0))
        if "to" in instruction.modifiers:
            window = -window
        write, read = self._write(instruction.operands[0], "s64"), self._read(instruction.operands[1], "s64")
        return lambda run, group: write(run, group, read(run, group) + window)

    def _pack(self, _index: int, instruction: Instruction) -> Step:
        """mov between one register and several halves of it."""
        target, source = instruction.operands
        kind = instruction.type
        if target.startswith("{"):
            return self._unpack(split_vector(target), source, kind)
        parts = split_vector(source)
        part = f"b{DTYPES[kind].itemsize * 8 // len(parts)}"
        bits, whole = DTYPES[part].itemsize * 8, DTYPES[kind.replace("f", "b")]
        write, reads = self._write(target, kind.replace("f", "b")), [self._read(text, part) for text in parts]

        def pack(run: Run, group: Group) -> None:
            pieces = (read(run, group).astype(whole) << whole.type(bits * n) for n, read in enumerate(reads))
            write(run, group, np.bitwise_or.reduce(np.broadcast_arrays(*pieces)))

        return pack

    def _unpack(self, targets: list[str], source: str, kind: str) -> Step:
        part = f"b{DTYPES[kind].itemsize * 8 // len(targets)}"
        bits, whole = DTYPES[part].itemsize * 8, DTYPES[kind.replace("f", "b")]
        writes, read = [self._write(name, part) for name in targets], self._read(source, kind.replace("f", "b"))

        def unpack(run: Run, group: Group) -> None:
            value = read(run, group)
            for number, write in enumerate(writes):
                write(run, group, (value >> whole.type(bits * number)).astype(DTYPES[part]))

        return unpack

    # ------------------------------------------------------------ threads of a warp together

    def _nothing(self, _index: int, _instruction: Instruction) -> Step:
        """Fences, and syncwarp: threads of a warp are never apart here but at branches."""
        return lambda _run, _group: None

    def _shuffle(self, index: int, instruction: Instruction) -> Step:
        mode = instruction.modifiers[1]
        target, value, *numbers = instruction.operands
        name, _bar, predicate = target.partition("|")
        write, write_inside = self._write(name, "b32"), self._write(predicate or "_", "pred")
        read, reads = self._read(value, "b32"), [self._read(text, "u32") for text in numbers]

        def shuffle(run: Run, group: Group) -> None:
            lane, clamp, members = (np.broadcast_to(r(run, group), group.count).astype(np.int64) for r in reads)
            source, inside = shuffle_source(mode, run.lane[group.at], lane, clamp)
            there = np.zeros(run.size + WARP, bool)
            there[group.ids] = True
            source = run.first_of_warp[group.at] + source
            self._check_shuffle(run, group, index, there[source], members)
            held = np.zeros(run.size + WARP, np.uint32)
            held[group.ids] = read(run, group)
            write(run, group, held[source])
            write_inside(run, group, inside)

        return shuffle

    def _check_shuffle(self, run: Run, group: Group, index: int, there: Array, members: Array) -> None:
        """The thread asked must take part, and so must all that the mask names."""
        lanes = run.lane[group.at]
        present = mask_of(group, lanes)
        threads = np.minimum(run.launching.per_block - (run.thread[group.at] - lanes), WARP)  # in this warp
        existing = (np.int64(1) << threads) - 1
        bad = ~there | (members & existing & ~present != 0) | (members >> lanes & 1 == 0)
        if bad.any():
            instruction = self.program.instructions[index]
            message = _("{kernel} exchanges numbers with threads that do not take part").format(kernel=self.kernel)
            hint = _("Every thread that the mask names must reach the shuffle: move it out of the branch.")
            run.launching.note(self.fault("shuffle", instruction, message, hint, group.where(bad)).fault, index)

    def _vote(self, _index: int, instruction: Instruction) -> Step:
        mode = instruction.modifiers[1]
        kind = "b32" if mode == "ballot" else "pred"
        write, read = self._write(instruction.operands[0], kind), self._read(instruction.operands[1], "pred")

        def vote(run: Run, group: Group) -> None:
            says = np.broadcast_to(read(run, group), group.count)
            yes = mask_of(group, run.lane[group.at], says)
            asked = mask_of(group, run.lane[group.at])
            outcome = {"any": yes != 0, "all": yes == asked, "uni": (yes == 0) | (yes == asked), "ballot": yes}[mode]
            write(run, group, outcome.astype(DTYPES[kind]))

        return vote

    def _active(self, _index: int, instruction: Instruction) -> Step:
        write = self._write(instruction.operands[0], "b32")
        return lambda run, group: write(run, group, mask_of(group, run.lane[group.at]).astype(np.uint32))

    SPECIAL: dict[str, Callable[[Assembly, int, Instruction], Step]] = {
        "ld": _load, "ldu": _load, "st": _store, "atom": _atomic, "red": _atomic, "mov": _pack,
        "cvta": _convert_address, "shfl": _shuffle, "vote": _vote, "activemask": _active,
        "bar": _nothing, "membar": _nothing, "fence": _nothing,
    }  # fmt: skip

    # ------------------------------------------------------------ running

    def launch(
        self, names: Sequence[str], blocks: Dimensions, threads: Dimensions, values: Sequence[Any], limit: int = ENDLESS
    ) -> Report:
        arguments = Arguments(names, self.types, values)
        launching = Launch(self, blocks, threads, arguments)
        arguments.upload()
        left = limit
        with np.errstate(all="ignore"):
            for some in launching.batches():
                left = self._run(Run(self, launching, some), left)
        arguments.download()
        self._count_instructions(launching)
        faults = list(launching.faults.values())
        total = launching.per_block * int(np.prod(launching.blocks))
        return Report(self.kernel, self.program, total, launching.counts, faults)

    def _run(self, run: Run, left: int) -> int:
        """Run some blocks to their end. `left` is how many groups of instructions may still run, and comes back."""
        while True:
            group = run.next_group()
            if group is not None:
                left = self._run_group(run, group, left)
            elif run.waiting.any():
                self._open_barriers(run)
            else:
                return left

    def _run_group(self, run: Run, group: Group, left: int) -> int:
        """Until its threads part, wait, return, or meet others."""
        alone = run.ready() == group.count
        at: Any = int(run.position[group.ids[0]])
        while True:
            block = self.blocks[at]
            self._count(run, group, block)
            for step in block.steps:
                step(run, group)
            at = block.jump(run, group)
            left -= 1
            if left <= 0:
                raise self._endless(group, block)
            if not alone or not isinstance(at, int) or at >= END or run.waiting[group.ids[0]]:
                run.position[group.at] = at
                return left

    def _count(self, run: Run, group: Group, block: Block) -> None:
        run.launching.visits[block.first] += group.warps
        run.launching.threads_in[block.first] += group.count

    def _count_instructions(self, launching: Launch) -> None:
        """Every instruction of a block of them ran as often as the block."""
        for first, block in self.blocks.items():
            for counts in launching.counts[first : block.last]:
                counts.warps, counts.threads = launching.visits[first], launching.threads_in[first]

    def _open_barriers(self, run: Run) -> None:
        """Every thread that has not returned waits. Those of a block must all wait at the same barrier."""
        ids = np.flatnonzero(run.waiting)
        count = run.local_block.max() + 1
        first, last = np.full(count, END), np.zeros(count, np.int64)
        np.minimum.at(first, run.local_block[ids], run.position[ids])
        np.maximum.at(last, run.local_block[ids], run.position[ids])
        apart = (first != last)[run.local_block[ids]]
        if apart.any():
            raise self._divergent_barrier(run, ids[apart])
        run.waiting[ids] = False
        run.stamp[ids] += memory.NEXT_INTERVAL

    def _divergent_barrier(self, run: Run, ids: Array) -> KernelFault:
        places = sorted({int(place) for place in run.position[ids[run.block[ids] == run.block[ids[0]]]]})
        lines = sorted({self.program.instructions[place - 1].place.line for place in places})
        message = _("{kernel}: threads of one block wait at different barriers, lines {lines}").format(
            kernel=self.kernel, lines=", ".join(map(str, lines))
        )
        hint = _("Every thread of a block must reach the same syncthreads: move it out of the branch.")
        instruction = self.program.instructions[places[0] - 1]
        return self.fault("barrier", instruction, message, hint, Group(run, ids))

    def _endless(self, group: Group, block: Block) -> KernelFault:
        message = _("{kernel} does not end").format(kernel=self.kernel)
        hint = _("Look at the condition of the loop: does every thread come to its end?")
        return self.fault("endless", self.program.instructions[block.first], message, hint, group)

    def fault(self, kind: str, instruction: Instruction, message: str, hint: str, group: Group) -> KernelFault:
        said = _("{message} (thread {thread} of block {block})").format(
            message=message, thread=coordinates(group, "tid"), block=coordinates(group, "ctaid")
        )
        if group.count > 1:
            said = _("{message} (thread {thread} of block {block} and {count} more)").format(
                message=message, thread=coordinates(group, "tid"), block=coordinates(group, "ctaid"),
                count=group.count - 1,
            )  # fmt: skip
        return KernelFault(Fault(kind, said, hint, instruction.place, instruction.text, group.count))


CONSTANTS = 1 << 59  # added to the addresses of constants


class Access:
    """A load or a store: finds the bytes, checks and counts."""

    def __init__(self, assembly: Assembly, index: int, instruction: Instruction, address: Read, width: int) -> None:
        self.assembly, self.index, self.instruction, self.address = assembly, index, instruction, address
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
            kernel=self.assembly.kernel, does=_("writes") if does == "writes" else _("reads"), index=offset // item,
            array=friendly(piece.name), count=piece.size // item,
        )  # fmt: skip
        hint = _("Numbers count from 0. Test the index before: if i < x.size.")
        return self.assembly.fault("bounds", self.instruction, message, hint, group.where(outside))

    def _misaligned(self, group: Group, address: Array) -> KernelFault:
        message = _("{kernel}: an access of {size} bytes must start at a multiple of {size}").format(
            kernel=self.assembly.kernel, size=self.size
        )
        hint = _("Give wide accesses arrays whose rows are a multiple of that long.")
        return self.assembly.fault("misaligned", self.instruction, message, hint, group)

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
        other = self.assembly.program.instructions[race.other].place
        message = _("{kernel} {does} {array} while another thread {did} it in line {line}").format(
            kernel=self.assembly.kernel,
            does=_("reads") if self.instruction.name == "ld" else _("writes"),
            did=_("reads") if race.what == "read" else _("writes"),
            array=friendly(self._name_at(run, space, place)), line=other.line,
        )  # fmt: skip
        if space == "shared":
            hint = _("Put cuda.syncthreads() between the two lines.")
        else:
            hint = _("Give each number to one thread only, or use another kernel for the second step.")
        run.launching.note(self.assembly.fault("race", self.instruction, message, hint, group).fault, self.index)

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
            message = _("{kernel} reads shared memory that no thread has written").format(kernel=self.assembly.kernel)
            hint = _("It starts with anything. Fill all of it, also where the input has ended.")
            fault = self.assembly.fault("uninitialised", self.instruction, message, hint, chosen).fault
            run.launching.note(fault, self.index)


# ---------------------------------------------------------------- the parts


def go_to(target: int) -> Jump:
    return lambda _run, _group: target


def is_barrier(instruction: Instruction) -> bool:
    return instruction.name in BARRIERS and "warp" not in instruction.modifiers


def calculation(found: Operation, reads: list[Read], write: Callable[[Run, Group, Array], None]) -> Step:
    """The most frequent numbers of operands are written out: this runs for every instruction."""
    function = found.function
    if len(reads) == 1:
        (a,) = reads
        return lambda run, group: write(run, group, function(a(run, group)))
    if len(reads) == 2:
        a, b = reads
        return lambda run, group: write(run, group, function(a(run, group), b(run, group)))
    return lambda run, group: write(run, group, function(*(read(run, group) for read in reads)))


def number_of_bits(value: int, packed: str, kind: str, dtype: Any) -> Any:
    """0f3F800000 is 1.0; where an integer is wanted, those bits."""
    number = np.frombuffer(struct.pack(packed, value), kind)[0]
    return number if dtype.kind == "f" else np.asarray(number).view(dtype)[()]


def address_parts(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"\[\s*([%\w$]+)\s*(?:\+\s*(-?\d+))?\s*\]", text)
    if found is None:
        raise DltutorError(_("this is no PTX address: {text}").format(text=text))
    return found[1], int(found[2] or 0)


def split_vector(text: str) -> list[str]:
    return [name.strip() for name in text.strip("{}").split(",")]


def as_parameter(value: Any, dtype: Any) -> Any:
    """A number as the kernel loads it: its bits, or cut to size."""
    number = np.asarray(value)
    if number.dtype.itemsize == dtype.itemsize:
        return number.view(dtype)[()] if number.dtype != dtype else number[()]
    return number.astype(dtype)[()]


def bits(values: Array) -> Array:
    """For comparing: NaN is NaN."""
    return values.view(f"u{values.dtype.itemsize}")


def shuffle_source(mode: str, lane: Array, operand: Array, clamp: Array) -> tuple[Array, Array]:
    """The lane whose number each one gets, and whether it was inside; where not, its own."""
    segment = (clamp >> 8) & 31
    last = (lane & segment) | (clamp & 31 & ~segment)
    first = lane & segment
    source = {
        "idx": first | (operand & ~segment & 31),
        "up": lane - operand,
        "down": lane + operand,
        "bfly": lane ^ operand,
    }[mode]
    inside = source >= first if mode == "up" else source <= last
    return np.where(inside, source, lane), inside


def mask_of(group: Group, lane: Array, chosen: Array | None = None) -> Array:
    """For each thread, the lanes of its warp as bits: all that are in the group, or those chosen."""
    ones = np.int64(1) << lane
    sums = np.zeros(int(group.warp.max()) + 1, np.int64)
    np.bitwise_or.at(sums, group.warp, ones if chosen is None else np.where(chosen, ones, 0))
    return sums[group.warp]


def coordinates(group: Group, name: str) -> str:
    """Where the first thread is: (3, 0, 1), or 3 where only x counts."""
    first = group.ids[0]
    x, y, z = (int(group.run.special[f"%{name}.{axis}"][first]) for axis in "xyz")
    return f"({x}, {y}, {z})" if y or z else str(x)


def friendly(name: str) -> str:
    """Numba calls shared arrays _cudapy_smem_1 and so on."""
    return _("a shared array") if name.startswith("_cudapy_smem") else name


def one_by_one(view: Array, places: Array, function: Callable[..., Array], values: list[Array]) -> Array:
    """Change each place in turn; what was there before."""
    before = np.zeros(len(places), view.dtype)
    for number, place in enumerate(places):
        before[number] = view[place]
        view[place] = function(view[place], *(value[number] for value in values))
    return before


ATOMICS: dict[str, Callable[..., Array]] = {
    "add": np.add,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "exch": lambda _old, new: new,
    "cas": lambda old, expected, new: new if old == expected else old,
    "inc": lambda old, limit: old * 0 if old >= limit else old + old.dtype.type(1),
    "dec": lambda old, limit: limit if old == 0 or old > limit else old - old.dtype.type(1),
}
