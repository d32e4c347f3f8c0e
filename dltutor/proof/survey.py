"""`dltutor kernels`: every operation with its formulas, the lessons that use it, and the checks that it passes here.

What an operation is, its file says: the title, the formulas and the lessons are read from the docstring, so they can't
drift from the code. Checks run when asked for; their outcome is kept beside the learner's progress for as long as no
kernel changes.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from dltutor.errors import UsageError
from dltutor.i18n import _
from dltutor.kernels.compile import (
    CudaKernel,
    CudaSequence,
    Kernel,
    cuda_run_with,
    require_numba_cuda,
    source_stamp,
)
from dltutor.progress import home
from dltutor.proof.checks import (
    Case,
    Step,
    all_cases,
    all_steps,
    check_backward,
    check_central_difference,
    check_forward,
    check_nan,
    check_step,
)

Check = Callable[[], None]
STEP_SIZES = (0, 1, 2, 7, 33, 130)


@dataclass(frozen=True)
class Operation:
    """One file of dltutor/kernels."""

    name: str
    title: str
    formulas: dict[str, str]  # "forward" -> "y[i] = max(x[i], 0)"
    lessons: tuple[str, ...]
    cpu: tuple[str, ...]
    cuda: tuple[str, ...]
    checks: dict[str, Check] = field(repr=False)


def operations(name: str = "") -> list[Operation]:
    """All of them, or the one of that name. Raises UsageError where there is none."""
    found = list(_operations())
    if not name:
        return found
    chosen = [operation for operation in found if name == operation.name or name in (*operation.cpu, *operation.cuda)]
    if not chosen:
        names = ", ".join(operation.name for operation in found)
        raise UsageError(_("no kernel {where}").format(where=name), _("Choose one of: {names}").format(names=names))
    return chosen


def _operations() -> Iterator[Operation]:
    import dltutor.kernels

    proven = _checks_by_module()
    for file in pkgutil.iter_modules(dltutor.kernels.__path__):
        module = importlib.import_module(f"dltutor.kernels.{file.name}")
        own = {
            name: value for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
        }
        cpu = tuple(name for name, value in own.items() if isinstance(value, Kernel) and not value.part)
        cuda = tuple(name for name, value in own.items() if isinstance(value, CudaKernel | CudaSequence))
        title, formulas, lessons = read(module.__doc__ or "")
        if formulas and (cpu or cuda):
            yield Operation(file.name, title, formulas, lessons, cpu, cuda, proven.get(module.__name__, {}))


def read(doc: str) -> tuple[str, dict[str, str], tuple[str, ...]]:
    """Title, formulas and lessons of a kernel file's docstring."""
    title, _newline, rest = doc.strip().partition("\n")
    formulas: dict[str, str] = {}
    label = ""
    for line in rest.splitlines():
        start = re.match(r" {4}(\w+(?: \w+)?) {2,}(\S.*)", line)
        more = re.match(r" {8,}(\S.*)", line)
        if start:
            label = start[1]
            formulas[label] = start[2]
        elif more and label:
            formulas[label] += f"\n{more[1]}"
        else:
            label = ""
    lessons = re.search(r"^Lesson +(.*)$", doc, re.MULTILINE)
    return title, formulas, tuple(re.findall(r"\d\d-[\w-]+", lessons[1] if lessons else ""))


# ---------------------------------------------------------------- checks


def _checks_by_module() -> dict[str, dict[str, Check]]:
    found: dict[str, dict[str, Check]] = {}
    proven = [*((case.module, _of_case(case)) for case in all_cases())]
    proven += [(step.module, _of_step(step)) for step in all_steps()]
    for module, checks in proven:
        here = found.setdefault(module.__name__, {})
        for name, check in checks.items():
            here[name] = _both(here[name], check) if name in here else check
    return found


def _of_case(case: Case) -> dict[str, Check]:
    checks = {"reference": _on_all_shapes(case, check_forward)}
    if case.backward_reference:
        checks["gradient"] = _on_all_shapes(case, check_backward)
        checks["central difference"] = _on_all_shapes(case, check_central_difference)
    checks["nan"] = lambda: check_nan(case, case.shapes[-1])
    return checks | ({"cuda": lambda: _on_emulated_card(case)} if case.with_cuda else {})


def _on_all_shapes(case: Case, check: Callable[..., None], suffix: str = "") -> Check:
    def run() -> None:
        for shape in case.shapes:
            check(case, shape, **({"suffix": suffix} if suffix else {}))

    return run


def _on_emulated_card(case: Case) -> None:
    from dltutor.emulate.native import Native

    require_numba_cuda()
    with cuda_run_with(Native()):
        _on_all_shapes(case, check_forward, "_cuda")()
        if case.backward_reference:
            _on_all_shapes(case, check_backward, "_cuda")()


def _of_step(step: Step) -> dict[str, Check]:
    def on_all_sizes(suffix: str = "") -> None:
        for size in STEP_SIZES:
            check_step(step, size, suffix=suffix)

    def on_emulated_card() -> None:
        from dltutor.emulate.native import Native

        require_numba_cuda()
        with cuda_run_with(Native()):
            on_all_sizes("_cuda")

    return {"reference": on_all_sizes, "cuda": on_emulated_card}


def _both(one: Check, other: Check) -> Check:
    def both() -> None:
        one()
        other()

    return both


def check(operation: Operation) -> dict[str, str]:
    """What became of each check: nothing where it passed, otherwise what was wrong."""
    return {name: _outcome(run) for name, run in operation.checks.items()}


