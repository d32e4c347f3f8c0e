"""Networks, losses and optimisers as a lab uses them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dltutor.errors import DltutorError
from dltutor.kernels.binary_cross_entropy import binary_cross_entropy_reference
from dltutor.kernels.cross_entropy import cross_entropy_reference
from dltutor.kernels.dense import dense_reference
from dltutor.kernels.mse import mse_reference
from dltutor.kernels.relu import relu_reference
from dltutor.kernels.sigmoid import sigmoid_reference
from dltutor.kernels.tanh import tanh_reference
from dltutor.layers import (
    MSE,
    SGD,
    Adam,
    BCEWithLogits,
    Dense,
    Layer,
    Loss,
    Momentum,
    ReLU,
    Sequential,
    Sigmoid,
    SoftmaxCrossEntropy,
    Tanh,
)


def network(activation: Callable[[], Layer] = Tanh, seed: int = 0, **options: Any) -> Sequential:
    rng = np.random.default_rng(seed)
    return Sequential(Dense(3, 5), activation(), Dense(5, 4), activation(), Dense(4, 2), rng=rng, **options)


def samples(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 3)).astype(np.float32), rng.random((n, 2)).astype(np.float32)


def train(net: Sequential, loss: Loss, opt: Any, x: np.ndarray, t: np.ndarray, steps: int, lr: float) -> list[float]:
    losses = []
    for _step in range(steps):
        losses.append(loss(net.forward(x), t))
        net.backward(loss.grad)
        opt.step(lr=lr)
    return losses


# ---------------------------------------------------------------- gradients


REFERENCES = {Tanh: tanh_reference, Sigmoid: sigmoid_reference, ReLU: relu_reference}
LOSS_REFERENCES = {
    MSE: mse_reference,
    BCEWithLogits: binary_cross_entropy_reference,
    SoftmaxCrossEntropy: cross_entropy_reference,
}


def reference_loss(parameters: list[np.ndarray], activation: Any, loss: Any, x: np.ndarray, t: np.ndarray) -> float:
    """The network above in float64, from the references of its operations."""
    for w, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        x = REFERENCES[activation](dense_reference(x, w, b))
    return LOSS_REFERENCES[loss](dense_reference(x, *parameters[-2:]), t)


@pytest.mark.parametrize("activation", [Tanh, Sigmoid, ReLU])
@pytest.mark.parametrize("loss", [MSE, BCEWithLogits, SoftmaxCrossEntropy])
def test_the_gradient_of_a_network_is_the_central_difference_of_its_loss(activation: Any, loss: Any) -> None:
    net, measure, h = network(activation), loss(), 1e-6
    x, t = samples(8)
    if loss is SoftmaxCrossEntropy:
        t = t.argmax(axis=1).astype(np.int32)
    values = [value.astype(float) for _name, value, _gradient in net.parameters()]
    assert measure(net.forward(x), t) == pytest.approx(reference_loss(values, activation, loss, x, t), rel=1e-5)
    net.backward(measure.grad)
    for value, (name, _value, gradient) in zip(values, net.parameters(), strict=True):
        for place in np.ndindex(value.shape):
            ends = []
            for move in (h, -2 * h):
                value[place] += move
                ends.append(reference_loss(values, activation, loss, x, t))
            value[place] += h
            slope = (ends[0] - ends[1]) / (2 * h)
            assert gradient[place] == pytest.approx(slope, rel=1e-4, abs=1e-6), name


def test_backward_twice_doubles_the_gradients_and_a_step_clears_them() -> None:
    net, loss = network(), MSE()
    x, t = samples(4)
    loss(net.forward(x), t)
    net.backward(loss.grad)
    once = net.gradients.copy()
    net.backward(loss.grad)
    np.testing.assert_allclose(net.gradients, 2 * once, rtol=1e-6)
    SGD(net).step(lr=0.1)
    assert not net.gradients.any()


def test_backward_returns_the_input_s_gradient_only_where_asked_for() -> None:
    x, t = samples(4)
    loss = MSE()
    plain, asked = network(), network(input_gradient=True)
    loss(plain.forward(x), t)
    assert plain.backward(loss.grad) is None
    before = loss(asked.forward(x), t)
    dx = asked.backward(loss.grad)
    assert dx.shape == x.shape
    after = loss.value(asked.predict(x - np.float32(0.1) * dx), t)
    assert after < before


def test_an_activation_may_come_first() -> None:
    net, loss = Sequential(ReLU(), Dense(3, 2), rng=np.random.default_rng(0), input_gradient=True), MSE()
    x, t = samples(4)
    loss(net.forward(x), t)
    dx = net.backward(loss.grad)
    assert (dx[x < 0] == 0).all()
    assert dx[x > 0].any()


# ---------------------------------------------------------------- learning


@pytest.mark.parametrize(("optimiser", "lr"), [(SGD, 0.5), (Momentum, 0.1), (Adam, 0.05)])
def test_each_optimiser_learns_xor(optimiser: Any, lr: float) -> None:
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    t = np.array([[0], [1], [1], [0]], np.float32)
    net = Sequential(Dense(2, 8), Tanh(), Dense(8, 1), rng=np.random.default_rng(3))
    train(net, BCEWithLogits(), optimiser(net), x, t, 600, lr)
    assert ((net.forward(x) > 0) == t).all()


def test_the_same_seed_gives_the_same_bits() -> None:
    x, t = samples(16)
    first, second = (train(net, MSE(), Adam(net), x, t, 50, 0.01) for net in (network(), network()))
    assert first == second


def test_looking_at_other_data_changes_nothing() -> None:
    """As many rows as the batch has, between the loss and its backward pass: what a lab's pictures do."""
    x, t = samples(16)
    other_x, other_t = samples(16, seed=9)

    def run(look: bool) -> list[float]:
        net, loss = network(), MSE()
        opt, losses = Adam(net), []
        for _step in range(20):
            losses.append(loss(net.forward(x), t))
            if look:
                loss.value(net.predict(other_x), other_t)
            net.backward(loss.grad)
            opt.step(lr=0.01)
        return losses

    assert run(look=True) == run(look=False)


