"""Optimisers: how parameters change by their gradients."""

from __future__ import annotations

from typing import Any

from dltutor.kernels import device
from dltutor.layers.network import Sequential


class Optimiser:
    """Changes all parameters of a network by their gradients, and sets the gradients back to zero.

    All parameters stand in one array, so a step is one kernel.
    """

    operation = ""

    def __init__(self, net: Sequential, *state: str, **numbers: float) -> None:
        """`state` names the running means that the kernel keeps; `numbers` are its other arguments behind lr."""
        p, g = net.values, net.gradients
        self.state = {name: device.zeros(p.shape) for name in state}
        self._graph = device.graph()
        self.launch: Any = self._graph.add(
            device.op(f"{self.operation}_step"), p, g, *self.state.values(), 0.0, *numbers.values()
        )

    def step(self, lr: float) -> None:
        """One step with learning rate `lr`."""
        self.launch.set("lr", lr)
        self._graph.replay()


class SGD(Optimiser):
    """p <- p - lr g"""

    operation = "sgd"


class Momentum(Optimiser):
    """v <- beta v + g;  p <- p - lr v"""

    operation = "momentum"

    def __init__(self, net: Sequential, beta: float = 0.9) -> None:
        super().__init__(net, "v", beta=beta)


class Adam(Optimiser):
    """Momentum, with a step length of its own for every parameter: dltutor/kernels/adam.py."""

    operation = "adam"

    def __init__(self, net: Sequential, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        super().__init__(net, "m", "v", beta1=beta1, beta2=beta2, eps=eps, c1=1.0, c2=1.0)
        self.beta1, self.beta2 = beta1, beta2
        self.steps = 0

    def step(self, lr: float) -> None:
        self.steps += 1
        self.launch.set("c1", 1 - self.beta1**self.steps)
        self.launch.set("c2", 1 - self.beta2**self.steps)
        super().step(lr)
