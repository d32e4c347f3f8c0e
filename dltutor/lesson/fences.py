"""The fences of a lesson that ask: `quiz`, `predict` and `review`, in English and in translation.

Anything malformed is a DltutorError that names file, line, and what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.lesson.blocks import Widget
from dltutor.lesson.questions import (
    Card,
    Choice,
    Content,
    Deck,
    Level,
    Line,
    Number,
    Order,
    Outcome,
    Pick,
    Plot,
    Prediction,
    Quiz,
    Shape,
    Trap,
    near,
)
from dltutor.lesson.yaml_lines import Fields, Map, fault

MOST = 9  # choices: each has a number key


def parse(widget: Widget, file: Path) -> Content:
    """What a quiz, predict or review fence says. Raises DltutorError with file, line, and what was expected."""
    fields = Fields(_body(widget), file)
    content = {"quiz": _quiz, "predict": _prediction, "review": _deck}[widget.kind](fields)
    fields.end()
    return content


def _body(widget: Widget) -> Map:
    return widget.body if isinstance(widget.body, Map) else Map(widget.line)


def _common(fields: Fields) -> dict[str, str]:
    return {"id": fields.id(), "title": fields.text("title"), "question": fields.text("question")}


def _only(fields: Fields, keys: Sequence[str]) -> str:
    """The one of `keys` that is there."""
    found = [key for key in keys if fields.has(key)]
    if len(found) != 1:
        problem = _("expected one of the keys {keys}, found {found}")
        problem = problem.format(keys=", ".join(keys), found=", ".join(found) or _("none"))
        raise fault(fields.file, fields.line(found[-1]) if found else fields.mapping.line, problem)
    return found[0]


def _refused(fields: Fields, key: str, expected: str) -> DltutorError:
    """The error for a list, which would be too long to be repeated."""
    problem = _("{key}: expected {expected}").format(key=key, expected=expected)
    return fault(fields.file, fields.line(key), problem)


def _items(fields: Fields, key: str, low: int, high: int) -> list[Any]:
    expected = _length(low, high)
    values = fields.value(key, (list,), expected)
    if not low <= len(values) <= high:
        raise _refused(fields, key, expected)
    return list(values)


def _length(low: int, high: int) -> str:
    expected = _("a list of {low} items") if low == high else _("a list of {low} to {high} items")
    return expected.format(low=low, high=high)


def _texts(fields: Fields, key: str, low: int, high: int = MOST) -> tuple[str, ...]:
    """Different texts; a number will do for one."""
    texts = tuple(_as_text(value) for value in _items(fields, key, low, high))
    if not all(texts) or len(set(texts)) < len(texts):
        raise _refused(fields, key, _("different texts, none of them empty"))
    return texts


def _as_text(value: Any) -> str:
    plain = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    return str(value).strip() if plain else ""


def _any_number(fields: Fields, key: str, default: float | None = None) -> float:
    return float(fields.value(key, (int, float), _("a number"), default))


def _numbers(fields: Fields, key: str) -> tuple[float, ...]:
    values = _items(fields, key, 2, 10_000)
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e300 for v in values):
        raise _refused(fields, key, _("a list of numbers"))
    return tuple(float(value) for value in values)


def _mappings(fields: Fields, key: str, low: int, high: int, expected: str) -> list[Fields]:
    items = _items(fields, key, low, high)
    if not all(isinstance(item, Map) for item in items):
        raise _refused(fields, key, expected)
    return [Fields(item, fields.file) for item in items]


# ---------------------------------------------------------------- a quiz


def _quiz(fields: Fields) -> Quiz:
    common: dict[str, Any] = _common(fields)
    common["plot"] = _plot(Fields(fields.map("plot"), fields.file)) if fields.has("plot") else None
    match _only(fields, ("choices", "answer", "order")):
        case "choices":
            several = fields.flag("several")
            return Pick(**common, why=fields.text("why", ""), choices=_choices(fields, several), several=several)
        case "order":
            return Order(**common, why=fields.text("why"), items=_texts(fields, "order", 3))
    return _number(fields, common)


def _choices(fields: Fields, several: bool) -> tuple[Choice, ...]:
    expected = _("a list of `text` and `why`, with `right: true` where it is right")
    choices = tuple(_choice(item) for item in _mappings(fields, "choices", 2, MOST, expected))
    count = sum(choice.right for choice in choices)
    if count == 0 or (count > 1 and not several):
        expected = _("at least one right choice") if several else _("one right choice, or `several: true`")
        problem = _("{count} of the choices are right: expected {expected}").format(count=count, expected=expected)
        raise fault(fields.file, fields.line("choices"), problem)
    if len({choice.text for choice in choices}) < len(choices):
        raise _refused(fields, "choices", _("different texts, none of them empty"))
    return choices


def _choice(fields: Fields) -> Choice:
    text, right = fields.text("text"), fields.flag("right")
    choice = Choice(text, right, fields.text("why", "" if right else None))
    fields.end()
    return choice


def _number(fields: Fields, common: dict[str, Any]) -> Number:
    answer, tolerance = _any_number(fields, "answer"), fields.number("tolerance", 0)
    traps = _mappings(fields, "traps", 1, 20, _("a list of `answer` and `why`")) if fields.has("traps") else []
    question = Number(
        **common,
        why=fields.text("why"),
        answer=answer,
        tolerance=tolerance,
        unit=fields.text("unit", ""),
        traps=tuple(_trap(item) for item in traps),
    )
    for item, trap in zip(traps, question.traps, strict=True):
        if near(trap.answer, answer, tolerance):
            raise item.fault("answer", _("a wrong answer"))
    return question


def _trap(fields: Fields) -> Trap:
    trap = Trap(_any_number(fields, "answer"), fields.text("why"))
    fields.end()
    return trap


def _plot(fields: Fields) -> Plot:
    curves = Fields(fields.map("curves"), fields.file)
    if not curves.mapping:
        raise fields.fault("curves", _("`name: [values]` pairs"))
    lines = tuple(Line(str(name), _numbers(curves, name)) for name in curves.mapping)
    plot = Plot(lines, fields.text("x", ""), fields.number("until", 0, 0.0), fields.flag("log"))
    fields.end()
    return plot


# ---------------------------------------------------------------- a prediction


def _prediction(fields: Fields) -> Prediction:
    common = _common(fields) | {"why": fields.text("why"), "lab": fields.text("lab", "")}
    kind = _only(fields, ("choices", "curves", "number"))
    if kind == "choices":
        choices = _texts(fields, "choices", 2)
        return Outcome(**common, choices=choices, answer=fields.integer("answer", 1, len(choices)) - 1)
    common["metric"] = fields.text("metric", None if common["lab"] else "")
    if kind == "number":
        return _level(fields, common)
    curves = tuple(_line(item) for item in _mappings(fields, "curves", 2, 4, _("a list of `label` and `values`")))
    return Shape(**common, curves=curves, answer=fields.integer("answer", 1, len(curves)) - 1)


def _line(fields: Fields) -> Line:
    line = Line(fields.text("label"), _numbers(fields, "values"))
    fields.end()
    return line


def _level(fields: Fields, common: dict[str, Any]) -> Level:
    ends = Fields(fields.map("number"), fields.file)
    low, high, unit = _any_number(ends, "low"), _any_number(ends, "high"), ends.text("unit", "")
    ends.end()
    if not low < high:
        raise ends.fault("high", _("a number above {low}").format(low=f"{low:g}"))
    told = not common["lab"] or fields.has("answer")
    answer = _any_number(fields, "answer") if told else None
    if answer is not None and not low <= answer <= high:
        raise fields.fault("answer", _("a number from {low} to {high}").format(low=f"{low:g}", high=f"{high:g}"))
    scale = _any_number(fields, "scale", 1.0)
    if not scale:
        raise fields.fault("scale", _("a number other than 0"))
    return Level(**common, low=low, high=high, unit=unit, scale=scale, answer=answer)


# ---------------------------------------------------------------- cards


def _deck(fields: Fields) -> Deck:
    id, title = fields.id(), fields.text("title", _("Cards"))
    found = _mappings(fields, "cards", 1, 1000, _("a list of `id`, `front` and `back`"))
    cards = tuple(_card(item) for item in found)
    lines: dict[str, int] = {}
    for item, card in zip(found, cards, strict=True):
        if card.id in lines:
            problem = _("the card id {id} is taken by line {line}").format(id=card.id, line=lines[card.id])
            raise fault(fields.file, item.line("id"), problem)
        lines[card.id] = item.line("id")
    return Deck(id, title, cards)


def _card(fields: Fields) -> Card:
    card = Card(fields.id(), fields.text("front"), fields.text("back"))
    fields.end()
    return card


# ---------------------------------------------------------------- a translation


def translated(original: Content, widget: Widget, file: Path) -> Content:
    """`original` with its texts as a translation's fence gives them, in the same order. Raises DltutorError where one
    is missing or one is too many, and for anything but a text: that is the English lesson's."""
    fields = _Texts(_body(widget), file)
    fields.taken.append("id")
    content = _deck_in(original, fields) if isinstance(original, Deck) else _question_in(original, fields)
    fields.end()
    return content


