"""PTX instructions become Python functions, each for all threads that run it together."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dltutor.emulate.access import Access
from dltutor.emulate.arithmetic import DTYPES, Operation, operation
from dltutor.emulate.layout import Layout
from dltutor.emulate.memory import LOCAL_WINDOW, SHARED_WINDOW
from dltutor.emulate.ptx import Instruction
from dltutor.emulate.report import WARP
from dltutor.emulate.threads import END, Group, Run, fault, mask_of
from dltutor.errors import DltutorError
from dltutor.i18n import _

Array = Any
Read = Callable[[Run, Group], Array]
Step = Callable[[Run, Group], None]
Jump = Callable[[Run, Group], Any]  # where its threads go on: an instruction for all of them, or one for each

LEAVING = ("bra", "ret", "exit", "trap")
BARRIERS = ("bar", "barrier")


@dataclass
class Block:
    """Instructions that run one after another, and the jump at their end."""

    first: int
    last: int  # behind the last one
    steps: list[Step]
    jump: Jump


class Assembler:
    """Makes the steps of a program."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.program = layout, layout.program
        self.numbers, self.addresses = layout.numbers, layout.addresses
        self.parameter_names = layout.parameter_names

    # ------------------------------------------------------------ control

    def blocks(self) -> Iterator[Block]:
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
            message = _("{kernel} gave up on purpose").format(kernel=self.layout.kernel)
            raise fault("trap", instruction, message, "", group)

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
            kernel=self.layout.kernel, text=instruction.text
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
        access = Access(self.layout, index, instruction, self._address(source), len(names))

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
        access = Access(self.layout, index, instruction, self._address(target), len(reads))
        return lambda run, group: access.write(run, group, [read(run, group) for read in reads])

    def _atomic(self, index: int, instruction: Instruction) -> Step:
        """atom gives the old value, red does not."""
        result, *operands = instruction.operands if instruction.name == "atom" else ("_", *instruction.operands)
        write, kind = self._write(result, instruction.type), instruction.type
        reads = [self._read(text, kind) for text in operands[1:]]
        access = Access(self.layout, index, instruction, self._address(operands[0]), 1)
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
            kernel = self.layout.kernel
            message = _("{kernel} exchanges numbers with threads that do not take part").format(kernel=kernel)
            hint = _("Every thread that the mask names must reach the shuffle: move it out of the branch.")
            run.launching.note(fault("shuffle", instruction, message, hint, group.where(bad)).fault, index)

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

    SPECIAL: dict[str, Callable[[Assembler, int, Instruction], Step]] = {
        "ld": _load, "ldu": _load, "st": _store, "atom": _atomic, "red": _atomic, "mov": _pack,
        "cvta": _convert_address, "shfl": _shuffle, "vote": _vote, "activemask": _active,
        "bar": _nothing, "membar": _nothing, "fence": _nothing,
    }  # fmt: skip


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
