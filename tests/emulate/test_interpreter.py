"""The compiled PTX of every CUDA kernel, executed: right on every shape, no race, nothing out of bounds, memory used as
well as recorded. Then the interpreter itself: what it counts, and the arithmetic of single instructions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cuda_kernels import needs_compiler, record, recorded, renewing

from dltutor.emulate import arithmetic, front, memory
from dltutor.emulate.interpreter import Interpreter, launch, launch_compiled
from dltutor.emulate.memory import Piece, Space
from dltutor.emulate.ptx import Place, read_instruction
from dltutor.emulate.report import Report
from dltutor.errors import DltutorError
from dltutor.kernels.adam import adam_step_cuda
from dltutor.kernels.clear import clear_cuda
from dltutor.kernels.compile import cuda_run_with
from dltutor.kernels.relu import relu_forward_cuda
from dltutor.kernels.softmax import softmax_forward_cuda
from dltutor.proof.checks import Case, all_cases, all_steps, check_backward, check_forward, check_nan, check_step

CASES = {case.name: case for case in all_cases() if case.with_cuda}
STEPS = {step.name: step for step in all_steps()}
ON_NEWER_CARDS = ("dense", "softmax", "conv2d", "random_normal", "tanh", "layer_norm")  # one of each kind
NEWER = (10, 0)  # older cards have the PTX of the one that is interpreted: see DIALECTS in cuda_kernels.py
MANY = 8  # shapes

pytestmark = needs_compiler


@pytest.fixture
def card() -> Iterator[Interpreter]:
    """CUDA kernels run in the interpreter; a fault of any kind raises."""
    executor = Interpreter()
    with cuda_run_with(executor):
        yield executor


# ---------------------------------------------------------------- every kernel


@pytest.mark.parametrize("name", CASES)
def test_the_compiled_kernels_are_their_reference_also_of_nan(card: Interpreter, name: str) -> None:
    for shape in shapes(CASES[name]):
        check_at(name, shape)
    check_nan(CASES[name], CASES[name].shapes[-1], suffix="_cuda")


def shapes(case: Case) -> tuple[Any, ...]:
    """Of many, every other one, the last besides: what is interpreted takes its time. test_cuda.py tries them all."""
    return case.shapes if len(case.shapes) < MANY else (*case.shapes[:-1:2], case.shapes[-1])


@pytest.mark.parametrize("name", STEPS)
def test_the_compiled_step_is_its_reference(card: Interpreter, name: str) -> None:
    for n in (0, 1, 7, 130):
        check_step(STEPS[name], n, suffix="_cuda")


@pytest.mark.parametrize("name", ON_NEWER_CARDS)
def test_what_newer_cards_run_is_right_too(name: str) -> None:
    with cuda_run_with(Interpreter(NEWER)):
        check_at(name, CASES[name].shapes[-1])


def test_clear_clears_and_nothing_else(card: Interpreter) -> None:
    x = np.full(300, np.nan, np.float32)
    clear_cuda(x[10:290])
    assert (x[10:290] == 0).all()
    assert np.isnan(x[:10]).all() and np.isnan(x[290:]).all()


# ---------------------------------------------------------------- how memory is used


# Larger than a tile, and whole warps: what the kernel itself scatters shows, and not the ragged ends.
TRAFFIC: dict[str, Any] = {
    "relu": 4096,
    "dropout": 4096,
    "mse": 4096,
    "add": 4096,
    "matmul": (64, 64, 64),
    "dense": (64, 64, 64),
    "softmax": (16, 256),
    "cross_entropy": (64, 32),
    "layer_norm": (16, 256),
    "batch_norm": (64, 64),
    "conv2d": (1, (8, 8), 2, 3, 16, 1, 1),
    "max_pool": (2, (8, 8), 32, 2, 2),
    "attention": (2, 32, 2, 16, 1),
    "embedding": (64, 10, 32),
    "lstm": (2, 4, 32, 32),
    "adam_step": 4096,
}


@pytest.mark.parametrize("name", TRAFFIC)
def test_memory_traffic_is_no_worse_than_recorded(card: Interpreter, name: str) -> None:
    """4 sectors a request is 32 neighbours that read 32 neighbouring numbers; factor 1 is no bank conflict.

    The numbers are right at this size, too, and nothing races.
    """
    check_at(name, TRAFFIC[name])
    measured = {
        kernel: [round(report.sectors_per_request, 3), round(report.bank_factor, 3)]
        for kernel, report in card.reports.items()
    }
    if renewing():
        return record("traffic", name, measured)
    for kernel, (sectors, factor) in measured.items():
        before, conflicts = recorded("traffic")[name].get(kernel, (0, 0))
        assert sectors <= 1.02 * before, f"{kernel}: {sectors} sectors a request, were {before}"
        assert factor <= 1.02 * conflicts, f"{kernel}: bank conflicts {factor} times, were {conflicts}"
    return None


def check_at(name: str, shape: Any) -> None:
    if name in STEPS:
        return check_step(STEPS[name], shape, suffix="_cuda")
    check_forward(CASES[name], shape, suffix="_cuda")
    if CASES[name].backward_reference:
        check_backward(CASES[name], shape, suffix="_cuda", calls=1)
    return None


def zeros(*shapes: Any) -> list[np.ndarray]:
    return [np.zeros(shape, np.float32) for shape in shapes]


def test_neighbours_read_together() -> None:
    x, y = zeros(1024, 1024)
    report = launch(relu_forward_cuda, 8, 128, (x, y))
    assert report.sectors_per_request == 4


# ---------------------------------------------------------------- what a report tells


def test_a_report_counts_by_instruction_and_by_line() -> None:
    x, p = zeros((3, 5), (3, 5))
    report = launch(softmax_forward_cuda, *softmax_forward_cuda.grid((x, p)), (x, p))
    assert report.instructions == sum(report.executed.values()) == sum(counts.warps for counts in report.lines.values())
    assert 0 < report.lanes_busy <= 1
    assert {place.file for place in report.lines} >= {softmax_forward_cuda.py_func.__code__.co_filename}
    assert report.faults == []


def test_all_threads_of_a_whole_warp_are_busy() -> None:
    x, y = zeros(256, 256)
    report: Report = launch(relu_forward_cuda, 2, 128, (x, y))
    assert report.lanes_busy == 1
    assert report.divergent == 0


def test_launches_larger_than_what_runs_together_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dltutor.emulate.threads.AT_ONCE", 256)
    x = np.linspace(-1, 1, 1000, dtype=np.float32)
    y = np.full_like(x, np.nan)
    launch(relu_forward_cuda, 8, 128, (x, y))
    np.testing.assert_array_equal(y, np.maximum(x, 0))


def test_arrays_that_share_memory_share_it_on_the_card() -> None:
    """In place, and as parts of one arena."""
    arena = np.linspace(-1, 1, 100, dtype=np.float32)
    wanted = np.r_[np.maximum(arena[:60], 0), arena[60:]]
    launch(relu_forward_cuda, 1, 64, (arena[:60], arena[:60]))
    np.testing.assert_array_equal(arena, wanted)
    launch(relu_forward_cuda, 1, 64, (arena[:50], arena[50:]))
    np.testing.assert_array_equal(arena[50:], arena[:50])


def test_numbers_and_arrays_must_fit_the_signature() -> None:
    x, y = zeros(8, 8)
    with pytest.raises(DltutorError, match="1 arguments for a kernel that takes 2"):
        launch(relu_forward_cuda, 1, 32, (x,))
    with pytest.raises(DltutorError, match="argument y: float32 with 2 axes"):
        launch(relu_forward_cuda, 1, 32, (x, y.reshape(2, 4)))
    with pytest.raises(DltutorError, match="argument x: float64"):
        launch(relu_forward_cuda, 1, 32, (x.astype(float), y))
    with pytest.raises(DltutorError, match="argument y: its rows"):
        launch(relu_forward_cuda, 1, 32, (x, np.zeros(16, np.float32)[::2]))
    with pytest.raises(DltutorError, match="argument lr: ndarray"):
        launch(adam_step_cuda, 1, 32, (*zeros(4, 4, 4, 4), *zeros(*[1] * 6)))


def test_the_grid_is_three_dimensional() -> None:
    compiled = front.compile_function(with_cuda(where_am_i), "void(int32[:, ::1])")
    told = np.zeros((2 * 3 * 2 * 4 * 2 * 2, 6), np.int32)
    launch_compiled(compiled, (2, 3, 2), (4, 2, 2), (told,)).require_sound()
    wanted = [(x, y, z, u, v, w) for z in range(2) for y in range(3) for x in range(2)
              for w in range(2) for v in range(2) for u in range(4)]  # fmt: skip
    assert told.tolist() == [list(row) for row in wanted]


def where_am_i(told: Any) -> None:
    b, g, t, d = cuda.blockIdx, cuda.gridDim, cuda.threadIdx, cuda.blockDim
    block = (b.z * g.y + b.y) * g.x + b.x
    i = ((block * d.z + t.z) * d.y + t.y) * d.x + t.x
    told[i, 0], told[i, 1], told[i, 2] = b.x, b.y, b.z
    told[i, 3], told[i, 4], told[i, 5] = t.x, t.y, t.z


cuda: Any = None


def with_cuda(function: Any) -> Any:
    from numba import cuda as real

    function.__globals__["cuda"] = real
    return function


# ---------------------------------------------------------------- threads together


def run(function: Any, kinds: str, blocks: Any, threads: Any, *arguments: Any) -> Report:
    compiled = front.compile_function(with_cuda(function), f"void({kinds})")
    return launch_compiled(compiled, blocks, threads, arguments)


F1, I1, U1 = "float32[::1]", "int32[::1]", "uint32[::1]"


def test_shuffles_and_votes() -> None:
    def kernel(x: Any, out: Any) -> None:
        me = cuda.threadIdx.x
        v = x[me]
        out[me] = cuda.shfl_xor_sync(0xFFFFFFFF, v, 1)
        out[me + 64] = cuda.shfl_up_sync(0xFFFFFFFF, v, 2)
        out[me + 128] = cuda.shfl_down_sync(0xFFFFFFFF, v, 2)
        out[me + 192] = cuda.shfl_sync(0xFFFFFFFF, v, 5)
        out[me + 256] = cuda.ballot_sync(0xFFFFFFFF, v % 3 == 0)
        out[me + 320] = cuda.any_sync(0xFFFFFFFF, v == 40) + 2 * cuda.all_sync(0xFFFFFFFF, v < 32)

    x, out = np.arange(64, dtype=np.int32), np.zeros(6 * 64, np.int32)
    run(kernel, f"{I1}, {I1}", 1, 64, x, out).require_sound()
    lane, first = x % 32, x // 32 * 32
    xor, up, down, pick, ballot, some = out.reshape(6, 64)
    np.testing.assert_array_equal(xor, x ^ 1)
    np.testing.assert_array_equal(up, np.where(lane < 2, x, x - 2))
    np.testing.assert_array_equal(down, np.where(lane > 29, x, x + 2))
    np.testing.assert_array_equal(pick, first + 5)
    masks = [sum(1 << k for k in range(32) if (32 * w + k) % 3 == 0) for w in (0, 1)]
    np.testing.assert_array_equal(ballot.view(np.uint32), np.repeat(np.array(masks, np.uint32), 32))
    np.testing.assert_array_equal(some, np.where(x < 32, 2, 1))


def test_atomic_operations_lose_nothing() -> None:
    def kernel(counts: Any, order: Any) -> None:
        i = cuda.grid(1)
        cuda.atomic.add(counts, i % 3, 1)
        cuda.atomic.max(counts, 3, i)
        order[i] = cuda.atomic.add(counts, 4, 1)

    counts, order = np.zeros(5, np.int32), np.zeros(100, np.int32)
    run(kernel, f"{I1}, {I1}", 2, 50, counts, order).require_sound()
    assert counts.tolist() == [34, 33, 33, 99, 100]
    assert sorted(order) == list(range(100))


def test_threads_that_diverge_meet_again() -> None:
    def kernel(x: Any) -> None:
        i = cuda.grid(1)
        if i % 2:
            n = i
            while n > 0:
                x[i] += 2
                n -= 1
        else:
            x[i] = -1
        x[i] += 1

    x = np.zeros(40, np.int32)
    report = run(kernel, I1, 1, 40, x)
    assert x.tolist() == [2 * i + 1 if i % 2 else 0 for i in range(40)]
    assert report.divergent > 0
    assert report.lanes_busy < 1


# ---------------------------------------------------------------- single instructions


def calculate(text: str, *operands: Any) -> Any:
    """One instruction, of the numbers that it takes."""
    found = arithmetic.operation(read_instruction(text, Place()))
    assert found is not None, text
    given = [
        np.asarray(value).astype(arithmetic.DTYPES[kind]) for value, kind in zip(operands, found.takes, strict=True)
    ]
    with np.errstate(all="ignore"):
        result = found.function(*(np.atleast_1d(value) for value in given))
    return np.asarray(result, arithmetic.DTYPES[found.result])


BIG = np.array([0, 1, 5, 2**31, 2**32 - 1, 2**63, 2**64 - 1], np.uint64)
SIGNED = np.array([0, 1, -1, 7, -7, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63)], np.int64)


def test_the_upper_half_of_a_product() -> None:
    for kind, numbers, bits in (("u64", BIG, 64), ("s64", SIGNED, 64), ("u32", BIG[:5], 32), ("s32", SIGNED[:7], 32)):
        a, b = (x.ravel() for x in np.meshgrid(numbers, numbers))
        wanted = [int(x) * int(y) >> bits for x, y in zip(a, b, strict=True)]
        assert calculate(f"mul.hi.{kind} %r1, %r2, %r3", a, b).tolist() == wanted, kind
    assert calculate("mul.wide.u32 %rd1, %r1, %r2", [2**32 - 1], [2**32 - 1]).tolist() == [(2**32 - 1) ** 2]


def test_division_goes_towards_zero() -> None:
    assert calculate("div.s32 %r1, %r2, %r3", [7, -7, 7, -7], [2, 2, -2, -2]).tolist() == [3, -3, -3, 3]
    assert calculate("rem.s32 %r1, %r2, %r3", [7, -7, 7, -7], [2, 2, -2, -2]).tolist() == [1, -1, 1, -1]
    assert calculate("div.u32 %r1, %r2, %r3", [7], [0]).tolist() == [2**32 - 1]


def test_shifts_by_all_bits_and_more() -> None:
    assert calculate("shl.b32 %r1, %r2, %r3", [1, 1, 1], [31, 32, 99]).tolist() == [2**31, 0, 0]
    assert calculate("shr.u32 %r1, %r2, %r3", [2**31] * 2, [31, 32]).tolist() == [1, 0]
    assert calculate("shr.s32 %r1, %r2, %r3", [-8] * 2, [1, 40]).tolist() == [-4, -1]
    assert calculate("shf.l.wrap.b32 %r1, %r2, %r3, %r4", [2**31], [1], [1]).tolist() == [3]
    assert calculate("shf.r.wrap.b32 %r1, %r2, %r3, %r4", [2], [1], [33]).tolist() == [2**31 + 1]


def test_bits_and_bytes() -> None:
    assert calculate("bfe.u32 %r1, %r2, 4, 8", [0xABCD], [4], [8]).tolist() == [0xBC]
    assert calculate("bfe.s32 %r1, %r2, 4, 4", [0xC0], [4], [4]).tolist() == [-4]
    assert calculate("bfi.b32 %r1, %r2, %r3, 8, 8", [0xFF], [0x1234], [8], [8]).tolist() == [0xFF34]
    assert calculate("prmt.b32 %r1, %r2, %r3, 0x5410", [0x33221100], [0x77665544], [0x5410]).tolist() == [0x55441100]
    assert calculate("lop3.b32 %r1, %r2, %r3, %r4, 0x96", [0b1100], [0b1010], [0b1001], [0]).tolist() == [0b1111]
    assert calculate("popc.b32 %r1, %r2", [0xF0F]).tolist() == [8]
    assert calculate("clz.b32 %r1, %r2", [1, 0, 2**31]).tolist() == [31, 32, 0]
    assert calculate("brev.b32 %r1, %r2", [1, 6]).tolist() == [2**31, 0x60000000]


def test_products_of_bytes() -> None:
    a, b = np.array([1, -2, 3, -128], np.int8), np.array([5, 6, -7, -128], np.int8)
    dot = int(a.astype(int) @ b.astype(int))
    assert calculate("dp4a.s32.s32 %r1, %r2, %r3, %r4", a.view(np.int32), b.view(np.int32), [10]).tolist() == [dot + 10]


def test_floats_become_integers_within_their_range() -> None:
    x = [0.5, 1.5, -1.5, 3e9, -3e9, np.nan, np.inf]
    assert calculate("cvt.rzi.s32.f32 %r1, %f1", x).tolist() == [0, 1, -1, 2**31 - 1, -(2**31), 0, 2**31 - 1]
    assert calculate("cvt.rni.s32.f32 %r1, %f1", x[:3]).tolist() == [0, 2, -2]
    assert calculate("cvt.rzi.u32.f32 %r1, %f1", x).tolist() == [0, 1, 0, 3_000_000_000, 0, 0, 2**32 - 1]
    assert calculate("cvt.sat.f32.f32 %f1, %f2", [-1, 0.25, 7, np.nan]).tolist() == [0, 0.25, 1, 0]
    assert calculate("cvt.s64.s32 %rd1, %r1", [-5]).tolist() == [-5]


def test_rounding_downwards_and_small_numbers() -> None:
    down = calculate("fma.rm.f32 %f1, %f2, %f3, %f4", [1.0], [1e-9], [1.0])
    up = calculate("add.rp.f32 %f1, %f2, %f3", [1.0], [1e-9])
    assert (down[0], up[0]) == (1, np.nextafter(np.float32(1), np.float32(2)))
    assert calculate("add.rz.f32 %f1, %f2, %f3", [-1.0], [-1e-9])[0] == -1
    assert calculate("add.ftz.f32 %f1, %f2, %f3", [1e-40], [0]).tolist() == [0]
    assert calculate("add.f32 %f1, %f2, %f3", [1e-40], [0])[0] > 0


def test_comparisons_with_nan() -> None:
    a, b = [1, np.nan, 2], [2, 2, np.nan]
    wanted = {"lt": "100", "ne": "100", "ltu": "111", "neu": "111", "equ": "011", "num": "100", "nan": "011"}
    for name, answer in wanted.items():
        found = calculate(f"setp.{name}.f32 %p1, %f1, %f2", a, b)
        assert "".join("01"[int(x)] for x in found) == answer, name
    joined = calculate("setp.lt.and.s32 %p1, %r1, %r2, %p2", [1, 1], [2, 2], [True, False])
    assert joined.tolist() == [True, False]


def test_minimum_of_nan_is_the_other_unless_said() -> None:
    assert calculate("min.f32 %f1, %f2, %f3", [np.nan], [3]).tolist() == [3]
    assert np.isnan(calculate("min.NaN.f32 %f1, %f2, %f3", [np.nan], [3]))[0]


def test_pairs_of_floats_in_one_register() -> None:
    a, b = (np.array(pair, np.float32).view(np.uint64) for pair in ([1, 2], [10, 20]))
    assert calculate("add.rn.f32x2 %rd1, %rd2, %rd3", a, b).view(np.float32).tolist() == [11, 22]


# ---------------------------------------------------------------- counting


def test_sectors_of_a_request() -> None:
    warp = np.zeros(32, np.int64)
    lanes = np.arange(32)
    assert memory.sectors(warp, 4 * lanes) == 4
    assert memory.sectors(warp, 4 * lanes + 16) == 5
    assert memory.sectors(warp, 128 * lanes) == 32
    assert memory.sectors(warp, 0 * lanes) == 1


def test_bank_conflicts_of_a_request() -> None:
    warp, lane = np.zeros(32, np.int64), np.arange(32)
    assert memory.wavefronts(warp, lane, 4 * lane, 4) == (1, 1)
    assert memory.wavefronts(warp, lane, 8 * lane, 4) == (2, 1)
    assert memory.wavefronts(warp, lane, 128 * lane, 4) == (32, 1)
    assert memory.wavefronts(warp, lane, 0 * lane, 4) == (1, 1), "one word is sent to all at once"
    assert memory.wavefronts(warp, lane, 132 * lane, 4) == (1, 1), "rows one longer"
    assert memory.wavefronts(warp, lane, 16 * lane, 16) == (4, 4), "a quarter of a warp at a time"


def test_an_address_outside_its_array_is_told_from_its_neighbour() -> None:
    space = Space([Piece("a", 40, 4), Piece("b", 40, 4)], shift=20)
    address = np.array([space.address(0), space.address(0) + 36, space.address(0) + 40, space.address(1) - 4])
    _place, outside = space.locate(address, np.int64(0), 4)
    assert outside.tolist() == [False, False, True, True]
    assert space.piece_of(int(address[3])) == (1, -4)
