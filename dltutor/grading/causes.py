"""Recognises in wrong numbers what made them wrong.

    sign, factor, missing_mean      the right numbers, times something
    transposed, swapped             the right numbers in the wrong places, or of another array
    wrong_axis, missing_bias        the right formula of other inputs
    off_by_one                      all right but the first or last row or column, or all but the first or last sample
    not_written, not_accumulated    nothing there; what was there before is gone
    wrong_derivative                number by number, another factor than the derivative
    shape, nan, race, bounds, other

Each recogniser sees one array in all trials where it is wrong, and must recognise it in every trial that can show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dltutor.grading.trials import Trial
from dltutor.i18n import _
from dltutor.lesson.questions import joined
from dltutor.proof.checks import Arrays, Case

NOT_HERE = object()  # a trial that cannot show it


@dataclass(frozen=True)
class Cause:
    """What made the numbers wrong."""

    id: str
    short: str  # behind "dw is wrong: "
    why: str


@dataclass(frozen=True)
class Evidence:
    """One array of one trial, wrong somewhere."""

    trial: Trial
    name: str
    yours: np.ndarray  # what one call made, or added
    expected: np.ndarray
    made: np.ndarray  # what was there after the call
    poison: np.ndarray  # where it holds what was there before all calls
    frozen: bool | None = None  # from whatever start, the same comes out: None where that was not tried

    def close(self, other: Any, part: Any = None) -> bool:
        """Whether the numbers are those, as nearly as this dtype can tell."""
        part = self.yours if part is None else part
        other = np.asarray(other)
        return other.shape == part.shape and bool(near(part, other, self.trial.dtype, self.start).all())

    @property
    def start(self) -> np.ndarray:
        return np.asarray(self.trial.start[self.name])

    @property
    def wrong(self) -> np.ndarray:
        return ~near(self.yours, self.expected, self.trial.dtype, self.start)

    @property
    def case(self) -> Case:
        assert isinstance(self.trial.subject.case, Case)
        return self.trial.subject.case

    def of(self, changed: Arrays) -> np.ndarray:
        """What the reference would give for other inputs."""
        given = self.trial.given | changed
        with np.errstate(all="ignore"):
            if self.trial.adds:
                assert self.case.backward_reference is not None
                return np.asarray(self.case.backward_reference(**given)[self.name])
            return np.asarray(self.case.reference(**self.trial.inputs | changed)[self.name])


TOLERANCE = {"float64": 1e-5, "float32": 3e-4}


def near(yours: np.ndarray, expected: np.ndarray, dtype: str, start: Any = 0.0) -> np.ndarray:
    """Where they are the same, for a number relative to itself or to the largest beside it."""
    if expected.dtype.kind != "f":
        return np.asarray(yours == expected)
    tolerance = TOLERANCE[dtype]
    finite = np.abs(expected[np.isfinite(expected)])
    scale = finite.max(initial=0)
    before = np.abs(np.asarray(start, float))
    rounding = 8 * np.finfo(dtype).eps * before[np.isfinite(before)].max(initial=0)
    with np.errstate(all="ignore"):
        return np.isclose(yours, expected, tolerance, tolerance * scale + rounding + 1e-12, equal_nan=True)


def recognise(found: Sequence[Evidence]) -> Cause | None:
    """The likely cause of what is wrong with one array."""
    with np.errstate(all="ignore"):
        return next((cause for look in LOOKS if (cause := look(found))), None)


def all_show(found: Sequence[Evidence], shows: Callable[[Evidence], Any]) -> bool:
    """Whether every trial that can show it does, and one at least."""
    answers = [answer for one in found if (answer := shows(one)) is not NOT_HERE]
    return bool(answers) and all(answers)


# ---------------------------------------------------------------- nothing there, or too much


def not_written(found: Sequence[Evidence]) -> Cause | None:
    first = found[0]
    if first.trial.adds:
        if all_show(found, lambda e: not e.yours.any()):
            short = _("nothing was added to it")
            return Cause("not_written", short, _("{name} is as it was before the call.").format(name=first.name))
        return None
    if all_show(found, lambda e: e.poison.all() if e.poison.size and e.trial.purpose == "numbers" else NOT_HERE):
        return Cause("not_written", *untouched(found))
    return None


def untouched(found: Sequence[Evidence]) -> tuple[str, str]:
    """Never written, or added to what was there."""
    name = found[0].name
    again = [e for e in found if e.trial.purpose == "again"]
    if again and all(e.close(e.start + e.expected) for e in again):
        return (
            _("it is added to, where it has to be overwritten"),
            _("{name} holds any numbers before the call: set it with =, not with +=.").format(name=name),
        )
    return _("nothing was written to it"), _("{name} is as it was before the call.").format(name=name)


def not_a_number(found: Sequence[Evidence]) -> Cause | None:
    def shows(e: Evidence) -> Any:
        return (~np.isfinite(e.yours) & np.isfinite(e.expected) & ~e.poison).any()

    if any(shows(e) for e in found):
        why = _(
            "A division by zero, a logarithm of zero or less, or an exponential of a large number makes such numbers."
        )
        return Cause("nan", _("it is not a number"), why)
    return None


def not_accumulated(found: Sequence[Evidence]) -> Cause | None:
    if found[0].trial.adds and all_show(found, lambda e: NOT_HERE if e.frozen is None else e.frozen):
        why = _("Gradients are added to what is there already: use +=, not =. Others add to {name}, too.")
        return Cause("not_accumulated", _("it is overwritten, not added to"), why.format(name=found[0].name))
    return None


# ---------------------------------------------------------------- the right numbers, times something


def sign(found: Sequence[Evidence]) -> Cause | None:
    if all_show(found, lambda e: e.close(-e.expected) and bool(np.any(e.expected))):
        return Cause("sign", _("its sign"), _("Every number has the right size and the wrong sign."))
    return None


def factor(found: Sequence[Evidence]) -> Cause | None:
    ratios = [ratio(e) for e in found]
    shown = [(e, r) for e, r in zip(found, ratios, strict=True) if r is not NOT_HERE]
    if not shown or any(r is None for _e, r in shown) or sum(e.expected.size for e, _r in shown) < 3:
        return None
    for count in ("N", "size"):
        if cause := by_count(shown, count):
            return cause
    values = [r for _e, r in shown]
    if np.allclose(values, values[0], rtol=1e-4):
        value = f"{values[0]:.4g}" if abs(values[0] - 1) > 1e-3 else f"{values[0]:.7g}"
        why = _("Every number is {value} times what it should be.").format(value=value)
        return Cause("factor", _("it is {value} times what it should be").format(value=value), why)
    return changing_factor([one for one in shown if one[0].expected.size > 1])


def changing_factor(shown: Sequence[tuple[Evidence, Any]]) -> Cause | None:
    """Another one for each size: a count stands in it that should not, or the wrong one."""
    if not shown:
        return None
    first, value = shown[0]
    other, else_ = next(((e, r) for e, r in shown if not np.isclose(r, value, rtol=1e-3)), shown[0])
    if first.trial.shape == other.trial.shape:
        return None
    why = _("It is {value} times what it should be where {sizes}, and {else_} times where {others}.").format(
        value=f"{value:.4g}", sizes=first.trial.sizes, else_=f"{else_:.4g}", others=other.trial.sizes
    )
    return Cause("factor", _("by a factor that changes with the sizes"), why)


def ratio(e: Evidence) -> Any:
    """yours / expected, where that is one number; else None."""
    square = float((e.expected * e.expected).sum()) if e.expected.dtype.kind == "f" else 0.0
    if not square:
        return NOT_HERE
    value = float((e.yours * e.expected).sum()) / square
    return value if np.isfinite(value) and value and e.close(value * e.expected) else None


TWOS = {2: "And there is a factor 2 too many.", 0.5: "And a factor 2 is missing."}


def by_count(shown: Sequence[tuple[Evidence, Any]], count: str) -> Cause | None:
    """A factor that is the number of samples, or of all numbers: a mean was left out, or taken twice."""
    counts = [counted(e, count) for e, _r in shown]
    values = [r for _e, r in shown]
    if max(counts) < 2:
        return None
    for times in (1, *TWOS):
        if np.allclose(values, np.multiply(times, counts, dtype=float), rtol=1e-4):
            why = _(
                "It is {count} times too large: the sum, where the mean is wanted. Divide by the number of samples."
            ).format(count=f"{values[0]:.4g}")
            return Cause("missing_mean", _("a mean is missing"), joined(why, _(TWOS[times])) if times in TWOS else why)
    if np.allclose(values, 1 / np.array(counts), rtol=1e-4):
        why = _("It is {count} times too small: divided by the number of samples, where the sum is wanted.")
        return Cause("factor", _("it is divided by the number of samples"), why.format(count=counts[0]))
    return None


def counted(e: Evidence, count: str) -> int:
    array = next((value for value in e.trial.given.values() if np.ndim(value)), e.expected)
    return len(array) if count == "N" else int(np.size(array))


# ---------------------------------------------------------------- a part of it


ENDS = ((0, "first"), (-1, "last"))


def edge(found: Sequence[Evidence]) -> Cause | None:
    """Wrong in the first or last row or column only."""
    for axis in range(found[0].expected.ndim):
        for place, end in ENDS:
            if all_show(found, lambda e, axis=axis, place=place: only_there(e, axis, place)):  # type: ignore[misc]
                part = part_name(found[0].expected.ndim, axis, end)
                why = _("All but {part} is right: does the loop run over all of it?").format(part=part)
                return Cause("off_by_one", _("{part} is wrong").format(part=part), why)
    return None


def only_there(e: Evidence, axis: int, place: int) -> Any:
    if e.expected.shape[axis] < 2:
        return NOT_HERE
    elsewhere = np.delete(e.wrong, place, axis)
    return not elsewhere.any()


def part_name(axes: int, axis: int, end: str) -> str:
    if axes == 1:
        return _("its first number") if end == "first" else _("its last number")
    if axis == axes - 2:
        return _("its first row") if end == "first" else _("its last row")
    if axis == axes - 1:
        return _("its first column") if end == "first" else _("its last column")
    return _("its first part") if end == "first" else _("its last part")


def left_out(found: Sequence[Evidence]) -> Cause | None:
    """One sample, or one term of each sum, is not in it."""
    if not isinstance(found[0].trial.subject.case, Case):
        return None
    for name in inputs_of(found[0]):
        for axis in range(np.ndim(found[0].trial.given[name])):
            for place, end in ENDS:
                if all_show(found, lambda e, n=name, a=axis, p=place: e.close(e.of(without(e, n, a, p)))):  # type: ignore[misc]
                    return term_missing(end, name)
    return None


def term_missing(end: str, name: str) -> Cause:
    first = _("What is first in {name} is left out: does the loop begin at 0?")
    last = _("What is last in {name} is left out: does the loop run to the end?")
    why = (first if end == "first" else last).format(name=name)
    return Cause("off_by_one", _("a term of each sum is missing"), why)


def pair_left_out(found: Sequence[Evidence]) -> Cause | None:
    """The same where a sum is of differences: one of them is not in it."""
    for a, b in pairs(inputs_of(found[0])):
        for place, end in ENDS:
            if all_show(found, lambda e, a=a, b=b, p=place: alike_there(e, a, b, p)):  # type: ignore[misc]
                return term_missing(end, a)
    return None


def alike_there(e: Evidence, a: str, b: str, place: int) -> Any:
    x, y = np.array(e.trial.given[a]), np.asarray(e.trial.given[b])
    if x.shape != y.shape or not x.size:
        return NOT_HERE
    x[place] = y[place]
    return e.close(e.of({a: x}))


def without(e: Evidence, name: str, axis: int, place: int) -> Arrays:
    changed = np.array(e.trial.given[name])
    if changed.shape[axis]:
        np.moveaxis(changed, axis, 0)[place] = 0
    return {name: changed}


# ---------------------------------------------------------------- other inputs


def inputs_of(e: Evidence) -> list[str]:
    """Arrays of real numbers that the learner's function is given."""
    given = e.trial.given
    names = [name for name in e.trial.subject.names if name in given and name not in e.trial.start]
    return [name for name in names if np.ndim(given[name]) and np.asarray(given[name]).dtype.kind == "f"]


