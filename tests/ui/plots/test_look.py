"""What the environment says about a terminal."""

import subprocess
import sys

import pytest

from dltutor.ui.plots.look import Look, impose, is_worth_asking, look_of, memory_of

UTF8 = {"LANG": "en_US.UTF-8"}


@pytest.mark.parametrize(
    ("environment", "depth"),
    [
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "true"),
        ({"TERM": "xterm-kitty"}, "true"),  # over SSH TERM arrives and COLORTERM does not
        ({"TERM": "alacritty"}, "true"),
        ({"TERM": "foot-extra"}, "true"),
        ({"TERM": "xterm-ghostty"}, "true"),
        ({"TERM": "xterm-direct"}, "true"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "true"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, "256"),
        ({"TERM": "xterm-256color", "WT_SESSION": "1"}, "true"),  # Windows Terminal
        ({"TERM": "xterm"}, "16"),
        ({"TERM": "linux"}, "16"),
        ({"TERM": "wezterm"}, "true"),
        ({"TERM": "contour"}, "true"),
        ({"TERM": "konsole-256color"}, "true"),
        ({"TERM": "vte-256color"}, "true"),
        ({"TERM": "st-256color"}, "true"),
        ({"TERM": "rxvt-unicode-256color"}, "256"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "true"),  # ssh brings LC_* along
        ({"TERM": "vt100"}, "mono"),
        ({"TERM": "vt220", "DLTUTOR_COLORS": "16"}, "16"),
        ({}, "16"),
        ({"TERM": "dumb"}, "mono"),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, "mono"),
        ({"TERM": "xterm-kitty", "NO_COLOR": ""}, "true"),  # no-color.org: only when it is not empty
        ({"TERM": "dumb", "DLTUTOR_COLORS": "256"}, "256"),
        ({"TERM": "xterm-kitty", "DLTUTOR_COLORS": "many"}, "true"),
        ({"TERM": "xterm-kitty", "DLTUTOR_COLORS": "auto"}, "true"),
        ({"TERM": "xterm-kitty", "DLTUTOR_COLORS": "true", "NO_COLOR": "1"}, "true"),  # what is said to us counts more
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, "mono"),
    ],
)
def test_colour_depth(environment, depth):
    assert look_of(UTF8 | environment).depth == depth


@pytest.mark.parametrize(
    ("environment", "depth"),
    [
        ({"TERM": "tmux-256color", "TMUX": "/tmp/tmux"}, "256"),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/tmux", "COLORTERM": "truecolor"}, "true"),
        ({"TERM": "screen-256color", "TMUX": "/tmp/tmux", "COLORTERM": "truecolor"}, "true"),  # tmux rounds
        ({"TERM": "tmux-direct"}, "true"),
        ({"TERM": "screen"}, "16"),
        ({"TERM": "screen-256color"}, "256"),
        # GNU screen would blink: COLORTERM is that of the terminal around it, or of ~/.ssh/config.
        ({"TERM": "screen.xterm-256color", "STY": "1.pts", "COLORTERM": "truecolor"}, "256"),
        ({"TERM": "screen", "STY": "1.pts", "COLORTERM": "truecolor"}, "256"),
        ({"TERM": "screen-256color", "COLORTERM": "truecolor"}, "256"),
        ({"TERM": "screen", "STY": "1.pts", "DLTUTOR_COLORS": "true"}, "true"),
    ],
)
def test_colour_depth_inside_another_terminal(environment, depth):
    assert look_of(UTF8 | environment).depth == depth


@pytest.mark.parametrize(
    ("look", "environment", "left"),
    [
        (Look("mono"), {}, {"NO_COLOR": "1"}),
        (Look("true"), {"NO_COLOR": "1"}, {}),
        (Look("256"), {"TERM": "xterm"}, {"TERM": "xterm"}),
    ],
)
def test_those_who_draw_are_told_of_colours_by_their_variable(look, environment, left):
    impose(look, environment)
    assert environment == left


@pytest.mark.parametrize(
    ("environment", "glyphs"),
    [
        ({"TERM": "xterm-256color"} | UTF8, "braille"),
        ({"TERM": "xterm-256color", "LC_ALL": "zh_CN.utf8"}, "braille"),
        ({"TERM": "xterm-256color"}, "braille"),  # no locale says nothing of the terminal
        ({"TERM": "linux"} | UTF8, "ascii"),
        ({"TERM": "xterm-256color", "LANG": "en_US.ISO-8859-1"}, "ascii"),
        ({"TERM": "xterm-256color", "LC_ALL": "C"} | UTF8, "ascii"),
        ({"TERM": "xterm-256color", "LANG": "zh_CN.GB18030"}, "ascii"),
        ({"TERM": "xterm", "LANG": "en_US.no-such-encoding"}, "ascii"),
        ({"TERM": "linux", "DLTUTOR_GLYPHS": "block"} | UTF8, "block"),
        ({"TERM": "xterm", "DLTUTOR_GLYPHS": "stars"} | UTF8, "braille"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere terminals speak UTF-8 whatever the locale says")
def test_glyphs(environment, glyphs):
    assert look_of(environment).glyphs == glyphs


@pytest.mark.parametrize(
    ("environment", "glyphs"),
    [
        ({"TERM": "xterm"} | UTF8, "block"),
        ({"TERM": "linux"} | UTF8, "block"),
        ({"TERM": "xterm", "LC_ALL": "C"}, "ascii"),  # what could not be written
        ({"TERM": "xterm", "DLTUTOR_GLYPHS": "braille"} | UTF8, "braille"),
        ({"TERM": "xterm", "DLTUTOR_GLYPHS": "auto"} | UTF8, "braille"),
    ],
)
def test_what_the_learner_saw_counts_more_than_what_the_terminal_is_called(environment, glyphs):
    assert look_of(environment, recall={memory_of(environment): "block"}.get).glyphs == glyphs


def test_each_kind_of_terminal_has_a_memory_of_its_own():
    kinds = [{"TERM": "xterm"}, {"TERM": "xterm", "TERM_PROGRAM": "vscode"}, {"TERM": "foot"}, {}]
    assert len(set(map(memory_of, kinds))) == 4
    assert memory_of({"TERM": "foot", "LANG": "C"}) == memory_of(UTF8 | {"TERM": "foot"})


@pytest.mark.parametrize(
    ("environment", "told", "worth"),
    [
        ({"TERM": "xterm"}, "", True),
        ({"TERM": "xterm"}, "block", False),
        ({"TERM": "xterm", "DLTUTOR_GLYPHS": "auto"}, "", False),
        ({"TERM": "linux"}, "", False),
        ({"TERM": "xterm", "LC_ALL": "POSIX"}, "", False),
    ],
)
def test_only_what_is_not_known_is_asked(environment, told, worth):
    assert is_worth_asking(UTF8 | environment, lambda _name, default: told or default) is worth


def test_a_light_background_is_known_by_its_variable():
    assert look_of(UTF8 | {"COLORFGBG": "0;15"}).dark is False
    assert look_of(UTF8 | {"COLORFGBG": "15;default;0"}).dark is True
    assert look_of(UTF8).dark is True


def test_a_look_can_be_had_without_numpy_and_textual():
    code = (
        "import sys, dltutor.ui.plots.look as look; look.look_of();"
        "print([name for name in ('numpy', 'textual', 'rich', 'numba') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_looks_can_be_compared_and_kept():
    assert {Look(): 1}[Look("true", "braille", True)] == 1
