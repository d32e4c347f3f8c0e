"""The unit for systemd, and the advice that comes with it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from dltutor.cli import main
from dltutor.serve.settings import Settings
from dltutor.serve.unit import STATE, advice, quoted, unit_of

HARDENED = (
    "NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes", "Restart=on-failure", "User=dltutor",
    "StateDirectory=dltutor", "StateDirectoryMode=0700", "UMask=0077",
)  # fmt: skip


def settings(**others) -> Settings:
    return Settings(**{"state": STATE} | others)


def values(unit: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))


def command(unit: str) -> list[str]:
    return shlex.split(values(unit)["ExecStart"])


@pytest.fixture
def said(capfd):
    def call(*arguments: str) -> tuple[int, str, str]:
        return main(list(arguments)), *capfd.readouterr()

    return call


def test_it_starts_this_installation_with_these_options():
    unit = unit_of(settings(port=22, web=443, roster=Path("/etc/keys"), max_sessions=30), Path("/var/log/d.log"))
    start = command(unit)
    child = subprocess.run([*start[:3], "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert "dltutor" in child.stdout
    told = " ".join(start[3:])
    assert told.startswith("serve --state /var/lib/dltutor --port 22 ")
    assert "ReadWritePaths=/var/log" in unit
    for option in (
        "--roster /etc/keys",
        "--web 443",
        "--web-host 127.0.0.1",
        "--log /var/log/d.log",
        "--max-sessions 30",
        "--idle 30",
    ):
        assert option in told


def test_its_command_is_one_that_dltutor_understands(said):
    code, out, _advice = said("serve", "--unit", "--open", "--port", "0", "--idle", "5")
    assert code == 0
    again, told, _advice = said(*command(out)[3:], "--unit")
    assert (again, told) == (0, out)


def test_it_is_hardened_as_far_as_the_grader_allows():
    unit = unit_of(settings(), None)
    assert set(HARDENED) <= set(unit.splitlines())
    found = values(unit)
    assert {"user", "mnt", "pid", "net", "ipc", "uts"} <= set(found["RestrictNamespaces"].split())
    for forbidding in ("PrivateUsers", "ProtectProc", "MemoryDenyWriteExecute", "SystemCallFilter", "PrivateDevices"):
        assert forbidding not in found


def test_more_sessions_get_more_memory_and_processes():
    few, many = (values(unit_of(settings(max_sessions=n), None)) for n in (10, 100))
    assert int(few["MemoryMax"].rstrip("M")) < int(many["MemoryMax"].rstrip("M"))
    assert int(few["TasksMax"]) < int(many["TasksMax"])


def test_only_a_low_port_needs_a_right():
    assert "CAP_NET_BIND_SERVICE" in unit_of(settings(port=22), None)
    assert "CAP_NET_BIND_SERVICE" not in unit_of(settings(port=2222), None)


def test_the_class_code_is_in_no_list_of_processes():
    unit, told = unit_of(settings(class_code="maple"), None), advice(settings(class_code="maple"))
    assert "maple" not in unit + told
    assert values(unit)["EnvironmentFile"] in told


def test_another_folder_can_be_written_to():
    assert values(unit_of(settings(state=Path("/srv/a class")), None))["ReadWritePaths"] == '"/srv/a class"'


@pytest.mark.parametrize(
    ("word", "written"),
    [("plain", "plain"), ("a b", '"a b"'), ("50%$", "50%%$$"), ('a"b\\', '"a\\"b\\\\"'), ("", '""')],
)
def test_words_are_quoted_as_systemd_reads_them(word, written):
    assert quoted(word) == written


def test_the_unit_is_the_output_and_the_advice_is_beside_it(said):
    code, out, advised = said("serve", "--unit")
    assert code == 0
    assert out.startswith("[Unit]") and out.rstrip().endswith("WantedBy=multi-user.target")
    for about in ("virtual machine", "MemoryMax", "firewall", "user namespaces", "Back up", "host_key", "useradd"):
        assert about in advised


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("others", [{}, {"port": 22, "class_code": "x", "web": 8080, "state": Path("/srv/x")}])
def test_systemd_finds_no_fault_in_it(tmp_path, others):
    file = tmp_path / "dltutor.service"
    file.write_text(unit_of(settings(**others), None))
    child = subprocess.run(
        ["systemd-analyze", "verify", file], capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert "dltutor.service" not in child.stderr, child.stderr
