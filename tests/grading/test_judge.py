"""What the judge says to right answers, to wrong ones, and to those that would rather not be looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from trying import OpenRoom, exercise

from dltutor.errors import DltutorError
from dltutor.grading import judge
from dltutor.grading.judge import Judge
from dltutor.grading.parcel import unwrap, wrap
from dltutor.lesson.exercises import Wrong
from dltutor.room import Limits, Room, open_room
from dltutor.wire import Verdict

DENSE = "dense.py:dense_backward"
HEAD = "def dense_backward(x, w, dy, dx, dw, db):\n"
RIGHT = """import numpy as np

def dense_backward(x, w, dy, dx, dw, db):
    N, D = x.shape
    M = w.shape[1]
    for n in range(N):
        for m in range(M):
            for d in range(D):
                dx[n, d] += dy[n, m] * w[d, m]
                dw[d, m] += dy[n, m] * x[n, d]
            db[m] += dy[n, m]
"""


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """With as much time as a slow machine takes."""
    room = open_room()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "LIMITS", Limits(cpu=100, wall=300))
        yield room
    room.close()


def judged(source: str, *kernels: str, wrong: tuple[Wrong, ...] = ()) -> Verdict:
    """In plain Python and without walls."""
    return Judge(OpenRoom()).check(exercise(*(kernels or (DENSE,)), wrong=wrong), source)  # type: ignore[arg-type]


def changed(old: str, new: str) -> str:
    assert old in RIGHT
    return RIGHT.replace(old, new)


# ---------------------------------------------------------------- right, in whatever way it is written

WAYS = {
    "loops": (DENSE, RIGHT),
    "products": (
        DENSE,
        "import numpy as np\ndef dense_backward(x, w, dy, dx, dw, db):\n    dx += np.dot(dy, w.T)\n"
        "    dw += np.dot(x.T, dy)\n    db += dy.sum(axis=0)\n",
    ),
    "another order, through a helper": (
        DENSE,
        "def add(a, b, c):\n    for j in range(b.shape[1]):\n        for k in range(a.shape[1] - 1, -1, -1):\n"
        "            for i in range(a.shape[0]):\n                c[i, j] += a[i, k] * b[k, j]\n"
        "def dense_backward(x, w, dy, dx, dw, db):\n    add(dy, w.T, dx)\n    add(x.T, dy, dw)\n"
        "    for row in dy:\n        db += row\n",
    ),
    "in place": (
        "softmax.py:softmax_forward",
        "import numpy as np\ndef softmax_forward(x, p):\n    p[:] = x\n    for n in range(x.shape[0]):\n"
        "        p[n] -= p[n].max()\n        p[n] = np.exp(p[n])\n        p[n] /= p[n].sum()\n",
    ),
    "a sum in float64": (
        "mse.py:mse_forward",
        "def mse_forward(y, t, loss):\n    total = 0.0\n    for i in range(y.size):\n"
        "        total += (y[i] - t[i]) ** 2\n    loss[0] = total / y.size\n",
    ),
    "a step": ("sgd.py:sgd_step", "def sgd_step(p, g, lr):\n    p -= lr * g\n    g[:] = 0\n"),
    "compiled by the learner": (
        "mse.py:mse_backward",
        "from numba import njit\n@njit\ndef mse_backward(y, t, dy):\n    for i in range(y.size):\n"
        "        dy[i] += 2 / y.size * (y[i] - t[i])\n",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_right_answer_is_right_however_it_is_written(way, room):
    kernel, source = WAYS[way]
    verdict = Judge(room).check(exercise(kernel), source, 7)
    assert verdict.passed, (verdict.headline, verdict.worst)
    assert (verdict.number, verdict.tier, verdict.cause) == (7, room.tier, "")
    assert all(finding.passed for finding in verdict.findings)
    assert {"compiles", "runs", "guard", "nan"} < {finding.name for finding in verdict.findings}


# ---------------------------------------------------------------- wrong, and why

CAUSES: dict[str, tuple[str, str]] = {
    changed("dw[d, m] +=", "dw[d, m] -="): ("sign", "dw is wrong: its sign."),
    changed("dx[n, d] +=", "dx[n, d] ="): ("not_accumulated", "dx is wrong: it is overwritten, not added to."),
    changed("w[d, m]\n", "w[m, d]\n"): ("transposed", "line 9: index .* is out of bounds.*"),
    changed("in range(N)", "in range(N - 1)"): ("off_by_one", "dx is wrong: its last row is wrong."),
    changed("in range(N)", "in range(1, N)"): ("off_by_one", "dx is wrong: its first row is wrong."),
    changed("in range(D)", "in range(D - 1)"): ("off_by_one", "dx is wrong: its last column is wrong."),
    changed("            db[m] += dy[n, m]\n", ""): ("not_written", "db is wrong: nothing was added to it."),
    changed("db[m] += dy[n, m]", "db[m] += dy[n, m] / N"): ("factor", "db .* divided by the number of samples."),
    changed("db[m] += dy[n, m]", "db[m] += 2 * dy[n, m]"): ("factor", "db is wrong: it is 2 times what .*"),
    changed("db[m] += dy[n, m]", "db[n] += dy[n, m]"): ("wrong_axis", "line 11: index .* is out of bounds.*"),
    changed("* x[n, d]", ""): ("other", "dw is wrong: x is missing in it."),
    changed("in range(N)", "in range(N + 1)"): ("shape", "line 9: index .* is out of bounds.*"),
    changed("M = w.shape[1]", "M = w.shape[1]\n    dy[:] *= 1.5"): ("other", "dy is changed, though it is an input."),
}


@pytest.mark.parametrize("source", CAUSES)
def test_the_cause_is_named(source):
    cause, headline = CAUSES[source]
    verdict = judged(source)
    assert not verdict.passed
    assert re.fullmatch(headline, verdict.headline), verdict.headline
    assert verdict.cause == cause


OTHERS = {
    "missing_mean": ("mse.py:mse_backward", "def mse_backward(y, t, dy):\n    dy += 2 * (y - t)\n"),
    "missing_bias": ("dense.py:dense_forward", "def dense_forward(x, w, b, y):\n    y[:] = x @ w\n"),
    "wrong_derivative": ("sigmoid.py:sigmoid_backward", "def sigmoid_backward(y, dy, dx):\n    dx += dy * (1 - y)\n"),
    "swapped": ("mse.py:mse_forward", "def mse_forward(y, t, loss):\n    loss[0] = ((y - y) ** 2).mean()\n"),
    "transposed": (
        "matmul.py:matmul_forward",
        "def matmul_forward(a, b, c):\n    c[:] = (a @ b).T.copy().reshape(c.shape)\n",
    ),
    "off_by_one": (
        "mse.py:mse_forward",
        "def mse_forward(y, t, loss):\n    loss[0] = ((y - t)[1:] ** 2).sum() / y.size\n",
    ),
    "nan": (
        "softmax.py:softmax_forward",
        "import numpy as np\ndef softmax_forward(x, p):\n    p[:] = np.exp(x)\n    p /= p.sum(axis=1).reshape(-1, 1)\n",
    ),
    "not_written": ("mse.py:mse_forward", "def mse_forward(y, t, loss):\n    loss[0] += ((y - t) ** 2).mean()\n"),
    "sign": ("sgd.py:sgd_step", "def sgd_step(p, g, lr):\n    p += lr * g\n    g[:] = 0\n"),
}


@pytest.mark.parametrize("cause", OTHERS)
def test_other_causes_are_named(cause):
    kernel, source = OTHERS[cause]
    verdict = judged(source, kernel)
    assert (verdict.passed, verdict.cause) == (False, cause), verdict.headline


def test_the_worst_numbers_are_shown_with_what_they_should_be():
    """The third column does not come from a derivative that anybody wrote down."""
    verdict = judged(changed("dw[d, m] +=", "dw[d, m] -="))
    assert 1 < len(verdict.worst) <= 5
    for element in verdict.worst:
        assert re.fullmatch(r"dw\[\d, \d\]", element.place)
        assert element.yours == pytest.approx(-element.expected)
        assert element.numeric == pytest.approx(element.expected, rel=1e-4)
    sizes = [abs(element.expected) for element in verdict.worst]
    assert sizes == sorted(sizes, reverse=True)


def test_of_what_is_found_the_last_is_what_is_wrong():
    verdict = judged(changed("dx[n, d] +=", "dx[n, d] ="))
    assert [finding.passed for finding in verdict.findings] == [True] * (len(verdict.findings) - 1) + [False]
    assert verdict.findings[-1].name == "accumulates"


def test_a_name_that_is_given_to_something_new_is_found():
    verdict = judged(
        "def dense_backward(x, w, dy, dx, dw, db):\n    dx += dy @ w.T\n    dw = x.T @ dy\n    db += dy.sum(0)\n"
    )
    assert (verdict.cause, verdict.line) == ("not_written", 3)
    assert "`dw[...] = ...`" in verdict.why


def test_the_line_that_overwrites_is_found():
    verdict = judged(changed("dx[n, d] += dy[n, m] * w[d, m]", "dx[n, d] = dy[n, m] * w[d, m]"))
    assert (verdict.cause, verdict.line) == ("not_accumulated", 9)


def test_a_value_that_is_returned_is_found():
    verdict = judged("def mse_backward(y, t, dy):\n    return 2 * (y - t) / y.size\n", "mse.py:mse_backward")
    assert (verdict.cause, verdict.line) == ("not_written", 2)
    assert "returned" in verdict.why


def test_what_the_author_foresaw_is_told_in_the_authors_words():
    loops = changed("db[m] += dy[n, m]", "db[m] += dy[n, m] * x[n, 0]")
    other = (
        "def dense_backward(x, w, dy, dx, dw, db):\n    dx += dy @ w.T\n    dw += x.T @ dy\n    db += x[:, 0] @ dy\n"
    )
    foreseen = Wrong("wrong_slope", other, "wrong_derivative", "The intercept has no x.")
    unlike = Wrong("wrong_sign", changed("dw[d, m] +=", "dw[d, m] -="), "sign", "Not this one.")
    verdict = judged(loops, wrong=(unlike, foreseen))
    assert (verdict.cause, verdict.why) == ("wrong_derivative", "The intercept has no x.")


def test_several_kernels_of_one_file_are_all_looked_at():
    right = "def mse_forward(y, t, loss):\n    loss[0] = ((y - t) ** 2).mean()\n"
    wrong = "def mse_backward(y, t, dy):\n    dy -= 2 * (y - t) / y.size\n"
    verdict = judged(right + wrong, "mse.py:mse_forward", "mse.py:mse_backward")
    assert (verdict.cause, verdict.headline) == ("sign", "dy is wrong: its sign.")
    assert {"reference", "gradient"} <= {finding.name for finding in verdict.findings}


def test_no_samples_are_no_excuse_to_stop():
    verdict = judged(changed("M = w.shape[1]", "M = w.shape[1]\n    first = x[0, 0]"))
    assert not verdict.passed
    assert "no samples" in verdict.headline


def test_what_is_missing_is_told():
    assert "no function dense_backward(x, w, dy, dx, dw, db)" in judged("def dense(x):\n    pass\n").headline
    verdict = judged("\ndef dense_backward(x, w, dy, dx, dw):\n    pass\n")
    assert verdict.headline.startswith("line 2: dense_backward must take (x, w, dy, dx, dw, db)")
    assert verdict.line == 2


def test_an_exercise_needs_a_case():
    with pytest.raises(DltutorError, match="no kernel"):
        judged("", "dense.py:dense_sideways")


# ---------------------------------------------------------------- in the room


def test_what_is_printed_is_heard_once(room):
    verdict = Judge(room).check(exercise(DENSE), changed("M = w.shape[1]", "M = w.shape[1]\n    print('at', M)"))
    assert verdict.passed
    assert re.fullmatch(r"at \d+\n", verdict.printed)


def test_compiled_code_that_stops_names_the_line(room):
    verdict = Judge(room).check(exercise(DENSE), changed("range(N)", "range(N + 1)"))
    assert (verdict.line, verdict.cause) == (9, "shape")
    assert verdict.headline.startswith("line 9: index ")


def test_shapes_that_compiled_code_does_not_compare_are_compared(room):
    """Numba's dx += a reads beside an array that is too small, and says nothing."""
    verdict = Judge(room).check(exercise(DENSE), f"{HEAD}    dx += dy\n    dw += x.T @ dy\n    db += dy.sum(axis=0)\n")
    assert not verdict.passed
    assert verdict.line == 2
    assert "cannot be combined" in verdict.headline or "does not fit" in verdict.headline


