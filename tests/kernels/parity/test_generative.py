"""A VAE's sample and its divergence, and the gradient penalty with its second derivatives, are PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dltutor.kernels.random import first_key, random_normal_reference, random_uniform_reference
from dltutor.layers import (
    MSE,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Flatten,
    GaussianSample,
    GradientPenalty,
    LeakyReLU,
    ReLU,
    Reshape,
    Sequential,
    Tanh,
)

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional


def seed(rng: np.random.Generator) -> int:
    """What a layer draws from the network's generator for its stream."""
    return int(rng.integers(2**63))


def test_a_vae_has_pytorch_s_gradients() -> None:
    sample = GaussianSample(beta=0.3)
    net = Sequential(Dense(5, 6), sample, Dense(3, 4), rng=np.random.default_rng(1))
    first, second = nn.Linear(5, 6), nn.Linear(3, 4)
    parameters = [*first.parameters(), *second.parameters()]
    with torch.no_grad():
        for theirs, (_name, value, _gradient) in zip(parameters, net.parameters(), strict=True):
            theirs.copy_(torch.from_numpy(value.T))
    rng = np.random.default_rng(2)
    x, t = (rng.standard_normal((11, columns)).astype(np.float32) for columns in (5, 4))
    loss, key = MSE(), sample._key.copy()
    ours = loss(net.forward(x), t)
    net.backward(loss.grad)

    eps = torch.from_numpy(random_normal_reference(key, 33).reshape(11, 3).astype(np.float32))
    mu, log_variance = first(torch.from_numpy(x)).chunk(2, dim=1)
    kl = -0.5 * (1 + log_variance - mu**2 - log_variance.exp()).sum(dim=1).mean()
    theirs = functional.mse_loss(second(mu + (log_variance / 2).exp() * eps), torch.from_numpy(t))
    (theirs + 0.3 * kl).backward()
    assert ours == pytest.approx(theirs.item(), rel=1e-5)
    assert sample.kl == pytest.approx(kl.item(), rel=1e-5)
    for parameter, (name, _value, gradient) in zip(parameters, net.parameters(), strict=True):
        np.testing.assert_allclose(gradient.T, parameter.grad.numpy(), 1e-4, 1e-6, err_msg=name)


def dense(*between: Callable[[], Any]) -> list[Any]:
    return [Dense(6, 8), between[0](), Dense(8, 7), between[1](), Dense(7, 1)]


CRITICS: dict[str, tuple[tuple[int, ...], Callable[[], list[Any]]]] = {
    "linear": ((6,), lambda: [Dense(6, 1)]),
    "relu": ((6,), lambda: dense(ReLU, ReLU)),
    "leaky relu": ((6,), lambda: dense(lambda: LeakyReLU(0.2), lambda: LeakyReLU(0.2))),
    "tanh": ((6,), lambda: dense(Tanh, Tanh)),
    "tanh, then relu": ((6,), lambda: dense(Tanh, ReLU)),
    "relu, then tanh": ((6,), lambda: dense(ReLU, Tanh)),
    "tanh first": ((6,), lambda: [Tanh(), Dense(6, 5), Tanh(), Dense(5, 1)]),
    "convolutions": ((6, 6, 2), lambda: [
        Conv2d(2, 4, 3, stride=2, padding=1), LeakyReLU(0.2), Conv2d(4, 5, 2), Tanh(), Flatten(), Dense(20, 1),
    ]),
    "transposed": ((8,), lambda: [
        Reshape(2, 2, 2), ConvTranspose2d(2, 3, 3, stride=2, padding=1), Tanh(), Flatten(), Dense(27, 1),
    ]),
}  # fmt: skip


THEIRS: dict[type, Callable[..., Any]] = {
    ReLU: lambda layer, x: torch.relu(x),
    LeakyReLU: lambda layer, x: functional.leaky_relu(x, layer.slope),
    Tanh: lambda layer, x: torch.tanh(x),
    Flatten: lambda layer, x: x.flatten(1),
    Reshape: lambda layer, x: x.reshape(x.shape[0], *layer.shape),
    Dense: lambda layer, x, w, b: x @ w + b,
    Conv2d: lambda layer, x, w, b: convolve(functional.conv2d, layer, x, w, b),
    ConvTranspose2d: lambda layer, x, w, b: convolve(functional.conv_transpose2d, layer, x, w, b),
}


def convolve(function: Any, layer: Any, x: Any, w: Any, b: Any) -> Any:
    """PyTorch has the channels in front."""
    y = function(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), b, stride=layer.stride, padding=layer.padding)
    return y.permute(0, 2, 3, 1)


def their_score(net: Sequential, parameters: list[Any], x: Any) -> Any:
    """The critic's score in PyTorch, of parameters in our layout."""
    rest = iter(parameters)
    for layer in net.layers:
        x = THEIRS[type(layer)](layer, x, *(next(rest) for _shape in layer.shapes()))
    return x


@pytest.mark.parametrize("name", CRITICS)
def test_the_gradient_penalty_and_its_derivative(name: str) -> None:
    """autograd.grad(create_graph=True) differentiates PyTorch's own backward pass."""
    shape, layers = CRITICS[name]
    critic = Sequential(*layers(), rng=np.random.default_rng(1))
    rng = np.random.default_rng(2)
    for _label, value, _gradient in critic.parameters():
        value += 0.1 * rng.standard_normal(value.shape).astype(np.float32)  # biases, too
    real, fake = rng.standard_normal((2, 9, *shape)).astype(np.float32)
    ours = GradientPenalty(critic, weight=10, rng=np.random.default_rng(3))(real, fake)

    key = first_key(seed(np.random.default_rng(3)))
    u = random_uniform_reference(key, 9).reshape(9, *(1 for _ in shape))
    x = torch.from_numpy(u * real + (1 - u) * fake).requires_grad_()
    parameters = [torch.from_numpy(value.astype(float)).requires_grad_() for _label, value, _g in critic.parameters()]
    (slope,) = torch.autograd.grad(their_score(critic, parameters, x).sum(), x, create_graph=True)
    theirs = 10 * ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
    gradients = torch.autograd.grad(theirs, parameters, allow_unused=True)
    assert ours == pytest.approx(theirs.item(), rel=1e-5)
    for gradient, (label, _value, found) in zip(gradients, critic.parameters(), strict=True):
        wanted = np.zeros_like(found) if gradient is None else gradient.numpy()
        np.testing.assert_allclose(found, wanted, 1e-4, 1e-5, err_msg=label)
