"""The door for browsers: the same sessions, in the terminal page of textual-serve, over a WebSocket.

Nobody comes in without the link of the class, which holds a token; the first visit swaps it for a cookie that only
this browser has. The cookie is to a browser what the key is to `ssh`: its SHA-256 is the fingerprint by which `people`
knows whose progress it is. So who may come in is said once, for both doors: with --open the link is enough, with
--class-code the code is asked for, and with a roster the browser is let in by the one-time code that a learner asks for
in a session over SSH, as a further key would be. (Links made for each learner would have to be handed out, one by one,
over something that is safe; a roster of keys is that already.)

There is no TLS here: it listens on this machine alone unless told otherwise, for a proxy that has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import traceback
from collections.abc import Awaitable, Callable
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from aiohttp import WSMsgType, web

from dltutor import i18n
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.serve import pages
from dltutor.serve.door import Classroom, Live, Terminal, address_of, cannot_listen, clamped, unsent
from dltutor.serve.log import Log
from dltutor.serve.people import JOIN, Allowance, People, Person, label
from dltutor.serve.settings import Settings
from dltutor.serve.turns import Turns

COOKIE, NAME = "dltutor", "dltutor-name"
YEAR = 365 * 24 * 3600  # seconds
MOST_TABS = 64  # of one address: a class behind one address
MOST_CONNECTIONS = 256  # and one for each session: browsers open six at once
LONGEST_MESSAGE = 1 << 20  # bytes of one message of a browser's: a large paste
LARGEST_FORM = 4 << 10
MOST_HELD = 64 << 10  # bytes that wait for a browser, until it is answered no more
SILENT = 15.0  # seconds until a connection is closed that asks for nothing
ALIVE = 15.0  # seconds between two questions whether a browser is still there
FAREWELL = 5.0  # seconds to take the last line
LOGGED = (30, 600.0)  # refusals of one address that are logged, in so many seconds
MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
STATIC = {
    "textual.js": ("js/textual.js", "text/javascript"),
    "xterm.css": ("css/xterm.css", "text/css"),
    "RobotoMono-VariableFont_wght.ttf": ("fonts/RobotoMono-VariableFont_wght.ttf", "font/ttf"),
}
"""All that is taken from textual-serve."""
OURS = {"page.css": (pages.STYLE, "text/css"), "page.js": (pages.SCRIPT, "text/javascript")}
# xterm would add styles to the page, too. They are in its style sheet, so they may be forbidden.
GUARDED = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with none at all, a form would not tell its origin
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), clipboard-read=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class WebDoor:
    def __init__(self, settings: Settings, classroom: Classroom, people: People, log: Log) -> None:
        self.settings, self.classroom, self.people, self.log = settings, classroom, people, log
        self.port = 0
        self.tabs: set[Tab] = set()  # that are open
        self._logged = Allowance(*LOGGED)
        self._runner: web.AppRunner | None = None
        self._secrets = Secrets(settings.state / "web.json")

    @property
    def link(self) -> str:
        """What learners open. Who has it can come as far as the class lets strangers."""
        host = self.settings.web_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/?token={self._secrets.token}"

    async def start(self) -> None:
        runner = self._runner = web.AppRunner(
            self._application(), access_log=None, shutdown_timeout=1.0, keepalive_timeout=SILENT, lingering_time=SILENT
        )
        await runner.setup()
        assert runner.server
        self._count_connections(runner.server)
        try:
            await web.TCPSite(runner, self.settings.web_host, self.settings.web).start()
        except OSError as error:
            await self.close()
            raise cannot_listen(self.settings.web, error, _("Name another one with --web.")) from error
        self.port = runner.addresses[0][1]
        self.log.event("listening for browsers", port=self.port, host=self.settings.web_host)

    def _count_connections(self, server: web.Server) -> None:
        """Each is an open file, of which this process has not so many."""
        welcome = server.connection_made

        def made(handler: web.RequestHandler, transport: asyncio.Transport) -> None:
            welcome(handler, transport)
            if len(server.connections) > MOST_CONNECTIONS + self.settings.max_sessions:
                transport.abort()

        server.connection_made = made  # type: ignore[method-assign]

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard], client_max_size=LARGEST_FORM)
        application.router.add_get("/", self._home)
        application.router.add_get("/enter", self._enter)
        application.router.add_post("/enter", self._introduce)
        application.router.add_get("/ws", self._connect)
        application.router.add_get("/static/{name}", self._static)
        return application

    async def close(self) -> None:
        """Also where it was never opened."""
        runner, self._runner = self._runner, None
        if runner:
            await runner.cleanup()

    # ------------------------------------------------------------ every request

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """What goes wrong is said in plain words, and every answer tells the browser what it may not do."""
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = self._refused(request, error.status)
        except Exception:
            self.log.event("fault", door="web", trace=traceback.format_exc())
            response = self._refused(request, 500)
        if not response.prepared:
            for name, value in GUARDED.items():
                response.headers.setdefault(name, value)
        return response

    def _refused(self, request: web.Request, status: int) -> web.Response:
        address = address_behind(request)
        if self._logged.take(address):
            self.log.event("denied", door="web", address=address, status=status, path=request.path[:64])
        with i18n.speaking(language_of(request)):
            return shown(pages.refusal(*plainly(status)), status)

    # ------------------------------------------------------------ pages

    async def _home(self, request: web.Request) -> web.Response:
        if "token" in request.query:
            self._expect_token(request)
            return shown(pages.onward(self._secrets.token))
        identity = self._expect_cookie(request)
        with i18n.speaking(language_of(request)):
            return shown(pages.terminal() if self._known(request, identity) else self._form())

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        """The link of the class is swapped for a cookie, unless this browser has one."""
        self._expect_token(request)
        response = web.Response(status=303, headers={"Location": "./"})
        if not self._secrets.identity(request.cookies.get(COOKIE, "")):
            keep(request, response, COOKIE, self._secrets.cookie())
        return response

    async def _introduce(self, request: web.Request) -> web.StreamResponse:
        """A name, and the code that makes this browser somebody."""
        identity = self._expect_cookie(request)
        expect_origin(request)
        sent = await request.post()
        name, code = (str(sent.get(field, ""))[:80] for field in ("name", "code"))
        with i18n.speaking(language_of(request)):
            try:
                self._admit(identity, label(name), code_in(code), address_behind(request))
            except DltutorError as error:
                return shown(self._form(str(error)), 403)
        response = web.Response(status=303, headers={"Location": "./"})
        keep(request, response, NAME, quote(label(name) or " "))
        return response

    def _admit(self, identity: str, name: str, code: str, address: str) -> None:
        """Raises DltutorError where the code is none."""
        if self.people.ask_code and self.people.right_code(code, address):
            self.people.enrol(identity, name)
        elif code or not self.settings.open:
            self.people.join(identity, JOIN + code, address)

    def _form(self, wrong: str = "") -> str:
        if self.people.ask_code:
            return pages.form(True, _("The code of the class"), wrong)
        if self.settings.open:
            words = _("A code from your session over SSH, to go on with what you did there (may stay empty)")
            return pages.form(True, words, wrong, optional=True)
        words = _("The code from your session over SSH. Press ctrl+p there, and type: {command}")
        return pages.form(False, words.format(command=_("Add another key or machine")), wrong)

    async def _static(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name in OURS:
            text, kind = OURS[name]
            return web.Response(text=text, content_type=kind)
        if name not in STATIC:
            raise web.HTTPNotFound
        path, kind = STATIC[name]
        headers = {"Content-Type": kind, "Cache-Control": "max-age=86400"}
        return web.FileResponse(self._theirs / path, headers=headers)

    @cached_property
    def _theirs(self) -> Path:
        return Path(str(files("textual_serve"))) / "static"

    # ------------------------------------------------------------ who is it?

    def _expect_token(self, request: web.Request) -> None:
        if not hmac.compare_digest(request.query.get("token", "").encode(), self._secrets.token.encode()):
            raise web.HTTPForbidden

    def _expect_cookie(self, request: web.Request) -> str:
        identity = self._secrets.identity(request.cookies.get(COOKIE, ""))
        if not identity:
            raise web.HTTPForbidden
        return identity

    def _known(self, request: web.Request, identity: str) -> Person | None:
        """Who has this browser, if they have said so."""
        if self.settings.open and NAME not in request.cookies:
            return None
        return self.people.by_key(identity, label(unquote(request.cookies.get(NAME, ""))))

    # ------------------------------------------------------------ the terminal

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        identity = self._expect_cookie(request)
        expect_origin(request)
        person, address = self._known(request, identity), address_behind(request)
        if not person:
            raise web.HTTPForbidden
        if sum(tab.address == address for tab in self.tabs) >= MOST_TABS:
            raise web.HTTPTooManyRequests
        tab = Tab(self, request, address)
        self.tabs.add(tab)
        try:
            return await tab.live(person)
        finally:
            self.tabs.discard(tab)


class Tab:
    """One page with a terminal in it, and the door of the classroom's session."""

    name = "web"

    def __init__(self, door: WebDoor, request: web.Request, address: str) -> None:
        self.door, self.request, self.address = door, request, address
        self.session: Live | None = None
        self._socket = web.WebSocketResponse(heartbeat=ALIVE, max_msg_size=LONGEST_MESSAGE)
        self._queue: asyncio.Queue[bytes | str | None] = asyncio.Queue()
        self._held = 0  # bytes in it
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def live(self, person: Person) -> web.WebSocketResponse:
        await self._socket.prepare(self.request)
        sending = asyncio.create_task(self._send())
        try:
            await self._come_in(person)
            await self._listen()
        finally:
            if self.session:
                self.session.hang_up()
            sending.cancel()
        return self._socket

    async def _come_in(self, person: Person) -> None:
        try:
            self.door.people.welcome(person, self.address)
            self.session = await self.door.classroom.admit(person, terminal_of(self.request), self)
        except DltutorError as error:
            self.end(1, str(error))

    # ------------------------------------------------------------ from the browser

    async def _listen(self) -> None:
        turns = Turns()
        async for message in self._socket:
            if message.type is WSMsgType.TEXT and self.session:
                try:
                    async with turns.turn():
                        self._hear(self.session, *json.loads(message.data)[:2])
                except MALFORMED:  # not our page
                    break
            await self._until_flowing()

    async def _until_flowing(self) -> None:
        """Or until there is nobody any more: while nothing is received, only this tells."""
        while not self._flowing.is_set() and not self._gone:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._flowing.wait(), 1.0)

    @property
    def _gone(self) -> bool:
        return self.request.transport is None or self.request.transport.is_closing()

    def _hear(self, session: Live, kind: str, value: Any = None) -> None:
        """The words of textual-serve's page; xterm reports the focus itself."""
        match kind:
            case "stdin":
                session.feed(value.encode("utf-8", "replace"))
            case "resize":
                session.resize(*clamped(value["width"], value["height"]))
            case "ping" if self._held <= MOST_HELD:  # who does not read the answers gets no more of them
                self._put(json.dumps(["pong", str(value)[:64]]))

    # ------------------------------------------------------------ to the browser: the door of a session

    def write(self, data: bytes) -> None:
        self._put(data)

    def _put(self, piece: bytes | str) -> None:
        self._held += len(piece)
        self._queue.put_nowait(piece)

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionError):
            while (piece := await self._queue.get()) is not None:
                await (self._socket.send_str(piece) if isinstance(piece, str) else self._socket.send_bytes(piece))
                self._held -= len(piece)
            await self._socket.close()

    def outstanding(self) -> int:
        transport = self.request.transport
        if transport is None or self._gone:
            return 0
        return self._held + transport.get_write_buffer_size() + unsent(transport.get_extra_info("socket"))

    def pause(self) -> None:
        self._flowing.clear()

    def resume(self) -> None:
        self._flowing.set()

    def end(self, code: int, message: str) -> None:
        """The page then says how to come back."""
        if message:
            self.write((message + "\n").replace("\n", "\r\n").encode())
        self._queue.put_nowait(None)
        asyncio.get_running_loop().call_later(FAREWELL, self._cut)

    def _cut(self) -> None:
        if self.request.transport:
            self.request.transport.abort()


