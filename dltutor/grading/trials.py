"""What a learner's function is tried on, and what must come of it: made from the cases of dltutor/proof.

The arrays of a trial are real numbers that float32 can hold, so that a run in float32 and one in float64 start from the
same. Outputs start as NaN of a kind that no calculation makes, or as other numbers; gradients as numbers already there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels.compile import CudaKernel, Kernel, argument_names, resolve
from dltutor.proof.checks import GUARD, SENTINEL, Arrays, Case, Step, all_cases, all_steps, named, upstream

POISON = {"float64": 0x7FFB_5A40_0000_0000, "float32": 0x7FDA_D200}  # NaN, with a mark that it keeps in either dtype
LARGEST = 20_000  # numbers in a trial
MOST = 8  # shapes
MOST_EMULATED = 4  # each instruction of each thread takes its time
LARGE = 100.0  # a number that is ordinary, and too large for a careless exponential
LARGE_NAMES = ("x", "y", "z")
EPSILON = 0.0625  # in place of one so small that nobody would see it missing


@dataclass(frozen=True)
class Subject:
    """A function that the learner is to write, and the case that says what it must do."""

    kernel: Any  # ours, whose place it takes
    case: Case | Step
    role: str  # forward, backward, step

    @property
    def name(self) -> str:
        return str(self.kernel.__name__)

    @property
    def names(self) -> tuple[str, ...]:
        """Of its arguments."""
        return argument_names(self.kernel.py_func)

    @property
    def cuda(self) -> bool:
        return isinstance(self.kernel, CudaKernel)


@dataclass
class Trial:
    """One call, or two."""

    subject: Subject
    purpose: str  # numbers, again (from another start), large, empty
    dtype: str
    shape: Any
    inputs: Arrays  # of the forward pass
    weights: Arrays  # the gradient by each output
    given: Arrays  # by name, what is handed over
    start: Arrays  # what is written to, as it is before
    change: Arrays  # what one call makes of it, or adds
    adds: bool
    times: int = 1

    @property
    def compiled(self) -> bool:
        return self.dtype == "float32"

    @property
    def arguments(self) -> list[tuple[str, Any]]:
        """As they are handed over, real numbers in this trial's dtype."""
        arrays = self.given | self.start
        return [(name, in_dtype(arrays[name], self.dtype)) for name in self.subject.names]

    @property
    def sizes(self) -> str:
        """Of the first arrays that are given, in words: x.shape is (1, 3)."""
        arrays = [(name, np.shape(self.given[name])) for name in self.subject.names if name in self.given]
        return ", ".join(f"{name}.shape = {shape}" for name, shape in arrays[:2] if shape)

    def wanted(self, name: str, time: int) -> np.ndarray:
        """What must be there after so many calls."""
        return self.start[name] + time * self.change[name] if self.adds else self.change[name]


def subject(reference: str) -> Subject:
    """The function that takes the place of the kernel so named. Raises DltutorError where no case has it."""
    kernel = resolve(reference)
    if not isinstance(kernel, Kernel | CudaKernel):
        message = _("{reference} is several kernels: an exercise needs one").format(reference=reference)
        raise DltutorError(message, _("Name one of them."))
    suffix = "_cuda" if isinstance(kernel, CudaKernel) else ""
    for case in all_cases():
        if suffix and not case.with_cuda:
            continue
        forward, backward = case.kernels(suffix)
        if kernel in (forward, *backward):
            return Subject(kernel, case, "forward" if kernel is forward else "backward")
    for step in all_steps():
        if kernel is getattr(step.module, step.name + suffix, None):
            return Subject(kernel, step, "step")
    message = _("no case in dltutor/proof says what {reference} must do").format(reference=reference)
    raise DltutorError(message, _("Add one to the table of its family."))


