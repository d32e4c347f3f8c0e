"""What learners get wrong before any number is calculated, and the sentence that they are told."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from dltutor.grading import translate
from dltutor.grading.judge import valid_fault
from dltutor.grading.parcel import unwrap, wrap
from dltutor.grading.trials import guarded

HEAD = "import math\nimport numpy as np\n\n"  # so that `def` stands in line 4
MISTAKES: tuple[tuple[str, str, str], ...] = (  # what was meant, the lines from 4 on, and what is said
    (
        "a name misspelt",
        "def f(x, w, y):\n    y[0, 0] = x[0, 0] * wiegths[0, 0]",
        "line 5: the name `wiegths` is not defined.",
    ),
    (
        "three indices of two",
        "def f(x, w, y):\n    y[0, 0] = x[0, 0, 0]",
        "line 5: the array has 2 axes, but 3 indices are given.",
    ),
    (
        "range of an array",
        "def f(x, w, y):\n    for n in range(x):\n        y[n, 0] = 0",
        "line 5: a number is needed here, and this is an array.",
    ),
    (
        "one round too many",
        "def f(x, w, y):\n    for n in range(4):\n        y[n, 0] = x[n, 0]",
        "line 6: index 3 is out of bounds: axis 0 has 3 places, from 0.",
    ),
    ("no colon", "def f(x, w, y)\n    y[0, 0] = 1", "line 4: a colon is missing at the end."),
    (
        "a bracket left open",
        "def f(x, w, y):\n    y[0, 0] = (1 + 2\n    y[0, 1] = 3",
        r"line 5: the bracket \( is never closed.",
    ),
    (
        "nothing indented",
        "def f(x, w, y):\nfor n in range(3):\n    y[0, 0] = 1",
        "line 5: the lines that belong to the one above must be indented.",
    ),
    (
        "indented too little",
        "def f(x, w, y):\n    if True:\n        y[0, 0] = 1\n      y[0, 1] = 1",
        "line 7: it is indented differently from the lines around it.",
    ),
    ("a Chinese colon", "def f(x, w, y)：\n    y[0, 0] = 1", "line 4: Python does not know the character ：.*"),
    (
        "= for ==",
        "def f(x, w, y):\n    if x[0, 0] = 0:\n        y[0, 0] = 1",
        "line 5: one = sets a value; two, ==, compare.",
    ),
    (
        "half an index",
        "def f(x, w, y):\n    i = x.shape[0] / 2\n    y[i, 0] = 1",
        "line 6: an index must be a whole number; // divides without a rest.",
    ),
    (
        "a row for a number",
        "def f(x, w, y):\n    y[0, 0] = x[0]",
        "line 5: a whole array is written to the place of one number.",
    ),
    ("a wrong attribute", "def f(x, w, y):\n    N, D = x.shpae", "line 5: an array has no `shpae`."),
    ("a wrong function", "def f(x, w, y):\n    y[:] = np.dott(x, w)", "line 5: numpy has no `dott`."),
    ("three names for a shape of two", "def f(x, w, y):\n    N, D, M = x.shape", "line 5: 3 names for 2 values."),
    (
        "shapes that do not fit a product",
        "def f(x, w, y):\n    y[:] = np.dot(x, w.T)",
        r"line 5: a product of shapes \(3,4\) and \(2,4\): .*",
    ),
    (
        "shapes that do not fit a sum",
        "def f(x, w, y):\n    y[:] = x + w",
        r"line 5: arrays of shapes \(3,4\) \(4,2\) cannot be combined number by number.",
    ),
    (
        "shapes that do not fit the output",
        "def f(x, w, y):\n    y[:] = x",
        r"line 5: an array of shape \(3,4\) does not fit into one of shape \(3,2\).",
    ),
    (
        "two dtypes",
        "def f(x, w, y):\n    y[:] = np.dot(x, np.ones((4, 2)))",
        "line 5: a product of float32 with float64: both must be of the same dtype.*",
    ),
    (
        "an array in math",
        "def f(x, w, y):\n    y[:] = math.exp(x)",
        "line 5: a number is needed here, and this is an array.",
    ),
    (
        "what Numba does not have",
        "def f(x, w, y):\n    y[:] = np.einsum('nd,dm->nm', x, w)",
        "line 5: Numba cannot compile numpy.einsum.*",
    ),
    (
        "an argument that Numba does not have",
        "def f(x, w, y):\n    y[:] = np.sum(x, axis=0, keepdims=True)[0, 0]",
        "line 5: Numba does not know the argument `keepdims` here.*",
    ),
    (
        "round brackets for an element",
        "def f(x, w, y):\n    y[0, 0] = x(0, 0)",
        "line 5: this is called like a function.*",
    ),
    (
        "a total that never began",
        "def f(x, w, y):\n    for n in range(3):\n        total += x[n, 0]\n    y[0, 0] = total",
        "line 6: `total` is used before it has a value.*",
    ),
    (
        "a helper's mistake",
        "def g(a):\n    return a.foo\n\ndef f(x, w, y):\n    y[0, 0] = g(x[0, 0])",
        "line 5: a number has no `foo`.",
    ),
    (
        "a helper's argument",
        "def g(a, b):\n    return a\n\ndef f(x, w, y):\n    y[0, 0] = g(x[0, 0])",
        "line 8: the call lacks 'b'.",
    ),
    (
        "an import in a function",
        "def f(x, w, y):\n    import math\n    y[0, 0] = 1",
        "line 5: an import stands at the top of the file, not in a function.",
    ),
    (
        "another library",
        "import no_such_library\n\ndef f(x, w, y):\n    pass",
        "line 4: there is no module no_such_library here.*",
    ),
    ("a text for a number", "def f(x, w, y):\n    y[0, 0] = 'a'", "line 5: a text stands where a number is needed."),
    (
        "an if of an array",
        "def f(x, w, y):\n    if x > 0:\n        y[0, 0] = 1",
        "line 5: an array is not true or false.*",
    ),
    (
        "nothing yet",
        "def f(x, w, y):\n    raise NotImplementedError",
        "line 5: here is nothing yet: it is yours to write.",
    ),
    ("an exit", "import sys\nsys.exit(0)", "line 5: the program is ended here: a kernel only calculates."),
    ("a question", "raise EOFError", "line 4: nobody is there to be asked: a kernel only calculates."),
    (
        "a number for a range",
        "def f(x, w, y):\n    for n in x.shape[0]:\n        y[n] = 0",
        "line 5: a number cannot be gone through.*",
    ),
    ("a file", "open('/no/such/file')", "line 4: files, the network and other programs are closed to it."),
    ("a call of itself", "def f(x, w, y):\n    f(x, w, y)", r"line 5: the function calls itself too often: .*end\?"),
    ("a comma of another keyboard", "def f(x， w, y):\n    pass", r"line 4: Python does not know .* layout\?"),
    (
        "what Numba has no word for",
        "def f(x, w, y):\n    for n in reversed(range(3)):\n        y[n] = 0",
        "line 5: Numba does not know one of the names in this line.*",
    ),
    (
        "three dots",
        "def f(x, w, y):\n    y[...] += 1",
        r"line 5: Numba cannot add to \[...\]: write \[:\], or nothing, in its place.",
    ),
    (
        "an array outside",
        "count = np.zeros(1)\n\ndef f(x, w, y):\n    count[0] += 1",
        "line 7: compiled code cannot change an array that stands outside of the functions.",
    ),
    ("no function", "g = 3", "The file defines no function f."),
)


def told(lines: str) -> str:
    """What is said to a file when its function f is called with a (3, 4), a (4, 2) and a (3, 2)."""
    from dltutor.grading.worker import work

    arrays = [np.ones(shape, np.float32) for shape in ((3, 4), (4, 2), (3, 2))]
    arguments = [{"array": number, "shape": array.shape} for number, array in enumerate(arrays)]
    call = {"function": "f", "arguments": arguments, "times": 1, "aloud": False, "compiled": True}
    header: dict[str, Any] = {"source": HEAD + lines + "\n", "file": "task.py", "cuda": False, "calls": [call]}
    reply, _arrays = unwrap(work(wrap(header, [guarded(array) for array in arrays])))
    fault = valid_fault(reply["fault"] or reply["calls"][0]["fault"])
    assert fault
    return translate.sentence(fault)[0]


@pytest.mark.parametrize(("lines", "sentence"), [mistake[1:] for mistake in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_a_mistake_is_one_sentence_with_its_line(lines, sentence):
    assert re.fullmatch(sentence, told(lines)), told(lines)


def test_what_is_not_known_is_told_in_its_own_words():
    fault = {"stage": "run", "kind": "OddError", "message": "as odd as can be\nand more", "line": 7}
    assert translate.sentence(fault) == ("line 7: OddError: as odd as can be.", 7)
