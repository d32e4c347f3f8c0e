"""What a lab yields: one Tick a step, when all there is to see of the step is there and nothing is changed yet.

    def lab(knobs, rng):                            # top to bottom: data, model, loop
        ...
        while True:
            x, t = data.batch(knobs.batch, rng)
            value = loss(net.forward(x), t)
            net.backward(loss.grad)
            yield Tick(loss=value, net=net, pictures=lambda: {...})
            optimiser.step(knobs.lr)                # read each step: a live knob needs no restart

Tick number n (counted from 0) shows the model after n updates, with the gradients of the next; number 0 is untrained.
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
