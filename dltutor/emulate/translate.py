"""A kernel as LLVM IR for a graphics card becomes LLVM IR for the processor.

What the two have in common, and that is nearly everything, stays as it is. What only a card has is rewritten:

    where am I?      threadIdx, blockIdx and their sizes become arguments, which the schedule hands over
    wait for others  at a barrier or a shuffle the thread leaves off in the middle, and goes on when all have come. LLVM
                     calls such a function a coroutine; what it needs later it keeps in a frame.
    memory           a card has several kinds, each with addresses of its own; here there is one

The result is one function, `thread`, that does the work of one thread of the kernel. See schedule.py for who calls it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dltutor.emulate import library
from dltutor.kernels import machine

# ---------------------------------------------------------------- what `thread` is called with

AXES = "xyz"
PLACES = [f"{place}.{axis}" for place in ("tid", "ctaid") for axis in AXES]  # of the thread, of its block
SIZES = [f"{size}.{axis}" for size in ("nctaid", "ntid") for axis in AXES]  # of the grid, of a block; i64 in memory
PARAMETERS = ("ptr noalias readonly %words", "ptr noalias readonly %sizes", *(f"i32 %{place}" for place in PLACES))
COROUTINE_PARAMETERS = ("ptr %record", "ptr %warp")

# The record of a thread: the handle of its frame, what it waits for, what it gives to its warp; then the frame itself.
WAITS_AT, GIVEN_AT, FRAME_AT = 8, 12, 64
FOR_NOTHING, FOR_BLOCK, FOR_WARP = 0, 1, 2
# The record of a warp, i32 each: what every lane gave, which lanes have come, which of them gave another number than 0.
LANES, COME_AT, NONZERO_AT, WARP_WORDS = 32, 32, 33, 48


@dataclass(frozen=True)
class Thread:
    """The function `thread` as LLVM text."""

    text: str
    waits: bool  # it is a coroutine
    shuffles: bool  # threads of a warp exchange numbers


def translated(modules: Sequence[str], entry: str, name: str) -> Thread:
    """The kernel whose LLVM IR this is, made for the processor. `name` is for messages.

    Raises DltutorError where it does something that only a card can.
    """
    module = machine.parse(map(portable, modules))
    machine.inline(module, entry)
    parameters, lines, rest = separated(str(module), entry)
    body = Body(lines)
    text = "\n".join((rest, WARP * body.shuffles, body.function(parameters)))
    return Thread(library.defined(text, name), body.waits, body.shuffles)


# ---------------------------------------------------------------- text as Numba wrote it


def portable(text: str) -> str:
    """Without what is said of the card: one kind of memory, no notes on where a line came from.

    NVIDIA's compiler rounds a * b + c once; `contract` lets LLVM do the same. Shared memory stays visible from outside,
    or LLVM would think that nobody else can have written to it after a barrier.
    """
    notes = re.compile(r'!|target |@"llvm\.used"|  call void @"llvm\.dbg')
    text = "\n".join(line for line in text.splitlines() if not notes.match(line))
    text = re.sub(r",? !\w+ !\d+", "", text)
    text = re.sub(r" addrspace\(\d+\)", "", text).replace("addrspacecast", "bitcast")
    text = re.sub(r"(global \[[^\n]*?) undef", r"\1 zeroinitializer", text)
    text = re.sub(r"= (fadd|fsub|fmul) (?!fast|contract)", r"= \1 contract ", text)
    text = re.sub(r"^define linkonce_odr ", "define ", text, flags=re.M)
    return text.replace('@"llvm.nvvm.', '@"nvvm.')  # now ordinary functions, of which LLVM assumes nothing


def separated(text: str, entry: str) -> tuple[str, list[str], str]:
    """The parameters of the function `entry`, the lines of its body, and what stands outside."""
    pattern = rf'^define [^\n]*@"?{re.escape(entry)}"?\((.*?)\)[^\n]*\{{\n(.*?)^\}}\n'
    found = re.search(pattern, text, re.M | re.S)
    assert found, f"no function {entry}"
    outside = text[: found.start()] + text[found.end() :]
    inlined_already = re.compile(r"^define internal .*?^\}\n", re.M | re.S)
    about_functions = re.compile(r"^attributes #.*\n|^target .*\n| #\d+$", re.M)
    return found[1], found[2].splitlines(), about_functions.sub("", inlined_already.sub("", outside))


# ---------------------------------------------------------------- the body of the kernel

LABEL = re.compile(r'("[^"]+"|[-\w.$]+):')
CALL = re.compile(r'\s*(?:(%\S+) = )?(?:(?:tail|notail) )?call [^@]*@"?nvvm\.([\w.]+)"?\((.*)\)')
SOURCE = re.compile(r'%("[^"]+"|[-\w.$]+) \]')  # in a phi: the block that a value comes from


class Body:
    """The lines of a kernel, rewritten."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.waits = self.shuffles = False
        self._stops = 0
        self._labels = ["begin"]
        self._last_piece: dict[str, str] = {}  # of each block that a stop has cut into pieces
        self._allocations: list[str] = []
        rewritten = [new for line in lines for new in self._rewritten(line)]
        self._lines = [self._with_new_sources(line) for line in rewritten]

    def function(self, parameters: str) -> str:
        """`thread`, given the parameters of the kernel."""
        begin, end = (BEGIN_COROUTINE, _end_coroutine()) if self.waits else ("", "finished.:\n  ret void")
        lines = [*self._allocations, *_load_arguments(parameters), *_load_sizes(), LANE, begin]
        lines += [f"  br label %{self._labels[1]}", *self._lines, end]
        result, kind = ("ptr", "presplitcoroutine") if self.waits else ("void", "alwaysinline")
        taken = ", ".join((*PARAMETERS, *COROUTINE_PARAMETERS * self.waits))
        return f"define {result} @thread({taken}) {kind} {{\nbegin:\n" + "\n".join(lines) + "\n}\n!9999 = !{}\n"

    def _rewritten(self, line: str) -> Iterable[str]:
        if label := LABEL.match(line):
            self._labels.append(label[1])
        if " = alloca " in line:
            self._allocations.append(line)
            return ()
        if line.startswith("  ret "):
            return ("  br label %finished.",)
        call = CALL.match(line)
        return self._called(line, *call.groups()) if call else (line,)

    def _called(self, line: str, result: str, name: str, arguments: str) -> Iterator[str]:
        """One of the operations that a processor does not have."""
        values = [argument.split()[-1] for argument in arguments.split(",") if argument]
        if name.startswith("read.ptx.sreg."):
            yield f"  {result} = add i32 %{name.removeprefix('read.ptx.sreg.')}, 0"
        elif name == "barrier0":
            yield from self._stop(FOR_BLOCK)
        elif name == "bar.warp.sync":
            yield from self._exchange("0")
        elif name == "shfl.sync.i32":
            _mask, mode, value, by, _clamp = values
            yield from self._exchange(value)
            yield f"  {result} = call {{ i32, i1 }} @shuffled(ptr %warp, i32 %laneid, i32 {mode}, i32 {by})"
        elif name == "vote.sync":
            mask, mode, value = values
            yield f"  %vote.{self._stops} = zext i1 {value} to i32"
            yield from self._exchange(f"%vote.{self._stops}")
            yield f"  {result} = call {{ i32, i1 }} @voted(ptr %warp, i32 {mask}, i32 {mode})"
        elif not name.startswith("membar."):  # that makes writes visible to others: here they always are
            yield line

    def _exchange(self, value: str) -> Iterator[str]:
        """Give a number to the warp, and wait until all of its threads have done so."""
        self.shuffles = True
        yield f"  store i32 {value}, ptr %given."
        yield from self._stop(FOR_WARP)

    def _stop(self, reason: int) -> Iterator[str]:
        """Leave off, to go on at a new label: the block is cut in two."""
        self.waits = True
        number, self._stops = self._stops, self._stops + 1
        self._last_piece[self._labels[-1]] = f"resumed.{number}"
        yield f"  store i32 {reason}, ptr %waits."
        yield f"  %stop.{number} = call i8 @llvm.coro.suspend(token none, i1 false)"
        yield f"  switch i8 %stop.{number}, label %left. [i8 0, label %resumed.{number} i8 1, label %left.]"
        yield f"resumed.{number}:"

    def _with_new_sources(self, line: str) -> str:
        """A phi names blocks that end where they did; of one that was cut, this is its last piece."""
        if " = phi " not in line:
            return line
        return SOURCE.sub(lambda found: f"%{self._last_piece.get(found[1], found[1])} ]", line)


