"""Recurrent kernels and layers: worked by hand, over time, from batch to batch, and where they are misused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dltutor.emulate.front import missing_toolkit
from dltutor.errors import DltutorError
from dltutor.kernels import device
from dltutor.kernels.compile import argument_names
from dltutor.kernels.embedding import embedding_backward, embedding_forward
from dltutor.kernels.gru import gru_forward
from dltutor.kernels.lstm import lstm_forward
from dltutor.kernels.rnn import rnn_backward, rnn_forward
from dltutor.layers import GRU, LSTM, RNN, Adam, Dense, Embedding, Last, Recurrent, Sequential, SoftmaxCrossEntropy
from dltutor.proof import cases_sequences
from dltutor.proof.checks import cast

CASES = {case.name: case for case in cases_sequences.CASES}
RECURRENT = ("rnn", "lstm", "gru")
LAYERS = (RNN, LSTM, GRU)


def f32(*values: Any) -> np.ndarray:
    return np.array(values, np.float32)


def noise(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def network(layer: Any, *more: Any) -> Sequential:
    return Sequential(layer, *more, rng=np.random.default_rng(1))


# ---------------------------------------------------------------- worked by hand


def test_two_steps_of_an_rnn_by_hand() -> None:
    """x = 1, 0; w = 1, u = 2, b = 0, from h0 = 0: h = tanh 1, then tanh(2 tanh 1). Only the second h is in the loss."""
    x, h0, w, u = f32([1], [0]), f32([0]), f32([1]), f32([2])
    h, da, e = (np.empty((2, 1), np.float32) for _ in range(3))
    rnn_forward(x, h0, w, u, f32(0), h)
    first = math.tanh(1)
    second = math.tanh(2 * first)
    np.testing.assert_allclose(h, [[first], [second]], 1e-6)

    dx, dh0, dw, du, db = np.zeros((2, 1), np.float32), *(f32([0]) for _ in range(3)), f32(0)
    rnn_backward(x, h0, w, u, h, f32([0], [1]), np.empty((1, 1), np.float32), da, e, dx, dh0, dw, du, db)
    last = 1 - second**2
    before = 2 * last * (1 - first**2)  # through u and the first tanh
    np.testing.assert_allclose(da, [[before], [last]], 1e-5)
    np.testing.assert_allclose(e, [[2 * last], [1]], 1e-5)
    np.testing.assert_allclose(
        [dw[0, 0], du[0, 0], db[0], dh0[0, 0]], [before, first * last, before + last, 2 * before], 1e-5
    )


def test_an_lstm_keeps_what_its_gates_tell_it_to() -> None:
    """Input gate shut, forget and output gate open: c stays 0.5, whatever comes, and h shows its tanh."""
    biases = f32(-100, 100, 3, 100)
    h, c, gates = np.empty((3, 1), np.float32), np.empty((3, 1), np.float32), np.empty((3, 4), np.float32)
    zeros = np.zeros((1, 4), np.float32)
    lstm_forward(noise(3, 1), f32([0]), f32([0.5]), zeros, zeros, biases, h, c, gates)
    assert c.tolist() == [[0.5]] * 3
    np.testing.assert_allclose(h, math.tanh(0.5), 1e-6)
    np.testing.assert_allclose(gates, [[0, 1, math.tanh(3), 1]] * 3, 1e-6, 1e-30)


def test_a_gru_keeps_its_state_or_takes_the_candidate() -> None:
    """Update gate open: nothing new. Update and reset gate shut: tanh of the input's part alone, here 0.7."""
    h, gates, q = np.empty((1, 1), np.float32), np.empty((1, 3), np.float32), np.empty((1, 3), np.float32)
    w, u = np.zeros((1, 3), np.float32), f32([0, 0, 5])
    gru_forward(f32([1]), f32([0.25]), w, u, f32(0, 100, 0.7), f32(0, 0, 9), h, gates, q)
    assert h[0, 0] == 0.25
    gru_forward(f32([1]), f32([0.25]), w, u, f32(-100, -100, 0.7), f32(0, 0, 9), h, gates, q)
    assert h[0, 0] == pytest.approx(math.tanh(0.7))
    assert q[0, 2] == 9 + 5 * 0.25


