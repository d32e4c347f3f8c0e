"""What the environment says about a terminal."""

import subprocess
import sys

import pytest

from dltutor.ui.plots.look import Look, look_of

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
        ({}, "16"),
        ({"TERM": "dumb"}, "mono"),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, "mono"),
        ({"TERM": "xterm-kitty", "NO_COLOR": ""}, "true"),  # no-color.org: only when it is not empty
        ({"TERM": "dumb", "DLTUTOR_COLORS": "256"}, "256"),
        ({"TERM": "xterm-kitty", "DLTUTOR_COLORS": "many"}, "true"),
    ],
)
def test_colour_depth(environment, depth):
    assert look_of(UTF8 | environment).depth == depth


@pytest.mark.parametrize(
    ("environment", "glyphs"),
    [
        ({"TERM": "xterm-256color"} | UTF8, "braille"),
        ({"TERM": "xterm-256color", "LC_ALL": "zh_CN.utf8"}, "braille"),
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
