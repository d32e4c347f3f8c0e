"""What is kept from one update to the next never shows: a picture looks as if nothing had been drawn before it."""

from __future__ import annotations

import random
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from dltutor.engine.pack import pack
from dltutor.ui.plots import demo, frame
from dltutor.ui.plots.board import draw
from dltutor.ui.plots.cells import Cells
from dltutor.ui.plots.look import Look
from dltutor.ui.plots.raster import numbers
from dltutor.wire import Array

KINDS = (
    lambda dice: demo.curves(dice.choice((40, 800))),
    lambda dice: demo.scatter(dice.randrange(2)),
    lambda dice: demo.heat(dice.randrange(60), points=dice.choice((0, 60))),
    lambda dice: demo.contour(dice.randrange(1, 200)),
)
LOOKS = Look("256"), Look("256", dark=False), Look("true"), Look("16", "block"), Look("mono", "ascii"), Look("mono")
SIZES = (64, 16), (30, 9), (59, 12), (11, 3)


def opened(value: Any) -> Any:
    """A picture with NumPy's arrays in the place of the wire's: of these nothing can be kept."""
    if isinstance(value, Array):
        return numbers(value)
    if isinstance(value, list | tuple):
        return type(value)(map(opened, value))
    if is_dataclass(value):
        return replace(value, **{f.name: opened(getattr(value, f.name)) for f in fields(value)})
    return value


def same(one: Cells, other: Cells) -> bool:
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in ("ch", "fg", "bg"))


def test_a_picture_looks_the_same_whatever_was_drawn_before_it():
    dice = random.Random(3)
    for _time in range(300):
        picture = pack(dice.choice(KINDS)(dice))
        size, look, title = dice.choice(SIZES), dice.choice(LOOKS), dice.choice(("", "1 loss", "2 损失"))
        drawn = draw(picture, *size, look, title=title)
        frame._framed.cache_clear()
        assert same(drawn, draw(opened(picture), *size, look, title=title))