def test_an_embedding_gathers_rows_and_adds_up_gradients_where_a_word_occurs_twice() -> None:
    tokens, w = np.array([2, 0, 2], np.int32), f32([1, 2], [3, 4], [5, 6])
    y, dw = np.empty((3, 2), np.float32), np.zeros((3, 2), np.float32)
    embedding_forward(tokens, w, y)
    assert y.tolist() == [[5, 6], [1, 2], [5, 6]]
    embedding_backward(tokens, f32([1, 2], [10, 20], [100, 200]), dw)
    assert dw.tolist() == [[10, 20], [0, 0], [101, 202]]


def test_an_unknown_word_is_nan_and_changes_nothing() -> None:
    """Not the memory beside the table."""
    tokens, w = np.array([-1, 1, 3], np.int32), np.ones((3, 2), np.float32)
    y, dw = np.empty((3, 2), np.float32), np.zeros((3, 2), np.float32)
    embedding_forward(tokens, w, y)
    embedding_backward(tokens, np.ones((3, 2), np.float32), dw)
    assert np.isnan(y).all(axis=1).tolist() == [True, False, True]
    assert dw.tolist() == [[0, 0], [1, 1], [0, 0]]


# ---------------------------------------------------------------- what the table of cases does not say


@pytest.mark.parametrize("name", RECURRENT)
def test_the_input_s_gradient_is_left_out_where_it_has_no_rows(name: str) -> None:
    case = CASES[name]
    given, wanted = backward_arguments(name, (4, 3, 5, 6))
    gradients = {key: np.zeros(value.shape, np.float32) for key, value in wanted.items()}
    gradients["dx"] = np.empty((0, 5), np.float32)
    backward = case.kernels()[1][0]
    arrays = cast(given, np.float32) | gradients
    backward(*(arrays[key] for key in argument_names(backward.py_func)))
    for key, value in gradients.items():
        if key != "dx":
            np.testing.assert_allclose(value, wanted[key], 1e-5, 1e-5, err_msg=key)


@pytest.mark.parametrize("name", RECURRENT)
def test_e_is_the_gradient_by_the_state_of_each_step(name: str) -> None:
    """Steps t to T-1 are a sequence of their own that starts from h[t-1]: its dh0 is e[t-1], less what dh adds."""
    steps, samples, inputs, outputs = 4, 3, 5, 6
    given, wanted = backward_arguments(name, (steps, samples, inputs, outputs))
    arrays = cast(given, np.float32) | {key: np.zeros(value.shape, np.float32) for key, value in wanted.items()}
    backward = CASES[name].kernels()[1][0]
    backward(*(arrays[key] for key in argument_names(backward.py_func)))
    for t in range(1, steps):
        now = slice(samples * (t - 1), samples * t)
        tail = {key: value[samples * t :] if len(value) == steps * samples else value for key, value in given.items()}
        tail |= {"h0": given["h"][now]} | ({"c0": given["c"][now]} if "c" in given else {})
        gradients = CASES[name].backward_reference(**tail)  # type: ignore[misc]
        np.testing.assert_allclose(arrays["e"][now] - given["dh"][now], gradients["dh0"], 1e-5, 1e-5)


