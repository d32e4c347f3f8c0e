"""CUDA kernels as machine code of this processor: barriers, shuffles, memory; what is kept, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dltutor.emulate import native
from dltutor.emulate.native import Native
from dltutor.errors import DltutorError
from dltutor.kernels import kept
from dltutor.kernels.compile import (
    ZERO,
    CudaKernel,
    Int8Vector,
    Labels,
    Matrix,
    Number,
    Tensor3,
    Uint32Vector,
    Vector,
    Whole,
    cuda,
    cuda_kernel,
    cuda_run_with,
)

pytest.importorskip("numba_cuda", reason="the emulated card needs numba-cuda")

TILE = 8
WARP = 0xFFFFFFFF


@pytest.fixture(autouse=True)
def emulated() -> Iterator[None]:
    with cuda_run_with(Native()):
        yield


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


# ---------------------------------------------------------------- threads that wait for each other


@cuda_kernel(threads=(TILE, TILE), tiles_of="c")
def tiled_product(a: Tensor3, b: Tensor3, c: Tensor3) -> None:
    shared_a = cuda.shared.array((TILE, TILE), np.float32)
    shared_b = cuda.shared.array((TILE, TILE), np.float32)
    x, y, z = cuda.threadIdx.x, cuda.threadIdx.y, cuda.blockIdx.z
    m, n = cuda.blockIdx.x * TILE + x, cuda.blockIdx.y * TILE + y
    _Z, N, M = c.shape
    D = a.shape[2]
    total = ZERO
    d = 0
    while d < D:
        shared_a[y, x] = a[z, n, d + x] if n < N and d + x < D else ZERO
        shared_b[y, x] = b[z, d + y, m] if d + y < D and m < M else ZERO
        cuda.syncthreads()
        for i in range(TILE):
            total += shared_a[y, i] * shared_b[i, x]
        cuda.syncthreads()
        d += TILE
    if n < N and m < M:
        c[z, n, m] = total


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 8, 8, 8), (2, 9, 17, 5), (3, 20, 3, 11)])
def test_blocks_in_three_dimensions_share_memory(shape: tuple[int, int, int, int]) -> None:
    z, n, d, m = shape
    a, b, c = normal(z, n, d), normal(z, d, m), np.full((z, n, m), np.nan, np.float32)
    tiled_product(a, b, c)
    np.testing.assert_allclose(c, a @ b, 1e-5, 1e-5)


@cuda_kernel(threads=64, over="x")
def exchanges(x: Vector, y: Matrix) -> None:
    i = cuda.grid(1)
    total, top, step = x[i], x[i], 16
    while step > 0:
        total += cuda.shfl_down_sync(WARP, total, step)
        top = max(top, cuda.shfl_xor_sync(WARP, top, step))
        step //= 2
    y[i, 0] = total
    y[i, 1] = top
    y[i, 2] = cuda.shfl_up_sync(WARP, x[i], 1)
    y[i, 3] = cuda.shfl_sync(WARP, x[i], 3)
    y[i, 4] = cuda.any_sync(WARP, x[i] > 2)
    y[i, 5] = cuda.all_sync(WARP, x[i] > -1)
    y[i, 6] = cuda.popc(cuda.ballot_sync(WARP, x[i] > 0))
    cuda.syncwarp()
    y[i, 7] = cuda.laneid


def test_the_threads_of_a_warp_exchange_numbers() -> None:
    x, y = normal(256), np.full((256, 8), np.nan, np.float32)
    exchanges(x, y)
    warps, told = x.reshape(8, 32), y.reshape(8, 32, 8)
    np.testing.assert_allclose(told[:, 0, 0], warps.sum(axis=1), 1e-4, 1e-5)
    top, over, above = warps.max(axis=1), (warps > 2).any(axis=1), (warps > -1).all(axis=1)
    for place, wanted in ((1, top), (3, warps[:, 3]), (4, over), (5, above), (6, (warps > 0).sum(axis=1))):
        assert (told[:, :, place] == wanted[:, None]).all(), place
    assert (told[:, 1:, 2] == warps[:, :-1]).all()
    assert (told[:, 0, 2] == warps[:, 0]).all(), "the first lane has nobody before it, and keeps its own"
    assert (told[:, :, 7] == np.arange(32)).all()


@cuda_kernel(threads=48, over="x")
def leaving(x: Vector, y: Vector) -> None:
    """Every third thread leaves early; the others still meet. The array of each is its own."""
    own = cuda.local.array(4, np.float32)
    seen = cuda.shared.array(48, np.float32)
    i, me = cuda.grid(1), cuda.threadIdx.x
    for j in range(4):
        own[j] = x[i] * j
    seen[me] = own[3]
    cuda.syncthreads()
    if i % 3 == 0:
        return
    for j in range(4):
        own[j] += seen[(me + 1) % 48]
    cuda.syncthreads()
    y[i] = own[i % 4]


def test_threads_may_leave_before_a_barrier() -> None:
    x, y = normal(96), np.zeros(96, np.float32)
    leaving(x, y)
    i = np.arange(96)
    neighbour = x[i // 48 * 48 + (i % 48 + 1) % 48]
    np.testing.assert_allclose(y, np.where(i % 3 == 0, 0, x * (i % 4) + 3 * neighbour), 1e-5)


@cuda_kernel(threads=1024)
def running_sum(x: Vector) -> None:
    """As many threads as a block can have, and twenty barriers."""
    me = cuda.threadIdx.x
    step = 1
    while step < 1024:
        before = x[me - step] if me >= step else ZERO
        cuda.syncthreads()
        x[me] += before
        cuda.syncthreads()
        step *= 2


def test_a_full_block_with_many_barriers() -> None:
    x = np.ones(1024, np.float32)
    running_sum(x)
    assert (x == np.arange(1, 1025)).all()


# ---------------------------------------------------------------- numbers of every kind


@cuda_kernel(threads=32, over="y")
def mixed(a: Uint32Vector, b: Int8Vector, c: Labels, scale: Number, shift: Whole, y: Vector) -> None:
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        high = np.uint32((np.uint64(a[i]) * np.uint64(a[i])) >> np.uint64(32))
        a[i] = high
        c[i] = np.int32(b[i]) * np.int32(b[i]) + shift
        y[i] = scale * np.float32(c[i])


def test_whole_numbers_of_all_sizes_and_plain_python_numbers() -> None:
    a = np.array([0, 1, 2**31, 2**32 - 1], np.uint32)
    b = np.array([-128, -1, 0, 127], np.int8)
    c, y = np.zeros(4, np.int32), np.zeros(4, np.float32)
    mixed(a, b, c, 0.5, -7, y)
    assert a.tolist() == [0, 0, 2**30, 2**32 - 2]
    assert c.tolist() == [128 * 128 - 7, -6, -7, 127 * 127 - 7]
    assert (y == c / 2).all()


def test_a_multiplication_and_an_addition_are_rounded_once_as_on_a_card() -> None:
    x = np.array([1 + 2.0**-12, -(1 + 2.0**-11), 0], np.float32)
    fused(x)
    assert x[2] == np.float32(2.0**-24)


@cuda_kernel(threads=1)
def fused(x: Vector) -> None:
    x[2] = x[0] * x[0] + x[1]


# ---------------------------------------------------------------- what is refused


@cuda_kernel(threads=1)
def matching(x: Vector) -> None:
    x[0] = cuda.match_any_sync(WARP, np.int32(1))


@cuda_kernel(threads=1)
def sleeping(x: Vector) -> None:
    cuda.nanosleep(np.uint32(10))


@cuda_kernel(threads=1)
def unsized(x: Vector) -> None:
    shared = cuda.shared.array(0, np.float32)
    shared[0] = x[0]
    x[1] = shared[0]


@pytest.mark.parametrize(
    ("kernel", "said"), [(matching, r"match\.any"), (sleeping, "nanosleep"), (unsized, "sized at launch")]
)
def test_what_the_emulation_lacks_is_named(kernel: CudaKernel, said: str) -> None:
    with pytest.raises(DltutorError, match=f"{kernel.__name__} .*{said}") as error:
        kernel(np.zeros(2, np.float32))
    assert "--device cuda" in error.value.hint


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.zeros(3), "float64"),
        (np.zeros((3, 3), np.float32), "2 axes"),
        (np.zeros(6, np.float32)[::2], "follow one another"),
        (3.0, "float where"),
    ],
)
def test_an_argument_of_another_kind_is_named(x: object, said: str) -> None:
    bound = native.native(fused)
    with pytest.raises(DltutorError, match=f"argument x: .*{said}"):
        bound.bind((1, 1, 1), (1, 1, 1), (x,))


# ---------------------------------------------------------------- what is kept


PROGRAM = """
import sys
import numpy as np
from dltutor.kernels.compile import run_cuda_with
from dltutor.kernels.sgd import sgd_step_cuda
from dltutor.emulate.native import Native
run_cuda_with(Native())
p = np.ones(3, np.float32)
sgd_step_cuda(p, np.ones(3, np.float32), 0.25)
print(p.tolist(), "numba" in sys.modules)
"""


def python(folder: Path) -> str:
    variables = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=variables, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_second_process_loads_what_the_first_compiled_without_numba(tmp_path: Path) -> None:
    assert python(tmp_path) == "[0.75, 0.75, 0.75] True"
    assert python(tmp_path) == "[0.75, 0.75, 0.75] False"


def test_a_damaged_file_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    code = bytes(range(256))
    kept.kept("sgd.step", "key", lambda: code)
    (file,) = kept.folder().glob("*.o")
    good = file.read_bytes()
    for bad in (b"", b"nonsense", good[:-100], good[:100] + b"x" + good[101:]):
        file.write_bytes(bad)
        assert kept.kept("sgd.step", "key", lambda: code) == code
        assert file.read_bytes() == good, "mended"


def test_where_nothing_can_be_written_everything_still_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "folder"))
    assert kept.kept("sgd.step", "key", lambda: b"code") == b"code"


def test_what_was_kept_of_an_older_source_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert kept.kept("adam.step", "old", lambda: b"old code") == b"old code"
    assert kept.kept("adam.step", "old", lambda: b"never asked") == b"old code"
    assert kept.kept("adam.steps", "old", lambda: b"of another kernel") == b"of another kernel"
    assert kept.kept("adam.step", "new", lambda: b"new code") == b"new code"
    assert sorted(file.name for file in kept.folder().glob("*.o")) == ["adam.step-new.o", "adam.steps-old.o"]


def test_the_key_changes_with_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    before = native.key(fused)
    assert native.key(sleeping) == before, "the same file, the same signature"
    assert native.key(exchanges) != before
    monkeypatch.setattr(native, "circumstances", lambda: b"another compiler")
    assert native.key(fused) != before