def _load_arguments(parameters: str) -> Iterator[str]:
    """The kernel's parameters by their names, each from a word of 8 bytes."""
    for i, parameter in enumerate(parameters.split(", ")):
        kind, *_attributes, name = parameter.split()
        yield f"  %word.{i} = getelementptr i64, ptr %words, i64 {i}"
        yield f"  {name} = load {kind}, ptr %word.{i}, !invariant.load !9999"


def _load_sizes() -> Iterator[str]:
    for i, size in enumerate(SIZES):
        yield f"  %{size}.at = getelementptr i64, ptr %sizes, i64 {i}"
        yield f"  %{size}.word = load i64, ptr %{size}.at, !invariant.load !9999"
        yield f"  %{size} = trunc i64 %{size}.word to i32"


LANE = f"""\
  %warpsize = add i32 {LANES}, 0
  %plane.0 = mul i32 %tid.z, %ntid.y
  %plane.1 = add i32 %plane.0, %tid.y
  %plane.2 = mul i32 %plane.1, %ntid.x
  %number.in.block = add i32 %plane.2, %tid.x
  %laneid = and i32 %number.in.block, {LANES - 1}"""

# Called without a record, `thread` only tells the size of the frame that it needs.
BEGIN_COROUTINE = f"""\
  %waits. = getelementptr i8, ptr %record, i64 {WAITS_AT}
  %given. = getelementptr i8, ptr %record, i64 {GIVEN_AT}
  %room. = getelementptr i8, ptr %record, i64 {FRAME_AT}
  %identity. = call token @llvm.coro.id(i32 {FRAME_AT}, ptr null, ptr null, ptr null)
  %asked. = icmp eq ptr %record, null
  br i1 %asked., label %tell., label %start.
tell.:
  %size. = call i64 @llvm.coro.size.i64()
  %told. = inttoptr i64 %size. to ptr
  ret ptr %told.
start.:
  %handle. = call ptr @llvm.coro.begin(token %identity., ptr %room.)"""


