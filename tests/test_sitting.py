"""A sitting in a terminal: what it asks, what it draws in, and where it refuses in a line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from terminals import Terminal

UTF8 = {"LC_ALL": "C.UTF-8", "DLTUTOR_GLYPHS": ""}  # nothing is said of the glyphs
QUESTION, COURSE, LESSON = "blocks", "Linear", "rewind"  # words that stand nowhere else


@pytest.fixture
def terminal(labs) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: str, **environment: str) -> Terminal:
        opened.append(Terminal(*arguments, **UTF8 | environment))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


# ---------------------------------------------------------------- which glyphs


def test_a_first_sitting_asks_which_glyphs_there_are_and_the_next_does_not(terminal):
    first = terminal("launch")
    first.until(QUESTION)
    first.press("2")
    first.until("open")
    first.press("q")
    first.end()
    second = terminal("launch", "tiny")
    second.until(LESSON)
    assert QUESTION not in second.written
    terminal("launch", TERM="xterm-kitty").until(QUESTION)


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--glyphs", "auto"], {}),
        ([], {"TERM": "linux"}),
    ],
)
def test_what_is_known_is_not_asked(terminal, arguments, environment):
    shown = terminal("launch", "tiny", *arguments, **environment)
    shown.until(LESSON)
    assert QUESTION not in shown.written


# ---------------------------------------------------------------- colours

BLUE = "38;5;75"


@pytest.mark.parametrize(
    ("arguments", "environment", "has", "lacks"),
    [
        ([], {"TERM": "xterm-kitty"}, ["38;2;"], ["38;5;"]),
        ([], {"TERM": "xterm-256color"}, ["38;5;"], ["38;2;"]),
        (["--colors", "16"], {"TERM": "xterm-kitty"}, [], ["38;2;", "38;5;"]),
        (["--colors", "256"], {"NO_COLOR": "1"}, [BLUE], []),
    ],
)
def test_what_reaches_the_terminal_has_the_colours_that_it_can_show(terminal, arguments, environment, has, lacks):
    shown = terminal("launch", "--glyphs", "block", *arguments, **environment | {"COLORTERM": ""})
    for words in (COURSE, *has):
        shown.until(words)
    leave(shown)
    assert [code for code in lacks if code in shown.written] == []


@pytest.mark.parametrize("environment", [{"TERM": "vt100"}, {"NO_COLOR": "1"}])
def test_without_colours_all_is_grey(terminal, environment):
    shown = terminal("launch", "--glyphs", "ascii", **environment | {"COLORTERM": ""})
    shown.until(COURSE)
    leave(shown)
    assert hues(shown.written) == set()


def leave(shown: Terminal) -> None:
    """So that all that it draws has been written."""
    shown.press("q")
    assert shown.end() == 0


def hues(written: str) -> set[str]:
    """The colours of 256 or 16 that are no grey."""
    codes = {code for run in re.findall(r"\x1b\[([\d;]*)m", written) for code in re.split(";(?=[34]8)", run)}
    indexed = {int(code.split(";")[2]) for code in codes if re.match("[34]8;5;", code)}
    named = {int(code) for code in codes if re.fullmatch("[34][1-6]|9[1-6]|10[1-6]", code)}
    return {str(number) for number in indexed if 16 < number < 231 and number not in GREYS} | set(map(str, named))


GREYS = {16 + 43 * level for level in range(6)}  # of the colour cube


@pytest.mark.parametrize(
    ("arguments", "environment", "coloured"),
    [(["--colors", "256"], {"NO_COLOR": "1"}, True), (["--colors", "mono"], {"TERM": "xterm-kitty"}, False)],
)
def test_a_run_without_the_application_follows_the_same_options(terminal, arguments, environment, coloured):
    shown = terminal("run", "tiny", "--glyphs", "ascii", *arguments, **environment)
    assert shown.end() == 0
    assert ("38;5;" in shown.written) is coloured
    assert not {"⣀", "⠤", "⠒", "⠉"} & set(shown.written)


# ---------------------------------------------------------------- no terminal


@pytest.mark.parametrize(
    ("command", "kind"), [("launch", "dumb"), ("launch", "unknown"), ("launch", ""), ("review", "dumb")]
)
def test_a_terminal_too_plain_gets_one_line(terminal, command, kind):
    shown = terminal(command, TERM=kind)
    assert shown.end() == 2
    assert "dltutor run" in shown.written
    assert len(shown.written.splitlines()) == 1
    assert "\x1b[?1049h" not in shown.written


@pytest.mark.parametrize(
    ("environment", "told"),
    [({}, "dltutor run LESSON"), ({"SSH_CONNECTION": "192.0.2.1 5 192.0.2.2 22"}, "ssh -t HOST dltutor launch")],
)
def test_a_pipe_gets_one_line_that_says_what_to_do(environment, told):
    program = [sys.executable, "-m", "dltutor", "launch"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SSH_")}
    call = subprocess.run(program, capture_output=True, text=True, env=clean | environment, stdin=subprocess.DEVNULL)
    assert call.returncode == 2
    assert call.stdout == ""
    assert len(call.stderr.splitlines()) == 1
    assert told in call.stderr
