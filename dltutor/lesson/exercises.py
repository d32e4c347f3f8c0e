"""Exercises and bug hunts: what the learner is to write, and where their file is. Nothing here runs it.

    lessons/<lesson>/exercises/<name>/
        task.md, task.zh.md     front matter, then the task
        start.py                what the learner begins with; of a hunt, the code with the fault
        solution.py             one right answer
        wrong_*.py              wrong ones, each with the cause that a check must name

Anything malformed is a DltutorError that names file, line, and what was expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dltutor import progress
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.lesson import Heading, experiment
from dltutor.lesson.blocks import Block, Widget
from dltutor.lesson.quotes import quote
from dltutor.lesson.source import Missing, Source
from dltutor.lesson.yaml_lines import ID, Fields, Map, close, fault, located
from dltutor.whole import write_whole

FOLDER = "exercises"
KINDS = ("exercise", "hunt")  # of fences
HINTS = 3
SUSPECTS = (3, 8)  # at least, at most
DEVICES = ("cpu", "emulate")
PRIVATE = 0o600  # the mode of a learner's file
LONGEST = 100_000  # characters of a learner's file


@dataclass(frozen=True)
class Wrong:
    """A wrong answer that the author foresaw."""

    name: str
    """Of its file, without .py: wrong_sign."""
    source: str
    cause: str
    """What a check must find."""
    why: str
    """What it tells the learner whose numbers are the same."""


@dataclass(frozen=True)
class Suspect:
    """A line of a hunt's code that may be the one at fault."""

    line: str
    number: int
    """In start.py, from 1."""
    why: str
    """Why it is at fault, or why it is sound."""
    fault: bool


@dataclass(frozen=True)
class Hunt:
    symptom: str
    """What to watch in the lab."""
    suspects: tuple[Suspect, ...]


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """A task. With `hunt`, its start is code with one fault."""

    lesson: str
    name: str
    title: str
    minutes: int
    kernels: tuple[str, ...]
    """Whose places the learner's functions take: dltutor/kernels/dense.py:dense_backward."""
    device: str
    lab: dict[str, Any]
    """How the lab is set when it trains with them: set, seed, steps, show; what is missing is as the lesson has it."""
    hints: tuple[str, ...]
    wrong: tuple[Wrong, ...]
    hunt: Hunt | None
    text: tuple[Block, ...]
    start: str
    solution: str
    folder: Path
    notice: str = ""
    """Why it is not in the language asked for."""

    @property
    def key(self) -> str:
        """What it is called everywhere outside its lesson."""
        return f"{self.lesson}/{self.name}"


def load(lesson: Heading, name: str, strict: bool = False) -> Exercise:
    """The exercise `name` of `lesson`, in its language if that is there and sound, else in English with a `notice`.

    `strict` makes an unsound or missing translation an error, as for the author.
    """
    english = _read(lesson, _folder(lesson, name))
    if lesson.language == "en":
        return english
    try:
        return _translate(english, english.folder / f"task.{lesson.language}.md")
    except DltutorError as error:
        if strict:
            raise
        return replace(english, notice=str(error))


def title(lesson: Heading, name: str) -> str:
    """What it is called, without reading the rest; its name where its task can't be read."""
    folder = lesson.folder / FOLDER / name
    for file in (f"task.{lesson.language}.md", "task.md"):
        try:
            return Source(folder / file).front_matter().text("title")
        except DltutorError:
            continue
    return name


def minutes(lesson: Heading, name: str) -> int:
    """How long it takes, without reading the rest; 0 where its task can't be read."""
    try:
        return Source(lesson.folder / FOLDER / name / "task.md").front_matter().integer("minutes", 1, 600)
    except DltutorError:
        return 0


def names(lesson: Heading) -> list[str]:
    """All that the lesson's folder holds, in the order of their names."""
    folder = lesson.folder / FOLDER
    return sorted(file.parent.name for file in folder.glob("*/task.md"))


def of_section(widgets: Sequence[Widget]) -> list[str]:
    """The exercises and hunts among these fences."""
    return [widget.id for widget in widgets if widget.kind in KINDS]


# ---------------------------------------------------------------- reading


