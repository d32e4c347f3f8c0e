"""Whole training steps of the course's networks against the same step elsewhere.

Both sides do all of it: forward pass, loss, gradients of all parameters, Adam, and the loss read out as a number; with
the same shapes, batches and float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dltutor import layers as our
from dltutor.bench import rivals
from dltutor.bench.versus import Pair, Work

RATE = 1e-3  # of learning
DIGIT, LATENT = 64, 8  # pixels of a digit; numbers that an autoencoder squeezes it into
WIDTH, TOKENS, WORDS, HEADS = 64, 64, 64, 4  # of the GPT: width, length of a text, vocabulary, heads


def pairs(against: list[str], only: str = "") -> Iterator[Pair]:
    """Every step of the course with `only` in its name, against each opponent that has it."""
    for opponent in against:
        theirs = rivals.steps(opponent)
        for name, make in STEPS.items():
            if name in theirs and only in name:
                yield Pair(name, opponent, make(), theirs[name]())


def step(net: our.Sequential, loss: our.Loss, x: Any, t: Any) -> Work:
    """One step of training `net`, and its loss."""
    optimiser = our.Adam(net)

    def work() -> float:
        value = loss(net.forward(x), t)
        net.backward(loss.grad)
        optimiser.step(lr=RATE)
        return value

    return work


# ---------------------------------------------------------------- what goes in


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def grey(*shape: int) -> np.ndarray:
    """Numbers from 0 to 1, like those of an image."""
    return np.random.default_rng(0).random(shape, np.float32)


def labels(classes: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, classes, shape).astype(np.int32)


# ---------------------------------------------------------------- the networks


def tiny() -> Work:
    net = our.Sequential(our.Dense(2, 8), our.Tanh(), our.Dense(8, 8), our.Tanh(), our.Dense(8, 1))
    return step(net, our.MSE(), noise(10, 2), noise(10, 1))


def digits_mlp() -> Work:
    return step(_mlp(DIGIT), our.SoftmaxCrossEntropy(), noise(64, DIGIT), labels(10, 64))


def fashion_mlp() -> Work:
    return step(_mlp(784), our.SoftmaxCrossEntropy(), noise(128, 784), labels(10, 128))


def _mlp(inputs: int) -> our.Sequential:
    return our.Sequential(our.Dense(inputs, 128), our.ReLU(), our.Dense(128, 128), our.ReLU(), our.Dense(128, 10))


def fashion_cnn() -> Work:
    return step(_cnn(1, 28, (32, 64), 64), our.SoftmaxCrossEntropy(), noise(64, 28, 28, 1), labels(10, 64))


def digits_cnn() -> Work:
    return step(_cnn(1, 8, (16, 32), 0), our.SoftmaxCrossEntropy(), noise(64, 8, 8, 1), labels(10, 64))


def _cnn(channels: int, side: int, widths: tuple[int, ...], hidden: int) -> our.Sequential:
    layers: list[our.Layer] = []
    for width in widths:
        layers.append(our.ConvBlock(channels, width, 3, padding=1))  # convolution, ReLU, max pooling
        channels, side = width, side // 2
    inputs = channels * side**2
    head = [our.Dense(inputs, hidden), our.ReLU(), our.Dense(hidden, 10)] if hidden else [our.Dense(inputs, 10)]
    return our.Sequential(*layers, our.Flatten(), *head)


def rnn() -> Work:
    return _sequence(our.RNN(WIDTH, WIDTH), WIDTH, WIDTH)


def lstm() -> Work:
    return _sequence(our.LSTM(128, 128, layers=3), 128, 128)


def gru() -> Work:
    return _sequence(our.GRU(128, 128), 128, 128)


def _sequence(layer: our.Layer, inputs: int, hidden: int) -> Work:
    """A recurrent layer, and a dense one on all of its 32 outputs."""
    net = our.Sequential(layer, our.Dense(hidden, 1))
    return step(net, our.MSE(), noise(32, 32, inputs), noise(32, 32, 1))


def autoencoder() -> Work:
    encoder = our.Dense(DIGIT, 32), our.ReLU(), our.Dense(32, LATENT)
    decoder = our.Dense(LATENT, 32), our.ReLU(), our.Dense(32, DIGIT)
    x = grey(64, DIGIT)
    return step(our.Sequential(*encoder, *decoder), our.MSE(), x, x)


def vae() -> Work:
    latent = our.GaussianSample(beta=1.0)
    encoder = our.Dense(DIGIT, 128), our.ReLU(), our.Dense(128, 2 * LATENT)
    decoder = our.Dense(LATENT, 128), our.ReLU(), our.Dense(128, DIGIT)
    x = grey(64, DIGIT)
    train = step(our.Sequential(*encoder, latent, *decoder), our.BCEWithLogits(), x, x)
    return lambda: train() + latent.kl  # type: ignore[operator]


def dcgan() -> Work:
    """The discriminator on a real and a generated batch, then the generator."""
    generator, critic = _generator(), _discriminator()
    loss, of_generator, of_critic = our.BCEWithLogits(), our.Adam(generator), our.Adam(critic)
    real, z = grey(64, 8, 8, 1), noise(64, 32)
    true, false = np.ones((64, 1), np.float32), np.zeros((64, 1), np.float32)

    def judge(images: Any, t: Any) -> tuple[float, Any]:
        value = loss(critic.forward(images), t)
        return value, critic.backward(loss.grad)

    def work() -> float:
        fake = generator.forward(z)
        told = judge(real, true)[0] + judge(fake, false)[0]
        of_critic.step(lr=RATE)
        fooled, by_images = judge(fake, true)
        critic.clear_gradients()
        generator.backward(by_images)
        of_generator.step(lr=RATE)
        return told + fooled

    return work


def _generator() -> our.Sequential:
    return our.Sequential(
        our.Dense(32, 4 * 4 * 32), our.Reshape(4, 4, 32), our.BatchNorm(32), our.ReLU(),
        our.ConvTranspose2d(32, 16, 4, stride=2, padding=1), our.BatchNorm(16), our.ReLU(),
        our.Conv2d(16, 1, 3, padding=1), our.Sigmoid(),
    )  # fmt: skip


def _discriminator() -> our.Sequential:
    return our.Sequential(
        our.Conv2d(1, 16, 4, stride=2, padding=1), our.LeakyReLU(0.2),
        our.Conv2d(16, 32, 4, stride=2, padding=1), our.BatchNorm(32), our.LeakyReLU(0.2),
        our.Flatten(), our.Dense(2 * 2 * 32, 1), input_gradient=True,
    )  # fmt: skip


def gpt() -> Work:
    blocks = [our.TransformerBlock(WIDTH, HEADS) for _layer in range(2)]
    net = our.Sequential(
        our.Embedding(WORDS, WIDTH),
        our.Positions(TOKENS, WIDTH),
        *blocks,
        our.LayerNorm(WIDTH),
        our.Dense(WIDTH, WORDS),
    )
    return step(net, our.SoftmaxCrossEntropy(), labels(WORDS, 16, TOKENS), labels(WORDS, 16, TOKENS))


STEPS: dict[str, Callable[[], Work]] = {
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
