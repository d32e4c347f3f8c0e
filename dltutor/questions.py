"""Questions of a lesson: quizzes, predictions before a run, and cards to come back to. All from fences in its text.

An answer (`given`) is kept by the places of its choices in the file, counted from 0, never by their words or the order
on the screen: the index of a choice, a sorted list of indices (several), a list of indices in the learner's order
(order), the number as typed, or [lowest, highest]. Texts may hold Markdown and `$…$`.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

from dltutor.blocks import Widget
from dltutor.errors import DltutorError, UsageError
from dltutor.i18n import _, plural
from dltutor.pictures import Curves, Series
from dltutor.yaml_lines import Fields, Map, fault

MOST = 9  # choices: each has a number key
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Choice:
    text: str
    right: bool = False
    why: str = ""


@dataclass(frozen=True)
class Trap:
    """A wrong number that one arrives at by a common mistake."""

    answer: float
    why: str


@dataclass(frozen=True)
class Line:
    """A named curve, its values spread evenly from left to right."""

    label: str
    values: tuple[float, ...]

    def series(self, end: float) -> Series:
        last = max(1, len(self.values) - 1)
        return Series(self.label, [end * n / last for n in range(len(self.values))], list(self.values))


@dataclass(frozen=True)
class Plot:
    """A chart to be read."""

    curves: tuple[Line, ...]
    x: str = ""
    until: float = 0
    """Where the x axis ends; 0: it counts the values."""
    log: bool = False

    def picture(self) -> Curves:
        return Curves([line.series(self.until or len(line.values) - 1) for line in self.curves], self.x, self.log)


@dataclass(frozen=True, kw_only=True)
class _Question:
    id: str
    title: str
    question: str
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Pick(_Question):
    """A choice; with `several`, all that are right."""

    choices: tuple[Choice, ...]
    several: bool = False
    plot: Plot | None = None


@dataclass(frozen=True, kw_only=True)
class Number(_Question):
    """A number to type."""

    answer: float
    tolerance: float
    unit: str = ""
    traps: tuple[Trap, ...] = ()
    plot: Plot | None = None


@dataclass(frozen=True, kw_only=True)
class Order(_Question):
    """Steps to bring into order; here they stand in the right one."""

    items: tuple[str, ...]
    plot: Plot | None = None


@dataclass(frozen=True, kw_only=True)
class _Predicted(_Question):
    lab: str = ""
    """The `lab` fence whose run tells; empty: the answer is told at once."""
    metric: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome(_Predicted):
    """What will happen, in words."""

    choices: tuple[str, ...]
    answer: int


@dataclass(frozen=True, kw_only=True)
class Shape(_Predicted):
    """Which curve `metric` will draw."""

    curves: tuple[Line, ...]
    answer: int


@dataclass(frozen=True, kw_only=True)
class Level(_Predicted):
    """Between which two numbers `metric`, times `scale`, will end."""

    low: float
    high: float
    unit: str = ""
    scale: float = 1.0
    answer: float | None = None
    """The truth where no run tells it."""


@dataclass(frozen=True)
class Card:
    id: str
    front: str
    back: str


@dataclass(frozen=True)
class Deck:
    id: str
    title: str
    cards: tuple[Card, ...]


Quiz = Pick | Number | Order
Prediction = Outcome | Shape | Level
Content = Quiz | Prediction | Deck


def is_quiz(content: object) -> TypeGuard[Quiz]:
    return isinstance(content, Quiz)


def is_prediction(content: object) -> TypeGuard[Prediction]:
    return isinstance(content, Prediction)


# ---------------------------------------------------------------- reading a fence


def parse(widget: Widget, file: Path) -> Content:
    """What a quiz, predict or review fence says. Raises DltutorError with file, line, and what was expected."""
    if isinstance(widget.body, Content):
        return widget.body
    fields = Fields(_body(widget), file)
    content = {"quiz": _quiz, "predict": _prediction, "review": _deck}[widget.kind](fields)
    fields.end()
    return content


def _body(widget: Widget) -> Map:
    return widget.body if isinstance(widget.body, Map) else Map(widget.line)


def is_empty(widget: Widget) -> bool:
    """Whether the fence only holds the place of a question that is still to be written."""
    body = widget.body
    if widget.kind == "predict":
        return "curves" not in body and "number" not in body and not isinstance(body.get("answer"), (int, float))
    return not body.keys() & ({"choices", "answer", "order"} if widget.kind == "quiz" else {"cards"})


def _id(fields: Fields) -> str:
    id = fields.text("id")
    if not _ID.fullmatch(id):
        raise fields.fault("id", _("a name of a-z, 0-9 and hyphens"))
    return id


def _common(fields: Fields) -> dict[str, str]:
    return {"id": _id(fields), "title": fields.text("title"), "question": fields.text("question")}


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
        if _near(trap.answer, answer, tolerance):
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
    id, title = _id(fields), fields.text("title", _("Cards"))
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
    card = Card(_id(fields), fields.text("front"), fields.text("back"))
    fields.end()
    return card


# ---------------------------------------------------------------- a translation


def translated(original: Content, widget: Widget, file: Path) -> Content:
    """`original` with its texts as a translation's fence gives them, in the same order. Raises DltutorError where one
    is missing or one is too many, and for anything but a text: that is the English lesson's."""
    if isinstance(widget.body, Content):
        return widget.body
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


