"""Live pictures as training would bring them, ten a second: what `bench wire` counts the bytes of.

`python -m dltutor.bench.scenes NAME UPDATES REPORT` draws one of SCENES through the application's own board and
terminal adapter, and writes to the file REPORT when each update began and what it cost.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from textual.app import App, ComposeResult
from textual.timer import Timer

from dltutor.pictures import Contour, Curves, Heat, Histograms, Images, Interval, Picture, Points, Series
from dltutor.ui.plots.board import Panel, draw
from dltutor.ui.plots.look import Look
from dltutor.ui.terminal import TerminalMixin
from dltutor.ui.widgets.board import Board

RATE = 10.0  # updates a second
WARM_UP = 10  # updates that are not counted: caches fill
IDLE = 3.0  # seconds at the end in which nothing changes
LOOK = Look("true", "braille", dark=True)
X: Interval = (-1.6, 2.6)
Y: Interval = (-1.1, 1.6)

Panels = Callable[[int], list[Panel]]


@dataclass(frozen=True)
class Scene:
    panels: Panels
    """What is shown after so many updates."""
    size: tuple[int, int]
    """Of the board, in cells."""
    terminal: tuple[int, int]


# ---------------------------------------------------------------- pictures that move


@lru_cache(maxsize=2)
def losses(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps, a noisy training loss, and a quieter test loss."""
    noise = np.random.default_rng(0).standard_normal((2, count))
    steps = np.arange(count, dtype=float)
    part = steps / count
    train = 2.2 * np.exp(-4 * part) + 0.15 + 0.12 * noise[0] * np.exp(-1.5 * part)
    test = 2.3 * np.exp(-3 * part) + 0.35 + 0.06 * noise[1]
    return steps, np.abs(train) + 0.01, np.abs(test) + 0.01


