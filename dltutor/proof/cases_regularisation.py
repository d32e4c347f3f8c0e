"""Cases of random streams, dropout, penalties, and the sum that a residual connection makes."""

from __future__ import annotations

import numpy as np

from dltutor.kernels import add, dropout, penalty
from dltutor.kernels import random as streams
from dltutor.proof.checks import Arrays, Case, away_from_zero, named

FLAT = (0, 1, 2, 4, 7, 33, 130)


def stream(rng: np.random.Generator, n: int) -> Arrays:
    """The key of a stream in which the low half of the step is about to overflow."""
    key = rng.integers(0, 2**32, 4, np.uint32)
    key[2] = 2**32 - 1
    return {"key": key, "n": n}


def dropped(rng: np.random.Generator, n: int) -> Arrays:
    return {"x": rng.normal(size=n), "key": stream(rng, n)["key"], "keep": np.array([0.75])}


def weights(rng: np.random.Generator, n: int) -> Arrays:
    return {"w": away_from_zero(rng.normal(size=n)), "strength": 0.25, "loss": np.array([0.5])}


def moved_on(key: np.ndarray) -> np.ndarray:
    step = int(key[2]) + 1
    return np.array([key[0], key[1], step % 2**32, key[3] + step // 2**32], np.uint32)


CASES = (
    Case(
        "random_bits", streams, stream, FLAT,
        lambda key, n, **_: {"words": streams.random_bits_reference(key, n)}, forward="random_bits",
    ),
    Case(
        "random_uniform", streams, stream, FLAT,
        lambda key, n, **_: {"x": streams.random_uniform_reference(key, n)}, forward="random_uniform",
    ),
    Case(
        "random_bernoulli", streams, lambda rng, n: stream(rng, n) | {"keep": 0.75}, FLAT,
        lambda key, keep, n, **_: {"x": streams.random_bernoulli_reference(key, keep, n)}, forward="random_bernoulli",
    ),
    Case(
        "random_normal", streams, stream, FLAT,
        lambda key, n, **_: {"x": streams.random_normal_reference(key, n)}, forward="random_normal",
    ),
    Case(
        "random_advance", streams, stream, (4, 4),
        lambda key, **_: {"key": moved_on(key)}, forward="random_advance",
    ),
    Case(
        "random_take", streams, stream, (4, 4),
        lambda key, **_: {"key": moved_on(key), "taken": key}, forward="random_take",
    ),
    Case(
        "dropout", dropout, dropped, FLAT,
        lambda x, key, keep, **_: {"y": dropout.dropout_reference(x, key, keep)},
        lambda key, keep, dy, **_: {"dx": dropout.dropout_backward_reference(key, keep, dy)},
    ),
    Case(
        "l1", penalty, weights, FLAT,
        lambda w, strength, loss, **_: {"loss": penalty.l1_reference(w, strength, loss)},
        lambda w, strength, **_: {"dw": penalty.l1_backward_reference(w, strength)},
    ),
    Case(
        "l2", penalty, weights, FLAT,
        lambda w, strength, loss, **_: {"loss": penalty.l2_reference(w, strength, loss)},
        lambda w, strength, **_: {"dw": penalty.l2_backward_reference(w, strength)},
    ),
    Case(
        "add", add, lambda rng, n: {"a": rng.normal(size=n), "b": rng.normal(size=n)}, FLAT,
        lambda a, b, **_: {"y": add.add_reference(a, b)},
        lambda dy, **_: named("da", "db")(add.add_backward_reference(dy)),
    ),
)  # fmt: skip
