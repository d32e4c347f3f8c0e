"""The door for browsers: who comes in, what is heard, what is forbidden."""

from __future__ import annotations

import asyncio
import contextlib
import json
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from echo import Room
from stand_ins import Events

from dltutor.errors import DltutorError
from dltutor.serve import web
from dltutor.serve.people import People
from dltutor.serve.settings import Settings
from dltutor.serve.web import COOKIE, WebDoor

SAFETY = 60.0  # seconds that nothing here takes
ROSTER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAlDkk6ErnpJAhtYkjtGP8Gk1LWVDJ4eBVaUz3DsnR5N Ada\n"


class Class:
    """A door with a classroom that echoes, and one browser without a window or a page."""

    def __init__(self, door: WebDoor, client: aiohttp.ClientSession, log: Events, people: People) -> None:
        self.door, self.client, self.log, self.people = door, client, log, people
        self.home = f"http://127.0.0.1:{door.port}/"
        self.origin = {"Origin": self.home.rstrip("/")}
        self.token = door.link.partition("token=")[2]

    async def get(self, path: str = "", **options: Any) -> tuple[int, str]:
        async with self.client.get(self.home + path, **options) as answer:
            return answer.status, await answer.text()

    async def follow_the_link(self) -> tuple[int, str]:
        await self.get(f"?token={self.token}")
        return await self.get(f"enter?token={self.token}")

    async def introduce(self, name: str = "", code: str = "", **headers: str) -> tuple[int, str]:
        form = {"name": name, "code": code}
        async with self.client.post(self.home + "enter", data=form, headers=self.origin | headers) as answer:
            return answer.status, await answer.text()

    async def come_in(self, name: str = "Ada", code: str = "") -> None:
        await self.follow_the_link()
        assert (await self.introduce(name, code))[0] == 200

    def connect(self, path: str = "ws?width=100&height=30", **options: Any) -> Any:
        return self.client.ws_connect(self.home + path, **{"headers": self.origin} | options)


async def heard(socket: aiohttp.ClientWebSocketResponse, **wanted: Any) -> dict[str, Any]:
    """The first line of the echo that has these fields."""
    async with asyncio.timeout(SAFETY):
        while True:
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.BINARY, message
            for line in message.data.decode().splitlines():
                if wanted.items() <= (found := json.loads(line)).items():
                    return found


async def closed(socket: aiohttp.ClientWebSocketResponse) -> bytes:
    """What still comes until the end."""
    rest = b""
    async with asyncio.timeout(SAFETY):
        async for message in socket:
            rest += message.data if isinstance(message.data, bytes) else message.data.encode()
    return rest


def line(text: str) -> str:
    return json.dumps(["stdin", f"{text}\r"])


@asynccontextmanager
async def a_class(state: Path, **settings: Any) -> AsyncIterator[Class]:
    state.mkdir(mode=0o700, exist_ok=True)
    if not settings:
        (state / "roster").write_text(ROSTER)
    log = Events()
    chosen = Settings(state, web=0, **settings)
    people = People(chosen, log)
    door = WebDoor(chosen, Room(people, log), people, log)
    await door.start()
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
            yield Class(door, client, log, people)
    finally:
        await door.close()


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Class]:
    async with a_class(tmp_path / "state", open=True) as made:
        yield made


# ---------------------------------------------------------------- who comes in


async def test_the_link_of_the_class_makes_a_browser_somebody(opened):
    assert (await opened.get())[0] == 403
    assert "form" in (await opened.follow_the_link())[1]
    status, page = await opened.introduce("Ada")
    assert (status, "textual-terminal" in page) == (200, True)
    async with opened.connect() as socket:
        told = await heard(socket, name="Ada")
        assert told["size"] == [100, 30]
        assert told["term"] == "xterm-256color"
        assert told["environment"]["COLORTERM"] == "truecolor"
        await socket.send_str(line("hello"))
        assert await heard(socket, line="hello")
        await socket.send_json(["resize", {"width": 120, "height": 40}])
        assert await heard(socket, size=[120, 40])
        await socket.send_json(["ping", "12345"])
        assert (await socket.receive_json(timeout=SAFETY)) == ["pong", "12345"]
    (came,) = opened.log.named("came")
    assert (opened.door.settings.users / came["person"]).is_dir()


