"""Exercises from the command line, with verdicts made up in the place of a grader."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from graders import RIGHT, WRONG, FakeGrader
from terminals import Terminal

from dltutor import practice
from dltutor.checking import Grader
from dltutor.errors import UsageError
from dltutor.lesson.course import catalogue
from dltutor.lesson.exercises import Workbook
from dltutor.progress import Progress

FIXTURE = Path(__file__).parent / "fixtures" / "practice"
PATIENCE = 120.0  # seconds until a fact that does not come is a failure


@pytest.fixture
def progress(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Progress]:
    monkeypatch.setenv("DLTUTOR_LESSONS", str(FIXTURE))
    with Progress.open(home) as opened:
        yield opened


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[FakeGrader]]:
    """Let checks come out so; the graders that were asked."""

    def prepare(*answers) -> list[FakeGrader]:
        graders: list[FakeGrader] = []

        def make() -> FakeGrader:
            graders.append(FakeGrader(list(answers)))
            return graders[-1]

        monkeypatch.setattr(practice, "Grader", lambda: Grader(make))
        return graders

    return prepare


def write(name: str, source: str) -> Path:
    return Workbook().write(practice.find(catalogue("en"), name), source)


# ---------------------------------------------------------------- dltutor check


def test_a_check_says_what_is_wrong_and_fails(progress, answer, capsys):
    graders = answer(WRONG)
    write("practice/mse-backward", "def mse_backward(y, t, dy):\n    dy -= y - t\n")
    assert practice.check(progress, "practice/mse-backward", False) == 1
    said = capsys.readouterr().out
    for words in (WRONG.headline, "is it y - t?", "2 │     dy -= y - t", "dy[2, 0]", "-1.25", "here I am"):
        assert words in said
    assert graders[0].asked[0].source.endswith("dy -= y - t\n") and graders[0].closed


def test_a_check_that_passes_is_kept(progress, answer, capsys):
    answer(RIGHT)
    assert practice.check(progress, "flat-line", False) == 0
    assert RIGHT.headline in capsys.readouterr().out
    assert progress.exercise("practice", "flat-line").passed_at


def test_a_check_for_programs_is_json(progress, answer, capsys):
    answer(WRONG)
    assert practice.check(progress, "practice/mse-backward", True) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["exercise"] == "practice/mse-backward" and said["cause"] == "sign" and not said["passed"]
    assert said["worst"][0] == {"place": "dy[2, 0]", "yours": -1.25, "expected": 1.25, "numeric": 1.25000001}


def test_without_a_name_all_are_listed_with_their_states(progress, answer, capsys):
    answer(WRONG)
    practice.check(progress, "flat-line", False)
    capsys.readouterr()
    assert practice.check(progress, "", False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("mse-backward" in line and "Write the gradient of the squared error" in line for line in lines)
    assert any("flat-line" in line and "1 try" in line for line in lines)
    practice.check(progress, "", True)
    states = {one["exercise"]: one["state"] for one in json.loads(capsys.readouterr().out)}
    assert states["practice/flat-line"] == "tried" and states["practice/mse-backward"] == "new"


def test_a_name_that_is_none_gets_close_matches(progress):
    with pytest.raises(UsageError, match="no exercise practice/mse-bakward") as error:
        practice.find(catalogue("en"), "practice/mse-bakward")
    assert "practice/mse-backward" in error.value.hint
    with pytest.raises(UsageError, match="no lesson"):
        practice.find(catalogue("en"), "nowhere/mse-backward")


def test_a_name_that_several_lessons_have_must_say_which(progress):
    names: dict[str, list[str]] = {}
    for heading, name in practice.all_of(catalogue("en")):
        names.setdefault(name, []).append(heading.id)
    shared = next((name for name, lessons in names.items() if len(lessons) > 1), None)
    if shared is None:
        pytest.skip("every exercise has a name of its own")
    with pytest.raises(UsageError) as error:
        practice.find(catalogue("en"), shared)
    assert all(f"{lesson}/{shared}" in error.value.message for lesson in names[shared])


def test_the_commands_say_what_they_do(dltutor):
    for command in ("check", "watch"):
        assert "EXERCISE" in dltutor(command, "--help").stdout
    missing = dltutor("check", "nowhere")
    assert missing.returncode == 2 and "no exercise nowhere" in missing.stderr


# ---------------------------------------------------------------- dltutor watch


class Watched:
    """A watcher at work, and what it has said."""

    def __init__(self, watcher: practice.Watcher, capsys: pytest.CaptureFixture[str]) -> None:
        self.watcher, self._capsys, self.said = watcher, capsys, ""

    async def until(self, words: str) -> None:
        """Wait until it says `words`, and forget what it had said before."""
        deadline = time.monotonic() + PATIENCE
        while not re.search(words, self.said):
            assert time.monotonic() < deadline, f"{words!r} did not come: {self.said}"
            await asyncio.sleep(0.01)
            self.said += self._capsys.readouterr().out
        self.said = ""

    def press(self, key: str) -> None:
        self.watcher._wanted.put_nowait(practice.KEYS[key])


@asynccontextmanager
async def watching(progress: Progress, name: str, capsys: pytest.CaptureFixture[str]):
    course = catalogue("en")
    watched = Watched(practice.Watcher(course, progress, practice.find(course, name)), capsys)
    task = asyncio.create_task(watched.watcher.run())
    yield watched
    watched.press("q")
    await asyncio.wait_for(task, PATIENCE)


async def test_each_save_is_checked(progress, answer, capsys):
    graders = answer(WRONG, RIGHT)
    async with watching(progress, "practice/mse-backward", capsys) as watched:
        await watched.until(re.escape(WRONG.headline))
        path = write("practice/mse-backward", "def mse_backward(y, t, dy):\n    dy += t\n")
        await watched.until(re.escape(RIGHT.headline))
    assert graders[0].asked[-1].source == path.read_text() and graders[0].closed
    assert progress.exercise("practice", "mse-backward").attempts == 2


async def test_the_path_is_told_and_the_file_is_there(progress, answer, capsys):
    answer(WRONG)
    async with watching(progress, "practice/mse-backward", capsys) as watched:
        await watched.until("mse-backward.py")
    assert Workbook().is_begun(practice.find(catalogue("en"), "practice/mse-backward"))


async def test_keys_check_and_give_hints(progress, answer, capsys):
    graders = answer(WRONG)
    async with watching(progress, "practice/mse-backward", capsys) as watched:
        await watched.until(re.escape(WRONG.headline))
        watched.press("\n")
        await watched.until(re.escape(WRONG.headline))
        watched.press("h")
        await watched.until("Hint 1 of 3")
        watched.press("h")
        await watched.until("Hint 2 of 3")
    assert len(graders[0].asked) == 2 and progress.exercise("practice", "mse-backward").hints == 2


async def test_success_goes_on_only_when_asked(progress, answer, capsys):
    answer(RIGHT)
    async with watching(progress, "practice/mse-backward", capsys) as watched:
        await watched.until("Done")
        watched.press("n")
        await watched.until("flat-line.py")


async def test_a_check_that_takes_long_keeps_nobody_from_leaving(progress, answer, capsys):
    graders = answer(None)
    async with watching(progress, "practice/mse-backward", capsys) as watched:
        await watched.until("mse-backward.py")
        watched.press("h")
        await watched.until("Hint 1 of 3")
    assert graders[0].asked and graders[0].closed


@pytest.mark.parametrize("key", ["q", "\x03"])
def test_a_key_ends_it_and_leaves_the_terminal_as_it_was(progress, key):
    terminal = Terminal("watch", "practice/mse-backward")
    try:
        terminal.until("mse-backward.py")
        terminal.press(key)
        assert terminal.end() == 0 and terminal.is_restored
    finally:
        terminal.close()


async def test_a_file_that_cannot_be_read_is_told_and_watched_on(progress, answer, capsys):
    answer(RIGHT)
    path = write("practice/mse-backward", "")
    path.write_bytes(b"\xff\xfe\x00")
    async with watching(progress, "practice/mse-backward", capsys) as watched:
        await watched.until("is not UTF-8")
        path.write_text("def mse_backward(y, t, dy):\n    pass\n")
        await watched.until(re.escape(RIGHT.headline))


def test_the_first_that_has_not_passed_is_next(progress, monkeypatch):
    course = catalogue("en")
    keys = [f"{heading.id}/{name}" for heading, name in practice.all_of(course)]
    first = practice.first_open(course, progress)
    assert first and first.key == keys[0]
    progress.note_attempt(first.lesson, first.name, "", True, "", "")
    second = practice.first_open(course, progress)
    assert second and second.key == keys[1]
    behind = practice.first_open(course, progress, keys[2])
    assert behind and behind.key == keys[3]
