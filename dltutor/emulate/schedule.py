"""Who runs when: the loops around the function `thread` of translate.py, as LLVM IR.

    launch(sizes, words)     every block of the grid, one after the other
    scratch(threads)         how many bytes a block of so many threads needs to work in

A kernel in which no thread waits is that: loops, into which LLVM builds the thread's work. Otherwise, in each block

    start all threads; each runs until it waits, or to its end
    repeat   as long as threads wait for their warp, let them exchange their numbers and go on
             let those go on that wait for the block
    until there are none

`sizes` are 64-bit numbers: the grid's x, y, z, those of a block, then the address of the scratch memory. `words` are
the arguments of the kernel, one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from dltutor.emulate.translate import (
    COME_AT,
    FOR_BLOCK,
    FOR_WARP,
    FRAME_AT,
    GIVEN_AT,
    LANES,
    NONZERO_AT,
    PLACES,
    SIZES,
    WAITS_AT,
    WARP_WORDS,
)  # fmt: skip

I8, I32, I64, PTR, VOID = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.PointerType(), ir.VoidType()
Value = Any  # of LLVM: what a line of code makes


def of_loops() -> str:
    """For a kernel in which no thread waits."""
    module = new_module()
    thread = ir.Function(module, ir.FunctionType(VOID, [PTR, PTR, *[I32] * len(PLACES)]), "thread")
    code, (sizes, words) = function(module, "launch", I32, PTR, PTR)
    grid, block = loaded(code, sizes)
    with over(code, grid) as block_place, over(code, block) as place:
        code.call(thread, [words, sizes, *place, *block_place])
    code.ret(I32(0))
    code, _threads = function(module, "scratch", I64, I64)
    code.ret(I64(0))
    return str(module)


def of_coroutines(shuffles: bool) -> str:
    """For a kernel whose threads wait for each other."""
    module = new_module()
    schedule = Schedule(module)
    schedule.add_scratch()
    schedule.add_launch(shuffles)
    return str(module)


class Schedule:
    """Scratch memory is the record of every thread, `step` bytes from one to the next, then that of every warp."""

    def __init__(self, module: ir.Module) -> None:
        kinds = [PTR, PTR, *[I32] * len(PLACES), PTR, PTR]
        self.module = module
        self.thread = ir.Function(module, ir.FunctionType(PTR, kinds), "thread")
        self.resume = ir.Function(module, ir.FunctionType(VOID, [PTR]), "llvm.coro.resume")
        self.code: ir.IRBuilder
        self.step: Value

    def add_scratch(self) -> None:
        self.code, (threads,) = function(self.module, "scratch", I64, I64)
        self.step = self._record_step()
        warps = self.code.mul(self._warps(threads), I64(4 * WARP_WORDS))
        self.code.ret(self.code.add(self.code.mul(threads, self.step), warps))

    def add_launch(self, shuffles: bool) -> None:
        self.code, (self.sizes, self.words) = function(self.module, "launch", I32, PTR, PTR)
        grid, self.block = loaded(self.code, self.sizes)
        x, y, z = self.block
        self.step = self._record_step()
        self.threads = self.code.mul(self.code.mul(x, y), z)
        self.records = self.code.load(at(self.code, self.sizes, I64(len(SIZES)), I64), typ=PTR)
        self.warps = at(self.code, self.records, self.code.mul(self.threads, self.step))
        with over(self.code, grid) as place:
            self._run_block(place, shuffles)
        self.code.ret(I32(0))

    def _run_block(self, place: Sequence[Value], shuffles: bool) -> None:
        self._start_all(place)
        with repeated(self.code) as go_on:
            if shuffles:
                with each(self.code, self._warps(self.threads)) as warp:
                    self._exchange_all(warp)
            self._resume_block(go_on)

    def _start_all(self, block_place: Sequence[Value]) -> None:
        code = self.code
        number = variable(code)
        with over(code, self.block) as place:
            thread = code.load(number, typ=I64)
            record, warp = self._record(thread), self._warp(code.udiv(thread, I64(LANES)))
            handle = code.call(self.thread, [self.words, self.sizes, *place, *block_place, record, warp])
            code.store(handle, record)
            code.store(code.add(thread, I64(1)), number)

    def _resume_block(self, go_on: Value) -> None:
        """Let those go on that wait for the block; set `go_on` where there were any."""
        with each(self.code, self.threads) as thread, self._if_waits(self._record(thread), FOR_BLOCK) as record:
            self.code.call(self.resume, [self.code.load(record, typ=PTR)])
            self.code.store(I64(1), go_on)

    def _exchange_all(self, warp: Value) -> None:
        """Until no thread of the warp waits for it."""
        first = self.code.mul(warp, I64(LANES))
        lanes = smaller(self.code, self.code.sub(self.threads, first), I64(LANES))
        with repeated(self.code) as go_on:
            self._collect(warp, first, lanes)
            with each(self.code, lanes) as lane:
                record = self._record(self.code.add(first, lane))
                with self._if_waits(record, FOR_WARP):
                    self.code.call(self.resume, [self.code.load(record, typ=PTR)])
                    self.code.store(I64(1), go_on)

    def _collect(self, warp: Value, first: Value, lanes: Value) -> None:
        """Write down what the waiting threads give, before the first of them goes on and gives something else."""
        code, place = self.code, self._warp(warp)
        for note in (COME_AT, NONZERO_AT):
            code.store(I32(0), at(code, place, I64(note), I32))
        with each(code, lanes) as lane, self._if_waits(self._record(code.add(first, lane)), FOR_WARP) as record:
            given = code.load(at(code, record, I64(GIVEN_AT)), typ=I32)
            code.store(given, at(code, place, lane, I32))
            bit = code.shl(I32(1), code.trunc(lane, I32))
            nonzero = code.select(code.icmp_unsigned("!=", given, I32(0)), bit, I32(0))
            for note, bits in ((COME_AT, bit), (NONZERO_AT, nonzero)):
                word = at(code, place, I64(note), I32)
                code.store(code.or_(code.load(word, typ=I32), bits), word)

    # where things are

    def _record_step(self) -> Value:
        """Called without a record, `thread` tells the size of its frame. Records begin at multiples of FRAME_AT."""
        nowhere, nothing = PTR(None), I32(0)
        told = self.code.call(self.thread, [nowhere, nowhere, *[nothing] * len(PLACES), nowhere, nowhere])
        size = self.code.add(self.code.ptrtoint(told, I64), I64(FRAME_AT + FRAME_AT - 1))
        return self.code.and_(size, I64(-FRAME_AT))

    def _warps(self, threads: Value) -> Value:
        """How many."""
        return self.code.udiv(self.code.add(threads, I64(LANES - 1)), I64(LANES))

    def _record(self, thread: Value) -> Value:
        return at(self.code, self.records, self.code.mul(thread, self.step))

    def _warp(self, warp: Value) -> Value:
        return at(self.code, self.warps, self.code.mul(warp, I64(4 * WARP_WORDS)))

    @contextmanager
    def _if_waits(self, record: Value, reason: int) -> Iterator[Value]:
        waits = self.code.load(at(self.code, record, I64(WAITS_AT)), typ=I32)
        with self.code.if_then(self.code.icmp_unsigned("==", waits, I32(reason))):
            yield record


# ---------------------------------------------------------------- words for the above


def new_module() -> ir.Module:
    module = ir.Module()
    module.triple = ""
    return module


def function(module: ir.Module, name: str, result: Any, *kinds: Any) -> tuple[ir.IRBuilder, Sequence[Value]]:
    """A new function: where its code goes, and its arguments."""
    made = ir.Function(module, ir.FunctionType(result, kinds), name)
    return ir.IRBuilder(made.append_basic_block("entry")), made.args


def loaded(code: ir.IRBuilder, sizes: Value) -> tuple[list[Value], list[Value]]:
    """The sizes of the grid and of a block, x, y, z each."""
    values = [code.load(at(code, sizes, I64(i), I64), typ=I64) for i in range(len(SIZES))]
    return values[:3], values[3:]


def at(code: ir.IRBuilder, start: Value, number: Value, kind: Any = I8) -> Value:
    """The address so many of `kind`, or bytes, behind `start`."""
    return code.gep(start, [number], source_etype=kind)


def smaller(code: ir.IRBuilder, a: Value, b: Value) -> Value:
    return code.select(code.icmp_signed("<", a, b), a, b)


def variable(code: ir.IRBuilder) -> Value:
    """A place in memory for a 64-bit number, 0 from here on; LLVM makes a register of it."""
    with code.goto_entry_block():
        place = code.alloca(I64)
    code.store(I64(0), place)
    return place


@contextmanager
def repeated(code: ir.IRBuilder) -> Iterator[Value]:
    """The code inside runs again and again until it leaves the variable that it is given at 0."""
    go_on = variable(code)
    body, done = code.append_basic_block("body"), code.append_basic_block("done")
    code.branch(body)
    code.position_at_end(body)
    code.store(I64(0), go_on)
    yield go_on
    code.cbranch(code.icmp_unsigned("!=", code.load(go_on, typ=I64), I64(0)), body, done)
    code.position_at_end(done)


@contextmanager
def each(code: ir.IRBuilder, count: Value) -> Iterator[Value]:
    """The code inside runs for each number from 0 to below `count`."""
    counter = variable(code)
    test, body, done = (code.append_basic_block(name) for name in ("test", "body", "done"))
    code.branch(test)
    code.position_at_end(test)
    number = code.load(counter, typ=I64)
    code.cbranch(code.icmp_signed("<", number, count), body, done)
    code.position_at_end(body)
    yield number
    code.store(code.add(number, I64(1)), counter)
    code.branch(test)
    code.position_at_end(done)


@contextmanager
def over(code: ir.IRBuilder, counts: Sequence[Value]) -> Iterator[list[Value]]:
    """The code inside runs for each place x, y, z of a grid or a block; x changes fastest."""
    count_x, count_y, count_z = counts
    with each(code, count_z) as z, each(code, count_y) as y, each(code, count_x) as x:
        yield [code.trunc(place, I32) for place in (x, y, z)]
