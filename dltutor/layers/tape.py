"""The tape: which kernels a network calls, written down once for each shape of input.

A layer does not call kernels; it records them. `run` adds one to the forward pass, `undo` one to the backward pass,
which takes them in reverse order. From then on a pass is the replay of that list, with nothing of Python between two
kernels. What is allocated, is allocated while recording.

    y = tape.value(x.shape, _("output"))
    tape.run("relu_forward", x.flat.data, y.flat.data)
    tape.undo("relu_backward", y.flat.data, y.flat.grad, x.flat.grad)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from dltutor.i18n import _
from dltutor.kernels import device

Array = Any  # of the device: NumPy's on the processor
Shape = tuple[int, ...]
KEPT = 8  # recordings of a network, or of a loss; a lab uses two or three


def keep_latest(kept: dict[Any, Any], place: Any, value: Any, most: int = KEPT) -> Any:
    """The value, kept at its place; of more than `most` values the one that was used longest ago goes."""
    kept.pop(place, None)
    kept[place] = value  # the one used last stands last
    if len(kept) > most:
        del kept[next(iter(kept))]
    return value


class Value:
    """Numbers on their way through a network, and `grad`, the derivative of the loss by them.

    `grad` is None on a tape that only predicts, and for whole numbers. It has no rows, (0, ...), where nobody asks for
    it: then kernels leave it out.
    """

    __slots__ = ("data", "grad")

    def __init__(self, data: Array, grad: Array = None) -> None:
        self.data, self.grad = data, grad

    @property
    def shape(self) -> Shape:
        return self.data.shape

    def reshape(self, *shape: int) -> Value:
        """The same numbers in another shape; -1 stands for what is left."""
        rest = math.prod(self.shape) // max(1, math.prod(size for size in shape if size >= 0))
        shape = tuple(rest if size < 0 else size for size in shape)
        if self.grad is None:
            return Value(self.data.reshape(shape))
        left_out = self.grad.size < self.data.size
        return Value(self.data.reshape(shape), self.grad.reshape((0, *shape[1:]) if left_out else shape))

    @property
    def flat(self) -> Value:
        return self.reshape(math.prod(self.shape))

    @property
    def rows(self) -> Value:
        """As a matrix: all axes but the last one are rows."""
        return self.reshape(math.prod(self.shape[:-1]), self.shape[-1])


class Tape:
    """One recording. With `training`, there is a backward pass, and layers behave as they do in training."""

    def __init__(self, training: bool = True) -> None:
        self.training = training
        self.scope = ""  # the layer that is recording, as the learner reads it
        self.named: list[tuple[str, Array, Array]] = []  # name, data, grad, in the order of calculation
        self.outputs: list[Array] = []  # of the layers, one after the other
        self._forward = device.graph()
        self._undo: list[tuple[Any, tuple[Any, ...]]] = []
        self._grads: list[Array] = []
        self._backward: Any = None

    # what a layer asks for

    def value(self, shape: Shape, label: str = "") -> Value:
        """New numbers, undefined until a kernel writes them; their gradient starts every backward pass at zero."""
        made = Value(device.empty(shape), device.empty(shape) if self.training else None)
        if self.training:
            self._grads.append(made.grad)
        if label:
            self.name(label, made.data, made.grad)
        return made

    def array(self, shape: Shape, dtype: Any = np.float32) -> Array:
        """Room for a kernel to work in; zeros at first."""
        return device.zeros(shape, dtype)

    def run(self, operation: str, *arguments: Any) -> Any:
        """Add a kernel to the forward pass: "dense_forward" stands in dense.py, others are named "file.py:function"."""
        return self._forward.add(device.op(operation), *arguments)

    def undo(self, operation: str, *arguments: Any) -> None:
        """Add a kernel to the backward pass, in front of those recorded before it."""
        if self.training:
            self._undo.append((device.op(operation), arguments))

    def name(self, label: str, data: Array, grad: Array = None) -> None:
        """Show an array under this name when somebody looks for the first bad number."""
        self.named.append((_("{layer}: {tensor}").format(layer=self.scope, tensor=label), data, grad))

    @contextmanager
    def layer(self, name: str) -> Iterator[None]:
        outside, self.scope = self.scope, name
        yield
        self.scope = outside

    # what a network asks for

    def input(self, shape: Shape, dtype: Any, with_grad: bool) -> Value:
        """The network's input. Without `with_grad` its gradient has no rows, and kernels leave it out."""
        made = Value(device.empty(shape, dtype))
        if self.training and dtype == np.float32:
            made.grad = device.empty(shape if with_grad else (0, *shape[1:]))
            self._grads.append(made.grad)
        self.named.append((_("input"), made.data, made.grad if with_grad else None))
        return made

    def forward(self) -> None:
        self._forward.replay()

    def backward(self, output: Value, dy: Array) -> None:
        """Add to the gradients of all parameters, given the derivative of the loss by the output."""
        if self._backward is None:
            self._backward = self._record_backward(output)
        device.copy(output.grad, dy)
        self._backward.replay()

    @property
    def went_back(self) -> bool:
        """Whether there has been a backward pass."""
        return self._backward is not None

    def _record_backward(self, output: Value) -> Any:
        graph = device.graph()
        start = device.address(output.grad)
        for grad in self._grads:
            if device.address(grad) != start:
                graph.add(device.op("clear.py:clear"), grad.reshape(grad.size))
        for kernel, arguments in reversed(self._undo):
            graph.add(kernel, *arguments)
        return graph
