"""A class in a real browser."""

from __future__ import annotations

import json

import pytest
from browsers import CHROMIUM, Browser, browser
from servers import needs_ssh

from dltutor.bench.clients import Server

pytestmark = [pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed"), needs_ssh]


@pytest.fixture
def link(server: Server) -> str:
    """Of a class that is open."""
    port = server.event("listening for browsers")["port"]
    token = json.loads((server.state / "web.json").read_text())["token"]
    return f"http://127.0.0.1:{port}/?token={token}"


async def came_in(page: Browser, link: str) -> None:
    await page.open(link)
    await page.until("document.querySelector('form')")
    await page.type_into("name", "Ada")
    await page.click("button")
    await page.until("document.body.classList.contains('-loaded')")
    await page.shows("Linear regression")


async def test_a_browser_shows_the_course_takes_keys_and_lands_where_it_was(link, tmp_path):
    async with browser(tmp_path / "profile") as page:
        await came_in(page, link)
        await page.painted()
        await page.press("\r", "Enter", 13)
        await page.shows("A rule that nobody wrote")
        await page.press("n")
        await page.shows("The model is a line")
        await page.reload()
        await page.shows("The model is a line")
        forbidden = [said for said in page.complaints if "inline style" not in said]  # xterm's own, see GUARDED
        assert forbidden == []


async def test_a_window_that_is_made_larger_is_filled(link, tmp_path):
    async with browser(tmp_path / "profile") as page:
        await came_in(page, link)
        before = await page.shows("quit")
        await page.ask("Emulation.setDeviceMetricsOverride", width=1400, height=900, deviceScaleFactor=1, mobile=False)
        await page.shows(lambda text: "quit" in text.rpartition("\n")[2] and text.count("\n") > before.count("\n"))


async def test_who_leaves_is_told_how_to_come_back(link, tmp_path):
    async with browser(tmp_path / "profile") as page:
        await came_in(page, link)
        await page.press("q")
        await page.until("document.body.classList.contains('-closed')")
        assert await page.run("document.getElementById('closed').offsetHeight") > 0
        await page.click("#again")
        await page.shows("Linear regression")
