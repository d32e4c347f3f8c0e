"""Says whether what the learner wrote is right, and if not, what is wrong.

Their code runs in the room; here its numbers are looked at. What is right is calculated here, and never goes in.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dltutor.errors import DltutorError
from dltutor.grading import causes, translate
from dltutor.grading.causes import Cause, Evidence, near
from dltutor.grading.parcel import unwrap, wrap
from dltutor.grading.trials import Subject, Trial, guarded, inside, is_poison, subject, trials
from dltutor.i18n import _
from dltutor.lesson.exercises import Exercise
from dltutor.lesson.questions import joined
from dltutor.proof.checks import GUARD, SENTINEL, Arrays, Case
from dltutor.room import Limits
from dltutor.wire import Element, Finding, Verdict

if TYPE_CHECKING:
    from dltutor.room import Room

SHOWN = 5  # elements
SHAPE = ("IndexError", "ValueError")  # what arrays of other shapes than expected raise
LIMITS = Limits(wall=30.0)  # of the processor there are ten seconds, but others may use it, too
PRINTED = 10_000  # characters
STAGES = ("load", "compile", "run")  # at which the room can find a fault
STEP = 1e-5  # of a central difference
SMALL = 3000  # numbers in a trial that the author's wrong answers are run on, in plain Python
Say = Callable[[str], None]


@dataclass
class Result:
    """What came of one trial."""

    trial: Trial
    fault: dict[str, Any] | None = None
    buffers: list[dict[str, np.ndarray]] = field(default_factory=list)  # after each call, with guard cells

    def made(self, name: str, time: int = 1) -> np.ndarray:
        """An array after so many calls."""
        return np.asarray(inside(self.buffers[time - 1][name], dict(self.trial.arguments)[name]))

    @cached_property
    def beside(self) -> list[str]:
        """Arrays beside which something was written."""
        return [
            name
            for name, buffer in self.buffers[-1].items()
            if not ((buffer[:GUARD] == SENTINEL).all() and (buffer[buffer.size - GUARD :] == SENTINEL).all())
        ]

    @cached_property
    def changed(self) -> list[str]:
        """Inputs that are not what they were."""
        scratch = getattr(self.trial.subject.case, "scratch", ())
        left_alone = [name for name in self.buffers[-1] if name not in self.trial.start and name not in scratch]
        before = dict(self.trial.arguments)
        return [name for name in left_alone if not same_bits(self.made(name, len(self.buffers)), before[name])]

    def wrong(self, name: str, time: int = 1) -> bool:
        wanted = self.trial.wanted(name, time)
        return not near(self.made(name, time), wanted, self.trial.dtype, self.trial.start[name]).all()

    def evidence(self, name: str) -> Evidence:
        """Of what is changed in place, the change."""
        trial, made = self.trial, self.made(name)
        relative = made.dtype.kind == "f" and (trial.adds or name in trial.inputs)
        start = np.asarray(trial.start[name])
        yours = made - start if relative else made
        expected = trial.change[name] - start if relative and not trial.adds else trial.change[name]
        return Evidence(trial, name, yours, np.asarray(expected), made, is_poison(made))


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.tobytes() == np.ascontiguousarray(b).tobytes()


class Judge:
    """Checks exercises in one room."""

    def __init__(self, room: Room) -> None:
        self.room = room

    def check(self, exercise: Exercise, source: str, number: int = 0, say: Say = lambda stage: None) -> Verdict:
        began = time.monotonic()
        say(_("looking at it"))
        examination = Examination(exercise, source, self.room)
        examination.fill(say)
        verdict = examination.verdict(number)
        return replace(verdict, tier=self.room.tier, seconds=round(time.monotonic() - began, 3))


class Examination:
    """One check of one file."""

    def __init__(self, exercise: Exercise, source: str, room: Room) -> None:
        self.exercise, self.source, self.room = exercise, source, room
        self.file = f"{exercise.name}.py"
        seed = zlib.crc32(source.encode())
        self.subjects = [subject(reference) for reference in exercise.kernels]
        self.trials = [trial for one in self.subjects for trial in trials(one, seed)]
        self.results: list[Result] = []
        self.compiled: dict[str, tuple[dict[str, Any] | None, str]] = {}  # for a card: PTX, or why there is none
        self.functions: dict[str, Any] = {}
        self.fault: dict[str, Any] | None = None  # of the whole file
        self.ended = ""  # why there is no reply
        self.printed = ""

    @property
    def cuda(self) -> bool:
        return any(one.cuda for one in self.subjects)

    # ------------------------------------------------------------ in the room

    def fill(self, say: Say) -> None:
        say(_("compiling and running it"))
        outcome = self.room.run(self.request_for_card() if self.cuda else self.request(), LIMITS)
        self.printed = outcome.printed[:PRINTED]
        if outcome.reply is None:
            self.ended = outcome.sentence
            return
        say(_("comparing its numbers"))
        try:
            self.read(outcome.reply)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            self.ended = _("What came out of the room is not what was asked for: your code must only define functions.")
            return
        self.results += [result for one in self.subjects for result in self.emulated(one)]

    def request(self) -> bytes:
        calls: list[dict[str, Any]] = []
        buffers: list[np.ndarray] = []
        for trial in self.trials:
            arguments, arrays = packed(trial, len(buffers))
            buffers += arrays
            calls.append(
                {
                    "function": trial.subject.name,
                    "arguments": arguments,
                    "times": trial.times,
                    "compiled": trial.compiled,
                    "aloud": trial is self.trials[0],
                }
            )
        header = {"source": self.source, "file": self.file, "cuda": False, "calls": calls}
        return wrap(header, buffers)

    def request_for_card(self) -> bytes:
        signatures = {one.name: one.kernel.signature for one in self.subjects}
        return wrap({"source": self.source, "file": self.file, "cuda": True, "signatures": signatures, "calls": []}, [])

    def read(self, reply: bytes) -> None:
        """Believe nothing: what does not have the right form is an error."""
        header, arrays = unwrap(reply)
        self.fault = valid_fault(header["fault"])
        if self.fault:
            return
        self.functions = {str(name): dict(value) for name, value in header["functions"].items()}
        if self.cuda:
            self.compiled = {one.name: valid_ptx(header["ptx"][one.name]) for one in self.subjects}
            return
        if len(header["calls"]) != len(self.trials):
            raise ValueError("calls")
        rest = iter(arrays)
        self.results = [result_of(trial, told, rest) for trial, told in zip(self.trials, header["calls"], strict=True)]
        if next(rest, None) is not None:
            raise ValueError("arrays")

    def emulated(self, one: Subject) -> Iterator[Result]:
        """What was compiled for a card is run out here."""
        fault, text = self.compiled.get(one.name, (None, ""))
        trials = [trial for trial in self.trials if trial.subject is one and one.name in self.compiled]
        if fault or not trials:
            yield from (Result(trial, fault) for trial in trials)
            return
        from dltutor.grading.interpreted import Interpreted

        try:
            kernel = Interpreted(one, text, self.file)
            yield from (Result(trial, *kernel.run(trial)) for trial in trials)
        except DltutorError as error:
            yield Result(trials[0], interpreter_fault(error.message, error.hint))
        except Exception as error:  # it may be any text
            yield Result(trials[0], interpreter_fault(_("it cannot be run: {error}").format(error=error)))

    # ------------------------------------------------------------ what it comes to

    def verdict(self, number: int) -> Verdict:
        problem = self.problem()
        if problem is None:
            headline = _("All is right.")
            return Verdict(number, True, headline, self.findings(None), printed=self.printed)
        return Verdict(
            number,
            False,
            problem.headline,
            self.findings(problem),
            problem.worst,
            problem.cause,
            problem.why,
            problem.line,
            self.printed,
        )

    def problem(self) -> Problem | None:
        """The first thing that is wrong."""
        looks = (
            self.no_reply,
            self.no_functions,
            self.not_compiled,
            self.stopped,
            self.trespassed,
            self.hidden_fault,
            self.wrong_numbers,
            self.stopped_without_samples,
        )
        return next((found for look in looks if (found := look())), None)

    def no_reply(self) -> Problem | None:
        return Problem("runs", self.ended) if self.ended else None

    def no_functions(self) -> Problem | None:
        """The file does not run, or lacks a function, or its arguments."""
        if self.fault:
            return Problem("compiles", *translate.sentence(self.fault))
        for one in self.subjects:
            told = self.functions.get(one.name)
            if told is None:
                return Problem("compiles", translate.missing(one.name, one.names, list(self.functions)))
            given = told.get("arguments")
            if isinstance(given, list) and len(given) != len(one.names):
                line = told.get("line")
                return Problem("compiles", translate.arguments(one.name, one.names, given, line), line=line)
        return None

    def not_compiled(self) -> Problem | None:
        """In float32, which the lab trains in; if only float64 fails, nothing is wrong."""
        for result in self.results:
            fault = result.fault
            if fault and fault["stage"] in ("load", "compile") and result.trial.compiled:
                return Problem("compiles", *translate.sentence(fault))
        return None

    @cached_property
    def ran(self) -> list[Result]:
        return [result for result in self.results if not result.fault]

    def stopped(self) -> Problem | None:
        """Compiled, as it is in a lab. What only Python objects to, such as a division by zero, is nothing."""
        return self.stopped_in([r for r in self.results if r.trial.purpose != "empty"])

    def stopped_without_samples(self) -> Problem | None:
        problem = self.stopped_in([r for r in self.results if r.trial.purpose == "empty"])
        if problem:
            problem.headline = joined(problem.headline, _("This happens when there are no samples."))
        return problem

    def hidden_fault(self) -> Problem | None:
        """Compiled, dx += a does not look whether the shapes fit, and makes any numbers. Python looks."""
        fault = next((r.fault for r in self.results if r.fault and not r.trial.compiled), None)
        return self.stopped_by(fault) if fault and self.wrong_numbers() else None

    def stopped_in(self, results: Sequence[Result]) -> Problem | None:
        fault = next((r.fault for r in results if r.fault and r.trial.compiled), None)
        return self.stopped_by(fault) if fault else None

    def stopped_by(self, fault: dict[str, Any]) -> Problem:
        sentence, line = translate.sentence(fault)
        if fault["stage"] == "interpreter":
            cause, why = self.foreseen_by_cause(fault["kind"]) or (fault["kind"], fault["hint"])
            return Problem("runs", sentence, line, cause=cause, why=why)
        numbers = self.wrong_numbers()
        if numbers and numbers.cause in ("transposed", "wrong_axis", "swapped"):
            return Problem("runs", sentence, line, cause=numbers.cause, why=numbers.why)
        return Problem("runs", sentence, line, cause="shape" if fault["kind"] in SHAPE else "other")

    def trespassed(self) -> Problem | None:
        for result in self.ran:
            if result.beside:
                name = result.beside[0]
                headline = _("It writes outside of {name}.").format(name=name)
                why = _("An index is larger or smaller than the array has places.")
                return Problem("guard", headline, cause="off_by_one", why=why)
            if result.changed:
                name = result.changed[0]
                headline = _("{name} is changed, though it is an input.").format(name=name)
                why = _("Others read {name} after you: write only to the arrays that are to be filled.")
                return Problem("guard", headline, cause="other", why=why.format(name=name))
        return None

    # ------------------------------------------------------------ numbers

    def wrong_numbers(self) -> Problem | None:
        for dtype in ("float64", "float32"):
            for one in self.subjects:
                results = [r for r in self.ran if r.trial.subject is one and r.trial.dtype == dtype]
                if problem := self.wrong_of(one, results):
                    return problem
        return self.not_finite() or self.wrong_at("large") or self.wrong_at("empty")

    def wrong_of(self, one: Subject, results: Sequence[Result]) -> Problem | None:
        results = [r for r in results if r.trial.purpose in ("numbers", "again")]
        if not results:
            return None
        bad = {name: [r for r in results if r.wrong(name)] for name in results[0].trial.start}
        bad = {name: found for name, found in bad.items() if found}
        if not bad:
            return self.second_call(results)
        return self.explained(one, results, bad)

    def second_call(self, results: Sequence[Result]) -> Problem | None:
        """Right once, wrong the second time."""
        for result in results:
            for name in result.trial.start:
                if result.trial.times > 1 and result.wrong(name, 2):
                    headline = _("{name} is right after one call, and wrong after two.").format(name=name)
                    why = _("Something is kept from one call to the next.")
                    return Problem("accumulates", headline, cause="other", why=why)
        return None

    def explained(self, one: Subject, results: Sequence[Result], bad: dict[str, list[Result]]) -> Problem:
        frozen = frozen_arrays(results)
        found = {name: [evidence_of(r, name, frozen) for r in wrong] for name, wrong in bad.items()}
        recognised = {name: cause for name, e in found.items() if (cause := causes.recognise(e))}
        name = next(iter(recognised or found))
        cause = recognised.get(name) or unknown(found[name])
        finding = (
            "accumulates" if cause.id == "not_accumulated" else "gradient" if one.role == "backward" else "reference"
        )
        headline = _("{name} is wrong: {cause}.").format(name=name, cause=cause.short)
        foreseen = self.foreseen_by_cause(cause.id) if self.cuda else self.foreseen(one, results)
        line, why = self.line_of(one, name, cause.id)
        order = [name, *(other for other in bad if other != name)]
        worst = list(worst_elements(bad, order))
        problem = Problem(finding, headline, line, worst, cause.id, why or cause.why)
        if foreseen:
            problem.foreseen(*foreseen)
        elif cause.id in RARE:
            self.say_where(problem, one, results, bad[name])
        return problem

    def say_where(self, problem: Problem, one: Subject, results: Sequence[Result], bad: Sequence[Result]) -> None:
        """Where it is right elsewhere, what was written is not wrong as a whole."""
        if any(r.trial.subject is one and r.trial.dtype == "float64" for r in self.ran) and bad[0].trial.compiled:
            problem.line, where = None, _("Run by Python in float64 it is right; compiled, in float32, it is not.")
        elif {str(r.trial.shape) for r in results} - {str(r.trial.shape) for r in bad}:
            problem.line, where = None, _("It is right for other sizes, and wrong where {sizes}.")
        else:
            return
        problem.why = where.format(sizes=bad[0].trial.sizes)

    def line_of(self, one: Subject, name: str, cause: str) -> tuple[int | None, str]:
        """The learner's line that may be the reason, and what to say of it, if anything."""
        own = self.own_name(one, name)
        if cause == "not_accumulated":
            return self.told(one, "assigned", own), ""
        if cause != "not_written":
            return None, ""
        if line := self.told(one, "rebound", own):
            why = _("line {line}: `{name} = ...` makes something new of that name; `{name}[...] = ...` writes into it.")
        elif line := self.told(one, "returns", own):
            why = _("line {line}: what is returned is lost; write it into {name}: `{name}[...] = ...`.")
        else:
            return None, ""
        return line, why.format(line=line, name=own)

    def own_name(self, one: Subject, name: str) -> str:
        """What the learner calls an argument."""
        names = self.functions[one.name].get("arguments")
        return str(names[one.names.index(name)]) if isinstance(names, list) and len(names) == len(one.names) else name

    def told(self, one: Subject, kind: str, name: str) -> int | None:
        """A line that the room has told; it may have told anything."""
        line = self.functions[one.name].get(kind)
        line = line.get(name) if isinstance(line, dict) else line
        return line if type(line) is int and line > 0 else None

    def not_finite(self) -> Problem | None:
        for result in self.ran:
            if result.trial.purpose != "large":
                continue
            for name, wanted in result.trial.change.items():
                made = result.made(name)
                bad = ~np.isfinite(made) & np.isfinite(wanted) & (np.abs(wanted) < 1e30)
                if bad.any():
                    return self.overflowed(result, name, bad)
        return None

    def wrong_at(self, purpose: str) -> Problem | None:
        """Wrong only there. In float32 what is exact enough for small numbers need not be so for large ones, and the
        mean of no samples may be anything.
        """
        for result in self.ran:
            trial = result.trial
            left_out = trial.dtype == "float32" if purpose == "large" else not trial.adds
            if trial.purpose != purpose or left_out:
                continue
            for name, wanted in trial.change.items():
                if np.isfinite(wanted).all() and result.wrong(name):
                    return self.wrong_only_there(result, name)
        return None

    def wrong_only_there(self, result: Result, name: str) -> Problem:
        if result.trial.purpose == "empty":
            headline = _("{name} is wrong where there are no samples.").format(name=name)
        else:
            headline = _("{name} is wrong where inputs are as large as {largest}.").format(name=name, largest=100)
        finding = "gradient" if result.trial.adds else "reference"
        return Problem(finding, headline, None, list(worst_elements({name: [result]}, [name])), "other")

    def overflowed(self, result: Result, name: str, bad: np.ndarray) -> Problem:
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        element = element_at(result, name, place, numeric=False)
        headline = _("{name} is not a number where inputs are as large as {largest}.").format(name=name, largest=100)
        why = _("An exponential of a large number is infinite in float32: rewrite the formula so that none occurs.")
        return Problem("nan", headline, None, [element], "nan", why)

    # ------------------------------------------------------------ what the author foresaw

    def foreseen(self, one: Subject, results: Sequence[Result]) -> tuple[str, str] | None:
        """Cause and explanation of the author's wrong answer that has the same numbers as the learner's."""
        small = [r for r in results if sum(b.size for b in r.buffers[0].values()) < SMALL][:3]
        for wrong in self.exercise.wrong:
            if small and all(same_as_author(wrong.source, one, result) for result in small):
                return wrong.cause, wrong.why
        return None

    def foreseen_by_cause(self, cause: str) -> tuple[str, str] | None:
        """What the author says to a cause that only one wrong answer has: where Python cannot run them."""
        found = [(wrong.cause, wrong.why) for wrong in self.exercise.wrong if wrong.cause == cause]
        return found[0] if len(found) == 1 else None

    # ------------------------------------------------------------ findings

    def findings(self, problem: Problem | None) -> list[Finding]:
        """What was looked at, in order, up to what is wrong."""
        names = [name for name in FINDINGS if name in self.looked_at()]
        if problem is None:
            return [Finding(name, True, text) for name in names if (text := FINDINGS[name]())]
        before = names[: names.index(problem.finding)] if problem.finding in names else []
        return [
            *(Finding(name, True, FINDINGS[name]()) for name in before),
            Finding(problem.finding, False, problem.headline),
        ]

    def looked_at(self) -> set[str]:
        roles = {one.role for one in self.subjects}
        found = {"compiles", "runs", "guard", "nan"}
        found |= {"gradient", "accumulates"} if "backward" in roles else set()
        return found | ({"reference"} if roles - {"backward"} else set())


