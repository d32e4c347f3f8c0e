"""The command line as a user meets it: words, exit codes, pipes, Ctrl-C."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from terminals import Terminal

from dltutor.cli import main
from dltutor.progress import Progress


@pytest.fixture
def terminal(labs: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_(*arguments: str, **options: Any) -> Terminal:
        opened.append(Terminal(*arguments, **options))
        return opened[-1]

    yield open_
    for terminal in opened:
        terminal.close()


@pytest.fixture
def said(labs: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Call `dltutor` in this process: exit code, output, errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        return code, *capfd.readouterr()

    return call


LABS = Path(__file__).parent / "fixtures" / "labs"
LONGEST = 300.0  # seconds after which a command hangs


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]


# ---------------------------------------------------------------- asking


def test_the_help_shows_every_command_and_examples(said):
    code, out, _ = said("--help")
    assert code == 0
    for command in ("launch", "list", "run", "warm", "doctor", "progress", "dltutor run 06-mlp --set lr=0.1 --seed 7"):
        assert command in out


def test_without_a_command_the_help_is_shown(said):
    assert said()[:2] == said("--help")[:2]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["lunch"], "lunch"),
        (["run"], "LESSON"),
        (["run", "no-such-lesson"], "no-such-lesson"),
        (["run", "tinny"], "tiny"),
        (["run", "tiny", "--set", "lr"], "KNOB=VALUE"),
        (["run", "tiny", "--set", "rate=1"], "rate"),
        (["run", "tiny", "--set", "lr=fast"], "fast"),
        (["run", "tiny", "--set", "lr=1e9"], "100"),
        (["run", "tiny", "--steps", "0"], "--steps"),
        (["run", "tiny", "--seed", "-1"], "--seed"),
        (["run", "tiny", "--device", "abacus"], "abacus"),
        (["run", "tiny", "--jsonl", "--plot"], "--plot"),
        (["warm", "no-such-lesson"], "no-such-lesson"),
        (["progress", "reset"], "--yes"),
        (["progress", "reset", "no-such-lesson", "--yes"], "no-such-lesson"),
        (["launch", "tiny"], "dltutor run"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_refused_by_name_and_with_code_2(said, arguments, named):
    code, out, errors = said(*arguments)
    assert code == 2
    assert named in errors
    assert out == ""
    assert "Traceback" not in errors


def test_a_lesson_without_a_lab_says_where_to_read_it(said, home):
    folder = home / "lessons" / "words"
    folder.mkdir(parents=True)
    (folder / "lesson.md").write_text(
        "---\nid: words\ntitle: Words\npart: 1\nminutes: 1\nquestion: What?\n---\n\n## One {#one}\n\nOnly words.\n"
    )
    code, _, errors = said("run", "words")
    assert code == 2
    assert "dltutor launch words" in errors


def test_a_broken_lesson_is_a_failure_that_names_its_line(said, home):
    folder = home / "lessons" / "broken"
    folder.mkdir(parents=True)
    (folder / "lesson.md").write_text("---\nid: broken\ntitle: [\n---\n")
    code, _, errors = said("run", "broken")
    assert code == 1
    assert "lesson.md:" in errors
    code, out, _ = said("list")
    assert code == 0
    assert "broken" in out and "tiny" in out


def test_everything_is_said_in_chinese_where_that_is_asked_for(said, dltutor):
    chinese = dltutor("list", env=os.environ | {"DLTUTOR_LANG": "zh"})
    assert chinese.returncode == 0
    assert "多层感知机" in chinese.stdout
    assert "多层感知机" not in said("list")[1]


def test_the_language_last_chosen_in_the_application_is_spoken(labs, home, dltutor, monkeypatch):
    monkeypatch.delenv("DLTUTOR_LANG")
    with Progress.open() as progress:
        progress.set_preference("language", "zh")
    assert "多层感知机" in dltutor("list").stdout


def test_a_poor_encoding_gets_question_marks_not_a_traceback(dltutor):
    call = dltutor("list", env=os.environ | {"PYTHONIOENCODING": "ascii", "DLTUTOR_LANG": "zh"})
    assert call.returncode == 0
    assert call.stderr == ""
    assert "tiny" in call.stdout


# ---------------------------------------------------------------- the course


def test_the_list_holds_every_lesson_and_how_far_it_is(said):
    with Progress.open() as progress:
        progress.complete("tiny", "one")
    rows = {row["id"]: row for row in json.loads(said("list", "--json")[1])}
    assert {"01-linear-regression", "tiny", "faulty"} <= set(rows)
    assert rows["tiny"] | {"folder": ""} == {
        "id": "tiny", "title": "A tiny run", "part": 1, "minutes": 1, "state": "done", "requires": [],
        "question": "Does it go down?", "sections": 1, "completed": 1, "folder": "", "problem": "",
        "exercises": 0, "passed": 0,
    }  # fmt: skip
    assert rows["faulty"]["state"] == "new"


# ---------------------------------------------------------------- run


def test_json_lines_are_the_setting_every_step_and_a_summary(said):
    code, out, errors = said("run", "tiny", "--jsonl", "--steps", "12", "--seed", "5", "--set", "lr=0.05")
    setting, *steps, summary = objects(out)
    assert (code, errors) == (0, "")
    assert setting["lesson"] == "tiny"
    assert setting["knobs"] == {"lr": 0.05, "points": 50}
    assert (setting["seed"], setting["steps"], setting["device"]) == (5, 12, "cpu")
    assert [step["step"] for step in steps] == list(range(13))
    assert all("loss" in step for step in steps)
    assert [step["step"] for step in steps if "test_loss" in step] == [0, 10]
    assert summary["summary"]["metrics"]["loss"] == steps[-1]["loss"]
    assert summary["summary"]["ended"] == "done"


def test_the_same_seed_gives_the_same_bytes_recorded_or_not(said, tmp_path):
    from dltutor.link import recorded_lesson

    first = said("run", "tiny", "--jsonl", "--seed", "5")[1]
    file = tmp_path / "tiny.jsonl"
    assert said("run", "tiny", "--jsonl", "--seed", "5", "--record", str(file))[1] == first
    assert recorded_lesson(file) == "tiny"
    assert said("run", "tiny", "--jsonl", "--seed", "6")[1] != first


def test_a_lesson_can_be_named_by_its_folder(said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copied = tmp_path / "mine"
    copied.mkdir()
    for file in ("lesson.md", "lab.py"):
        text = (LABS / "tiny" / file).read_text()
        (copied / file).write_text(text.replace("id: tiny", "id: mine"))
    _, out, errors = said("run", "./mine", "--jsonl")
    assert objects(out)[0]["lesson"] == "mine", errors
    copied.rename(tmp_path / "tiny")
    (tmp_path / "tiny" / "lesson.md").write_text((LABS / "tiny" / "lesson.md").read_text())
    assert said("run", "./tiny")[0] == 2  # which of the two?


def test_in_a_pipe_some_twenty_lines_and_the_pictures_in_words(said):
    code, out, _ = said("run", "tiny")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "tiny · lr=0.1 points=50 · seed 0 · cpu"
    assert sum("/40" in line for line in lines) == 21
    assert "training loss" in lines[1]
    assert any(line.startswith("Loss: training loss fell from") for line in lines)
    assert any(line.startswith("Data and fitted line: 50 points") for line in lines)


def test_a_plot_can_be_drawn_into_a_pipe(said, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.setenv("LINES", "30")
    _, out, _ = said("run", "tiny", "--plot")
    assert "Data and fitted line" in out
    assert "┤" in out
    assert "\x1b" not in out


def test_a_run_is_kept(said):
    said("run", "tiny", "--steps", "12", "--seed", "3")
    with Progress.open() as progress:
        (run,) = progress.runs()
        curves = progress.curves(run.id)
    assert (run.lesson, run.steps, run.ended, run.setting["seed"]) == ("tiny", 12, "done", 3)
    assert len(curves["loss"].steps) == 13
    code, out, _ = said("progress", "show")
    assert code == 0
    assert "12 steps" in out


def test_a_run_that_diverges_fails_with_step_and_tensor(said):
    code, out, errors = said("run", "faulty", "--set", "fault=nan", "--jsonl")
    assert code == 1
    assert "step 5" in errors
    assert "hidden.y" in errors
    assert "learning rate" in errors
    *steps, summary = objects(out)
    assert steps[-1] == {"step": 5}
    assert summary["summary"]["step"] == 5
    assert summary["summary"]["tensor"] == "hidden.y"


@pytest.mark.parametrize(
    ("fault", "told"), [("raise", "RuntimeError: the shapes"), ("die", "made up"), ("kill", "SIGKILL")]
)
def test_a_lab_or_an_engine_that_fails_is_told_with_what_it_said_last(said, fault, told):
    code, _, errors = said("run", "faulty", "--set", f"fault={fault}")
    assert code == 1
    assert told in errors
    assert "\ndltutor: " in f"\n{errors}"  # where it was slow to start, there is a line before


def test_what_a_lab_prints_stays_out_of_the_json(said):
    code, out, errors = said("run", "faulty", "--set", "fault=print", "--jsonl")
    assert code == 0
    assert "one two 3\n" in errors
    assert len(objects(out)) == 23


def test_warming_says_what_was_compiled(said):
    code, out, _ = said("warm", "layered")
    assert code == 0
    assert "layered: 5 kernels ready in" in out


# ---------------------------------------------------------------- progress


def test_an_export_comes_back_whole(said, home, tmp_path):
    with Progress.open() as progress:
        progress.complete("tiny", "one")
    file = tmp_path / "progress.json"
    assert said("progress", "export", str(file))[0] == 0
    assert said("progress", "reset", "--yes")[0] == 0
    with Progress.open() as progress:
        assert progress.completed("tiny") == set()
    assert said("progress", "import", str(file))[0] == 0
    with Progress.open() as progress:
        assert progress.completed("tiny") == {"one"}


def test_an_export_without_a_file_goes_to_the_output(said):
    assert json.loads(said("progress", "export")[1])["format"]


@pytest.mark.parametrize("text", [None, "nonsense", "{}", b"\xff\xfe"])
def test_what_is_no_export_is_refused_and_changes_nothing(said, tmp_path, text):
    file = tmp_path / "file.json"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    code, _, errors = said("progress", "import", str(file))
    assert code == 1
    assert "dltutor progress export" in errors


def test_an_export_that_cannot_be_written_leaves_nothing_behind(said, tmp_path):
    code, _, errors = said("progress", "export", str(tmp_path / "none" / "file.json"))
    assert code == 1
    assert "file.json" in errors
    assert list(tmp_path.iterdir()) == []


def test_resetting_one_lesson_leaves_the_others(said):
    with Progress.open() as progress:
        progress.complete("tiny", "one")
        progress.complete("faulty", "one")
    assert said("progress", "reset", "tiny", "--yes")[0] == 0
    with Progress.open() as progress:
        assert progress.completed("tiny") == set()
        assert progress.completed("faulty") == {"one"}


def test_resetting_asks_first(terminal):
    with Progress.open() as progress:
        progress.complete("tiny", "one")
    shown = terminal("progress", "reset", "tiny")
    shown.until("[y/N]")
    shown.press("n\r")
    assert shown.end() == 1
    with Progress.open() as progress:
        assert progress.completed("tiny") == {"one"}


# ---------------------------------------------------------------- where nothing can be written


def test_a_data_folder_that_cannot_be_written_is_told_and_the_run_goes_on(dltutor, tmp_path):
    (tmp_path / "file").touch()
    call = dltutor("run", "tiny", "--jsonl", env=os.environ | {"DLTUTOR_HOME": str(tmp_path / "file" / "home")})
    assert call.returncode == 0
    assert len(objects(call.stdout)) == 43
    assert "DLTUTOR_HOME" in call.stderr
    assert "Traceback" not in call.stderr


def test_a_full_disk_behind_the_output_is_a_failure_in_words(dltutor, tmp_path):
    with (tmp_path / "out").open("w") as out:
        child = subprocess.run(
            [sys.executable, "-m", "dltutor", "run", "tiny", "--jsonl", "--steps", "1000"],
            stdout=out, stderr=subprocess.PIPE, text=True, timeout=LONGEST, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)),
        )  # fmt: skip
    assert child.returncode == 1
    assert "too large" in child.stderr
    assert "Traceback" not in child.stderr


def test_a_reader_that_goes_away_is_no_trouble(labs):
    command = f"{sys.executable} -m dltutor run tiny --jsonl --steps 100000 | head -1"
    child = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=LONGEST, check=True)
    assert objects(child.stdout)[0]["lesson"] == "tiny"
    assert child.stderr == ""


# ---------------------------------------------------------------- a terminal, and Ctrl-C


def test_on_a_terminal_the_plot_is_live_and_stays(terminal):
    shown = terminal("run", "tiny", "--steps", "2000")
    assert shown.end() == 0
    assert "2000/2000" in shown.written
    assert "┤" in shown.written
    assert "Loss: training loss fell" in shown.written
    assert shown.is_restored


def test_a_dumb_terminal_gets_lines(terminal):
    shown = terminal("run", "tiny", TERM="dumb")
    assert shown.end() == 0
    assert "\x1b" not in shown.written


def test_ctrl_c_ends_a_run_with_its_summary(terminal):
    shown = terminal("run", "tiny", "--steps", "1000000000")
    shown.until("┤")
    shown.press("\x03")
    assert shown.end() == 130
    assert "stopped: " in shown.written
    assert "Traceback" not in shown.written
    assert shown.is_restored
    with Progress.open() as progress:
        assert progress.runs()[0].ended == "stopped"


def test_ctrl_c_ends_a_run_in_a_pipe_with_its_summary(labs):
    program = """