def backward_arguments(name: str, shape: tuple[int, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """All arguments of the backward kernel in float64, and its reference's gradients."""
    case, rng = CASES[name], np.random.default_rng(3)
    inputs = case.make(rng, shape)
    given = inputs | case.reference(**inputs)
    given |= {"dh": rng.normal(size=given["h"].shape)}
    return given, case.backward_reference(**given)  # type: ignore[misc]


@pytest.mark.parametrize("name", RECURRENT)
def test_a_long_sequence_far_from_zero_stays_finite(name: str) -> None:
    """Gates that are shut or open to the last digit are no reason for NaN."""
    case = CASES[name]
    inputs = cast(case.make(np.random.default_rng(1), (50, 2, 3, 4)), np.float32)
    inputs = {key: value * np.float32(1 if key in case.scratch else 1000) for key, value in inputs.items()}
    forward = case.kernels()[0]
    outputs = {key: np.empty(value.shape, np.float32) for key, value in case.reference(**inputs).items()}
    forward(*((inputs | outputs)[key] for key in argument_names(forward.py_func)))
    assert np.isfinite(outputs["h"]).all()


# ---------------------------------------------------------------- layers


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_on_top_of_each_other_are_the_same_one_by_one(kind: type[Recurrent]) -> None:
    stacked, one, two = kind(3, 4, layers=2), kind(3, 4), kind(4, 4)
    nets = network(stacked), network(one, two)
    nets[1].values[:] = nets[0].values
    x, dy = noise(5, 2, 3), noise(5, 2, 4, seed=2)
    outputs = [net.forward(x).copy() for net in nets]
    np.testing.assert_array_equal(*outputs)
    for net in nets:
        net.backward(dy)
    np.testing.assert_array_equal(nets[0].gradients, nets[1].gradients)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_stateful_layer_goes_on_where_it_ended(kind: type[Recurrent]) -> None:
    whole, pieces = kind(3, 4, layers=2), kind(3, 4, layers=2, stateful=True)
    nets = network(whole), network(pieces)
    x = noise(6, 2, 3)
    wanted = nets[0].forward(x)
    np.testing.assert_allclose(nets[1].forward(x[:4].copy()), wanted[:4], 1e-6)
    np.testing.assert_allclose(nets[1].predict(x[:4].copy()), wanted[:4], 1e-6)  # a start of its own
    np.testing.assert_allclose(nets[1].forward(x[4:].copy()), wanted[4:], 1e-6)
    pieces.reset(training=False)
    np.testing.assert_allclose(nets[1].predict(x[:4].copy()), wanted[:4], 1e-6)
    pieces.reset()
    np.testing.assert_allclose(nets[1].forward(x[:4].copy()), wanted[:4], 1e-6)


def test_no_gradient_goes_back_to_the_batch_before() -> None:
    """The second piece's gradient is that of a sequence which starts from a constant state."""
    layer = RNN(3, 4, stateful=True)
    net = network(layer)
    x, dy = noise(6, 2, 3), noise(3, 2, 4, seed=2)
    first = net.forward(x[:3].copy())[-1].copy()
    net.forward(x[3:].copy())
    net.backward(dy)
    w, u, b = layer.values[0]
    h, dw, du, db = np.empty((6, 4), np.float32), np.zeros_like(w), np.zeros_like(u), np.zeros_like(b)
    rows = x[3:].reshape(6, 3)
    rnn_forward(rows, first, w, u, b, h)
    scratch = np.empty((4, 4), np.float32), np.empty((6, 4), np.float32), np.empty((6, 4), np.float32)
    no_dx, dh0 = np.empty((0, 3), np.float32), np.zeros((2, 4), np.float32)
    rnn_backward(rows, first, w, u, h, dy.reshape(6, 4), *scratch, no_dx, dh0, dw, du, db)
    for ours, wanted in zip(layer.gradients[0], (dw, du, db), strict=True):
        np.testing.assert_array_equal(ours, wanted)


def test_gates_memory_and_gradients_can_be_read_over_time() -> None:
    lstm = LSTM(3, 4, layers=2)
    net = network(lstm)
    x = noise(5, 2, 3)
    net.backward(np.ones_like(net.forward(x)))
    i, f, g, o, c, h, s = (lstm.over_time(name, x.shape, layer=1) for name in ("i", "f", "g", "o", "c", "h", "s"))
    np.testing.assert_allclose(c[1:], f[1:] * c[:-1] + i[1:] * g[1:], 1e-6, 1e-7)
    np.testing.assert_allclose(h, o * np.tanh(c), 1e-5, 1e-7)
    np.testing.assert_allclose(s[-1], o[-1] * (1 - np.tanh(c[-1]) ** 2), 1e-4)
    assert lstm.over_time("e", x.shape).shape == (5, 2, 4)
    net.predict(2 * x)
    assert not np.array_equal(lstm.over_time("i", x.shape, layer=1, training=False), i)


def test_what_never_ran_cannot_be_read() -> None:
    gru = GRU(3, 4)
    net = network(gru)
    with pytest.raises(DltutorError, match=r"nothing is known of z"):
        gru.over_time("z", (5, 2, 3))
    net.forward(noise(5, 2, 3))
    assert gru.over_time("z", (5, 2, 3)).shape == (5, 2, 4)
    with pytest.raises(DltutorError, match=r"nothing is known of c"):
        gru.over_time("c", (5, 2, 3))


def test_the_last_step_of_a_sequence_and_its_gradient() -> None:
    net = Sequential(Last(), input_gradient=True)
    x, dy = noise(3, 2, 4), noise(2, 4, seed=2)
    np.testing.assert_array_equal(net.forward(x), x[-1])
    dx = net.backward(dy)
    np.testing.assert_array_equal(dx, np.concatenate([np.zeros((2, 2, 4)), dy[None]]))
    with pytest.raises(DltutorError, match="0 steps"):
        net.forward(noise(0, 2, 4))


def test_first_weights_keep_lengths_and_nothing_is_forgotten_at_first() -> None:
    lstm = LSTM(3, 5)
    network(lstm)
    _w, u, b = lstm.values[0]
    for block in np.split(u, 4, axis=1):
        np.testing.assert_allclose(block.T @ block, np.eye(5), atol=1e-6)
    assert b.tolist() == [0] * 5 + [1] * 5 + [0] * 10


def test_other_samples_start_from_zeros() -> None:
    """The state of 2 samples says nothing about 3 others."""
    layer = GRU(3, 4, stateful=True)
    net = network(layer)
    x = noise(4, 3, 3)
    fresh = net.forward(x).copy()
    net.forward(noise(4, 2, 3))
    layer.reset()
    np.testing.assert_array_equal(net.forward(x), fresh)


def test_misuse_is_told_with_its_values() -> None:
    with pytest.raises(DltutorError, match="layers=0"):
        LSTM(3, 4, layers=0)
    with pytest.raises(DltutorError, match="5 inputs cannot follow a layer of 4"):
        network(RNN(3, 4), GRU(5, 4))
    with pytest.raises(DltutorError, match=r"float32 of shape \(5, 3\)"):
        network(RNN(3, 4)).forward(noise(5, 3))
    with pytest.raises(DltutorError, match="float32"):
        Sequential(Embedding(7, 3)).forward(noise(5, 2))


def test_a_network_of_words() -> None:
    """Whole numbers in, and no gradient by them."""
    net = network(Embedding(7, 3), LSTM(3, 4), Last(), Dense(4, 7))
    tokens = np.random.default_rng(2).integers(0, 7, (5, 2)).astype(np.int32)
    y = net.forward(tokens)
    assert y.shape == (2, 7)
    net.backward(np.ones_like(y))
    assert all(np.isfinite(gradient).all() and gradient.any() for _name, _value, gradient in net.parameters())


@pytest.mark.skipif(bool(missing_toolkit()), reason=f"no CUDA compiler: {missing_toolkit()}")
def test_the_emulated_card_trains_the_same_network() -> None:
    """State carried from batch to batch, three kinds of layers, words at one end and the last step at the other."""

    def training(name: str) -> list[float]:
        device.use(name)
        gru = GRU(4, 3, stateful=True)
        net = network(Embedding(7, 3), LSTM(3, 4, layers=2), RNN(4, 4), gru, Last(), Dense(3, 5))
        loss, opt = SoftmaxCrossEntropy(), Adam(net)
        tokens = np.random.default_rng(2).integers(0, 7, (3, 2)).astype(np.int32)
        losses = []
        for _step in range(3):
            losses.append(loss(net.forward(tokens), np.array([1, 4], np.int32)))
            net.backward(loss.grad)
            opt.step(lr=0.1)
        gru.reset()
        return [*losses, loss(net.forward(tokens), np.array([1, 4], np.int32)), *gru.over_time("e", (3, 2)).ravel()]

    try:
        assert training("emulate") == pytest.approx(training("cpu"), rel=1e-4, abs=1e-6)
    finally:
        device.use("cpu")


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("shape", [(0, 2, 3), (4, 0, 3), (1, 1, 3)])
def test_no_steps_and_no_samples(kind: type[Recurrent], shape: tuple[int, int, int]) -> None:
    net = network(kind(3, 4, stateful=True))
    y = net.forward(noise(*shape))
    assert y.shape == (*shape[:2], 4)
    net.backward(np.ones_like(y))
