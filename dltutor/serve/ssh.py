"""The door for `ssh`: who comes, on what terminal; then bytes. Only a public key opens it, and nothing but a session.

A `Caller` is a connection, a `Visit` the one session that it may have. asyncssh does the protocol. What it lacks are
guards, and each is here: logins that wait, keys on a connection, variables, size of a window, replies nobody reads,
data that is held back during a key exchange, packets that grow a thousandfold when they are decompressed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncssh
from asyncssh.compression import Decompressor, get_compressor, register_compression_alg

from dltutor import i18n
from dltutor.errors import DltutorError
from dltutor.i18n import _
from dltutor.serve import people
from dltutor.serve.asking import Left, Line
from dltutor.serve.chores import Chores
from dltutor.serve.door import Classroom, Live, Terminal, address_of, clamped, listener, unsent
from dltutor.serve.people import People, Person
from dltutor.serve.turns import Turns

if TYPE_CHECKING:
    from asyncssh.packet import SSHPacket

    from dltutor.serve.log import Log
    from dltutor.serve.settings import Settings

MOST_KEYS = 6  # on a connection; the next one ends it
MOST_VARIABLES, LONGEST_VARIABLE = 64, 64  # how many, and bytes of each
MOST_UNREAD = 192 << 10  # bytes of replies; a session stops at a sixth of that
MOST_WITHHELD = 1000  # packets that asyncssh keeps until a key exchange is over
MOST_LOGIN = 256 << 10  # bytes that a login may take
KERNEL_BUFFER = 256 << 10  # bytes that the kernel keeps for a client
PIECE = 8 << 10  # bytes that are read of a client until others' turn comes: asyncio would take thirty times as many
MOST_EARLY = 16 << 10  # bytes typed before the application is there
WINDOW = 64 << 10
GROWN = 256 << 10  # bytes that a packet may have once it is decompressed
RESIZES = 0.05  # seconds between two changes of size
CODE_TRIES = 3
ZLIB = b"zlib@openssh.com"
# asyncssh's own choice, without what rests on SHA-1 or CBC, and without the exchanges that cost a server the most.
ALGORITHMS = {
    "kex_algs": "-diffie-hellman-*,rsa*",
    "encryption_algs": "-*-cbc,arcfour*",
    "mac_algs": "-hmac-sha1*,hmac-md5*,umac-64*",
    "signature_algs": "ssh-ed25519,sk-*,ecdsa-sha2-nistp*,rsa-sha2-*",
    "compression_algs": [ZLIB.decode(), "none"],
}
OFF = (
    "line_editor", "agent_forwarding", "x11_forwarding", "allow_scp", "password_auth", "host_based_auth", "rdns_lookup",
)  # fmt: skip
NONE = "encoding", "config", "gss_host", "sftp_factory", "x509_trusted_certs"
SIGNATURES = re.compile(rb"ssh-ed25519|(webauthn-)?sk-.+|ecdsa-sha2-nistp\d+|rsa-sha2-\d+")
# The names of asyncssh's that are used here without its leave.
PRIVATE = "_process_env_request", "_deferred_packets", "_transport"

TERM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_LOCALE = re.compile(rb"[A-Za-z0-9._@-]{1,32}")
VARIABLES = {
    b"COLORTERM": re.compile(rb"truecolor|24bit"),
    b"LANG": _LOCALE,
    b"LC_ALL": _LOCALE,
    b"LC_CTYPE": _LOCALE,
    b"LC_MESSAGES": _LOCALE,
    b"NO_COLOR": re.compile(rb"[A-Za-z0-9]{0,8}"),
    b"TERM_PROGRAM": re.compile(rb"[A-Za-z0-9._ -]{1,32}"),
}
"""All that a learner's side can tell; everything else is dropped."""


@dataclass(frozen=True)
class Limits:
    """How long, and how many. Tests have less patience."""

    silent: float = 20.0  # seconds until a client has said that it speaks SSH
    login: float = 60.0  # ... until it is logged in: somebody reads a fingerprint and types a passphrase meanwhile
    idle: float = 30.0  # ... until it has a session
    code: float = 60.0  # ... to type the class code
    farewell: float = 5.0  # ... to take the last line
    alive: float = 15.0  # ... between two questions whether it is still there
    waiting: int = 64  # connections of one address that have no session yet: a class behind one address logs in at once
    waiting_everywhere: int = 512


