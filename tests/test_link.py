"""The object that owns an engine; recordings and their playback."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dltutor.errors import DltutorError
from dltutor.link import EngineLink, Playback, Recorder, read_recording, recorded_lesson
from dltutor.wire import (
    Event,
    Failed,
    Finished,
    Frame,
    Grant,
    Metrics,
    Open,
    Pause,
    Paused,
    Printed,
    Ready,
    Resume,
    Resumed,
    Start,
    Started,
    encode,
)

LONGEST = 180  # seconds, of an engine that compiles on a busy machine
Drive = Callable[..., Awaitable[list[Event]]]


@pytest.fixture
async def drive(labs: Path) -> AsyncIterator[Drive]:
    """Run a lab over a link to its end, looking at every delivery; all events."""
    links: list[EngineLink] = []

    async def go(lesson: str = "tiny", steps: int = 20, record: Path | None = None, **knobs: Any) -> list[Event]:
        link = EngineLink(record)
        links.append(link)
        await link.start()
        await link.send(Open(lesson))
        events: list[Event] = []
        async with asyncio.timeout(LONGEST):
            async for event in link.events():
                events.append(event)
                if isinstance(event, Ready):
                    await link.send(Grant())
                    await link.send(Start(knobs, 0, steps))
                if isinstance(event, Frame):
                    await link.send(Grant())
                if isinstance(event, Finished | Failed):
                    break
        await link.close()
        go.link = link  # type: ignore[attr-defined]
        return events

    yield go
    for link in links:
        await link.close()


async def heard(link: EngineLink | Playback) -> list[Event]:
    async with asyncio.timeout(LONGEST):
        return [event async for event in link.events()]


# ---------------------------------------------------------------- an engine's end


async def test_a_killed_engine_is_a_failure_with_a_remedy(drive):
    failed = (await drive("faulty", fault="kill"))[-1]
    assert isinstance(failed, Failed)
    assert failed.fatal
    assert "SIGKILL" in failed.message
    assert "start it again" in failed.hint


async def test_the_last_words_of_an_engine_that_died_are_shown(drive):
    failed = (await drive("faulty", fault="die"))[-1]
    assert failed.fatal
    assert "exit code 3" in failed.message
    assert "Fatal Python error: made up" in failed.trace


async def test_a_flood_on_standard_error_does_not_block(drive):
    events = await drive("faulty", fault="flood")
    assert events[-1].reason == "done"


async def test_an_engine_that_cannot_begin_says_why_once(drive, monkeypatch, tmp_path):
    """No folder anywhere for compiled kernels."""
    (tmp_path / "file").touch()
    for name in ("NUMBA_CACHE_DIR", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path / "file" / "no"))
    link = EngineLink()
    monkeypatch.setattr(sys, "executable", str(without_temporary_files(tmp_path)))
    await link.start()
    events = await heard(link)
    assert [type(event) for event in events] == [Printed, Failed]
    assert events[-1].fatal
    assert "TMPDIR" in events[-1].hint


def without_temporary_files(folder: Path) -> Path:
    """A Python that finds no folder for temporary files."""
    script = folder / "python"
    code = "import runpy, sys, tempfile; tempfile._candidate_tempdir_list = lambda: []; sys.argv = sys.argv[2:]"
    code += "; runpy.run_module('dltutor.engine', run_name='__main__')"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$@"\n')
    script.chmod(0o755)
    return script


async def test_closing_ends_the_process_and_is_no_failure(labs):
    link = EngineLink()
    await link.start()
    listening = asyncio.create_task(heard(link))
    await link.send(Open("tiny"))
    await link.close()
    assert not any(isinstance(event, Failed) for event in await listening)
    with pytest.raises(ProcessLookupError):
        os.kill(link.pid, 0)


async def test_sending_to_a_dead_engine_does_nothing(labs):
    link = EngineLink()
    await link.start()
    os.kill(link.pid, signal.SIGKILL)
    assert isinstance((await heard(link))[-1], Failed)
    await link.send(Start())
    await link.close()


async def test_closing_twice_or_before_the_start_is_no_fault():
    link = EngineLink()
    await link.close()
    await link.start()
    await link.close()
    await link.close()


# ---------------------------------------------------------------- recordings


@pytest.fixture
async def recorded(drive: Drive, tmp_path: Path) -> tuple[Path, list[Event]]:
    """A recording, and the events of the run as they were."""
    file = tmp_path / "run.jsonl"
    return file, await drive(record=file)


async def test_a_recording_plays_the_same_events(recorded):
    file, events = recorded
    assert await heard(Playback(file, speed=0)) == events
    assert recorded_lesson(file) == "tiny"


async def test_a_recording_that_was_cut_off_plays_as_far_as_it_goes(recorded):
    file, events = recorded
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) - 30])
    assert await heard(Playback(file, speed=0)) == events[:-1]


async def test_a_recording_holds_the_commands_too(recorded):
    lines = [json.loads(line) for line in recorded[0].read_text().splitlines()[1:]]
    assert next(line["down"][""] for line in lines if "down" in line) == "Open"
    assert all(line["at"] >= 0 for line in lines)


class Watch:
    """Follows a playback, event by event."""

    def __init__(self, playback: Playback) -> None:
        self.events = playback.events()

    async def until(self, kind: type) -> Event:
        async with asyncio.timeout(LONGEST):
            async for event in self.events:
                if isinstance(event, kind):
                    return event
        raise AssertionError("the playback ended")


async def test_a_playback_can_be_paused_and_repeated(recorded):
    playback = Playback(recorded[0], speed=1000)
    watch = Watch(playback)
    await watch.until(Started)
    await playback.send(Pause())
    await watch.until(Paused)
    await playback.send(Resume())
    await watch.until(Resumed)
    first = await watch.until(Finished)
    await playback.send(Start())
    await watch.until(Started)
    assert await watch.until(Finished) == first
    await playback.close()
    assert [event async for event in watch.events] == []


async def test_a_playback_that_was_cut_off_ends_paused_at_its_last_step(recorded):
    file, events = recorded
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    last = [event for event in events if isinstance(event, Metrics)][-1]
    steps = last.first + next(iter(last.columns.values())).shape[0] - 1
    playback = Playback(file, speed=1000)
    assert (await Watch(playback).until(Paused)).step == steps
    await playback.close()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "first line"),
        ("hello\n", "first line"),
        ('{"dltutor_recording":1,"version":"0.1.0"}\n', "nothing was recorded"),
        ('{"dltutor_recording":1,"version":"0.1.0"}\n{"at":0,"up":{"":"Nonsense"}}\n', "not a message"),
        ('{"dltutor_recording":1,"version":"0.1.0"}\nnonsense\n{"at":0,"up":{"":"Resumed","step":0}}\n', "Expecting"),
        ('{"dltutor_recording":1,"version":"0.1.0"}\n[]\n{}\n', "nothing was recorded"),
    ],
)
def test_what_is_no_recording_is_refused_in_words(tmp_path, text, says):
    file = tmp_path / "file.jsonl"
    file.write_text(text)
    with pytest.raises(DltutorError, match=says) as caught:
        read_recording(file)
    assert str(file) in caught.value.message
    assert "--record" in caught.value.hint


def test_a_recording_that_is_not_there_is_named_once(tmp_path):
    with pytest.raises(DltutorError) as caught:
        read_recording(tmp_path / "none.jsonl")
    assert caught.value.message.count("none.jsonl") == 1


def test_a_line_separator_in_a_text_does_not_cut_a_recording(tmp_path):
    file = tmp_path / "run.jsonl"
    recorder = Recorder(file)
    event = Printed("one\u2028two\x85three")
    recorder.note("up", encode(event))
    recorder.close()
    assert [event for _at, event in read_recording(file)] == [event]


def test_recording_where_nothing_can_be_written_is_refused_in_words(tmp_path):
    with pytest.raises(DltutorError, match="cannot record") as caught:
        EngineLink(tmp_path / "no-such-folder" / "run.jsonl")
    assert caught.value.hint


def test_a_full_disk_ends_the_recording_and_says_so(tmp_path):
    """A limit on the size of files stands in for a disk without room."""
    program = f"""
from pathlib import Path
from dltutor.link import Recorder, read_recording
from dltutor.wire import Printed, encode
recorder = Recorder(Path({str(tmp_path / "run.jsonl")!r}))
for number in range(1000):
    recorder.note("up", encode(Printed(f"line {{number}}")))
recorder.close()
print(recorder.notice)
print(read_recording(recorder.path)[0][1].text)
"""
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=LONGEST, check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )  # fmt: skip
    notice, first = child.stdout.splitlines()
    assert "ends early" in notice
    assert first == "line 0"
