"""YAML that remembers its lines, and a reader of its keys that says what it expected where.

Plain scalars follow YAML 1.2: `true` and `false` are the only truth values (`no` and `on` are words), `1e-3` is a
number, `010` is ten, a date is text. Aliases are refused: nothing here needs them, and they can grow without end.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dltutor.errors import DltutorError
from dltutor.i18n import _

ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DEEPEST = 20
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


class Map(dict[Any, Any]):
    """A YAML mapping. `lines` has the line of each key, `line` that of the mapping."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[Any, int] = {}


def fault(file: Path, line: int, problem: str, hint: str = "") -> DltutorError:
    """The error that names file, line, and what was expected there."""
    return DltutorError(f"{file}:{line}: {problem}", hint)


@contextlib.contextmanager
def located(file: Path, line: int) -> Iterator[None]:
    """What goes wrong here, and doesn't say where, went wrong at this place."""
    try:
        yield
    except DltutorError as error:
        if error.message.startswith(str(file)):
            raise
        raise fault(file, line, error.message, error.hint) from error


def close(word: object, words: Iterable[object]) -> str:
    """A hint for a misspelt word: the one it may have been meant for, or all there are."""
    import difflib

    names = [str(name) for name in words]
    near = difflib.get_close_matches(str(word), names, 1, 0.6)
    if near:
        return _("Did you mean {word}?").format(word=near[0])
    return _("There are: {words}.").format(words=", ".join(names)) if names else ""


def parse(text: str, file: Path, line: int) -> Map:
    """The mapping in `text`, which begins at `line` of `file`. Raises DltutorError where there is none."""
    import yaml

    try:
        return _Events(yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)), file, line).mapping()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        at = line + (mark.line if mark else 0)
        hint = _("Put a text that holds `: `, `#` or begins with a bracket or quote in quotes.")
        raise fault(file, at, _("this is not YAML: {problem}").format(problem=problem), hint) from error


class _Events:
    """Reads values from YAML's events, not from its nodes: the C loader puts deeply nested ones on the C stack."""

    def __init__(self, events: Iterator[Any], file: Path, first: int) -> None:
        self.events, self.file, self.first = events, file, first

    def mapping(self) -> Map:
        """The one mapping of the stream, empty where there is nothing."""
        next(self.events)  # the stream begins
        if type(next(self.events)).__name__ == "StreamEndEvent":
            return Map(self.first)
        value = self.value(next(self.events), 0)
        if not isinstance(value, Map):
            raise self.fault(self.first, _("expected `key: value` lines, found {value!r}").format(value=value))
        next(self.events)  # the document ends
        following = next(self.events)
        if type(following).__name__ != "StreamEndEvent":
            raise self.fault(self.line(following), _("expected no second document"))
        return value

    def value(self, event: Any, depth: int) -> Any:
        if depth > _DEEPEST:
            raise self.fault(self.line(event), _("this is nested too deeply"))
        match type(event).__name__:
            case "ScalarEvent":
                return event.value if event.style else scalar(event.value)
            case "SequenceStartEvent":
                return [self.value(item, depth + 1) for item in self.until("SequenceEndEvent")]
            case "MappingStartEvent":
                return self.pairs(event, depth)
        raise self.fault(self.line(event), _("aliases (`*name`) are not supported: write the value again"))

    def pairs(self, start: Any, depth: int) -> Map:
        result = Map(self.line(start))
        for event in self.until("MappingEndEvent"):
            key, line = self.value(event, depth + 1), self.line(event)
            if isinstance(key, (list, dict)):
                raise self.fault(line, _("expected a word as the key, found {key!r}").format(key=key))
            if key in result:
                raise self.fault(line, _("the key {key} is there twice").format(key=key))
            result[key] = self.value(next(self.events), depth + 1)
            result.lines[key] = line
        return result

    def until(self, end: str) -> Iterator[Any]:
        return itertools.takewhile(lambda event: type(event).__name__ != end, self.events)

    def line(self, event: Any) -> int:
        return self.first + int(event.start_mark.line)

    def fault(self, line: int, problem: str) -> DltutorError:
        return fault(self.file, line, problem)


def scalar(text: str) -> Any:
    """The value of a plain scalar: truth value, nothing, integer, float, or the text itself."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


class Fields:
    """The keys of one mapping, taken one by one, each with the type it must have; `end` refuses what is left.

    A key with a default may be missing.
    """

    def __init__(self, mapping: Map, file: Path) -> None:
        self.mapping, self.file = mapping, file
        self.taken: list[str] = []

    def line(self, key: str) -> int:
        return self.mapping.lines.get(key, self.mapping.line)

    def has(self, key: str) -> bool:
        return key in self.mapping

    def fault(self, key: str, expected: str, hint: str = "") -> DltutorError:
        """The error for a key that is missing, or whose value is not what was expected."""
        if key not in self.mapping:
            problem = _("the key {key} is missing: expected {expected}").format(key=key, expected=expected)
        else:
            problem = _("{key} is {value!r}: expected {expected}").format(
                key=key, value=self.mapping[key], expected=expected
            )
        return fault(self.file, self.line(key), problem, hint)

    def value(self, key: str, kinds: tuple[type, ...], expected: str, default: Any = None) -> Any:
        """The value of `key`, of one of the `kinds`; missing, it is `default`, which must not be None then."""
        self.taken.append(key)
        if key not in self.mapping and default is not None:
            return default
        value = self.mapping.get(key)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise self.fault(key, expected)
        if isinstance(value, float) and not math.isfinite(value):
            raise self.fault(key, _("a finite number"))
        return value

    def text(self, key: str, default: str | None = None) -> str:
        expected = _("a text")
        value = str(self.value(key, (str, int, float), expected, default)).strip()
        if not value and default is None:
            raise self.fault(key, expected)
        return value

    def id(self, key: str = "id") -> str:
        value = self.text(key)
        if not ID.fullmatch(value):
            raise self.fault(key, _("a name of a-z, 0-9 and hyphens"))
        return value

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        expected = _("a whole number from {low} to {high}").format(low=low, high=high)
        value = self.value(key, (int,), expected, default)
        if not low <= value <= high:
            raise self.fault(key, expected)
        return int(value)

    def number(self, key: str, low: float, default: float | None = None) -> float:
        expected = _("a number of at least {low}").format(low=low)
        value = self.value(key, (int, float), expected, default)
        if value < low:
            raise self.fault(key, expected)
        return float(value)

    def flag(self, key: str) -> bool:
        return bool(self.value(key, (bool,), _("true or false"), False))

    def texts(self, key: str, default: list[str] | None = None) -> list[str]:
        expected = _("a list of texts, as in [one, two]")
        values = self.value(key, (list,), expected, default)
        if not all(isinstance(value, str) and value for value in values):
            raise self.fault(key, expected)
        return list(values)

    def map(self, key: str) -> Map:
        """The mapping under `key`, empty where there is none."""
        return self.value(key, (Map,), _("`key: value` pairs"), Map(self.line(key)))  # type: ignore[no-any-return]

    def end(self) -> None:
        """Refuse keys that nobody took."""
        for key in self.mapping:
            if key not in self.taken:
                raise fault(self.file, self.line(key), _("unknown key {key}").format(key=key), close(key, self.taken))
