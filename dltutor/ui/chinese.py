"""Lines of Chinese break between characters, but never before a closing mark nor after an opening one.

Rich, and Textual with it, breaks lines at spaces alone, which leaves Chinese ragged. `rich._wrap.words` is the one
private name replaced here; a test says when it has moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import rich._wrap

_OPENING = "“‘（《〈「『【〔([{"
_CLOSING = "”’），。、；：？！》〉」』】〕…—～·)]},.;:?!%"
_CHARACTER = "\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef"
_SPACE = "[^\\S\u00a0\u202f]"  # where a line may break: not at a no-break space
_LATIN = rf"[^{_CHARACTER}{re.escape(_OPENING)} \t\n\r\f\v\u3000]|[(\[{{](?=[^\s{_CHARACTER}])"  # also "(" in f(x)
_WORD = re.compile(
    rf"{_SPACE}*(?:[{re.escape(_OPENING)}]*(?:[{_CHARACTER}]|(?:{_LATIN})+)[{re.escape(_CLOSING)}]*|\S){_SPACE}*"
)


def words(text: str) -> Iterable[tuple[int, int, str]]:
    """(start, end, piece) of the pieces of `text` that must not be broken, each with the white space around it."""
    position = 0
    while match := _WORD.match(text, position):
        position = match.end()
        yield match.start(), position, match.group()


def break_lines() -> None:
    """From now on Rich and Textual break lines so."""
    rich._wrap.words = words
