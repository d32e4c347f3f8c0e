"""LLVM: text in, machine code of this processor out, to be kept in a file and loaded again.

llvmlite alone, which Numba brings along: no C compiler, and, to load what was compiled before, not even Numba.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from typing import Any

Module = Any  # of LLVM, parsed

MATHEMATICS = {"linux": ("libm.so.6", "libm.so"), "darwin": ("libSystem.B.dylib",), "win32": ("ucrtbase.dll",)}
_engines: list[Any] = []  # own the machine code: it must not go away


@cache
def llvm() -> Any:
    """llvmlite's way into LLVM, ready to compile for this processor."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


@cache
def target() -> Any:
    """This processor, with all of its instructions."""
    features = llvm().get_host_cpu_features().flatten()
    whole = llvm().Target.from_default_triple()
    return whole.create_target_machine(cpu=llvm().get_host_cpu_name(), features=features, opt=3, jit=True)


@cache
def wide_registers() -> str:
    """What this processor can, its widest registers wanted too: LLVM leaves them alone unless told. Empty where it has
    none."""
    features = llvm().get_host_cpu_features()
    return features.flatten() + ",-prefer-256-bit" if features.get("avx512f") else ""


@cache
def processor() -> str:
    """What machine code depends on, besides its source."""
    parts = llvm().get_default_triple(), llvm().get_host_cpu_name(), llvm().get_host_cpu_features().flatten()
    return " ".join((*parts, str(llvm().llvm_version_info)))


def parse(texts: Iterable[str]) -> Module:
    """All of them as one module; a function that one declares, another may define."""
    whole, *others = (llvm().parse_assembly(text) for text in texts)
    for other in others:
        whole.link_in(other)
    return whole


def inline(module: Module, into: str) -> None:
    """Put what the function `into` calls into it, and tidy it up."""
    for function in module.functions:
        if not function.is_declaration and function.name != into:
            function.linkage = "internal"
            function.add_function_attribute("alwaysinline")
    passes = llvm().create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    passes.run(module, _builder())


def compiled(module: Module) -> bytes:
    """The machine code, as an object file."""
    module.triple = llvm().get_default_triple()
    module.data_layout = str(target().target_data)
    module.verify()
    _builder().getModulePassManager().run(module, _builder())
    return bytes(target().emit_object(module))


def load(code: bytes) -> Any:
    """Machine code that can be called: `.get_function_address(name)`."""
    _load_mathematics()
    engine = llvm().create_mcjit_compiler(llvm().parse_assembly(""), target())
    engine.add_object_file(llvm().ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return engine


def assemble(text: str) -> Any:
    """What these few lines of LLVM's language do, as `load` gives it; not optimised."""
    engine = llvm().create_mcjit_compiler(llvm().parse_assembly(text), _plain_target())
    engine.finalize_object()
    _engines.append(engine)
    return engine


def _plain_target() -> Any:
    return llvm().Target.from_default_triple().create_target_machine(opt=1, jit=True)


def _builder() -> Any:
    """Level 2: a thread adds up in order, so level 3 finds little for vector registers, and takes ten times as long."""
    return llvm().create_pass_builder(target(), llvm().create_pipeline_tuning_options(speed_level=2))


@cache
def _load_mathematics() -> None:
    """expf and its like: machine code may call them."""
    for name in MATHEMATICS.get(sys.platform, ()):
        try:
            return llvm().load_library_permanently(name)
        except RuntimeError:  # under another name, or in the program already
            continue
    return None