import sys
from dltutor import cli, headless
headless.WORD = 1000.0  # a machine with other work may stop late: not a word of that
sys.exit(cli.main(["run", "tiny", "--jsonl", "--steps", "1000000000"]))
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    child.stdout.readline()
    child.send_signal(signal.SIGINT)
    out, errors = child.communicate(timeout=LONGEST)
    assert child.returncode == 130
    assert objects(out.decode())[-1]["summary"]["ended"] == "stopped"
    assert errors == b""


def test_ctrl_c_twice_ends_even_a_step_that_never_ends(terminal, home):
    shown = terminal("run", "faulty", "--set", "fault=forever")
    shown.until("0/20")
    while not (home / "forever").exists():
        shown.idle()
    shown.press("\x03")
    shown.until("Ctrl-C again")
    shown.press("\x03")
    assert shown.end() == 130
    assert "Traceback" not in shown.written
    assert shown.is_restored


def test_ctrl_c_while_starting_is_quiet(labs):
    """At whatever moment of the start it falls, once Python runs our code."""
    for place in ("dltutor.i18n", "click", "dltutor.commands", "dltutor.progress", "dltutor.headless"):
        program = f"""
import os, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {place!r}:
            os.kill(os.getpid(), signal.SIGINT)
from dltutor.cli import main
sys.meta_path.insert(0, Interrupting())
sys.exit(main(["run", "tiny"]))
"""
        child = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=LONGEST, check=False
        )
        assert child.returncode == 130, (place, child.stderr)
        assert "Traceback" not in child.stderr


