"""English and Simplified Chinese through one catalogue; English is the message id, so it needs none.

Every process chooses its language once at start (`use`), the application again whenever the learner switches.
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

LANGUAGES = {"en": "English", "zh": "简体中文"}
_catalogue: gettext.NullTranslations = gettext.NullTranslations()
_current = "en"


def use(language: str) -> None:
    """Speak `language` from now on."""
    global _catalogue, _current
    _current = language if language in LANGUAGES else "en"
    folder = Path(__file__).parent / "locale"
    _catalogue = gettext.translation("dltutor", folder, [_current], fallback=True)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak `language` for a moment: for a process that serves people of both."""
    before = _current
    use(language)
    try:
        yield
    finally:
        use(before)


def current() -> str:
    return _current


def preferred(environment: Mapping[str, str] = os.environ) -> str:
    """The language that `environment` asks for, by the rules of POSIX: LC_ALL before LC_MESSAGES before LANG."""
    names = ("DLTUTOR_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    value = next((environment[name] for name in names if environment.get(name)), "")
    return "zh" if value.lower().startswith("zh") else "en"


def _(message: str) -> str:
    """`message` in the learner's language."""
    return _catalogue.gettext(message)


def plural(one: str, many: str, n: int) -> str:
    """`one` or `many` by the count, in the learner's language, with `{n}` filled in."""
    return _catalogue.ngettext(one, many, n).format(n=n)
