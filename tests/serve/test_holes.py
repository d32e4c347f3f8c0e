"""Memory of children: what they make lies together, and what they share stays shared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dltutor.serve import holes

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
SHARING = """
import gc, os
from dltutor.serve import holes
from dltutor.serve.health import private_bytes

loaded = [str(number) for number in range(200_000)]
holes.outlive()
gc.freeze()
read, write = os.pipe()
if not os.fork():
    before = private_bytes(os.getpid())
    used = list(loaded)
    os.write(write, str(private_bytes(os.getpid()) - before).encode())
    os._exit(0)
os.wait()
print(os.read(read, 100).decode())
"""


def told(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_what_a_child_makes_lies_together():
    """It has made 20,000 objects of 133 bytes."""
    scattered, together = (int(told(PROGRAM, how)) for how in ("leave", "fill"))
    assert together < 0.75 * scattered
    assert together < 1.5 * 20_000 * 144


@pytest.mark.skipif(not holes.can_outlive(), reason="this Python counts the uses of all objects")
def test_what_a_child_uses_stays_shared():
    """It has used 200,000 objects, in 12 MB, and noted 8 bytes of each."""
    assert int(told(SHARING)) < 5_000_000
