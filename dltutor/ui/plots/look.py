"""What the terminal can show: colours, glyphs, dark or light. Standard library only, so that anyone may ask.

Colours, the first that speaks: `--colors`, DLTUTOR_COLORS, NO_COLOR, COLORTERM, the names of the terminal (TERM,
TERM_PROGRAM, LC_TERMINAL), the number at the end of TERM. GNU screen has the last word on what is only guessed.

Glyphs: `--glyphs`, DLTUTOR_GLYPHS, a locale without UTF-8, what the learner once said of this kind of terminal, TERM.
"""

from __future__ import annotations

import codecs
import locale
import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass

DEPTHS = ("true", "256", "16", "mono")
GLYPHS = ("braille", "block", "ascii")
AUTO = "auto"  # an option or a variable that says: look for yourself

# Terminals that draw true colour and say so by name only: ssh brings TERM along, and iTerm's LC_TERMINAL, but not
# COLORTERM. A name counts as a whole word of the variable.
_TRUE_COLOUR = frozenset((
    "alacritty", "contour", "foot", "ghostty", "hyper", "iterm", "kitty", "konsole", "mintty", "rio", "st", "tabby",
    "vscode", "vte", "warpterminal", "wezterm",
))  # fmt: skip
_NAMED_BY = ("TERM", "TERM_PROGRAM", "LC_TERMINAL")
_COLOURLESS = ("vt52", "vt100", "vt102", "vt220", "dumb")
# Terminals whose fonts or drivers lack braille and block elements.
_PLAIN = (*_COLOURLESS, "linux", "ansi", "cons25")

Recall = Callable[[str, str], str]
"""What was kept under a name, else the second."""


@dataclass(frozen=True)
class Look:
    """How to draw: `depth` of colour, the finest `glyphs` the font has, and whether the background is `dark`."""

    depth: str = "true"
    glyphs: str = "braille"
    dark: bool = True


def _nothing(_name: str, default: str) -> str:
    return default


def look_of(
    environment: Mapping[str, str] | None = None, encoding: str | None = None, recall: Recall = _nothing
) -> Look:
    """The look that suits a terminal, by its environment and by what its learner once said of it."""
    env = os.environ if environment is None else environment
    return Look(_depth(env), _glyphs(env, _encoding(env) if encoding is None else encoding, recall), _dark(env))


def impose(look: Look, environment: MutableMapping[str, str]) -> None:
    """Make whatever reads `environment` (Rich, Textual) draw in the colours of `look`, or in none."""
    environment.pop("NO_COLOR", None)
    if look.depth == "mono":
        environment["NO_COLOR"] = "1"


# ---------------------------------------------------------------- colours


def _depth(env: Mapping[str, str]) -> str:
    asked = env.get("DLTUTOR_COLORS", "").lower()
    if asked in DEPTHS:
        return asked
    term = env.get("TERM", "").lower()
    if env.get("NO_COLOR") or term in _COLOURLESS or term.endswith(("-m", "-mono")):
        return "mono"
    if _draws_true_colour(env, term) and not _is_screen(env, term):
        return "true"
    return "256" if "256color" in term or _draws_true_colour(env, term) else "16"


def _draws_true_colour(env: Mapping[str, str], term: str) -> bool:
    if env.get("COLORTERM", "").lower() in ("truecolor", "24bit") or env.get("WT_SESSION"):
        return True
    names = {word for name in _NAMED_BY for word in re.split("[^a-z]+", env.get(name, "").lower())}
    return term.endswith("-direct") or not _TRUE_COLOUR.isdisjoint(names)


def _is_screen(env: Mapping[str, str], term: str) -> bool:
    """GNU screen before 5 takes the numbers of a true colour for blinking and the like; COLORTERM is that of the
    terminal around it. tmux may call itself screen, too, and rounds what it cannot show."""
    return bool(env.get("STY")) or (term.startswith("screen") and not env.get("TMUX"))


# ---------------------------------------------------------------- glyphs


def _glyphs(env: Mapping[str, str], encoding: str, recall: Recall) -> str:
    asked = env.get("DLTUTOR_GLYPHS", "").lower()
    if asked in GLYPHS:
        return asked
    if not _is_utf8(encoding):
        return "ascii"
    told = recall(memory_of(env), "") if asked != AUTO else ""
    if told in GLYPHS:
        return told
    return "ascii" if env.get("TERM", "").lower() in _PLAIN else "braille"


def memory_of(environment: Mapping[str, str]) -> str:
    """The preference that holds what the learner said of this kind of terminal."""
    names = filter(None, (environment.get("TERM"), environment.get("TERM_PROGRAM")))
    return "glyphs of " + (" in ".join(names) or "?")


def is_worth_asking(environment: Mapping[str, str], recall: Recall) -> bool:
    """Whether only the learner can tell which glyphs there are, and has not yet."""
    if environment.get("DLTUTOR_GLYPHS"):
        return False
    return not recall(memory_of(environment), "") and look_of(environment).glyphs != "ascii"


def _is_utf8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False


def _encoding(env: Mapping[str, str]) -> str:
    """The locale's encoding, by the rules of POSIX; terminals of Windows and macOS speak UTF-8 whatever it says."""
    if os.name == "nt" or os.uname().sysname == "Darwin":
        return "utf-8"
    name = next((env[key] for key in ("LC_ALL", "LC_CTYPE", "LANG") if env.get(key)), "")
    if "." in name:
        return name.partition(".")[2].partition("@")[0]
    if not name:  # ssh servers and containers often leave it out: that says nothing of the terminal in front of them
        return "utf-8"
    # Python treats the C locale as UTF-8 (PEP 538); a terminal under it may or may not. Only an explicit C is plain.
    return "ascii" if name in ("C", "POSIX") else locale.getpreferredencoding(False)


def _dark(env: Mapping[str, str]) -> bool:
    """COLORFGBG is "foreground;background", set by rxvt, konsole and some others; without it terminals are dark."""
    background = env.get("COLORFGBG", "").rpartition(";")[2]
    return background not in ("7", "15")