async def test_the_same_browser_stays_the_same_person_and_another_is_another(opened, tmp_path):
    await opened.come_in()
    async with opened.connect() as socket:
        first = (await heard(socket, name="Ada"))["id"]
    await opened.follow_the_link()  # the link once more
    async with opened.connect() as socket:
        assert (await heard(socket))["id"] == first
    opened.client.cookie_jar.clear()
    await opened.come_in()
    async with opened.connect() as socket:
        assert (await heard(socket, name="Ada"))["id"] != first


async def test_link_and_people_are_the_same_when_the_server_starts_again(tmp_path):
    async with a_class(tmp_path / "state", open=True) as first:
        await first.come_in()
        jar = {cookie.key: cookie.value for cookie in first.client.cookie_jar}
    async with a_class(tmp_path / "state", open=True) as second:
        assert second.token == first.token
        assert "textual-terminal" in (await second.get(cookies=jar))[1]


async def test_the_page_between_keeps_a_cookie_that_a_foreign_link_does_not_bring(opened):
    """A browser sends no strict cookie along with a link from elsewhere: the link alone must not make a new person."""
    async with opened.client.get(opened.home, params={"token": opened.token}) as answer:
        assert answer.status == 200
        assert not answer.cookies
        assert f"url=enter?token={opened.token}" in await answer.text()


async def test_the_code_of_the_class_is_asked_for_where_there_is_one(tmp_path):
    async with a_class(tmp_path / "state", class_code="maple") as made:
        assert "code" in (await made.follow_the_link())[1]
        status, page = await made.introduce("Ada", "oak")
        assert status == 403 and "form" in page
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await made.connect()
        assert (await made.introduce("Ada", "Maple"))[0] == 200
        async with made.connect() as socket:
            assert await heard(socket, name="Ada")


async def test_with_a_roster_a_session_over_ssh_lets_the_browser_in(tmp_path):
    async with a_class(tmp_path / "state") as made:
        assert "SSH" in (await made.follow_the_link())[1]
        assert (await made.introduce("Ada"))[0] == 403
        assert (await made.introduce("Ada", "zzzzzzzz"))[0] == 403
        ada = made.people.by_key(next(iter(made.people._roster._names)), "")
        code, _minutes = made.people.join_code(ada)
        assert (await made.introduce(code=f"ssh -p 2222 join-{code}@tutor.host"))[0] == 200
        async with made.connect() as socket:
            assert (await heard(socket, name="Ada"))["id"] == ada.id
        made.client.cookie_jar.clear()
        await made.follow_the_link()
        assert (await made.introduce(code=code))[0] == 403  # once


async def test_what_was_done_over_ssh_goes_on_in_the_browser(opened):
    own = opened.people.by_key("ab" * 32, "ada")
    code, _minutes = opened.people.join_code(own)
    await opened.come_in("Ada", code)
    async with opened.connect() as socket:
        assert (await heard(socket))["id"] == own.id


async def test_a_full_class_is_told_and_the_page_can_be_loaded_again(opened):
    await opened.come_in("full")
    async with opened.connect() as socket:
        assert b"The classroom is full." in await closed(socket)


async def test_words_are_chinese_where_the_browser_is(opened):
    assert "链接" in (await opened.get(headers={"Accept-Language": "zh-CN,zh;q=0.9"}))[1]
    await opened.come_in()
    async with opened.connect(headers=opened.origin | {"Accept-Language": "zh-CN"}) as socket:
        assert (await heard(socket, name="Ada"))["environment"]["LANG"] == "zh_CN.UTF-8"


# ---------------------------------------------------------------- what is forbidden


@pytest.mark.parametrize("path", ["", "ws", "?token=", "?token=wrong", "enter", "enter?token=wrong"])
async def test_without_link_and_cookie_nothing_opens(opened, path):
    status, page = await opened.get(path)
    assert status == 403
    assert "link of the class" in page


@pytest.mark.parametrize("cookie", ["", ".", "a.b", "é.è", "0" * 43 + "." + "0" * 64, "x" * 4000])
async def test_a_cookie_that_is_not_ours_is_nobody(opened, cookie):
    for path in ("", "ws"):
        headers = {"Cookie": f"{COOKIE}={cookie}"}
        assert (await opened.get(path, headers=headers))[0] == 403