# ---------------------------------------------------------------- the order on the screen


def arrangement(content: Quiz | Prediction) -> list[int]:
    """The places in the file of the choices, in the order in which they are shown: shuffled by the question's id, so
    that their order says nothing, and is always the same. Numbers stay as they are."""
    texts = choice_texts(content)
    places = list(range(len(texts)))
    if not isinstance(content, Order) and all(numbers(text) for text in texts):
        return places
    places.sort(key=lambda place: hashlib.sha256(f"{content.id}/{place}".encode()).digest())
    if isinstance(content, Order) and places == sorted(places):
        places = [*places[1:], places[0]]
    return places


def choice_texts(content: Quiz | Prediction) -> list[str]:
    """What there is to choose from, or to order, as in the file."""
    match content:
        case Pick():
            return [choice.text for choice in content.choices]
        case Order():
            return list(content.items)
        case Outcome():
            return list(content.choices)
        case Shape():
            return [line.label for line in content.curves]
    return []


# ---------------------------------------------------------------- a quiz is marked


@dataclass(frozen=True)
class Marked:
    right: bool
    why: str


def marked(quiz: Quiz, given: Any) -> Marked:
    """Whether `given` is right, and why or why not. Raises UsageError for a text that is no number."""
    match quiz:
        case Pick(several=True):
            return _marked_several(quiz, given)
        case Pick():
            choice = quiz.choices[given]
            return Marked(choice.right, choice.why or (quiz.why if choice.right else ""))
        case Number():
            return _marked_number(quiz, given)
    return _marked_order(quiz, given)


def _marked_several(quiz: Pick, given: Sequence[int]) -> Marked:
    right = {place for place, choice in enumerate(quiz.choices) if choice.right}
    if set(given) == right:
        return Marked(True, "\n".join([*_reasons(quiz, sorted(right)), *filter(None, [quiz.why])]))
    lines = _reasons(quiz, [place for place in given if place not in right])
    missing = len(right - set(given))
    if missing:
        lines.append(plural("{n} right one is missing.", "{n} right ones are missing.", missing))
    return Marked(False, "\n".join(lines))


def _reasons(quiz: Pick, places: Sequence[int]) -> list[str]:
    choices = [quiz.choices[place] for place in places]
    return [_("“{choice}”: {why}").format(choice=choice.text, why=choice.why) for choice in choices if choice.why]


def _marked_number(quiz: Number, given: Any) -> Marked:
    readings = numbers(str(given), quiz.unit)
    if not readings:
        raise UsageError(_("{text} is no number").format(text=given), _("For example 0.25, 1e-3 or 94%."))
    if any(_near(value, quiz.answer, quiz.tolerance) for value in readings):
        return Marked(True, quiz.why)
    caught = [trap.why for trap in quiz.traps if any(_near(value, trap.answer, quiz.tolerance) for value in readings)]
    direction = _("It is more than that.") if readings[0] < quiz.answer else _("It is less than that.")
    return Marked(False, caught[0] if caught else direction)


