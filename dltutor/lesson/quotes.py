"""Source quoted from its file through ast: nothing is imported, and the quote can't drift from the code."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.lesson.yaml_lines import close

if TYPE_CHECKING:
    import ast

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Quote:
    """A definition as it stands in its file, decorators included."""

    path: str
    """The file, as the reference named it."""
    name: str
    """Empty where the whole file is quoted."""
    first_line: int
    source: str
    module_doc: str
    """The docstring of the file, cleaned: a kernel's mathematics."""


def quote(reference: str, folder: Path | None = None) -> Quote:
    """What `reference` names: "dltutor/kernels/dense.py:dense_backward", "…:Class.method", or a whole file.

    A path that does not begin with dltutor/ is looked up in `folder`, the lesson's own.
    Raises DltutorError for a file that can't be read and a name that isn't there.
    """
    reference = reference.strip()
    file = _locate(reference.partition(":")[0], folder)
    try:
        stat = file.stat()
        return _quoted(reference, file, stat.st_mtime_ns, stat.st_size)
    except (OSError, SyntaxError, ValueError) as error:
        raise DltutorError(
            _("can't quote {reference}: {error}").format(
                reference=reference, error=getattr(error, "strerror", None) or error
            ),
            _("Write it as dltutor/kernels/dense.py:dense_forward."),
        ) from error


def _locate(path: str, folder: Path | None) -> Path:
    base = PACKAGE.parent if path.startswith("dltutor/") or folder is None else folder
    file = (base / path).resolve()
    if not path or not file.is_relative_to(base.resolve()):
        raise DltutorError(
            _("can't quote {path!r}: it is no file below {base}").format(path=path, base=base),
            _("Write it as dltutor/kernels/dense.py:dense_forward."),
        )
    return file


@functools.lru_cache(maxsize=256)
def _quoted(reference: str, file: Path, changed: int, size: int) -> Quote:
    """What is quoted, once for each state of the file; what parsing finds beside it is a hundred times as much."""
    import ast

    path, _colon, name = reference.partition(":")
    text = file.read_text(encoding="utf-8")
    module = ast.parse(text)
    first, source = _cut(module, name, reference, text) if name else (1, text)
    return Quote(path, name, first, source, ast.get_docstring(module) or "")


def _cut(module: ast.Module, name: str, reference: str, text: str) -> tuple[int, str]:
    """First line and source of the definition `name`, a dotted path."""
    body: list[ast.stmt] = module.body
    for part in name.split("."):
        found = dict(_definitions(body))
        if part not in found:
            problem = _("can't quote {reference}: {name} is not defined there").format(reference=reference, name=part)
            raise DltutorError(problem, close(part, found))
        node = found[part]
        body = getattr(node, "body", [])
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    lines = text.splitlines()[first - 1 : node.end_lineno]
    return first, textwrap.dedent("\n".join(lines)) + "\n"


def _definitions(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """Every name that these statements define, those under `if` and `try` included."""
    import ast

    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name, node
            case ast.If() | ast.Try() | ast.With():
                for branch in ("body", "orelse", "handlers", "finalbody"):
                    yield from _definitions(getattr(node, branch, []))
            case ast.ExceptHandler():
                yield from _definitions(node.body)