FINDINGS: dict[str, Callable[[], str]] = {
    "compiles": lambda: _("It compiles."),
    "runs": lambda: _("It runs on arrays of many shapes, also where there are no samples."),
    "guard": lambda: _("It writes only where it may."),
    "reference": lambda: _("Its numbers are the right ones."),
    "gradient": lambda: _("Its gradients are those of the forward pass."),
    "accumulates": lambda: _("It adds to gradients that are there already."),
    "nan": lambda: _("Large inputs make no NaN."),
}


RARE = ("other", "not_written")  # causes that may be so for some sizes only
VAGUE = ("other", "wrong_derivative")  # causes that say little


@dataclass
class Problem:
    """What is wrong."""

    finding: str
    headline: str
    line: int | None = None
    worst: list[Element] = field(default_factory=list)
    cause: str = ""
    why: str = ""

    def foreseen(self, cause: str, why: str) -> None:
        """The author knows better why; and what, where the numbers alone don't tell."""
        self.why = why
        if self.cause in VAGUE:
            self.cause = cause


# ---------------------------------------------------------------- to and from the room


def packed(trial: Trial, first: int) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """The arguments of a call, and the buffers that they stand in; the first has that number."""
    arguments: list[dict[str, Any]] = []
    buffers: list[np.ndarray] = []
    for _name, value in trial.arguments:
        if isinstance(value, np.ndarray):
            arguments.append({"array": first + len(buffers), "shape": value.shape})
            buffers.append(guarded(value))
        else:
            dtype = trial.dtype if isinstance(value, float | np.floating) else "int64"
            arguments.append({"number": value.item() if isinstance(value, np.generic) else value, "dtype": dtype})
    return arguments, buffers


