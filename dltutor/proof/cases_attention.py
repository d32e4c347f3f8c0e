"""Cases of attention and positions."""

from __future__ import annotations

import numpy as np

from dltutor.kernels import attention, positions
from dltutor.proof.checks import Arrays, Case, named

# samples, times, heads, columns of a head, causal
HEADS = (
    (0, 3, 2, 2, 0), (1, 0, 1, 3, 1), (1, 1, 1, 1, 0), (1, 3, 2, 2, 1), (2, 5, 1, 3, 0),
    (2, 3, 2, 1, 0), (1, 17, 3, 5, 1), (2, 19, 2, 16, 0), (1, 37, 1, 7, 1),
)  # fmt: skip
PLACES = ((0, 2, 3), (1, 0, 2), (1, 1, 1), (2, 3, 1), (3, 4, 5), (7, 2, 11))


def attention_inputs(rng: np.random.Generator, shape: tuple[int, int, int, int, int]) -> Arrays:
    n, t, heads, d, causal = shape
    room, ds = rng.normal(size=attention.attention_room(t, d)), rng.normal(size=(n, heads, t, t))
    return {"qkv": rng.normal(size=(n, t, 3 * heads * d)), "heads": heads, "causal": causal, "room": room, "ds": ds}


def positions_inputs(rng: np.random.Generator, shape: tuple[int, int, int]) -> Arrays:
    n, t, d = shape
    return {"x": rng.normal(size=shape), "w": rng.normal(size=(t + n % 3, d))}


CASES = (
    Case(
        "attention", attention, attention_inputs, HEADS,
        lambda qkv, causal, heads, **_: named("p", "y")(attention.attention_reference(qkv, causal, heads)),
        lambda qkv, p, dy, **_: {"dqkv": attention.attention_backward_reference(qkv, p, dy)},
        kept=("p",), scratch=("room", "ds"),
    ),
    Case(
        "positions", positions, positions_inputs, PLACES,
        lambda x, w, **_: {"y": positions.positions_reference(x, w)},
        lambda w, dy, **_: named("dx", "dw")(positions.positions_backward_reference(w, dy)),
    ),
)  # fmt: skip
