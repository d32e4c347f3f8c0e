"""Made-up pictures of every kind, for `python -m dltutor.ui.plots.<kind>` and for the tests."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from dltutor.pictures import Confusion, Contour, Curves, Heat, Histograms, Images, Points, Scatter, Series
from dltutor.ui.plots.look import Look, look_of

LOOKS = {
    "true colour": Look("true", "braille"),
    "256 colours": Look("256", "braille"),
    "16 colours": Look("16", "block"),
    "no colour, ASCII": Look("mono", "ascii"),
}


def show(picture: Any, draw: Callable[..., Any], say: Callable[..., str], **view: Any) -> None:
    """Print `picture` in four looks and in words. `--light` for a light background, `--look NAME` for one look."""
    chosen = sys.argv[sys.argv.index("--look") + 1] if "--look" in sys.argv[:-1] else ""
    size = shutil.get_terminal_size((80, 24))
    looks = {name: look for name, look in LOOKS.items() if name.startswith(chosen)}
    height = max(6, (size.lines - 2) // len(looks) - 1) if sys.stdout.isatty() else 16
    for name, look in looks.items():
        look = Look(look.depth, look.glyphs, "--light" not in sys.argv)
        print(draw(picture, size.columns - 1, height, look, title=name, **view).ansi())
        print()
    print(say(picture))


def show_board(board: Callable[..., Any]) -> None:
    """Fill the terminal with six pictures, in the look of this terminal. `--light` for a light background."""
    size = shutil.get_terminal_size((140, 42))
    look = look_of()
    panels = [("1 boundary", heat()), ("2 loss", curves()), ("3 surface", contour()), ("4 layers", histograms()),
              ("5 digits", images()), ("6 confusion", confusion())]  # fmt: skip
    look = Look(look.depth, look.glyphs, look.dark and "--light" not in sys.argv)
    cells, _places = board([(title, picture, {}) for title, picture in panels], size.columns - 1, size.lines - 1, look)
    print(cells.ansi(), end="", flush=True)


def curves(steps: int = 800, seed: int = 0) -> Curves:
    """A noisy training loss, and a test loss taken every tenth step."""
    rng = np.random.default_rng(seed)
    x = np.arange(steps, dtype=float)
    part = x / 800
    train = 2.2 * np.exp(-5 * part) + 0.1 + 0.09 * rng.standard_normal(steps) * np.exp(-1.2 * part)
    test = 2.3 * np.exp(-4 * part) + 0.25
    return Curves([Series("train", x, np.abs(train) + 0.01), Series("test", x[::10], test[::10])], "step")


def scatter(seed: int = 0) -> Scatter:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, 100)
    y = 3 * x + 2 + rng.standard_normal(100)
    ends = np.array([-2.0, 2.0])
    lines = [Series("fit", ends, 2.6 * ends + 1.7), Series("truth", ends, 3 * ends + 2)]
    return Scatter(Points(x, y, None), lines, (-2, 2), (-6, 10), "x", "y")


def _moons(count: int, seed: int = 1) -> Points:
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, np.pi, (2, count))
    noise = 0.12 * rng.standard_normal((4, count))
    x = np.concatenate([np.cos(angle[0]) + noise[0], 1 - np.cos(angle[1]) + noise[1]])
    y = np.concatenate([np.sin(angle[0]) + noise[2], 0.5 - np.sin(angle[1]) + noise[3]])
    return Points(x, y, np.repeat([0, 1], count).astype(np.uint8))


def heat(step: int = 60, size: int = 64, points: int = 60) -> Heat:
    """A decision boundary bending between two moons; `step` says how far it has come."""
    x, y = np.meshgrid(np.linspace(-1.6, 2.6, size), np.linspace(1.6, -1.1, size))
    grown = min(1.0, 0.05 + step / 100)
    wave = 0.75 * np.sin(-2.0 * (x - 0.5) * grown + 0.4 * np.sin(step / 25)) * (0.3 + 0.7 * grown)
    field = 1 / (1 + np.exp(4 * grown * (y - 0.25 + wave) + 0.3 * np.sin(step / 10) * x))
    return Heat(
        (-1.6, 2.6), (-1.1, 1.6), field, 0.0, 1.0, (0.5,), _moons(points), ("class 0", "class 1"), "x1", "x2"
    )  # fmt: skip


def contour(steps: int = 200) -> Contour:
    """Rosenbrock's valley with a path into it."""
    x, y = np.meshgrid(np.linspace(-2, 2, 80), np.linspace(2.6, -0.8, 60))
    values = (1 - x) ** 2 + 20 * (y - x**2) ** 2
    at, path, speed = np.array([-1.5, 2.2]), [], np.zeros(2)
    for _ in range(steps):
        path.append(at.copy())
        slope = np.array([-2 * (1 - at[0]) - 80 * at[0] * (at[1] - at[0] ** 2), 40 * (at[1] - at[0] ** 2)])
        speed = 0.9 * speed - 0.0006 * slope
        at = at + speed
    steps_taken = np.array(path)
    return Contour((-2, 2), (-0.8, 2.6), values, steps_taken[:, 0], steps_taken[:, 1], (1.0, 1.0), "slope", "intercept")


def images(count: int = 12, size: int = 8, signed: bool = False) -> Images:
    """Digits, or with `signed` the filters of a first layer."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    angle = np.arange(count) * 2.4
    if signed:
        waves = [np.cos(4 * (x * np.cos(a) + y * np.sin(a))) * np.exp(-1.5 * (x**2 + y**2)) for a in angle]
        return Images(np.array(waves), signed=True)
    rings = [np.exp(-12 * (np.hypot(x * (1 + 0.5 * np.cos(a)), y) - 0.6) ** 2) * (x * np.sin(a) < 0.5) for a in angle]
    return Images(np.array(rings), tuple(f"{n % 10}" for n in range(count)), (3, 7))


def histograms(layers: int = 4, bins: int = 60) -> Histograms:
    edges = np.linspace(-3, 3, bins + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    spread = [1.0 / (1 + 0.8 * layer) for layer in range(layers)]
    counts = np.array([np.exp(-0.5 * (middle / s) ** 2) / s * 400 for s in spread]).round()
    return Histograms(tuple(f"tanh {n + 1}" for n in range(layers)), counts, -3.0, 3.0, "activation")


def confusion(classes: int = 10, seed: int = 0) -> Confusion:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.4, (classes, classes)) + np.diag(rng.integers(30, 40, classes))
    counts[3 % classes, 5 % classes] += 6
    return Confusion(counts.astype(np.int32), tuple(str(n) for n in range(classes)))
