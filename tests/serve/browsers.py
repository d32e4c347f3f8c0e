"""A real browser, without a window, as a test drives it: Chromium through its DevTools."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pyte

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PAINTED = 10_000  # bytes that a picture of a window has in which there is text
PATIENCE = 180.0  # seconds until what does not come is a failure
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--remote-debugging-port=0",
)  # fmt: skip
# What the terminal in the page is sent, and in which size it is.
SPY = """
window.sent = [];
window.said = [];
window.WebSocket = class extends WebSocket {
  constructor(url) {
    super(url);
    window.sent = [];
    this.addEventListener("message", event => {
      if (typeof event.data != "string") window.sent.push(...new Uint8Array(event.data));
    });
  }
  send(data) { window.said.push(data); super.send(data); }
};
"""


class Browser:
    """One page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []  # of the page: what its policy forbids, and errors

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            answer = await self._socket.receive_json(timeout=PATIENCE)
            if answer.get("id") == number:
                return answer.get("result", {})  # none while the page is just being replaced by the next
            if "method" in answer:
                self._hear(answer)

    def _hear(self, event: dict[str, Any]) -> None:
        if event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.complaints.append(event["params"]["entry"]["text"])
        elif event["method"] == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(event["params"]["exceptionDetails"])[:400])

    async def prepare(self) -> None:
        for domain in ("Page", "Log", "Runtime"):
            await self.ask(f"{domain}.enable")
        await self.ask("Page.addScriptToEvaluateOnNewDocument", source=SPY)

    async def open(self, address: str) -> None:
        await self.ask("Page.navigate", url=address)

    async def reload(self) -> None:
        await self.run("window.old = true")
        await self.ask("Page.reload")
        await self.until("!window.old && document.readyState == 'complete'")

    async def run(self, script: str) -> Any:
        """The value of an expression, in the page; None where it has none, and while there is no page."""
        answer = await self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        return answer.get("result", {}).get("value")

    async def until(self, script: str) -> None:
        """Wait until an expression is true, in the page."""
        deadline = time.monotonic() + PATIENCE
        while not await self.run(script):
            assert time.monotonic() < deadline, f"never true: {script}; {await self.run('document.body.innerText')}"
            await asyncio.sleep(0.05)

    async def press(self, text: str, key: str = "", code: int = 0) -> None:
        """A key with what it types."""
        event = {"key": key or text, "text": text, "windowsVirtualKeyCode": code}
        await self.ask("Input.dispatchKeyEvent", type="keyDown", **event)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", **event)

    async def type_into(self, name: str, text: str) -> None:
        await self.run(f"document.querySelector('[name={name}]').focus()")
        await self.ask("Input.insertText", text=text)

    async def click(self, selector: str) -> None:
        await self.run(f"document.querySelector({selector!r}).click()")

    async def text(self) -> str:
        """What the terminal in the page shows."""
        sizes = [json.loads(said)[1] for said in await self.run("window.said") or () if '"resize"' in said]
        if not sizes:
            return ""
        screen = pyte.Screen(sizes[-1]["width"], sizes[-1]["height"])
        pyte.ByteStream(screen).feed(bytes(await self.run("window.sent") or ()))
        return "\n".join(line.rstrip() for line in screen.display)

    async def shows(self, words: str | Callable[[str], bool]) -> str:
        """Wait until the terminal in the page shows these words, or what is so of its text; that text."""
        holds = words if callable(words) else lambda text: words in text
        deadline = time.monotonic() + PATIENCE
        while not holds(text := await self.text()):
            assert time.monotonic() < deadline, f"{words!r} did not come:\n{text}\n{self.complaints}"
            await asyncio.sleep(0.05)
        return text

    async def painted(self) -> None:
        """Wait until the window shows more than a plain ground."""
        deadline = time.monotonic() + PATIENCE
        while len(await self._picture()) < PAINTED:
            assert time.monotonic() < deadline, "the window stayed as it was"
            await asyncio.sleep(0.05)

    async def _picture(self) -> bytes:
        return base64.b64decode((await self.ask("Page.captureScreenshot"))["data"])


@asynccontextmanager
async def browser(folder: Path, language: str = "en") -> AsyncIterator[Browser]:
    """A new one, whose cookies are in `folder`."""
    command = [CHROMIUM, *FLAGS, "--window-size=1000,600", f"--accept-lang={language}", f"--user-data-dir={folder}"]
    program = subprocess.Popen([*command, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)  # fmt: skip
    try:
        async with aiohttp.ClientSession() as client:
            address = await _page(client, folder / "DevToolsActivePort")
            async with client.ws_connect(address, max_msg_size=0) as socket:
                page = Browser(socket)
                await page.prepare()
                yield page
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()


async def _page(client: aiohttp.ClientSession, port: Path) -> str:
    """Where its first page is driven."""
    deadline = time.monotonic() + PATIENCE
    while not (port.exists() and port.read_text().strip()):
        assert time.monotonic() < deadline, "the browser did not start"
        await asyncio.sleep(0.05)
    number = port.read_text().splitlines()[0]
    while True:
        async with client.get(f"http://127.0.0.1:{number}/json") as answer:
            for page in await answer.json():
                if page["type"] == "page":
                    return page["webSocketDebuggerUrl"]
        assert time.monotonic() < deadline, "the browser opened no page"
        await asyncio.sleep(0.05)