def _folder(lesson: Heading, name: str) -> Path:
    folder = lesson.folder / FOLDER / name
    if not ID.fullmatch(name) or not (folder / "task.md").is_file():
        problem = _("lesson {lesson} has no exercise {name}").format(lesson=lesson.id, name=name)
        raise DltutorError(problem, close(name, names(lesson)))
    return folder


def _read(lesson: Heading, folder: Path) -> Exercise:
    source = Source(folder / "task.md")
    fields = source.front_matter()
    start = _code(folder / "start.py")
    exercise = Exercise(
        lesson=lesson.id,
        name=folder.name,
        title=fields.text("title"),
        minutes=fields.integer("minutes", 1, 600),
        kernels=_kernels(fields),
        device=_device(fields),
        lab=_lab(fields, lesson),
        hints=_hints(fields),
        wrong=_wrong(fields, folder),
        hunt=_hunt(fields, start) if fields.has("hunt") else None,
        text=_text(source, lesson),
        start=start,
        solution=_code(folder / "solution.py"),
        folder=folder,
    )
    fields.end()
    return exercise


def _code(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or _("this is not UTF-8")
        raise DltutorError(_("can't read {file}: {error}").format(file=file, error=reason)) from error


def _kernels(fields: Fields) -> tuple[str, ...]:
    references = fields.texts("kernels")
    if not references:
        raise fields.fault("kernels", _("at least one kernel, as in [dltutor/kernels/dense.py:dense_backward]"))
    for reference in references:
        with located(fields.file, fields.line("kernels")):
            _resolves(reference)
    return tuple(references)


def _resolves(reference: str) -> None:
    if not reference.startswith("dltutor/kernels/") or ":" not in reference:
        raise DltutorError(_("{reference} names no kernel").format(reference=reference))
    quote(reference)


def _device(fields: Fields) -> str:
    device = fields.text("device", DEVICES[0])
    if device not in DEVICES:
        raise fields.fault("device", " | ".join(DEVICES))
    return device


def _lab(fields: Fields, lesson: Heading) -> dict[str, Any]:
    inside = Fields(fields.map("lab"), fields.file)
    body = experiment(inside, lesson)
    inside.end()
    return body


def _hints(fields: Fields) -> tuple[str, ...]:
    hints = fields.texts("hints")
    if len(hints) != HINTS:
        raise fields.fault("hints", _("{count} texts, from a nudge to nearly the answer").format(count=HINTS))
    return tuple(hints)


def _wrong(fields: Fields, folder: Path) -> tuple[Wrong, ...]:
    inside = Fields(fields.map("wrong"), fields.file)
    there = {file.stem for file in folder.glob("wrong_*.py")}
    for name in sorted(there - set(inside.mapping)):
        raise fields.fault("wrong", _("an entry for {file}").format(file=f"{name}.py"))
    return tuple(_wrong_one(inside, str(name), folder) for name in inside.mapping)


def _wrong_one(wrong: Fields, name: str, folder: Path) -> Wrong:
    fields = Fields(wrong.value(name, (Map,), _("`cause` and `why`")), wrong.file)
    found = Wrong(name, _code(folder / f"{name}.py"), fields.text("cause"), fields.text("why"))
    fields.end()
    return found


def _hunt(fields: Fields, start: str) -> Hunt:
    inside = Fields(fields.map("hunt"), fields.file)
    expected = _("a list of `line`, `why`, and one `fault: true`")
    items = inside.value("suspects", (list,), expected)
    suspects = tuple(_suspect(inside, item, start, expected) for item in items)
    fewest, most = SUSPECTS
    if not fewest <= len(suspects) <= most:
        raise inside.fault("suspects", _("{low} to {high} lines").format(low=fewest, high=most))
    if sum(suspect.fault for suspect in suspects) != 1:
        raise inside.fault("suspects", _("exactly one line with `fault: true`"))
    if list(suspects) != sorted(suspects, key=lambda suspect: suspect.number):
        raise inside.fault("suspects", _("the lines in their order in start.py"))
    hunt = Hunt(inside.text("symptom"), suspects)
    inside.end()
    return hunt


def _suspect(hunt: Fields, item: Any, start: str, expected: str) -> Suspect:
    if not isinstance(item, Map):
        raise hunt.fault("suspects", expected)
    fields = Fields(item, hunt.file)
    line = fields.text("line")
    numbers = [number for number, code in enumerate(start.splitlines(), 1) if code.strip() == line]
    if len(numbers) != 1:
        raise fields.fault("line", _("a line of start.py that stands there once"))
    suspect = Suspect(line, numbers[0], fields.text("why"), fields.flag("fault"))
    fields.end()
    return suspect


def _text(source: Source, lesson: Heading) -> tuple[Block, ...]:
    blocks = source.blocks()
    for block in blocks:
        if isinstance(block, Widget):
            _quotes(block, lesson, source.file)
    return blocks


def _quotes(widget: Widget, lesson: Heading, file: Path) -> None:
    """A task may quote kernels; it has no other fences."""
    if widget.kind != "kernel":
        raise fault(file, widget.line, _("a {kind} fence can't stand in a task").format(kind=widget.kind))
    with located(file, widget.line):
        quote(widget.argument, lesson.folder)


# ---------------------------------------------------------------- translation


def _translate(english: Exercise, file: Path) -> Exercise:
    try:
        source = Source(file)
    except Missing as missing:
        raise DltutorError(str(missing)) from missing
    fields = source.front_matter()
    found = replace(
        english,
        title=fields.text("title"),
        hints=_hints(fields),
        wrong=_translated_wrong(english.wrong, Fields(fields.map("wrong"), file)),
        hunt=_translated_hunt(english.hunt, Fields(fields.map("hunt"), file)) if english.hunt else None,
        text=source.blocks(),
    )
    if english.hunt and not fields.has("hunt"):
        raise fields.fault("hunt", _("`symptom` and `suspects`"))
    fields.taken.append("hunt")
    fields.end()
    return found


def _translated_wrong(wrong: Sequence[Wrong], fields: Fields) -> tuple[Wrong, ...]:
    found = tuple(replace(one, why=fields.text(one.name)) for one in wrong)
    fields.end()
    return found


def _translated_hunt(hunt: Hunt, fields: Fields) -> Hunt:
    """Its reasons stand in the order of the lines."""
    symptom, reasons = fields.text("symptom"), fields.texts("suspects")
    if len(reasons) != len(hunt.suspects):
        raise fields.fault("suspects", _("{count} texts, one for each line").format(count=len(hunt.suspects)))
    fields.end()
    suspects = tuple(replace(one, why=why) for one, why in zip(hunt.suspects, reasons, strict=True))
    return Hunt(symptom, suspects)


# ---------------------------------------------------------------- the learner's files


class Workbook:
    """The learner's own files, one an exercise: <data folder>/exercises/<lesson>/<name>.py."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or progress.home()) / FOLDER

    def path(self, exercise: Exercise) -> Path:
        return self.folder / exercise.lesson / f"{exercise.name}.py"

    def read(self, exercise: Exercise) -> str:
        """What the learner has written; the start where they haven't. Raises DltutorError where it can't be read."""
        path = self.path(exercise)
        try:
            data = _bytes(path)
        except FileNotFoundError:
            return exercise.start
        except OSError as error:
            raise DltutorError(_("can't read {file}: {error}").format(file=path, error=error.strerror)) from error
        return _as_text(data, path)

    def write(self, exercise: Exercise, source: str) -> Path:
        """Keep `source`, all of it or nothing; the file. Raises DltutorError where that can't be done."""
        path = self.path(exercise)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, source, PRIVATE)
        except OSError as error:
            message = _("can't write {file}: {error}").format(file=path, error=error.strerror)
            raise DltutorError(message, _("Free some space, or allow writing there.")) from error
        return path

    def is_begun(self, exercise: Exercise) -> bool:
        return self.path(exercise).exists()


def _bytes(path: Path) -> bytes:
    """No more than is looked at. A pipe would never end, nor begin."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DltutorError(_("{file} is no ordinary file").format(file=path), _("Take it away, and write anew."))
    with path.open("rb") as file:
        return file.read(LONGEST + 1)


def _as_text(data: bytes, path: Path) -> str:
    if len(data) > LONGEST:
        message = _("{file} is longer than {limit} characters").format(file=path, limit=LONGEST)
        raise DltutorError(message, _("A kernel is short: take out what does not belong to it."))
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        message = _("{file} is not UTF-8").format(file=path)
        raise DltutorError(message, _("Save the file as UTF-8.")) from error
