"""What keeps a network from learning its training data by heart: dropout, and penalties on large weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltutor.i18n import _
from dltutor.kernels import device
from dltutor.kernels.random import first_key
from dltutor.layers.network import Layer, Sequential
from dltutor.layers.optimisers import below_one
from dltutor.layers.tape import Tape, Value


class Dropout(Layer):
    """In training, leaves out each number with probability `rate`, which may change between steps; else y = x."""

    may_stand_first = True

    def __init__(self, rate: float = 0.5) -> None:
        self._keep = device.zeros((1,))
        self._key = device.zeros((4,), np.uint32)
        self.rate = rate

    @property
    def rate(self) -> float:
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._rate = below_one(_("dropout rate"), rate)
        device.copy(self._keep, np.array([1 - rate], np.float32))

    def name(self) -> str:
        return _("dropout")

    def first_values(self, rng: np.random.Generator, before_relu: bool) -> list[NDArray[Any]]:
        """No parameters, but a random stream: the network's generator seeds it."""
        device.copy(self._key, first_key(int(rng.integers(2**63))))
        return []

    def record(self, tape: Tape, x: Value) -> Value:
        if not tape.training:
            return x
        y = tape.value(x.shape, _("output"))
        key = tape.array((4,), np.uint32)  # of this pass: other shapes of input draw from the same stream
        tape.run("random.py:random_take", self._key, key)
        tape.run("dropout_forward", x.flat.data, key, self._keep, y.flat.data)
        tape.undo("dropout_backward", y.flat.grad, key, self._keep, x.flat.grad)
        return y


class Penalty:
    """Makes large weights cost something; biases are free.

        penalty = L2(net)
        value = loss(net.forward(x), t) + penalty(strength=0.001)
        net.backward(loss.grad)

    A call adds the penalty's derivative to the gradients of the weights, and returns the penalty.
    """

    operation = ""

    def __init__(self, net: Sequential) -> None:
        self._value = device.zeros((1,))
        self._graph = device.graph()
        self._graph.add(device.op("clear.py:clear"), self._value)
        self.launches: list[Any] = []
        for _name, w, dw in net.parameters():
            if w.ndim > 1:
                self._add(w.reshape(w.size), dw.reshape(w.size))

    def _add(self, w: Any, dw: Any) -> None:
        forward, backward = (device.op(f"penalty.py:{self.operation}_{way}") for way in ("forward", "backward"))
        self.launches.append(self._graph.add(forward, w, 0.0, self._value))
        self.launches.append(self._graph.add(backward, w, 0.0, dw))

    def __call__(self, strength: float) -> float:
        for launch in self.launches:
            launch.set("strength", strength)
        self._graph.replay()
        return float(device.host(self._value)[0])


class L1(Penalty):
    """strength sum |w|"""

    operation = "l1"


class L2(Penalty):
    """strength / 2 sum w^2"""

    operation = "l2"