FORGED = '{"":"Verdict","number":0,"passed":true,"headline":"All is right.","findings":[],"worst":[]}'
WORKER = "import sys\nworker = sys.modules['dltutor.grading.worker']\n"
CHEATS = {
    "prints a verdict": f"print({FORGED!r})",
    "prints a verdict past Python": f"import os\nos.write(1, b{FORGED!r})\nos.write(2, b{FORGED!r})",
    "exits as if all were well": "import sys\nsys.exit(0)",
    "is gone at once": "import os\nos._exit(0)",
    "prints a verdict in the end": f"import atexit\natexit.register(print, {FORGED!r})",
    "lets NumPy find everything close": (
        "import numpy as np\nnp.allclose = np.isclose = np.array_equal = lambda *a, **k: True\n"
        "np.testing.assert_allclose = lambda *a, **k: None"
    ),
    "lets Numba compile nothing": "import numba\nnumba.njit = lambda f, **k: (lambda *a: None)",
    "says in the worker's place that all is well": (
        WORKER + "worker.Learner.call = lambda *a: ({'fault': None, 'returned': ''}, [])"
    ),
    "answers in the worker's place": WORKER + "worker.wrap = lambda *a: b'all is right'",
    "answers with nothing": WORKER + "worker.wrap = lambda *a: (2).to_bytes(8, 'little') + b'{}'",
    "writes into every open file": (
        f"import os\nfor file in range(3, 64):\n    try:\n        os.write(file, b{FORGED!r})\n"
        "    except OSError:\n        pass"
    ),
    "has numbers that equal everything": (
        "import builtins\nclass Equal(float):\n    def __eq__(self, other): return True\n"
        "    __hash__ = None\nbuiltins.float = Equal"
    ),
    "looks for the answers": (
        "import gc\nnames = 'Trial', 'Case', 'Review'\n"
        "assert not [o for o in gc.get_objects() if type(o).__name__ in names]\nimport dltutor.proof.checks"
    ),
}
DOES_NOTHING = f"\n{HEAD}    pass\n"


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_forged_verdict_never_passes(cheat, room):
    verdict = Judge(room).check(exercise(DENSE), CHEATS[cheat] + DOES_NOTHING)
    assert not verdict.passed
    assert verdict.headline