def test_outputs_are_those_of_each_layer() -> None:
    net = Sequential(Dense(3, 4), Tanh(), Dense(4, 1), rng=np.random.default_rng(0))
    x, _t = samples(5)
    sums, bent, last = (output.copy() for output in net.outputs(x))
    (_n, w, _g), *_rest = net.parameters()
    np.testing.assert_allclose(sums, x @ w, 1e-5)
    np.testing.assert_allclose(bent, np.tanh(sums), 1e-5)
    assert np.array_equal(last, net.predict(x))


def test_any_number_of_rows_in_any_order() -> None:
    net, loss = network(), MSE()
    for rows in (4, 0, 1, 7, 4, *range(20, 40), 4):
        x, t = samples(rows)
        y = net.forward(x)
        alone = [net.predict(x[n : n + 1]).copy()[0] for n in range(rows)]
        np.testing.assert_allclose(y, np.array(alone, np.float32).reshape(rows, 2), 1e-5, 1e-6)
        assert np.isfinite(loss(y, t))
        net.backward(loss.grad)
    assert np.isfinite(net.gradients).all()


def test_training_allocates_next_to_nothing() -> None:
    net, loss = Sequential(Dense(64, 128), ReLU(), Dense(128, 10), rng=np.random.default_rng(0)), SoftmaxCrossEntropy()
    opt = Adam(net)
    x, t = np.ones((64, 64), np.float32), np.zeros(64, np.int32)
    train(net, loss, opt, x, t, 3, 0.01)
    tracemalloc.start()
    train(net, loss, opt, x, t, 20, 0.01)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000  # one activation alone has 32,768 bytes


# ---------------------------------------------------------------- first weights


def test_first_weights_keep_signals_alive() -> None:
    """He's variance before a ReLU, Glorot's elsewhere; biases at zero."""
    net = Sequential(Dense(400, 200), ReLU(), Dense(200, 100), Tanh(), Dense(100, 1), rng=np.random.default_rng(0))
    (_n, first, _g), (_b, bias, _h), (_m, second, _k), *_rest = net.parameters()
    assert first.var() == pytest.approx(2 / 400, rel=0.02)
    assert second.var() == pytest.approx(2 / 300, rel=0.03)
    assert not bias.any()


