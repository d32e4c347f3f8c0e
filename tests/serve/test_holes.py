"""Memory of children: what they make lies together, and what they share stays shared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="asks Linux's /proc")

PROGRAM = """
import gc, os, sys
from dltutor.serve import holes
from dltutor.serve.health import private_bytes

loaded = [bytes(100) for number in range(200_000)]
del loaded[::2]  # a hole beside each that stays
gc.collect()
filling = holes.fill() if sys.argv[1] == "fill" else []
gc.freeze()
read, write = os.pipe()
if not os.fork():
    before = private_bytes(os.getpid())
    made = [bytes(100) for number in range(20_000)]
    os.write(write, str(private_bytes(os.getpid()) - before).encode())
    os._exit(0)
os.wait()
print(os.read(read, 100).decode())
"""


def taken(how: str) -> int:
    """Bytes that a child has for itself once it has made 20,000 objects of 133."""
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_what_a_child_makes_lies_together():
    scattered, together = taken("leave"), taken("fill")
    assert together < 0.75 * scattered
    assert together < 1.5 * 20_000 * 144
