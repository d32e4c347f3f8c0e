"""What the terminal can show: colours, glyphs, dark or light. Standard library only, so that anyone may ask."""

from __future__ import annotations

import codecs
import locale
import os
from collections.abc import Mapping
from dataclasses import dataclass

DEPTHS = ("true", "256", "16", "mono")
GLYPHS = ("braille", "block", "ascii")

# Terminals that draw true colour and say so by name only: sshd forwards TERM but not COLORTERM.
_TRUE_COLOUR = (
    "alacritty", "contour", "foot", "ghostty", "iterm", "kitty", "konsole", "mintty", "rio", "vscode", "vte", "wezterm",
)  # fmt: skip
# Terminals whose fonts or drivers lack braille and block elements.
_PLAIN = ("dumb", "linux", "vt52", "vt100", "vt102", "vt220", "ansi", "cons25")


@dataclass(frozen=True)
class Look:
    """How to draw: `depth` of colour, the finest `glyphs` the font has, and whether the background is `dark`."""

    depth: str = "true"
    glyphs: str = "braille"
    dark: bool = True


def look_of(environment: Mapping[str, str] | None = None, encoding: str | None = None) -> Look:
    """The look that suits a terminal, by its environment; DLTUTOR_COLORS and DLTUTOR_GLYPHS have the last word."""
    env = os.environ if environment is None else environment
    return Look(_depth(env), _glyphs(env, _encoding(env) if encoding is None else encoding), _dark(env))


def _depth(env: Mapping[str, str]) -> str:
    asked = env.get("DLTUTOR_COLORS", "").lower()
    if asked in DEPTHS:
        return asked
    term = env.get("TERM", "").lower()
    if env.get("NO_COLOR") or term == "dumb":
        return "mono"
    if _draws_true_colour(env, term):
        return "true"
    return "256" if "256color" in term else "16"


def _draws_true_colour(env: Mapping[str, str], term: str) -> bool:
    if env.get("COLORTERM", "").lower() in ("truecolor", "24bit") or env.get("WT_SESSION"):
        return True
    names = (term, env.get("TERM_PROGRAM", "").lower())
    return term.endswith("-direct") or any(known in name for known in _TRUE_COLOUR for name in names)


def _glyphs(env: Mapping[str, str], encoding: str) -> str:
    asked = env.get("DLTUTOR_GLYPHS", "").lower()
    if asked in GLYPHS:
        return asked
    plain = env.get("TERM", "").lower() in _PLAIN
    return "ascii" if plain or not _is_utf8(encoding) else "braille"


def _is_utf8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False


def _encoding(env: Mapping[str, str]) -> str:
    """The locale's encoding, by the rules of POSIX; terminals of Windows and macOS speak UTF-8 whatever it says."""
    if os.name == "nt" or os.uname().sysname == "Darwin":
        return "utf-8"
    name = next((env[key] for key in ("LC_ALL", "LC_CTYPE", "LANG") if env.get(key)), "C")
    if "." in name:
        return name.partition(".")[2].partition("@")[0]
    # Python treats the C locale as UTF-8 (PEP 538); a terminal under it may or may not. Only an explicit C is plain.
    return "ascii" if name in ("C", "POSIX") else locale.getpreferredencoding(False)


def _dark(env: Mapping[str, str]) -> bool:
    """COLORFGBG is "foreground;background", set by rxvt, konsole and some others; without it terminals are dark."""
    background = env.get("COLORFGBG", "").rpartition(";")[2]
    return background not in ("7", "15")