async def test_a_cookie_with_another_name_in_it_is_nobody(opened):
    await opened.come_in()
    (seal,) = (cookie.value.partition(".")[2] for cookie in opened.client.cookie_jar if cookie.key == COOKIE)
    opened.client.cookie_jar.clear()
    assert (await opened.get(headers={"Cookie": f"{COOKIE}=somebody.{seal}"}))[0] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1:1", "https://127.0.0.1"])
async def test_another_site_cannot_use_the_browser(opened, origin):
    await opened.come_in()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await opened.connect(headers={"Origin": origin})
    assert refused.value.status == 403
    assert (await opened.introduce("Eve", Origin=origin))[0] == 403
    assert not opened.log.named("came")


@pytest.mark.parametrize("path", ["", "?token=wrong", "static/page.css", "static/textual.js", "nowhere"])
async def test_every_answer_is_guarded(opened, path):
    async with opened.client.get(opened.home + path) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"


async def test_the_cookie_is_for_this_browser_and_this_site_alone(opened):
    async with opened.client.get(f"{opened.home}enter?token={opened.token}", allow_redirects=False) as answer:
        cookie = answer.cookies[COOKIE]
        assert cookie["httponly"] and cookie["samesite"] == "Strict" and not cookie["secure"]
    opened.client.cookie_jar.clear()
    tls = {"X-Forwarded-Proto": "https"}
    async with opened.client.get(
        f"{opened.home}enter?token={opened.token}", allow_redirects=False, headers=tls
    ) as answer:
        assert answer.cookies[COOKIE]["secure"]


@pytest.mark.parametrize("path", ["static/../web.py", "static/%2e%2e/web.py", "static/server.py", "static/", "static"])
async def test_no_other_file_is_served(opened, path):
    assert (await opened.get(path))[0] == 404


def test_the_secrets_are_for_their_owner_and_made_once(tmp_path):
    path = tmp_path / "web.json"
    first = web.Secrets(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first.token) >= 43  # 32 bytes
    assert web.Secrets(path).token == first.token
    assert web.Secrets(tmp_path / "other.json").token != first.token
    path.chmod(0o640)
    with pytest.raises(DltutorError, match="read by others"):
        web.Secrets(path)
    path.chmod(0o600)
    path.write_text("{}")
    with pytest.raises(DltutorError, match="cannot be read"):
        web.Secrets(path)


async def test_nothing_secret_and_nothing_typed_is_logged(opened):
    await opened.get("?token=wrong-secret")
    await opened.come_in()
    async with opened.connect() as socket:
        await heard(socket, name="Ada")
        await socket.send_str(line("typed words"))
        await heard(socket, line="typed words")
    told = json.dumps(opened.log)
    values = [cookie.value for cookie in opened.client.cookie_jar if cookie.key == COOKIE]
    assert all(secret not in told for secret in (opened.token, "wrong-secret", "typed words", *values))


# ---------------------------------------------------------------- what is too much


@pytest.mark.parametrize(
    "said",
    [
        "", "{", "[]", "{}", "7", "null", '["stdin"]', '["stdin", 7]', '["resize"]', '["resize", {}]', "[" * 100_000,
        '["resize", {"width": "x", "height": 1}]', '["resize", {"width": 1e999, "height": 1}]',
    ],
)  # fmt: skip
async def test_whoever_does_not_speak_as_our_page_does_is_cut_off(opened, said):
    await opened.come_in()
    async with opened.connect() as socket:
        await heard(socket, name="Ada")
        await socket.send_str(said)
        await closed(socket)
    assert not opened.log.named("fault")
    assert (await opened.get())[0] == 200


@pytest.mark.parametrize(
    ("asked", "size"),
    [("width=0&height=0", [80, 24]), ("width=-5&height=x", [80, 24]), ("", [80, 24]),
     ("width=9999&height=9999", [500, 200]), ("width=99999999999&height=1", [80, 1])],
)  # fmt: skip
async def test_a_size_is_one_that_an_application_can_have(opened, asked, size):
    await opened.come_in()
    async with opened.connect(f"ws?{asked}") as socket:
        assert (await heard(socket, name="Ada"))["size"] == size


async def test_a_message_too_long_ends_the_page_not_the_server(opened):
    await opened.come_in()
    async with opened.connect() as socket:
        await heard(socket, name="Ada")
        await socket.send_str(json.dumps(["stdin", "x" * (web.LONGEST_MESSAGE + 1)]))
        await closed(socket)
    assert (await opened.get())[0] == 200


