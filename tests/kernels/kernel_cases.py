"""The table of cases: one line an operation gives reference, central difference, NaN and both backends.

A kernel's arguments are found by their names: inputs as made, outputs as the reference names them, `dv` the gradient by
v. Outputs are handed over full of NaN, so that a number not written shows; gradients hold numbers already, so that one
not added to shows; all of them stand between guard cells, so that a number written elsewhere shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dltutor.kernels import (
    adam,
    bias,
    binary_cross_entropy,
    clear,
    cross_entropy,
    dense,
    matmul,
    momentum,
    mse,
    relu,
    sgd,
    sigmoid,
    softmax,
    tanh,
)
from dltutor.kernels.compile import argument_names

Arrays = dict[str, Any]
Make = Callable[[np.random.Generator, Any], Arrays]
GUARD = 8
SENTINEL = 12345.0


@dataclass(frozen=True)
class Case:
    """One operation. `reference` gives the outputs, `backward_reference` the gradients, from all arrays by name."""

    name: str
    module: Any
    make: Make  # inputs of a shape, float64
    shapes: tuple[Any, ...]
    reference: Callable[..., Arrays]
    backward_reference: Callable[..., Arrays] | None = None
    forward: str = ""  # the kernel, where its name is not <name>_forward
    backward: tuple[str, ...] = ()  # the kernels that make the gradients, where it is not <name>_backward

    def kernels(self, suffix: str = "") -> tuple[Any, list[Any]]:
        """The forward kernel and the backward ones."""
        backward = self.backward or (f"{self.name}_backward",) * (self.backward_reference is not None)
        forward = getattr(self.module, (self.forward or f"{self.name}_forward") + suffix)
        return forward, [getattr(self.module, name + suffix) for name in backward]


def away_from_zero(x: np.ndarray) -> np.ndarray:
    """Where a function has a corner at 0, a central difference must not step over it."""
    return x + np.where(x < 0, -0.1, 0.1)


def flat(rng: np.random.Generator, n: int) -> Arrays:
    return {"x": away_from_zero(rng.normal(size=n) * 3)}


def rows(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    return {"x": rng.normal(size=shape) * 3}


def product(rng: np.random.Generator, shape: tuple[int, int, int]) -> Arrays:
    n, d, m = shape
    return {"a": rng.normal(size=(n, d)), "b": rng.normal(size=(d, m))}


def layer(rng: np.random.Generator, shape: tuple[int, int, int]) -> Arrays:
    n, d, m = shape
    return {"x": rng.normal(size=(n, d)), "w": rng.normal(size=(d, m)), "b": rng.normal(size=m)}


def labelled(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    n, c = shape
    return {"z": rng.normal(size=shape) * 3, "t": rng.integers(0, c, n).astype(np.int32)}


def named(*names: str) -> Callable[[Any], Arrays]:
    """Names for what a reference returns."""
    return lambda found: dict(zip(names, found if isinstance(found, tuple) else (found,), strict=True))


def one(number: float) -> np.ndarray:
    return np.array([number])


FLAT = (0, 1, 2, 7, 33, 130)
PRODUCTS = ((0, 3, 2), (1, 1, 1), (2, 3, 5), (4, 4, 4), (5, 7, 3), (8, 4, 16), (13, 17, 11), (9, 0, 3), (3, 8, 0))
ROWS = ((0, 3), (1, 1), (4, 2), (7, 10), (33, 5))

CASES = (
    Case(
        "matmul", matmul, product, PRODUCTS,
        lambda a, b, **_: {"c": matmul.matmul_reference(a, b)},
        lambda a, b, dc, **_: named("da", "db")(matmul.matmul_backward_reference(a, b, dc)),
        backward=("matmul_backward_a", "matmul_backward_b"),
    ),
    Case(
        "matmul_simple", matmul, product, PRODUCTS,
        lambda a, b, **_: {"c": matmul.matmul_reference(a, b)}, forward="matmul_simple",
    ),
    Case(
        "bias", bias, lambda rng, s: {"b": rng.normal(size=s[1]), "n": s[0]}, ROWS,
        lambda b, n, **_: {"y": bias.bias_reference(b, n)},
        lambda dy, **_: {"db": bias.bias_backward_reference(dy)},
    ),
    Case(
        "dense", dense, layer, PRODUCTS,
        lambda x, w, b, **_: {"y": dense.dense_reference(x, w, b)},
        lambda x, w, dy, **_: named("dx", "dw", "db")(dense.dense_backward_reference(x, w, dy)),
    ),
    Case(
        "sigmoid", sigmoid, flat, FLAT,
        lambda x, **_: {"y": sigmoid.sigmoid_reference(x)},
        lambda x, dy, **_: {"dx": sigmoid.sigmoid_backward_reference(x, dy)},
    ),
    Case(
        "tanh", tanh, flat, FLAT,
        lambda x, **_: {"y": tanh.tanh_reference(x)},
        lambda x, dy, **_: {"dx": tanh.tanh_backward_reference(x, dy)},
    ),
    Case(
        "relu", relu, flat, FLAT,
        lambda x, **_: {"y": relu.relu_reference(x)},
        lambda x, dy, **_: {"dx": relu.relu_backward_reference(x, dy)},
    ),
    Case(
        "softmax", softmax, rows, ROWS,
        lambda x, **_: {"p": softmax.softmax_reference(x)},
        lambda x, dp, **_: {"dx": softmax.softmax_backward_reference(x, dp)},
    ),
    Case(
        "mse", mse, lambda rng, n: {"y": rng.normal(size=n), "t": rng.normal(size=n)}, FLAT,
        lambda y, t, **_: {"loss": one(mse.mse_reference(y, t))},
        lambda y, t, **_: {"dy": mse.mse_backward_reference(y, t)},
    ),
    Case(
        "binary_cross_entropy", binary_cross_entropy,
        lambda rng, n: {"z": away_from_zero(rng.normal(size=n) * 3), "t": rng.integers(0, 2, n).astype(float)}, FLAT,
        lambda z, t, **_: {"loss": one(binary_cross_entropy.binary_cross_entropy_reference(z, t))},
        lambda z, t, **_: {"dz": binary_cross_entropy.binary_cross_entropy_backward_reference(z, t)},
    ),
    Case(
        "cross_entropy", cross_entropy, labelled, ROWS,
        lambda z, t, **_: {
            "p": softmax.softmax_reference(z), "loss": one(cross_entropy.cross_entropy_reference(z, t)),
        },
        lambda z, t, **_: {"dz": cross_entropy.cross_entropy_backward_reference(z, t)},
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """An optimiser's kernel: what it does to p and to the running means named in `state`."""

    name: str
    module: Any
    state: tuple[str, ...]
    numbers: dict[str, float]
    reference: Callable[..., Any]


