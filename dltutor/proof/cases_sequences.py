"""Cases of recurrent layers and of what stands before and behind them."""

from __future__ import annotations

import numpy as np

from dltutor.kernels import copy, embedding, gru, lstm, rnn
from dltutor.proof.checks import Arrays, Case, named

FLAT = (0, 1, 2, 7, 33, 130)
WORDS = ((0, 3, 2), (1, 1, 1), (4, 1, 3), (7, 5, 0), (9, 4, 2), (37, 6, 5))  # N, V, D
SEQUENCES = (  # T, N, D, H
    (0, 2, 3, 2), (2, 0, 3, 2), (2, 2, 0, 2), (2, 2, 3, 0), (1, 1, 1, 1), (1, 3, 2, 4), (3, 1, 2, 3), (3, 2, 1, 2),
    (5, 3, 7, 5), (4, 5, 3, 17),
)  # fmt: skip


def tokens(rng: np.random.Generator, shape: tuple[int, int, int]) -> Arrays:
    n, v, d = shape
    return {"tokens": rng.integers(0, v, n).astype(np.int32), "w": rng.normal(size=(v, d))}


def sequence(rng: np.random.Generator, shape: tuple[int, int, int, int], gates: int = 1) -> Arrays:
    """Input, first state, weights; and room for u^T, the gates' gradients and e."""
    t, n, d, h = shape
    m = gates * h
    return {
        "x": rng.normal(size=(t * n, d)),
        "h0": rng.normal(size=(n, h)),
        "w": rng.normal(size=(d, m)) / np.sqrt(max(d, 1)),
        "u": rng.normal(size=(h, m)) / np.sqrt(max(h, 1)),
        "b": rng.normal(size=m),
        "ut": np.full((m, h), np.nan),
        "da": np.full((t * n, m), np.nan),
        "e": np.full((t * n, h), np.nan),
    }


def lstm_sequence(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> Arrays:
    made = sequence(rng, shape, gates=4)
    return made | {"c0": rng.normal(size=made["h0"].shape), "s": made["e"].copy()}


def gru_sequence(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> Arrays:
    made = sequence(rng, shape, gates=3)
    return made | {"v": rng.normal(size=made["b"].shape), "dp": made["da"], "dq": made["da"].copy()}


CASES = (
    Case(
        "copy", copy, lambda rng, n: {"x": rng.normal(size=n)}, FLAT,
        lambda x, **_: {"y": copy.copy_reference(x)},
        lambda dy, **_: {"dx": copy.copy_backward_reference(dy)},
    ),
    Case(
        "embedding", embedding, tokens, WORDS,
        lambda tokens, w, **_: {"y": embedding.embedding_reference(tokens, w)},
        lambda tokens, w, dy, **_: {"dw": embedding.embedding_backward_reference(tokens, w, dy)},
    ),
    Case(
        "rnn", rnn, sequence, SEQUENCES,
        lambda x, h0, w, u, b, **_: {"h": rnn.rnn_reference(x, h0, w, u, b)},
        lambda x, h0, w, u, h, dh, **_: named("dx", "dh0", "dw", "du", "db")(
            rnn.rnn_backward_reference(x, h0, w, u, h, dh)
        ),
        scratch=("ut", "da", "e"),
    ),
    Case(
        "lstm", lstm, lstm_sequence, SEQUENCES,
        lambda x, h0, c0, w, u, b, **_: named("h", "c", "gates")(lstm.lstm_reference(x, h0, c0, w, u, b)),
        lambda x, h0, c0, w, u, h, c, gates, dh, **_: named("dx", "dh0", "dc0", "dw", "du", "db")(
            lstm.lstm_backward_reference(x, h0, c0, w, u, h, c, gates, dh)
        ),
        kept=("c", "gates"), scratch=("ut", "da", "e", "s"),
    ),
    Case(
        "gru", gru, gru_sequence, SEQUENCES,
        lambda x, h0, w, u, b, v, **_: named("h", "gates", "q")(gru.gru_reference(x, h0, w, u, b, v)),
        lambda x, h0, w, u, h, gates, q, dh, **_: named("dx", "dh0", "dw", "du", "db", "dv")(
            gru.gru_backward_reference(x, h0, w, u, h, gates, q, dh)
        ),
        kept=("gates", "q"), scratch=("ut", "dp", "dq", "e"),
    ),
)  # fmt: skip
