"""Attention, a transformer's block and a whole small GPT are PyTorch's: outputs, attention maps and all gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dltutor.kernels.attention import attention_backward, attention_forward, attention_room
from dltutor.layers import MultiHeadAttention, Sequential, SoftmaxCrossEntropy, gpt

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional

SIZES = ((2, 5, 2, 3), (3, 64, 4, 16), (1, 33, 1, 20))  # samples, times, heads, columns of each


def floats(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_scaled_dot_product_attention(size: tuple[int, int, int, int], causal: bool) -> None:
    n, t, heads, d = size
    qkv, dy = floats(1, n, t, 3 * heads * d), floats(2, n, t, heads * d)
    p, ds = np.empty((2, n, heads, t, t), np.float32)
    y, dqkv, room = np.empty_like(dy), np.zeros_like(qkv), np.empty(attention_room(t, d), np.float32)
    attention_forward(qkv, int(causal), room, p, y)
    attention_backward(qkv, int(causal), p, dy, room, ds, dqkv)
    theirs = torch.from_numpy(qkv).requires_grad_()
    parts = theirs.view(n, t, 3, heads, d).permute(2, 0, 3, 1, 4)
    mixed = functional.scaled_dot_product_attention(*parts, is_causal=causal).transpose(1, 2).reshape(dy.shape)
    mixed.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(y, mixed.detach().numpy(), 1e-5, 2e-6)
    np.testing.assert_allclose(dqkv, theirs.grad.numpy(), 1e-5, 1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_attention(causal: bool) -> None:
    layer = MultiHeadAttention(12, 3, causal)
    net = Sequential(layer, rng=np.random.default_rng(3), input_gradient=True)
    twin = nn.MultiheadAttention(12, 3, batch_first=True)
    theirs = [twin.in_proj_weight, twin.in_proj_bias, twin.out_proj.weight, twin.out_proj.bias]
    copy_parameters(net, theirs)
    x, dy = floats(4, 2, 7, 12), floats(5, 2, 7, 12)
    their_x = torch.from_numpy(x).requires_grad_()
    mask = nn.Transformer.generate_square_subsequent_mask(7) if causal else None
    their_y, maps = twin(their_x, their_x, their_x, attn_mask=mask, average_attn_weights=False)
    their_y.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(net.forward(x), their_y.detach().numpy(), 1e-5, 1e-6)
    np.testing.assert_allclose(layer.maps(x.shape), maps.detach().numpy(), 1e-5, 1e-6)
    dx = net.backward(dy)
    assert dx is not None
    np.testing.assert_allclose(dx, their_x.grad.numpy(), 1e-4, 1e-5)
    compare_gradients(net, theirs)


def test_a_whole_gpt() -> None:
    """Logits, loss, and the gradient of every parameter."""
    words, times = 11, 9
    net = gpt(words, times, width=16, heads=2, blocks=2, rng=np.random.default_rng(6))
    twin = Gpt(words, times, width=16, heads=2, blocks=2)
    theirs = list(twin.parameters())
    copy_parameters(net, theirs)
    tokens, targets = np.random.default_rng(7).integers(0, words, (2, 4, times)).astype(np.int32)
    loss = SoftmaxCrossEntropy()
    their_loss = twin.loss(tokens, targets)
    their_loss.backward()
    value = loss(net.forward(tokens), targets)
    net.backward(loss.grad)
    np.testing.assert_allclose(net.predict(tokens), twin(torch.from_numpy(tokens).long()).detach().numpy(), 1e-4, 1e-5)
    assert value == pytest.approx(their_loss.item(), rel=1e-5)
    compare_gradients(net, theirs)


class Gpt(nn.Module):  # type: ignore[misc, name-defined]
    """Parameters in the order in which ours stand."""

    def __init__(self, words: int, times: int, width: int, heads: int, blocks: int) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Parameter(torch.zeros(times, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _block in range(blocks))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words)

    def parameters(self, recurse: bool = True) -> Any:
        yield from (self.words.weight, self.places)
        yield from self.blocks.parameters()
        yield from self.norm.parameters()
        yield from self.head.parameters()

    def forward(self, tokens: Any) -> Any:
        x = self.words(tokens) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    def loss(self, tokens: np.ndarray, targets: np.ndarray) -> Any:
        logits = self(torch.from_numpy(tokens).long())
        return functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).long().flatten())


class Block(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.heads = nn.LayerNorm(width), heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.think = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )

    def forward(self, x: Any) -> Any:
        n, t, width = x.shape
        parts = self.qkv(self.norm(x)).view(n, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, t, width))
        return x + self.think(x)


def copy_parameters(net: Sequential, theirs: list[Any]) -> None:
    """Dense weights are (in, out) here and (out, in) there; tables of words and places are alike."""
    with torch.no_grad():
        for parameter, (label, value, _gradient) in zip(theirs, net.parameters(), strict=True):
            parameter.copy_(torch.from_numpy(value if "table" in label else value.T))


def compare_gradients(net: Sequential, theirs: list[Any]) -> None:
    for parameter, (label, _value, gradient) in zip(theirs, net.parameters(), strict=True):
        ours = gradient if "table" in label else gradient.T
        np.testing.assert_allclose(ours, parameter.grad.numpy(), 1e-4, 1e-5, err_msg=label)
