"""An exercise reads as its author meant it, what is malformed is named, and the learner's file is never lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from spoiling import edit

from dltutor import lesson as lessons
from dltutor.errors import DltutorError
from dltutor.lesson import exercises
from dltutor.lesson.exercises import Workbook

FIXTURE = Path(__file__).parents[1] / "fixtures" / "practice"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the lesson, to spoil."""
    return Path(shutil.copytree(FIXTURE, tmp_path / FIXTURE.name))


def load(folder: Path = FIXTURE, name: str = "mse-backward", language: str = "en", strict: bool = False):
    return exercises.load(lessons.load(folder, language), name, strict)


# ---------------------------------------------------------------- a sound exercise


def test_a_task_is_read() -> None:
    exercise = load()
    assert (exercise.key, exercise.title, exercise.minutes) == (
        "practice/mse-backward",
        "Write the gradient of the squared error",
        5,
    )
    assert exercise.kernels == ("dltutor/kernels/mse.py:mse_backward",)
    assert [type(block).__name__ for block in exercise.text] == ["Text", "Formula"]
    assert [wrong.cause for wrong in exercise.wrong] == ["sign", "missing_mean", "not_accumulated"]
    assert "t[i] - y[i]" in exercise.wrong[0].source
    assert not exercise.hunt


def test_a_hunt_knows_where_its_suspects_stand() -> None:
    hunt = load(name="flat-line").hunt
    assert [(suspect.number, suspect.fault) for suspect in hunt.suspects] == [(2, False), (3, True), (4, False)]


def test_a_task_speaks_the_lessons_language() -> None:
    exercise = load(language="zh")
    assert exercise.title == "写出平方误差的梯度"
    assert exercise.wrong[0].why == "误差是 y - t。"
    assert exercise.wrong[0].cause == "sign"
    assert load(name="flat-line", language="zh").hunt.suspects[1].fault


def test_without_a_translation_it_is_in_english_and_says_why(folder: Path) -> None:
    (folder / "exercises/mse-backward/task.zh.md").unlink()
    exercise = load(folder, language="zh")
    assert exercise.title.startswith("Write") and "task.zh.md" in exercise.notice
    with pytest.raises(DltutorError, match=r"task\.zh\.md"):
        load(folder, language="zh", strict=True)


def test_its_title_is_known_without_reading_the_rest(folder: Path) -> None:
    (folder / "exercises/mse-backward/start.py").unlink()
    assert exercises.title(lessons.load(folder, "zh"), "mse-backward") == "写出平方误差的梯度"
    assert exercises.title(lessons.load(folder), "nowhere") == "nowhere"


# ---------------------------------------------------------------- what is malformed

SPOILED = [
    ("minutes: 5", "minutes: none", "minutes"),
    ("mse.py:mse_backward]", "mse.py:mse_sideways]", "mse_sideways"),
    ("[dltutor/kernels/mse.py:mse_backward]", "[somewhere.py]", "names no kernel"),
    ("  - The derivative of the square is 2 (y - t).\n", "", "hints"),
    ("  wrong_sign: {cause: sign, why: The error is y - t.}\n", "", "wrong_sign.py"),
    ("wrong_sign: {cause: sign,", "wrong_sing: {cause: sign,", "wrong_s"),
    ("cause: sign, ", "", "cause"),
    ("title: Write", "colour: red\ntitle: Write", "colour"),
    ("minutes: 5", "minutes: 5\ndevice: abacus", "abacus"),
    ("minutes: 5", "minutes: 5\nlab: {set: {speed: 3}}", "speed"),
    ("Write $", "## A section {#a}\n\nWrite $", "no section"),
    ("Write $", "```quiz\nid: a\n```\n\nWrite $", "quiz"),
]


@pytest.mark.parametrize(("old", "new", "named"), SPOILED, ids=[named for *_edit, named in SPOILED])
def test_what_is_malformed_is_named_with_file_and_line(folder: Path, old: str, new: str, named: str) -> None:
    edit(folder / "exercises/mse-backward/task.md", old, new)
    with pytest.raises(DltutorError, match=named) as caught:
        load(folder)
    assert "task.md:" in str(caught.value) or "wrong_s" in named


