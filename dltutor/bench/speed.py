"""How fast this machine is just now, by the CPU time of a bare Textual application to its first paint.

Budgets in milliseconds of CPU were set on one machine; another, or the same one with neighbours, takes twice as long
for everything. A budget is held against CPU time divided by this factor, taken right before and after.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from dltutor.bench.rows import median
from dltutor.bench.terminal import Terminal, python

REFERENCE = 0.150  # CPU seconds, where the budgets were set: two cores of an AMD EPYC, else idle
TIMES = 3


def hello_script(folder: Path) -> Path:
    """The bare application as a module in `folder`, from where it imports nothing of ours."""
    return Path(shutil.copy(Path(__file__).with_name("hello.py"), folder / "hello_textual.py"))


def slowness(folder: Path) -> float:
    """How many times longer than the reference this machine takes now."""
    hello_script(folder)
    command = python("-c", f"import sys; sys.path.insert(0, {str(folder)!r}); from hello_textual import main; main()")
    return median([_seconds(command) for _time in range(TIMES)]) / REFERENCE


def _seconds(command: list[str]) -> float:
    with Terminal(command) as terminal:
        terminal.until("Hello")
    return terminal.cpu