def terminal_of(request: web.Request) -> Terminal:
    size = (request.query.get(name, "0") for name in ("width", "height"))
    width, height = (int(number) if re.fullmatch(r"\d{1,4}", number) else 0 for number in size)
    language = {"zh": "zh_CN.UTF-8"}.get(language_of(request), "C.UTF-8")
    environment = {"COLORTERM": "truecolor", "TERM_PROGRAM": "browser", "LANG": language}
    return Terminal("xterm-256color", *clamped(width, height), environment)


# ---------------------------------------------------------------- requests and answers


def shown(page: str, status: int = 200) -> web.Response:
    return web.Response(text=page, status=status, content_type="text/html")


def plainly(status: int) -> tuple[str, str]:
    """What happened, and what to do."""
    match status:
        case 403:
            return _("You need the link of the class."), _("Open it as your teacher has sent it, in this browser.")
        case 429:
            return _("Too many pages are open from where you are."), _("Close some of them, and load this one again.")
        case 500:
            return _("Something went wrong in the server; it is in its log."), _("Load this page again.")
    return _("There is nothing here."), _("Open the link of the class.")


def keep(request: web.Request, response: web.StreamResponse, name: str, value: str) -> None:
    """For this browser alone, where no script and no other site can use it."""
    secure = request.secure or request.headers.get("X-Forwarded-Proto") == "https"
    response.set_cookie(name, value, max_age=YEAR, httponly=True, samesite="Strict", secure=secure)


