"""Single kernels of the course against PyTorch's and NumPy's, at sizes of the course."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dltutor.bench.steps import labels, noise
from dltutor.bench.versus import Pair, Work
from dltutor.kernels.compile import Kernel, resolve
from dltutor.kernels.launch import Graph

MATRICES = (256, 512, 1024)  # sides of the matrices that are multiplied
ROWS, COLUMNS = 1024, 64  # tokens and width of the GPT
IMAGES = 64, 14, 14, 32  # what the second convolution of lesson 11 takes


def pairs(against: list[str], only: str = "") -> Iterator[Pair]:
    """Every kernel with `only` in its name, against each opponent that has it."""
    makers = {"numpy": _against_numpy, "torch": _against_torch}
    for opponent in against:
        for name, make in makers[opponent]().items() if opponent in makers else ():
            if only in name:
                yield Pair(name, opponent, *make())


def launch(where: str, *arguments: Any) -> Work:
    """A kernel bound to its arguments, as in a network."""
    graph, kernel = Graph(), resolve(f"dltutor/kernels/{where}")
    assert isinstance(kernel, Kernel)
    graph.add(kernel, *arguments)
    return graph.replay


Makers = dict[str, Callable[[], tuple[Work, Work]]]


def _against_numpy() -> Makers:
    """Matrix products: np.dot is OpenBLAS."""
    return {f"matmul {side}": lambda side=side: _product(side, _dot) for side in MATRICES} | {
        "matmul 512, a b^T": lambda: _transposed("nt", lambda a, b, c: lambda: np.dot(a, b.T, out=c)),
        "matmul 512, a^T b": lambda: _transposed("tn", lambda a, b, c: lambda: np.dot(a.T, b, out=c)),
        "matmul 512, a^T b^T": lambda: _transposed("tt", lambda a, b, c: lambda: np.dot(a.T, b.T, out=c)),
    }


def _dot(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Work:
    return lambda: np.dot(a, b, out=c)


def _product(side: int, theirs: Callable[..., Work]) -> tuple[Work, Work]:
    a, b, c = noise(side, side), noise(side, side), np.empty((side, side), np.float32)
    return launch("matmul.py:matmul_forward", a, b, c), theirs(a, b, c)


def _transposed(form: str, theirs: Callable[..., Work]) -> tuple[Work, Work]:
    """A batch of one."""
    a, b, c = noise(512, 512), noise(512, 512), np.empty((512, 512), np.float32)
    return launch(f"matmul_batched.py:matmul_{form}_forward", *(m[None] for m in (a, b, c))), theirs(a, b, c)


def _against_torch() -> Makers:
    import torch
    from torch.nn import functional

    x, rows = noise(ROWS * COLUMNS), noise(ROWS, COLUMNS)
    y, table = np.empty_like(x), np.empty_like(rows)
    tx, trows = torch.from_numpy(x), torch.from_numpy(rows)
    return {f"matmul {side}": lambda side=side: _product(side, _mm) for side in MATRICES} | {
        "tanh 65536": lambda: (launch("tanh.py:tanh_forward", x, y), lambda: torch.tanh(tx)),
        "sigmoid 65536": lambda: (launch("sigmoid.py:sigmoid_forward", x, y), lambda: torch.sigmoid(tx)),
        "ReLU 65536": lambda: (launch("relu.py:relu_forward", x, y), lambda: torch.relu(tx)),
        "GELU 65536": lambda: (launch("gelu.py:gelu_forward", x, y), lambda: functional.gelu(tx)),
        "softmax 1024 x 64": lambda: (
            launch("softmax.py:softmax_forward", rows, table),
            lambda: torch.softmax(trows, dim=1),
        ),
        "cross-entropy 1024 x 64": _cross_entropy,
        "convolution 64 x 14 x 14 x 32 to 64": _convolution,
        "Adam 100,000": _adam,
    }


def _mm(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Work:
    import torch

    ta, tb, tc = map(torch.from_numpy, (a, b, c))
    return lambda: torch.mm(ta, tb, out=tc)


def _cross_entropy() -> tuple[Work, Work]:
    """With its gradient."""
    import torch
    from torch.nn import functional

    from dltutor.layers import SoftmaxCrossEntropy

    z, t = noise(ROWS, COLUMNS), labels(COLUMNS, ROWS)
    tz, tt, loss = torch.from_numpy(z).requires_grad_(), torch.from_numpy(t.astype(np.int64)), SoftmaxCrossEntropy()
    return lambda: loss(z, t), lambda: torch.autograd.grad(functional.cross_entropy(tz, tt), tz)


def _convolution() -> tuple[Work, Work]:
    """Forward and backward, of 3 x 3 with padding."""
    import torch

    from dltutor import layers

    net = layers.Sequential(layers.Conv2d(32, 64, 3, padding=1), input_gradient=True)
    x, dy = noise(*IMAGES), noise(*IMAGES[:3], 64)
    module = torch.nn.Conv2d(32, 64, 3, padding=1)
    tx = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).requires_grad_()
    tdy = torch.from_numpy(dy.transpose(0, 3, 1, 2).copy())

    def ours() -> None:
        net.forward(x)
        net.backward(dy)

    return ours, lambda: torch.autograd.grad(module(tx), [tx, *module.parameters()], tdy)


def _adam() -> tuple[Work, Work]:
    import torch

    p, g, m, v = (noise(100_000) for _array in range(4))
    numbers = 0.001, 0.9, 0.999, 1e-8, 0.1, 0.001
    parameter = torch.nn.Parameter(torch.from_numpy(p.copy()))
    parameter.grad = torch.from_numpy(g.copy())
    gradient, step = g.copy(), launch("adam.py:adam_step", p, g, m, np.abs(v), *numbers)

    def ours() -> None:
        """A step spends the gradient: another one needs it again."""
        g[:] = gradient
        step()

    return ours, torch.optim.Adam([parameter]).step
