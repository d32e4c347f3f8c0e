"""Recurrent layers are PyTorch's: states and all gradients, one layer and three, from zeros and from a first state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dltutor.kernels.compile import Kernel, argument_names
from dltutor.kernels.gru import gru_backward, gru_forward
from dltutor.kernels.lstm import lstm_backward, lstm_forward
from dltutor.kernels.rnn import rnn_backward, rnn_forward
from dltutor.layers import GRU, LSTM, MSE, RNN, Adam, Dense, Embedding, Last, Recurrent, Sequential, SoftmaxCrossEntropy

torch = pytest.importorskip("torch")
nn = torch.nn

KINDS: dict[str, tuple[type[Recurrent], Any, Kernel, Kernel]] = {
    "rnn": (RNN, nn.RNN, rnn_forward, rnn_backward),
    "lstm": (LSTM, nn.LSTM, lstm_forward, lstm_backward),
    "gru": (GRU, nn.GRU, gru_forward, gru_backward),
}
T, N, D, H = 9, 6, 5, 7


def noise(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def close(ours: Any, theirs: Any, name: str) -> None:
    np.testing.assert_allclose(ours, theirs.detach().numpy(), 2e-5, 1e-5, err_msg=name)


def give_weights(twin: Any, net: Recurrent) -> None:
    """Ours have one bias (a GRU two), PyTorch's always two: the second is zero there."""
    with torch.no_grad():
        for number, (w, u, *biases) in enumerate(net.values):
            parameters = twin.all_weights[number]
            for parameter, value in zip(parameters, (w, u, *biases), strict=False):
                parameter.copy_(torch.from_numpy(value.T))
            if len(biases) == 1:
                parameters[3].zero_()


def gradients(twin: Any, net: Recurrent) -> Iterator[tuple[str, np.ndarray, Any]]:
    """Each of our gradients with theirs."""
    names = [name for name, _value, _gradient in net.parameters()]
    ours = [gradient for layer in net.gradients for gradient in layer]
    theirs = [p.grad.t() for layer in twin.all_weights for p in layer[: 2 + net.biases]]
    return zip(names, ours, theirs, strict=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [1, 3])