def expect_origin(request: web.Request) -> None:
    """A page of another site may not act in the name of this browser."""
    if urlsplit(request.headers.get("Origin", "")).netloc.lower() != request.host.lower():
        raise web.HTTPForbidden


def address_behind(request: web.Request) -> str:
    """Of which one counts; a proxy on this machine tells it."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    address = address_of(peer)
    told = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return (address_of((told,)) or address) if address in ("127.0.0.1", "::/64") and told else address


def language_of(request: web.Request) -> str:
    return "zh" if request.headers.get("Accept-Language", "").lower().startswith("zh") else "en"


def code_in(text: str) -> str:
    """The code in what somebody has copied, which may be the whole command."""
    found = re.search(rf"{JOIN}(\w+)@", text)
    return found[1] if found else text.strip().removeprefix(JOIN)


# ---------------------------------------------------------------- secrets


class Secrets:
    """The token in the link of the class, and the key that makes cookies ours; in a file, for its owner alone."""

    def __init__(self, path: Path) -> None:
        """Raises DltutorError where the file cannot be used."""
        try:
            if not path.exists():
                _create(path)
            if path.stat().st_mode & 0o077:
                message = _("{file} can be read by others").format(file=path)
                raise DltutorError(message, _("Remove it: there will be a new link of the class."))
            kept = json.loads(path.read_text("utf-8"))
            self.token, self._key = str(kept["token"]), str(kept["key"]).encode()
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = _("{file} cannot be read: {error}").format(file=path, error=error)
            raise DltutorError(message, _("Remove it: there will be a new link of the class.")) from error

    def cookie(self) -> str:
        """A new one."""
        value = secrets.token_urlsafe(32)
        return f"{value}.{self._seal(value)}"

    def identity(self, cookie: str) -> str:
        """Whose it is, as the fingerprint of a key would be; empty where it is none of ours."""
        value, _dot, seal = cookie.partition(".")
        genuine = hmac.compare_digest(seal.encode("utf-8", "replace"), self._seal(value).encode())
        return hashlib.sha256(value.encode()).hexdigest() if genuine else ""

    def _seal(self, value: str) -> str:
        return hmac.new(self._key, value.encode("utf-8", "replace"), "sha256").hexdigest()


def _create(path: Path) -> None:
    text = json.dumps({"token": secrets.token_urlsafe(32), "key": secrets.token_urlsafe(32)})
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
