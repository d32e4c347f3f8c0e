"""The body of a lesson: sections of Markdown, formulas, code, and the fences that become widgets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.lesson.yaml_lines import ID, fault, parse

WIDGETS = ("lab", "kernel", "predict", "quiz", "exercise", "hunt", "review")
_HEADING = re.compile(r"## +(?P<title>.*?)\s*\{#(?P<id>[^{}\s]+)\}\s*")
_OPENING = re.compile(r"\s*(`{3,}[^`]*|~{3,}.*)")
_LIST_ITEM = re.compile(r"\s*([-+*]|\d{1,9}[.)])\s")


@dataclass(frozen=True)
class Text:
    """Markdown, with `$…$` still in it."""

    markdown: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Formula:
    """Displayed mathematics, as TeX."""

    tex: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Code:
    """A fence that is no widget."""

    language: str
    text: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Widget:
    """A fence of one of the kinds in WIDGETS."""

    kind: str
    id: str
    """The body's `id`, or kind and number: lab-1, lab-2."""
    body: Any
    """What its YAML says: a mapping; of a lesson's question, what `fences.parse` makes of it."""
    argument: str
    """What stands after the kind on the fence's first line."""
    line: int = field(default=0, compare=False)


Block = Text | Formula | Code | Widget


@dataclass(frozen=True)
class Section:
    id: str
    title: str
    blocks: tuple[Block, ...]
    line: int = field(default=0, compare=False)

    def widgets(self) -> list[Widget]:
        return [block for block in self.blocks if isinstance(block, Widget)]


def outline(body: str) -> dict[str, str]:
    """The sections' ids and titles, found without parsing the rest: what a list of lessons needs."""
    prose = re.sub(r"^(`{3,}|~{3,}).*?^\1\s*?$", "", body, flags=re.MULTILINE | re.DOTALL)
    return {id: title for title, id in re.findall(r"^## +(.*?)\s*\{#([^{}\s]+)\}\s*?$", prose, re.MULTILINE)}


def read_sections(lines: list[str], file: Path, first: int) -> tuple[Section, ...]:
    """The sections in `lines`, the first of which is line `first` of `file`. Raises DltutorError."""
    return _Body(lines, file, first).sections()


def read_blocks(lines: list[str], file: Path, first: int) -> tuple[Block, ...]:
    """The blocks of a text that has no sections. Raises DltutorError where it has one."""
    body = _Body(lines, file, first)
    blocks = tuple(body.blocks())
    if body.at < len(lines):
        raise body.fault(body.at, _("expected no section here"))
    return blocks


class _Body:
    """Reads from the top to the bottom; `at` is the line under the eye."""

    def __init__(self, lines: list[str], file: Path, first: int) -> None:
        self.lines, self.file, self.first = lines, file, first
        self.at = 0
        self.counts: Counter[str] = Counter()
        self.ids: set[str] = set()

    def sections(self) -> tuple[Section, ...]:
        self.skip_blank()
        found = []
        while self.at < len(self.lines):
            found.append(self.section())
        if not found:
            raise self.fault(0, _("the lesson is empty: expected a section, `## Heading {#id}`"))
        self.distinct(found)
        return tuple(found)

    def section(self) -> Section:
        start = self.at
        heading = _HEADING.fullmatch(self.lines[start])
        if not heading:
            found = self.lines[start].strip()
            problem = _("expected a section, `## Heading {{#id}}`, found {found!r}").format(found=found[:60])
            raise self.fault(start, problem, _("A lesson's title stands in its front matter, not in its text."))
        if not ID.fullmatch(heading["id"]):
            problem = _("the section id {id!r} is not made of a-z, 0-9 and hyphens").format(id=heading["id"])
            raise self.fault(start, problem)
        self.at += 1
        return Section(heading["id"], heading["title"], tuple(self.blocks()), self.first + start)

    def distinct(self, sections: list[Section]) -> None:
        seen: dict[str, int] = {}
        for section in sections:
            if section.id in seen:
                problem = _("the section id {id} is taken by line {line}").format(id=section.id, line=seen[section.id])
                raise fault(self.file, section.line, problem)
            seen[section.id] = section.line

    def blocks(self) -> Iterator[Block]:
        self.skip_blank()
        while self.at < len(self.lines) and not _is_heading(self.lines[self.at]):
            yield self.block()
            self.skip_blank()

    def block(self) -> Block:
        line = self.lines[self.at]
        if line.startswith("$$"):
            return self.formula()
        return self.fence() if _opens(line) and not line[0].isspace() else self.text()

    def formula(self) -> Formula:
        start = self.at
        taken = self.lines[start].strip()[2:]
        while "$$" not in taken:
            self.at += 1
            if self.at >= len(self.lines) or not self.lines[self.at].strip():
                raise self.fault(start, _("this formula is not closed: expected `$$` before the next empty line"))
            taken += "\n" + self.lines[self.at].strip()
        tex, _closing, rest = taken.partition("$$")
        if rest.strip() or not tex.strip():
            raise self.fault(start, _("expected `$$`, a formula, `$$`, and nothing more on these lines"))
        self.at += 1
        return Formula(tex.strip(), self.first + start)

    def fence(self) -> Block:
        start = self.at
        content = self.fenced()
        kind, _space, argument = _info(self.lines[start]).partition(" ")
        if kind in WIDGETS:
            return self.widget(kind, argument.strip(), content, start)
        return Code(kind, "\n".join(content), self.first + start)

    def fenced(self) -> list[str]:
        """The lines of the fence that opens here; leaves the eye behind it."""
        start = self.at
        closing = _closing(self.lines[start])
        for end in range(start + 1, len(self.lines)):
            if closing.fullmatch(self.lines[end]):
                self.at = end + 1
                return self.lines[start + 1 : end]
            if _forgotten(self.lines[start], self.lines[end]):
                break
        ticks = self.lines[start].strip().removesuffix(_info(self.lines[start])).strip()
        raise self.fault(start, _("this fence is not closed: expected {ticks}").format(ticks=ticks))

    def widget(self, kind: str, argument: str, content: list[str], start: int) -> Widget:
        body = parse("\n".join(content), self.file, self.first + start + 1)
        if kind == "kernel" and (body or not argument):
            problem = _("expected `kernel dltutor/kernels/<file>.py:<function>` and an empty body")
            raise self.fault(start, problem)
        self.counts[kind] += 1
        name = str(body.get("id", f"{kind}-{self.counts[kind]}"))
        if name in self.ids:
            raise self.fault(start, _("the id {id} is there twice").format(id=name))
        self.ids.add(name)
        return Widget(kind, name, body, argument, self.first + start)

    def text(self) -> Text:
        start = self.at
        while self.at < len(self.lines) and not self.text_ends():
            if _opens(self.lines[self.at]):
                self.nested_fence()
            else:
                self.prose()
        return Text("\n".join(self.lines[start : self.at]).rstrip(), self.first + start)

    def text_ends(self) -> bool:
        line = self.lines[self.at]
        return _is_heading(line) or line.startswith("$$") or (_opens(line) and not line[0].isspace())

    def nested_fence(self) -> None:
        """A fence inside a list item stays in the text; a widget can't stand there."""
        start = self.at
        kind = _info(self.lines[start]).partition(" ")[0]
        if kind in WIDGETS:
            raise self.fault(start, _("a {kind} fence can't be indented").format(kind=kind))
        self.fenced()

    def prose(self) -> None:
        line = self.lines[self.at]
        if line.startswith("# "):
            problem = _("expected a section, `## Heading {{#id}}`, found {found!r}").format(found=line[:60])
            raise self.fault(self.at, problem)
        if "$$" in re.sub(r"`[^`]*`", "", line):
            raise self.fault(self.at, _("`$$` begins and ends a formula on lines of its own, unindented"))
        self.at += 1

    def skip_blank(self) -> None:
        while self.at < len(self.lines) and not self.lines[self.at].strip():
            self.at += 1

    def fault(self, at: int, problem: str, hint: str = "") -> DltutorError:
        return fault(self.file, self.first + at, problem, hint)


