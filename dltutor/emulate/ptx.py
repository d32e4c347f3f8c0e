"""Reading PTX, NVIDIA's portable assembly language, as Numba and NVVM write it.

    @%p1 ld.global.f32   %f12, [%rd51+4];      if %p1: %f12 = the float32 at address %rd51 + 4

An instruction is a name with modifiers, the last of which is mostly the type of its operands; a result comes first.
Registers start with %, labels with $. What Numba knows of the Python source comes along in `.loc` lines.

Source   NVIDIA, Parallel Thread Execution ISA, version 9.0.
"""

from __future__ import annotations

import linecache
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath

from dltutor.errors import DltutorError
from dltutor.i18n import _

SIZES = {"b8": 1, "u8": 1, "s8": 1, "b16": 2, "u16": 2, "s16": 2, "f16": 2}
SIZES |= {"b32": 4, "u32": 4, "s32": 4, "f32": 4, "b64": 8, "u64": 8, "s64": 8, "f64": 8, "pred": 1}
SPACES = ("param", "global", "shared", "local", "const")


@dataclass(frozen=True)
class Place:
    """A line of Python."""

    file: str = ""
    line: int = 0
    caller: Place | None = None  # of a function compiled into its caller

    @property
    def source(self) -> str:
        return linecache.getline(self.file, self.line).strip()

    @property
    def outermost(self) -> Place:
        """In the kernel itself."""
        return self.caller.outermost if self.caller else self

    def line_in(self, file: str) -> int | None:
        """The line of the file of that name, also where this is in a function that one there calls."""
        place: Place | None = self
        while place and PurePath(place.file).name != file:
            place = place.caller
        return place.line if place else None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Instruction:
    """One instruction. `guard` is the predicate register that decides whether a thread takes part, or empty."""

    name: str  # without its modifiers: "ld"
    modifiers: tuple[str, ...]  # "global", "f32"
    operands: tuple[str, ...]
    guard: str
    negated: bool  # takes part where the guard is false
    text: str
    place: Place

    @property
    def type(self) -> str:
        return self.modifiers[-1] if self.modifiers else ""

    @property
    def opcode(self) -> str:
        return ".".join((self.name, *self.modifiers))

    @property
    def space(self) -> str:
        """Which memory a load or store means: "generic" where the address itself tells."""
        plain = (modifier.partition("::")[0] for modifier in self.modifiers)
        return next((modifier for modifier in plain if modifier in SPACES), "generic")

    @property
    def width(self) -> int:
        """How many numbers a load or store moves at once."""
        return next((int(modifier[1]) for modifier in self.modifiers if modifier in ("v2", "v4")), 1)


@dataclass(frozen=True)
class Variable:
    """An array in shared, local, global or constant memory."""

    name: str
    space: str
    size: int  # bytes
    values: bytes = b""  # what it starts with


@dataclass
class Program:
    """A kernel."""

    entry: str = ""
    target: str = ""
    parameters: list[tuple[str, str]] = field(default_factory=list)  # name and type, in order
    registers: dict[str, str] = field(default_factory=dict)  # name -> type
    variables: dict[str, Variable] = field(default_factory=dict)
    instructions: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)  # name -> index of the instruction behind it

    def opcodes(self) -> Counter[str]:
        """How often each instruction stands in the program, modifiers included."""
        return Counter(instruction.opcode for instruction in self.instructions)

    def variables_in(self, space: str) -> list[Variable]:
        return [variable for variable in self.variables.values() if variable.space == space]