def _marked_order(quiz: Order, given: Sequence[int]) -> Marked:
    right = sorted(given)
    if list(given) == right:
        return Marked(True, quiz.why)
    first = next(n for n, (place, should) in enumerate(zip(given, right, strict=True)) if place != should)
    early = _("“{item}” comes later.").format(item=quiz.items[given[first]])
    if not first:
        return Marked(False, early)
    good = plural("The first is in its place.", "The first {n} are in their places.", first)
    return Marked(False, f"{good} {early}")


def right_answer(quiz: Quiz) -> Any:
    """What would have been right, as `given`."""
    match quiz:
        case Pick():
            right = [place for place, choice in enumerate(quiz.choices) if choice.right]
            return right if quiz.several else right[0]
        case Number():
            return f"{quiz.answer:.12g}"
    return list(range(len(quiz.items)))


def why_right(quiz: Quiz) -> str:
    return marked(quiz, right_answer(quiz)).why


def fits(content: Quiz | Prediction, given: Any) -> bool:
    """Whether a kept answer can be one to this question, which may have changed since."""
    count = len(choice_texts(content))
    match content:
        case Pick(several=True):
            return _are_places(given, count) and sorted(set(given)) == given
        case Order():
            return _are_places(given, count) and sorted(given) == list(range(count))
        case Number():
            return isinstance(given, str) and bool(numbers(given, content.unit))
        case Level():
            return isinstance(given, list) and len(given) == 2 and all(isinstance(n, (int, float)) for n in given)
    return _are_places([given], count)


def _are_places(given: Any, count: int) -> bool:
    return isinstance(given, list) and all(type(place) is int and 0 <= place < count for place in given)


# ---------------------------------------------------------------- numbers as people write them

_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")


def numbers(text: str, unit: str = "") -> tuple[float, ...]:
    """What number `text` may mean: 8.47, 8,47, 1e-3, 94%, 1/3, 12,345 (two); with or without `unit`. None: ()."""
    word = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-").strip().lower()
    word = word.removesuffix(unicodedata.normalize("NFKC", unit).lower()).strip() if unit else word
    if word.endswith("%"):
        return tuple(value / 100 for value in numbers(word[:-1]))
    over, slash, under = word.partition("/")
    if slash:
        return tuple(a / b for a in numbers(over) for b in numbers(under) if b and "/" not in under)
    words = [word.replace(",", ".")] + ([word.replace(",", "")] if _GROUPED.fullmatch(word) else [])
    return tuple(value for word in words if _PLAIN.fullmatch(word) and math.isfinite(value := float(word)))


def _near(value: float, answer: float, tolerance: float) -> bool:
    """Within the tolerance; the last bits of a decimal fraction never decide."""
    return abs(value - answer) <= tolerance + 1e-9 * max(1.0, abs(answer))


def with_unit(value: float, unit: str) -> str:
    text = f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{text}{unit}" if unit in ("", "%", "°") else f"{text} {unit}"


# ---------------------------------------------------------------- a prediction and the truth


@dataclass(frozen=True)
class Comparison:
    right: bool
    sentence: str
    outcome: Any
    """What happened, as `given` would say it: the index of a choice, or a number. None: no number came."""


def compare(prediction: Prediction, given: Any, metrics: Mapping[str, float] | None = None) -> Comparison:
    """The guess beside the truth, in words. `metrics`: the last values of the run, by name, where a run tells."""
    outcome = _truth(prediction, metrics or {}) if isinstance(prediction, Level) else prediction.answer
    return compare_with(prediction, given, outcome)


