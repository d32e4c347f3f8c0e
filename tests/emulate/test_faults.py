"""Kernels with a fault planted in each: the interpreter finds it, and says the line and what to do."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from cuda_kernels import needs_compiler

from dltutor.emulate import front
from dltutor.emulate.interpreter import Machine, launch_compiled
from dltutor.emulate.report import Fault, KernelFault, Report

pytestmark = needs_compiler
cuda: Any = None  # Numba's, once a kernel is compiled
float32 = np.float32
FLAT, TABLE = "float32[::1]", "float32[:, ::1]"
SIDE, LONGER = 32, 33


def run(function: Any, kinds: str, blocks: Any, threads: Any, *arguments: Any, limit: int = 10_000) -> Report:
    from numba import cuda as real

    function.__globals__["cuda"] = real
    compiled = front.compile_function(function, f"void({kinds})")
    return launch_compiled(compiled, blocks, threads, arguments, limit=limit)


def stopped(function: Any, kinds: str, blocks: Any, threads: Any, *arguments: Any) -> Fault:
    with pytest.raises(KernelFault) as caught:
        run(function, kinds, blocks, threads, *arguments)
    return caught.value.fault


def found(function: Any, kinds: str, blocks: Any, threads: Any, *arguments: Any) -> Fault:
    report = run(function, kinds, blocks, threads, *arguments)
    with pytest.raises(KernelFault):
        report.require_sound()
    return report.faults[0]


def check(fault: Fault, kind: str, function: Any, marked: str = "# here") -> None:
    """Of that kind, and at the line that is marked."""
    lines, first = inspect.getsourcelines(function)
    wanted = [first + number for number, line in enumerate(lines) if marked in line]
    assert fault.kind == kind, fault
    assert fault.place.line in wanted, fault
    assert function.__name__ in fault.message
    assert fault.hint


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


# ---------------------------------------------------------------- shared memory


def sum_without_barrier(x: Any, out: Any) -> None:
    shares = cuda.shared.array(256, float32)
    me = cuda.threadIdx.x
    shares[me] = x[cuda.grid(1)]
    cuda.syncthreads()
    half = cuda.blockDim.x // 2
    while half > 0:
        if me < half:
            shares[me] += shares[me + half]  # here
        half //= 2
    if me == 0:
        out[cuda.blockIdx.x] = shares[0]  # here


def test_a_missing_barrier_is_a_race() -> None:
    fault = found(sum_without_barrier, f"{FLAT}, {FLAT}", 2, 256, ones(512), ones(2))
    check(fault, "race", sum_without_barrier)
    assert "a shared array" in fault.message
    assert "syncthreads" in fault.hint
    assert "ld.shared" in fault.instruction


def race_in_one_warp(out: Any) -> None:
    shares = cuda.shared.array(32, float32)
    me = cuda.threadIdx.x
    shares[me] = me
    out[me] = shares[31 - me]  # here


def test_threads_of_one_warp_race_too() -> None:
    check(found(race_in_one_warp, FLAT, 1, 32, ones(32)), "race", race_in_one_warp)


def ordered_in_one_warp(out: Any) -> None:
    shares = cuda.shared.array(32, float32)
    me = cuda.threadIdx.x
    shares[me] = me
    cuda.syncwarp()
    out[me] = shares[31 - me]


def test_syncwarp_orders_a_warp() -> None:
    out = ones(32)
    assert run(ordered_in_one_warp, FLAT, 1, 32, out).faults == []
    np.testing.assert_array_equal(out, np.arange(32)[::-1])


def half_filled(x: Any) -> None:
    shares = cuda.shared.array(64, float32)
    me = cuda.threadIdx.x
    if me < 32:
        shares[me] = me
    cuda.syncthreads()
    x[me] = shares[me]  # here


def test_shared_memory_that_nobody_wrote() -> None:
    fault = found(half_filled, FLAT, 1, 64, ones(64))
    check(fault, "uninitialised", half_filled)
    assert fault.count == 32


def beside_shared(x: Any) -> None:
    first, second = cuda.shared.array(32, float32), cuda.shared.array(32, float32)
    me = cuda.threadIdx.x
    first[me + 1] = x[me]  # here
    second[me] = x[me]
    cuda.syncthreads()
    x[me] = first[me] + second[me]


def test_a_shared_array_ends_where_the_next_begins() -> None:
    fault = stopped(beside_shared, FLAT, 1, 32, ones(32))
    check(fault, "bounds", beside_shared)
    assert "number 32 of a shared array, which has 32" in fault.message


# ---------------------------------------------------------------- global memory


def beyond_the_end(x: Any, y: Any) -> None:
    i = cuda.grid(1)
    y[i] = x[i]  # here


def test_an_index_beyond_the_end() -> None:
    fault = stopped(beyond_the_end, f"{FLAT}, {FLAT}", 4, 256, ones(1000), ones(1024))
    check(fault, "bounds", beyond_the_end)
    assert "reads number 1000 of x, which has 1000" in fault.message
    assert "(thread 232 of block 3 and 23 more)" in fault.message


def before_the_start(x: Any, y: Any) -> None:
    i = cuda.grid(1)
    j = np.uint64(i) * np.uint64(8) - np.uint64(4)
    y[j] = x[i]  # here


def test_an_index_before_the_start() -> None:
    fault = stopped(before_the_start, f"{FLAT}, {FLAT}", 1, 32, ones(32), ones(1024))
    check(fault, "bounds", before_the_start)
    assert "writes number -4 of y" in fault.message


def one_for_all(x: Any) -> None:
    x[0] += x[cuda.grid(1)]  # here


def test_blocks_that_add_to_one_number() -> None:
    fault = found(one_for_all, FLAT, 3, 1, ones(3))
    check(fault, "race", one_for_all)
    assert "one thread only" in fault.hint


def different_values(x: Any) -> None:
    x[0] = cuda.grid(1)  # here


def same_value(x: Any) -> None:
    x[0] = 3


def test_writing_one_place_is_a_race_only_with_different_values() -> None:
    check(found(different_values, FLAT, 1, 8, ones(1)), "race", different_values)
    assert run(same_value, FLAT, 2, 8, ones(1)).faults == []


def in_place_after_a_barrier(x: Any) -> None:
    me = cuda.threadIdx.x
    other = x[cuda.blockDim.x - 1 - me]
    cuda.syncthreads()
    x[me] = other


def test_a_barrier_orders_global_memory_within_a_block() -> None:
    x = np.arange(64, dtype=np.float32)
    assert run(in_place_after_a_barrier, FLAT, 1, 64, x).faults == []
    np.testing.assert_array_equal(x, np.arange(64)[::-1])


def test_a_wide_access_must_be_aligned() -> None:
    """The compiler never makes one from Numba's arrays, so an instruction is widened by hand."""
    run(beyond_the_end, f"{FLAT}, {FLAT}", 1, 8, ones(8), ones(8))
    plain = front.compile_function(beyond_the_end, f"void({FLAT}, {FLAT})")

    class Widened(front.Compiled):
        def ptx(self, capability: front.Capability = front.H100) -> str:
            return super().ptx(capability).replace("ld.global.f32", "ld.global.v2.f32").replace("%f1,", "{%f1, %f1},")

    widened = Widened(plain.name, plain.entry, plain.names, plain.arguments, plain.library)
    with pytest.raises(KernelFault, match="8 bytes must start at a multiple of 8") as caught:
        Machine(widened, front.H100).launch(1, 4, (ones(9), ones(8)))
    check(caught.value.fault, "misaligned", beyond_the_end)


