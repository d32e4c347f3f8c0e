"""`dltutor bench`: the shape of what it says, and the terminal it measures in. What it measures is nobody's test."""

from __future__ import annotations

import json
import math
import os
import sys

import pytest
from click.testing import CliRunner

from dltutor.bench import bench, processes, rows, sitting, terminal, wire
from dltutor.errors import DltutorError

SAYS_HELLO = "import sys; print('hello ' + sys.stdin.readline().strip().upper(), flush=True); sys.stdin.readline()"


def test_a_program_is_seen_as_it_stands_on_the_screen() -> None:
    with terminal.Terminal(terminal.python("-c", SAYS_HELLO)) as program:
        pressed = program.press("world\n")
        seen = program.until("hello WORLD")
        assert program.began <= pressed < seen
        assert program.lines[0].strip() == "world"  # the terminal's own echo


def test_what_never_comes_is_an_error_that_shows_the_screen() -> None:
    program = terminal.Terminal(terminal.python("-c", "print('something else')"))
    with program, pytest.raises(DltutorError) as caught:
        program.until("hello")
    assert "hello" in caught.value.message and "something else" in caught.value.hint


def test_nothing_is_left_running() -> None:
    """Neither the program nor what it has started."""
    script = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'input()']).pid, 'runs'); input()"
    with terminal.Terminal(terminal.python("-c", script)) as program:
        program.until("runs")
        started = [program.pid, int(program.lines[0].split()[0])]
        assert set(started) <= set(processes.resident(program.pid))
    assert program.cpu > 0
    assert not processes.resident(started[0])


def test_a_program_sees_the_same_terminal_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLTUTOR_COLORS", "mono")
    script = "import os; print(os.get_terminal_size(), os.environ['TERM'], os.environ.get('DLTUTOR_COLORS'))"
    with terminal.Terminal(terminal.python("-c", script), 90, 30) as program:
        program.until("columns=90, lines=30) xterm-256color None")


def test_without_the_emulator_the_line_that_mends_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyte", None)
    for name in ("startup", "latency", "wire", "learning"):
        result = CliRunner().invoke(bench, [name])
        assert isinstance(result.exception, DltutorError)
        assert 'pip install "dltutor[bench]"' in result.exception.hint


def test_the_first_paint_of_both_is_told_as_json() -> None:
    result = CliRunner().invoke(bench, ["startup", "--json", "--runs", "1"])
    told = json.loads(result.output)
    assert told["machine"]["cores"] == os.cpu_count()
    for row in told["rows"]:
        assert list(row) == ["name", "target", "measured", "unit", "met"]
        assert row["measured"] > 0
    verdict = told["rows"][0]
    assert verdict["target"] == "<= 1.5" and verdict["met"] == (verdict["measured"] <= 1.5)


def test_a_row_is_held_against_its_target() -> None:
    assert rows.at_most("a", 1.0, 1.5, "s").met and not rows.at_most("a", 2.0, 1.5, "s").met
    assert rows.at_least("a", 2.0, 1.5, "s").met and not rows.at_least("a", 1.0, 1.5, "s").met
    assert rows.to_know("a", 1.0, "s").met is None


def test_what_was_never_seen_misses_its_target_and_is_no_number_in_json() -> None:
    row = rows.at_most("a key", math.inf, 60, "ms")
    assert row.met is False
    assert json.loads(rows.as_json([row], {}))["rows"][0]["measured"] is None


def test_quantiles_lie_between_neighbours() -> None:
    values = [4.0, 1.0, 3.0, 2.0]
    assert (rows.quantile(values, 0), rows.median(values), rows.quantile(values, 1)) == (1.0, 2.5, 4.0)
    assert math.isnan(rows.median([]))


def test_bytes_belong_to_the_update_before_them() -> None:
    pieces = [terminal.Piece(at, b"x" * size) for at, size in ((0.5, 9), (1.0, 1), (1.9, 2), (2.5, 4), (3.5, 9))]
    assert wire.bytes_between(pieces, [1.0, 2.0, 3.0]) == [3, 4]


def test_a_key_is_answered_by_the_first_change_after_it() -> None:
    keys = sitting.Keys(("a", "b"), effect=lambda lines: lines[0])
    keys.pressed = [1.0, 2.0, 3.0]
    keys.shown = [(0.5, "x"), (1.1, "x"), (1.25, "y"), (1.5, "y"), (2.5, "y"), (3.5, "x")]
    found = keys.answers()
    assert found == [0.25, math.inf, 0.5]
    assert keys.answers(before=2.5) == [0.25, math.inf]


def test_a_picture_crosses_the_wire_small() -> None:
    told = {row.name: row for row in wire.frames()}
    assert told["frame 64x64: size"].met