def test_first_weights_can_be_zero_and_then_draw_nothing() -> None:
    rng = np.random.default_rng(0)
    assert not Sequential(Dense(3, 1, init="zeros"), rng=rng).values.any()
    assert rng.random() == np.random.default_rng(0).random()


# ---------------------------------------------------------------- names


def test_every_tensor_has_a_name_in_the_order_of_calculation() -> None:
    net, loss = Sequential(Dense(3, 4), ReLU(), Dense(4, 2), rng=np.random.default_rng(0)), MSE()
    x, t = samples(5)
    loss(net.forward(x), t)
    net.backward(loss.grad)
    shapes = {name: array.shape for name, array in net.tensors()}
    assert list(shapes)[:4] == ["input", "layer 1 dense: weights", "layer 1 dense: bias", "layer 1 dense: output"]
    assert shapes["layer 2 ReLU: output"] == (5, 4)
    assert shapes["layer 3 dense: weights gradient"] == (4, 2)
    assert list(shapes)[-3:] == [
        "layer 1 dense: output gradient",
        "layer 1 dense: bias gradient",
        "layer 1 dense: weights gradient",
    ]


def test_the_first_bad_number_is_found_by_name() -> None:
    net = network()
    x, _t = samples(4)
    net.layers[2].w[0, 0] = np.nan
    net.forward(x)
    bad = next(name for name, array in net.tensors() if not np.isfinite(array).all())
    assert bad == "layer 3 dense: weights"


# ---------------------------------------------------------------- misuse


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((4, 2), np.float32),
        np.zeros((4, 3)),
        np.zeros(3, np.float32),
    ],
    ids=["columns", "float64", "one dimension"],
)
def test_input_that_does_not_fit_is_said(x: np.ndarray) -> None:
    with pytest.raises(DltutorError, match=r"float32 of shape \(N, 3\)"):
        network().forward(x)


def test_targets_that_would_broadcast_are_said() -> None:
    """(N,) against (N, 1): NumPy would make (N, N) of them, and the loss would still fall."""
    with pytest.raises(DltutorError, match=r"targets of shape \(4,\)"):
        MSE()(np.zeros((4, 1), np.float32), np.zeros(4, np.float32))


@pytest.mark.parametrize("t", [np.array([0, 3], np.int32), np.array([-1, 0], np.int32), np.array([0, 1])])
def test_labels_that_do_not_fit_are_said(t: np.ndarray) -> None:
    with pytest.raises(DltutorError, match="Labels"):
        SoftmaxCrossEntropy()(np.zeros((2, 3), np.float32), t)


def test_layers_that_do_not_fit_are_said() -> None:
    with pytest.raises(DltutorError, match="5 inputs cannot follow a layer of 4 outputs"):
        Sequential(Dense(3, 4), Tanh(), Dense(5, 1))


@pytest.mark.parametrize("arguments", [(0, 1), (1, -1), (1, 1, "ones")])
def test_a_dense_layer_that_cannot_be_is_said(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(DltutorError, match="no dense layer"):
        Dense(*arguments)


def test_a_network_without_layers_is_said() -> None:
    with pytest.raises(DltutorError, match="at least one layer"):
        Sequential()


def test_backward_after_another_forward_is_said() -> None:
    """The silent version of this fault trains on the wrong samples."""
    net, loss = network(), MSE()
    x, t = samples(4)
    loss(net.forward(x), t)
    net.forward(samples(4, seed=2)[0])
    with pytest.raises(DltutorError, match=r"net\.predict"):
        net.backward(loss.grad)


def test_backward_without_forward_is_said() -> None:
    with pytest.raises(DltutorError, match="does not belong"):
        network().backward(np.zeros((4, 2), np.float32))


def test_measuring_the_test_set_first_is_no_misuse() -> None:
    """As many test samples as a batch has: what counts is the output that the loss was last asked about."""
    net, loss = network(), MSE()
    x, t = samples(4)
    loss(net.forward(samples(4, seed=2)[0]), t)
    loss(net.forward(x), t)
    net.backward(loss.grad)
    assert net.gradients.any()
