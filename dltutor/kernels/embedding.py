"""Embedding: a table with a row of learned numbers for each word.

    forward    y[n] = w[tokens[n]]
    backward   dw[v] += sum of dy[n] over all n with tokens[n] = v

The same as a dense layer whose input is 1 at the word's number and 0 elsewhere, without the multiplications by 0.

Shapes   tokens (N,), words of a vocabulary of V, 0 to V - 1; w dw (V, D); y dy (N, D). C-contiguous. N, V, D may be 0.
         A token outside of the vocabulary gives a row of NaN, and no gradient.
Dtypes   tokens int32; w, y, dw, dy all float32 or all float64.
Writes   y overwritten; dw added to, in the order of n: the same sum, to the bit, every time.
Keeps    tokens.
Cost     ND numbers copied forward, ND additions backward; on a graphics card VDN comparisons, too.
Source   Bengio, Ducharme, Vincent, Jauvin 2003, A Neural Probabilistic Language Model, JMLR 3.
Lesson   12-rnn, 14-attention, 22-embeddings
"""

from __future__ import annotations

import numpy as np

from dltutor.kernels.compile import ZERO, Labels, Matrix, cuda, cuda_kernel, kernel

NAN = np.float32(np.nan)


def embedding_reference(tokens: Labels, w: Matrix) -> Matrix:
    known = (tokens >= 0) & (tokens < len(w))
    y = np.full((len(tokens), w.shape[1]), np.nan)
    y[known] = w[tokens[known]]
    return y


def embedding_backward_reference(tokens: Labels, w: Matrix, dy: Matrix) -> Matrix:
    known = (tokens >= 0) & (tokens < len(w))
    dw = np.zeros_like(w)
    np.add.at(dw, tokens[known], dy[known])
    return dw


# ---------------------------------------------------------------- CPU


@kernel
def embedding_forward(tokens: Labels, w: Matrix, y: Matrix) -> None:
    N, D = y.shape
    for n in range(N):
        v = tokens[n]
        if 0 <= v < w.shape[0]:
            for d in range(D):
                y[n, d] = w[v, d]
        else:
            for d in range(D):
                y[n, d] = NAN


@kernel
def embedding_backward(tokens: Labels, dy: Matrix, dw: Matrix) -> None:
    N, D = dy.shape
    for n in range(N):
        v = tokens[n]
        if 0 <= v < dw.shape[0]:
            for d in range(D):
                # y[n, d] = w[v, d]
                dw[v, d] += dy[n, d]


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=128, over="y")
def embedding_forward_cuda(tokens: Labels, w: Matrix, y: Matrix) -> None:
    """One thread copies one number."""
    N, D = y.shape
    for i in range(cuda.grid(1), N * D, cuda.gridsize(1)):
        n, d = i // D, i % D
        v = tokens[n]
        known = 0 <= v < w.shape[0]
        y[n, d] = w[v, d] if known else NAN


@cuda_kernel(threads=128, over="dw")
def embedding_backward_cuda(tokens: Labels, dy: Matrix, dw: Matrix) -> None:
    """One thread looks for its word among all tokens.

    Threads that each took a token would have to wait for one another
    where a word occurs twice, and add in an order left to chance.
    """
    V, D = dw.shape
    N = tokens.size
    for i in range(cuda.grid(1), V * D, cuda.gridsize(1)):
        v, d = i // D, i % D
        total = ZERO
        n = 0
        while n < N:
            # y[n, d] = w[v, d]
            if tokens[n] == v:
                total += dy[n, d]
            n += 1
        dw[v, d] += total