STEPS = (
    Step("sgd_step", sgd, (), {"lr": 0.1}, sgd.sgd_reference),
    Step("momentum_step", momentum, ("v",), {"lr": 0.1, "beta": 0.9}, momentum.momentum_reference),
    Step(
        "adam_step", adam, ("m", "v"),
        {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "c1": 0.19, "c2": 0.0199}, adam.adam_reference,
    ),
)  # fmt: skip


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
    """Float arrays as `dtype`; class numbers and sizes as they are."""
    return {
        name: value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
        for name, value in arrays.items()
    }


def run_forward(case: Case, inputs: Arrays, dtype: Any, suffix: str = "") -> Arrays:
    """What the kernel makes of the inputs, outputs full of NaN at first; nothing beside them may change."""
    forward, _backward = case.kernels(suffix)
    guarded = Guarded()
    arrays = cast(inputs, dtype)
    before = {name: np.copy(value) for name, value in arrays.items()}
    outputs = case.reference(**inputs)
    made = {name: guarded.array(name, np.full_like(value, np.nan, dtype=dtype)) for name, value in outputs.items()}
    call(forward, arrays | made)
    guarded.check()
    for name, value in before.items():
        np.testing.assert_array_equal(arrays[name], value, f"{name} is an input")
    return made


def check_forward(case: Case, shape: Any, dtype: Any, tolerance: float, suffix: str = "") -> None:
    inputs = case.make(np.random.default_rng(1), shape)
    for name, value in run_forward(case, inputs, dtype, suffix).items():
        np.testing.assert_allclose(value, case.reference(**inputs)[name], tolerance, tolerance, err_msg=name)


def upstream(case: Case, inputs: Arrays, rng: np.random.Generator) -> Arrays:
    """A gradient by each output; for a loss, whose derivative by itself is 1, none."""
    outputs = case.reference(**inputs)
    return {} if "loss" in outputs else {f"d{name}": rng.normal(size=value.shape) for name, value in outputs.items()}


def check_backward(case: Case, shape: Any, dtype: Any, tolerance: float, suffix: str = "") -> None:
    """Called twice, the kernels add twice the reference's gradient to what was there."""
    assert case.backward_reference is not None
    rng = np.random.default_rng(2)
    inputs = case.make(rng, shape)
    given = inputs | case.reference(**inputs) | upstream(case, inputs, rng)
    wanted = case.backward_reference(**given)
    start = {name: rng.normal(size=value.shape) for name, value in wanted.items()}
    guarded = Guarded()
    gradients = {name: guarded.array(name, value.astype(dtype)) for name, value in start.items()}
    for times in (1, 2):
        for kernel in case.kernels(suffix)[1]:
            call(kernel, cast(given, dtype) | gradients)
        for name, value in wanted.items():
            total = start[name] + times * value
            np.testing.assert_allclose(gradients[name], total, tolerance, tolerance, err_msg=f"{name}, call {times}")
    guarded.check()


def check_step(step: Step, n: int, dtype: Any, tolerance: float, suffix: str = "") -> None:
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


def check_clear(n: int) -> None:
    guarded = Guarded()
    x = guarded.array("x", np.full(n, np.nan, np.float32))
    clear.clear_cuda(x)
    assert (x == 0).all()
    guarded.check()
