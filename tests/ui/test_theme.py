"""The themes: what is written can be read, and 256 colours lose nothing of it."""

import pytest
from textual.color import Color

from dltutor.ui.theme import DARK, LIGHT

LEVELS = {0, 95, 135, 175, 215, 255}
THEMES = pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it, 1 to 21."""
    light, dark = sorted((luminance(Color.parse(one)), luminance(Color.parse(other))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: Color) -> float:
    parts = [part / 255 for part in colour.rgb]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@THEMES
def test_text_stands_out_from_the_ground(theme):
    ink = theme.variables
    for name in ("text", "blue", "red", "green", "orange"):
        assert contrast(ink[name], theme.background) >= 4.5, name
    assert contrast(ink["text"], ink["raised"]) >= 4.5
    assert contrast(ink["block-cursor-foreground"], ink["block-cursor-background"]) >= 4.5


@THEMES
def test_muted_text_can_be_read(theme):
    assert contrast(theme.variables["muted"], theme.background) >= 3
    assert contrast(theme.variables["muted"], theme.variables["raised"]) >= 3


@THEMES
def test_every_colour_is_an_entry_of_the_xterm_palette(theme):
    named = [theme.primary, theme.secondary, theme.accent, theme.warning, theme.error, theme.success]
    named += [theme.foreground, theme.background, theme.surface, theme.panel, theme.boost]
    colours = [*named, *(value for value in theme.variables.values() if value.startswith("#"))]
    strange = [colour for colour in colours if not in_palette(Color.parse(colour).rgb)]
    assert not strange


def in_palette(rgb: tuple[int, int, int]) -> bool:
    """An entry of the colour cube, or of the ramp of greys."""
    grey = len(set(rgb)) == 1 and rgb[0] in range(8, 239, 10)
    return grey or set(rgb) <= LEVELS
