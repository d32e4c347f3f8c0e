"""A learner at the application: chooses a lesson, opens it, trains, reads, presses keys."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dltutor.bench.terminal import Terminal, environment_of, python
from dltutor.lesson import Heading

TERM = "xterm-256color"
SIZE = (140, 45)  # text and lab side by side
TRAINED = re.compile(r"▶.*?\s([\d,]+)/[\d,]+")
COMPILING = re.compile(r"compiling \d+ of \d+: \w+")
DRAWN = re.compile("[▀▄█\u2801-\u28ff]")
GAPS = (0.3, 0.6)  # seconds from one key to the next: at random, so that no timer keeps pace with them
LONG_GAPS = (0.8, 1.2)  # where a whole section is laid out anew


def settle_in(home: Path, lesson: Heading, **setting: Any) -> None:
    """A learner's folder as it is after a visit to `lesson`: the course then opens with it chosen."""
    from dltutor.progress import Progress
    from dltutor.ui.plots.look import memory_of

    with Progress.open(home) as progress:
        for environment in (environment_of({}), {"TERM": TERM}):  # here, and on the other side of an `ssh`
            progress.set_preference(memory_of(environment), "braille")
        progress.set_place(lesson.id, lesson.section_ids[0], 0.0, setting)


def built_in_lessons() -> list[Heading]:
    """Those that come with dltutor, in the order of the course; a learner's own lie in a folder that is not looked
    into here."""
    from dltutor.lesson.course import built_in, catalogue

    entries = [entry for entry in catalogue("en").entries if entry.folder.is_relative_to(built_in().resolve())]
    return [entry.heading for entry in entries if entry.heading]


class Learner(Terminal):
    """The application in a terminal, with the folder `home`; use it in `with`."""

    def __init__(self, home: Path, lesson: Heading) -> None:
        super().__init__(python("-m", "dltutor", "launch"), *SIZE, {"DLTUTOR_HOME": str(home)})
        self.lesson = lesson
        self.named: set[str] = set()
        """What it said while it was compiling."""

    def choose(self) -> None:
        """Wait for the course, with the lesson chosen in it."""
        self.until(self.lesson.title)
        self.settle()

    def open(self) -> float:
        """Open the chosen lesson; when its key was pressed."""
        at = self.press("\r")
        self.until(f" 1/{len(self.lesson.section_ids)} ")
        return at

    def trains(self, screen: str) -> bool:
        """Whether a step has been taken, and a picture of it is drawn. Remembers what was said meanwhile."""
        self.named.update(COMPILING.findall(screen))
        found = TRAINED.search(screen)
        return bool(found and int(found[1].replace(",", "")) >= 1 and DRAWN.search(screen))

    @property
    def compiles(self) -> bool:
        return bool(COMPILING.search("\n".join(self.drawn)))


# ---------------------------------------------------------------- from a key to the screen


@dataclass
class Keys:
    """Two keys by turns, each of which changes what `effect` sees on the screen, as nothing else does."""

    keys: tuple[str, str]
    effect: Callable[[list[str]], object]
    gaps: tuple[float, float] = GAPS
    pressed: list[float] = field(default_factory=list)
    shown: list[tuple[float, object]] = field(default_factory=list)

    def press(self, learner: Learner, count: int) -> None:
        """Press so many. What comes back is only taken, not looked at: that would hold up the next piece's time."""
        for _key in range(count):
            self.pressed.append(learner.press(self.keys[len(self.pressed) % 2]))
            learner.listen(random.uniform(*self.gaps))

    def look(self, learner: Learner) -> list[float]:
        """Go through what came back; when the lab was seen to compile."""
        compiling = []
        for at, _data in learner.draw():
            self.shown.append((at, self.effect(learner.drawn)))
            compiling += [at] * learner.compiles
        return compiling

    def answers(self, before: float = math.inf) -> list[float]:
        """Seconds from each key, of those pressed `before`, to the first change; infinite where the next key came
        sooner."""
        ends = [*self.pressed[1:], math.inf]
        keys = [(at, end) for at, end in zip(self.pressed, ends, strict=True) if at < before]
        return [_first_change(self.shown, at, end) - at for at, end in keys]


def _first_change(shown: Iterable[tuple[float, object]], after: float, before: float) -> float:
    previous: object = None
    for at, value in shown:
        if at >= before:
            break
        if at > after and value != previous:
            return at
        previous = value
    return math.inf


def section(lines: list[str]) -> object:
    """Which section is open: the number in the first line."""
    return re.findall(r"\s(\d+)/\d+\s", lines[0])[:1]


def knob(lines: list[str]) -> object:
    """Whether a knob is chosen: it stands between two marks."""
    return any("‹" in line for line in lines)


def text(lines: list[str]) -> object:
    """The lesson's text, left of the lab."""
    return [line[: SIZE[0] // 2 - 2] for line in lines[1:-1]]