class _Texts(Fields):
    """The fence of a translation."""

    def instead(self, key: str, english: str) -> str:
        """The text in the place of `english`; where there are no words in that, it may stay."""
        return self.text(key, None if _has_words(english) else english)

    def each(self, key: str, english: Sequence[str]) -> tuple[str, ...]:
        """The texts in the place of `english`."""
        if not self.has(key) and not any(map(_has_words, english)):
            return tuple(english)
        return _texts(self, key, len(english), len(english))

    def parts(self, key: str, count: int) -> list[_Texts]:
        """The mappings of a list; an item that is but a text stands for its `text`."""
        items = _items(self, key, count, count)
        return [_Texts(item if isinstance(item, Map) else self.alone(item), self.file) for item in items]

    def alone(self, text: Any) -> Map:
        mapping = Map(self.line("choices"))
        mapping["text"] = text
        return mapping

    def end(self) -> None:
        try:
            super().end()
        except DltutorError as error:
            error.hint = _("A translation gives only texts; all else comes from the English lesson.")
            raise


def _has_words(text: str) -> bool:
    return bool(re.search(r"[A-Za-z]{2}", re.sub(r"\$[^$]*\$|`[^`]*`", "", text)))


def _question_in(original: Quiz | Prediction, fields: _Texts) -> Quiz | Prediction:
    texts: dict[str, Any] = {key: fields.instead(key, getattr(original, key)) for key in ("title", "question", "why")}
    match original:
        case Pick():
            texts["choices"] = _choices_in(original.choices, fields)
        case Number():
            texts |= {"unit": fields.text("unit", original.unit), "traps": _traps_in(original.traps, fields)}
        case Order():
            texts["items"] = fields.each("order", original.items)
        case Outcome():
            texts["choices"] = fields.each("choices", original.choices)
        case Shape():
            labels = fields.each("curves", [line.label for line in original.curves])
            texts["curves"] = _relabelled(original.curves, labels)
        case Level():
            texts["unit"] = fields.text("unit", original.unit)
    plot = getattr(original, "plot", None)
    if plot:
        texts["plot"] = _plot_in(plot, _Texts(fields.map("plot"), fields.file))
    return replace(original, **texts)