def valid_fault(told: Any) -> dict[str, Any] | None:
    if told is None:
        return None
    if told["stage"] not in STAGES:
        raise ValueError("stage")
    line = told.get("line")
    return {
        "stage": told["stage"],
        "kind": str(told["kind"])[:100],
        "message": str(told["message"])[:4000],
        "line": line if type(line) is int else None,
        "python": valid_fault(told.get("python")),
    }


def valid_ptx(told: Any) -> tuple[dict[str, Any] | None, str]:
    fault = valid_fault(told["fault"])
    return fault, "" if fault else str(told["text"])


def interpreter_fault(message: str, hint: str = "") -> dict[str, Any]:
    return {"stage": "interpreter", "kind": "other", "message": message, "line": None, "hint": hint}


def result_of(trial: Trial, told: Any, arrays: Iterator[np.ndarray]) -> Result:
    """The result that the room told, its arrays taken off `arrays`. Raises ValueError where they are of other sizes."""
    fault = valid_fault(told["fault"])
    if fault:
        return Result(trial, fault)
    wanted = [(name, value) for name, value in trial.arguments if isinstance(value, np.ndarray)]
    return Result(trial, None, [{name: taken(arrays, value) for name, value in wanted} for _ in range(trial.times)])


def taken(arrays: Iterator[np.ndarray], like: np.ndarray) -> np.ndarray:
    array = next(arrays, None)
    if array is None or array.dtype != like.dtype or array.size != like.size + 2 * GUARD:
        raise ValueError("another array was asked for")
    return array