class SshDoor:
    def __init__(
        self, settings: Settings, classroom: Classroom, people: People, log: Log, limits: Limits | None = None
    ) -> None:
        self.settings, self.classroom, self.people, self.log = settings, classroom, people, log
        self.limits = limits or Limits()
        self.callers: set[Caller] = set()
        self.port = 0
        self.fingerprint = ""
        self._waiting: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._server: asyncssh.SSHAcceptor | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises DltutorError where there is no key, or the port is taken."""
        key = people.host_key(self.settings.state / "host_key")
        self.fingerprint = key.get_fingerprint()
        opened = listener(self.settings.host, self.settings.port)
        self._server = await asyncssh.listen(sock=opened, server_host_keys=[key], **self._options())
        self.port = opened.getsockname()[1]
        self._watch = asyncio.create_task(self._look_after())

    def _options(self) -> dict[str, Any]:
        asyncssh.set_log_level("CRITICAL")  # it would print what strangers send
        logging.getLogger("asyncio").setLevel("ERROR")  # and this, that they are gone
        _limit_decompression()
        return (
            ALGORITHMS
            | dict.fromkeys(OFF, False)
            | dict.fromkeys(NONE)
            | {
                "server_factory": lambda: Caller(self),
                "server_version": "dltutor",
                "public_key_auth": True,
                "kbdint_auth": True,  # never succeeds; it is how we learn that a client has no further key
                "login_timeout": self.limits.login,
                "keepalive_interval": self.limits.alive,
                "keepalive_count_max": 3,
                "window": WINDOW,
                "backlog": 128,
            }
        )

    async def close(self) -> None:
        """Also where it was never opened."""
        if self._watch:
            self._watch.cancel()
        if self._server:
            self._server.close()
        for caller in list(self.callers):
            caller.conn.close()

    # ------------------------------------------------------------ who may wait

    def arrived(self, caller: Caller) -> bool:
        """Is there a place to wait? A class that logs in at once waits, and is never refused for that."""
        full = (
            self._waiting[caller.address] >= self.limits.waiting
            or self._waiting.total() >= self.limits.waiting_everywhere
        )
        if full:
            self._refused[caller.address] += 1
            return False
        self._waiting[caller.address] += 1
        self.callers.add(caller)
        return True

    def waits_no_more(self, caller: Caller) -> None:
        """It has a session, or is gone."""
        self._waiting[caller.address] -= 1
        if not self._waiting[caller.address]:
            del self._waiting[caller.address]

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(1)
            for caller in list(self.callers):
                if fault := caller.fault():
                    caller.cut(fault)
            for address, count in self._refused.items():
                self.log.event("refused", address=address, count=count)
            self._refused.clear()


# ---------------------------------------------------------------- a connection


class Caller(asyncssh.SSHServer):
    """Somebody who has connected. They are whoever's key has signed, not whoever's key they have shown."""

    conn: asyncssh.SSHServerConnection

    def __init__(self, door: SshDoor) -> None:
        self.door = door
        self.address = ""
        self.identity = ""  # the fingerprint of the key that has signed
        self.username = ""
        self.visit: Visit | None = None
        self._offered: dict[str, str] = {}  # fingerprints as ssh shows them, by ours
        self._last = ""
        self._signatures = 0
        self._waits = False
        self._timers: list[asyncio.TimerHandle] = []

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.conn = conn
        self.socket = conn.get_extra_info("socket")
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)
        take_small_pieces(conn._transport)
        self._obey, conn.data_received = conn.data_received, self._taken_at_once  # type: ignore[method-assign]
        self.address = address_of(conn.get_extra_info("peername"))
        self._waits = self.door.arrived(self)
        if self._waits:
            self.later(self.door.limits.silent, self._has_spoken)
        else:
            conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        self.door.callers.discard(self)
        for timer in self._timers:
            timer.cancel()

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, what))

    def _wait_no_more(self) -> None:
        if self._waits:
            self._waits = False
            self.door.waits_no_more(self)

    # ------------------------------------------------------------ guards

    def _has_spoken(self) -> None:
        if not self.conn.get_extra_info("client_version"):
            self.conn.abort()

    def _has_session(self) -> None:
        if not self.visit:
            self.cut("no session")

    def fault(self) -> str:
        """Why this connection cannot go on."""
        if self.unsent() > MOST_UNREAD or len(self.withheld()) > MOST_WITHHELD:
            return "reads no replies"
        return "" if self.identity or received(self.socket) <= MOST_LOGIN else "login too long"

    def withheld(self) -> list[tuple[int, Sequence[bytes]]]:
        """Packets that asyncssh keeps while keys are exchanged: a client may never finish that."""
        return self.conn._deferred_packets

    def unsent(self) -> int:
        """Bytes in the kernel, and those that it does not take any more: asyncssh goes on writing."""
        transport = self.conn._transport
        return unsent(self.socket) + (transport.get_write_buffer_size() if transport else 0)

    def cut(self, reason: str) -> None:
        self.door.log.event("cut", address=self.address, person=self.identity, reason=reason)
        self.conn.abort()

    # ------------------------------------------------------------ who is it?

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """May this key sign, or has it rightly signed? asyncssh does not say which; it checks the signature after this.

        Not a coroutine: between this, the check and `auth_completed` no other key may come in.
        """
        found = people.fingerprint(key)
        if not self._one_more(found, key.get_fingerprint()):
            return False
        # asyncssh tells clients which signatures we take, then takes all that the key can make, of SHA-1, too.
        key.all_sig_algorithms = {name for name in key.all_sig_algorithms if SIGNATURES.fullmatch(name)}
        self._last, self.username = found, username
        return self.door.people.may_try(found, username)

    def validate_ca_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Certificates are not for us; they count as keys."""
        self._one_more(people.fingerprint(key), key.get_fingerprint())
        return False

    def _one_more(self, found: str, shown: str) -> bool:
        self._offered[found] = shown
        self._signatures += 1
        if len(self._offered) <= MOST_KEYS and self._signatures <= 3 * MOST_KEYS:
            return True
        self.door.log.event("denied", address=self.address, reason="too many keys")
        hint = _("too many keys; name one: ssh -o IdentitiesOnly=yes -i ~/.ssh/id_ed25519 ...")
        self.conn.disconnect(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, hint)
        return False

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> bool:
        """The client has no further key. Say what to do; nobody comes in this way."""
        self.door.log.event("denied", address=self.address, name=people.label(username), keys=list(self._offered))
        self.conn.send_auth_banner(denial(username, list(self._offered.values())))
        return False

    def auth_completed(self) -> None:
        self.identity = self._last
        self._turns = Turns()
        self.conn.data_received = self._taken_by_turns  # type: ignore[method-assign]
        self.later(self.door.limits.idle, self._has_session)

    def _taken_at_once(self, data: bytes, datatype: int | None = None) -> None:
        acknowledge(self.socket)
        self._obey(data, datatype)

    def _taken_by_turns(self, data: bytes, datatype: int | None = None) -> None:
        """Packets that mean nothing cost the server as much as any, and a client can send them without end."""
        began = time.thread_time()
        self._obey(data, datatype)
        transport, pause = self.conn._transport, self._turns.take(time.thread_time() - began)
        if pause and isinstance(transport, asyncio.ReadTransport):
            transport.pause_reading()
            asyncio.get_running_loop().call_later(pause, transport.resume_reading)

    def session_requested(self) -> Any:
        """One session; forwarding and whatever else a channel could be for is refused by asyncssh, unless allowed."""
        if self.visit or not self._waits:
            return False
        self._wait_no_more()
        self.visit = Visit(self)
        channel = self.conn.create_server_channel(encoding=None, window=WINDOW)
        # asyncssh keeps every variable that is sent, however many and however long.
        channel._process_env_request = self.visit.variable_sent  # type: ignore[method-assign]
        return channel, self.visit


