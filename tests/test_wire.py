"""What one process says, the other hears."""

from __future__ import annotations

import json
import math
from array import array
from dataclasses import fields

import pytest

from dltutor import wire
from dltutor.errors import DltutorError
from dltutor.wire import (
    Array,
    Compiling,
    Failed,
    Finished,
    Frame,
    Grant,
    Metrics,
    Open,
    Pace,
    Pause,
    Paused,
    Printed,
    Ready,
    Resume,
    Resumed,
    Rewind,
    Set,
    Start,
    Started,
    Step,
    Stop,
    column,
    decode,
    encode,
    floats,
)

SETTING = {"lr": 0.1, "data": "moons", "batch": 32, "shuffle": True}
MESSAGES = [
    wire.Prepare(),
    wire.Warm("emulate"),
    Open("06-mlp", "emulate"),
    Open("06-mlp", own=wire.Own("06-mlp/dense-backward", "def f(): ...", ["dltutor/kernels/dense.py:f"], True)),
    wire.Check("06-mlp/dense-backward", "def f(): ...", 3),
    Start(SETTING, 2**62, 300, 30.0, True),
    Set("lr", 1e-5),
    Pause(),
    Resume(),
    Step(3),
    Rewind(),
    Pace(0.5),
    Grant(2, False),
    Stop(),
    Compiling(2, 7, "dense_forward"),
    Ready("cpu", 1.25),
    Started("06-mlp", SETTING, 7, 300, "cpu"),
    Paused(12),
    Resumed(12),
    Metrics(5, {"loss": column(array("d", [0.1, 0.2]))}),
    Frame(3, {}),
    Printed("多层感知机\n\u2028 ✓"),
    Finished(300, "done", {"loss": 0.1}, 1.5),
    Failed("loss became nan", "lower the rate", 5, "W1", "Traceback", True),
    wire.Timed(3, 1e-5, 2e-5),
    wire.Checking(3, "compiling"),
    wire.Verdict(
        3, False, "dw is wrong", [wire.Finding("gradient", False, "dw")], [wire.Element("dw[2, 0]", 1.0, -1.0, None)],
        "sign", "The sign is wrong.", 7, "hello", "namespaces", 0.1,
    ),
    wire.Want("engine", 2, "zh", True),
    wire.Drop(2),
    wire.Here("exercise", "01-linear-regression", "slope", "dense-backward", 3, "dx is wrong", 4, 12, True),
    wire.CodeWanted(),
    wire.Crashed("a1b2c3", "Traceback"),
    wire.Given(2),
    wire.Refused(2, "no room", "wait"),
    wire.Code("ABCD-EFGH", 10),
    wire.Said("休息十分钟"),
    wire.Said("Are you still there?", by_teacher=False),
    wire.Leave(10.0, "the server stops"),
]  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_arrives_as_it_was(message):
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == message


def test_every_kind_of_message_is_among_these():
    kinds = {*wire.Message.__args__}
    assert {type(message) for message in MESSAGES} == kinds


@pytest.mark.parametrize("value", [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 2.0**53 + 2])
def test_a_number_arrives_to_the_bit(value):
    there = decode(encode(Set("lr", value))).value
    assert there.hex() == value.hex()


def test_a_column_keeps_every_bit_and_its_gaps():
    values = array("d", [0.1, math.nan, -math.inf, 5e-324])
    there = floats(decode(encode(Metrics(0, {"loss": column(values)}))).columns["loss"])
    assert there.tobytes() == values.tobytes()


def test_an_empty_column_arrives_empty():
    assert len(floats(decode(encode(Metrics(0, {"loss": column(array("d"))}))).columns["loss"])) == 0


def test_bad_numbers_outside_arrays_arrive_too():
    there = decode(encode(Finished(1, "done", {"loss": math.inf}, math.nan)))
    assert there.metrics["loss"] == math.inf
    assert math.isnan(there.seconds)


def test_an_array_crosses_as_bytes_not_as_digits():
    """5.5 kB for a picture of 64 x 64, not 80."""
    size = len(encode(Metrics(0, {"field": Array("u1", (64, 64), bytes(64 * 64))})))
    assert size < 5700


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"{}",
        b"[]",
        b"3",
        b"null",
        b'{"":"NoSuchMessage"}',
        b'{"":"Step","colour":3}',
        b'{"":"Open"}',
        b'{"":"Array","dtype":"u1","shape":[1],"data":"AA==","low":0,"high":1}',
        b'{"":"Points","x":[],"y":[],"label":null}',
        b'{"":["Step"]}',
        b'{"":"Metrics","first":0,"columns":{"loss":{"":"Array"}}}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_message_is_refused_in_words(line):
    with pytest.raises(DltutorError, match="not a message"):
        decode(line)


def test_a_message_reads_as_plain_json():
    data = json.loads(encode(Step(2)))
    assert data == {"": "Step", "count": 2}


def test_every_field_has_a_name_of_letters():
    """The empty name is the kind's."""
    assert all(field.name.isidentifier() for message in MESSAGES for field in fields(message))
