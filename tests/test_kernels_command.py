"""`dltutor kernels`: what is told of every operation, and of what has been proven here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dltutor.cli import main
from dltutor.kernels import relu
from dltutor.proof import survey


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLTUTOR_HOME", str(tmp_path))


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict]:
    main(["kernels", "--json", *arguments])
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)}


def test_every_operation_has_a_formula_and_kernels_for_both_devices(capsys: pytest.CaptureFixture[str]) -> None:
    for name, row in listed(capsys).items():
        assert row["formulas"], name
        assert row["cpu"] and row["cuda"], name
        assert row["lessons"], name
        assert row["checks"], name


def test_what_has_been_checked_is_kept_until_a_kernel_changes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(listed(capsys, "relu")["relu"]["checks"].values()) == {"not run"}
    assert set(listed(capsys, "relu", "--check")["relu"]["checks"].values()) == {"passed"}
    assert set(listed(capsys, "relu")["relu"]["checks"].values()) == {"passed"}
    monkeypatch.setattr(survey, "source_stamp", lambda: b"another")
    assert set(listed(capsys, "relu")["relu"]["checks"].values()) == {"not run"}


def test_a_wrong_kernel_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relu, "relu_forward", relu.relu_backward)
    assert main(["kernels", "relu", "--check"]) == 1
    assert "relu: reference: " in capsys.readouterr().out


def test_a_page_shows_formulas_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernels", "relu_backward"]) == 0
    page = capsys.readouterr().out
    assert "dx[i] += dy[i] where x[i] > 0, else 0" in page and "dltutor/kernels/relu.py" in page


def test_an_unknown_kernel_is_told_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernels", "rule"]) == 2
    assert "no kernel rule" in capsys.readouterr().err