HUNTS = [
    (", fault: true, why: A", ", why: A", "exactly one"),
    ("why: The number", "fault: true, why: The number", "exactly one"),
    ('line: "n = y.size"', 'line: "n = t.size"', "stands there once"),
    ("  symptom: The loss falls, and the line stays flat.\n", "", "symptom"),
]


@pytest.mark.parametrize(("old", "new", "named"), HUNTS, ids=range(len(HUNTS)))
def test_a_hunt_has_one_fault_among_lines_that_are_there(folder: Path, old: str, new: str, named: str) -> None:
    edit(folder / "exercises/flat-line/task.md", old, new)
    with pytest.raises(DltutorError, match=named):
        load(folder, "flat-line")


def test_a_hunts_translation_has_a_reason_for_each_line(folder: Path) -> None:
    edit(folder / "exercises/flat-line/task.zh.md", ", 每个元素都轮到了。", "")
    with pytest.raises(DltutorError, match="suspects"):
        load(folder, "flat-line", "zh", strict=True)


@pytest.mark.parametrize("name", ["nowhere", "../practice", "mse_backward", ""])
def test_what_is_not_there_is_said(name: str) -> None:
    with pytest.raises(DltutorError, match="no exercise"):
        load(name=name)


def test_a_misspelt_name_gets_the_one_meant() -> None:
    with pytest.raises(DltutorError, match="mse-backward"):
        load(name="mse-bakward")


# ---------------------------------------------------------------- the learner's file


def test_the_learner_begins_with_the_start_and_keeps_what_they_wrote(home: Path) -> None:
    exercise, book = load(), Workbook()
    assert book.read(exercise) == exercise.start and not book.is_begun(exercise)
    path = book.write(exercise, "def mse_backward(y, t, dy):\n    pass  # 我的\n")
    assert path == home / "exercises/practice/mse-backward.py"
    assert book.read(exercise).endswith("pass  # 我的\n") and book.is_begun(exercise)


def test_a_file_saved_by_another_editor_reads_the_same(home: Path) -> None:
    exercise, book = load(), Workbook()
    book.write(exercise, "")
    book.path(exercise).write_bytes(b"\xef\xbb\xbfx = 1\r\ny = 2\r\n")
    assert book.read(exercise) == "x = 1\ny = 2\n"


@pytest.mark.parametrize(("data", "named"), [(b"\xff\xfe\x00", "UTF-8"), (b"x" * 200_000, "longer")])
def test_a_file_that_is_no_kernel_is_said_and_left_alone(data: bytes, named: str) -> None:
    exercise, book = load(), Workbook()
    book.write(exercise, "")
    book.path(exercise).write_bytes(data)
    with pytest.raises(DltutorError, match=named):
        book.read(exercise)
    assert book.path(exercise).read_bytes() == data


def test_a_pipe_in_its_place_is_said_and_not_waited_for(home: Path) -> None:
    exercise, book = load(), Workbook()
    path = book.write(exercise, "")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DltutorError, match="no ordinary file"):
        book.read(exercise)


def test_a_folder_that_cannot_be_written_is_said(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "exercises").write_text("in the way")
    with pytest.raises(DltutorError, match="can't write"):
        Workbook().write(load(), "x = 1\n")


WRITES = """
import sys
from dltutor import lesson
from dltutor.lesson import exercises
from dltutor.lesson.exercises import Workbook
exercise = exercises.load(lesson.load(__import__("pathlib").Path(sys.argv[1])), "mse-backward")
book, n = Workbook(), 0
while True:
    n += 1
    book.write(exercise, f"# {n}\\n" * 2000)
    print(n, flush=True)
"""


def test_a_kill_leaves_the_old_file_or_the_new_one(home: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITES, str(FIXTURE)], stdout=subprocess.PIPE, text=True)
    for _line in range(20):
        last = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.communicate()
    lines = set(Workbook().read(load()).splitlines())
    assert len(lines) == 1 and int(lines.pop().removeprefix("# ")) >= last
