"""What a run may use, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one run may use."""

    cpu: int = 10
    """Seconds of the processor."""
    wall: float = 12.0
    """Seconds of the clock."""
    memory: int = 1024 * MIB
    file: int = 16 * MIB
    """Bytes of one file."""
    files: int = 64
    """Open at once."""
    processes: int = 32
    """Threads count, too. 0: as many as there is memory for."""
    output: int = MIB
    """Bytes that may be printed."""
    scratch: int = 64 * MIB
    """Bytes of all files together."""
    reply: int = 256 * MIB
    """Bytes of the answer."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    reply: bytes | None
    """What `work` returned; None where it didn't get that far."""
    printed: str
    ended: str
    """done | time | memory | output | killed | crashed"""
    sentence: str
    """The end in the learner's language; empty where there is nothing to say."""
    seconds: float
