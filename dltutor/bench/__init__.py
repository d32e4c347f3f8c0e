"""`dltutor bench`: what the tutor costs on this machine, beside what it should cost.

Times are taken as a learner meets them: in a pseudo-terminal, from the key to the screen. What is compared runs by
turns, so that a busy machine slows both. Nothing of the learner's is touched: each bench has a data folder of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dltutor.i18n import _

if TYPE_CHECKING:
    from dltutor.bench.rows import Row
    from dltutor.bench.versus import Pair

Measure = Callable[[Path, int], "list[Row]"]
Pairs = Callable[[list[str], str], "Iterable[Pair]"]


@click.group(help=_("Measure what it costs. Time, memory and bytes, each beside what it should be."))
def bench() -> None:
    pass


def _command(name: str, help: str, runs: int, runs_help: str) -> Callable[[Callable[[], Measure]], click.Command]:
    """Make a function that imports a measurement into a command that runs it."""

    def make(load: Callable[[], Measure]) -> click.Command:
        @bench.command(name, help=help)
        @click.option("--json", "as_json", is_flag=True, help=_("For programs: a JSON object."))
        @click.option("--runs", type=click.IntRange(1, 10_000), default=runs, show_default=True, help=runs_help)
        def command(as_json: bool, runs: int) -> None:
            _report(load(), runs, as_json)

        return command

    return make


def _report(measure: Measure, runs: int, as_json: bool) -> None:
    from dltutor.bench import rows
    from dltutor.bench.terminal import pyte

    pyte()  # before anything takes time
    where = rows.machine()
    # What was killed may still be writing into the folder.
    with tempfile.TemporaryDirectory(prefix="dltutor-bench-", ignore_cleanup_errors=True) as folder:
        found = measure(Path(folder), runs)
    if as_json:
        click.echo(rows.as_json(found, where))
    else:
        rows.show(found, where)


@_command("startup", _("Time the first paint. Against a bare Textual application, by turns."), 15, _("Starts of each."))
def bench_startup() -> Measure:
    from dltutor.bench.startup import measure

    return measure


@_command(
    "wire",
    _("Count bytes and CPU. Of live pictures in a terminal, and from the engine."),
    100,
    _("Updates of each."),
)
def bench_wire() -> Measure:
    from dltutor.bench.wire import measure

    return measure


@_command(
    "latency",
    _("Time lessons and keys. From the key to the screen; with the memory."),
    60,
    _("Keys in each condition."),
)
def bench_latency() -> Measure:
    from dltutor.bench.latency import measure

    return measure


@_command("learning", _("Time the learning. Steps and seconds to what each lab should reach."), 3, _("Seeds of each."))
def bench_learning() -> Measure:
    from dltutor.bench.learning import measure

    return measure


@bench.command("ssh", help=_("Time a class over SSH. Real clients: first paint, keys, bytes, memory, how it ends."))
@click.option("--json", "as_json", is_flag=True, help=_("For programs: a JSON object."))
@click.option("--sessions", type=click.IntRange(1, 200), help=_("Let so many train at once, and then twice as many."))
@click.option("--quick", is_flag=True, help=_("Less of each: a minute and a half instead of nine."))
@click.option("--only", multiple=True, metavar="NAME", help=_("This part alone: grades, paint, logins, memory, ..."))
def bench_ssh(as_json: bool, sessions: int | None, quick: bool, only: tuple[str, ...]) -> None:
    from dltutor.bench import ssh

    amount = ssh.QUICK if quick else ssh.Amount()
    amount = replace(amount, sessions=sessions or amount.sessions)
    _report(lambda folder, _runs: ssh.measure(folder, amount, only), 1, as_json)


# ---------------------------------------------------------------- against others


def _race(name: str, help: str) -> Callable[[Callable[[], Pairs]], click.Command]:
    """Make a function that imports the pairs to compare into a command that runs them."""

    def make(load: Callable[[], Pairs]) -> click.Command:
        @bench.command(name, help=help)
        @click.option("--json", "as_json", is_flag=True, help=_("For programs: a JSON object."))
        @click.option("--against", default="", metavar="NAMES", help=_("torch, torch.compile, numpy, sklearn."))
        @click.option("--threads", type=click.IntRange(1), help=_("So many, instead of one and then all."))
        @click.option("--only", default="", metavar="TEXT", help=_("Only rows whose name has this in it."))
        def command(as_json: bool, against: str, threads: int | None, only: str) -> None:
            from dltutor.bench import versus

            versus.report(load(), against, threads, only, as_json)

        return command

    return make


@_race("steps", _("Time whole training steps. Against PyTorch, NumPy and scikit-learn, by turns."))
def bench_steps() -> Pairs:
    from dltutor.bench.steps import pairs

    return pairs


@_race("kernels", _("Time single kernels. Against PyTorch and NumPy, by turns; with this machine's limits."))
def bench_kernels() -> Pairs:
    from dltutor.bench.single import pairs

    return pairs
