"""What the doctor finds, and whether it can be mended by what it says."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from threading import Thread
from typing import Any

import pytest

from dltutor import doctor
from dltutor.doctor import Finding, ask
from dltutor.progress import Progress


def answered(**told: Any) -> Future[dict[str, Any]]:
    future: Future[dict[str, Any]] = Future()
    future.set_result(told)
    return future


def only(found: Any) -> Finding:
    (finding,) = found
    return finding


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Finding]]:
    """Everything that is looked at, without children: they have tests of their own."""
    answers = {"compiler": {"numba": "1", "cpu": "abacus", "threads": 2, "layer": "omp"}, "gpu": {"found": False}}
    answers["room"] = {"tier": "namespaces"}
    monkeypatch.setattr(doctor, "QUESTIONS", answers | {"data": {"message": "no Fashion-MNIST", "hint": "get it"}})
    monkeypatch.setattr(doctor, "ask", lambda answer: answer)
    monkeypatch.setattr(doctor, "round_trip", lambda: None)
    return lambda: {finding.name: finding for finding in doctor.examine()}


def test_on_a_machine_that_works_all_is_named_and_nothing_stops(dltutor):
    call = dltutor("doctor", "--json")
    report = json.loads(call.stdout)
    found = {check["name"]: check for check in report["checks"]}
    assert call.returncode == 0, call.stdout
    assert report["ok"]
    for name in ("python", "packages", "numba", "threading layer", "kernel cache", "progress", "terminal", "size"):
        assert found[name]["value"]
    for name in (
        "colours",
        "characters",
        "ssh",
        "round trip",
        "gpu",
        "your code",
        "data sets",
        "Fashion-MNIST",
        "lessons",
    ):
        assert found[name]["value"]


def test_every_problem_comes_with_what_mends_it(examined, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DLTUTOR_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    problems = [finding for finding in examined().values() if finding.problem]
    assert {"kernel cache", "progress"} <= {finding.name for finding in problems}
    assert all(finding.mend for finding in problems)
    assert not any(finding.stops for finding in problems)


def test_the_report_ends_with_shapes_to_look_at_and_a_verdict(examined, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "lessons", list)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    code = doctor.report(as_json=False)
    out = capsys.readouterr().out
    assert code == 0
    assert "Which of these can you see?" in out
    for shape in ("⣶⣿", "▀▄█", "▁▂▃", "─│┌", "神经网络", "DLTUTOR_GLYPHS"):
        assert shape in out
    assert out.splitlines()[-1] == "Everything is fine."


def test_a_compiler_that_does_not_load_stops_the_tutor():
    finding = only(doctor.compiler(answered(error="ImportError: Numba needs NumPy 2.4 or less")))
    assert finding.stops
    assert "NumPy 2.4" in finding.problem
    assert "pip install" in finding.mend


def test_a_missing_package_stops_the_tutor(monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "no-such-package"))
    finding = next(finding for finding in doctor.software() if finding.problem)
    assert "no-such-package" in finding.problem
    assert finding.stops


def test_a_child_that_crashes_hangs_or_babbles_is_an_answer(monkeypatch):
    assert "made up" in ask("raise RuntimeError('made up')")["error"]
    assert ask("import os; os._exit(1)")["error"]
    assert ask("import os; os.kill(os.getpid(), 11)")["error"]
    assert ask("print('babble'); answer = {'a': 1}") == {"a": 1}
    monkeypatch.setattr(doctor, "CHILD_SECONDS", 0.01)
    assert "0 s" in ask("while True: pass")["error"]


def test_the_child_knows_the_compiler_and_the_data():
    assert set(ask(doctor.QUESTIONS["compiler"])) == {"numba", "cpu", "threads", "layer"}
    assert set(ask(doctor.QUESTIONS["data"])) <= {"folder", "message", "hint"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing makes the walls better")
@pytest.mark.parametrize(
    ("told", "says", "mend"),
    [
        ({"tier": "namespaces"}, "namespaces", ""),
        ({"tier": "landlock"}, "Landlock", "sysctl"),
        ({"tier": "limits"}, "accidents", "sysctl"),
        ({"error": "made up"}, "made up", "pip install"),
    ],
)
def test_the_walls_around_the_learners_code_and_what_makes_them_better(monkeypatch, tmp_path, told, says, mend):
    (tmp_path / "closed").write_text("0\n", encoding="utf-8")
    monkeypatch.setattr(doctor, "OPENED_BY", {str(tmp_path / "closed"): ("0", "sudo sysctl -w door=1")})
    finding = only(doctor.room(answered(**told)))
    assert says in finding.value + finding.problem
    assert mend in finding.mend
    assert bool(mend) == bool(finding.mend)


@pytest.mark.parametrize(
    ("told", "driver", "problem", "mend"),
    [
        ({"found": True, "name": "RTX", "capability": "8.9"}, True, "", ""),
        ({"found": False, "package": ""}, False, "", "driver"),
        ({"found": False, "package": ""}, True, "package", "dltutor[cuda]"),
        ({"found": False, "package": "0.30"}, True, "0.30", "nvidia-smi"),
        ({"error": "segmentation fault", "package": "0.30"}, True, "segmentation", "nvidia-smi"),
    ],
)
def test_a_gpu_or_why_not(monkeypatch, told, driver, problem, mend):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/bin/{name}" if driver else None)
    finding = only(doctor.gpu(answered(**told)))
    assert problem in finding.problem and bool(problem) == bool(finding.problem)
    assert mend in finding.mend
    assert not finding.stops


FAR = {"SSH_CONNECTION": "192.0.2.7 50000 192.0.2.1 22"}
PERSONAL = ("SSH_CONNECTION", "TMUX", "STY", "COLORTERM", "TERM_PROGRAM", "WT_SESSION", "LC_TERMINAL")


@pytest.mark.parametrize(
    ("environment", "name", "told"),
    [
        ({"TERM": "xterm-256color"}, "colours", "export COLORTERM=truecolor"),
        ({"TERM": "xterm-256color"} | FAR, "colours", "SetEnv COLORTERM=truecolor   in your own ~/.ssh/config"),
        ({"TERM": "xterm"}, "colours", "TERM=xterm-256color"),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, "colours", "unset NO_COLOR"),
        ({"DLTUTOR_COLORS": "many"}, "colours", "DLTUTOR_COLORS=many is none of auto, true, 256, 16, mono"),
        ({"LC_ALL": "C"}, "characters", "LC_ALL=C.UTF-8"),
        ({"TERM": "linux", "LC_ALL": "C.UTF-8"}, "characters", "--glyphs block"),
        ({"DLTUTOR_GLYPHS": "stars"}, "characters", "unset DLTUTOR_GLYPHS"),
        (FAR, "ssh", "192.0.2.7"),
        (FAR, "ssh", "tmux new -A"),
        ({"TMUX": "/tmp/tmux-0/default,1,0", "TERM": "tmux-256color"}, "multiplexer", "tmux.conf"),
        ({"STY": "1.pts", "TERM": "screen"}, "multiplexer", "screen"),
    ],
)
def test_the_terminal_and_the_way_to_it(examined, monkeypatch, environment, name, told):
    for variable in PERSONAL:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    finding = examined()[name]
    assert told in f"{finding.value} {finding.problem} {finding.mend}"


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"TERM": "xterm-kitty"} | FAR, "colours"),
        ({"TERM": "xterm-kitty", "DLTUTOR_COLORS": "256"}, "colours"),
        ({"TERM": "linux"}, "colours"),
        ({"TMUX": "/tmp/tmux-0/default,1,0"} | FAR, "ssh"),  # what would keep it is there
        ({"TMUX": "/tmp/tmux-0/default,1,0", "COLORTERM": "truecolor"}, "multiplexer"),
        ({"LC_ALL": "C.UTF-8"}, "characters"),
        ({}, "ssh"),
    ],
)
def test_where_all_is_well_nothing_is_advised(examined, monkeypatch, environment, name):
    for variable in PERSONAL:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert examined()[name].mend == ""


def test_what_the_learner_once_saw_is_what_the_doctor_tells(examined, monkeypatch):
    monkeypatch.setenv("TERM", "foot")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    with Progress.open() as progress:
        progress.set_preference("glyphs of foot", "block")
    assert examined()["characters"].value.endswith(", block")


# ---------------------------------------------------------------- the link


@pytest.mark.parametrize(
    ("trip", "environment", "value", "mend"),
    [
        (0.0123, FAR, "12.3 ms", ""),
        (0.25, FAR, "250.0 ms", "ssh -C"),
        (0.25, FAR | {"TMUX": "x"}, "as far as tmux", ""),
        (None, FAR, "not measured", ""),
    ],
)
def test_the_links_round_trip_and_what_makes_it_shorter(monkeypatch, trip, environment, value, mend):
    for variable in ("TMUX", "STY"):
        monkeypatch.delenv(variable, raising=False)
    for variable, setting in environment.items():
        monkeypatch.setenv(variable, setting)
    finding = next(finding for finding in doctor.connection(trip) if finding.name == "round trip")
    assert value in finding.value
    assert mend in finding.mend and bool(mend) == bool(finding.mend)


class Answering(Thread):
    """A terminal that reports its cursor, after it has pressed some keys."""

    def __init__(self, keys: bytes = b"") -> None:
        super().__init__(daemon=True)
        self.screen, self.tty = os.openpty()
        self.keys = keys
        os.write(self.screen, keys)

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while asked := os.read(self.screen, 256).count(doctor.QUESTION):
                os.write(self.screen, asked * b"\x1b[12;7R")


@pytest.fixture
def answering() -> Iterator[Callable[..., Answering]]:
    made: list[Answering] = []

    def make(*arguments: Any) -> Answering:
        made.append(Answering(*arguments))
        return made[-1]

    yield make
    for each in made:
        os.close(each.tty)
        os.close(each.screen)


def test_the_terminal_is_asked_and_left_as_it_was(answering, monkeypatch):
    monkeypatch.setattr(doctor, "SILENCE", 300.0)
    terminal = answering()
    before = termios.tcgetattr(terminal.tty)
    terminal.start()
    trip = doctor._asked(terminal.tty)
    assert trip is not None and 0 < trip < doctor.SILENCE
    assert termios.tcgetattr(terminal.tty) == before


def test_a_terminal_that_does_not_answer_is_not_waited_for_long(answering, monkeypatch):
    monkeypatch.setattr(doctor, "SILENCE", 0.01)
    terminal = answering()
    before = termios.tcgetattr(terminal.tty)
    assert doctor._asked(terminal.tty) is None
    assert termios.tcgetattr(terminal.tty) == before


def test_keys_that_were_typed_ahead_are_not_lost(answering):
    terminal = answering(b"ls\n")
    assert doctor._asked(terminal.tty) is None
    assert os.read(terminal.tty, 10) == b"ls\n"


def test_without_a_terminal_there_is_nothing_to_measure():
    call = subprocess.run(
        [sys.executable, "-c", "from dltutor import doctor; print(doctor.round_trip())"],
        capture_output=True, text=True, start_new_session=True, check=True,
    )  # fmt: skip
    assert call.stdout == "None\n"


def test_a_dumb_terminal_stops_the_application(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    finding = next(iter(doctor.terminal()))
    assert finding.stops
    assert finding.mend == "export TERM=xterm-256color"


def test_a_lesson_with_a_problem_is_named(examined, home):
    folder = home / "lessons" / "broken"
    folder.mkdir(parents=True)
    (folder / "lesson.md").write_text("---\nid: broken\n---\n")
    finding = examined()["lesson"]
    assert "lesson.md" in finding.problem
    assert not finding.stops


def test_compiled_kernels_are_counted(examined, home, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    assert "0 compiled kernels" in examined()["kernel cache"].value
    assert "dltutor warm" in examined()["kernel cache"].mend
    (home / "numba" / "x").mkdir(parents=True)
    (home / "numba" / "x" / "dense.o").write_bytes(b"x" * 2_000_000)
    assert "1 compiled kernel, 2.0 MB" in examined()["kernel cache"].value
