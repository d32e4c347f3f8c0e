"""Fills the holes that loading leaves in a process's memory, before it forks.

A child puts its objects wherever there is a free place, also on pages that it shares with its parent; each of these is
then copied for it. With no place free there, its objects lie close together on pages of its own: some MB less, of each
child.
"""

from __future__ import annotations

import ctypes
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

SIZES = range(512, 32, -16)  # bytes: Python keeps objects of one such size together, and larger ones elsewhere
HEADER = 33  # bytes of an object of no bytes
MOST = 300_000  # objects of one size

Ranges = list[tuple[int, int]]


def fill() -> list[bytes]:
    """What fills them; to be kept."""
    with suppress(OSError):
        known = mapped()
        filling = [piece for size in SIZES for piece in islice(pieces(size, known), MOST)]
        ctypes.CDLL(None).malloc_trim(0)  # the holes between larger objects go back to the system
        return filling
    return []


def pieces(size: int, known: Ranges) -> Iterator[bytes]:
    """Objects of this size, until one lies where there was no memory before."""
    while lies_in(id(piece := bytes(size - HEADER)), known):
        yield piece


def mapped() -> Ranges:
    """The addresses that this process has memory at, in their order."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    ends = (line.split(maxsplit=1)[0].split("-") for line in lines)
    return [(int(begin, 16), int(end, 16)) for begin, end in ends]


def lies_in(address: int, ranges: Ranges) -> bool:
    place = bisect_right(ranges, (address, 1 << 64)) - 1
    return place >= 0 and address < ranges[place][1]
