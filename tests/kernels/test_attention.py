"""Attention by hand, what the layers say about it, and what a small GPT learns."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dltutor.errors import DltutorError
from dltutor.kernels.attention import attention_forward, attention_room
from dltutor.kernels.positions import sinusoids
from dltutor.layers import (
    Adam,
    Dense,
    MultiHeadAttention,
    Positions,
    Sequential,
    SoftmaxCrossEntropy,
    TransformerBlock,
    gpt,
    sample,
)


def floats(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def attend(qkv: np.ndarray, heads: int, causal: int) -> tuple[np.ndarray, np.ndarray]:
    n, t, columns = qkv.shape
    p, y = np.empty((n, heads, t, t), np.float32), np.empty((n, t, columns // 3), np.float32)
    attention_forward(qkv, causal, np.empty(attention_room(t, columns // 3 // heads), np.float32), p, y)
    return p, y


# ---------------------------------------------------------------- the kernel


def test_attention_by_hand() -> None:
    """Two times, one column. k = (0, log 3); q = (1, 0), so that the first asks 1/4 : 3/4 and the second 1/2 : 1/2."""
    qkv = np.array([[[1, 0, 4], [0, math.log(3), 8]]], np.float32)
    p, y = attend(qkv, heads=1, causal=0)
    np.testing.assert_allclose(p[0, 0], [[0.25, 0.75], [0.5, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(y[0, :, 0], [4 / 4 + 8 * 3 / 4, 6], rtol=1e-6)
    p, y = attend(qkv, heads=1, causal=1)
    assert p[0, 0].tolist() == [[1, 0], [0.5, 0.5]]
    assert y[0, :, 0].tolist() == [4, 6]


def test_scores_too_large_for_an_exponential() -> None:
    qkv = np.array([[[100, 100, 1], [100, -100, 2]]], np.float32)
    p, _y = attend(qkv, heads=1, causal=0)
    np.testing.assert_allclose(p[0, 0], [[1, 0], [1, 0]])


@pytest.mark.parametrize("times", [1, 7, 16, 40])
def test_what_comes_later_changes_nothing_before(times: int) -> None:
    """To the bit, wherever the blocks that are calculated at once begin and end."""
    qkv = floats(1, 2, times, 24)
    _p, y = attend(qkv, heads=2, causal=1)
    for last in range(times - 1):
        changed = qkv.copy()
        changed[:, last + 1 :] += 5
        np.testing.assert_array_equal(attend(changed, heads=2, causal=1)[1][:, : last + 1], y[:, : last + 1])


def test_heads_do_not_see_each_other() -> None:
    """Two heads are two heads of one, side by side."""
    qkv = floats(2, 3, 5, 3 * 8)
    both_p, both_y = attend(qkv, heads=2, causal=0)
    for head in range(2):
        columns = slice(4 * head, 4 * head + 4)
        alone = np.concatenate([part[..., columns] for part in np.split(qkv, 3, axis=2)], axis=2)
        p, y = attend(alone, heads=1, causal=0)
        np.testing.assert_allclose(p[:, 0], both_p[:, head], 1e-6, 1e-7)
        np.testing.assert_allclose(y, both_y[..., columns], 1e-6, 1e-6)


# ---------------------------------------------------------------- the layers


def test_without_positions_attention_sees_a_set() -> None:
    """Times in another order give the same outputs in that order; positions put an end to that."""
    order, x = [3, 0, 4, 1, 2], floats(3, 1, 5, 8)
    plain = Sequential(MultiHeadAttention(8, 2))
    np.testing.assert_allclose(plain.predict(x).copy()[:, order], plain.predict(x[:, order]), 1e-5, 1e-6)
    placed = Sequential(Positions(5, 8, learned=False), MultiHeadAttention(8, 2))
    assert np.abs(placed.predict(x).copy()[:, order] - placed.predict(x[:, order])).max() > 0.1


def test_maps_are_those_of_the_last_pass_of_that_kind() -> None:
    layer = MultiHeadAttention(8, 2, causal=True)
    net = Sequential(layer)
    x = floats(4, 3, 6, 8)
    with pytest.raises(DltutorError, match="no attention maps"):
        layer.maps(x.shape)
    net.forward(x)
    maps = layer.maps(x.shape)
    assert maps.shape == (3, 2, 6, 6)
    np.testing.assert_allclose(maps.sum(axis=-1), 1, 1e-6)
    assert not np.triu(maps, 1).any()
    net.predict(2 * x)
    assert not np.array_equal(layer.maps(x.shape, training=False), maps)
    assert "attention map" in " ".join(name for name, _values in net.tensors())


def test_a_block_keeps_what_it_cannot_improve() -> None:
    """With all weights at zero it hands its input on."""
    net = Sequential(TransformerBlock(8, 2))
    net.values[:] = 0
    x = floats(5, 2, 4, 8)
    np.testing.assert_array_equal(net.predict(x), x)


def test_waves_turn_by_the_same_angle_from_step_to_step() -> None:
    w = sinusoids(50, 6).astype(float)
    angles = np.unwrap(np.arctan2(w[:, 0::2], w[:, 1::2]), axis=0)
    steps = np.diff(angles, axis=0)
    np.testing.assert_allclose(steps, np.tile(10_000.0 ** -np.array([0, 1 / 3, 2 / 3]), (49, 1)), rtol=1e-4)
    assert sinusoids(3, 5).shape == (3, 5)


def test_learned_positions_take_the_sum_of_gradients() -> None:
    positions = Positions(4, 3)
    net = Sequential(positions, input_gradient=True)
    dy = floats(6, 5, 2, 3)
    net.forward(floats(7, 5, 2, 3))
    np.testing.assert_array_equal(net.backward(dy), dy)
    np.testing.assert_allclose(positions.dw[:2], dy.sum(axis=0), 1e-5, 1e-6)
    assert not positions.dw[2:].any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiHeadAttention(8, 3), "3 heads cannot share 8 columns"),
        (lambda: MultiHeadAttention(8, 0), "heads=0"),
        (lambda: Positions(0, 3), "times=0"),
        (lambda: Sequential(Dense(3, 4), MultiHeadAttention(8, 2)), "8 columns cannot follow a layer of 4"),
        (lambda: Sequential(MultiHeadAttention(8, 2)).predict(floats(1, 2, 8)), r"shape \(2, 8\)"),
        (lambda: Sequential(Positions(3, 8)).predict(floats(1, 2, 4, 8)), "3 positions of 8 columns"),
        (lambda: sample(np.zeros(3), np.random.default_rng(), temperature=-1), "temperature=-1"),
    ],
)
def test_what_cannot_be_is_told(make: object, message: str) -> None:
    with pytest.raises(DltutorError, match=message) as told:
        make()  # type: ignore[operator]
    assert told.value.hint


# ---------------------------------------------------------------- the small GPT


def test_a_gpt_learns_to_say_the_alphabet() -> None:
    """Next is always the next letter, round and round; then it goes on by itself."""
    words, times = 6, 8
    net = gpt(words, times, width=16, heads=2, blocks=1, rng=np.random.default_rng(8))
    tokens = (np.arange(times) + np.arange(words)[:, None]) % words
    x, t = tokens.astype(np.int32), ((tokens + 1) % words).astype(np.int32)
    loss, optimiser = SoftmaxCrossEntropy(), Adam(net)
    values = []
    for _step in range(60):
        values.append(loss(net.forward(x), t))
        net.backward(loss.grad)
        optimiser.step(lr=0.01)
    assert values[0] > 1.5
    assert values[-1] < 0.1
    said = [2]
    for _word in range(6):
        logits = net.predict(np.array([said], np.int32))[0, -1]
        said.append(int(sample(logits, np.random.default_rng(), temperature=0)))
    assert said == [2, 3, 4, 5, 0, 1, 2]


def test_samples_fall_as_often_as_softmax_says() -> None:
    logits = np.log([0.1, 0.2, 0.7])
    rng = np.random.default_rng(9)
    many = np.tile(logits, (20_000, 1))
    np.testing.assert_allclose(np.bincount(sample(many, rng)) / 20_000, [0.1, 0.2, 0.7], atol=0.01)
    squared = np.array([0.01, 0.04, 0.49]) / 0.54
    np.testing.assert_allclose(np.bincount(sample(many, rng, temperature=0.5)) / 20_000, squared, atol=0.01)
    np.testing.assert_allclose(np.bincount(sample(many, rng, top_k=2)) / 20_000, [0, 2 / 9, 7 / 9], atol=0.01)
    assert set(sample(many, rng, top_k=1)) == set(sample(many, rng, temperature=0)) == {2}
    assert sample(logits, rng).dtype == np.int32