def _is_heading(line: str) -> bool:
    return line.startswith("## ")


def _opens(line: str) -> bool:
    return bool(_OPENING.fullmatch(line))


def _closing(opening: str) -> re.Pattern[str]:
    """What closes the fence that this line opens."""
    ticks = re.match(r"\s*(`+|~+)", opening)[1]  # type: ignore[index]
    return re.compile(rf"\s*{ticks}{ticks[0]}*\s*")


def _forgotten(opening: str, line: str) -> bool:
    """Whether `line` can't be meant to lie in the fence: to show such lines, one opens with more than three ticks."""
    inside = _HEADING.fullmatch(line) or (_opens(line) and _info(line).partition(" ")[0] in WIDGETS)
    return bool(inside) and not opening.strip().startswith(("````", "~~~~"))


def _info(opening: str) -> str:
    """What stands behind the ticks of the fence that this line opens."""
    return opening.strip().lstrip("`~").strip()


# ---------------------------------------------------------------- inline mathematics

_SPAN = re.compile(
    r"(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)"  # a code span: as many backticks at its end as at its beginning
    r"|\\."  # an escaped character
    r"|\$(?=\S)(?P<tex>(?:\\.|[^$\\`])+?)(?<=\S)\$(?!\d)",  # no space inside, no digit behind: "$5 and $10" is money
    re.DOTALL,
)


def inline_math(markdown: str, render: Callable[[str], str]) -> str:
    """`markdown` with each `$…$` outside code replaced by `render(tex)`."""
    return "\n".join(chunk if is_code else _SPAN.sub(_drawn(render), chunk) for is_code, chunk in _chunks(markdown))


def _drawn(render: Callable[[str], str]) -> Callable[[re.Match[str]], str]:
    return lambda match: match[0] if match["tex"] is None else render(" ".join(match["tex"].split()))


def _chunks(markdown: str) -> Iterator[tuple[bool, str]]:
    """Paragraphs, blank lines and code blocks, in order: (is it code, its text)."""
    lines = markdown.split("\n")
    start, in_list = 0, False
    while start < len(lines):
        end = _code_end(lines, start, in_list)
        is_code = end > start
        if not is_code:
            end = max(start + 1, _while(lines, start, lambda line: bool(line.strip()) and not _opens(line)))
            in_list = _still_in_list(lines[start:end], in_list)
        yield is_code, "\n".join(lines[start:end])
        start = end


def _code_end(lines: list[str], start: int, in_list: bool) -> int:
    """The line behind the code block that begins at `start`; `start` itself where none begins."""
    line = lines[start]
    if _opens(line):
        closing = _closing(line)
        inside = _while(lines, start + 1, lambda line: not closing.fullmatch(line))
        return min(inside + 1, len(lines))
    if _is_indented(line) and not in_list and (start == 0 or not lines[start - 1].strip()):
        return _while(lines, start, lambda line: not line.strip() or _is_indented(line))
    return start


def _is_indented(line: str) -> bool:
    return line.startswith(("    ", "\t"))


def _while(lines: list[str], at: int, holds: Callable[[str], bool]) -> int:
    while at < len(lines) and holds(lines[at]):
        at += 1
    return at


def _still_in_list(lines: Iterable[str], in_list: bool) -> bool:
    for line in lines:
        if _LIST_ITEM.match(line):
            in_list = True
        elif line.strip() and not line[0].isspace():
            in_list = False
    return in_list