# ---------------------------------------------------------------- launch


def test_a_lesson_that_is_not_there_is_told_before_the_screen_changes(terminal):
    shown = terminal("launch", "no-such-lesson")
    assert shown.end() == 2
    assert "no-such-lesson" in shown.written
    assert "\x1b[?1049h" not in shown.written


def test_launching_shows_the_course_and_leaving_restores_the_terminal(terminal):
    shown = terminal("launch")
    shown.until("A tiny run")
    shown.press("q")
    assert shown.end() == 0
    assert shown.is_restored


def test_after_leaving_each_run_is_told_in_words(terminal):
    shown = terminal("launch", "tiny")
    shown.until("space")
    shown.press(" ")
    shown.sees("40/40")
    shown.press("q")
    assert shown.end() == 0
    assert "A tiny run: training loss fell from 7.81 to 0.0201 in 40 steps" in shown.written
    assert shown.is_restored


def test_a_recording_plays_in_the_application_without_a_question(terminal, said, tmp_path):
    file = tmp_path / "tiny.jsonl"
    assert said("run", "tiny", "--record", str(file))[0] == 0
    shown = terminal("launch", "--play", str(file), LC_ALL="C.UTF-8", DLTUTOR_GLYPHS="")
    shown.sees("40/40")
    shown.press("\x11")  # ctrl+q
    assert shown.end() == 0
    assert shown.is_restored


def test_what_is_no_recording_is_told_before_the_screen_changes(terminal, tmp_path):
    (tmp_path / "file").write_text("nonsense")
    shown = terminal("launch", "--play", str(tmp_path / "file"))
    assert shown.end() == 1
    assert "--record" in shown.written
    assert "\x1b[?1049h" not in shown.written
