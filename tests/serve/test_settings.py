"""What the processes of a class server may know."""

from __future__ import annotations

from pathlib import Path

from dltutor.serve.settings import Settings

OWN = {
    "PATH": "/opt/secret/bin",
    "HOME": "/home/teacher",
    "AWS_SECRET_ACCESS_KEY": "hunter2",
    "PYTHONPATH": "/tmp/evil",
    "LD_PRELOAD": "/tmp/evil.so",
    "DLTUTOR_CLASS_CODE": "maple",
    "DLTUTOR_LESSONS": "/srv/lessons",
}


def test_t19_of_the_servers_environment_only_the_lessons_are_passed_on(tmp_path: Path) -> None:
    passed = Settings(tmp_path).environment(OWN)
    assert passed["DLTUTOR_LESSONS"] == "/srv/lessons"
    assert passed["HOME"] == "/nonexistent"
    assert not {"AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "LD_PRELOAD", "DLTUTOR_CLASS_CODE"} & set(passed)
    assert not any(secret in value for secret in ("/opt/secret", "hunter2", "maple") for value in passed.values())


def test_compiled_kernels_lie_where_the_server_is_told_to_keep_them(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    assert Settings(tmp_path).kernels == tmp_path / "numba"
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/var/cache/kernels")
    assert Settings(tmp_path).environment()["NUMBA_CACHE_DIR"] == "/var/cache/kernels"