def test_states_and_all_gradients(kind: str, layers: int) -> None:
    ours, theirs, _forward, _backward = KINDS[kind]
    layer, twin = ours(D, H, layers=layers), theirs(D, H, num_layers=layers)
    net = Sequential(layer, rng=np.random.default_rng(1), input_gradient=True)
    give_weights(twin, layer)
    x, dy = noise(T, N, D), noise(T, N, H, seed=2)
    their_x = torch.from_numpy(x).requires_grad_()
    their_y, _last = twin(their_x)
    close(net.forward(x), their_y, "states")
    their_y.backward(torch.from_numpy(dy))
    close(net.backward(dy), their_x.grad, "input gradient")
    for name, gradient, their_gradient in gradients(twin, layer):
        close(gradient, their_gradient, name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_first_state_and_its_gradient(kind: str) -> None:
    """The kernels themselves: in a layer only truncated backpropagation has a first state that is not zero."""
    ours, theirs, forward, backward = KINDS[kind]
    layer, twin = ours(D, H), theirs(D, H)
    Sequential(layer, rng=np.random.default_rng(1))
    give_weights(twin, layer)
    x, h0, c0, dh = noise(T, N, D), noise(N, H, seed=2), noise(N, H, seed=3), noise(T, N, H, seed=4)
    their_x, their_h0, their_c0 = (torch.from_numpy(a).requires_grad_() for a in (x, h0, c0))
    first = (their_h0[None], their_c0[None]) if kind == "lstm" else their_h0[None]
    their_h, _last = twin(their_x, first)
    their_h.backward(torch.from_numpy(dh))

    arrays = Arrays(layer, x=x.reshape(T * N, D), h0=h0, c0=c0, dh=dh.reshape(T * N, H))
    arrays.call(forward)
    arrays.call(backward)
    close(arrays["h"].reshape(T, N, H), their_h, "h")
    close(arrays["dx"].reshape(T, N, D), their_x.grad, "dx")
    close(arrays["dh0"], their_h0.grad, "dh0")
    if kind == "lstm":
        close(arrays["dc0"], their_c0.grad, "dc0")


class Arrays(dict[str, np.ndarray]):
    """Arguments by name, for one recurrent kernel; what is not given is zeros."""

    def __init__(self, layer: Recurrent, **given: np.ndarray) -> None:
        super().__init__(given)
        w, u, *biases = layer.values[0]
        self |= {"w": w, "u": u, "dw": np.zeros_like(w), "du": np.zeros_like(u), "ut": np.zeros_like(u.T.copy())}
        for name, bias in zip("bv", biases, strict=False):
            self[name], self[f"d{name}"] = bias, np.zeros_like(bias)
        for name in ("h", "c", "e", "s"):
            self[name] = np.zeros((T * N, H), np.float32)
        for name in ("gates", "q", "da", "dp", "dq"):
            self[name] = np.zeros((T * N, w.shape[1]), np.float32)
        for name in ("x", "h0", "c0"):
            self[f"d{name}"] = np.zeros_like(self[name])

    def call(self, kernel: Kernel) -> None:
        kernel(*(self[name] for name in argument_names(kernel.py_func)))


@pytest.mark.parametrize("kind", KINDS)
def test_twenty_steps(kind: str) -> None:
    """Adam on our one bias and on their first: their second one is held at zero."""
    ours, theirs, _forward, _backward = KINDS[kind]
    layer = ours(D, H, layers=2)
    net = Sequential(layer, Dense(H, 1), rng=np.random.default_rng(1))
    twin, their_dense = theirs(D, H, num_layers=2), nn.Linear(H, 1)
    give_weights(twin, layer)
    with torch.no_grad():
        for parameter, value in zip(their_dense.parameters(), (net.layers[1].w, net.layers[1].b), strict=True):
            parameter.copy_(torch.from_numpy(value.T))
    learned = [p for weights in twin.all_weights for p in weights[: 2 + layer.biases]]
    loss, opt = MSE(), Adam(net)
    their_opt = torch.optim.Adam([*learned, *their_dense.parameters()], lr=0.01)
    x, t = noise(T, N, D), noise(T, N, 1, seed=2)
    for _step in range(20):
        value = loss(net.forward(x), t)
        net.backward(loss.grad)
        opt.step(lr=0.01)
        their_loss = nn.functional.mse_loss(their_dense(twin(torch.from_numpy(x))[0]), torch.from_numpy(t))
        their_opt.zero_grad()
        their_loss.backward()
        their_opt.step()
        assert value == pytest.approx(their_loss.item(), rel=1e-4)


def test_an_embedding_before_a_recurrent_layer_and_its_last_step() -> None:
    rng = np.random.default_rng(1)
    tokens, t = rng.integers(0, 11, (T, N)).astype(np.int32), rng.integers(0, 3, N).astype(np.int32)
    embedding, layer, dense = Embedding(11, D), GRU(D, H), Dense(H, 3)
    net, loss = Sequential(embedding, layer, Last(), dense, rng=rng), SoftmaxCrossEntropy()
    table, twin, their_dense = nn.Embedding(11, D), nn.GRU(D, H), nn.Linear(H, 3)
    give_weights(twin, layer)
    with torch.no_grad():
        table.weight.copy_(torch.from_numpy(embedding.w))
        their_dense.weight.copy_(torch.from_numpy(dense.w.T))
        their_dense.bias.copy_(torch.from_numpy(dense.b))
    their_y = their_dense(twin(table(torch.from_numpy(tokens.astype(np.int64))))[0][-1])
    their_loss = nn.functional.cross_entropy(their_y, torch.from_numpy(t.astype(np.int64)))
    their_loss.backward()
    assert loss(net.forward(tokens), t) == pytest.approx(their_loss.item(), rel=1e-5)
    net.backward(loss.grad)
    close(embedding.dw, table.weight.grad, "table")
    for name, gradient, their_gradient in gradients(twin, layer):
        close(gradient, their_gradient, name)
