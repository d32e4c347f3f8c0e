"""Everything the engine and whoever drives it can say to each other: one JSON object a line.

    down (commands)   Prepare Warm Open Start Set Pause Resume Step Rewind Pace Grant Stop
    up   (events)     Compiling Ready Started Paused Resumed Metrics Frame Printed Finished Failed

Frames and metrics are sent by credit: `Grant` allows one delivery (all metrics since the last, and the pictures of
the present step); a slow screen slows the drawing, never the training, and memory stays flat. Arrays cross as base64
bytes. Numbers are Python's shortest round-trip decimals, so what arrives is what was sent, to the bit.
"""

from __future__ import annotations

import base64
import json
from array import array
from dataclasses import dataclass, field, fields
from typing import Any

from dltutor.errors import DltutorError
from dltutor.pictures import KINDS, Picture

LONGEST_LINE = 1 << 24  # bytes: a reader's buffer has an end


@dataclass(frozen=True)
class Array:
    """An array as bytes. dtype u1 holds 255 levels over [low, high] (level 255 is NaN); the others hold the values."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes
    low: float = 0.0
    high: float = 1.0


# ---------------------------------------------------------------- commands


@dataclass(frozen=True)
class Prepare:
    """Load what every lab on the processor needs, before anybody knows which lab it will be; not answered."""


@dataclass(frozen=True)
class Warm:
    """Compile every kernel of the toolbox; answered by Compiling... and Ready."""

    device: str = "cpu"


@dataclass(frozen=True)
class Open:
    """Compile what this lesson's lab needs; answered by Compiling... and Ready."""

    lesson: str  # its id
    device: str = "cpu"


@dataclass(frozen=True)
class Start:
    """Run the lab from the beginning. The same Start gives the same metrics at the same steps."""

    knobs: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    steps: int = 1000
    pace: float = 0.0  # steps a second; 0: as fast as it goes
    paused: bool = False


@dataclass(frozen=True)
class Set:
    """Turn a live knob; the lab reads it at its next step."""

    knob: str
    value: Any


@dataclass(frozen=True)
class Pause:
    pass


@dataclass(frozen=True)
class Resume:
    pass


@dataclass(frozen=True)
class Step:
    """Take `count` steps, then pause."""

    count: int = 1


@dataclass(frozen=True)
class Rewind:
    """Begin the last Start again: same knobs as they are now, same seed. Stays paused when paused."""


@dataclass(frozen=True)
class Pace:
    """From now on so many steps a second; 0: as fast as it goes."""

    steps_per_second: float


@dataclass(frozen=True)
class Grant:
    """Credit for so many deliveries of Metrics and, where somebody looks, Frame."""

    frames: int = 1
    pictures: bool = True


@dataclass(frozen=True)
class Stop:
    """End the run (Finished follows); the engine stays for another Start."""


# ---------------------------------------------------------------- events


@dataclass(frozen=True)
class Compiling:
    done: int
    total: int
    kernel: str


@dataclass(frozen=True)
class Ready:
    """All kernels are compiled."""

    device: str
    seconds: float


@dataclass(frozen=True)
class Started:
    """The full setting of the run: enough to repeat it."""

    lesson: str
    knobs: dict[str, Any]
    seed: int
    steps: int
    device: str


@dataclass(frozen=True)
class Paused:
    step: int


@dataclass(frozen=True)
class Resumed:
    step: int


@dataclass(frozen=True)
class Metrics:
    """Values of steps first .. first + n - 1, a float64 column each; NaN where a metric was not taken."""

    first: int
    columns: dict[str, Array]


@dataclass(frozen=True)
class Frame:
    step: int
    pictures: dict[str, Picture]


@dataclass(frozen=True)
class Printed:
    """What the lab printed."""

    text: str


@dataclass(frozen=True)
class Finished:
    """reason: "done" after the last step, "stopped" when asked to."""

    steps: int
    reason: str
    metrics: dict[str, float]
    seconds: float  # spent training, pauses left out


@dataclass(frozen=True)
class Failed:
    """The run, or the engine itself, ended by a fault: what, what to do, and for bad numbers where."""

    message: str
    hint: str = ""
    step: int | None = None
    tensor: str = ""
    trace: str = ""
    fatal: bool = False  # the engine process is gone, too


Command = Prepare | Warm | Open | Start | Set | Pause | Resume | Step | Rewind | Pace | Grant | Stop
Event = Compiling | Ready | Started | Paused | Resumed | Metrics | Frame | Printed | Finished | Failed
_MESSAGES: dict[str, type] = {
    kind.__name__: kind
    for group in (Command, Event)
    for kind in group.__args__  # type: ignore[attr-defined]
}
_TYPES = _MESSAGES | KINDS


# ---------------------------------------------------------------- to and from a line


def encode(message: Command | Event) -> bytes:
    """`message` as one line of JSON."""
    return json.dumps(_plain(message), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def decode(line: bytes | str) -> Command | Event:
    """The message in `line`. Raises DltutorError where there is none."""
    try:
        message = _typed(json.loads(line))
    except (ValueError, TypeError, KeyError) as error:
        raise DltutorError(f"not a message: {line[:80]!r} ({error})") from error
    if type(message) not in _MESSAGES.values():
        raise DltutorError(f"not a message: {line[:80]!r}")
    return message


def _plain(value: Any) -> Any:
    match value:
        case Array():
            return {"": "Array"} | vars(value) | {"data": base64.b64encode(value.data).decode()}
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _ if type(value).__name__ in _TYPES:
            return {"": type(value).__name__} | {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
        case _:
            return value


def _typed(value: Any) -> Any:
    match value:
        case {"": "Array"}:
            data = base64.b64decode(value["data"])
            return Array(value["dtype"], tuple(value["shape"]), data, value["low"], value["high"])
        case {"": kind}:
            return _TYPES[kind](**{name: _typed(item) for name, item in value.items() if name})
        case dict():
            return {name: _typed(item) for name, item in value.items()}
        case list():
            return [_typed(item) for item in value]
        case _:
            return value


def column(values: array[float]) -> Array:
    """Float64 values as a column of Metrics."""
    return Array("f8", (len(values),), values.tobytes())


def floats(column: Array) -> array[float]:
    """A column of Metrics as float64 values."""
    values = array("d")
    values.frombytes(column.data)
    return values