# ---------------------------------------------------------------- what is wrong with numbers


def frozen_arrays(results: Sequence[Result]) -> dict[str, bool]:
    """Gradients that come out the same from whatever they start as: they are overwritten."""
    again = next((r for r in results if r.trial.purpose == "again"), None)
    first = next((r for r in results if again and r.trial.shape == again.trial.shape and r is not again), None)
    if not again or not first:
        return {}
    return {name: bool(near(first.made(name), again.made(name), again.trial.dtype).all()) for name in again.trial.start}


def evidence_of(result: Result, name: str, frozen: dict[str, bool]) -> Evidence:
    return replace(result.evidence(name), frozen=frozen.get(name))


def unknown(found: Sequence[Evidence]) -> Cause:
    """How much of it is wrong, where the reason is not known."""
    e = found[0]
    count, all_ = int(e.wrong.sum()), e.wrong.size
    if e.yours.dtype.kind == "f" and np.isnan(e.made).any() and e.poison.any():
        short = _("{count} of {all} numbers were never written").format(count=int(e.poison.sum()), all=all_)
        return Cause("not_written", short, _("Does the loop run over all of it?"))
    if all_ == 1:
        return Cause("other", _("its value"), "")
    short = _("all its numbers") if count == all_ else _("{count} of {all} numbers").format(count=count, all=all_)
    return Cause("other", short, "")


