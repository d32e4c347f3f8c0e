"""Optimisers: how parameters change by their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.kernels import device
from dltutor.layers.network import Sequential

PARTS = 4096  # of the sum that the gradient's norm is made of, at most: one for each thread of a card
NUMBERS_A_PART = 64


class Optimiser:
    """Changes all parameters of a network by their gradients, and sets the gradients back to zero.

    All parameters stand in one array, so a step is one kernel. With `weight_decay` there is another one before it, that
    adds weight_decay p to the gradient: the penalty weight_decay / 2 sum p^2 on every parameter.
    """

    operation = ""

    def __init__(self, net: Sequential, *state: str, weight_decay: float = 0.0, **numbers: float) -> None:
        """`state` names the running means that the kernel keeps; `numbers` are its other arguments behind lr."""
        p, g = net.values, net.gradients
        self.state = {name: device.zeros(p.shape) for name in state}
        self._graph = device.graph()
        if in_range("weight_decay", weight_decay):
            self._graph.add(device.op("penalty.py:l2_backward"), p, float(weight_decay), g)
        numbers = {name: float(number) for name, number in numbers.items()}
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

    def __init__(self, net: Sequential, weight_decay: float = 0.0) -> None:
        super().__init__(net, weight_decay=weight_decay)


class Momentum(Optimiser):
    """v <- beta v + g;  p <- p - lr v"""

    operation = "momentum"

    def __init__(self, net: Sequential, beta: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(net, "v", weight_decay=weight_decay, beta=below_one("beta", beta))


class Nesterov(Momentum):
    """v <- beta v + g;  p <- p - lr (g + beta v)"""

    operation = "nesterov"


class RMSProp(Optimiser):
    """v <- alpha v + (1 - alpha) g^2;  p <- p - lr g / (sqrt(v) + eps)"""

    operation = "rmsprop"

    def __init__(self, net: Sequential, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0) -> None:
        super().__init__(net, "v", weight_decay=weight_decay, alpha=below_one("alpha", alpha), eps=eps)


class Adam(Optimiser):
    """Momentum, with a step length of its own for every parameter: dltutor/kernels/adam.py."""

    operation = "adam"

    def __init__(
        self,
        net: Sequential,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **numbers: float,
    ) -> None:
        self.beta1, self.beta2 = below_one("beta1", beta1), below_one("beta2", beta2)
        numbers = {"beta1": beta1, "beta2": beta2, "eps": eps} | numbers | {"c1": 1.0, "c2": 1.0}
        super().__init__(net, "m", "v", weight_decay=weight_decay, **numbers)
        self.steps = 0

    def step(self, lr: float) -> None:
        self.steps += 1
        self.launch.set("c1", 1 - self.beta1**self.steps)
        self.launch.set("c2", 1 - self.beta2**self.steps)
        super().step(lr)


class AdamW(Adam):
    """Adam, with every parameter shrinking by lr weight_decay p beside it: dltutor/kernels/adamw.py."""

    operation = "adamw"

    def __init__(
        self,
        net: Sequential,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(net, beta1, beta2, eps, decay=in_range("weight_decay", weight_decay))


# ---------------------------------------------------------------- before a step


class ClipNorm:
    """Shortens a network's gradient, all parameters together, to at most `limit`; tells how long it was.

    clip = ClipNorm(net)
    norm = clip(limit=1.0)      # between backward and the optimiser's step
    """

    def __init__(self, net: Sequential) -> None:
        g = net.gradients
        parts = device.zeros((min(PARTS, 1 + g.size // NUMBERS_A_PART),))
        self._norm = device.zeros((1,))
        self._graph = device.graph()
        self.launch: Any = self._graph.add(device.op("clip.py:clip_norm"), g, 1.0, parts, self._norm)

    def __call__(self, limit: float) -> float:
        self.launch.set("limit", limit)
        self._graph.replay()
        return float(device.host(self._norm)[0])


class ClipValue:
    """Brings every number of a network's gradient to between -limit and limit."""

    def __init__(self, net: Sequential) -> None:
        self._graph = device.graph()
        self.launch: Any = self._graph.add(device.op("clip.py:clip_value"), net.gradients, 1.0)

    def __call__(self, limit: float) -> None:
        self.launch.set("limit", limit)
        self._graph.replay()


# ---------------------------------------------------------------- what numbers may be


def in_range(name: str, number: float, end: float = np.inf) -> float:
    """The number itself, if it goes from 0 up to, not including, `end`.

    Raises DltutorError where it does not.
    """
    if 0 <= number < end:
        return number
    hint = _("It is 0 or more.") if end == np.inf else _("It is 0 or more and less than {end}.").format(end=end)
    raise DltutorError(_("{name}={number} is not possible").format(name=name, number=number), hint)


def below_one(name: str, number: float) -> float:
    return in_range(name, number, 1)
