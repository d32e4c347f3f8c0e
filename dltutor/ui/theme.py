"""Two themes, every colour of which is an entry of the xterm-256 palette, so that 256 colours lose nothing.

Blue and orange carry all meaning: they stay apart for every common kind of colour blindness.
"""

from __future__ import annotations

from textual.theme import Theme


def _theme(name: str, dark: bool, ink: dict[str, str]) -> Theme:
    return Theme(
        name=name,
        dark=dark,
        primary=ink["blue"],
        secondary=ink["blue"],
        accent=ink["orange"],
        warning=ink["orange"],
        error=ink["red"],
        success=ink["green"],
        foreground=ink["text"],
        background=ink["ground"],
        surface=ink["ground"],
        panel=ink["raised"],
        boost=ink["raised"],
        text_alpha=1.0,
        variables=_variables(ink),
    )


def _variables(ink: dict[str, str]) -> dict[str, str]:
    """What Textual would mix from the colours above, named outright: a mixture is no entry of the palette."""
    return {
        "muted": ink["muted"],
        "faint": ink["faint"],
        "raised": ink["raised"],
        "blue": ink["blue"],
        "orange": ink["orange"],
        "red": ink["red"],
        "green": ink["green"],
        "text": ink["text"],
        "text-muted": ink["muted"],
        "text-disabled": ink["faint"],
        "text-primary": ink["blue"],
        "text-accent": ink["orange"],
        "text-warning": ink["orange"],
        "text-error": ink["red"],
        "text-success": ink["green"],
        "foreground-muted": ink["muted"],
        "foreground-disabled": ink["faint"],
        "primary-muted": ink["raised"],
        "border": ink["faint"],
        "border-blurred": ink["faint"],
        "footer-background": ink["raised"],
        "footer-foreground": ink["text"],
        "footer-item-background": ink["raised"],
        "footer-key-foreground": ink["orange"],
        "footer-key-background": ink["raised"],
        "footer-description-foreground": ink["text"],
        "footer-description-background": ink["raised"],
        "block-cursor-background": ink["cursor"],
        "block-cursor-foreground": ink["on_cursor"],
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": ink["raised"],
        "block-cursor-blurred-foreground": ink["text"],
        "block-cursor-blurred-text-style": "none",
        "block-hover-background": ink["raised"],
        "input-cursor-background": ink["text"],
        "input-cursor-foreground": ink["ground"],
        "input-selection-background": ink["cursor"],
        "scrollbar": ink["faint"],
        "scrollbar-hover": ink["muted"],
        "scrollbar-active": ink["blue"],
        "scrollbar-background": ink["ground"],
        "scrollbar-background-hover": ink["ground"],
        "scrollbar-background-active": ink["ground"],
        "scrollbar-corner-color": ink["ground"],
        "markdown-h1-color": ink["blue"],
        "markdown-h2-color": ink["blue"],
        "markdown-h3-color": ink["blue"],
        "markdown-h4-color": ink["text"],
        "markdown-h1-text-style": "bold",
        "markdown-h2-text-style": "bold",
        "markdown-h3-text-style": "bold",
        "link-color": ink["blue"],
        "link-background": ink["ground"],
        "link-color-hover": ink["on_cursor"],
        "link-background-hover": ink["cursor"],
    }


DARK = _theme(
    "dltutor-dark",
    dark=True,
    ink={
        "ground": "#121212",
        "raised": "#262626",
        "text": "#d0d0d0",
        "muted": "#949494",
        "faint": "#585858",
        "blue": "#5fafff",
        "orange": "#ffaf5f",
        "red": "#ff8787",
        "green": "#87d7af",
        "cursor": "#005f87",
        "on_cursor": "#ffffff",
    },
)
LIGHT = _theme(
    "dltutor-light",
    dark=False,
    ink={
        "ground": "#ffffff",
        "raised": "#e4e4e4",
        "text": "#303030",
        "muted": "#626262",
        "faint": "#b2b2b2",
        "blue": "#005faf",
        "orange": "#af5f00",
        "red": "#af0000",
        "green": "#005f5f",
        "cursor": "#afd7ff",
        "on_cursor": "#000000",
    },
)
