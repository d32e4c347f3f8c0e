"""Everything that processes can say to each other: one JSON object a line.

    to the engine     Prepare Warm Open Start Set Pause Resume Step Rewind Pace Grant Stop
    from it           Compiling Ready Started Paused Resumed Metrics Timed Frame Printed Finished Failed
    to the grader     Prepare Check
    from it           Ready Checking Verdict Failed
    to a class server, from a session in it    Want Drop Here CodeWanted Crashed
    from it                                    Given Refused Code Said Leave

Frames and metrics are sent by credit: `Grant` allows one delivery (all metrics since the last, and the pictures of
the present step); a slow screen slows the drawing, never the training, and memory stays flat. Arrays cross as base64
bytes. Numbers are Python's shortest round-trip decimals, so what arrives is what was sent, to the bit.
"""

from __future__ import annotations

import base64
import json
from array import array
from dataclasses import dataclass, field
from typing import Any

from dltutor.errors import DltutorError
from dltutor.pictures import KINDS, Picture

LONGEST_LINE = 1 << 24  # bytes: a reader's buffer has an end
LONGEST_PACKET = 1 << 16  # the same, where a message is a packet: between a session and its class server
OURS = "ours "  # before the name of a metric of our kernels, while the learner's train beside them


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
class Own:
    """What the learner wrote: functions that take the place of the kernels they are named after."""

    exercise: str  # "<lesson>/<name>"
    source: str
    kernels: list[str]  # dltutor/kernels/dense.py:dense_backward
    passed: bool = False  # its check: then nothing looks after it while it trains


@dataclass(frozen=True)
class Open:
    """Compile what this lesson's lab needs; answered by Compiling... and Ready.

    With the learner's `own` kernels the lab trains twice from then on, with theirs and with ours, step by step.
    """

    lesson: str  # its id
    device: str = "cpu"
    own: Own | None = None


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


@dataclass(frozen=True)
class Check:
    """Try what the learner wrote; answered by Checking... and Verdict."""

    exercise: str  # "<lesson>/<name>"
    source: str
    number: int = 0  # which comes back with the answer
    language: str = ""  # of the answer; empty: the grader's own


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
class Timed:
    """How long a step takes, in seconds, with our kernels and with the learner's own."""

    step: int
    ours: float
    own: float


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


@dataclass(frozen=True)
class Checking:
    number: int
    stage: str  # what is being looked at, for the learner to read


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: compiles, reference, gradient, accumulates, guard, nan or runs."""

    name: str
    passed: bool
    text: str


@dataclass(frozen=True)
class Element:
    """One number that is wrong."""

    place: str  # dw[2, 0]
    yours: float
    expected: float
    numeric: float | None = None  # by central difference, where it is a gradient


@dataclass(frozen=True)
class Verdict:
    """What came of a Check."""

    number: int
    passed: bool
    headline: str  # one sentence
    findings: list[Finding] = field(default_factory=list)
    worst: list[Element] = field(default_factory=list)  # the worst first
    cause: str = ""  # sign, transposed, ...: see dltutor/grading/causes.py
    why: str = ""  # the likely cause, in words
    line: int | None = None  # of the learner's file
    printed: str = ""
    tier: str = ""  # of the room it ran in
    seconds: float = 0.0


# ---------------------------------------------------------------- a session of a class, and its server


@dataclass(frozen=True)
class Want:
    """An engine or a grader, please; answered by Given, with one end of a socket, or Refused."""

    kind: str  # "engine" or "grader"
    number: int  # which comes back with the answer
    language: str = "en"
    locked: bool = False  # an engine for what the learner wrote


@dataclass(frozen=True)
class Drop:
    """That one is no longer needed: end it."""

    number: int


@dataclass(frozen=True)
class Here:
    """Where the learner is in the course, whenever that has changed."""

    screen: str = "home"  # home, lesson, exercise, hunt, review
    lesson: str = ""
    section: str = ""
    task: str = ""  # an exercise or a hunt
    tries: int = 0  # at it, since it was last passed
    headline: str = ""  # of its last verdict
    read: int = 0  # sections of the lesson, of
    sections: int = 0
    trains: bool = False


@dataclass(frozen=True)
class CodeWanted:
    """A code that lets another key of the same learner in, once; answered by Code."""


@dataclass(frozen=True)
class Crashed:
    """The session has a fault. Its learner is told the number of the incident, and nothing else."""

    incident: str
    trace: str


@dataclass(frozen=True)
class Given:
    number: int


@dataclass(frozen=True)
class Refused:
    number: int
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Code:
    code: str
    minutes: int


@dataclass(frozen=True)
class Said:
    """The teacher says something to this learner, or the server does by itself."""

    text: str
    by_teacher: bool = True


@dataclass(frozen=True)
class Leave:
    """In so many seconds this session ends: everything is to be saved now, and the learner told why."""

    seconds: float
    reason: str


Request = Want | Drop | Here | CodeWanted | Crashed
Reply = Given | Refused | Code | Said | Leave
Command = Prepare | Warm | Open | Start | Set | Pause | Resume | Step | Rewind | Pace | Grant | Stop | Check
Event = (
    Compiling | Ready | Started | Paused | Resumed | Metrics | Timed | Frame | Printed | Finished | Failed
    | Checking | Verdict
)  # fmt: skip
Message = Command | Event | Request | Reply
_MESSAGES: dict[str, type] = {
    kind.__name__: kind
    for group in (Command, Event, Request, Reply)
    for kind in group.__args__  # type: ignore[attr-defined]
}
_TYPES = _MESSAGES | KINDS | {kind.__name__: kind for kind in (Own, Finding, Element)}


# ---------------------------------------------------------------- to and from a line


def encode(message: Message) -> bytes:
    """`message` as one line of JSON."""
    return _encoder.encode(message).encode() + b"\n"


def decode(line: bytes | str) -> Message:
    """The message in `line`. Raises DltutorError where there is none."""
    try:
        message = json.loads(line, object_hook=_typed)
    except (ValueError, TypeError, KeyError) as error:
        raise DltutorError(f"not a message: {line[:80]!r} ({error})") from error
    if type(message) not in _MESSAGES.values():
        raise DltutorError(f"not a message: {line[:80]!r}")
    return message  # type: ignore[no-any-return]


def _plain(value: Any) -> dict[str, Any]:
    """What JSON's own encoder does not know: an object of ours. Its type stands under the empty name."""
    if isinstance(value, Array):
        return {"": "Array"} | vars(value) | {"data": base64.b64encode(value.data).decode()}
    if type(value).__name__ not in _TYPES:
        raise TypeError(f"{type(value).__name__} cannot be sent")
    return {"": type(value).__name__} | vars(value)


def _typed(value: dict[str, Any]) -> Any:
    """The same back, from the innermost on."""
    match value:
        case {"": "Array"}:
            data = base64.b64decode(value["data"])
            return Array(value["dtype"], tuple(value["shape"]), data, value["low"], value["high"])
        case {"": kind}:
            return _TYPES[kind](**{name: item for name, item in value.items() if name})
        case _:
            return value


_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=_plain)


def column(values: array[float]) -> Array:
    """Float64 values as a column of Metrics."""
    return Array("f8", (len(values),), values.tobytes())


def floats(column: Array) -> array[float]:
    """A column of Metrics as float64 values."""
    values = array("d")
    values.frombytes(column.data)
    return values
