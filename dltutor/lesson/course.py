"""The course: the lessons of this package and the learner's own, in order, each sound or with its problem.

The learner's own lie in the folders that DLTUTOR_LESSONS names (separated as in PATH; each a lesson or a folder of
lessons), and in `lessons/` of the data folder. A lesson that can't be read never takes the others down.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from dltutor import lesson as lessons
from dltutor import progress
from dltutor.errors import DltutorError, UsageError
from dltutor.i18n import _
from dltutor.lesson import Heading, Lesson

PACKAGE = Path(__file__).resolve().parents[1]
_LESSON_FILES = ("lesson.md", "lab.py")


@dataclass(frozen=True)
class Entry:
    """One lesson of the course."""

    id: str
    folder: Path
    heading: Heading | None
    """None where it can't be read."""
    language: str
    """The one asked for; `heading.language` is the one it is in."""
    problem: str = ""
    """Why it can't be read."""
    notes: list[str] = field(default_factory=list)
    """What else is wrong with it, though it can be read."""

    @property
    def title(self) -> str:
        return self.heading.title if self.heading else self.id

    @property
    def part(self) -> int:
        """1 to 6; 0 where not even that can be read."""
        return self.heading.part if self.heading else _salvaged_part(self.folder)

    @property
    def minutes(self) -> int:
        return self.heading.minutes if self.heading else 0

    @property
    def requires(self) -> list[str]:
        return self.heading.requires if self.heading else []

    @property
    def question(self) -> str:
        return self.heading.question if self.heading else ""

    @property
    def section_ids(self) -> tuple[str, ...]:
        return self.heading.section_ids if self.heading else ()

    @property
    def exercises(self) -> list[str]:
        """The names of its exercises and bug hunts."""
        return sorted(file.parent.name for file in self.folder.glob("exercises/*/task.md"))

    @property
    def section_count(self) -> int:
        return len(self.section_ids)

    def section_title(self, id: str) -> str:
        return self.heading.outline.get(id, id) if self.heading else id

    def matches(self, query: str) -> bool:
        """Whether all words of `query` stand in its id, title or question."""
        text = f"{self.id} {self.title} {self.question}".casefold()
        return all(word in text for word in query.casefold().split())

    def load(self) -> Lesson:
        """The lesson itself. Raises DltutorError where it can't be read."""
        return lessons.load(self.folder, self.language)


class Part(NamedTuple):
    number: int
    title: str
    entries: list[Entry]


@dataclass(frozen=True)
class Course:
    entries: list[Entry]
    """In the order of the course: by part, then id."""
    problems: list[str]
    """What is wrong, with any lesson or the folders they come from."""

    def parts(self) -> list[Part]:
        """The parts that have lessons, in order."""
        titles = part_titles()
        numbers = sorted({entry.part for entry in self.entries})
        return [Part(n, titles[n], [entry for entry in self.entries if entry.part == n]) for n in numbers]

    def entry(self, id: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.id == id), None)

    def find(self, query: str) -> Entry:
        """The lesson that `query` means: an id, its number, a fragment only it has, or a lesson's folder.

        Raises UsageError with close matches where there is none, or more than one.
        """
        word = query.strip()
        by = self._by_number if re.fullmatch(r"[0-9]{1,9}", word) else self._by_fragment
        found = self._exactly(word) or by(word)
        if len(found) == 1:
            return found[0]
        raise self._unclear(word, found)

    def _exactly(self, word: str) -> list[Entry]:
        exact = self.entry(word)
        folder = Path(word)
        if exact or not word or not _is_lesson(folder):
            return [exact] if exact else []
        known = [entry for entry in self.entries if entry.folder == folder.resolve()]
        return known or [_entry(folder.resolve(), self._language())]

    def _by_number(self, word: str) -> list[Entry]:
        return [entry for entry in self.entries if re.match(rf"0*{int(word)}-", entry.id)]

    def _by_fragment(self, word: str) -> list[Entry]:
        low = word.casefold()
        if not low:
            return []
        by_id = [entry for entry in self.entries if low in entry.id.casefold()]
        return by_id or [entry for entry in self.entries if low in entry.title.casefold()]

    def _unclear(self, word: str, found: list[Entry]) -> UsageError:
        if found:
            ids = ", ".join(entry.id for entry in found)
            return UsageError(
                _("{query} could be {lessons}").format(query=word, lessons=ids), _("Name one of these lessons.")
            )
        return UsageError(_("there is no lesson {query}").format(query=word or "''"), self._nearest(word))

    def _nearest(self, word: str) -> str:
        import difflib

        ids = {name: entry.id for entry in self.entries for name in (entry.id, entry.id.partition("-")[2])}
        near = dict.fromkeys(ids[name] for name in difflib.get_close_matches(word.lower(), ids, 3, 0.5))
        if near:
            return _("Did you mean {lessons}?").format(lessons=", ".join(near))
        return _("`dltutor list` shows them all.")

    def _language(self) -> str:
        return self.entries[0].language if self.entries else "en"


