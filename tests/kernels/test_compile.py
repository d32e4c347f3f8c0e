"""How loops become machine code: when they are compiled, for what, and from which sources they are kept."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dltutor.errors import UsageError
from dltutor.kernels import compile as compiling
from dltutor.kernels import device
from dltutor.kernels.compile import CudaKernel, Kernel, resolve
from dltutor.kernels.elementary import exp, tanh

FOLDER = Path(compiling.__file__).parent


def python(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, env=os.environ | environment, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_kernel_file_imports_numba() -> None:
    modules = ", ".join(f"dltutor.kernels.{file.stem}" for file in FOLDER.glob("*.py") if file.stem != "__init__")
    assert python(f"import sys, dltutor.layers, {modules}; print('numba' in sys.modules)") == "False"


def test_warm_compiles_the_declared_types_and_nothing_else() -> None:
    kernel = resolve("dltutor/kernels/sgd.py:sgd_step")
    assert isinstance(kernel, Kernel)
    assert kernel.signature == "void(float32[::1], float32[::1], float32)"
    kernel.warm()
    kernel.warm()
    from numba import float32

    assert kernel.dispatcher.signatures in ([], [(float32[::1], float32[::1], float32)])  # none where it was kept


def test_every_kernel_declares_its_types() -> None:
    for file in FOLDER.glob("*.py"):
        module = __import__(f"dltutor.kernels.{file.stem}", fromlist=["_"])
        for value in vars(module).values():
            if isinstance(value, Kernel | CudaKernel):
                assert value.signature.startswith("void(")


def test_resolve_finds_kernels_and_their_cuda_siblings() -> None:
    assert resolve("dltutor/kernels/dense.py:dense_forward").__name__ == "dense_forward"
    assert isinstance(resolve("dltutor/kernels/dense.py:dense_forward_cuda"), CudaKernel)
    assert device.kernel("dltutor/kernels/dense.py:dense_forward").__name__ == "dense_forward"


@pytest.mark.parametrize(
    "where",
    [
        "dltutor/kernels/dense.py:dense_sideways",
        "dltutor/kernels/dense.py:dense_reference",
        "dltutor/kernels/nothing.py:at_all",
        "dltutor/data.py:load",
        "dense_forward",
        "",
    ],
)
def test_a_kernel_that_is_not_there_is_said(where: str) -> None:
    with pytest.raises(UsageError, match=f"no kernel {where}"):
        resolve(where)


def test_an_unknown_device_is_said_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="Choose one of: cpu, cuda, emulate"):
        device.use("tpu")


def test_a_second_process_loads_what_the_first_compiled_and_does_without_numba(tmp_path: Path) -> None:
    """dense_forward's parts stand in other files; softmax_forward calls a function of Numba's own."""
    program = """
import sys
import numpy as np
from dltutor.kernels import compile
compile.source_stamp = lambda: b"the same"
from dltutor.kernels.dense import dense_forward
from dltutor.kernels.softmax import softmax_forward
x, w, b, y = (np.ones(shape, np.float32) for shape in ((40, 30), (30, 70), (70,), (40, 70)))
dense_forward(x, w, b, y)
softmax_forward(y, y)
print((y == np.float32(1 / 70)).all(), "numba" in sys.modules)
"""
    assert python(program, NUMBA_CACHE_DIR=str(tmp_path)) == "True True"
    assert python(program, NUMBA_CACHE_DIR=str(tmp_path)) == "True False"


def test_whether_numba_is_loaded_changes_nothing_of_what_is_kept() -> None:
    """Loading it sets variables that would choose a processor, had somebody else set them."""
    program = """
from dltutor.kernels import machine_code
from dltutor.kernels.compile import prepare
from dltutor.kernels.sgd import sgd_step
before = machine_code.key(sgd_step)
prepare()
print(machine_code.key(sgd_step) == before)
"""
    assert python(program) == "True"
    assert python(program, NUMBA_CPU_NAME="generic") == "True"


def test_a_change_in_any_kernel_s_source_compiles_again(tmp_path: Path) -> None:
    """Numba alone would notice a change in the kernel's own file only, and dense.py's kernels stand in three."""
    program = """
