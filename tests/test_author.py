"""Every lesson keeps its promises; and where one doesn't, its author is told."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from spoiling import edit
from trying import OpenRoom

from dltutor import author
from dltutor.author import Remark, examine
from dltutor.checking import Grader
from dltutor.grading import process
from dltutor.grading.judge import Judge
from dltutor.lesson.course import built_in, catalogue
from dltutor.wire import Verdict

FIXTURE = Path(__file__).parent / "fixtures" / "practice"
TASK = "practice/mse-backward"


async def remarks(*names: str) -> list[Remark]:
    course = catalogue("en")
    return [remark async for remark in examine(course, [course.find(name) for name in names])]


def problems(*names: str) -> dict[str, str]:
    """What is wrong: where and what -> the problem."""
    found = asyncio.run(remarks(*names))
    return {f"{remark.where}: {remark.what}": remark.problem for remark in found if remark.problem}


# ---------------------------------------------------------------- the built-in lessons, judged as for a learner


@pytest.fixture(scope="module")
def together() -> Iterator[asyncio.Runner]:
    """Runs what needs a grader, with one for all lessons."""
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        one = Grader()

        @asynccontextmanager
        async def kept() -> Any:
            yield one

        patch.setattr(author, "Grader", kept)
        yield runner
        runner.run(one.close())


@pytest.mark.parametrize("lesson", sorted(folder.name for folder in built_in().iterdir()))
def test_the_lessons_of_the_course_keep_their_promises(lesson: str, together: asyncio.Runner) -> None:
    found = together.run(remarks(lesson))
    assert not [remark for remark in found if remark.problem]
    assert len([remark for remark in found if "/" in remark.where]) > 10, "its exercises were tried"


# ---------------------------------------------------------------- a lesson of one's own, judged at once


class Here:
    """Judges in this process, in plain Python."""

    async def __aenter__(self) -> Here:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        pass

    async def check(self, key: str, source: str) -> Verdict:
        return Judge(OpenRoom()).check(process.load(key), source)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lesson of the author's own, to spoil."""
    monkeypatch.setattr(author, "Grader", Here)
    copy = Path(shutil.copytree(FIXTURE, tmp_path / FIXTURE.name))
    monkeypatch.setenv("DLTUTOR_LESSONS", str(copy))
    return copy


def test_a_sound_lesson_of_ones_own_passes(folder: Path) -> None:
    assert not problems("practice")


def test_every_broken_promise_is_named(folder: Path) -> None:
    exercise, hunt = folder / "exercises/mse-backward", folder / "exercises/flat-line"
    solution = (exercise / "solution.py").read_text(encoding="utf-8")
    (exercise / "start.py").write_text(solution)
    (exercise / "wrong_mean.py").write_text(solution.replace("2 / n", "2.0 / n"))
    (exercise / "wrong_sign.py").write_text((exercise / "wrong_overwrites.py").read_text(encoding="utf-8"))
    (exercise / "solution.py").write_text(solution.replace("2 / n", "3 / n"))
    (hunt / "solution.py").write_text((hunt / "start.py").read_text(encoding="utf-8"))
    found = problems("practice")
    assert set(found) == {
        f"{TASK}: the start fails",
        f"{TASK}: the solution passes",
        f"{TASK}: wrong_mean fails: missing_mean",
        f"{TASK}: wrong_sign fails: sign",
        "practice/flat-line: the solution mends the line at fault",
        "practice/flat-line: the mended code passes",
    }
    assert "not_accumulated" in found[f"{TASK}: wrong_sign fails: sign"]


def test_a_start_that_does_not_compile_is_no_start(folder: Path) -> None:
    (folder / "exercises/mse-backward/start.py").write_text("def mse_backward(y, t, dy)\n    pass\n")
    assert "line 1" in problems("practice")[f"{TASK}: the start fails"]


def test_what_is_missing_in_the_text_is_named(folder: Path) -> None:
    (folder / "exercises/flat-line/task.zh.md").unlink()
    shutil.copytree(folder / "exercises/flat-line", folder / "exercises/forgotten")
    lesson = folder / "lesson.md"
    edit(lesson, "part: 1\n", "part: 1\nrequires: [06-mlp]\n")
    found = problems("practice")
    assert "task.zh.md" in found["practice: the text in 简体中文"]
    assert "forgotten" in found["practice: each exercise is asked in the text"]
    assert "06-mlp" in found["practice: prerequisites come before it"]


def test_an_exercise_that_is_not_there_is_named(folder: Path) -> None:
    shutil.rmtree(folder / "exercises/flat-line")
    assert "flat-line" in problems("practice")["practice/flat-line: the task"]


def test_the_command_says_it_all_and_fails(dltutor, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(folder / "exercises/mse-backward")
    ended = dltutor("author", "check", "practice")
    assert ended.returncode == 1
    assert f"✗ {TASK}" in ended.stdout and "✓ practice/flat-line  the mended code passes" in ended.stdout
    assert author.check(("practice",), as_json=True) == 1
    assert all(json.loads(line)["where"].startswith("practice") for line in capsys.readouterr().out.splitlines())
