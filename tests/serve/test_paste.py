"""Pastes are cut to a length that an application can take; all else passes as it came."""

from __future__ import annotations

import pytest

from dltutor.serve.paste import BEGIN, END, LONGEST, Pastes

TYPED = b"a\x1b[A\x1b\x1b[200" + BEGIN + b"def f():\n" + END + b"b" + BEGIN + END + b"\x1b"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
def test_what_is_short_passes_in_pieces_of_any_size(size: int) -> None:
    pastes = Pastes()
    for start in range(0, len(TYPED), size):
        piece = TYPED[start : start + size]
        assert pastes.shorten(piece) == piece  # a lone escape, too, is not held back
    assert not pastes.cut


@pytest.mark.parametrize("size", [1000, 1001, 4096, 1 << 20])
def test_t13_of_a_long_paste_the_beginning_arrives_and_the_keys_after_it(size: int) -> None:
    pastes = Pastes()
    typed = b"i" + BEGIN + b"x" * 300_000 + END + b"k"
    passed = b"".join(pastes.shorten(typed[start : start + size]) for start in range(0, len(typed), size))
    assert passed == b"i" + BEGIN + b"x" * LONGEST + END + b"k"
    assert pastes.cut


def test_the_end_of_a_long_paste_may_come_a_byte_at_a_time() -> None:
    pastes = Pastes()
    pastes.shorten(BEGIN + b"x" * 2 * LONGEST)
    pastes.cut = False  # it has been told
    assert b"".join(pastes.shorten(bytes([byte])) for byte in END + b"k") == END + b"k"
    assert not pastes.cut
