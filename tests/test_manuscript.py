"""The learner's file is watched however others save it, and no text of theirs is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import watchfiles

from dltutor import lesson as lessons
from dltutor import manuscript
from dltutor.lesson import exercises
from dltutor.lesson.exercises import Exercise, Workbook
from dltutor.manuscript import Manuscript, saves

FIXTURE = Path(__file__).parent / "fixtures" / "practice"
PATIENCE = 120.0  # seconds until a save that is not heard is a failure


@pytest.fixture
def exercise() -> Exercise:
    return exercises.load(lessons.load(FIXTURE), "mse-backward")


def others_save(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# ---------------------------------------------------------------- watching


@asynccontextmanager
async def heard(path: Path) -> AsyncIterator[asyncio.Queue[None]]:
    """What `saves` says of `path`, from before the first save on."""
    queue: asyncio.Queue[None] = asyncio.Queue()
    listening = saves(path)

    async def listen() -> None:
        async for save in listening:
            queue.put_nowait(save)

    task = asyncio.create_task(listen())
    await asyncio.sleep(0)  # so that it has looked at the file once
    yield queue
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def in_place(path: Path) -> None:
    path.write_text("saved in place")


def through_another(path: Path) -> None:
    part = path.with_name("part")
    part.write_text("saved through another file")
    part.replace(path)


@pytest.mark.parametrize("save", [in_place, through_another])
async def test_a_save_is_heard(tmp_path: Path, save: Callable[[Path], None]) -> None:
    path = tmp_path / "kernel.py"
    path.write_text("")
    async with heard(path) as queue:
        save(path)
        await asyncio.wait_for(queue.get(), PATIENCE)


async def test_a_save_is_heard_where_the_system_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on network file systems, and where there are no more watches to be had."""

    def none_left(*_paths: object, **_options: object) -> None:
        raise OSError("no more watches")

    monkeypatch.setattr(watchfiles, "awatch", none_left)
    monkeypatch.setattr(manuscript, "POLL", 0.01)
    path = tmp_path / "kernel.py"
    async with heard(path) as queue:
        in_place(path)
        await asyncio.wait_for(queue.get(), PATIENCE)


async def test_a_folder_that_is_not_there_yet_is_watched_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manuscript, "POLL", 0.01)
    path = tmp_path / "later" / "kernel.py"
    async with heard(path) as queue:
        others_save(path, "here")
        await asyncio.wait_for(queue.get(), PATIENCE)


# ---------------------------------------------------------------- here and elsewhere


def test_it_begins_with_the_start_and_keeps_what_is_written(exercise: Exercise) -> None:
    file = Manuscript(exercise)
    assert file.text == exercise.start and not file.path.exists()
    assert not file.write("mine")
    assert Workbook().read(exercise) == file.text == "mine" and not file.was_saved_elsewhere


def test_what_others_saved_meanwhile_is_put_aside(exercise: Exercise) -> None:
    file = Manuscript(exercise)
    others_save(file.path, "theirs")
    assert file.was_saved_elsewhere
    aside = Path(file.write("mine"))
    assert (file.path.read_text(), aside.read_text()) == ("mine", "theirs")


def test_what_others_saved_can_be_read(exercise: Exercise) -> None:
    file = Manuscript(exercise)
    others_save(file.path, "theirs")
    assert file.read() == "theirs" and not file.was_saved_elsewhere


def test_a_file_that_cannot_be_read_is_put_aside(exercise: Exercise) -> None:
    path = Workbook().path(exercise)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xfe\x00")
    file = Manuscript(exercise)
    assert "UTF-8" in file.notice and file.text == exercise.start
    assert [other.read_bytes() for other in path.parent.iterdir()] == [b"\xff\xfe\x00"]