def _choices_in(choices: tuple[Choice, ...], fields: _Texts) -> tuple[Choice, ...]:
    if not fields.has("choices") and not any(_has_words(choice.text + choice.why) for choice in choices):
        fields.taken.append("choices")
        return choices
    parts = fields.parts("choices", len(choices))
    return tuple(_choice_in(choice, part) for choice, part in zip(choices, parts, strict=True))


def _choice_in(choice: Choice, fields: _Texts) -> Choice:
    found = replace(choice, text=fields.instead("text", choice.text), why=fields.instead("why", choice.why))
    fields.end()
    return found


def _traps_in(traps: tuple[Trap, ...], fields: _Texts) -> tuple[Trap, ...]:
    whys = fields.each("traps", [trap.why for trap in traps]) if traps else ()
    return tuple(replace(trap, why=why) for trap, why in zip(traps, whys, strict=True))


def _plot_in(plot: Plot, fields: _Texts) -> Plot:
    names = fields.each("names", [line.label for line in plot.curves])
    found = replace(plot, x=fields.instead("x", plot.x), curves=_relabelled(plot.curves, names))
    fields.end()
    return found


def _relabelled(lines: tuple[Line, ...], labels: Sequence[str]) -> tuple[Line, ...]:
    return tuple(replace(line, label=label) for line, label in zip(lines, labels, strict=True))


def _deck_in(deck: Deck, fields: _Texts) -> Deck:
    title = fields.text("title", deck.title)
    parts = fields.parts("cards", len(deck.cards))
    return Deck(deck.id, title, tuple(_card_in(card, part) for card, part in zip(deck.cards, parts, strict=True)))


def _card_in(card: Card, fields: _Texts) -> Card:
    if fields.text("id") != card.id:
        raise fields.fault("id", card.id)
    found = Card(card.id, fields.text("front"), fields.text("back"))
    fields.end()
    return found
