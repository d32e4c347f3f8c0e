"""`dltutor bench ssh`: its smallest part, which needs no class."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

from dltutor.bench import bench
from dltutor.bench.ssh import PARTS
from dltutor.errors import UsageError

pytest.importorskip("pyte")


@pytest.mark.skipif(sys.platform != "linux", reason="the walls are those of Linux")
def test_a_part_is_told_as_json_with_its_targets(tmp_path, monkeypatch):
    monkeypatch.setenv("DLTUTOR_HOME", str(tmp_path))
    told = CliRunner().invoke(bench, ["ssh", "--quick", "--only", "grades", "--json"], catch_exceptions=False)
    found = json.loads(told.stdout)
    rows = {row["name"].partition(" (")[0] + row["name"].partition(")")[2]: row for row in found["rows"]}
    for name, target in (("check, as Python: p95", "<= 25"), ("check, compiled anew: p95", "<= 150")):
        assert rows[name]["target"] == target
        assert 0 < rows[name]["measured"] < 30_000
        assert rows[name]["met"] == (rows[name]["measured"] <= float(target[3:]))
    assert found["machine"]["cores"]


def test_a_part_that_is_not_there_is_told():
    with pytest.raises(UsageError, match="none") as told:
        CliRunner().invoke(bench, ["ssh", "--only", "none"], catch_exceptions=False)
    assert all(name in told.value.hint for name in PARTS)