def curves(update: int, length: int, log: bool = False) -> Curves:
    """Two series of about `length` points, a thousandth more with each update."""
    steps, *series = losses(length * 3 // 2)
    seen = int(length * (0.95 + update / 1000))
    return Curves(
        [Series(n, steps[:seen], y[:seen]) for n, y in zip(("train", "test"), series, strict=True)], "step", log
    )


def field(update: int, size: int = 64) -> np.ndarray:
    """The probability of class 1 over the plane: a boundary that bends as it is learnt, every cell changing."""
    x, y = np.meshgrid(np.linspace(*X, size), np.linspace(*Y[::-1], size))
    grown = min(1.0, 0.05 + update / 100)
    wave = 0.75 * np.sin(2 * x * grown + 0.4 * np.sin(update / 25)) * (0.3 + 0.7 * grown)
    return 1 / (1 + np.exp(0.3 * np.sin(update / 10) * x - 3 * grown * (y - 0.25 - wave)))


@lru_cache(maxsize=1)
def moons(count: int = 100) -> Points:
    rng = np.random.default_rng(1)
    angle = rng.uniform(0, np.pi, (2, count))
    noise = 0.12 * rng.standard_normal((4, count))
    x = np.concatenate([np.cos(angle[0]) + noise[0], 1 - np.cos(angle[1]) + noise[1]])
    y = np.concatenate([np.sin(angle[0]) + noise[2], 0.5 - np.sin(angle[1]) + noise[3]])
    return Points(x, y, np.repeat([0, 1], count).astype(np.uint8))


def heat(update: int) -> Heat:
    return Heat(X, Y, field(update), 0.0, 1.0, x_label="x1", y_label="x2")


def boundary(update: int) -> Heat:
    return Heat(X, Y, field(update), 0.0, 1.0, (0.5,), moons(), ("class 0", "class 1"), "x1", "x2")


@lru_cache(maxsize=1)
def valley() -> np.ndarray:
    x, y = np.meshgrid(np.linspace(-2, 2, 80), np.linspace(2.6, -0.8, 60))
    return (1 - x) ** 2 + 20 * (y - x**2) ** 2


def descent(update: int) -> Contour:
    """A path down a valley, ten steps longer with each update."""
    at = np.linspace(0, 1, 10 * update + 2) * update / 200
    return Contour((-2, 2), (-0.8, 2.6), valley(), -1.6 + 2.4 * at, 2.2 - 3 * at + 1.5 * at**2, (1.0, 1.0), "w", "b")


def gradients(update: int, layers: int = 4, bins: int = 60) -> Histograms:
    rng = np.random.default_rng(update)
    values = [rng.normal(-2 - 0.9 * layer - 0.002 * update, 0.6, 4000) for layer in range(layers)]
    counts = np.array([np.histogram(v, bins=bins, range=(-8, 0))[0] for v in values], float)
    return Histograms(tuple(f"layer {n + 1}" for n in range(layers)), counts, -8.0, 0.0, "log10 |gradient|")


def filters(update: int, count: int = 16) -> Images:
    y, x = np.mgrid[-1:1:8j, -1:1:8j]
    angles = np.arange(count) * 2.4 + 0.01 * update
    waves = [np.cos(3 * (x * np.cos(a) + y * np.sin(a))) * np.exp(-(x**2 + y**2)) for a in angles]
    return Images(np.array(waves), signed=True)


def six(update: int) -> list[Panel]:
    return [
        ("1 boundary", boundary(update), {}),
        ("2 loss", curves(update, 1000), {}),
        ("3 loss, log", curves(update, 1000, log=True), {}),
        ("4 descent", descent(update), {}),
        ("5 gradients", gradients(update), {}),
        ("6 filters", filters(update), {}),
    ]


def alone(picture: Callable[[int], Picture]) -> Panels:
    return lambda update: [("", picture(update), {})]


SCENES = {
    "line 2x1,000": Scene(alone(lambda n: curves(n, 1_000)), (100, 30), (120, 40)),
    "line 2x100,000": Scene(alone(lambda n: curves(n, 100_000)), (100, 30), (120, 40)),
    "heat 64x64": Scene(alone(heat), (71, 34), (120, 40)),
    "scatter over heat": Scene(alone(boundary), (71, 35), (120, 40)),
    "board 200x60": Scene(six, (200, 60), (200, 60)),
    "board 120x40": Scene(six, (120, 40), (120, 40)),
    "board 80x24": Scene(six, (80, 24), (80, 24)),
}


# ---------------------------------------------------------------- drawing them


class Show(TerminalMixin, App[None]):
    """One scene, update by update, then a while of nothing new."""

    CSS = "Screen { overflow: hidden; } Board { width: auto; height: auto; }"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, scene: Scene, updates: int) -> None:
        super().__init__()
        self._scene = scene
        self._updates = updates
        self._timer: Timer | None = None
        self._making = 0.0  # CPU seconds spent on making the pictures up, which the engine would do
        self.began: list[float] = []
        self.spent: list[float] = []
        """CPU seconds of this process at the beginning of each update, making up left out."""

    def compose(self) -> ComposeResult:
        board = Board()
        board.styles.width, board.styles.height = self._scene.size
        yield board

    def on_ready(self) -> None:
        self._timer = self.set_interval(1 / RATE, self._update)

    def _update(self) -> None:
        number = len(self.began)
        self.began.append(time.perf_counter())
        self.spent.append(time.process_time() - self._making)
        board = self.query_one(Board)
        if number >= self._updates + IDLE * RATE:
            self.exit()
            return
        before = time.process_time()
        panels = self._scene.panels(min(number, self._updates - 1))
        self._making += time.process_time() - before
        board.show(panels, LOOK)


def raster(scene: Scene, updates: int) -> list[float]:
    """CPU seconds of drawing the cells alone, of the first panel alone, over the board's whole size."""
    seconds = []
    for update in range(updates):
        _title, picture, view = scene.panels(update)[0]
        before = time.process_time()
        draw(picture, *scene.size, LOOK, **view)
        seconds.append(time.process_time() - before)
    return seconds


def report(scene: Scene, updates: int) -> dict[str, Any]:
    show = Show(scene, updates)
    show.run()
    if show.return_code:
        sys.exit(show.return_code)  # the reason stands on the screen
    return {"began": show.began, "spent": show.spent, "raster": raster(scene, min(updates, 50))}


if __name__ == "__main__":
    name, updates, file = sys.argv[1:]
    Path(file).write_text(json.dumps(report(SCENES[name], int(updates))))