def worst_elements(bad: dict[str, list[Result]], names: Sequence[str]) -> Iterator[Element]:
    """Those that are furthest off, of the first array, then of the others."""
    left = SHOWN
    for name in names:
        result = bad[name][0]
        for place in places_by_error(result, name)[: max(left if name == names[-1] else left - 1, 1)]:
            if left:
                left -= 1
                yield element_at(result, name, place)


def places_by_error(result: Result, name: str) -> list[tuple[int, ...]]:
    e = result.evidence(name)
    with np.errstate(all="ignore"):
        error = np.abs(np.asarray(e.yours, float) - np.asarray(e.expected, float))
    error[~np.isfinite(error)] = np.inf
    error[~e.wrong] = -1
    order = np.argsort(-error, axis=None, kind="stable")
    return [tuple(int(i) for i in np.unravel_index(k, error.shape)) for k in order if error.flat[k] >= 0]


def element_at(result: Result, name: str, place: tuple[int, ...], numeric: bool = True) -> Element:
    trial = result.trial
    made, wanted = result.made(name), trial.change[name]
    yours = made[place] - trial.start[name][place] if trial.adds else made[place]
    text = f"{name}[{', '.join(map(str, place))}]"
    by_difference = central_difference(trial, name, place) if numeric else None
    return Element(text, float(yours), float(wanted[place]), by_difference)