def transposed(found: Sequence[Evidence]) -> Cause | None:
    if all_show(found, lambda e: e.close(e.expected.T) if is_square(e.expected) else NOT_HERE):
        return Cause("transposed", _("it is transposed"), _("Rows and columns are exchanged."))
    for name in inputs_of(found[0]):
        if all_show(found, lambda e, name=name: turned(e, name)):  # type: ignore[misc]
            return turned_cause(found[0], name)
    return None


def is_square(array: np.ndarray) -> bool:
    return array.ndim == 2 and array.shape[0] == array.shape[1] > 1


def turned(e: Evidence, name: str) -> Any:
    value = np.asarray(e.trial.given[name])
    return e.close(e.of({name: value.T})) if is_square(value) else NOT_HERE


def turned_cause(e: Evidence, name: str) -> Cause:
    if e.expected.ndim < 2:
        why = _("The numbers of {name} are added up along the other axis.").format(name=name)
        return Cause("wrong_axis", _("it is summed over the wrong axis"), why)
    why = _("{name} is used with rows and columns exchanged.").format(name=name)
    return Cause("transposed", _("{name} is transposed in it").format(name=name), why)


def wrong_axis(found: Sequence[Evidence]) -> Cause | None:
    """What was summed over one axis should have been summed over the other: the sums begin where they fit."""

    def shows(e: Evidence) -> Any:
        for name in inputs_of(e):
            value = np.asarray(e.trial.given[name])
            if value.ndim == 2 and e.expected.ndim == 1 and min(value.shape) > 1:
                sums = value.sum(axis=1)
                fit = min(len(sums), e.yours.size)
                if e.expected.size > 1 and e.close(sums[:fit], e.yours[:fit]):
                    return True
        return False

    if all_show(found, shows):
        return Cause("wrong_axis", _("it is summed over the wrong axis"), _("Each row was summed, not each column."))
    return None