# ---------------------------------------------------------------- threads together


def barrier_in_a_branch(x: Any) -> None:
    me = cuda.threadIdx.x
    if me < 16:
        cuda.syncthreads()  # here
        x[me] = 1
    else:
        x[me] = 2
        cuda.syncthreads()


def test_a_barrier_in_a_branch() -> None:
    fault = stopped(barrier_in_a_branch, FLAT, 1, 32, ones(32))
    check(fault, "barrier", barrier_in_a_branch)
    assert fault.count == 32


def shuffle_in_a_branch(x: Any) -> None:
    me = cuda.threadIdx.x
    v = x[me]
    if me < 8:
        v += cuda.shfl_xor_sync(0xFFFFFFFF, v, 16)  # here
    x[me] = v


def test_a_shuffle_with_threads_that_are_elsewhere() -> None:
    fault = found(shuffle_in_a_branch, FLAT, 1, 32, ones(32))
    check(fault, "shuffle", shuffle_in_a_branch)
    assert fault.count == 8


def endless(x: Any) -> None:
    while x[0] < 1:  # here
        x[1] += 1  # here


def test_a_loop_without_end() -> None:
    check(stopped(endless, FLAT, 1, 1, np.zeros(2, np.float32)), "endless", endless)


# ---------------------------------------------------------------- slow, not wrong


def transpose_directly(a: Any, b: Any) -> None:
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    b[x, y] = a[y, x]


def transpose_shared(a: Any, b: Any) -> None:
    tile = cuda.shared.array((SIDE, SIDE), float32)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    tile[y, x] = a[y, x]
    cuda.syncthreads()
    b[y, x] = tile[x, y]


def transpose_padded(a: Any, b: Any) -> None:
    tile = cuda.shared.array((SIDE, LONGER), float32)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    tile[y, x] = a[y, x]
    cuda.syncthreads()
    b[y, x] = tile[x, y]


@pytest.mark.parametrize(
    ("function", "sectors", "factor"),
    [(transpose_directly, (4 + 32) / 2, 1), (transpose_shared, 4, (1 + 32) / 2), (transpose_padded, 4, 1)],
)
def test_what_a_transpose_costs(function: Any, sectors: float, factor: float) -> None:
    """Columns scatter over global memory, or over one bank of shared memory, unless rows are one number longer."""
    a, b = np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32), ones(32, 32)
    report = run(function, f"{TABLE}, {TABLE}", 1, (32, 32), a, b)
    np.testing.assert_array_equal(b, a.T)
    assert report.faults == []
    assert (report.sectors_per_request, report.bank_factor) == (sectors, factor)


def test_the_line_that_scatters_is_told() -> None:
    report = run(transpose_directly, f"{TABLE}, {TABLE}", 1, (32, 32), ones(32, 32), ones(32, 32))
    worst = max(report.lines.items(), key=lambda line: line[1].sectors)[0]
    assert worst.source == "b[x, y] = a[y, x]"


# ---------------------------------------------------------------- functions that kernels call


def add_up_shares(shares: Any, me: int) -> Any:
    return shares[me] + shares[31 - me]  # inside


def sum_by_function(x: Any) -> None:
    shares = cuda.shared.array(32, float32)
    me = cuda.threadIdx.x
    shares[me] = x[me]
    x[me] = add_up(shares, me)  # here


add_up: Any = None


def test_a_fault_in_a_function_names_it_and_its_caller() -> None:
    from numba import cuda as real

    sum_by_function.__globals__["add_up"] = real.jit(device=True, lineinfo=True)(add_up_shares)
    fault = found(sum_by_function, FLAT, 1, 32, ones(32))
    assert fault.place.source.endswith("# inside")
    assert fault.place.outermost.source.endswith("# here")
    assert "called in" in str(fault)
