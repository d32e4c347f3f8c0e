"""Python's and Numba's errors, as one sentence that names the learner's line.

Where Numba cannot compile a file, Python is asked what it says to the same call: it knows the line and says more. What
only Numba objects to is in the second table. What neither has is told in their own words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.lesson.questions import joined

Words = Callable[[], str]
Rule = tuple[str, str, Words]  # the kind of error, a pattern in its message, and what to say; groups are its fields

PYTHON: tuple[Rule, ...] = (
    ("SyntaxError", r"expected ':'", lambda: _("a colon is missing at the end")),
    ("SyntaxError", r"'(?P<bracket>.)' was never closed", lambda: _("the bracket {bracket} is never closed")),
    ("SyntaxError", r"unmatched '(?P<bracket>.)'", lambda: _("there is a bracket {bracket} too many")),
    ("SyntaxError", r"Maybe you meant '=='", lambda: _("one = sets a value; two, ==, compare")),
    ("SyntaxError", r"invalid character '(?P<character>.)'",
        lambda: _("Python does not know the character {character}: was it typed with another keyboard layout?")),
    ("SyntaxError", r"unterminated (?:string|f-string)|unterminated triple",
        lambda: _("a text is not closed: a quotation mark is missing")),
    ("SyntaxError", r"null bytes", lambda: _("the file has bytes in it that are no text")),
    ("IndentationError", r"expected an indented block",
        lambda: _("the lines that belong to the one above must be indented")),
    ("IndentationError", r"unindent|unexpected indent",
        lambda: _("it is indented differently from the lines around it")),
    ("TabError", r"", lambda: _("tabs and blanks are mixed in its indentation")),
    ("SyntaxError", r"(?P<message>.*)", lambda: _("this is not Python: {message}")),
    ("NameError", r"name '(?P<name>\w+)' is not defined", lambda: _("the name `{name}` is not defined")),
    ("UnboundLocalError", r"variable '(?P<name>\w+)'",
        lambda: _("`{name}` is used before it has a value: give it one first")),
    ("IndexError", r"too many indices.*?(?P<axes>\d+)-dimensional, but (?P<given>\d+)",
        lambda: _("the array has {axes} axes, but {given} indices are given")),
    ("IndexError", r"invalid index to scalar|not subscriptable", lambda: _("this is a number: it has no parts")),
    ("IndexError", r"index (?P<index>-?\d+) is out of bounds for axis (?P<axis>\d+) with size (?P<size>\d+)",
        lambda: _("index {index} is out of bounds: axis {axis} has {size} places, from 0")),
    ("IndexError", r"index is out of bounds", lambda: _("an index is out of bounds")),
    ("IndexError", r"only integers", lambda: _("an index must be a whole number; // divides without a rest")),
    ("IndexError", r"tuple index out of range", lambda: _("the array has fewer axes than that")),
    ("TypeError", r"'float' object cannot be interpreted as an integer|'numpy.float\d+' object cannot be interpreted",
        lambda: _("range needs a whole number; // divides without a rest")),
    ("TypeError", r"only (?:integer scalar|0-dimensional|length-1) arrays|cannot be interpreted as an integer",
        lambda: _("a number is needed here, and this is an array")),
    ("TypeError", r"'(?P<kind>[\w.]+)' object is not callable",
        lambda: _("this is called like a function, but it is {kind}: use [ ] for an element")),
    ("TypeError", r"'(?P<kind>[\w.]+)' object is not subscriptable", lambda: _("this is a number: it has no parts")),
    ("TypeError", r"'(?:numpy.)?(?:float|int)\d*' object does not support item",
        lambda: _("this is a number: it has no parts")),
    ("TypeError", r"'tuple' object does not support item", lambda: _("a tuple cannot be changed, nor can a shape")),
    ("TypeError", r"'(?:numpy.)?int\d*' object is not iterable",
        lambda: _("a number cannot be gone through: range(n) counts to it")),
    ("TypeError", r"cannot unpack non-iterable", lambda: _("one value cannot be given to several names")),
    (r"\w*TypeError|ValueError", r"<U\d|string to float|\bstr\b", lambda: _("a text stands where a number is needed")),
    ("TypeError", r"missing \d+ required positional arguments?: (?P<names>.*)", lambda: _("the call lacks {names}")),
    ("TypeError", r"takes (?P<wanted>\d+) positional arguments? but (?P<given>\d+)",
        lambda: _("{given} values are handed to a function that takes {wanted}")),
    ("TypeError", r"'NoneType'", lambda: _("there is no value: does the function return one?")),
    ("ValueError", r"setting an array element with a sequence",
        lambda: _("a whole array is written to the place of one number")),
    ("ValueError", r"could not broadcast input array from shape (?P<given>\([\d,]*\)) into shape (?P<place>\([\d,]*\))",
        lambda: _("an array of shape {given} does not fit into one of shape {place}")),
    ("ValueError", r"operands could not be broadcast together with (?:remapped )?shapes (?P<shapes>[()\d, ]*[)\d])",
        lambda: _("arrays of shapes {shapes} cannot be combined number by number")),
    ("ValueError", r"non-broadcastable output operand with shape (?P<place>\([\d,]*\)).*shape (?P<given>\([\d,]*\))",
        lambda: _("an array of shape {given} does not fit into one of shape {place}")),
    ("ValueError", r"shapes (?P<a>\([\d,]*\)) and (?P<b>\([\d,]*\)) not aligned",
        lambda: _("a product of shapes {a} and {b}: the first needs as many columns as the second has rows")),
    ("ValueError", r"matmul: .*size (?P<a>\d+) is different from (?P<b>\d+)",
        lambda: _("a matrix product of {b} columns with {a} rows: they must be as many")),
    ("ValueError", r"not enough values to unpack \(expected (?P<wanted>\d+), got (?P<given>\d+)",
        lambda: _("{wanted} names for {given} values")),
    ("ValueError", r"too many values to unpack \(expected (?P<wanted>\d+)",
        lambda: _("{wanted} names for more values than that")),
    ("ValueError", r"truth value of an array",
        lambda: _("an array is not true or false: compare its numbers one by one")),
    ("AttributeError", r"'numpy.ndarray' object has no attribute '(?P<name>\w+)'",
        lambda: _("an array has no `{name}`")),
    ("AttributeError", r"'(?:numpy.)?(?:float|int)\d*' object has no attribute '(?P<name>\w+)'",
        lambda: _("a number has no `{name}`")),
    ("AttributeError", r"module '(?P<module>[\w.]+)' has no attribute '(?P<name>\w+)'",
        lambda: _("{module} has no `{name}`")),
    ("ModuleNotFoundError", r"No module named '(?P<name>[\w.]+)'",
        lambda: _("there is no module {name} here: NumPy and math are all that a kernel needs")),
    ("ImportError", r"cannot import name '(?P<name>\w+)'", lambda: _("`{name}` cannot be imported")),
    ("PermissionError|FileNotFoundError|OSError|URLError|gaierror|ConnectionError", r"",
        lambda: _("files, the network and other programs are closed to it")),
    ("EOFError", r"", lambda: _("nobody is there to be asked: a kernel only calculates")),
    ("SystemExit", r"", lambda: _("the program is ended here: a kernel only calculates")),
    ("KeyboardInterrupt", r"", lambda: _("the program is ended here: a kernel only calculates")),
    ("NotImplementedError", r"", lambda: _("here is nothing yet: it is yours to write")),
    ("RecursionError", r"", lambda: _("the function calls itself too often: does it ever end?")),
    ("ZeroDivisionError", r"", lambda: _("a division by zero")),
    ("AssertionError", r"", lambda: _("what `assert` says does not hold")),
    ("MemoryError", r"", lambda: _("there is not enough memory for it")),
    ("Missing", r"(?P<name>\w+)", lambda: _("the file defines no function {name}")),
    (r"\w+", r"(?P<message>.*)", lambda: "{kind}: {message}"),
)  # fmt: skip
NUMBA: tuple[Rule, ...] = (
    (r"\w+", r"unsupported NumPy function '(?P<name>[\w.]+)'",
        lambda: _("Numba cannot compile {name}: write it with loops, or with np.dot")),
    (r"\w+", r"unexpected keyword argument '(?P<name>\w+)'",
        lambda: _("Numba does not know the argument `{name}` here: write it with a loop")),
    (r"\w+", r">>> (?:dot|matmul|_impl)\(array\((?P<a>\w+),.*?array\((?P<b>(?!(?P=a))\w+),",
        lambda: _("a product of {a} with {b}: both must be of the same dtype, as in np.zeros(n, x.dtype)")),
    (r"\w+", r">>> (?P<name>\w+)\(array\([^)]*\)\)\s[\s\S]*Type Restricted Function in function '(?P=name)'",
        lambda: _("{name} takes one number here, not an array: np.{name} takes arrays")),
    (r"\w+", r"Cannot unify (?P<kind_a>.*?) and (?P<kind_b>.*?) for '(?P<name>\w+?)(?:\.\d+)?'",
        lambda: _("`{name}` is once {kind_a}, once {kind_b}: let it be the same everywhere")),
    (r"\w+", r"Cannot infer the type of variable '(?P<name>\w+?)(?:\.\d+)?'.*list",
        lambda: _("Numba cannot see what the list `{name}` will hold: use an array")),
    (r"\w+", r"cannot index .* with (?P<given>\d+) indices",
        lambda: _("the array has fewer axes than {given} indices")),
    (r"\w+", r">>> setitem\(readonly array",
        lambda: _("compiled code cannot change an array that stands outside of the functions")),
    (r"\w+", r">>> setitem\(array\((?:\w+), (?P<axes>\d+)d.*?\), .*?, array\(",
        lambda: _("a whole array is written to the place of one number")),
    (r"\w+", r">>> setitem\(array", lambda: _("what stands on the right cannot be written into an array of numbers")),
    (r"\w+", r">>> getitem\((?:float|int)\d+", lambda: _("this is a number: it has no parts")),
    (r"\w+", r"Unknown attribute '(?P<name>\w+)' of type array",
        lambda: _("an array has no `{name}` that Numba knows")),
    (r"\w+", r"Unknown attribute '(?P<name>\w+)' of type", lambda: _("there is no `{name}` that Numba knows")),
    (r"\w+", r"No definition for lowering <built-in function getitem>\(Array.*\.\.\.\)",
        lambda: _("Numba cannot add to [...]: write [:], or nothing, in its place")),
    (r"\w+", r"Cannot determine Numba type of <class '(?:type|builtin|module)",
        lambda: _("Numba does not know one of the names in this line: use loops, numbers and arrays")),
    (r"\w+", r"Variable '(?P<name>\w+)' is not defined",
        lambda: _("`{name}` is used before it has a value: give it one first")),
    (r"\w+", r"STORE_GLOBAL", lambda: _("a compiled function cannot set a global name")),
    (r"\w+", r"IMPORT_NAME", lambda: _("an import stands at the top of the file, not in a function")),
    (r"\w+", r"LOAD_BUILD_CLASS", lambda: _("Numba compiles no class in a function")),
    (r"\w+", r"with \(context manager\)|SETUP_WITH|BEFORE_WITH", lambda: _("Numba compiles no `with`")),
    (r"\w+", r"Exception object|try|EXCEPT", lambda: _("Numba compiles `try` only in its simplest form: leave it out")),
    (r"\w+", r"f-string", lambda: _("Numba compiles no formats in f-strings: print(a, b) will do")),
    (r"\w+", r"unsupported opcode|Unsupported|unsupported",
        lambda: _("Numba cannot compile this part of Python: use loops, numbers and arrays")),
    (r"\w+", r"Signature mismatch: (?P<given>\d+) argument types given, but function takes (?P<wanted>\d+)",
        lambda: _("it must take {given} arguments, and takes {wanted}")),
    (r"\w+", r"del found", lambda: _("Numba compiles no `del`")),
    (r"\w+", r">>> (?P<name>\w+)\(", lambda: _("Numba cannot compile `{name}` of these values")),
    (r"\w+", r"(?P<message>.+)", lambda: _("Numba cannot compile this: {message}")),
)  # fmt: skip
KINDS = (
    (r"Literal\[int\]\(\S+?\)|u?int\d+", lambda: _("a whole number")),
    (r"Literal\[bool\]\(\S+?\)|bool", lambda: _("true or false")),
    (r"float\d+", lambda: _("a number")),
    (r"array\(.*\)", lambda: _("an array")),
    (r"none", lambda: _("nothing")),
    (r"UniTuple\(.*\)|Tuple\(.*\)", lambda: _("a tuple")),
    (r"Literal\[str\]\(.*\)|unicode_type", lambda: _("a piece of text")),
)


def sentence(fault: dict[str, Any]) -> tuple[str, int | None]:
    """What went wrong, and the line in which it did, from what the room told."""
    if fault["stage"] == "interpreter":
        return at_line(fault["line"], fault["message"]), fault["line"]
    if fault["kind"] == DltutorError.__name__:  # of ours: it says what is missing here
        return fault["message"], None
    python = fault.get("python")
    if fault["stage"] == "compile" and python:
        return sentence(python)
    rules = NUMBA if fault["stage"] == "compile" and not spoken_by_python(fault) else PYTHON
    line = fault["line"]
    return at_line(line, said(rules, fault["kind"], fault["message"])), line


def spoken_by_python(fault: dict[str, Any]) -> bool:
    return fault["kind"] in ("AttributeError", "NameError", "SyntaxError")


def said(rules: Sequence[Rule], kind: str, message: str) -> str:
    for name, pattern, words in rules:
        found = re.search(pattern, message)
        if found and re.fullmatch(name, kind):
            named = {key: in_words(key, value or "") for key, value in found.groupdict().items()}
            return words().format(**{"kind": kind, "message": ""} | named).strip(" :")
    return kind


def in_words(field: str, value: str) -> str:
    """What is quoted of a message; Numba's names of types, for people."""
    kinds = (words() for pattern, words in KINDS if field.startswith("kind_") and re.fullmatch(pattern, value))
    return next(kinds, value[:200].partition("\n")[0])


def at_line(line: int | None, text: str) -> str:
    if line:
        whole = _("line {line}: {text}.").format(line=line, text=text)
    else:
        whole = _("{text}.").format(text=text[:1].upper() + text[1:])
    return whole[:-1] if whole[-2:-1] in "?？" else whole


def missing(name: str, arguments: Sequence[str], there: Sequence[str]) -> str:
    text = _("Your file defines no function {name}({arguments}).").format(name=name, arguments=", ".join(arguments))
    if there:
        text = joined(text, _("It defines {names}.").format(names=", ".join(there[:5])))
    return text


def arguments(name: str, wanted: Sequence[str], given: Sequence[str], line: int | None) -> str:
    text = _("{name} must take ({wanted}), and takes ({given})").format(
        name=name, wanted=", ".join(wanted), given=", ".join(map(str, given))
    )
    return at_line(line, text)
