"""What a lab yields: one Tick a step, between looking at the loss and learning from it.

    def lab(knobs, rng):                            # top to bottom: data, model, loop
        ...
        while True:
            x, t = data.batch(knobs.batch, rng)
            yield Tick(loss=loss(net.forward(x), t), net=net, pictures=lambda: {...})
            net.backward(loss.grad)
            sgd(net, knobs.lr)

Tick number n (counted from 0) shows the model after n updates; number 0 is the untrained one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from dltutor.pictures import Picture


class Tensors(Protocol):
    """Anything that can name its arrays, in the order in which they are computed: a network."""

    def tensors(self) -> Iterable[tuple[str, Any]]: ...


class Tick:
    """One step of a run: its metrics (floats; None: not taken at this step), and how to draw it if anyone asks."""

    __slots__ = ("metrics", "net", "pictures")

    def __init__(
        self,
        net: Tensors | None = None,
        pictures: Callable[[], dict[str, Picture]] = dict,
        **metrics: float | None,
    ) -> None:
        self.net = net
        self.pictures = pictures
        self.metrics = metrics
