"""What PTX instructions calculate, for many threads at once: each operand is an array with a number for every thread.

`operation` gives for an instruction the types of its operands and its result, and the NumPy function between them.
Loads, stores, branches and whatever threads do together are in interpreter.py.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dltutor.emulate.ptx import Instruction

Array = Any  # a NumPy array with a number for each thread, or one number for all of them
Function = Callable[..., Array]

DTYPES: dict[str, Any] = {
    kind: np.dtype(name)
    for kind, name in {
        "b8": "u1", "u8": "u1", "s8": "i1", "b16": "u2", "u16": "u2", "s16": "i2", "f16": "f2",
        "b32": "u4", "u32": "u4", "s32": "i4", "f32": "f4", "b64": "u8", "u64": "u8", "s64": "i8", "f64": "f8",
        "pred": "?",
    }.items()
}  # fmt: skip
WIDER = {"s16": "s32", "u16": "u32", "s32": "s64", "u32": "u64"}
INTEGER_ROUNDING = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
TINY = np.finfo(np.float32).tiny  # what is smaller is denormal, and .ftz makes it 0


@dataclass(frozen=True)
class Operation:
    """A calculation: `result` and `takes` are PTX types."""

    result: str
    takes: tuple[str, ...]
    function: Function


def operation(instruction: Instruction) -> Operation | None:
    """What this instruction calculates, or None where it is not known here."""
    make = TABLE.get(instruction.name)
    made = make(instruction) if make else None
    return flushing(made) if made and "ftz" in instruction.modifiers else made


# ---------------------------------------------------------------- rounding


def flush(x: Array) -> Array:
    """Denormal float32 numbers as 0 with their sign; other types as they are."""
    if getattr(x, "dtype", None) != np.float32:
        return x
    return np.where(np.abs(x) < TINY, np.copysign(np.float32(0), x), x)


def flushing(plain: Operation) -> Operation:
    """The same, denormal numbers in and out counting as 0."""
    return Operation(plain.result, plain.takes, lambda *given: flush(plain.function(*map(flush, given))))


def to_float32(exact: Array, mode: str = "rn") -> Array:
    """Round float64 to float32: to the nearest, down, up, or towards zero."""
    near = exact.astype(np.float32)
    if mode == "rn":
        return near
    towards = {"rm": -np.inf, "rp": np.inf, "rz": 0}[mode]
    beyond = {"rm": near > exact, "rp": near < exact, "rz": np.abs(near) > np.abs(exact)}[mode]
    return np.where(beyond, np.nextafter(near, np.float32(towards)), near)


def rounding(instruction: Instruction) -> str:
    return next((mode for mode in ("rm", "rp", "rz") if mode in instruction.modifiers), "rn")


def saturated(instruction: Instruction, function: Function) -> Function:
    """With .sat: held between 0 and 1; NaN becomes 0."""
    if "sat" not in instruction.modifiers:
        return function
    zero, one = np.float32(0), np.float32(1)
    return lambda *given: np.fmin(np.fmax(function(*given), zero), one)


def is_float(kind: str) -> bool:
    return kind.startswith("f")


# ---------------------------------------------------------------- integers


def product_high(a: Array, b: Array) -> Array:
    """The upper half of a product of two integers of 16, 32 or 64 bits."""
    bits = a.dtype.itemsize * 8
    if bits < 64:
        wide = np.dtype(f"{a.dtype.kind}{bits // 4}")
        return ((a.astype(wide) * b.astype(wide)) >> wide.type(bits)).astype(a.dtype)
    high = product_high_64(a.astype(np.uint64), b.astype(np.uint64))
    if a.dtype.kind == "u":
        return high
    return high.astype(np.int64) - np.where(a < 0, b, 0) - np.where(b < 0, a, 0)


def product_high_64(a: Array, b: Array) -> Array:
    """By halves, as on paper: unsigned 64 bits have no wider type."""
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    a0, a1, b0, b1 = a & low, a >> half, b & low, b >> half
    middle = a1 * b0 + (a0 * b0 >> half)
    other = a0 * b1 + (middle & low)
    return a1 * b1 + (middle >> half) + (other >> half)


def quotient(a: Array, b: Array) -> Array:
    """a / b towards zero, as cards divide; by zero, all bits 1."""
    safe = np.where(b == 0, np.ones_like(b), b)
    down = a // safe
    if a.dtype.kind == "i":
        down = down + ((a % safe != 0) & ((a < 0) != (safe < 0)))
    return np.where(b == 0, np.array(-1).astype(a.dtype), down).astype(a.dtype)


def remainder(a: Array, b: Array) -> Array:
    return a - quotient(a, b) * b


def shift_left(a: Array, n: Array) -> Array:
    """Shifted by the number of bits or more, nothing is left."""
    bits = a.dtype.itemsize * 8
    return np.where(n >= bits, a.dtype.type(0), a << np.minimum(n, bits - 1).astype(a.dtype))


def shift_right(a: Array, n: Array) -> Array:
    """Signed numbers keep their sign."""
    bits = a.dtype.itemsize * 8
    moved = a >> np.minimum(n, bits - 1).astype(a.dtype)
    return moved if a.dtype.kind == "i" else np.where(n >= bits, a.dtype.type(0), moved)


def funnel(left: bool, clamp: bool, low: Array, high: Array, n: Array) -> Array:
    """Two registers side by side, shifted; the upper (left) or lower half of what comes out."""
    n = (np.minimum(n, np.uint32(32)) if clamp else n & np.uint32(31)).astype(np.uint64)
    both = (high.astype(np.uint64) << np.uint64(32)) | low
    return ((both << n) >> np.uint64(32) if left else both >> n).astype(np.uint32)


def extract_bits(a: Array, start: Array, length: Array) -> Array:
    """`length` bits of a from `start`, with the sign of the uppermost where a is signed."""
    bits = a.dtype.itemsize * 8
    start, length = (np.minimum(n & np.uint32(255), np.uint32(bits)) for n in (start, length))
    length = np.minimum(length, np.uint32(bits) - start)
    up = shift_left(a, np.uint32(bits) - start - length)
    return np.where(length == 0, a.dtype.type(0), shift_right(up, np.uint32(bits) - length))


def insert_bits(a: Array, b: Array, start: Array, length: Array) -> Array:
    """b, with the lowest `length` bits of a in place of its own from `start`."""
    ones = shift_left(shift_left(np.ones_like(b), length) - b.dtype.type(1), start)
    return (b & ~ones) | (shift_left(a, start) & ones)


def pick_bytes(a: Array, b: Array, which: Array) -> Array:
    """Each 4 bits of `which` name one of the eight bytes of b and a; the 8 asks for its sign instead."""
    both = (b.astype(np.uint64) << np.uint64(32)) | a
    picked = np.zeros_like(np.asarray(a, np.uint32))
    for place in range(4):
        choice = (which >> np.uint32(4 * place)) & np.uint32(15)
        byte = ((both >> ((choice & np.uint32(7)) * np.uint32(8)).astype(np.uint64)) & np.uint64(255)).astype(np.uint32)
        sign = np.where(byte & np.uint32(128), np.uint32(255), np.uint32(0))
        picked = picked | (np.where(choice & np.uint32(8), sign, byte) << np.uint32(8 * place))
    return picked


def bytes_of(a: Array, kind: str) -> list[Array]:
    """The four bytes of each number, signed or not, as int32."""
    small = np.int8 if kind == "s32" else np.uint8
    return [(a.view(np.uint32) >> np.uint32(8 * n)).astype(np.uint8).view(small).astype(np.int32) for n in range(4)]


def leading_zeros(a: Array) -> Array:
    bits, count = a.dtype.itemsize * 8, np.zeros(np.shape(a), np.uint32)
    for n in range(bits):
        count = np.where(a >> a.dtype.type(n) != 0, np.uint32(n + 1), count)
    return np.uint32(bits) - count


def reverse_bits(a: Array) -> Array:
    bits, out = a.dtype.itemsize * 8, np.zeros_like(a)
    for n in range(bits):
        out = out | (((a >> a.dtype.type(n)) & a.dtype.type(1)) << a.dtype.type(bits - 1 - n))
    return out


def logic(table: int, a: Array, b: Array, c: Array) -> Array:
    """Any function of three bits, as the table of its eight results."""
    out = np.zeros_like(a)
    for case in range(8):
        if table >> case & 1:
            out = out | ((a if case & 4 else ~a) & (b if case & 2 else ~b) & (c if case & 1 else ~c))
    return out


# ---------------------------------------------------------------- one builder for each kind of instruction


def same(function: Function, count: int) -> Callable[[Instruction], Operation]:
    """An instruction whose operands and result have the type that it names."""
    return lambda instruction: Operation(instruction.type, (instruction.type,) * count, function)


def sum_or_difference(function: Function) -> Callable[[Instruction], Operation | None]:
    def make(instruction: Instruction) -> Operation | None:
        kind, mode = instruction.type, rounding(instruction)
        if kind == "f32x2":
            return packed(function, 2)
        if "cc" in instruction.modifiers:
            return None  # carries are not kept
        found = function
        if kind == "f32" and mode != "rn":

            def found(a: Array, b: Array) -> Array:
                return to_float32(np.asarray(function(a.astype(float), b.astype(float))), mode)

        return Operation(kind, (kind, kind), saturated(instruction, found))

    return make


def packed(function: Function, count: int) -> Operation:
    """Two float32 in one register of 64 bits."""

    def both(*given: Array) -> Array:
        pairs = [np.atleast_1d(x).view(np.float32).reshape(-1, 2) for x in given]
        return np.ascontiguousarray(function(*pairs)).view(np.uint64).ravel()

    return Operation("b64", ("b64",) * count, both)


def product(instruction: Instruction) -> Operation:
    kind, mode = instruction.type, rounding(instruction)
    if kind == "f32x2":
        return packed(np.multiply, 2)
    if is_float(kind):
        if kind == "f32" and mode != "rn":
            return Operation(kind, (kind, kind), lambda a, b: to_float32(np.multiply(a, b, dtype=np.float64), mode))
        return Operation(kind, (kind, kind), saturated(instruction, np.multiply))
    result, function = integer_product(instruction)
    return Operation(result, (kind, kind), function)


def integer_product(instruction: Instruction) -> tuple[str, Function]:
    """The type of the product, and the function: all of it, its upper half or its lower half."""
    kind = instruction.type
    if "wide" in instruction.modifiers:
        wide = DTYPES[WIDER[kind]]
        return WIDER[kind], lambda a, b: a.astype(wide) * b.astype(wide)
    return kind, product_high if "hi" in instruction.modifiers else np.multiply


def product_and_sum(instruction: Instruction) -> Operation | None:
    """a * b + c: fused for floats, that is, rounded once."""
    kind, mode = instruction.type, rounding(instruction)
    if kind == "f32x2":
        return packed(fused, 3)
    if "cc" in instruction.modifiers:
        return None
    if kind == "f32":
        function = fused if mode == "rn" else functools.partial(fused, mode=mode)
        return Operation(kind, (kind,) * 3, saturated(instruction, function))
    if is_float(kind):
        return Operation(kind, (kind,) * 3, lambda a, b, c: a * b + c)
    result, multiply = integer_product(instruction)
    return Operation(result, (kind, kind, result), lambda a, b, c: multiply(a, b) + c)


def fused(a: Array, b: Array, c: Array, mode: str = "rn") -> Array:
    """In float64 the product is exact. The sum is rounded there once: one result in 2^29 is off by half a digit."""
    return to_float32(np.multiply(a, b, dtype=np.float64) + c, mode)


def division(instruction: Instruction) -> Operation:
    kind = instruction.type
    return Operation(kind, (kind, kind), np.divide if is_float(kind) else quotient)


def extreme(number: Function, nan: Function) -> Callable[[Instruction], Operation]:
    """min and max: of NaN and a number the number, unless .NaN is said. `nan` is also right for integers."""

    def make(instruction: Instruction) -> Operation:
        kind = instruction.type
        function = number if is_float(kind) and "NaN" not in instruction.modifiers else nan
        return Operation(
            kind, (kind,) * len(instruction.operands[1:]), lambda *given: functools.reduce(function, given)
        )

    return make


def negation(instruction: Instruction) -> Operation:
    kind = instruction.type
    return Operation(kind, (kind,), np.negative)


def shift(function: Function, quick: Function) -> Callable[[Instruction], Operation]:
    """Where the number of bits stands in the instruction, and is small, no test is needed."""

    def make(instruction: Instruction) -> Operation:
        kind, count = instruction.type, instruction.operands[2]
        bits = DTYPES[kind].itemsize * 8
        if count.isdigit() and int(count) < bits:
            return Operation(kind, (kind, kind), quick)
        return Operation(kind, (kind, "u32"), function)

    return make


def funnel_shift(instruction: Instruction) -> Operation:
    function = functools.partial(funnel, "l" in instruction.modifiers, "clamp" in instruction.modifiers)
    return Operation("b32", ("b32", "b32", "u32"), function)


COMPARISONS: dict[str, Function] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal,
}  # fmt: skip
COMBINATIONS: dict[str, Function] = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


def comparison(instruction: Instruction) -> Operation | None:
    """setp.lt.f32 p, a, b; with .and, .or, .xor one more predicate is joined to the outcome."""
    if "|" in instruction.operands[0]:
        return None
    kind = instruction.type
    compare = comparing(instruction.modifiers[0], kind)
    join = next((COMBINATIONS[name] for name in instruction.modifiers[1:-1] if name in COMBINATIONS), None)
    if join is None:
        return Operation("pred", (kind, kind), compare)
    return Operation("pred", (kind, kind, "pred"), lambda a, b, c: join(compare(a, b), c))


def comparing(name: str, kind: str) -> Function:
    """Comparisons with NaN are false; those that end in u ("or unordered") are true."""
    if name in ("num", "nan"):
        return (
            (lambda a, b: np.isnan(a) | np.isnan(b)) if name == "nan" else (lambda a, b: ~(np.isnan(a) | np.isnan(b)))
        )
    plain = COMPARISONS[name[:2]]
    if not is_float(kind):
        return plain
    if len(name) == 3:
        return lambda a, b: plain(a, b) | np.isnan(a) | np.isnan(b)
    return (lambda a, b: (a < b) | (a > b)) if name == "ne" else plain


def compare_and_set(instruction: Instruction) -> Operation | None:
    """set.lt.u32.f32 r, a, b: the outcome as all ones, or 1.0, rather than as a predicate."""
    *_others, result, kind = instruction.modifiers
    compare = comparing(instruction.modifiers[0], kind)
    true = np.float32(1) if is_float(result) else DTYPES[result].type(~np.uint64(0) & np.uint64(0x7FFFFFFF))
    if not is_float(result):
        true = np.array(-1).astype(DTYPES[result])[()]
    return Operation(result, (kind, kind), lambda a, b: np.where(compare(a, b), true, DTYPES[result].type(0)))


def choice(instruction: Instruction) -> Operation:
    kind = instruction.type
    return Operation(kind, (kind, kind, "pred"), lambda a, b, p: np.where(p, a, b))


def choice_by_sign(instruction: Instruction) -> Operation:
    kind, sign = instruction.modifiers[-2:]
    return Operation(kind, (kind, kind, sign), lambda a, b, c: np.where(c >= 0, a, b))


def conversion(instruction: Instruction) -> Operation | None:
    result, kind = instruction.modifiers[-2:]
    if result not in DTYPES or kind not in DTYPES:
        return None
    mode = next((name for name in instruction.modifiers if name in INTEGER_ROUNDING), "")
    return Operation(result, (kind,), converting(instruction, result, kind, mode))


def converting(instruction: Instruction, result: str, kind: str, mode: str) -> Function:
    dtype = DTYPES[result]
    if is_float(kind) and not is_float(result):
        return lambda a: to_integer(INTEGER_ROUNDING[mode or "rzi"](a), dtype)
    if mode and is_float(kind):
        return saturated(instruction, lambda a: INTEGER_ROUNDING[mode](a).astype(dtype))
    if is_float(result):
        if rounding(instruction) != "rn" and result == "f32":
            return lambda a: to_float32(a.astype(float), rounding(instruction))
        return saturated(instruction, lambda a: a.astype(dtype))
    if "sat" in instruction.modifiers:
        return lambda a: clipped(a, dtype)
    return lambda a: a.astype(dtype)


def to_integer(whole: Array, dtype: Any) -> Array:
    """Numbers too large become the largest, NaN 0."""
    limits = np.iinfo(dtype)
    inside = np.where((whole > limits.min) & (whole < limits.max), whole, 0).astype(dtype)
    ends = np.where(whole >= limits.max, dtype.type(limits.max), np.where(whole <= limits.min, limits.min, inside))
    return np.where(np.isnan(whole), dtype.type(0), ends).astype(dtype)


def clipped(a: Array, dtype: Any) -> Array:
    low, high = (max(np.iinfo(dtype).min, np.iinfo(a.dtype).min), min(np.iinfo(dtype).max, np.iinfo(a.dtype).max))
    return np.clip(a, low, high).astype(dtype)


def function_of_one(function: Function) -> Callable[[Instruction], Operation]:
    """A square root or the like. What is .approx on a card is rounded as well as NumPy can: it errs less than there."""
    return lambda instruction: Operation(instruction.type, (instruction.type,), function)


def reciprocal_root(x: Array) -> Array:
    return (1 / np.sqrt(x.astype(np.float64))).astype(x.dtype)


def test_of_float(instruction: Instruction) -> Operation | None:
    tests: dict[str, Function] = {
        "finite": np.isfinite, "infinite": np.isinf, "notanumber": np.isnan, "number": lambda x: ~np.isnan(x),
    }  # fmt: skip
    test = tests.get(instruction.modifiers[0])
    return test and Operation("pred", (instruction.type,), test)


def counting(function: Function) -> Callable[[Instruction], Operation]:
    """The result is a number of bits."""

    def make(instruction: Instruction) -> Operation:
        unsigned = f"u{instruction.type[1:]}"
        return Operation("u32", (unsigned,), lambda a: function(a).astype(np.uint32))

    return make


def bit_field(instruction: Instruction) -> Operation:
    kind = instruction.type
    if instruction.name == "bfe":
        return Operation(kind, (kind, "u32", "u32"), extract_bits)
    return Operation(kind, (kind, kind, "u32", "u32"), insert_bits)


def dot_of_bytes(instruction: Instruction) -> Operation:
    """dp4a: the four products of the bytes of a and b, added to c."""
    left, right = instruction.modifiers[-2:]
    result = "s32" if "s32" in (left, right) else "u32"

    def dot(a: Array, b: Array, c: Array) -> Array:
        total = sum(x * y for x, y in zip(bytes_of(a, left), bytes_of(b, right), strict=True))
        return c + np.asarray(total).astype(DTYPES[result])

    return Operation(result, (left, right, result), dot)


def three_way_logic(instruction: Instruction) -> Operation:
    table = int(instruction.operands[4], 0)
    return Operation("b32", ("b32", "b32", "b32", "b32"), lambda a, b, c, _table: logic(table, a, b, c))


def absolute_difference(instruction: Instruction) -> Operation:
    kind = instruction.type
    return Operation(kind, (kind,) * 3, lambda a, b, c: c + np.where(a < b, b - a, a - b))


TABLE: dict[str, Callable[[Instruction], Operation | None]] = {
    "mov": same(lambda a: a, 1),
    "add": sum_or_difference(np.add),
    "sub": sum_or_difference(np.subtract),
    "mul": product,
    "mad": product_and_sum,
    "fma": product_and_sum,
    "div": division,
    "rem": same(remainder, 2),
    "min": extreme(np.fmin, np.minimum),
    "max": extreme(np.fmax, np.maximum),
    "neg": negation,
    "abs": same(np.abs, 1),
    "sad": absolute_difference,
    "and": same(np.bitwise_and, 2),
    "or": same(np.bitwise_or, 2),
    "xor": same(np.bitwise_xor, 2),
    "not": same(np.invert, 1),
    "cnot": same(lambda a: np.where(a == 0, a.dtype.type(1), a.dtype.type(0)), 1),
    "shl": shift(shift_left, np.left_shift),
    "shr": shift(shift_right, np.right_shift),
    "shf": funnel_shift,
    "lop3": three_way_logic,
    "bfe": bit_field,
    "bfi": bit_field,
    "prmt": lambda _instruction: Operation("b32", ("b32", "b32", "b32"), pick_bytes),
    "popc": counting(np.bitwise_count),
    "clz": counting(leading_zeros),
    "brev": same(reverse_bits, 1),
    "dp4a": dot_of_bytes,
    "setp": comparison,
    "set": compare_and_set,
    "selp": choice,
    "slct": choice_by_sign,
    "cvt": conversion,
    "copysign": same(lambda sign, size: np.copysign(size, sign), 2),
    "testp": test_of_float,
    "sqrt": function_of_one(np.sqrt),
    "rsqrt": function_of_one(reciprocal_root),
    "rcp": function_of_one(lambda x: x.dtype.type(1) / x),
    "ex2": function_of_one(np.exp2),
    "lg2": function_of_one(np.log2),
    "sin": function_of_one(np.sin),
    "cos": function_of_one(np.cos),
    "tanh": function_of_one(np.tanh),
}
