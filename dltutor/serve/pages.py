"""What a browser is shown besides the terminal: a few small pages, and the look of all of them."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from dltutor import i18n
from dltutor.i18n import _

STYLE = """
@font-face { font-family: "Roboto Mono"; src: url("RobotoMono-VariableFont_wght.ttf"); }
html, body { margin: 0; height: 100%; background: #121212; color: #c6c6c6; }
body { font: 16px/1.5 "Roboto Mono", Menlo, Consolas, monospace; overflow: hidden; }
#terminal { position: fixed; inset: 0; }
#closed { position: fixed; inset: auto 0 0 0; padding: 12px 16px; background: #262626; display: none; }
body.-closed #closed { display: block; }
main { max-width: 34em; margin: 15vh auto 0; padding: 0 16px; }
h1 { font-size: 1em; color: #5fafff; margin: 0 0 1em; }
label { display: block; margin: 0 0 1em; }
input { display: block; width: 100%; box-sizing: border-box; padding: 6px 8px; margin-top: 4px;
  font: inherit; color: #eeeeee; background: #262626; border: 1px solid #585858; }
button { font: inherit; padding: 4px 16px; color: #121212; background: #ffaf5f; border: 0; cursor: pointer; }
input:focus, button:focus { outline: 2px solid #5fafff; }
.wrong { color: #ff5f5f; white-space: pre-wrap; }
"""

# The page of textual-serve has its script open the socket that this names, once all is loaded.
SCRIPT = """
const terminal = document.getElementById("terminal");
terminal.dataset.sessionWebsocketUrl = new URL("ws", location.href).href.replace(/^http/, "ws");
document.getElementById("again").addEventListener("click", () => location.reload());
window.addEventListener("load", () => terminal.querySelector("textarea").focus());
window.addEventListener("focus", () => terminal.querySelector("textarea").focus());
"""


def _page(body: str, head: str = "") -> str:
    language = {"zh": "zh-CN"}.get(i18n.current(), "en")
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8"><title>dltutor</title>\n'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">\n'
        f'<link rel="stylesheet" href="static/page.css">\n{head}</head>\n<body>{body}</body></html>\n'
    )


def terminal() -> str:
    """Fills the window; under it, once the session is over, how to come back."""
    head = '<link rel="stylesheet" href="static/xterm.css">\n<script src="static/textual.js"></script>\n'
    return _page(
        '<div id="terminal" class="textual-terminal" data-font-size="16"></div>'
        f'<div id="closed">{escape(_("This session is closed. Everything is saved."))} '
        f'<button id="again">{escape(_("Go on"))}</button></div>'
        '<script src="static/page.js"></script>',
        head,
    )


def onward(token: str) -> str:
    """Goes on by itself. A cookie of ours does not come along with a link from elsewhere, but does from here."""
    way = escape(f"enter?token={quote(token)}")
    return _page(f'<main><a href="{way}">dltutor</a></main>', f'<meta http-equiv="refresh" content="0;url={way}">\n')


def form(asks_name: bool, code: str, wrong: str = "", optional: bool = False) -> str:
    """Who is it? `code`: what the code that they have is called."""
    fields = [_field("name", _("What are you called? (Your teacher sees it.)"), 32)] if asks_name else []
    fields.append(_field("code", code, 80, required=not optional))
    told = f'<p class="wrong">{escape(wrong)}</p>' if wrong else ""
    return _page(
        f"<main><h1>{escape(_('dltutor: learn deep learning from the inside'))}</h1>{told}"
        f'<form method="post" action="enter" autocomplete="off">{"".join(fields)}'
        f"<button>{escape(_('Come in'))}</button></form></main>"
    )


def _field(name: str, label: str, longest: int, required: bool = False) -> str:
    must = " required" if required else ""
    return f'<label>{escape(label)}<input name="{name}" maxlength="{longest}"{must}></label>'


def refusal(message: str, hint: str = "") -> str:
    return _page(f"<main><h1>{escape(message)}</h1><p>{escape(hint)}</p></main>")
