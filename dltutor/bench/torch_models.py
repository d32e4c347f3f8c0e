"""PyTorch's side of the steps: nn modules in eager mode, or compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from dltutor.bench.steps import DIGIT, HEADS, LATENT, RATE, TOKENS, WIDTH, WORDS, grey, labels, noise
from dltutor.bench.versus import Work


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.int64) if array.dtype == np.int32 else array)


def step(compiled: bool, net: nn.Module, loss: Callable[..., Any], x: np.ndarray, t: np.ndarray) -> Work:
    """One step of training `net`, and its loss."""
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)

    def eager(x: torch.Tensor, t: torch.Tensor) -> Any:
        return loss(net(x), t)

    forward: Any = torch.compile(eager) if compiled else eager
    inputs, targets = tensor(x), tensor(t)

    def work() -> float:
        optimiser.zero_grad()
        value = forward(inputs, targets)
        value.backward()
        optimiser.step()
        return value.item()

    return work


def tiny(compiled: bool) -> Work:
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
    return step(compiled, net, functional.mse_loss, noise(10, 2), noise(10, 1))


def digits_mlp(compiled: bool) -> Work:
    return step(compiled, _mlp(DIGIT), functional.cross_entropy, noise(64, DIGIT), labels(10, 64))


def fashion_mlp(compiled: bool) -> Work:
    return step(compiled, _mlp(784), functional.cross_entropy, noise(128, 784), labels(10, 128))


def _mlp(inputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))


def fashion_cnn(compiled: bool) -> Work:
    return step(compiled, _cnn(1, 28, (32, 64), 64), functional.cross_entropy, noise(64, 1, 28, 28), labels(10, 64))


def digits_cnn(compiled: bool) -> Work:
    return step(compiled, _cnn(1, 8, (16, 32), 0), functional.cross_entropy, noise(64, 1, 8, 8), labels(10, 64))


def _cnn(channels: int, side: int, widths: tuple[int, ...], hidden: int) -> nn.Module:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels, side = width, side // 2
    inputs = channels * side**2
    head = [nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, 10)] if hidden else [nn.Linear(inputs, 10)]
    return nn.Sequential(*layers, nn.Flatten(), *head)


class Sequence(nn.Module):
    """A recurrent module, and a linear one on all of its outputs."""

    def __init__(self, recurrent: nn.Module, hidden: int) -> None:
        super().__init__()
        self.recurrent, self.head = recurrent, nn.Linear(hidden, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.recurrent(x)[0])


def rnn(compiled: bool) -> Work:
    return _sequence(compiled, nn.RNN(WIDTH, WIDTH), WIDTH, WIDTH)


def lstm(compiled: bool) -> Work:
    return _sequence(compiled, nn.LSTM(128, 128, num_layers=3), 128, 128)


def gru(compiled: bool) -> Work:
    return _sequence(compiled, nn.GRU(128, 128), 128, 128)


def _sequence(compiled: bool, module: nn.Module, inputs: int, hidden: int) -> Work:
    return step(compiled, Sequence(module, hidden), functional.mse_loss, noise(32, 32, inputs), noise(32, 32, 1))


def autoencoder(compiled: bool) -> Work:
    net = nn.Sequential(
        nn.Linear(DIGIT, 32), nn.ReLU(), nn.Linear(32, LATENT), nn.Linear(LATENT, 32), nn.ReLU(), nn.Linear(32, DIGIT)
    )
    x = grey(64, DIGIT)
    return step(compiled, net, functional.mse_loss, x, x)


class Vae(nn.Module):
    """The reconstruction's logits, and the divergence of the latent Gaussian from the standard one."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(DIGIT, 128), nn.ReLU(), nn.Linear(128, 2 * LATENT))
        self.decoder = nn.Sequential(nn.Linear(LATENT, 128), nn.ReLU(), nn.Linear(128, DIGIT))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum() / len(x)
        return self.decoder(z), kl


def vae(compiled: bool) -> Work:
    def loss(found: tuple[torch.Tensor, torch.Tensor], t: torch.Tensor) -> torch.Tensor:
        return functional.binary_cross_entropy_with_logits(found[0], t) + found[1]

    x = grey(64, DIGIT)
    return step(compiled, Vae(), loss, x, x)


def dcgan(compiled: bool) -> Work:
    """The discriminator on a real and a generated batch, then the generator."""
    generator, critic = _generator(), _discriminator()
    if compiled:
        generator, critic = torch.compile(generator), torch.compile(critic)
    of_generator, of_critic = (torch.optim.Adam(net.parameters(), lr=RATE) for net in (generator, critic))
    real, z, true, false = tensor(grey(64, 1, 8, 8)), tensor(noise(64, 32)), torch.ones(64, 1), torch.zeros(64, 1)
    loss = functional.binary_cross_entropy_with_logits

    def work() -> float:
        fake = generator(z)
        of_critic.zero_grad()
        told = loss(critic(real), true) + loss(critic(fake.detach()), false)
        told.backward()
        of_critic.step()
        of_generator.zero_grad()
        fooled = loss(critic(fake), true)
        fooled.backward()
        of_generator.step()
        return told.item() + fooled.item()

    return work


def _generator() -> Any:
    return nn.Sequential(
        nn.Linear(32, 4 * 4 * 32), nn.Unflatten(1, (32, 4, 4)), nn.BatchNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 1, 3, padding=1), nn.Sigmoid(),
    )  # fmt: skip


def _discriminator() -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.BatchNorm2d(32), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(2 * 2 * 32, 1),
    )  # fmt: skip


class Block(nn.Module):
    """A transformer's block that normalises first, with PyTorch's own fused attention."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)])
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(approximate="tanh"), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, t, d = x.shape
        q, k, v = self.qkv(self.norms[0](x)).view(n, t, 3, HEADS, d // HEADS).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, t, d))
        return x + self.mlp(self.norms[1](x))


class Gpt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Parameter(0.02 * torch.randn(TOKENS, WIDTH))
        self.blocks, self.norm = nn.Sequential(Block(), Block()), nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, WORDS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.blocks(self.words(x) + self.places)))


def gpt(compiled: bool) -> Work:
    def loss(y: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(y.view(-1, WORDS), t.view(-1))

    return step(compiled, Gpt(), loss, labels(WORDS, 16, TOKENS), labels(WORDS, 16, TOKENS))


STEPS: dict[str, Callable[[bool], Work]] = {
    "MLP 2-8-8-1, batch 10": tiny,
    "MLP 64-128-128-10, batch 64": digits_mlp,
    "MLP 784-128-128-10, batch 128": fashion_mlp,
    "CNN 8x8, 16-32-10, batch 64": digits_cnn,
    "CNN 28x28, 32-64-64-10, batch 64": fashion_cnn,
    "RNN 64, T 32, batch 32": rnn,
    "LSTM 3 x 128, T 32, batch 32": lstm,
    "GRU 128, T 32, batch 32": gru,
    "autoencoder 64-32-8-32-64, batch 64": autoencoder,
    "VAE 64-128-8-128-64, batch 64": vae,
    "DCGAN 8x8, batch 64": dcgan,
    "GPT 2 x 64, T 64, batch 16": gpt,
}
