"""Random numbers from a counter: number i of a step is a function of the seed, the step and i alone.

    words      r[0..3] = philox(counter = (block, 0, step low, step high), key = (seed low, seed high))
               ten rounds of (c0, c1, c2, c3) <- (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0)),
               hi and lo the halves of a product of 64 bits; after each, k0 <- k0 + W0 and k1 <- k1 + W1
    uniform    x = (r >> 8) / 2^24, from 0 up to, not including, 1
    Bernoulli  x = 1 where the uniform number is less than keep, otherwise 0
    normal     x[i] = sqrt(-2 ln(1 - u)) cos(2 pi v) and x[i+1] = sqrt(-2 ln(1 - u)) sin(2 pi v) for even i,
               u and v uniform numbers i and i+1

There is nothing to hand on from one number to the next, so any of them can be made by any thread, in any order, and
made again where it is needed twice. A stream's whole state is its `key`: a kernel that draws is followed, or preceded,
by `random_advance`, which moves the key on to numbers never seen; or `random_take` does it and says which key was next.

Shapes   key taken (4,): seed low, seed high, step low, step high; words x any number of elements, flat, up to 2^34.
Dtypes   key taken words uint32; x float32, or float64 with the same values.
Writes   words, x and taken overwritten; the step in key moved on.
Keeps    nothing: the same key gives the same numbers.
Cost     25 integer operations a number; a normal one takes half a logarithm, half a root and a cosine as well.
Exact    words, uniform and Bernoulli numbers are the same bits on every device; normal ones agree to 4 units in the
         last place, and are within 3e-7 of the formula, relative.
Limits   u has 24 bits, so no normal number is beyond 5.77; of the true ones, 1 in 10^8 is.
Source   Salmon, Moraes, Dror, Shaw 2011, doi:10.1145/2063384.2063405 (Philox4x32-10);
         Box, Muller 1958, doi:10.1214/aoms/1177706645.
Lesson   09-overfitting (dropout), 16-vae, 17-gan
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltutor.kernels.compile import (
    HALF,
    ONE,
    TWO,
    ZERO,
    Number,
    Uint32Vector,
    Vector,
    cuda,
    cuda_kernel,
    kernel,
    scalar,
)
from dltutor.kernels.elementary import log

Word = Any  # uint32. Numba makes 64 bits of a sum or product of two, so each is cut back

NONE, NEXT, BYTE = np.uint32(0), np.uint32(1), np.uint32(8)
M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
ROUNDS = 10
UPPER_HALF = np.uint64(32)

QUARTER_TURN = np.uint32(2**30)
QUARTER = np.float32(0.25)
OF_24_BITS = np.float32(2**-24)
S1, S3, S5, S7, S9, S11, S13 = (  # the series of sin(2 pi x)
    np.float32((-1) ** (n // 2) * (2 * math.pi) ** n / math.factorial(n)) for n in (1, 3, 5, 7, 9, 11, 13)
)


def first_key(seed: int) -> NDArray[np.uint32]:
    """The state of the stream that this seed, from 0 to 2^64 - 1, begins."""
    return np.array([seed & 0xFFFFFFFF, seed >> 32, 0, 0], np.uint32)


# ---------------------------------------------------------------- reference


def philox_reference(counter: NDArray[Any], key: NDArray[Any]) -> NDArray[Any]:
    """Four words of 32 bits for each row (c0, c1, c2, c3), in uint64."""
    low = np.uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = counter.astype(np.uint64).T
    k0, k1 = key.astype(np.uint64)
    for _round in range(ROUNDS):
        a, b = c0 * M0, c2 * M1
        c0, c1, c2, c3 = b >> UPPER_HALF ^ c1 ^ k0, b & low, a >> UPPER_HALF ^ c3 ^ k1, a & low
        k0, k1 = k0 + np.uint64(W0) & low, k1 + np.uint64(W1) & low
    return np.stack([c0, c1, c2, c3], axis=1)


def random_bits_reference(key: Uint32Vector, n: int) -> NDArray[Any]:
    blocks = -(-n // 4)
    counter = np.zeros((blocks, 4), np.uint64)
    counter[:, 0], counter[:, 2:] = np.arange(blocks), key[2:]
    return philox_reference(counter, key[:2]).ravel()[:n].astype(np.uint32)


def random_uniform_reference(key: Uint32Vector, n: int) -> Vector:
    return (random_bits_reference(key, n) >> BYTE) / 2**24


def random_bernoulli_reference(key: Uint32Vector, keep: float, n: int) -> Vector:
    return (random_uniform_reference(key, n) < np.float32(keep)).astype(float)


def random_normal_reference(key: Uint32Vector, n: int) -> Vector:
    u, v = random_uniform_reference(key, n + n % 2).reshape(-1, 2).T
    radius, angle = np.sqrt(-2 * np.log(1 - u)), 2 * np.pi * v
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:n]


# ---------------------------------------------------------------- for kernels that draw, on either device


@scalar
def philox(c0: Word, c1: Word, c2: Word, c3: Word, k0: Word, k1: Word) -> tuple[Word, Word, Word, Word]:
    """Four random words for this counter and this key."""
    for _round in range(ROUNDS):
        a, b = np.uint64(c0) * M0, np.uint64(c2) * M1
        c0 = np.uint32(np.uint32(b >> UPPER_HALF) ^ c1 ^ k0)
        c2 = np.uint32(np.uint32(a >> UPPER_HALF) ^ c3 ^ k1)
        c1, c3 = np.uint32(b), np.uint32(a)
        k0, k1 = np.uint32(k0 + W0), np.uint32(k1 + W1)
    return c0, c1, c2, c3


@scalar
def word(i: Number, seed0: Word, seed1: Word, step0: Word, step1: Word) -> Word:
    """Random word i of a stream: makes four and takes one."""
    a, b, c, d = philox(np.uint32(i // 4), NONE, step0, step1, seed0, seed1)
    j = i % 4
    return (a if j == 0 else b) if j < 2 else (c if j == 2 else d)


@scalar
def uniform(r: Word) -> Number:
    """From 0 up to, not including, 1: one of 2^24 values, all alike."""
    return np.float32(np.int32(r >> BYTE)) * OF_24_BITS


@scalar
def normal(r: Word, s: Word) -> Number:
    """A standard normal number from two words."""
    # cos(2 pi v) = sin(2 pi x), x = |v - 1/2| - 1/4
    # x is exact, and small enough for a short series
    x = abs(uniform(s) - HALF) - QUARTER
    q = x * x
    tail = S5 + q * (S7 + q * (S9 + q * (S11 + q * S13)))
    cosine = x * (S1 + q * (S3 + q * tail))
    return math.sqrt(-TWO * log(ONE - uniform(r))) * cosine


# ---------------------------------------------------------------- CPU


@kernel
def random_advance(key: Uint32Vector) -> None:
    key[2] += NEXT
    if key[2] == NONE:
        key[3] += NEXT


@kernel
def random_take(key: Uint32Vector, taken: Uint32Vector) -> None:
    for i in range(4):
        taken[i] = key[i]
    key[2] += NEXT
    if key[2] == NONE:
        key[3] += NEXT


@kernel
def random_bits(key: Uint32Vector, words: Uint32Vector) -> None:
    k0, k1, s0, s1 = key[0], key[1], key[2], key[3]
    whole = words.size // 4
    for i in range(whole):
        a, b, c, d = philox(np.uint32(i), NONE, s0, s1, k0, k1)
        words[4 * i] = a
        words[4 * i + 1] = b
        words[4 * i + 2] = c
        words[4 * i + 3] = d
    for i in range(4 * whole, words.size):
        words[i] = word(i, k0, k1, s0, s1)


@kernel
def random_uniform(key: Uint32Vector, x: Vector) -> None:
    k0, k1, s0, s1 = key[0], key[1], key[2], key[3]
    whole = x.size // 4
    for i in range(whole):
        a, b, c, d = philox(np.uint32(i), NONE, s0, s1, k0, k1)
        x[4 * i] = uniform(a)
        x[4 * i + 1] = uniform(b)
        x[4 * i + 2] = uniform(c)
        x[4 * i + 3] = uniform(d)
    for i in range(4 * whole, x.size):
        x[i] = uniform(word(i, k0, k1, s0, s1))


@kernel
def random_bernoulli(
    key: Uint32Vector, keep: Number, x: Vector
) -> None:  # fmt: skip
    k0, k1, s0, s1 = key[0], key[1], key[2], key[3]
    whole = x.size // 4
    for i in range(whole):
        a, b, c, d = philox(np.uint32(i), NONE, s0, s1, k0, k1)
        x[4 * i] = ONE if uniform(a) < keep else ZERO
        x[4 * i + 1] = ONE if uniform(b) < keep else ZERO
        x[4 * i + 2] = ONE if uniform(c) < keep else ZERO
        x[4 * i + 3] = ONE if uniform(d) < keep else ZERO
    for i in range(4 * whole, x.size):
        r = word(i, k0, k1, s0, s1)
        x[i] = ONE if uniform(r) < keep else ZERO


@kernel
def random_normal(key: Uint32Vector, x: Vector) -> None:
    k0, k1, s0, s1 = key[0], key[1], key[2], key[3]
    whole = x.size // 4
    for i in range(whole):
        a, b, c, d = philox(np.uint32(i), NONE, s0, s1, k0, k1)
        x[4 * i] = normal(a, b)
        x[4 * i + 1] = normal(a, np.uint32(b - QUARTER_TURN))
        x[4 * i + 2] = normal(c, d)
        x[4 * i + 3] = normal(c, np.uint32(d - QUARTER_TURN))
    for i in range(4 * whole, x.size):
        j = i - i % 2  # the pair's first word
        turn = word(j + 1, k0, k1, s0, s1)
        if i > j:
            turn = np.uint32(turn - QUARTER_TURN)
        x[i] = normal(word(j, k0, k1, s0, s1), turn)


# ---------------------------------------------------------------- CUDA


@cuda_kernel(threads=1)
def random_advance_cuda(key: Uint32Vector) -> None:
    key[2] += NEXT
    if key[2] == NONE:
        key[3] += NEXT


@cuda_kernel(threads=1)
def random_take_cuda(key: Uint32Vector, taken: Uint32Vector) -> None:
    for i in range(4):
        taken[i] = key[i]
    key[2] += NEXT
    if key[2] == NONE:
        key[3] += NEXT


@cuda_kernel(threads=128, over="words")
def random_bits_cuda(key: Uint32Vector, words: Uint32Vector) -> None:
    """Four threads make the same four words; each takes one of them."""
    for i in range(cuda.grid(1), words.size, cuda.gridsize(1)):
        words[i] = word(i, key[0], key[1], key[2], key[3])


@cuda_kernel(threads=128, over="x")
def random_uniform_cuda(key: Uint32Vector, x: Vector) -> None:
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        x[i] = uniform(word(i, key[0], key[1], key[2], key[3]))


@cuda_kernel(threads=128, over="x")
def random_bernoulli_cuda(
    key: Uint32Vector, keep: Number, x: Vector
) -> None:  # fmt: skip
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        r = word(i, key[0], key[1], key[2], key[3])
        x[i] = ONE if uniform(r) < keep else ZERO


@cuda_kernel(threads=128, over="x")
def random_normal_cuda(key: Uint32Vector, x: Vector) -> None:
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        j = i - i % 2  # the pair's first word
        turn = word(j + 1, key[0], key[1], key[2], key[3])
        if i > j:
            turn = np.uint32(turn - QUARTER_TURN)
        x[i] = normal(word(j, key[0], key[1], key[2], key[3]), turn)
