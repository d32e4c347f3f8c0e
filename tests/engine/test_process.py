"""The engine as a process: nothing that a lab does can corrupt the wire, and nothing is left running."""

from __future__ import annotations

import os
import select
import subprocess
import sys

import pytest
from driving import LONGEST

from dltutor.wire import Failed, Printed, Start

pidfd = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux to wait for another's child")


def test_what_a_lab_prints_arrives_line_by_line(faulty):
    faulty.run(fault="print")
    assert [event.text for event in faulty.of(Printed)] == ["one two 3\n", "no newline"]


def test_writing_past_python_does_not_reach_the_wire(faulty):
    """Through a system call, and from C: a false message among it is not taken for one."""
    assert faulty.run(fault="descriptor").reason == "done"
    assert {type(event).__name__ for event in faulty.events} <= {"Started", "Resumed", "Metrics", "Frame", "Finished"}


def test_an_error_in_a_lab_shows_its_place_and_the_engine_goes_on(faulty):
    faulty.send(Start({"fault": "raise"}, 0, 20))
    failed = faulty.until(Failed)
    assert "RuntimeError: the shapes (3,) and (4,) differ" in failed.message
    assert failed.step == 4
    assert "in raises" in failed.trace
    assert "engine.py" not in failed.trace
    assert not failed.fatal
    assert faulty.metric("loss")[-1] == 1 / 5
    assert faulty.run().reason == "done"


@pytest.mark.parametrize("fault", ["nan", "nan_picture"])
def test_a_bad_number_names_its_step_and_the_first_bad_tensor(faulty, fault):
    """Also where the pictures of such numbers cannot be drawn."""
    faulty.send(Start({"fault": fault}, 0, 20))
    failed = faulty.until(Failed)
    assert (failed.step, failed.tensor) == (5, "hidden.y")
    assert "loss became nan at step 5" in failed.message
    assert "hidden.y" in failed.message
    assert failed.hint


def test_a_lab_may_end_before_its_last_step(faulty):
    assert faulty.run(fault="end").steps == 4


def test_a_lab_that_exits_is_a_failure_like_another(faulty):
    faulty.send(Start({"fault": "exit"}, 0, 20))
    assert "SystemExit" in faulty.until(Failed).message
    assert faulty.run().reason == "done"


def test_pictures_too_large_to_send_are_refused_in_words(faulty):
    faulty.send(Start({"fault": "huge"}, 0, 5))
    failed = faulty.until(Failed)
    assert "MB" in failed.message
    assert failed.hint
    assert faulty.run().reason == "done"


def test_a_line_that_is_no_command_is_told(engine):
    engine.process.stdin.write(b"nonsense\n")
    engine.process.stdin.flush()
    assert "nonsense" in engine.until(Failed).message


def test_ctrl_c_in_the_terminal_leaves_the_engine_alone(home, tmp_path):
    """The terminal signals the whole group; the parent says Stop."""
    program = f"""
import os, signal, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from driving import Driver
from dltutor.wire import *
driver = Driver().open("tiny")
signal.signal(signal.SIGINT, signal.SIG_IGN)  # only now: the engine must not inherit it
driver.send(Start({{}}, 0, 10**9))
driver.until(Resumed)
os.killpg(0, signal.SIGINT)
driver.send(Stop())
print(driver.until(Finished).reason)
driver.close()
"""
    child = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, timeout=LONGEST, start_new_session=True, check=False,
    )  # fmt: skip
    assert child.stdout == "stopped\n", child.stderr


def test_the_end_of_stdin_ends_the_engine(engine):
    engine.open()
    engine.send(Start({}, 0, 10**9))
    engine.process.stdin.close()
    assert engine.process.wait(LONGEST) == 0


def test_nobody_listening_ends_the_engine(engine):
    engine.open("faulty")
    engine.process.stdout.close()
    engine.send(Start({"fault": "print"}, 0, 10**9))
    assert engine.process.wait(LONGEST) == 0


@pidfd
def test_a_parent_that_is_killed_leaves_no_engine_behind(labs):
    program = """
import asyncio
from dltutor.link import EngineLink
from dltutor.wire import *
async def main():
    link = EngineLink()
    await link.start()
    await link.send(Open("tiny"))
    async for event in link.events():
        if isinstance(event, Ready):
            await link.send(Start({}, 0, 10**9))
        if isinstance(event, Resumed):
            print(link.pid, flush=True)
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    engine = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    assert select.select([engine], [], [], LONGEST)[0], "the engine outlived its parent"
    os.close(engine)


# ---------------------------------------------------------------- where nothing can be written


def test_a_cache_that_cannot_be_written_is_told_and_training_goes_on(engine_with, tmp_path):
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    engine = engine_with(NUMBA_CACHE_DIR=str(blocked / "numba")).open()
    assert str(blocked) in engine.of(Printed)[0].text
    assert "DLTUTOR_HOME" in engine.of(Printed)[0].text
    assert engine.run().reason == "done"


def test_a_full_disk_is_told_and_training_goes_on(engine_with, tmp_path):
    """A limit on the size of files stands in for a disk without room."""
    engine = engine_with(NUMBA_CACHE_DIR=str(tmp_path / "numba"), limit=1024).open()
    assert str(tmp_path) in engine.of(Printed)[0].text
    assert engine.run().reason == "done"