def trials(subject: Subject, seed: int) -> list[Trial]:
    """All that it is tried on, the most telling first.

    In float64 it is run as Python, and compared closely; compiled, it is run in float32, as a lab would.
    """
    shapes = sorted(filled(subject, seed), key=lambda shape: -telling(subject, shape, seed))
    shapes = shapes[: MOST_EMULATED if subject.cuda else MOST]
    found: list[Trial] = []
    for dtype in ("float64", "float32") if as_python(subject, shapes[0]) else ("float32",):
        tried = [numbers(subject, shape, dtype, seed + i) for i, shape in enumerate(shapes)]
        found += [*tried, replace_start(tried[0])]
    found += large(subject, shapes, seed)
    return found + [numbers(subject, shape, "float32", seed, "empty") for shape in empty(subject, seed)]


def as_python(subject: Subject, shape: Any) -> bool:
    """Python knows no CUDA, and int8 overflows in it where compiled code calculates with more digits."""
    arrays = [np.asarray(value) for _name, value in numbers(subject, shape, "float64", 0).arguments]
    return not subject.cuda and all(array.dtype != np.int8 for array in arrays)


# ---------------------------------------------------------------- shapes


def shapes_of(subject: Subject) -> tuple[Any, ...]:
    """Those of the case, and a square one, in which what is transposed has the same shape."""
    if isinstance(subject.case, Step):
        return (7, 1, 2, 33, 0)
    shapes = subject.case.shapes
    sizes = shapes[-1]
    square = isinstance(sizes, tuple) and len(sizes) in (2, 3) and all(isinstance(size, int) for size in sizes)
    return (*shapes, (5,) * len(sizes)) if square else shapes


def filled(subject: Subject, seed: int) -> Iterator[Any]:
    for shape in shapes_of(subject):
        sizes = sizes_of(subject, shape, seed)
        if 0 not in sizes and sum(sizes) < LARGEST:
            yield shape


def empty(subject: Subject, seed: int) -> list[Any]:
    """A batch of no samples, where the case has one."""
    found = [shape for shape in shapes_of(subject) if (shape[0] if isinstance(shape, tuple) else shape) == 0]
    return found[:1]


def sizes_of(subject: Subject, shape: Any, seed: int) -> list[int]:
    arguments = numbers(subject, shape, "float64", seed).arguments
    return [value.size for _name, value in arguments if isinstance(value, np.ndarray)]


def telling(subject: Subject, shape: Any, seed: int) -> float:
    """Small arrays, but two of everything at least: their numbers can be read."""
    arrays = [value for _name, value in numbers(subject, shape, "float64", seed).arguments if np.ndim(value)]
    narrow = sum(side < 2 for array in arrays for side in array.shape)
    alike = sum(len(set(array.shape)) < array.ndim for array in arrays)
    return -100 * narrow - 30 * alike - abs(np.log(max(array.size for array in arrays) / 12))


# ---------------------------------------------------------------- one trial


def numbers(subject: Subject, shape: Any, dtype: str, seed: int, purpose: str = "numbers") -> Trial:
    rng = np.random.default_rng(seed)
    if isinstance(subject.case, Step):
        return step_trial(subject, subject.case, shape, dtype, rng, purpose)
    inputs = widened(rounded(subject.case.make(rng, shape)))
    return trial_of(subject, subject.case, shape, dtype, rng, purpose, inputs)


def trial_of(
    subject: Subject, case: Case, shape: Any, dtype: str, rng: Any, purpose: str, inputs: Arrays
) -> Trial:  # fmt: skip
    with np.errstate(all="ignore"):
        if subject.role == "forward":
            return forward_trial(subject, case, shape, dtype, purpose, inputs)
        return backward_trial(subject, case, shape, dtype, rng, purpose, inputs)


def forward_trial(subject: Subject, case: Case, shape: Any, dtype: str, purpose: str, inputs: Arrays) -> Trial:
    outputs = {name: np.asarray(value) for name, value in case.reference(**inputs).items() if name in subject.names}
    start = {name: inputs.get(name, poisoned(value)) for name, value in outputs.items()}
    return Trial(subject, purpose, dtype, shape, inputs, {}, inputs, start, outputs, adds=False)


