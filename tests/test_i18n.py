"""The Chinese catalogue holds every text of the source, and nothing else.

Texts are found by reading the source: arguments of `_` and `plural`, also inside f-strings (which pybabel misses
before Python 3.12), labels and tooltips of `bind`, and the values of a dictionary that `_` looks a text up in.
"""

from __future__ import annotations

import ast
import string
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

import dltutor
from dltutor import i18n

PACKAGE = Path(dltutor.__file__).parent
CATALOGUE = PACKAGE / "locale" / "zh" / "LC_MESSAGES" / "dltutor.po"
TEXT_OR_LAB = "text/lab"
MOST = 4  # Chinese characters of a label in the line of keys

Id = str | tuple[str, str]


# ---------------------------------------------------------------- the texts in the source


@cache
def modules() -> list[ast.Module]:
    return [ast.parse(file.read_text("utf-8")) for file in sorted(PACKAGE.rglob("*.py"))]


@cache
def messages() -> list[Id]:
    """Every message id, in the order of files and lines, once."""
    return list(dict.fromkeys(id for module in modules() for id in messages_in(module)))


def messages_in(module: ast.Module) -> Iterator[Id]:
    tables = dict(tables_of(module))
    for call in sorted(calls_in(module), key=lambda call: (call.lineno, call.col_offset)):
        match name_of(call), call.args:
            case "_", [ast.Subscript(ast.Name(table)), *_rest]:
                yield from tables[table]
            case "_", [argument, *_rest]:
                yield from texts_in(argument)
            case "plural", [ast.Constant(str(one)), ast.Constant(str(many)), *_rest]:
                yield one, many
            case "bind", [_key, _action, *texts]:
                yield from (id for text in texts for id in texts_in(text))


def calls_in(module: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(module) if isinstance(node, ast.Call))


def name_of(call: ast.Call) -> str:
    """`plural` for plural(...) and for i18n.plural(...)."""
    return getattr(call.func, "id", "") or getattr(call.func, "attr", "")


def texts_in(argument: ast.expr) -> Iterator[str]:
    """The text, or both of `this if so else that`; none of a variable, which is a text found elsewhere."""
    match argument:
        case ast.Constant(str(text)) if text:
            yield text
        case ast.IfExp(_condition, one, other):
            yield from texts_in(one)
            yield from texts_in(other)


def tables_of(module: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """The dictionaries of texts at the top of a module."""
    for node in module.body:
        match node:
            case ast.Assign([ast.Name(name)], ast.Dict(_keys, values)):
                yield name, [text for value in values for text in texts_in(value)]


def labels() -> set[str]:
    """What stands in the line of keys."""
    calls = [
        call for module in modules() for call in calls_in(module) if name_of(call) == "bind" and len(call.args) > 2
    ]
    return {text for call in calls for text in texts_in(call.args[2])}


# ---------------------------------------------------------------- the catalogue


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    with CATALOGUE.open("rb") as file:
        return read_po(file)


def test_the_source_is_read_where_pybabel_is_blind() -> None:
    found = messages()
    assert "passed" in found  # in an f-string
    assert "Bug hunt" in found  # in a table
    assert TEXT_OR_LAB in found  # a label
    assert ("{n} step", "{n} steps") in found


def test_every_text_has_a_translation(catalogue: Catalog) -> None:
    translated = {message.id for message in catalogue if message.id and all(strings(message.string))}
    assert [id for id in messages() if id not in translated] == []


def test_the_catalogue_holds_no_more_than_the_source(catalogue: Catalog) -> None:
    known = set(messages())
    assert [message.id for message in catalogue if message.id and message.id not in known] == []
    assert not catalogue.obsolete
    assert [message.id for message in catalogue if message.id and message.fuzzy] == []


def test_a_translation_fills_in_the_same_fields(catalogue: Catalog) -> None:
    for message in catalogue:
        for id, translation in pairs(message.id, message.string):
            assert fields(translation) == fields(id), id


def test_line_breaks_stay(catalogue: Catalog) -> None:
    for message in catalogue:
        for id, translation in pairs(message.id, message.string):
            assert translation.count("\n") == id.count("\n"), id


def test_labels_fit_into_the_line_of_keys(catalogue: Catalog) -> None:
    for label in labels() - {TEXT_OR_LAB}:
        assert chinese(catalogue[label].string) <= MOST, label


def test_the_installed_catalogue_is_this_one(catalogue: Catalog) -> None:
    compiled = CATALOGUE.with_suffix(".mo")
    assert compiled.is_file(), "install again: the catalogue is compiled when dltutor is installed"
    with compiled.open("rb") as file:
        installed = {strings(message.id): strings(message.string) for message in read_mo(file) if message.id}
    written = {strings(message.id): strings(message.string) for message in catalogue if message.id}
    assert installed == written, "install again: dltutor.po has changed since it was compiled"


def test_chinese_is_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    before = i18n.current()
    try:
        i18n.use("zh")
        assert (i18n._("run"), i18n.plural("{n} step", "{n} steps", 3)) == ("运行", "3 步")
    finally:
        i18n.use(before)


def strings(text: str | Sequence[str]) -> tuple[str, ...]:
    """One text, or the forms for one and for many."""
    return (text,) if isinstance(text, str) else tuple(text)


def pairs(id: Id, translation: str | tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each translation with its English; Chinese has one for one and for many."""
    if id:
        yield from ((strings(id)[-1], text) for text in strings(translation))


def fields(text: str) -> list[tuple[str, str, str]]:
    """Name, format and conversion of each `{field}`, whatever their order; texts that are never formatted have none."""
    try:
        parsed = [
            (name, spec or "", conversion or "") for _, name, spec, conversion in string.Formatter().parse(text) if name
        ]
    except ValueError:
        return []
    return sorted(parsed)


def chinese(text: str) -> int:
    return sum(unicodedata.east_asian_width(character) in "WF" for character in text)