def _end_coroutine() -> str:
    nothing = "void" if machine.llvm().llvm_version_info[0] >= 22 else "i1"
    return f"""\
finished.:
  store i32 {FOR_NOTHING}, ptr %waits.
  br label %left.
left.:
  call {nothing} @llvm.coro.end(ptr %handle., i1 false, token none)
  ret ptr %handle."""


# What a thread reads when its warp has come together. The modes are PTX's: shfl idx, up, down, bfly; vote all, any,
# uni, ballot. A lane that would read outside of the warp reads itself.
WARP = f"""\
define internal {{ i32, i1 }} @shuffled(ptr %warp, i32 %lane, i32 %mode, i32 %by) alwaysinline {{
  %by.5 = and i32 %by, {LANES - 1}
  %up = sub i32 %lane, %by.5
  %down = add i32 %lane, %by.5
  %across = xor i32 %lane, %by.5
  %is.0 = icmp eq i32 %mode, 0
  %is.1 = icmp eq i32 %mode, 1
  %is.2 = icmp eq i32 %mode, 2
  %from.2 = select i1 %is.2, i32 %down, i32 %across
  %from.1 = select i1 %is.1, i32 %up, i32 %from.2
  %from = select i1 %is.0, i32 %by.5, i32 %from.1
  %inside = icmp ult i32 %from, {LANES}
  %source = select i1 %inside, i32 %from, i32 %lane
  %place = getelementptr i32, ptr %warp, i32 %source
  %value = load i32, ptr %place
  %half = insertvalue {{ i32, i1 }} poison, i32 %value, 0
  %both = insertvalue {{ i32, i1 }} %half, i1 %inside, 1
  ret {{ i32, i1 }} %both
}}
define internal {{ i32, i1 }} @voted(ptr %warp, i32 %mask, i32 %mode) alwaysinline {{
  %come.at = getelementptr i32, ptr %warp, i32 {COME_AT}
  %nonzero.at = getelementptr i32, ptr %warp, i32 {NONZERO_AT}
  %come = load i32, ptr %come.at
  %nonzero = load i32, ptr %nonzero.at
  %here = and i32 %come, %mask
  %yes = and i32 %nonzero, %here
  %all = icmp eq i32 %yes, %here
  %any = icmp ne i32 %yes, 0
  %none = icmp eq i32 %yes, 0
  %same = or i1 %all, %none
  %is.0 = icmp eq i32 %mode, 0
  %is.1 = icmp eq i32 %mode, 1
  %answer.1 = select i1 %is.1, i1 %any, i1 %same
  %answer = select i1 %is.0, i1 %all, i1 %answer.1
  %half = insertvalue {{ i32, i1 }} poison, i32 %yes, 0
  %both = insertvalue {{ i32, i1 }} %half, i1 %answer, 1
  ret {{ i32, i1 }} %both
}}"""