def missing_bias(found: Sequence[Evidence]) -> Cause | None:
    def shows(e: Evidence) -> Any:
        return "b" in inputs_of(e) and e.close(e.of({"b": np.zeros_like(e.trial.given["b"])}))

    if all_show(found, shows):
        return Cause(
            "missing_bias", _("the bias is missing"), _("b is not in it: without b the numbers would be these.")
        )
    return None


def swapped(found: Sequence[Evidence]) -> Cause | None:
    first = found[0]
    for other in first.trial.change:
        if other != first.name and all_show(found, lambda e, other=other: has_numbers_of(e, other)):  # type: ignore[misc]
            why = _("It holds what {other} should hold.").format(other=other)
            return Cause("swapped", _("it is exchanged with {other}").format(other=other), why)
    for a, b in pairs(inputs_of(first)):
        if all_show(found, lambda e, a=a, b=b: exchanged(e, a, b)):  # type: ignore[misc]
            why = _("{a} is used where {b} belongs, and the other way round.").format(a=a, b=b)
            return Cause("swapped", _("{a} and {b} are exchanged in it").format(a=a, b=b), why)
        for one, instead in ((a, b), (b, a)):
            if all_show(found, lambda e, o=one, i=instead: replaced(e, o, i)):  # type: ignore[misc]
                why = _("{a} is used where {b} belongs.").format(a=instead, b=one)
                return Cause("swapped", _("{a} stands in it for {b}").format(a=instead, b=one), why)
    return None


