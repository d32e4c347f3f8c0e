"""What is proven of every kernel, on any device.

A `Case` describes one operation: how to make inputs of a shape, and its float64 reference. From that follow all checks:
the kernel is its reference, its backward kernel adds the reference's gradient and is the central difference of the
forward kernel, NaN comes through, and nothing is written where nothing may be.

A kernel's arguments are found by their names: inputs as made, outputs as the reference names them, `dv` the gradient by
v. Outputs are handed over full of NaN, so that a number not written shows; gradients hold numbers already, so that one
not added to shows; all of them stand between guard cells, so that a number written elsewhere shows. An output that is
an input, too, is updated in place, and starts as that input.

The tables stand in cases_*.py, one a family; `all_cases()` and `all_steps()` collect them. A failed check raises
AssertionError, which says what differs where.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dltutor.kernels.compile import argument_names

Arrays = dict[str, Any]
Make = Callable[[np.random.Generator, Any], Arrays]
GUARD = 64  # cells on each side; a multiple of 16 bytes for every dtype
SENTINEL = 99  # fits every dtype
SMALL = 40  # numbers in an input: for each, a central difference runs the kernel twice


@dataclass(frozen=True)
class Case:
    """One operation. `reference` gives the outputs, `backward_reference` the gradients, from all arrays by name."""

    name: str
    module: Any
    make: Make  # inputs of a shape, float64; whole numbers as they are
    shapes: tuple[Any, ...]
    reference: Callable[..., Arrays]
    backward_reference: Callable[..., Arrays] | None = None
    forward: str = ""  # the kernel, where its name is not <name>_forward
    backward: tuple[str, ...] = ()  # the kernels that make the gradients, where it is not <name>_backward
    kept: tuple[str, ...] = ()  # outputs that are there for the backward pass: no gradient is by them
    scratch: tuple[str, ...] = ()  # inputs that are only room to work in: kernels may overwrite them
    tolerance: float = 3e-6  # relative, of float32
    with_cuda: bool = True

    def kernels(self, suffix: str = "") -> tuple[Any, list[Any]]:
        """The forward kernel and the backward ones."""
        backward = self.backward or (f"{self.name}_backward",) * (self.backward_reference is not None)
        forward = getattr(self.module, (self.forward or f"{self.name}_forward") + suffix)
        return forward, [getattr(self.module, name + suffix) for name in backward]


@dataclass(frozen=True)
class Step:
    """An optimiser's kernel: what it does to p and to the running means named in `state`."""

    name: str
    module: Any
    state: tuple[str, ...]
    numbers: dict[str, float]
    reference: Callable[..., Any]


def all_cases() -> tuple[Case, ...]:
    return tuple(case for table in _tables() for case in getattr(table, "CASES", ()))


def all_steps() -> tuple[Step, ...]:
    return tuple(step for table in _tables() for step in getattr(table, "STEPS", ()))


def _tables() -> Iterator[Any]:
    import dltutor.proof

    for found in pkgutil.iter_modules(dltutor.proof.__path__):
        if found.name.startswith("cases_"):
            yield importlib.import_module(f"dltutor.proof.{found.name}")


# ---------------------------------------------------------------- for tables


def away_from_zero(x: np.ndarray) -> np.ndarray:
    """Where a function has a corner at 0, a central difference must not step over it."""
    return x + np.where(x < 0, -0.1, 0.1)


def named(*names: str) -> Callable[[Any], Arrays]:
    """Names for what a reference returns."""
    return lambda found: dict(zip(names, found if isinstance(found, tuple) else (found,), strict=True))


def one(number: float) -> np.ndarray:
    return np.array([number])


# ---------------------------------------------------------------- what is proven of each


class Guarded:
    """Arrays with guard cells before and behind."""

    def __init__(self) -> None:
        self.buffers: dict[str, np.ndarray] = {}

    def array(self, name: str, values: np.ndarray) -> np.ndarray:
        buffer = np.full(values.size + 2 * GUARD, SENTINEL, values.dtype)
        self.buffers[name] = buffer
        inside = buffer[GUARD : GUARD + values.size].reshape(values.shape)
        inside[...] = values
        return inside

    def check(self) -> None:
        for name, buffer in self.buffers.items():
            outside = np.r_[buffer[:GUARD], buffer[buffer.size - GUARD :]]
            assert (outside == SENTINEL).all(), f"written beside {name}"


def call(kernel: Any, arrays: Arrays) -> None:
    kernel(*(arrays[name] for name in argument_names(kernel.py_func)))


def cast(arrays: Arrays, dtype: Any) -> Arrays:
    """Real numbers as `dtype`; whole ones as they are."""
    return {
        name: np.asarray(value).astype(dtype)[()] if np.asarray(value).dtype.kind == "f" else value
        for name, value in arrays.items()
    }


def run_forward(case: Case, inputs: Arrays, dtype: Any, suffix: str = "") -> Arrays:
    """What the kernel makes of the inputs, outputs full of NaN at first; nothing beside them may change."""
    forward, _backward = case.kernels(suffix)
    guarded = Guarded()
    arrays = cast(inputs, dtype)
    before = {name: np.copy(value) for name, value in arrays.items()}
    outputs = case.reference(**inputs)
    made = {name: guarded.array(name, arrays.get(name, poisoned(value, dtype))) for name, value in outputs.items()}
    call(forward, arrays | made)
    guarded.check()
    for name in before.keys() - set(case.scratch):
        np.testing.assert_array_equal(arrays[name], before[name], f"{name} is an input")
    return made


