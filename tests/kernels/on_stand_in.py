"""Trains a small network on the stand-in card, and tells as JSON what the driver was asked: `python on_stand_in.py`.

Then once more, while the driver refuses to record graphs.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "emulate"))
from stand_in import Card

import dltutor.kernels
from dltutor.kernels import device
from dltutor.kernels.compile import CudaKernel

STEPS = 8


def main() -> None:
    card = Card(cuda_kernels())
    result = {"cpu": [step() for step in [training("cpu")] for _ in range(STEPS)]}
    result |= on_card(card)
    result["changed"] = change_a_number(card)
    card.refuse_capture()
    result["refused"] = on_card(card)
    json.dump(result, sys.stdout)


def on_card(card: Card) -> dict[str, Any]:
    """The losses, and what the last step asked of the driver."""
    step = training("cuda")
    losses = [step() for _ in range(STEPS - 1)]
    card.forget()
    before = card.allocations
    losses.append(step())
    return card.told() | {"cuda": losses, "allocated": card.allocations - before}


def change_a_number(card: Card) -> dict[str, Any]:
    """Five kernels, the one in the middle with a number that changes once: what is launched before and after."""
    relu, sgd = (device.op(name) for name in ("relu_forward", "sgd_step"))
    x, y, p = (device.array(np.ones(3, np.float32)) for _ in range(3))
    graph = device.graph()
    graph.add(relu, x, y)
    graph.add(relu, y, x)
    step = graph.add(sgd, p, x, 1.0)
    graph.add(relu, p, y)
    graph.add(relu, y, y)
    told: dict[str, Any] = {}
    for when in ("first", "before", "after"):
        card.forget()
        if when == "after":
            step.set("lr", 0.5)
            device.copy(x, np.ones(3, np.float32))
        graph.replay()
        told[when] = card.told()
    return told | {"p": device.host(p).tolist()}


def cuda_kernels() -> list[CudaKernel]:
    names = [found.name for found in pkgutil.iter_modules(dltutor.kernels.__path__)]
    modules = [importlib.import_module(f"dltutor.kernels.{name}") for name in names]
    return list({v: 0 for module in modules for v in vars(module).values() if isinstance(v, CudaKernel)})


def training(name: str):
    """A function that does one step of training and returns the loss."""
    device.use(name)
    from dltutor.layers import Adam, Dense, ReLU, Sequential, SoftmaxCrossEntropy

    rng = np.random.default_rng(0)
    net = Sequential(Dense(5, 16), ReLU(), Dense(16, 3), rng=rng)
    x = rng.standard_normal((20, 5)).astype(np.float32)
    t = rng.integers(0, 3, 20).astype(np.int32)
    loss, optimiser = SoftmaxCrossEntropy(), Adam(net)

    def step() -> float:
        value = loss(net.forward(x), t)
        net.backward(loss.grad)
        optimiser.step(lr=0.01)
        return value

    return step


if __name__ == "__main__":
    main()