def unused(found: Sequence[Evidence]) -> Cause | None:
    """As if one of the inputs were 1 everywhere."""
    for name in inputs_of(found[0]):
        if all_show(found, lambda e, n=name: e.close(e.of({n: np.ones_like(e.trial.given[n])}))):  # type: ignore[misc]
            short = _("{name} is missing in it").format(name=name)
            return Cause("other", short, _("The numbers are those without the factor {name}.").format(name=name))
    return None


def pairs(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield from ((a, b) for i, a in enumerate(names) for b in names[i + 1 :])


def has_numbers_of(e: Evidence, other: str) -> Any:
    same = np.shape(e.trial.change[other]) == e.expected.shape
    return e.close(e.trial.change[other]) if same else NOT_HERE


def exchanged(e: Evidence, a: str, b: str) -> Any:
    x, y = e.trial.given[a], e.trial.given[b]
    return e.close(e.of({a: y, b: x})) if np.shape(x) == np.shape(y) else NOT_HERE


def replaced(e: Evidence, one: str, instead: str) -> Any:
    x, y = e.trial.given[one], e.trial.given[instead]
    return e.close(e.of({one: y})) if np.shape(x) == np.shape(y) else NOT_HERE


# ---------------------------------------------------------------- number by number


def wrong_derivative(found: Sequence[Evidence]) -> Cause | None:
    if not found[0].trial.adds or not all_show(found, number_by_number):
        return None
    for factor_, words in extra_factors():
        if all_show(found, lambda e, factor_=factor_: has_factor(e, factor_)):  # type: ignore[misc]
            return Cause("wrong_derivative", _("its derivative"), words)
    why = _("Each number is a derivative times something, and here the derivative is another one.")
    return Cause("wrong_derivative", _("its derivative"), why)


def number_by_number(e: Evidence) -> Any:
    """Whether each number of the gradient depends on its own inputs, and on no others."""
    names = [name for name in inputs_of(e) if np.shape(e.trial.given[name]) == e.expected.shape]
    if names and e.expected.size < 2:
        return NOT_HERE
    changed = [~np.isclose(e.of(moved(e, name)), e.expected, rtol=1e-9, atol=1e-12).reshape(-1) for name in names]
    return any(one[0] for one in changed) and not any(one[1:].any() for one in changed)


def moved(e: Evidence, name: str) -> Arrays:
    """The first number of an input a little larger."""
    value = np.array(e.trial.given[name])
    value.flat[0] += 0.25
    return {name: value}


def extra_factors() -> Iterator[tuple[Callable[[Evidence], Any], str]]:
    """What is often a factor too many, or too few."""
    words = {
        "many": _("There is a factor {factor} too many in it."),
        "few": _("The factor {factor} is missing in it."),
    }
    for text, value in FACTORS:
        yield (lambda e, value=value: value(e)), words["many"].format(factor=text)  # type: ignore[misc]
        yield (lambda e, value=value: 1 / value(e)), words["few"].format(factor=text)  # type: ignore[misc]


def argument(e: Evidence, *names: str) -> np.ndarray:
    """Of these, what the function is given; of the shape of the gradient."""
    for name in names:
        value = e.trial.given.get(name)
        if value is not None and np.shape(value) == e.expected.shape:
            return np.asarray(value)
    return np.full(e.expected.shape, np.nan)


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


FACTORS: tuple[tuple[str, Callable[[Evidence], Any]], ...] = (
    ("y (1 - y)", lambda e: argument(e, "y") * (1 - argument(e, "y"))),
    ("sigmoid(z) (1 - sigmoid(z))", lambda e: logistic(argument(e, "z", "x")) * (1 - logistic(argument(e, "z", "x")))),
    ("1 - y^2", lambda e: 1 - argument(e, "y") ** 2),
    ("1 - y", lambda e: 1 - argument(e, "y")),
    ("y", lambda e: argument(e, "y")),
    ("dy", lambda e: argument(e, "dy")),
    ("x", lambda e: argument(e, "x")),
)


def has_factor(e: Evidence, value: Callable[[Evidence], Any]) -> bool:
    times = np.asarray(value(e))
    return bool(np.isfinite(times).all()) and e.close(times * e.expected)


LOOKS: tuple[Callable[[Sequence[Evidence]], Cause | None], ...] = (
    not_written, not_accumulated, not_a_number, sign, factor, edge, transposed, wrong_axis, missing_bias, swapped,
    left_out, pair_left_out, wrong_derivative, unused,
)  # fmt: skip
