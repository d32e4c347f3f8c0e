"""`dltutor bench steps|kernels`: the shape of what it says, and that both sides do the work."""

from __future__ import annotations

import json

import pytest

from dltutor.bench import rivals, steps, versus
from dltutor.bench.versus import Pair, Versus
from dltutor.cli import main
from dltutor.errors import DltutorError


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versus, "SECONDS", 0.0)
    monkeypatch.setattr(versus, "SLICE", 0.0)
    monkeypatch.setattr(versus, "PAUSE", 0.0)


def test_a_race_calls_both_and_tells_their_times() -> None:
    calls = {"ours": 0, "theirs": 0}

    def work(who: str) -> None:
        calls[who] += 1

    row = versus.race(Pair("nothing", "torch", lambda: work("ours"), lambda: work("theirs")), threads=1)
    assert calls["ours"] == calls["theirs"] >= versus.ROUNDS_AT_LEAST
    assert (row.name, row.against, row.threads) == ("nothing", "torch", 1)
    assert row.ours_us > 0 and row.theirs_us > 0 and row.ratio > 0


def test_steps_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    main(["bench", "steps", "--json", "--against", "numpy,sklearn", "--only", "2-8-8-1", "--threads", "1"])
    said = json.loads(capsys.readouterr().out)
    assert {"processor", "cores", "peak_gflops", "copy_gbytes_per_s"} <= set(said["machine"])
    assert [row["against"] for row in said["rows"]] == ["numpy", "sklearn"]
    assert all(set(row) == {"name", "against", "threads", "ours_us", "theirs_us", "ratio"} for row in said["rows"])


def test_the_table_fits_a_narrow_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    versus.show([Versus(name, "torch.compile", 64, 123_456, 654_321, 123.4) for name in steps.STEPS], {})
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize("name", steps.STEPS)
def test_every_step_of_ours_learns(name: str) -> None:
    """The loss on the one batch falls, or for two networks against each other stays a number."""
    work = steps.STEPS[name]()
    first, *_others, last = (work() for _step in range(30))
    assert last == last if name.startswith("DCGAN") else last < first


@pytest.mark.parametrize("name", rivals.numpy_steps())
def test_every_step_of_numpy_learns(name: str) -> None:
    work = rivals.numpy_steps()[name]()
    first, *_others, last = (work() for _step in range(30))
    assert last < first


def test_every_step_has_pytorch_beside_it() -> None:
    pytest.importorskip("torch")
    assert set(rivals.torch_steps()) == set(steps.STEPS)


def test_an_unknown_opponent_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "steps", "--against", "jax"]) == 2
    assert "nothing to compare with is called jax" in capsys.readouterr().err


def test_an_opponent_that_is_not_installed_is_told_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versus.rows, "version", lambda _package: None)
    with pytest.raises(DltutorError, match="torch is not installed") as caught:
        versus.chosen("torch")
    assert 'pip install "dltutor[parity]"' in caught.value.hint
