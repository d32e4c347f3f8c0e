"""Every CUDA kernel compiles for every generation of cards, without float64, without a stack, and within its budget."""

from __future__ import annotations

import re

import pytest
from cuda_kernels import (
    BUDGETS,
    CAPABILITIES,
    KERNELS,
    needs_assembler,
    needs_compiler,
    number,
    ptx,
    record,
    recorded,
    renewing,
)

from dltutor.emulate import cubin, front
from dltutor.emulate.cubin import Cost, assemble, missing_assembler
from dltutor.emulate.ptx import Place, parse, split_operands
from dltutor.errors import DltutorError
from dltutor.kernels.softmax import softmax_forward_cuda

MOST_REGISTERS = 128  # of a thread: with more, a card holds fewer than 512 threads
SLACK_REGISTERS, SLACK_CODE = 8, 1.25  # what another version of the compiler may take more

SAMPLE = """
.version 9.0
.target sm_90
.address_size 64
.visible .shared .align 4 .b8 tile[128];
.global .align 8 .b8 table[16] = {1, 2, 0xff};
.visible .entry sample(
    .param .u64 sample_param_0,
    .param .f32 sample_param_1
)
{
    .reg .pred  %p<3>;
    .reg .b32   %r<2>;
    .reg .b64   %SP;
    .loc 1 12 0
    ld.param.u64  %r1, [sample_param_0];
    .loc 1 0 1
    @!%p1 bra $L__BB0_2; // on to the end
    .loc 2 7 5
    ld.shared.v4.f32 {%r0, %r1, %r0, %r1}, [%r1+16];
$L__BB0_2:
    shfl.sync.bfly.b32 %r1|%p2, %r0, 1, 31, -1;
    ret;
}
.file 1 "/there/kernel.py"
.file 2 "/there/other.py"
"""


# ---------------------------------------------------------------- reading


def test_a_program_is_read_with_its_lines_of_python() -> None:
    program = parse(SAMPLE)
    assert (program.entry, program.target) == ("sample", "sm_90")
    assert program.parameters == [("sample_param_0", "u64"), ("sample_param_1", "f32")]
    assert program.registers == {"%p0": "pred", "%p1": "pred", "%p2": "pred", "%r0": "b32", "%r1": "b32", "%SP": "b64"}
    assert program.labels == {"$L__BB0_2": 3}
    assert program.opcodes()["ld.shared.v4.f32"] == 1
    assert [i.name for i in program.instructions] == ["ld", "bra", "ld", "shfl", "ret"]


def test_an_instruction_knows_its_guard_memory_and_line() -> None:
    _load, branch, wide, shuffle, _ret = parse(SAMPLE).instructions
    assert (branch.guard, branch.negated, branch.operands) == ("%p1", True, ("$L__BB0_2",))
    assert branch.place == Place("/there/kernel.py", 12), "line 0 is no line"
    assert wide.place == Place("/there/other.py", 7)
    assert (wide.space, wide.width, wide.type) == ("shared", 4, "f32")
    assert shuffle.operands == ("%r1|%p2", "%r0", "1", "31", "-1")


def test_variables_have_their_size_and_values() -> None:
    program = parse(SAMPLE)
    assert program.variables["tile"].size == 128
    assert program.variables["table"].values == bytes([1, 2, 255])
    assert [variable.name for variable in program.variables_in("shared")] == ["tile"]


def test_operands_are_split_outside_brackets_only() -> None:
    assert split_operands("{%f1, %f2}, [%rd1+8], 3") == ("{%f1, %f2}", "[%rd1+8]", "3")


def test_what_is_no_ptx_is_said() -> None:
    with pytest.raises(DltutorError, match="no kernel"):
        parse(".version 9.0")
    with pytest.raises(DltutorError, match="no PTX instruction: %%%"):
        parse(SAMPLE.replace("ret;", "%%%;"))


# ---------------------------------------------------------------- every kernel


@needs_compiler
@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_compiles_for_every_card_within_its_budget(name: str) -> None:
    """Registers and code may exceed what is recorded by a little, shared memory may not. To renew: renewing()."""
    texts = {number(capability): ptx(KERNELS[name], capability) for capability in CAPABILITIES}
    for card, text in texts.items():
        lint(text, f"{name} on sm_{card}")
    budget(name, texts)