def backward_trial(
    subject: Subject, case: Case, shape: Any, dtype: str, rng: Any, purpose: str, inputs: Arrays
) -> Trial:  # fmt: skip
    assert case.backward_reference is not None
    weights = rounded(upstream(case, inputs, rng))
    given = inputs | case.reference(**inputs) | weights
    change = {name: value for name, value in case.backward_reference(**given).items() if name in subject.names}
    start = rounded({name: rng.normal(size=np.shape(value)) for name, value in change.items()})
    return Trial(subject, purpose, dtype, shape, inputs, weights, given, start, change, adds=True, times=2)


def step_trial(subject: Subject, step: Step, n: int, dtype: str, rng: Any, purpose: str) -> Trial:
    """As in proof: the gradient is spent."""
    signed = {name: rng.uniform(0.1, 1, size=n) * rng.choice([-1, 1], n) for name in ("p", "g", *step.state)}
    start = rounded({name: np.abs(value) if name == "v" else value for name, value in signed.items()})
    numbers = widened(dict(step.numbers))
    change = named("p", *step.state)(step.reference(**start, **numbers)) | {"g": np.zeros(n)}
    return Trial(subject, purpose, dtype, n, start | numbers, {}, numbers, start, change, adds=False)


def replace_start(trial: Trial) -> Trial:
    """The same from another start: gradients from zero, outputs from numbers. What depends on it, shows."""
    rng = np.random.default_rng(7)
    start = {name: other_start(trial, name, value, rng) for name, value in trial.start.items()}
    return replace(trial, purpose="again", start=start, times=1)


def other_start(trial: Trial, name: str, value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if trial.adds:
        return np.zeros_like(value)
    real = value.dtype.kind == "f" and name not in trial.inputs
    return rounded({name: rng.normal(size=value.shape)})[name] if real else value


def large(subject: Subject, shapes: Sequence[Any], seed: int) -> list[Trial]:
    """Numbers as large as a hundred: no NaN may come of them, and in float64 nothing wrong."""
    if isinstance(subject.case, Step):
        return []
    rng = np.random.default_rng(seed)
    inputs = rounded(subject.case.make(rng, shapes[0]))
    grown = {name: grow(value) if name in LARGE_NAMES else value for name, value in inputs.items()}
    if all(grown[name] is inputs[name] for name in inputs):
        return []
    dtypes = ("float32", "float64") if as_python(subject, shapes[0]) else ("float32",)
    return [trial_of(subject, subject.case, shapes[0], dtype, rng, "large", rounded(grown)) for dtype in dtypes]


def grow(value: Any) -> Any:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or not value.size:
        return value
    return value * (LARGE / np.abs(value).max())


def rounded(arrays: Arrays) -> Arrays:
    """Real numbers that float32 can hold, in float64."""
    return {name: in_dtype(in_dtype(value, "float32"), "float64") for name, value in arrays.items()}


def widened(arrays: Arrays) -> Arrays:
    return {name: EPSILON if name == "eps" and not np.ndim(value) else value for name, value in arrays.items()}


def in_dtype(value: Any, dtype: str) -> Any:
    value = np.asarray(value)
    return value.astype(dtype)[()] if value.dtype.kind == "f" else value[()]


def poisoned(like: np.ndarray) -> np.ndarray:
    """NaN with a mark; in whole numbers there is none."""
    if like.dtype.kind != "f":
        return np.full_like(like, 77)
    return np.full(like.size, POISON["float64"], np.uint64).view(np.float64).reshape(like.shape)


def is_poison(array: np.ndarray) -> np.ndarray:
    """Where the mark is."""
    if array.dtype.kind != "f":
        return np.zeros(array.shape, bool)
    bits = array.view(np.uint64 if array.dtype == np.float64 else np.uint32)
    return np.asarray(bits == POISON[array.dtype.name])


def guarded(array: np.ndarray) -> np.ndarray:
    """The array, flat, between guard cells."""
    buffer = np.full(array.size + 2 * GUARD, SENTINEL, array.dtype)
    buffer[GUARD : GUARD + array.size] = array.reshape(-1)
    return buffer


def inside(buffer: Any, like: Any) -> Any:
    """The array between the guard cells; a number is itself."""
    return buffer[GUARD : buffer.size - GUARD].reshape(like.shape) if isinstance(like, np.ndarray) else buffer
