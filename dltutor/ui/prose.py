"""Mathematics in rows of characters, and short texts with Markdown in them as lines for the screen."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from dltutor.lesson.blocks import inline_math

LONGEST_UNBROKEN = 40  # cells of a formula or a piece of code in a sentence
_FENCE = re.compile(r"^```.*?\n(.*?)^```\s*?$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?P<ticks>`+)(?P<code>.+?)(?P=ticks)|\*\*(?P<strong>\S.*?)\*\*|\*(?P<stress>\S.*?)\*", re.DOTALL)

Ink = Callable[[str], str]
"""A colour of the theme by its name."""


@functools.cache
def drawn(tex: str) -> tuple[str, ...]:
    """`tex` as rows of characters; its source where it cannot be drawn."""
    from texicode.pipeline import init_arts, render_tex_rows

    init_arts({"fonts": "normal"})
    try:
        rows = render_tex_rows(tex.strip(), False)
    except Exception:  # a library's parser meets a learner's lesson: the source is still readable
        return (tex,)
    return (tex,) if rows and rows[0].startswith("TeXicode:") else tuple(row.rstrip() for row in rows)


def inline(tex: str) -> str:
    """`tex` in one row, for the midst of a sentence."""
    rows = drawn(tex)
    return rows[0].strip() if len(rows) == 1 else tex


def unbroken(code: str) -> str:
    """A short formula or piece of code such that no line breaks within it."""
    return code.replace(" ", "\N{NO-BREAK SPACE}") if len(code) <= LONGEST_UNBROKEN else code


def inked(markdown: str, ink: Ink) -> Text:
    """A text of a sentence or two: `$…$`, code, **strong** and *stressed* words."""
    source = inline_math(markdown, lambda tex: f"``{inline(tex)}``")
    text, position = Text(style=ink("text")), 0
    for span in _SPAN.finditer(source):
        text.append(source[position : span.start()])
        text.append(*_span(span, ink))
        position = span.end()
    return text.append(source[position:])


def _span(span: re.Match[str], ink: Ink) -> tuple[str, str]:
    if span["code"]:
        return unbroken(span["code"]), ink("blue")
    return (span["strong"], "bold") if span["strong"] else (span["stress"], "italic")


def hanging(mark: Text | str, body: Text, width: int, console: Console) -> list[Text]:
    """`body` in lines of `width` cells behind `mark`, which stands before the first of them only."""
    indent = mark.cell_len if isinstance(mark, Text) else len(mark)
    lines = body.wrap(console, max(8, width - indent))
    return [Text.assemble(" " * indent if number else mark, line, no_wrap=True) for number, line in enumerate(lines)]


def paragraphs(markdown: str, width: int, ink: Ink, console: Console) -> list[Text]:
    """A longer text in lines: paragraphs, and fenced code as it stands."""
    lines: list[Text] = []
    for number, part in enumerate(_FENCE.split(markdown.strip())):
        found = _code(part, ink) if number % 2 else hanging("", inked(part.strip(), ink), width, console)
        if part.strip():
            lines += [Text(), *found] if lines else found
    return lines


def _code(part: str, ink: Ink) -> list[Text]:
    return [Text(f"  {row}", ink("blue"), no_wrap=True) for row in part.rstrip().splitlines()]
