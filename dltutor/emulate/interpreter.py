"""Runs compiled PTX on the processor: every thread of the grid, with every access checked and counted.

    report = launch(softmax_forward_cuda, 4, 32, (x, p))
    report.sectors_per_request, report.bank_factor, report.faults

All threads that stand at the same instruction run it together, as one NumPy operation. Of threads at different
instructions, those furthest behind go first; so they meet again behind a branch, as a card's do.

A thread that leaves its arrays, misses a barrier or never ends stops the launch with a KernelFault. Races, shared
memory read before it was written, and shuffles with threads that are not there are collected in the report. Each says
the kernel, the line of Python and the PTX instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from dltutor.emulate import memory
from dltutor.emulate.arguments import Arguments
from dltutor.emulate.front import H100, Capability, Compiled, compiled
from dltutor.emulate.layout import Layout
from dltutor.emulate.ptx import parse
from dltutor.emulate.report import KernelFault, Report
from dltutor.emulate.steps import Assembler, Block
from dltutor.emulate.threads import END, Array, Dimensions, Group, Launch, Run, fault
from dltutor.i18n import _
from dltutor.kernels.compile import CudaKernel, Size

ENDLESS = 500_000  # pieces of program after which a launch counts as endless: half a minute or so


def launch(
    kernel: CudaKernel,
    blocks: Dimensions,
    threads: Dimensions,
    arguments: Sequence[Any],
    capability: Capability = H100,
) -> Report:
    """Run one of our kernels over NumPy arrays, which it writes to, and numbers.

    Raises KernelFault where it cannot go on.
    """
    return launch_compiled(compiled(kernel), blocks, threads, arguments, capability)


def launch_compiled(
    kernel: Compiled,
    blocks: Dimensions,
    threads: Dimensions,
    arguments: Sequence[Any],
    capability: Capability = H100,
    limit: int = ENDLESS,
) -> Report:
    """The same for any compiled function."""
    return assembled(kernel, capability).launch(blocks, threads, arguments, limit)


class Interpreter:
    """Runs CUDA kernels that are called: `with cuda_run_with(Interpreter()): softmax_forward_cuda(x, p)`.

    A fault of any kind raises. `reports` has the last launch of each kernel.
    """

    def __init__(self, capability: Capability = H100) -> None:
        self.capability = capability
        self.reports: dict[str, Report] = {}

    def launch(self, kernel: CudaKernel, grid: Size, block: Size, arguments: tuple[Any, ...]) -> None:
        report = launch(kernel, grid, block, arguments, self.capability)
        self.reports[kernel.__name__] = report
        report.require_sound()

    def warm(self, kernel: CudaKernel) -> None:
        assembled(compiled(kernel), self.capability)


@cache
def assembled(kernel: Compiled, capability: Capability) -> Machine:
    return Machine(kernel, capability)


class Machine:
    """A program ready to run."""

    def __init__(self, kernel: Compiled, capability: Capability) -> None:
        self.names, self.types = kernel.names, kernel.arguments
        self.layout = Layout(kernel.name, parse(kernel.ptx(capability)))
        self.kernel, self.program = kernel.name, self.layout.program
        self.blocks = {block.first: block for block in Assembler(self.layout).blocks()}

    def launch(self, blocks: Dimensions, threads: Dimensions, values: Sequence[Any], limit: int = ENDLESS) -> Report:
        arguments = Arguments(self.names, self.types, values)
        launching = Launch(self.layout, blocks, threads, arguments)
        arguments.upload()
        left = limit
        with np.errstate(all="ignore"):
            for some in launching.batches():
                left = self._run(Run(self.layout, launching, some), left)
        arguments.download()
        self._count_instructions(launching)
        faults = list(launching.faults.values())
        total = launching.per_block * int(np.prod(launching.blocks))
        return Report(self.kernel, self.program, total, launching.counts, faults)

    def _run(self, run: Run, left: int) -> int:
        """Run some blocks to their end. `left` is how many groups of instructions may still run, and comes back."""
        while True:
            group = run.next_group()
            if group is not None:
                left = self._run_group(run, group, left)
            elif run.waiting.any():
                self._open_barriers(run)
            else:
                return left

    def _run_group(self, run: Run, group: Group, left: int) -> int:
        """Until its threads part, wait, return, or meet others."""
        alone = run.ready() == group.count
        at: Any = int(run.position[group.ids[0]])
        while True:
            block = self.blocks[at]
            self._count(run, group, block)
            for step in block.steps:
                step(run, group)
            at = block.jump(run, group)
            left -= 1
            if left <= 0:
                raise self._endless(group, block)
            if not alone or not isinstance(at, int) or at >= END or run.waiting[group.ids[0]]:
                run.position[group.at] = at
                return left

    def _count(self, run: Run, group: Group, block: Block) -> None:
        run.launching.visits[block.first] += group.warps
        run.launching.threads_in[block.first] += group.count

    def _count_instructions(self, launching: Launch) -> None:
        """Every instruction of a block of them ran as often as the block."""
        for first, block in self.blocks.items():
            for counts in launching.counts[first : block.last]:
                counts.warps, counts.threads = launching.visits[first], launching.threads_in[first]

    def _open_barriers(self, run: Run) -> None:
        """Every thread that has not returned waits. Those of a block must all wait at the same barrier."""
        ids = np.flatnonzero(run.waiting)
        count = run.local_block.max() + 1
        first, last = np.full(count, END), np.zeros(count, np.int64)
        np.minimum.at(first, run.local_block[ids], run.position[ids])
        np.maximum.at(last, run.local_block[ids], run.position[ids])
        apart = (first != last)[run.local_block[ids]]
        if apart.any():
            raise self._divergent_barrier(run, ids[apart])
        run.waiting[ids] = False
        run.stamp[ids] += memory.NEXT_INTERVAL

    def _divergent_barrier(self, run: Run, ids: Array) -> KernelFault:
        places = sorted({int(place) for place in run.position[ids[run.block[ids] == run.block[ids[0]]]]})
        lines = sorted({self.program.instructions[place - 1].place.line for place in places})
        message = _("{kernel}: threads of one block wait at different barriers, lines {lines}").format(
            kernel=self.kernel, lines=", ".join(map(str, lines))
        )
        hint = _("Every thread of a block must reach the same syncthreads: move it out of the branch.")
        instruction = self.program.instructions[places[0] - 1]
        return fault("barrier", instruction, message, hint, Group(run, ids))

    def _endless(self, group: Group, block: Block) -> KernelFault:
        message = _("{kernel} does not end").format(kernel=self.kernel)
        hint = _("Look at the condition of the loop: does every thread come to its end?")
        return fault("endless", self.program.instructions[block.first], message, hint, group)