async def test_what_comes_after_the_end_is_told_and_the_socket_closed(opened):
    await opened.come_in()
    async with opened.connect() as socket:
        await heard(socket, name="Ada")
        await socket.send_str(line("bye 0"))
        assert b"See you" in await closed(socket)
    await left(opened)


async def test_a_page_that_goes_away_is_told_to_its_session(opened):
    await opened.come_in()
    async with opened.connect() as socket:
        await heard(socket, name="Ada")
    await left(opened)


async def left(made: Class) -> None:
    await until(lambda: made.log.named("left"))


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(SAFETY):
        while not fact():
            await asyncio.sleep(0.01)


async def test_a_browser_that_does_not_read_lets_nothing_grow(opened):
    """The application of the echo draws as fast as the door lets it."""
    await opened.come_in()
    async with opened.connect() as socket:
        await heard(socket, name="Ada")
        await socket.send_str(line("flood"))
        most, same, last = 0, 0, -1
        async with asyncio.timeout(SAFETY):
            while same < 20:  # until nothing moves any more
                await asyncio.sleep(0.02)
                held = max((tab.outstanding() for tab in opened.door.tabs), default=0)
                same, last, most = (same + 1 if held == last else 0), held, max(most, held)
        assert most < 1 << 20


async def test_a_browser_that_asks_and_does_not_read_lets_nothing_grow(opened, monkeypatch):
    await opened.come_in()
    async with opened.connect() as socket:
        await heard(socket, name="Ada")
        (tab,) = opened.door.tabs
        stuck = asyncio.Event()
        monkeypatch.setattr(tab._socket, "send_str", lambda text: stuck.wait())  # as when nothing fits into the line
        for _number in range(5000):
            await socket.send_str(json.dumps(["ping", "x" * 60]))
        await socket.send_str(json.dumps(["stdin", "the last"]))
        await until(lambda: tab.session.typed == b"the last")
        assert tab._held <= 2 * web.MOST_HELD
        stuck.set()


async def test_who_connects_and_asks_nothing_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(web, "SILENT", 0.5)
    begun = b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST /enter HTTP/1.1\r\nContent-Length: 9\r\n\r\n"
    async with a_class(tmp_path / "state", open=True) as made:
        await quickly(made.come_in)
        socket = await quickly(made.connect)  # which is not silent, though it says nothing
        await heard(socket, name="Ada")
        async with asyncio.timeout(SAFETY):
            await asyncio.gather(*(until_closed(made.door.port, said) for said in begun))
        await socket.send_str(line("still here"))
        assert await heard(socket, line="still here")
        await socket.close()


async def quickly(attempt: Callable[[], Any]) -> Any:
    """Again and again, until this machine is as quick as the server wants it."""
    async with asyncio.timeout(SAFETY):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                return await attempt()


async def until_closed(port: int, said: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    with contextlib.suppress(ConnectionError):
        await reader.read()
    writer.close()


async def test_only_so_many_connections_are_open(tmp_path, monkeypatch):
    monkeypatch.setattr(web, "MOST_CONNECTIONS", 5)
    monkeypatch.setattr(web, "SILENT", 600.0)
    async with a_class(tmp_path / "state", open=True, max_sessions=1) as made:
        silent = [await asyncio.open_connection("127.0.0.1", made.door.port) for _one in range(9)]
        async with asyncio.timeout(SAFETY):
            for reader, _writer in silent[6:]:
                with contextlib.suppress(ConnectionError):
                    await reader.read()
        for _reader, writer in silent:
            writer.close()
        await until(lambda: not made.door._runner.server.connections)
        await made.come_in()


async def test_only_so_many_pages_are_open_from_one_address(opened, monkeypatch):
    monkeypatch.setattr(web, "MOST_TABS", 2)
    await opened.come_in()
    async with opened.connect() as one, opened.connect() as two:
        await heard(one), await heard(two)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await opened.connect()
        assert refused.value.status == 429
        elsewhere = opened.origin | {"X-Forwarded-For": "192.0.2.7"}
        async with opened.connect(headers=elsewhere) as three:  # behind a proxy
            await heard(three)
    await until(lambda: not opened.door.tabs)
    assert (await opened.get())[0] == 200