def denial(username: str, offered: list[str]) -> str:
    """What to do for who has no key that lets them in."""
    if username.startswith(people.JOIN):
        return _("That code is wrong, or has expired. Get a new one where you are already logged in.") + "\n"
    if offered:
        told = _("This class does not know your key. Send ~/.ssh/id_ed25519.pub to your teacher.")
        return "\n".join([told, *offered, ""])
    told = _("You log in here with a key. Make one with: ssh-keygen -t ed25519")
    return "\n".join([told, _("Then send ~/.ssh/id_ed25519.pub to your teacher, and log in again."), ""])


# ---------------------------------------------------------------- a session


class Visit(asyncssh.SSHServerSession):
    """The one session of a connection, and the door of the classroom's session."""

    name = "ssh"

    def __init__(self, caller: Caller) -> None:
        self.caller, self.door, self.address = caller, caller.door, caller.address
        self.session: Live | None = None
        self._terminal: Terminal | None = None
        self._variables: dict[str, str] = {}
        self._counted = 0
        self._line: Line | None = None
        self._early = bytearray()
        self._gone = False
        self._resizing = False
        self._chores = Chores(self.door.log.event, self._failed)

    def connection_made(self, chan: asyncssh.SSHServerChannel) -> None:
        self._channel = chan

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        if self._line:
            self._line.leave()
        if self.session:
            self.session.hang_up()
        self.caller.later(0, self.caller.conn.close)

    # ------------------------------------------------------------ what is asked for

    def variable_sent(self, packet: SSHPacket) -> bool:
        name, value = packet.get_string(), packet.get_string()
        packet.check_end()
        self._counted += 1
        if self._counted > MOST_VARIABLES:
            self.caller.cut("too many variables")
            return False
        pattern = VARIABLES.get(name)
        if not pattern or len(value) > LONGEST_VARIABLE or not pattern.fullmatch(value):
            return False
        self._variables[name.decode()] = value.decode()
        return True

    def pty_requested(self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Any) -> bool:
        name = term_type if TERM.fullmatch(term_type) else "xterm-256color"
        self._terminal = Terminal(name, *clamped(*term_size[:2]), self._variables)
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        return False

    def subsystem_requested(self, subsystem: str) -> bool:
        return False

    def break_received(self, msec: int) -> bool:
        return False

    def signal_received(self, signal: str) -> None:
        """A learner's keys reach the application; signals do not."""

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        """At most twenty times a second, and always the last one."""
        if not self._terminal:
            return
        self._terminal.width, self._terminal.height = clamped(width, height)
        if not self._resizing:
            self._resizing = True
            self._resize()
            asyncio.get_running_loop().call_later(RESIZES, self._resized)

    def _resized(self) -> None:
        self._resizing = False
        self._resize()

    def _resize(self) -> None:
        if self.session and self._terminal and not self._gone:
            self.session.resize(self._terminal.width, self._terminal.height)

    # ------------------------------------------------------------ its beginning

    def session_started(self) -> None:
        if not self._terminal:
            self.end(1, _("This is for a terminal: ssh -t, and no command."))
        elif self._terminal.name == "dumb":
            self.end(2, _("Your terminal says that it cannot move the cursor (TERM=dumb): TERM=xterm-256color ssh ..."))
        else:
            self._chores.begin(self._come_in(self._terminal))

    def _failed(self) -> None:
        self.end(1, _("Something went wrong in the server; it is in its log. Log in again."))

    async def _come_in(self, terminal: Terminal) -> None:
        try:
            person = await self._who()
            self.door.people.welcome(person, self.address)
            size = terminal.width, terminal.height
            self.session = await self.door.classroom.admit(person, terminal, self)
        except DltutorError as error:
            self.end(1, str(error))
        except (Left, TimeoutError):
            self.end(1, "")
        else:
            self._begin(self.session, size != (terminal.width, terminal.height))

    def _begin(self, session: Live, resized: bool) -> None:
        """Meanwhile something may have been typed, and they may be gone."""
        if self._gone:
            session.hang_up()
            return
        if resized:
            self._resize()
        if self._early:
            session.feed(bytes(self._early))
            self._early.clear()
        self.resume()

    async def _who(self) -> Person:
        caller, known = self.caller, self.door.people
        with self._speaking():
            if caller.username.startswith(people.JOIN):
                return known.join(caller.identity, caller.username, self.address)
            person = known.by_key(caller.identity, caller.username)
            if person:
                return person
            if not known.ask_code:
                raise DltutorError(_("This class does not know your key any more."))
        async with asyncio.timeout(self.door.limits.code):
            return await self._ask_code()

    async def _ask_code(self) -> Person:
        """Only now: the key has signed, so it is theirs, and no key can be enrolled that was merely shown."""
        self._line = Line()
        with self._speaking():
            question, wrong, hint = (
                _("Code of the class: "), _("That is not the code of this class."), _("Ask your teacher for it."),
            )  # fmt: skip
        try:
            for _try in range(CODE_TRIES):
                self.write(question.encode())
                typed = await self._line.read()
                self.write(b"\r\n")
                with self._speaking():
                    if self.door.people.right_code(typed, self.address):
                        return self.door.people.enrol(self.caller.identity, self.caller.username)
                self.write(wrong.encode() + b"\r\n")
        finally:
            self._line = None
        self.door.log.event("denied", address=self.address, key=self.caller.identity, reason="wrong code")
        raise DltutorError(hint)

    def _speaking(self) -> AbstractContextManager[None]:
        """Their language; not across an await."""
        return i18n.speaking(self._terminal.language if self._terminal else i18n.current())

    # ------------------------------------------------------------ from the learner

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._line:
            self._line.feed(data)
        elif self.session:
            self.session.feed(data)
        else:
            self._early += data
            if len(self._early) > MOST_EARLY:
                self.pause()

    def eof_received(self) -> bool:
        return True  # they may still look

    # ------------------------------------------------------------ the door of a session

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the client has closed it
            self._channel.write(data)

    def outstanding(self) -> int:
        if self._gone:
            return 0
        held = sum(len(part) for _kind, parts in self.caller.withheld() for part in parts)
        return self._channel.get_write_buffer_size() + self.caller.unsent() + held

    def pause(self) -> None:
        self._channel.pause_reading()

    def resume(self) -> None:
        if not self._gone:
            self._channel.resume_reading()

    def end(self, code: int, message: str) -> None:
        if self._gone:
            return
        with contextlib.suppress(OSError):
            if message and self._terminal:
                self._channel.write((message + "\n").replace("\n", "\r\n").encode())
            elif message:
                self._channel.write_stderr(f"{message}\n".encode())
        self._channel.exit(code)
        self.caller.later(self.door.limits.farewell, self.caller.conn.abort)


# ---------------------------------------------------------------- sockets


def received(connection: socket.socket) -> int:
    """Bytes that ever came in; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    try:
        return struct.unpack_from("Q", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136), 128)[0]
    except (OSError, struct.error):
        return 0


def acknowledge(connection: socket.socket) -> None:
    """What has come, now. Until it is logged in, `ssh` keeps its next packet back for that (Nagle), and the system
    waits 40 ms for an answer that it could go with: twice in each login."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def take_small_pieces(transport: asyncio.BaseTransport | None) -> None:
    """All packets in a piece are obeyed at once, and there may be hundreds in it."""
    if hasattr(transport, "max_size"):
        transport.max_size = PIECE  # type: ignore[union-attr]


# ---------------------------------------------------------------- compression


class _Bounded(Decompressor):
    """asyncssh decompresses a packet whatever comes out of it: 32 KB can become 32 MB."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj()

    def decompress(self, data: bytes) -> bytes | None:
        try:
            grown = self._zlib.decompress(data, GROWN)
        except zlib.error:
            return None
        return None if self._zlib.unconsumed_tail else grown


def _limit_decompression() -> None:
    register_compression_alg(ZLIB, lambda: get_compressor(b"zlib"), _Bounded, True, True)
