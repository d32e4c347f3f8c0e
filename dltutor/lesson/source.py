"""A Markdown file that opens with YAML between two lines `---`: a lesson, or a task."""

from __future__ import annotations

import re
from pathlib import Path

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.lesson.blocks import Block, Section, outline, read_blocks, read_sections
from dltutor.lesson.yaml_lines import Fields, fault, parse


class Missing(DltutorError):
    """There is no such file."""


class Source:
    """A file cut into front matter and text, as lines."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines = _read(file).splitlines()
        if not self.lines or self.lines[0].rstrip() != "---":
            raise fault(file, 1, _("expected front matter: a line `---`, keys, a line `---`"))
        closing = next((at for at, line in enumerate(self.lines[1:], 1) if line.rstrip() == "---"), None)
        if closing is None:
            raise fault(file, 1, _("the front matter is not closed: expected a second line `---`"))
        self.body_at = closing + 1

    def front_matter(self) -> Fields:
        mapping = parse("\n".join(self.lines[1 : self.body_at - 1]), self.file, 2)
        mapping.line = 1
        return Fields(mapping, self.file)

    def body(self) -> list[str]:
        return self.lines[self.body_at :]

    def outline(self) -> dict[str, str]:
        return outline("\n".join(self.body()))

    def sections(self) -> tuple[Section, ...]:
        return read_sections(self.body(), self.file, self.body_at + 1)

    def blocks(self) -> tuple[Block, ...]:
        """The text as one, without headings."""
        return read_blocks(self.body(), self.file, self.body_at + 1)


def _read(file: Path) -> str:
    """The text of a file in UTF-8 without control characters, which could take over the terminal."""
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise Missing(_("there is no {file}").format(file=file)) from error
    except OSError as error:
        raise DltutorError(_("can't read {file}: {error}").format(file=file, error=error.strerror)) from error
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise fault(file, 1, _("the file begins with a byte-order mark"), _("Save it as UTF-8 without one."))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise fault(file, line, _("this is not UTF-8"), _("Save the file as UTF-8.")) from error
    control = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]", text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        raise fault(file, line, _("control character U+{code:04X}").format(code=ord(control[0])), _("Remove it."))
    return text
