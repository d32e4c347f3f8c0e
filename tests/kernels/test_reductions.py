"""Reductions, classes and counts: by hand, and with ties, NaN and infinity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dltutor.kernels.accuracy import accuracy_forward
from dltutor.kernels.argmax import argmax_forward
from dltutor.kernels.max import max_first_forward, max_last_backward, max_last_forward
from dltutor.kernels.mean import mean_first_forward
from dltutor.kernels.one_hot import one_hot_forward
from dltutor.kernels.sum import sum_first_forward, sum_last_forward

NAN, INF = np.nan, np.inf


def f32(*values: Any) -> np.ndarray:
    return np.array(values, np.float32)


def places(*rows: Any) -> list[int]:
    x, k = f32(*rows), np.empty(len(rows), np.int32)
    argmax_forward(x, k)
    return k.tolist()


def test_sums_by_hand() -> None:
    x, rows, columns = f32([1, 2, 3], [4, 5, 6]), np.empty(2, np.float32), np.empty(3, np.float32)
    sum_last_forward(x, rows)
    sum_first_forward(x, columns)
    assert (rows.tolist(), columns.tolist()) == ([6, 15], [5, 7, 9])


def test_of_no_rows_the_sum_and_the_mean_are_zero() -> None:
    empty, columns = np.empty((0, 3), np.float32), f32(NAN, NAN, NAN)
    sum_first_forward(empty, columns)
    assert columns.tolist() == [0, 0, 0]
    mean_first_forward(empty, columns)
    assert columns.tolist() == [0, 0, 0]


def test_argmax_takes_the_first_of_equal_numbers_and_nan_before_all() -> None:
    rows = f32([1, 3, 3, 2], [NAN, 9, NAN, 1], [1, NAN, INF, NAN], [-INF, -INF, -INF, -INF], [-1, -2, -3, 0])
    assert places(*rows) == np.argmax(rows, axis=1).tolist() == [1, 0, 1, 0, 3]


@pytest.mark.parametrize("kernel", [max_last_forward, max_first_forward])
def test_the_largest_number_and_its_place(kernel: Any) -> None:
    x = f32([1, NAN, 2], [NAN, 5, NAN], [-INF, -INF, -INF])
    y, k = np.empty(3, np.float32), np.empty(3, np.int32)
    last = kernel is max_last_forward
    kernel(x if last else np.ascontiguousarray(x.T), y, k)
    np.testing.assert_array_equal(y, f32(NAN, NAN, -INF))
    assert k.tolist() == [1, 0, 0]


def test_of_equal_numbers_the_first_gets_the_gradient() -> None:
    x, y, k, dx = f32([7, 7]), np.empty(1, np.float32), np.empty(1, np.int32), np.zeros((1, 2), np.float32)
    max_last_forward(x, y, k)
    max_last_backward(f32(3), k, dx)
    assert dx.tolist() == [[3, 0]]


def test_one_hot_by_hand() -> None:
    y = np.empty((3, 2), np.float32)
    one_hot_forward(np.array([1, 0, 2], np.int32), y)
    assert y.tolist() == [[0, 1], [1, 0], [0, 0]]


def test_accuracy_counts() -> None:
    right = np.empty(1, np.int32)
    accuracy_forward(f32([1, 2], [3, 0], [0, 0], [NAN, 5]), np.array([1, 1, 0, 1], np.int32), right)
    assert right[0] == 2
    accuracy_forward(np.empty((0, 2), np.float32), np.empty(0, np.int32), right)
    assert right[0] == 0
