"""LLVM: text in, machine code of this processor out, in memory at once or from a file.

llvmlite alone, which Numba brings along: neither Numba nor a C compiler is needed to load what was compiled before.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

Module = Any  # of LLVM, parsed
CONTRACT_ONLY_WHERE_WRITTEN = 3  # LLVM's optimisation level


@cache
def binding() -> Any:
    """llvmlite's way into LLVM, ready to compile for this processor."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


@cache
def target() -> Any:
    """This processor, with all of its instructions."""
    llvm = binding()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True
    )


def processor() -> str:
    """What machine code depends on."""
    llvm = binding()
    return f"{llvm.get_default_triple()} {llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"
