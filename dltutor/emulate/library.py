"""What a kernel calls that neither it nor LLVM defines: NVIDIA's functions, in terms of this processor's.

On a card, math.exp becomes a call of __nv_expf. Here that becomes expf of the C library, or, where LLVM has an
operation of its own (square root, rounding, the larger of two), that operation, which vector registers can do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dltutor.errors import DltutorError
from dltutor.i18n import _

DECLARATION = re.compile(r'^declare (?:\w+ )*?(\w+|\{[^}]*\}) @"?([\w.]+)"?\((.*?)\)[^\n]*$', re.M)
ASSEMBLY = re.compile(r'call [^\n]* asm [^"\n]*"([^"]*)"')  # of the card
SIZED_AT_LAUNCH = re.compile(r'^@"?([\w.$]+)"? = external global \[0 x', re.M)
CALLED = re.compile(r'call [^@\n]*@"?([\w.]+)"?\(')

OPERATIONS = {
    "sqrt": "sqrt", "fabs": "fabs", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "rint": "rint",
    "nearbyint": "nearbyint", "round": "round", "fma": "fma", "fmax": "maxnum", "fmin": "minnum",
    "copysign": "copysign",
}  # fmt: skip
C_FUNCTIONS = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "pow", "sin", "cos", "tan", "asin", "acos", "atan",
    "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "tgamma", "lgamma", "hypot", "fmod",
    "remainder", "cbrt",
)  # fmt: skip
OTHERS = {
    "__nv_rsqrtf": "%root = call float @llvm.sqrt.f32(float %0) %y = fdiv float 1.0, %root ret float %y",
    "__nv_powif": "%y = call float @llvm.powi.f32.i32(float %0, i32 %1) ret float %y",
    "__nv_isnanf": "%no = fcmp uno float %0, %0 %y = zext i1 %no to i32 ret i32 %y",
    "__nv_isinff": "%is = call i1 @llvm.is.fpclass.f32(float %0, i32 516) %y = zext i1 %is to i32 ret i32 %y",
    "__nv_finitef": "%is = call i1 @llvm.is.fpclass.f32(float %0, i32 504) %y = zext i1 %is to i32 ret i32 %y",
    "__nv_abs": "%y = call i32 @llvm.abs.i32(i32 %0, i1 false) ret i32 %y",
    "__nv_llabs": "%y = call i64 @llvm.abs.i64(i64 %0, i1 false) ret i64 %y",
    "nvvm.atomic.load.add.f32.p0f32":
        "%old = load float, ptr %0 %new = fadd float %old, %1 store float %new, ptr %0 ret float %old",
}  # fmt: skip


@dataclass(frozen=True)
class Declared:
    """A function that is called but not there."""

    result: str
    name: str
    kinds: tuple[str, ...]  # of its arguments

    def definition(self) -> str:
        """LLVM text that defines it; empty where it is not known."""
        body = OTHERS.get(self.name) or self._one_call()
        arguments = ", ".join(f"{kind} %{i}" for i, kind in enumerate(self.kinds))
        return f"define internal {self.result} @{self.name}({arguments}) alwaysinline {{ {body} }}\n" if body else ""

    def _one_call(self) -> str:
        callee = self._callee()
        arguments = ", ".join(f"{kind} %{i}" for i, kind in enumerate(self.kinds))
        return callee and f"%y = call {self.result} @{callee}({arguments}) ret {self.result} %y"

    def _callee(self) -> str:
        """LLVM's operation or C's function for __nv_expf (float), __nv_exp (double), __nv_fast_expf."""
        single = self.result == "float"
        name = self.name.removeprefix("__nv_").removeprefix("fast_")
        base = name.removesuffix("f") if single else name
        if not self.name.startswith("__nv_") or self.result not in ("float", "double"):
            return ""
        if base in OPERATIONS:
            return f"llvm.{OPERATIONS[base]}.{'f32' if single else 'f64'}"
        return base + "f" * single if base in C_FUNCTIONS else ""


def missing_from(text: str) -> list[Declared]:
    """What LLVM text calls without defining it; LLVM's own operations are left out."""
    called = set(CALLED.findall(text))
    found = (Declared(kind, name, _kinds(arguments)) for kind, name, arguments in DECLARATION.findall(text))
    return [function for function in found if function.name in called and not function.name.startswith("llvm.")]


def defined(text: str, name: str) -> str:
    """The same text with every function defined. `name` is the kernel's, for the message.

    Raises DltutorError where it calls something that is not known here.
    """
    missing = missing_from(text)
    definitions = {function.name: function.definition() for function in missing}
    unknown = [called for called, definition in definitions.items() if not definition]
    unknown += ASSEMBLY.findall(text)
    unknown += [_("shared memory sized at launch")] * bool(SIZED_AT_LAUNCH.search(text))
    if unknown:
        message = _("{kernel} uses what the emulated card does not have: {names}")
        hint = _("Write it with what lessons use, or run it on an NVIDIA card with --device cuda.")
        raise DltutorError(message.format(kernel=name, names=", ".join(unknown)), hint)
    text = DECLARATION.sub(lambda found: found[0] if found[2].startswith("llvm.") else "", text)
    return text + _c_declarations(missing) + "".join(definitions.values())


def _kinds(arguments: str) -> tuple[str, ...]:
    return tuple(argument.split()[0] for argument in arguments.split(",") if argument.strip())


def _c_declarations(functions: Sequence[Declared]) -> str:
    called = {function._callee(): function for function in functions}
    return "".join(
        f"declare {function.result} @{callee}({', '.join(function.kinds)})\n"
        for callee, function in called.items()
        if callee and not callee.startswith("llvm.") and function.name not in OTHERS
    )
