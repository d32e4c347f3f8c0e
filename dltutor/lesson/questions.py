"""Questions of a lesson: quizzes, predictions before a run, and cards to come back to; how an answer is marked, and a
guess compared with what happened. What its text says of them: see `fences`.

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
from dataclasses import dataclass
from typing import Any, TypeGuard

from dltutor.errors import UsageError
from dltutor.i18n import _, plural
from dltutor.pictures import Curves, Series


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
    return [
        _("“{choice}”: {why}").format(choice=choice.text.rstrip(".。"), why=choice.why)
        for choice in choices
        if choice.why
    ]


def _marked_number(quiz: Number, given: Any) -> Marked:
    readings = numbers(str(given), quiz.unit)
    if not readings:
        raise UsageError(_("{text} is no number").format(text=given), _("For example 0.25, 1e-3 or 94%."))
    if any(near(value, quiz.answer, quiz.tolerance) for value in readings):
        return Marked(True, quiz.why)
    caught = [trap.why for trap in quiz.traps if any(near(value, trap.answer, quiz.tolerance) for value in readings)]
    direction = _("It is more than that.") if readings[0] < quiz.answer else _("It is less than that.")
    return Marked(False, caught[0] if caught else direction)


def _marked_order(quiz: Order, given: Sequence[int]) -> Marked:
    right = sorted(given)
    if list(given) == right:
        return Marked(True, quiz.why)
    first = next(n for n, (place, should) in enumerate(zip(given, right, strict=True)) if place != should)
    early = _("“{item}” comes later.").format(item=quiz.items[given[first]].rstrip(".。"))
    if not first:
        return Marked(False, early)
    good = plural("The first is in its place.", "The first {n} are in their places.", first)
    return Marked(False, joined(good, early))


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
            numeric = isinstance(given, list) and all(type(end) in (int, float) and math.isfinite(end) for end in given)
            return numeric and len(given) == 2
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


def near(value: float, answer: float, tolerance: float) -> bool:
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
        return joined(sentence, _("A range as wide as that is hard to miss."))
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
    return {1: _("just guessing"), 2: _("fairly sure"), 3: _("certain")}


def joined(*sentences: str) -> str:
    """Sentences in a line: Chinese ones need no space between them."""
    text = ""
    for sentence in sentences:
        text += sentence if not text or text.endswith("。") else f" {sentence}"
    return text


def calibration(found: Mapping[int, tuple[int, int]]) -> str:
    """How often one was right when as sure as that, in a line: "fairly sure: right in 5 of 7"; empty: no guess yet."""
    told = _("{sure}: right in {right} of {all}")
    return " · ".join(
        told.format(sure=name, right=found[level][0], all=found[level][1])
        for level, name in confidences().items()
        if level in found and found[level][1]
    )
