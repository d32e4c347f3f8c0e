"""Colours lie where they should, and can be told apart by everyone."""

import numpy as np
import pytest
from rich.color import ColorSystem

from dltutor.ui.plots.cells import DEFAULT, TRUE, rgb, style
from dltutor.ui.plots.look import Look
from dltutor.ui.plots.palette import bright, diverging, grey, palette, valley

THEMES = [pytest.param(True, id="dark"), pytest.param(False, id="light")]

# Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def oklab(colours, vision="normal"):
    """Colours as Oklab (Ottosson 2020) times 100: a distance of 2 can just be seen."""
    unit = np.array([rgb(int(c)) for c in colours]) / 255
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.array(VISION[vision]).T, 0, 1)
    cones = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
             [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
    lab = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
           [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip
    return np.cbrt(linear @ np.array(cones).T) @ np.array(lab).T * 100


def least_distance(colours, vision):
    lab = oklab(colours, vision)
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    return apart[np.triu_indices(len(lab), 1)].min()


def all_colours(look):
    found = []
    for value in vars(palette(look)).values():
        found += value if isinstance(value, tuple) else [value]
    for ramp in (diverging, valley, grey):
        for levels in (2, 5, 8, 13, 16, 32, 64):
            found += ramp(look, levels).tolist()
    return found


@pytest.mark.parametrize("dark", THEMES)
def test_at_256_colours_every_colour_is_an_xterm_entry_that_rich_maps_to_itself(dark):
    for colour in set(all_colours(Look("256", dark=dark))):
        assert 16 <= colour < 256
        assert style(colour, DEFAULT).color.downgrade(ColorSystem.EIGHT_BIT).number == colour


@pytest.mark.parametrize("dark", THEMES)
def test_at_16_colours_every_colour_is_one_of_them_and_rich_maps_it_to_itself(dark):
    for colour in set(all_colours(Look("16", dark=dark))) - {DEFAULT}:
        assert 0 <= colour < 16
        assert style(colour, DEFAULT).color.downgrade(ColorSystem.STANDARD).number == colour


@pytest.mark.parametrize("dark", THEMES)
def test_without_colour_there_is_none_and_with_true_colour_only_that(dark):
    assert set(vars(palette(Look("mono", dark=dark))).values()) <= {DEFAULT, (DEFAULT,) * 2, (DEFAULT,) * 10}
    assert all(colour >= TRUE for colour in all_colours(Look("true", dark=dark)))


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("dark", THEMES)
def test_series_can_be_told_apart_by_everyone(dark, vision):
    series = palette(Look("256", dark=dark)).series
    assert least_distance(series[:2], vision) > 20
    assert least_distance(series[:4], vision) > 12
    assert least_distance(series, vision) > 8


@pytest.mark.parametrize("dark", THEMES)
def test_series_stand_out_from_the_background(dark):
    paper = oklab([233 if dark else 255])[0, 0]
    assert (np.abs(oklab(palette(Look("256", dark=dark)).series)[:, 0] - paper) > 25).all()


@pytest.mark.parametrize("depth", ["true", "256"])
@pytest.mark.parametrize("dark", THEMES)
def test_the_diverging_ramp_is_blue_below_and_orange_above_its_neutral_middle(dark, depth):
    lab = oklab(diverging(Look(depth, dark=dark), 16))
    hue = np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) % 360
    coloured = np.hypot(lab[:, 1], lab[:, 2]) > 4
    assert coloured[:6].all() and coloured[10:].all() and not coloured[7:9].any()
    assert ((hue[:6] > 195) & (hue[:6] < 268)).all(), "no violet"
    assert ((hue[10:] > 25) & (hue[10:] < 100)).all(), "no olive"


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("dark", THEMES)
def test_the_two_sides_of_a_boundary_differ_for_everyone(dark, vision):
    lab = oklab(diverging(Look("256", dark=dark), 16), vision)
    assert (np.linalg.norm(lab[:6] - lab[:-7:-1], axis=1) > 9).all()


@pytest.mark.parametrize("depth", ["true", "256"])
@pytest.mark.parametrize("dark", THEMES)
def test_points_read_on_every_colour_of_a_field(dark, depth):
    look = Look(depth, dark=dark)
    field = diverging(look, 16)
    for number in range(10):
        point = np.where(bright(field), palette(look).deep[number], palette(look).pale[number])
        assert (np.abs(oklab(point)[:, 0] - oklab(field)[:, 0]) > 14).all()