def poisoned(like: Any, dtype: Any) -> np.ndarray:
    """An array in which a number not written shows."""
    like = np.asarray(like)
    return np.full(like.shape, np.nan, dtype) if like.dtype.kind == "f" else np.full_like(like, 77)


def check_forward(case: Case, shape: Any, dtype: Any = np.float32, suffix: str = "") -> None:
    """The outputs are the reference's."""
    tolerance = case.tolerance
    inputs = case.make(np.random.default_rng(1), shape)
    for name, value in run_forward(case, inputs, dtype, suffix).items():
        np.testing.assert_allclose(value, case.reference(**inputs)[name], tolerance, tolerance, err_msg=name)


def upstream(case: Case, inputs: Arrays, rng: np.random.Generator) -> Arrays:
    """A gradient by each output; for a loss, whose derivative by itself is 1, none."""
    outputs = {name: value for name, value in case.reference(**inputs).items() if name not in case.kept}
    return {} if "loss" in outputs else {f"d{name}": rng.normal(size=value.shape) for name, value in outputs.items()}


def check_backward(case: Case, shape: Any, dtype: Any = np.float32, suffix: str = "", calls: int = 2) -> None:
    """Each of so many calls adds the reference's gradient to what was there."""
    assert case.backward_reference is not None
    tolerance = 2 * case.tolerance
    rng = np.random.default_rng(2)
    inputs = case.make(rng, shape)
    given = inputs | case.reference(**inputs) | upstream(case, inputs, rng)
    wanted = case.backward_reference(**given)
    start = {name: rng.normal(size=value.shape) for name, value in wanted.items()}
    guarded = Guarded()
    gradients = {name: guarded.array(name, value.astype(dtype)) for name, value in start.items()}
    for times in range(1, calls + 1):
        for kernel in case.kernels(suffix)[1]:
            call(kernel, cast(given, dtype) | gradients)
        for name, value in wanted.items():
            total = start[name] + times * value
            np.testing.assert_allclose(gradients[name], total, tolerance, tolerance, err_msg=f"{name}, call {times}")
    guarded.check()


def check_step(step: Step, n: int, dtype: Any = np.float32, suffix: str = "", tolerance: float = 3e-6) -> None:
    """Parameters and running means change as the reference says, and the gradient is spent."""
    rng = np.random.default_rng(3)
    names = ("p", "g", *step.state)
    start = {name: rng.uniform(0.1, 1, size=n) * (1 if name == "v" else rng.choice([-1, 1], n)) for name in names}
    guarded = Guarded()
    arrays = {name: guarded.array(name, value.astype(dtype)) for name, value in start.items()}
    call(getattr(step.module, step.name + suffix), arrays | {k: dtype(v) for k, v in step.numbers.items()})
    wanted = named("p", *step.state)(step.reference(**start, **step.numbers))
    for name, value in wanted.items():
        np.testing.assert_allclose(arrays[name], value, tolerance, tolerance, err_msg=name)
    assert not arrays["g"].any(), "the gradient is spent"
    guarded.check()


def check_central_difference(case: Case, shape: Any) -> None:
    """Both kernels in float64: neither needs the reference to be right."""
    rng = np.random.default_rng(4)
    inputs = case.make(rng, shape)
    weights = upstream(case, inputs, rng)
    for name, gradient in gradients(case, inputs, weights).items():
        if gradient.size <= SMALL:
            numeric = central_difference(case, inputs, weights, name[1:])
            np.testing.assert_allclose(gradient, numeric, 1e-5, 1e-7, err_msg=f"{name}, shape {shape}")


def gradients(case: Case, inputs: Arrays, weights: Arrays) -> Arrays:
    """What the backward kernels add to zeros, in float64."""
    assert case.backward_reference is not None
    given = inputs | run_forward(case, inputs, np.float64) | weights
    zeros = {name: np.zeros(value.shape) for name, value in case.backward_reference(**given).items()}
    for kernel in case.kernels()[1]:
        call(kernel, given | zeros)
    return zeros


def central_difference(case: Case, inputs: Arrays, weights: Arrays, name: str) -> np.ndarray:
    """(L(v + h) - L(v - h)) / 2h for each number v; L is the loss, or the outputs weighed with their gradients."""
    h, values = 1e-5, np.copy(inputs[name])
    found = np.empty_like(values)

    def objective(place: tuple[int, ...], move: float) -> float:
        moved = values.copy()
        moved[place] += move
        outputs = run_forward(case, inputs | {name: moved}, np.float64)
        if "loss" in outputs:
            return float(outputs["loss"][0])
        return float(sum((outputs[key[1:]] * weight).sum() for key, weight in weights.items()))

    for place in np.ndindex(values.shape):
        found[place] = (objective(place, h) - objective(place, -h)) / (2 * h)
    return found


def check_nan(case: Case, shape: Any, suffix: str = "") -> None:
    """NaN in one number of an input is NaN wherever the reference has it, and nowhere else."""
    inputs = case.make(np.random.default_rng(5), shape)
    for name, values in inputs.items():
        if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or values.size < 2:
            continue
        bad = values.copy()
        bad.flat[1] = np.nan
        wanted = case.reference(**inputs | {name: bad})
        for output, value in run_forward(case, inputs | {name: bad}, np.float32, suffix).items():
            np.testing.assert_array_equal(np.isnan(value), np.isnan(wanted[output]), f"{name} -> {output}")