def prove(found: list[Operation], quiet: bool) -> bool:
    """Run and keep all checks of these operations; whether all passed."""
    passed = True
    for operation in found:
        outcomes = check(operation)
        keep({operation.name: outcomes})
        failures = [f"{operation.name}: {name}: {outcome}" for name, outcome in outcomes.items() if outcome]
        passed = passed and not failures
        if not quiet:
            print(
                "\n".join(failures or [f"{operation.name} {_mark(operation, {'reference': ''}, 'reference')}"]),
                flush=True,
            )
    return passed


def _outcome(run: Check) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numbers at the ends overflow, as they should
            run()
    except Exception as error:  # whatever a kernel does wrong is what this is to find
        return f"{type(error).__name__}: {error}".strip()
    return ""


# ---------------------------------------------------------------- what is kept of them


def _file() -> Path:
    return home() / "kernels.json"


def kept() -> dict[str, dict[str, str]]:
    """The outcomes of checks that ran here before, of these very kernels."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(_file().read_text(encoding="utf-8"))
        if found["sources"] == source_stamp().hex():
            return found["checks"]
    return {}


def keep(outcomes: dict[str, dict[str, str]]) -> None:
    with suppress(OSError):  # it is only a cache
        _file().parent.mkdir(parents=True, exist_ok=True)
        data = {"sources": source_stamp().hex(), "checks": kept() | outcomes}
        _file().write_text(json.dumps(data, indent=1), encoding="utf-8")


# ---------------------------------------------------------------- how it is shown


def as_json(found: list[Operation], outcomes: dict[str, dict[str, str]]) -> str:
    return json.dumps([_object(operation, outcomes) for operation in found], ensure_ascii=False, indent=1)


def _object(operation: Operation, outcomes: dict[str, dict[str, str]]) -> dict[str, Any]:
    passed = outcomes.get(operation.name, {})
    return {
        "name": operation.name,
        "file": f"dltutor/kernels/{operation.name}.py",
        "title": operation.title,
        "formulas": operation.formulas,
        "lessons": list(operation.lessons),
        "cpu": list(operation.cpu),
        "cuda": list(operation.cuda),
        "checks": {name: _state(passed, name) for name in operation.checks},
    }


def _state(outcomes: dict[str, str], name: str) -> str:
    return "not run" if name not in outcomes else outcomes[name] or "passed"


CHECKS = ("reference", "gradient", "central difference", "nan", "cuda")
MARKS = {"passed": "✓", "not run": "·", "": " "}
PLAIN_MARKS = {"✓": "+", "✕": "x", "·": "."}


def as_list(found: list[Operation], outcomes: dict[str, dict[str, str]]) -> str:
    """Two lines for each operation: its name, lessons and checks, then its formula."""
    lines = [line for operation in found for line in _entry(operation, outcomes.get(operation.name, {}))]
    return "\n".join([*lines, *_legend()])


def _entry(operation: Operation, passed: dict[str, str]) -> Iterator[str]:
    marks = " ".join(_mark(operation, passed, name) for name in CHECKS)
    lessons = " ".join(lesson[:2] for lesson in operation.lessons)
    yield f"{operation.name:<22}{marks}   {lessons}"
    first_line, *more = next(iter(operation.formulas.values())).splitlines()
    yield f"    {textwrap.shorten(first_line, 74, placeholder='')}{' …' if more or len(first_line) > 74 else ''}"


def _mark(operation: Operation, passed: dict[str, str], name: str) -> str:
    state = _state(passed, name) if name in operation.checks else ""
    mark = MARKS.get(state, "✕")
    try:
        mark.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN_MARKS[mark]
    return mark


def _legend() -> list[str]:
    columns = _("Checks, from left to right: {names}").format(names=" · ".join(check_names().values()))
    return [
        "",
        columns,
        _("A dot: not run here yet. `dltutor kernels --check` runs them; with a name, that one alone."),
    ]


def check_names() -> dict[str, str]:
    names = _("float64 reference"), _("gradient"), _("central difference"), _("NaN"), _("CUDA, emulated")
    return dict(zip(CHECKS, names, strict=True))


def as_page(operation: Operation, outcomes: dict[str, dict[str, str]]) -> str:
    """All that is known of one operation."""
    passed, names = outcomes.get(operation.name, {}), check_names()
    words = {"passed": _("passed"), "not run": _("not run here yet")}
    checks = {names[name]: words.get(state := _state(passed, name), state) for name in operation.checks}
    return "\n".join(
        [
            operation.title,
            "",
            *_table(operation.formulas),
            "",
            *_table(
                {
                    _("file"): f"dltutor/kernels/{operation.name}.py",
                    _("CPU"): ", ".join(operation.cpu),
                    _("CUDA"): ", ".join(operation.cuda),
                    _("lessons"): ", ".join(operation.lessons),
                }
            ),
            "",
            *_table(checks),
        ]
    )


def _table(rows: dict[str, str]) -> list[str]:
    """Label and text, the text wrapped beside the label."""
    widest = max((cell_len(label) for label in rows), default=0) + 2
    made = []
    for label, text in rows.items():
        lines = [part for line in text.splitlines() for part in textwrap.wrap(line, max(20, 76 - widest))]
        first, *more = lines or [""]
        made += ["  " + label + " " * (widest - cell_len(label)) + first, *(" " * (widest + 2) + line for line in more)]
    return made
