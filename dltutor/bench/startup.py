"""From exec to the first frame: `dltutor launch` against a bare Textual application, by turns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dltutor.bench.rows import Row, at_most, median, quantile, to_know
from dltutor.bench.sitting import built_in_lessons
from dltutor.bench.speed import hello_script
from dltutor.bench.terminal import Terminal, python

SIZE = (80, 24)
LIMIT = 1.5
# As pip writes them: both are started by a script that imports a compiled `main`.
SCRIPT = "import sys\nfrom {module} import main\nif __name__ == '__main__':\n    sys.exit(main())\n"


def measure(folder: Path, runs: int) -> list[Row]:
    """`folder` is empty; afterwards it holds the scripts and a learner's data folder."""
    hello, launch = _scripts(folder)
    environment = {"DLTUTOR_HOME": str(folder / "home")}
    first = first_paint(launch, _lesson(), environment)  # writes what a first start writes: bytecode, progress
    first_paint(hello, "Hello", environment)
    times = [
        (first_paint(hello, "Hello", environment), first_paint(launch, _lesson(), environment)) for _run in range(runs)
    ]
    return list(_rows(first, times))


def _rows(first: float, times: list[tuple[float, float]]) -> Iterator[Row]:
    hello, launch = zip(*times, strict=True)
    yield at_most("launch to first paint / Textual hello", median([b / a for a, b in times]), LIMIT, "times")
    for name, seconds in (("hello", hello), ("launch", launch)):
        yield to_know(f"{name}: median", 1e3 * median(seconds), "ms")
        yield to_know(f"{name}: p95", 1e3 * quantile(seconds, 0.95), "ms")
    yield to_know("launch: the very first", 1e3 * first, "ms")


def first_paint(command: list[str], text: str, environment: dict[str, str]) -> float:
    """Seconds from exec to the frame in which `text` stands on the screen."""
    with Terminal(command, *SIZE, environment) as terminal:
        return terminal.until(text) - terminal.began


def _scripts(folder: Path) -> tuple[list[str], list[str]]:
    (folder / "hello").write_text(SCRIPT.format(module=hello_script(folder).stem))
    (folder / "launch").write_text(SCRIPT.format(module="dltutor.cli"))
    return python(str(folder / "hello")), python(str(folder / "launch"), "launch")


def _lesson() -> str:
    """What stands in the first frame of the application: the title of the first lesson."""
    return built_in_lessons()[0].title
