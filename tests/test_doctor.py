"""What the doctor finds, and whether it can be mended by what it says."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from dltutor import doctor
from dltutor.doctor import Finding, ask


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
    return lambda: {finding.name: finding for finding in doctor.examine()}


def test_on_a_machine_that_works_all_is_named_and_nothing_stops(dltutor):
    call = dltutor("doctor", "--json")
    report = json.loads(call.stdout)
    found = {check["name"]: check for check in report["checks"]}
    assert call.returncode == 0, call.stdout
    assert report["ok"]
    for name in ("python", "packages", "numba", "threading layer", "kernel cache", "progress", "terminal", "size"):
        assert found[name]["value"]
    for name in ("colours", "characters", "ssh", "gpu", "your code", "data sets", "Fashion-MNIST", "lessons"):
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


@pytest.mark.parametrize(
    ("environment", "name", "told"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": ""}, "colours", "COLORTERM=truecolor"),
        ({"TERM": "xterm", "COLORTERM": ""}, "colours", "TERM=xterm-256color"),
        ({"LC_ALL": "C"}, "characters", "LC_ALL=C.UTF-8"),
        ({"SSH_CONNECTION": "192.0.2.7 50000 192.0.2.1 22"}, "ssh", "192.0.2.7"),
        ({"TMUX": "/tmp/tmux-0/default,1,0", "COLORTERM": ""}, "multiplexer", "tmux.conf"),
        ({"STY": "1.pts", "TMUX": ""}, "multiplexer", "screen"),
    ],
)
def test_the_terminal_and_the_way_to_it(examined, monkeypatch, environment, name, told):
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    finding = examined()[name]
    assert told in f"{finding.value} {finding.mend}"


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
