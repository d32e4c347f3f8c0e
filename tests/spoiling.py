"""What a test needs to spoil a copy of a lesson."""

from __future__ import annotations

from pathlib import Path


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} should stand once in {file.name}"
    file.write_text(text.replace(old, new), encoding="utf-8")