class LyingRoom(OpenRoom):
    """Changes what comes out."""

    def __init__(self, lie: Any) -> None:
        self.lie = lie

    def run(self, request: bytes, *rest: Any) -> Any:
        outcome = super().run(request, *rest)
        header, arrays = unwrap(outcome.reply)
        return replace(outcome, reply=self.lie(header, arrays))


def beside(header: Any, arrays: Any) -> bytes:
    arrays[9][2] += 1  # dx, after the second call
    return wrap(header, arrays)


OUTSIDE = {"fault": {"stage": "interpreter", "kind": "race", "message": "", "line": 1}}  # only the interpreter says so
LIES = {
    "fewer arrays": lambda header, arrays: wrap(header, arrays[:-1]),
    "more arrays": lambda header, arrays: wrap(header, [*arrays, arrays[0]]),
    "another size": lambda header, arrays: wrap(header, [arrays[0][:-1], *arrays[1:]]),
    "another dtype": lambda header, arrays: wrap(header, [arrays[0].astype(np.int8), *arrays[1:]]),
    "fewer calls": lambda header, arrays: wrap(header | {"calls": header["calls"][:-1]}, arrays),
    "a fault of outside": lambda header, arrays: wrap(header | {"calls": [OUTSIDE] * len(header["calls"])}, []),
    "no calls": lambda header, arrays: wrap(header | {"calls": None}, arrays),
    "odd faults": lambda header, arrays: wrap(header | {"fault": 3}, arrays),
    "no header": lambda header, arrays: b"\xff" * 100,
    "nothing": lambda header, arrays: b"",
    "deep": lambda header, arrays: (100_000).to_bytes(8, "little") + b"[" * 100_000,
    "bytes at the end": lambda header, arrays: wrap(header, arrays) + b"x",
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_reply_of_another_form_is_not_believed(lie):
    verdict = Judge(LyingRoom(LIES[lie])).check(exercise(DENSE), RIGHT)  # type: ignore[arg-type]
    assert not verdict.passed
    assert "not what was asked for" in verdict.headline


def test_a_number_beside_an_array_is_seen():
    verdict = Judge(LyingRoom(beside)).check(exercise(DENSE), RIGHT)  # type: ignore[arg-type]
    assert (verdict.passed, verdict.findings[-1].name) == (False, "guard")
    assert verdict.headline == "It writes outside of dx."


# ---------------------------------------------------------------- wrong in some places only


def test_wrong_for_one_size_only_is_told_so_and_no_line_is_blamed():
    """`dx += ...` writes into dx: that it is not reached for one sample is another matter."""
    verdict = judged(
        HEAD + "    if len(x) == 1:\n        return\n    dx += dy @ w.T\n    dw += x.T @ dy\n    db += dy.sum(0)\n"
    )
    assert "right for other sizes" in verdict.why
    assert "x.shape = (1," in verdict.why
    assert verdict.line is None


def test_what_adds_in_place_is_not_taken_for_a_new_name():
    verdict = judged(HEAD + "    dx += 0\n    dw += x.T @ dy\n    db += dy.sum(0)\n")
    assert verdict.cause == "not_written"
    assert "something new" not in verdict.why


def test_wrong_without_samples_is_wrong():
    right = "    dx += dy @ w.T\n    dw += x.T @ dy\n    db += dy.sum(0)\n"
    verdict = judged(HEAD + right + "    if len(x) == 0:\n        dw += 1\n")
    assert verdict.headline == "dw is wrong where there are no samples."


def test_wrong_for_large_numbers_only_is_wrong():
    source = "import math\ndef tanh_forward(x, y):\n    for i in range(x.size):\n"
    verdict = judged(source + "        y[i] = math.tanh(x[i]) if abs(x[i]) < 40 else 0.0\n", "tanh.py:tanh_forward")
    assert verdict.headline == "y is wrong where inputs are as large as 100."
    assert judged(source + "        y[i] = math.tanh(x[i])\n", "tanh.py:tanh_forward").passed


def test_a_factor_near_one_is_told_with_all_its_digits():
    verdict = judged(changed("dx[n, d] += dy[n, m] * w[d, m]", "dx[n, d] += 1.0001 * dy[n, m] * w[d, m]"))
    assert verdict.headline == "dx is wrong: it is 1.0001 times what it should be."


def test_right_in_float64_and_wrong_compiled_is_told_so(room):
    source = (
        "def mse_backward(y, t, dy):\n    dy += 2 * (y - t) * y.size ** -1\n"  # of whole numbers, compiled, that is 0
    )
    verdict = Judge(room).check(exercise("mse.py:mse_backward"), source)
    assert "Run by Python in float64 it is right" in verdict.why


def test_a_factor_that_changes_with_the_size_is_told_as_such():
    verdict = judged("def mse_backward(y, t, dy):\n    dy += 2 * (y - t) / 100\n", "mse.py:mse_backward")
    assert verdict.headline == "dy is wrong: by a factor that changes with the sizes."
    assert re.search(r"It is 0\.\d+ times .* where y.shape = \(\d+,\)", verdict.why)


def test_a_loss_is_tried_on_large_numbers_too():
    source = "def mse_backward(y, t, dy):\n    for i in range(y.size):\n        e = y[i] - t[i]\n"
    assert judged(source + "        dy[i] += 2 * e / y.size\n", "mse.py:mse_backward").passed
    verdict = judged(source + "        dy[i] += 2 * e / y.size if abs(e) < 40 else 0.0\n", "mse.py:mse_backward")
    assert "where inputs are as large as 100" in verdict.headline
