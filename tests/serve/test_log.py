"""The log: a JSON object a line, for its owner alone, through every rotation."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dltutor.errors import DltutorError
from dltutor.serve.log import Log

HOSTILE = "\x1b]0;mine\x07\r\nfake\u202e\x9b31m\u2028\x7f\ud800"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "server.log"


def test_a_line_says_when_what_and_about_whom(path):
    Log(path).event("came", name="李伟", keys=3, late=None)
    [line] = lines(path)
    assert list(line) == ["time", "event", "name", "keys", "late"]
    assert line["event"], line["name"] == ("came", "李伟")
    told = datetime.fromisoformat(line["time"])
    assert told.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - told) < timedelta(minutes=1)


def test_t17_control_characters_are_escaped(path):
    Log(path).event("denied", name=HOSTILE, many=[HOSTILE, {HOSTILE: HOSTILE}])
    text = path.read_text("utf-8")
    assert text.count("\n") == 1 and text[:-1].isprintable()
    [line] = lines(path)
    assert line["name"] == line["many"][0] == HOSTILE  # nothing is lost to whoever reads it with a program


def test_t17_of_a_fingerprint_there_is_only_the_beginning(path):
    identity = "3f0c22b1a9d4" + 52 * "7"
    Log(path).event("joined", person=identity, file=f"/users/{identity}/x", keys=[identity], by={"key": identity})
    assert "3f0c22b1a9d4" in path.read_text() and "3f0c22b1a9d47" not in path.read_text()


def test_t17_the_trace_of_a_session_s_fault_does_not_repeat_what_was_typed():
    from dltutor.ui.hosted import trace_of

    typed = "swordfish"
    try:
        float(typed)
    except ValueError as error:
        trace = trace_of(error)
    assert "ValueError" in trace and "test_log.py" in trace
    assert "swordfish" not in trace


def test_what_is_no_json_is_told_as_text_and_what_is_long_is_cut(path):
    Log(path).event("fault", folder=path, trace="x" * 1_000_000)
    [line] = lines(path)
    assert line["folder"] == str(path)
    assert len(line["trace"]) < 10_000


@pytest.mark.parametrize("before", [None, 0o644])
def test_nobody_else_can_read_it(path, before):
    if before:
        path.touch()
        path.chmod(before)
    Log(path).event("came")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_after_a_rotation_it_goes_on_in_a_new_file(path):
    log = Log(path)
    log.event("one")
    path.rename(path.with_suffix(".1"))
    log.event("two")
    path.unlink()
    log.event("three")
    assert [line["event"] for line in lines(path.with_suffix(".1"))] == ["one"]
    assert [line["event"] for line in lines(path)] == ["three"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")
def test_a_full_disk_stops_no_class():
    before = os.stat("/dev/full").st_mode
    Log(Path("/dev/full")).event("came")
    assert os.stat("/dev/full").st_mode == before


def test_a_folder_that_goes_away_stops_no_class(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    log = Log(folder / "server.log")
    (folder / "server.log").unlink()
    folder.rmdir()
    log.event("came")
    folder.mkdir()
    log.event("went")
    assert [line["event"] for line in lines(folder / "server.log")] == ["went"]


def test_a_log_that_cannot_be_begun_is_refused(tmp_path):
    with pytest.raises(DltutorError, match="no/such/folder"):
        Log(tmp_path / "no/such/folder")


def test_without_a_file_it_is_the_error_output(capfd):
    Log().event("came", name="ada")
    assert json.loads(capfd.readouterr().err)["name"] == "ada"