ONE_OF_EACH_KIND = (
    "dense_forward_cuda", "softmax_rows_cuda", "conv2d_backward_x_cuda", "random_normal_cuda", "tanh_forward_cuda",
    "layer_norm_forward_cuda", "int8_dense_forward_cuda", "gru_step_cuda", "max_pool_backward_cuda",
)  # fmt: skip


@needs_compiler
@pytest.mark.parametrize("name", ONE_OF_EACH_KIND)
def test_cards_of_one_dialect_differ_in_their_name_alone(name: str) -> None:
    """So the others need not be compiled for each of them."""
    for capability in CAPABILITIES:
        assert front.compiled(KERNELS[name]).ptx(capability) == ptx(KERNELS[name], capability), capability


def lint(text: str, where: str) -> None:
    wide = [line.strip() for line in text.splitlines() if re.search(r"\.f64\b", line) and ".reg" not in line]
    assert not wide, f"{where}: float64, perhaps a literal without float32: {wide[:3]}"
    assert not re.search(r"\b(?:ld|st)\.local\b", text), f"{where}: an array in local memory: index it with constants"
    assert not re.search(r"^\s*call\b", text, re.MULTILINE), f"{where}: a function is not compiled into the kernel"


def budget(name: str, texts: dict[str, str]) -> None:
    if missing := missing_assembler():
        pytest.skip(f"compiled, not assembled: {missing}")
    costs = {number(card): cubin.read(assemble(texts[number(card)], card)) for card in CAPABILITIES}
    if renewing():
        return record("costs", name, {card: [c.registers, c.shared, c.code] for card, c in costs.items()})
    assert name in recorded("costs"), f"{name} has no budget yet: see renewing() in cuda_kernels.py"
    for card, found in costs.items():
        assert found.stack == 0, f"{name} on sm_{card} spills {found.stack} bytes a thread"
        assert found.registers <= MOST_REGISTERS, f"{name} on sm_{card}: {found.registers} registers"
        keep_budget(f"{name} on sm_{card}", found, *recorded("costs")[name][card])
    return None


def keep_budget(where: str, found: Cost, registers: int, shared: int, code: int) -> None:
    assert found.registers <= registers + SLACK_REGISTERS, f"{where}: {found.registers} registers, were {registers}"
    assert found.shared == shared, f"{where}: {found.shared} bytes of shared memory, were {shared}"
    assert found.code <= code * SLACK_CODE, f"{where}: {found.code} bytes of code, were {code}"


def test_budgets_are_of_kernels_that_exist() -> None:
    gone = recorded("costs").keys() - KERNELS.keys()
    assert not gone, f"take them out of {BUDGETS.name}, or renew it"


@needs_compiler
@needs_assembler
def test_the_assembler_says_what_it_refuses() -> None:
    with pytest.raises(DltutorError, match="syntax error"):
        assemble(".version 9.0\n.target sm_90\nnonsense", (9, 0))


@needs_compiler
def test_every_instruction_knows_a_line_of_its_kernel() -> None:
    text = front.compiled(softmax_forward_cuda).ptx()
    code = softmax_forward_cuda.py_func.__code__
    places = {instruction.place for instruction in parse(text).instructions}
    assert code.co_filename in {place.file for place in places}
    assert any("exp(" in place.source for place in places)


# ---------------------------------------------------------------- what is missing


def test_a_missing_compiler_is_said_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "missing_toolkit", lambda: "libnvvm was not found")
    with pytest.raises(DltutorError, match=r"libnvvm was not found\n.*dltutor\[cuda\]"):
        front.compiled(softmax_forward_cuda).ptx()


def test_a_missing_assembler_is_said_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cubin, "linker", lambda: None)
    monkeypatch.setattr(cubin, "missing_assembler", lambda: "no library")
    with pytest.raises(DltutorError, match=r"no library\n.*dltutor\[cuda\]"):
        assemble("", (9, 0))


def test_the_simulator_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.config.ENABLE_CUDASIM", True)
    with pytest.raises(DltutorError, match="NUMBA_ENABLE_CUDASIM"):
        front.compile_function(softmax_forward_cuda.py_func, softmax_forward_cuda.signature)


@needs_compiler
def test_the_llvm_of_a_kernel_and_of_what_it_calls() -> None:
    kernel, *called = front.compiled(softmax_forward_cuda).modules()
    assert f'define void @"{front.compiled(softmax_forward_cuda).entry}' in kernel
    assert called