def parse(text: str) -> Program:
    """The kernel in `text`; there must be exactly one."""
    text = re.sub(r"/\*.*?\*/", "", re.sub(r"//[^\n]*", "", text), flags=re.DOTALL)
    found = re.search(r"\.entry\s+([\w$]+)\s*\((.*?)\)([^{]*)\{(.*?)^\}", text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise DltutorError(_("no kernel in this PTX"), _("It must hold one .entry."))
    program = Program(entry=found[1], target=target_of(text))
    program.parameters = read_parameters(found[2])
    files = dict(read_files(text))
    outside = text[: found.start()] + text[found.end() :]
    for statement, _place in statements(outside, files):
        read_variable(program, statement)
    for statement, place in statements(found[4], files):
        read_statement(program, statement, place)
    return program


# ---------------------------------------------------------------- the parts

PARAMETER = re.compile(r"\.param\s+(?:\.align\s+\d+\s+)?\.(\w+)\s+(?:\.ptr\s+(?:\.\w+\s+(?:\d+\s+)?)*)?([\w$]+)")
VARIABLE = re.compile(
    r"(?:\.(?:visible|extern|common|weak)\s+)*\.(shared|local|global|const)\s+(?:\.align\s+\d+\s+)?"
    r"\.(\w+)\s+([\w$]+)(?:\[(\d*)\])?\s*(?:=\s*(.*))?$",
    re.DOTALL,
)
REGISTERS = re.compile(r"\.reg\s+\.(\w+)\s+(.*)$", re.DOTALL)
INSTRUCTION = re.compile(r"(?:@(!?)(%\w+)\s+)?([a-z]\w*)((?:(?:\.|::)\w+)*)\s*(.*)$", re.DOTALL)
LOCATION = re.compile(r"\.loc\s+(\d+)\s+(\d+)(?:.*inlined_at\s+(\d+)\s+(\d+))?")
LABEL = re.compile(r"([$\w]+):\s*")
UNENDED = (".version", ".target", ".address_size", ".file", ".section")  # lines that no semicolon ends


def target_of(text: str) -> str:
    found = re.search(r"^\.target\s+(\w+)", text, re.MULTILINE)
    return found[1] if found else ""


def read_files(text: str) -> Iterator[tuple[int, str]]:
    for number, name in re.findall(r'^\s*\.file\s+(\d+)\s+"([^"]*)"', text, re.MULTILINE):
        yield int(number), name


def read_parameters(text: str) -> list[tuple[str, str]]:
    return [(name, kind) for kind, name in PARAMETER.findall(text)]


def statements(body: str, files: dict[int, str]) -> Iterator[tuple[str, Place]]:
    """Every statement, with the line of Python that it comes from. Labels are statements that end with a colon."""
    place, gathered = Place(), ""
    for line in body.splitlines():
        line = line.strip()
        if line.startswith(".loc"):
            place = next_place(place, line, files)
        elif not gathered and (label := LABEL.fullmatch(line)):
            yield f"{label[1]}:", place
        elif line not in ("", "{", "}") and not line.startswith(UNENDED):
            *whole, gathered = f"{gathered} {line}".split(";")
            yield from ((statement.strip(" {}"), place) for statement in whole)
            gathered = gathered.strip(" {}")


def next_place(place: Place, line: str, files: dict[int, str]) -> Place:
    """Line 0 means that the compiler does not know; then what comes next belongs to the last line that it knew."""
    found = LOCATION.match(line)
    if found is None or found[2] == "0":
        return place
    file, number, outer_file, outer_number = (int(part or 0) for part in found.groups())
    caller = Place(files.get(outer_file, ""), outer_number) if outer_number else None
    return Place(files.get(file, ""), number, caller)


def read_statement(program: Program, statement: str, place: Place) -> None:
    if statement.endswith(":"):
        program.labels[statement[:-1]] = len(program.instructions)
    elif statement.startswith(".reg"):
        program.registers |= read_registers(statement)
    elif statement.startswith("."):
        read_variable(program, statement)
    elif statement:
        program.instructions.append(read_instruction(statement, place))


def read_registers(statement: str) -> dict[str, str]:
    """`.reg .f32 %f<3>` declares %f0, %f1 and %f2; `.reg .b64 %SP` declares one."""
    found = REGISTERS.match(statement)
    assert found is not None, statement
    declared: dict[str, str] = {}
    for name in found[2].split(","):
        stem, _angle, count = name.strip(" >").partition("<")
        names = [f"{stem}{number}" for number in range(int(count))] if count else [stem]
        declared |= dict.fromkeys(names, found[1])
    return declared


def read_variable(program: Program, statement: str) -> None:
    found = VARIABLE.match(statement)
    if found is None:
        return  # .pragma and the like
    space, kind, name, count, values = found.groups()
    size = SIZES[kind] * int(count or (count is None))
    program.variables[name] = Variable(name, space, size, read_values(values, SIZES[kind]))


def read_values(text: str | None, size: int) -> bytes:
    """`{1, 2}` or `7`; addresses of other variables are left 0, Numba's environment pointers nobody reads."""
    numbers = re.findall(r"(?<![\w$])-?(?:0[xX][0-9a-fA-F]+|\d+)(?![\w$])", text or "")
    return b"".join((int(number, 0) % (1 << 8 * size)).to_bytes(size, "little") for number in numbers)


def read_instruction(statement: str, place: Place) -> Instruction:
    found = INSTRUCTION.match(statement)
    if found is None:
        raise DltutorError(_("this is no PTX instruction: {text}").format(text=statement))
    negated, guard, name, modifiers, operands = found.groups()
    split = tuple(re.findall(r"\w+(?:::\w+)?", modifiers))
    return Instruction(
        name, split, split_operands(operands), guard or "", negated == "!", " ".join(statement.split()), place
    )


def split_operands(text: str) -> tuple[str, ...]:
    """Split at commas, but not inside brackets: `{%f1, %f2}, [%rd1+8]` are two."""
    pieces = re.findall(r"(?:[{\[(][^}\])]*[}\])]|[^,{\[(])+", text)
    return tuple(piece.strip() for piece in pieces if piece.strip())
