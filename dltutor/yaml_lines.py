"""YAML that remembers its lines, and a reader of its keys that says what it expected where.

Plain scalars follow YAML 1.2: `true` and `false` are the only truth values (`no` and `on` are words), `1e-3` is a
number, `010` is ten, a date is text. Aliases are refused: nothing here needs them, and they can grow without end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dltutor.errors import DltutorError
from dltutor.i18n import _

_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
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
    node = _compose(text, file, line)
    value = Map(line) if node is None else _Tree(file, line).value(node)
    if not isinstance(value, Map):
        raise fault(file, line, _("expected `key: value` lines, found {value!r}").format(value=value))
    return value


def _compose(text: str, file: Path, line: int) -> Any:
    import yaml

    try:
        return yaml.compose(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        at = line + (mark.line if mark else 0)
        hint = _("Put a text that holds `: `, `#` or begins with a bracket or quote in quotes.")
        raise fault(file, at, _("this is not YAML: {problem}").format(problem=problem), hint) from error
    except RecursionError as error:
        raise fault(file, line, _("this is nested too deeply")) from error


class _Tree:
    """From YAML nodes to values."""

    def __init__(self, file: Path, first: int) -> None:
        self.file, self.first = file, first
        self.seen: set[int] = set()

    def value(self, node: Any) -> Any:
        if id(node) in self.seen:
            raise fault(self.file, self.line(node), _("aliases (`*name`) are not supported: write the value again"))
        self.seen.add(id(node))
        if node.id == "scalar":
            return node.value if node.style else scalar(node.value)
        return [self.value(item) for item in node.value] if node.id == "sequence" else self.mapping(node)

    def mapping(self, node: Any) -> Map:
        result = Map(self.line(node))
        for key_node, value_node in node.value:
            line = self.line(key_node)
            key = self.value(key_node)
            if isinstance(key, (list, dict)):
                raise fault(self.file, line, _("expected a word as the key, found {key!r}").format(key=key))
            if key in result:
                raise fault(self.file, line, _("the key {key} is there twice").format(key=key))
            result[key] = self.value(value_node)
            result.lines[key] = line
        return result

    def line(self, node: Any) -> int:
        return self.first + int(node.start_mark.line)


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
