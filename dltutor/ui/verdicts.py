"""A verdict in words and a table, for a pane of the application or a plain terminal."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

from rich.cells import cell_len
from rich.console import Group
from rich.text import Text

from dltutor.i18n import _
from dltutor.ui.prose import inked
from dltutor.wire import Element, Finding, Verdict

Ink = Callable[[str], str]  # the name of a colour of the theme -> a colour for Rich
ELEMENTS_SHOWN = 8
PRINTED_SHOWN = 20  # lines
PASSED, WRONG = "✓", "✗"


def in_words(verdict: Verdict, source: str, ink: Ink) -> list[Text]:
    """All of a verdict on `source`, in paragraphs: what matters most comes first."""
    parts = [headline(verdict, ink)]
    parts += [inked(verdict.why, ink)] if verdict.why else []
    parts += [quoted(verdict.line, source, ink)] if verdict.line else []
    parts += [table(verdict.worst[:ELEMENTS_SHOWN], ink)] if verdict.worst else []
    told = [finding for finding in verdict.findings if finding.text != verdict.headline]
    parts += [findings(told, ink)] if told else []
    parts += [printed(verdict.printed, ink)] if verdict.printed.strip() else []
    return parts


def apart(parts: list[Text]) -> Group:
    """Paragraphs with an empty line between."""
    lines = [line for part in parts for line in (Text(), part)]
    return Group(*lines[1:])


def headline(verdict: Verdict, ink: Ink) -> Text:
    mark, colour = (PASSED, "green") if verdict.passed else (WRONG, "red")
    return Text(f"{mark} {verdict.headline}", f"bold {ink(colour)}")


def quoted(line: int, source: str, ink: Ink) -> Text:
    """The line at fault between its neighbours."""
    lines = source.splitlines()
    numbers = [number for number in range(line - 1, line + 2) if 0 < number <= len(lines)]
    rows = [_quoted_row(number, lines[number - 1], number == line, ink) for number in numbers]
    return _whole_lines(rows)


def _quoted_row(number: int, code: str, at_fault: bool, ink: Ink) -> Text:
    mark, colours = (WRONG, (ink("red"), f"bold {ink('text')}")) if at_fault else (" ", (ink("muted"), ink("muted")))
    return Text.assemble((f"{mark}{number:>4} │ ", colours[0]), (code, colours[1]))


def _whole_lines(rows: list[Text]) -> Text:
    """Rows that are cut off, not broken, where there is no room for them."""
    return Text("\n", no_wrap=True, overflow="ellipsis").join(rows)


def findings(told: list[Finding], ink: Ink) -> Text:
    """What was looked at, the failed ones first."""
    rows = [
        Text.assemble(
            (f"{PASSED} ", ink("green")) if finding.passed else (f"{WRONG} ", ink("red")),
            (finding.text, ink("muted" if finding.passed else "text")),
        )
        for finding in sorted(told, key=lambda finding: finding.passed)
    ]
    return Text("\n").join(rows)


def printed(text: str, ink: Ink) -> Text:
    lines = text.rstrip("\n").splitlines()
    rows = [Text.assemble(("│ ", ink("faint")), (line, ink("muted"))) for line in lines[-PRINTED_SHOWN:]]
    if len(lines) > PRINTED_SHOWN:
        left_out = _("… {n} lines before").format(n=len(lines) - PRINTED_SHOWN)
        rows.insert(0, Text(f"│ {left_out}", ink("faint")))
    return _whole_lines([Text(_("It printed:"), ink("muted")), *rows])


# ---------------------------------------------------------------- yours, expected, numeric


def table(elements: list[Element], ink: Ink) -> Text:
    """A row an element, the worst first; the numeric derivative only where there is one."""
    heading = ["", _("yours"), _("expected"), _("numeric")]
    rows = [list(_cells(element)) for element in elements]
    columns = 4 if any(element.numeric is not None for element in elements) else 3
    widths = [max(cell_len(row[at]) for row in [heading, *rows]) for at in range(columns)]
    colours = ["blue", "red", "green", "text"]
    lines = [_row(heading, widths, [ink("muted")] * 4)]
    lines += [_row(row, widths, [ink(colour) for colour in colours]) for row in rows]
    return _whole_lines(lines)


def _row(cells: list[str], widths: list[int], colours: list[str]) -> Text:
    first, *others = zip(cells, widths, colours, strict=False)
    row = Text.assemble("  ", (first[0] + " " * (first[1] - cell_len(first[0])), first[2]))
    for cell, width, colour in others:
        row.append("  " + " " * max(0, width - cell_len(cell)) + cell, colour)
    return row


def _cells(element: Element) -> Iterator[str]:
    digits = _digits(element.yours, element.expected)
    yield element.place
    yield f"{element.yours:.{digits}g}"
    yield f"{element.expected:.{digits}g}"
    yield "" if element.numeric is None else f"{element.numeric:.{digits}g}"


def _digits(yours: float, expected: float) -> int:
    """So many that the two read differently."""
    if not (math.isfinite(yours) and math.isfinite(expected)):
        return 5
    differ = (digits for digits in itertools.chain(range(5, 17)) if f"{yours:.{digits}g}" != f"{expected:.{digits}g}")
    return next(differ, 17)