def part_titles() -> dict[int, str]:
    return {
        0: _("Lessons that can't be read"),
        1: _("Foundations"),
        2: _("Training deep networks"),
        3: _("Architectures"),
        4: _("Generative models"),
        5: _("Beyond supervision"),
        6: _("The machine"),
    }


def catalogue(language: str = "en") -> Course:
    """All lessons there are, their headings in `language`."""
    problems: list[str] = []
    entries: dict[str, Entry] = {}
    for folder in _lesson_folders(problems):
        entry = _entry(folder, language)
        if entry.id in entries:
            problem = _("{folder} is left out: {other} has the same id, {id}")
            problems.append(problem.format(folder=folder, other=entries[entry.id].folder, id=entry.id))
        else:
            entries[entry.id] = entry
    _check_prerequisites(entries)
    ordered = sorted(entries.values(), key=lambda entry: (entry.part, entry.id))
    for entry in ordered:
        problems += [entry.problem] if entry.problem else entry.notes
    return Course(ordered, problems)


def built_in() -> Path:
    """The folder of the lessons that come with dltutor: in the wheel, or beside the package in a checkout."""
    inside = PACKAGE / "lessons"
    return inside if inside.is_dir() else PACKAGE.parent / "lessons"


def _entry(folder: Path, language: str) -> Entry:
    try:
        return Entry(folder.name, folder, lessons.load_front_matter(folder, language), language)
    except DltutorError as error:
        return Entry(folder.name, folder, None, language, str(error))


def _lesson_folders(problems: list[str]) -> Iterator[Path]:
    """Every lesson's folder, the built-in ones first."""
    own = os.environ.get("DLTUTOR_LESSONS", "").split(os.pathsep)
    yield from _below(built_in(), problems)
    for name in filter(None, own):
        yield from _below(Path(name).expanduser(), problems)
    extra = progress.home() / "lessons"
    if extra.is_dir():
        yield from _below(extra, problems)


def _below(folder: Path, problems: list[str]) -> list[Path]:
    """The lessons in `folder`, which may be one itself."""
    folder = folder.resolve()
    if _is_lesson(folder):
        return [folder]
    try:
        return [child for child in sorted(folder.iterdir()) if _is_lesson(child)]
    except OSError as error:
        problem = _("can't look for lessons in {folder}: {error}")
        problems.append(problem.format(folder=folder, error=error.strerror))
        return []


def _is_lesson(folder: Path) -> bool:
    try:
        return any((folder / name).is_file() for name in _LESSON_FILES)
    except OSError:
        return False


def _salvaged_part(folder: Path) -> int:
    """The part named in a front matter that is otherwise broken."""
    try:
        text = (folder / "lesson.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    found = re.search(r"^part:[ \t]*([1-6])[ \t]*$", text, re.MULTILINE)
    return int(found[1]) if found else 0


def _check_prerequisites(entries: Mapping[str, Entry]) -> None:
    for entry in entries.values():
        for name in entry.requires:
            if name not in entries:
                problem = _("{id} requires {name}, which is no lesson here")
                entry.notes.append(problem.format(id=entry.id, name=name))
    _check_circle(entries)


def _check_circle(entries: Mapping[str, Entry]) -> None:
    from graphlib import CycleError, TopologicalSorter

    try:
        TopologicalSorter({entry.id: entry.requires for entry in entries.values()}).prepare()
    except CycleError as error:
        circle = error.args[1]
        problem = _("these lessons require each other: {lessons}").format(lessons=", ".join(circle))
        entries[circle[0]].notes.append(problem)