import sys
from dltutor.kernels import compile
compile.source_stamp = lambda: b"%s"
from dltutor.kernels.bias import bias_backward
bias_backward.warm()
print("numba" in sys.modules)
"""
    assert python(program % "first", NUMBA_CACHE_DIR=str(tmp_path)) == "True"
    assert python(program % "first", NUMBA_CACHE_DIR=str(tmp_path)) == "False"
    assert python(program % "second", NUMBA_CACHE_DIR=str(tmp_path)) == "True"
    assert len(list(tmp_path.glob("*.o"))) == 1  # the first one's file is gone


def test_broken_files_are_made_anew_and_mended(tmp_path: Path) -> None:
    program = """
import sys
import numpy as np
from dltutor.kernels import compile
compile.source_stamp = lambda: b"the same"
from dltutor.kernels.add import add_forward
from dltutor.kernels.relu import relu_forward
from dltutor.kernels.sgd import sgd_step
p, y, z = np.ones(3, np.float32), np.empty(3, np.float32), np.empty(3, np.float32)
sgd_step(p, np.ones(3, np.float32), np.float32(3))
relu_forward(p, y)
add_forward(p, y, z)
print(z.sum(), "numba" in sys.modules)
"""
    assert python(program, NUMBA_CACHE_DIR=str(tmp_path)) == "-6.0 True"
    emptied, short, flipped = (tmp_path.glob(f"{name}.*.o") for name in ("sgd", "relu", "add"))
    harm(emptied, lambda data: b"")
    harm(short, lambda data: data[:1000])
    harm(flipped, lambda data: data[:1000] + bytes([data[1000] ^ 1]) + data[1001:])
    assert python(program, NUMBA_CACHE_DIR=str(tmp_path)) == "-6.0 True"
    assert python(program, NUMBA_CACHE_DIR=str(tmp_path)) == "-6.0 False"


def harm(files: Iterator[Path], how: Callable[[bytes], bytes]) -> None:
    (file,) = files
    file.write_bytes(how(file.read_bytes()))


def test_a_folder_in_the_place_of_a_file_is_lived_with(tmp_path: Path) -> None:
    program = """
import numpy as np
from dltutor.kernels import compile
compile.source_stamp = lambda: b"the same"
from dltutor.kernels import machine_code
from dltutor.kernels.sgd import sgd_step
machine_code.kept.path(sgd_step.full_name, machine_code.key(sgd_step)).mkdir()
p = np.ones(3, np.float32)
sgd_step(p, np.ones(3, np.float32), np.float32(1))
print(p.sum())
"""
    assert python(program, NUMBA_CACHE_DIR=str(tmp_path)) == "0.0"


def test_kernels_work_where_nothing_can_be_kept(tmp_path: Path) -> None:
    """No folder can be made inside a file, whoever asks."""
    (tmp_path / "file").write_text("")
    program = """
import numpy as np
from dltutor.kernels.sgd import sgd_step
p = np.ones(3, np.float32)
sgd_step.warm()
sgd_step(p, np.ones(3, np.float32), np.float32(1))
print(p.sum())
"""
    assert python(program, NUMBA_CACHE_DIR=str(tmp_path / "file" / "folder")) == "0.0"


def test_shared_formulas_agree_with_the_library_in_plain_python() -> None:
    """As the references call them."""
    assert exp(1000.0) == np.inf
    assert exp(0.0) == 1
    assert tanh(0.5) == pytest.approx(np.tanh(0.5))


def test_a_kernel_is_compiled_without_scipy_and_one_that_calls_blas_still_finds_it():
    program = """
        import sys, numpy as np
        from dltutor.kernels.compile import numba_without_scipy
        from dltutor.kernels.sgd import sgd_step
        sgd_step.warm()
        assert "scipy.linalg" not in sys.modules
        dot = numba_without_scipy().njit(lambda a, b: np.dot(a, b))
        assert (dot(np.eye(3), np.eye(3)) == np.eye(3)).all()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=300)