def compare_with(prediction: Prediction, given: Any, truth: Any) -> Comparison:
    """The guess beside what happened, as `Comparison.outcome` has it."""
    if not isinstance(prediction, Level):
        return _compare_choice(prediction, given)
    if not isinstance(truth, (int, float)):
        return Comparison(False, _("The run ended without a number to compare with."), None)
    low, high = given
    slack = 1e-9 * max(1.0, abs(truth))
    right = low - slack <= truth <= high + slack
    return Comparison(right, _level_sentence(prediction, low, high, truth, right), truth)


def _truth(level: Level, metrics: Mapping[str, float]) -> float | None:
    if level.metric in metrics and level.lab:
        value = float(metrics[level.metric]) * level.scale
        return value if math.isfinite(value) else None
    return level.answer


def _level_sentence(level: Level, low: float, high: float, truth: float, right: bool) -> str:
    said, was = in_words(level, [low, high]), with_unit(truth, level.unit)
    if not right:
        far = _("You said {guess}; it is {truth}: more than you expected.")
        near = _("You said {guess}; it is {truth}: less than you expected.")
        return (far if truth > high else near).format(guess=said, truth=was)
    sentence = _("You said {guess}; it is {truth}: you had it.").format(guess=said, truth=was)
    if high - low > 0.5 * (level.high - level.low):
        sentence += " " + _("A range as wide as that is hard to miss.")
    return sentence


def _compare_choice(prediction: Outcome | Shape, given: int) -> Comparison:
    right, truth = given == prediction.answer, in_words(prediction, prediction.answer)
    if right:
        sentence = _("As you expected: {truth}.") if prediction.lab else _("You said it: {truth}.")
        return Comparison(True, sentence.format(truth=truth), given)
    happened = _("You expected: {guess}. What happened: {truth}.")
    sentence = happened if prediction.lab else _("You said: {guess}. In fact: {truth}.")
    sentence = sentence.format(guess=in_words(prediction, given), truth=truth)
    return Comparison(False, sentence, prediction.answer)


def in_words(prediction: Prediction, given: Any) -> str:
    """A guess as one says it."""
    if isinstance(prediction, Level):
        low, high = given
        if low == high:
            return with_unit(low, prediction.unit)
        low_text = f"{low:.4g}" if abs(low) < 1e4 else f"{low:,.0f}"
        return _("{low} to {high}").format(low=low_text, high=with_unit(high, prediction.unit))
    return choice_texts(prediction)[given].rstrip(".。")


def behind(prediction: Prediction, given: Any, steps: int) -> list[Series]:
    """What to draw dim behind the curves of `prediction.metric` in a run of so many steps: the curve that was
    expected, or the lowest and the highest value. Nothing for an outcome in words."""
    match prediction:
        case Shape():
            return [prediction.curves[given].series(steps)]
        case Level():
            name, ends = _("your guess"), [value / prediction.scale for value in given]
            return [Series(name, [0.0, float(steps)], [value, value]) for value in dict.fromkeys(ends)]
    return []


def read_range(level: Level, text_low: str, text_high: str) -> list[float]:
    """[lowest, highest] as typed. Raises UsageError where they are no range within the question's."""
    ends = []
    for text in (text_low, text_high):
        readings = numbers(text, level.unit)
        if not readings:
            raise UsageError(_("{text} is no number").format(text=text), _("For example 0.25, 1e-3 or 94%."))
        ends.append(readings[0])
    if not level.low <= min(ends) <= max(ends) <= level.high:
        low, high = with_unit(level.low, level.unit), with_unit(level.high, level.unit)
        raise UsageError(_("It lies between {low} and {high}.").format(low=low, high=high))
    return sorted(ends)


# ---------------------------------------------------------------- how sure


def confidences() -> dict[int, str]:
    return {1: _("a guess"), 2: _("fairly sure"), 3: _("certain")}


def calibration(found: Mapping[int, tuple[int, int]]) -> str:
    """How often one was right when as sure as that, in a line: "fairly sure: right in 5 of 7"; empty: no guess yet."""
    told = _("{sure}: right in {right} of {all}")
    return " · ".join(
        told.format(sure=name, right=found[level][0], all=found[level][1])
        for level, name in confidences().items()
        if level in found and found[level][1]
    )
