"""Learning-rate schedules: the learning rate of each step, as a plain function of the step's number.

    opt.step(lr=cosine(step, lr=0.1, steps=1000))

`step` counts from 0 and `lr` is the largest rate. Beyond the last of `steps`, schedules that have an end stay there.
"""

from __future__ import annotations

import math


def constant(step: int, lr: float) -> float:
    return lr


def step_decay(step: int, lr: float, every: int, factor: float = 0.1) -> float:
    """Times `factor` after `every` so many steps."""
    return lr * factor ** (step // every)


def exponential(step: int, lr: float, factor: float) -> float:
    """Times `factor` after each step."""
    return lr * factor**step


def cosine(step: int, lr: float, steps: int, last: float = 0.0) -> float:
    """Down to `last` along half a wave: slowly, fast, slowly. Loshchilov, Hutter 2016, arXiv:1608.03983."""
    return _between(lr, last, step / max(steps, 1))


def warmup_cosine(step: int, lr: float, steps: int, warmup: int, last: float = 0.0) -> float:
    """Up in a straight line for `warmup` steps, for as long as gradients say little; then down as `cosine` does."""
    if step < warmup:
        return lr * (step + 1) / warmup
    return cosine(step - warmup, lr, steps - warmup, last)


def one_cycle(
    step: int, lr: float, steps: int, rise: float = 0.3, first: float = 1 / 25, last: float = 1 / 250_000
) -> float:
    """Up from `first` of `lr` during the share `rise` of all steps, then down to `last` of it, both along half a wave.

    A large rate in the middle leaves narrow minima again. Smith, Topin 2017, arXiv:1708.07120.
    """
    top, end = rise * steps - 1, steps - 1
    if step <= top:
        return _between(first * lr, lr, step / top)
    return _between(lr, last * lr, (step - top) / (end - top))


def _between(start: float, end: float, way: float) -> float:
    """From `start` at way 0 to `end` at way 1 along half a cosine wave."""
    return end + (start - end) * (1 + math.cos(math.pi * min(max(way, 0.0), 1.0))) / 2
