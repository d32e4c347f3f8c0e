"""Knobs: the named values a learner can turn, with what each may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dltutor.errors import UsageError
from dltutor.i18n import _
from dltutor.lesson.yaml_lines import close

Value = int | float | str | bool
_YES, _NO = ("true", "on", "yes", "1", "是"), ("false", "off", "no", "0", "否")
_LINEAR_STEPS = 20  # about so many presses of a key from one end of a linear knob to the other


@dataclass(frozen=True)
class Knob:
    name: str
    """What the lab calls it."""
    label: str
    """What the learner sees."""
    default: Value
    kind: str
    """int, float, choice or bool."""
    range: tuple[float, float] | None = None
    """Lowest and highest value of an int or a float, both allowed."""
    scale: str = "linear"
    """linear or log."""
    choices: dict[Any, str] = field(default_factory=dict)
    """Value -> label, in order."""
    live: bool = False
    """Takes effect at the next step of a run; the others start it again."""

    def parse(self, text: str) -> Value:
        """The value that `text` means. Raises UsageError naming knob, value and what is allowed."""
        word = text.strip()
        meant = {"choice": self._chosen, "bool": _truth}.get(self.kind, _number)(word)
        try:
            return self.check(meant)
        except UsageError as error:
            raise self._refusal(word) from error

    def check(self, value: Any) -> Value:
        """`value` as the type of this knob. Raises UsageError naming knob, value and what is allowed."""
        if self.kind == "choice":
            same = [choice for choice in self.choices if choice == value and type(choice) is type(value)]
            if not same:
                raise self._refusal(value)
            return value  # type: ignore[no-any-return]
        if self.kind == "bool":
            if not isinstance(value, bool):
                raise self._refusal(value)
            return value
        return self._within(value)

    def nudge(self, value: Any, direction: int) -> Value:
        """The next value up (direction 1) or down (-1): the rungs 1, 2, 5, 10 of a log scale, even steps of a linear
        one, the next choice around the circle."""
        if self.kind == "bool":
            return not value
        if self.kind == "choice":
            values = list(self.choices)
            place = values.index(value) if value in values else 0
            return values[(place + direction) % len(values)]  # type: ignore[no-any-return]
        assert self.range is not None
        near = _next_rung(value, direction) if self.scale == "log" else _next_multiple(value, direction, self.step)
        near = min(max(near, self.range[0]), self.range[1])
        return round(near) if self.kind == "int" else float(near)

    def format(self, value: Any) -> str:
        """`value` as the learner reads it."""
        if self.kind == "choice":
            return self.choices.get(value, str(value))
        if self.kind == "bool":
            return _("on") if value else _("off")
        return f"{value:.6g}" if isinstance(value, float) else str(value)

    @property
    def step(self) -> float:
        """What one press of a key adds on a linear scale."""
        assert self.range is not None
        span = (self.range[1] - self.range[0]) / _LINEAR_STEPS
        step = _next_rung(span * (1 + 1e-6), -1)
        return max(1.0, step) if self.kind == "int" else step

    def allowed(self, labels: bool = False) -> str:
        """What this knob may be, in words; with `labels`, choices as the learner sees them, not as the lab does."""
        if self.kind == "choice":
            choices = self.choices.values() if labels else map(_word, self.choices)
            return _("one of {choices}").format(choices=", ".join(choices))
        if self.kind == "bool":
            return _("on or off")
        low, high = (f"{end:.6g}" for end in self.range or ())
        what = _("a whole number from {low} to {high}") if self.kind == "int" else _("a number from {low} to {high}")
        return what.format(low=low, high=high)

    def _chosen(self, word: str) -> Any:
        """The choice that `word` names by its value or its label, or the word itself."""
        named = {name.lower(): value for value, label in self.choices.items() for name in (label, _word(value))}
        return named.get(word.lower(), word)

    def _within(self, value: Any) -> Value:
        assert self.range is not None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._refusal(value)
        if not self.range[0] <= value <= self.range[1]:  # NaN is in no range
            raise self._refusal(value)
        if self.kind == "float":
            return float(value)
        if value != int(value):
            raise self._refusal(value)
        return int(value)

    def _refusal(self, value: Any) -> UsageError:
        message = _("{knob} can't be {value}: it is {allowed}").format(
            knob=self.name, value=_word(value), allowed=self.allowed()
        )
        hint = _("For example {knob}={value}.").format(knob=self.name, value=_word(self.default))
        return UsageError(message, close(value, self.choices) if self.kind == "choice" else hint)


def setting(knobs: Mapping[str, Knob], overrides: Mapping[str, Any]) -> dict[str, Value]:
    """The values of all knobs: their defaults, with `overrides` (values, or texts to parse) in their place.

    Raises UsageError for a knob that isn't there and a value that can't be.
    """
    for name in overrides:
        if name not in knobs:
            raise UsageError(_("there is no knob {name} here").format(name=name), close(name, knobs))
    return {name: _given(knob, overrides.get(name, knob.default)) for name, knob in knobs.items()}


def restored(knobs: Mapping[str, Knob], stored: Mapping[str, Any]) -> dict[str, Value]:
    """The values of all knobs, with as much of a `stored` setting as the knobs still allow."""
    values = {name: knob.default for name, knob in knobs.items()}
    for name in values.keys() & stored.keys():
        try:
            values[name] = knobs[name].check(stored[name])
        except UsageError:
            continue  # the lesson has changed since
    return values


def _given(knob: Knob, value: Any) -> Value:
    return knob.parse(value) if isinstance(value, str) else knob.check(value)


def _word(value: Any) -> str:
    """`value` as one would type it, not endlessly."""
    return (str(value).lower() if isinstance(value, bool) else str(value))[:40]


def _truth(word: str) -> Any:
    """The truth value that `word` is, or the word itself."""
    return True if word.lower() in _YES else False if word.lower() in _NO else word


def _number(word: str) -> Any:
    """The number that `word` is, or the word itself."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def _next_rung(value: float, direction: int) -> float:
    """The nearest of ..., 0.5, 1, 2, 5, 10, ... above or below a positive `value`."""
    exponent = math.floor(math.log10(value))
    rungs = [float(f"{digit}e{power}") for power in range(exponent - 1, exponent + 3) for digit in (1, 2, 5)]
    if direction > 0:
        return min(rung for rung in rungs if rung > value * (1 + 1e-9))
    return max(rung for rung in rungs if rung < value * (1 - 1e-9))


def _next_multiple(value: float, direction: int, step: float) -> float:
    """The nearest multiple of `step` above or below `value`."""
    count = math.floor(value / step + 1e-9) + 1 if direction > 0 else math.ceil(value / step - 1e-9) - 1
    return float(f"{count * step:.12g}")  # 0.3, not 0.30000000000000004
