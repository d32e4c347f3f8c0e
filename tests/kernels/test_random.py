"""Random streams: the published words, the right distributions, and streams that do not know of each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dltutor.emulate.native import Native
from dltutor.kernels.compile import cuda_run_with
from dltutor.kernels.random import (
    first_key,
    philox_reference,
    random_advance,
    random_bernoulli,
    random_bits,
    random_normal,
    random_normal_cuda,
    random_take,
    random_uniform,
    random_uniform_cuda,
)

MANY = 400_000
PUBLISHED = (  # counter, key, words: Philox4x32-10 in the known answers that come with Random123
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)  # fmt: skip


def uniform(seed: int, step: int = 0, n: int = MANY) -> np.ndarray:
    key, x = first_key(seed), np.empty(n, np.float32)
    key[2] = step
    random_uniform(key, x)
    return x


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """In standard deviations of what it is by chance."""
    return abs(float(np.corrcoef(x, y)[0, 1])) * math.sqrt(len(x))


@pytest.mark.parametrize(("counter", "key", "words"), PUBLISHED)
def test_the_reference_makes_the_published_words(counter: tuple, key: tuple, words: tuple) -> None:
    assert philox_reference(np.array([counter]), np.array(key)).tolist() == [list(words)]


def test_the_kernel_makes_the_published_words_of_zero() -> None:
    words = np.empty(4, np.uint32)
    random_bits(np.zeros(4, np.uint32), words)
    assert tuple(words) == PUBLISHED[0][2]


def test_seed_and_step_stand_in_the_key_low_half_first() -> None:
    assert first_key(2**64 - 2).tolist() == [2**32 - 2, 2**32 - 1, 0, 0]
    key = np.array([1, 2, 2**32 - 1, 7], np.uint32)
    taken = np.empty(4, np.uint32)
    random_take(key, taken)
    assert (taken.tolist(), key.tolist()) == ([1, 2, 2**32 - 1, 7], [1, 2, 0, 8])
    random_advance(key)
    assert key.tolist() == [1, 2, 1, 8]


def test_a_number_does_not_depend_on_how_many_are_made() -> None:
    long = uniform(3, n=1000)
    for n in (1, 2, 3, 4, 5, 999):
        np.testing.assert_array_equal(uniform(3, n=n), long[:n])


def test_uniform_numbers_fill_the_interval_evenly() -> None:
    x = uniform(5)
    assert 0 <= x.min() < 1e-4
    assert 1 - 1e-4 < x.max() < 1
    assert abs(x.mean() - 0.5) < 4 * math.sqrt(1 / 12 / MANY)
    assert abs(x.var() - 1 / 12) < 4 * math.sqrt(1 / 180 / MANY)
    counts = np.bincount((x * 64).astype(int), minlength=64)
    chi_square = np.sum((counts - MANY / 64) ** 2) / (MANY / 64)
    assert abs(chi_square - 63) < 4 * math.sqrt(2 * 63)


def test_neighbours_steps_and_seeds_have_nothing_to_do_with_each_other() -> None:
    x = uniform(7)
    for lag in (1, 2, 3, 4, 8, 1024):
        assert correlation(x[:-lag], x[lag:]) < 4
    assert correlation(x, uniform(7, step=1)) < 4
    assert correlation(x, uniform(8)) < 4
    assert correlation(x, uniform(7 + 2**32)) < 4


def test_every_bit_is_one_half_of_the_time() -> None:
    words = np.empty(MANY, np.uint32)
    random_bits(first_key(9), words)
    for bit in range(32):
        share = float((words >> np.uint32(bit) & 1).mean())
        assert abs(share - 0.5) < 4.5 * 0.5 / math.sqrt(MANY)


def test_normal_numbers_have_the_moments_and_tails_of_the_bell_curve() -> None:
    x = np.empty(MANY, np.float32)
    random_normal(first_key(11), x)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(x.astype(float) ** power) - moment) < 4 * math.sqrt(variance / MANY)
    for sigmas in (1, 2, 3):
        share, wanted = np.mean(np.abs(x) > sigmas), math.erfc(sigmas / math.sqrt(2))
        assert abs(share - wanted) < 4 * math.sqrt(wanted / MANY)
    assert correlation(x[::2], x[1::2]) < 4
    assert correlation(x[::2] ** 2, x[1::2] ** 2) < 4
    assert correlation(x[:-4], x[4:]) < 4


def test_normal_numbers_are_finite_at_the_ends_of_what_they_are_made_of() -> None:
    """A million of them contain uniform numbers very near to 0 and to 1."""
    x = np.empty(1_000_000, np.float32)
    random_normal(first_key(13), x)
    assert np.isfinite(x).all()
    assert 4 < np.abs(x).max() < math.sqrt(2 * 24 * math.log(2))


def test_bernoulli_numbers_are_ones_as_often_as_asked() -> None:
    x = np.empty(MANY, np.float32)
    for keep in (0.0, 0.1, 0.5, 1.0):
        random_bernoulli(first_key(15), np.float32(keep), x)
        assert set(np.unique(x)) <= {0, 1}
        assert abs(x.mean() - keep) <= 4 * math.sqrt(keep * (1 - keep) / MANY)


def test_a_card_makes_the_same_numbers() -> None:
    """Uniform ones to the bit, normal ones to four units in the last place."""
    pytest.importorskip("numba_cuda")
    key, n = first_key(17), 4001
    ours, theirs = np.empty(n, np.float32), np.empty(n, np.float32)
    with cuda_run_with(Native()):
        random_uniform_cuda(key, theirs)
        random_uniform(key, ours)
        np.testing.assert_array_equal(ours, theirs)
        random_normal_cuda(key, theirs)
        random_normal(key, ours)
        np.testing.assert_array_max_ulp(ours, theirs, 4)