def central_difference(trial: Trial, name: str, place: tuple[int, ...]) -> float | None:
    """(L(v + h) - L(v - h)) / 2h of the reference's forward pass, by the number at that place."""
    value = trial.inputs.get(name[1:])
    if not trial.adds or value is None or np.shape(value) != np.shape(trial.change[name]):
        return None

    def objective(move: float) -> float:
        moved = np.array(value)
        moved[place] += move
        assert isinstance(trial.subject.case, Case)
        outputs = trial.subject.case.reference(**trial.inputs | {name[1:]: moved})
        if not trial.weights:
            return float(np.sum(outputs["loss"]))
        return float(sum((outputs[key[1:]] * weight).sum() for key, weight in trial.weights.items()))

    return (objective(STEP) - objective(-STEP)) / (2 * STEP)


# ---------------------------------------------------------------- the author's wrong answers


def same_as_author(source: str, one: Subject, result: Result) -> bool:
    """Whether this wrong answer makes the numbers that the learner's made. It is trusted, and runs in plain Python."""
    arrays = author_arrays(source, one, result.trial)
    if arrays is None:
        return False
    return all(
        near(result.made(name), arrays[name], result.trial.dtype, result.trial.start[name]).all()
        for name in result.trial.start
    )


def author_arrays(source: str, one: Subject, trial: Trial) -> Arrays | None:
    space: dict[str, Any] = {"__name__": "wrong"}
    values = {name: np.array(value) if np.ndim(value) else value for name, value in trial.arguments}
    try:
        with np.errstate(all="ignore"):
            exec(compile(source, "wrong", "exec", dont_inherit=True), space)
            space[one.name](*values.values())
    except Exception:  # it may be wrong in any way
        return None
    return {name: value for name, value in values.items() if name in trial.start}
