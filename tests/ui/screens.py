"""What a screen test needs: wait for a fact, and read the screen as text and as colours."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rich.color import Color
from textual.app import ScreenStackError
from textual.pilot import Pilot
from textual.widget import Widget

SNAPSHOTS = Path(__file__).parent / "snapshots"
XTERM = {0, 95, 135, 175, 215, 255}  # levels of the colour cube
PATIENCE = 60.0  # seconds until a fact that does not come is a failure


async def until(pilot: Pilot, fact: Callable[[], object]) -> None:
    """Let the application go on until `fact()` is true."""
    deadline = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < deadline, f"never came true; the screen shows:\n{text(pilot)}"
        await asyncio.sleep(0.01)
        with suppress(ScreenStackError):  # it has ended meanwhile
            await pilot.pause()


async def shown(pilot: Pilot, words: str) -> None:
    """Wait until `words` stand on the screen."""
    await until(pilot, lambda: words in text(pilot))


async def composed(pilot: Pilot, widget: Widget) -> None:
    """Wait until whatever `widget` shows is there and has its place."""
    await until(pilot, lambda: widget.children and all(child.is_mounted for child in widget.children))
    await pilot.pause()


def strips(pilot: Pilot) -> list:
    return pilot.app.screen._compositor.render_strips()


def text(pilot: Pilot) -> str:
    return "\n".join(strip.text.rstrip() for strip in strips(pilot))


def colours(pilot: Pilot) -> set[Color]:
    """Every colour on the screen."""
    styles = [style for strip in strips(pilot) for _text, style, _control in strip if style]
    return {colour for style in styles for colour in (style.color, style.bgcolor) if colour}


def in_palette(triplet) -> bool:
    """An entry of the colour cube; or a grey, which Rich sends as an entry of the grey ramp, at most 6 levels away."""
    return set(triplet) <= XTERM or len(set(triplet)) == 1


def painted(pilot: Pilot) -> str:
    """The screen's text, and under it the colours of each line as runs: "blue/#121212*12 ..."."""
    lines = [" ".join(_run(piece, style) for piece, style, _control in strip if piece) for strip in strips(pilot)]
    return text(pilot) + "\n\n" + "\n".join(lines) + "\n"


def _run(piece: str, style) -> str:
    names = [colour.name if colour else "-" for colour in (style.color, style.bgcolor)] if style else ["-", "-"]
    return f"{'b' if style and style.bold else ''}{names[0]}/{names[1]}*{len(piece)}"


async def same_as_snapshot(pilot: Pilot, name: str) -> None:
    """Wait until the screen is its stored picture; DLTUTOR_RENEW=1 stores it anew, once the screen has settled."""
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("DLTUTOR_RENEW"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(await settled(pilot), encoding="utf-8")
    assert path.exists(), f"there is no snapshot {path}; look at the screen, then run with DLTUTOR_RENEW=1"
    stored, deadline = path.read_text(encoding="utf-8"), time.monotonic() + PATIENCE
    while painted(pilot) != stored and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
        await pilot.pause()
    assert painted(pilot) == stored, f"the screen is not as in {path}; DLTUTOR_RENEW=1 accepts it"


async def settled(pilot: Pilot) -> str:
    """The screen once it has stayed the same for a while."""
    last, same = painted(pilot), 0
    while same < 20:
        await asyncio.sleep(0.02)
        await pilot.pause()
        now = painted(pilot)
        last, same = now, same + 1 if now == last else 0
    return last
