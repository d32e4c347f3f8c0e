"""The ssh door until a learner is in: who comes in, who does not, and what those read."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import Boolean, SSHPacket, String
from echo import opened
from facts import wait_for
from servers import echo_server, needs_linux, needs_ssh
from stand_ins import Events
from wires import SAFETY, connected, exchange, offered, resident, session, until_closed

from dltutor.bench.clients import Client, Server, keygen
from dltutor.serve import people, ssh
from dltutor.serve.door import listener, unsent
from dltutor.serve.ssh import SshDoor

CLASS = 33  # learners who log in at once, behind one address
FLOODERS = 8
ANYBODY = {"open": True}
LONG = 600.0  # seconds that no test waits for
USERAUTH_REQUEST, PUBLIC_KEY_OK = 50, 60
Come = Callable[..., Client]
pytestmark = [needs_ssh, needs_linux]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight; the last one is on the roster."""
    folder = tmp_path_factory.mktemp("keys")
    return [keygen(folder / f"key-{number}") for number in range(8)]


@pytest.fixture(scope="module")
def strict(keys: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For who is on the roster."""
    folder = tmp_path_factory.mktemp("strict")
    (folder / "roster").write_bytes(keys[-1].with_name("key-7.pub").read_bytes())
    with echo_server(folder, roster=str(folder / "roster")) as server:
        yield server


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with echo_server(tmp_path_factory.mktemp("coded"), class_code="maple") as server:
        yield server


@asynccontextmanager
async def hasty(folder: Path, who: dict[str, Any] = ANYBODY, **limits: float) -> AsyncIterator[SshDoor]:
    """A door in the loop of the test, whose patience ends by these limits and no others."""
    patient = dict.fromkeys(("silent", "login", "idle", "code", "farewell", "alive"), LONG)
    async with asyncio.timeout(SAFETY), opened(folder, Events(), ssh.Limits(**(patient | limits)), **who) as door:
        yield door


def said(client: Client) -> str:
    """What it says until it ends, on one line."""
    client.code()
    return " ".join(client.text().split())


# ---------------------------------------------------------------- who comes in


def test_s1_the_fingerprint_that_is_told_is_the_one_that_learners_see(echo: Server) -> None:
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(echo.state / "host_key")], capture_output=True, text=True, check=True
    ).stdout
    assert echo.event("listening")["fingerprint"] in shown
    assert "ED25519" in shown


def test_s2_a_key_of_the_roster_comes_in(strict: Server, learner: Come, keys: list[Path]) -> None:
    ada = learner(strict, "whoever", key=keys[-1])
    ada.until('"name": "key-7"')


@pytest.mark.parametrize(
    "way",
    [
        ["-o", "PreferredAuthentications=none"],
        ["-o", "PreferredAuthentications=password"],
        ["-o", "PreferredAuthentications=keyboard-interactive"],
        ["-o", "PreferredAuthentications=hostbased", "-o", "HostbasedAuthentication=yes"],
        ["-o", "PreferredAuthentications=gssapi-with-mic", "-o", "GSSAPIAuthentication=yes"],
    ],
)
def test_s2_nothing_but_a_key_comes_in(strict: Server, learner: Come, keys: list[Path], way: list[str]) -> None:
    client = learner(strict, key=keys[-1], options=way)
    assert client.code() == 255
    assert "Permission denied" in client.text()
    assert "assword:" not in client.text()


def test_s2_a_certificate_is_no_key(strict: Server, learner: Come, keys: list[Path], tmp_path: Path) -> None:
    """Signed by a key of the roster, for a key that is not on it."""
    key = keygen(tmp_path / "eve")
    command = ["ssh-keygen", "-q", "-s", str(keys[-1]), "-I", "eve", "-n", "eve", str(key.with_name("eve.pub"))]
    subprocess.run(command, check=True)
    eve = learner(strict, "eve", key=key)
    assert eve.code() == 255 and "Permission denied" in eve.text()


def test_a_key_that_is_not_on_the_roster_reads_what_to_do(strict: Server, learner: Come, keys: list[Path]) -> None:
    text = said(learner(strict, key=keys[0]))
    shown = subprocess.run(["ssh-keygen", "-l", "-f", str(keys[0])], capture_output=True, text=True, check=True).stdout
    assert "Send ~/.ssh/id_ed25519.pub to your teacher" in text
    assert shown.split()[1] in text
    assert "Permission denied" in text


def test_who_has_no_key_reads_how_to_make_one(strict: Server) -> None:
    done = subprocess.run(
        strict.command(None, "li"), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SAFETY
    )
    assert done.returncode == 255
    assert "ssh-keygen -t ed25519" in done.stderr


def test_who_has_one_key_that_is_known_reads_nothing_about_the_others(
    strict: Server, learner: Come, keys: list[Path]
) -> None:
    ada = learner(strict, key=keys[-1], options=["-i", str(keys[0])])
    ada.until('"key-7"')
    assert "teacher" not in ada.text()


# ---------------------------------------------------------------- whose signature


class Prober(asyncssh.SSHClient):
    """Shows a victim's public key around the requests that it signs with its own."""

    def __init__(self, victim: asyncssh.SSHKey, order: str) -> None:
        self.victim, self.order = victim, order
        self.probes = 0

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        genuine = conn.send_userauth_request

        async def send(method: bytes, *args: bytes, **options: object) -> None:
            signs = bool(options.get("key"))
            if signs and self.order in ("before", "around"):
                self.probe(conn)
            await genuine(method, *args, **options)
            if signs and self.order in ("after", "around"):
                self.probe(conn)

        conn.send_userauth_request = send

    def probe(self, conn: asyncssh.SSHClientConnection) -> None:
        self.probes += 1
        asked = [String(text) for text in ("eve", "ssh-connection", "publickey")]
        shown = [Boolean(False), String(b"ssh-ed25519"), String(self.victim.public_data)]
        conn.send_packet(USERAUTH_REQUEST, *asked, *shown)


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncssh's client takes no notice of answers about keys that are not its own."""
    handlers = asyncssh.auth._ClientPublicKeyAuth._packet_handlers
    genuine = handlers[PUBLIC_KEY_OK]

    def tolerant(auth: Any, kind: int, number: int, packet: SSHPacket) -> None:
        payload = packet.get_remaining_payload()
        if auth._keypair.public_data in payload:
            genuine(auth, kind, number, SSHPacket(payload))

    monkeypatch.setitem(handlers, PUBLIC_KEY_OK, tolerant)


@pytest.mark.usefixtures("deaf")
@pytest.mark.parametrize("order", ["before", "after", "around"])
async def test_s3_who_shows_a_key_without_signing_is_not_its_owner(echo: Server, order: str) -> None:
    mine, theirs = (asyncssh.generate_private_key("ssh-ed25519") for _key in range(2))
    prober = Prober(theirs, order)
    async with asyncio.timeout(SAFETY), connected(echo, mine, client_factory=lambda: prober) as connection:
        process = await session(connection)
        line = await process.stdout.readline()
    assert prober.probes
    assert people.fingerprint(mine).encode() in line
    assert people.fingerprint(theirs).encode() not in line


def test_s4_the_seventh_key_ends_the_connection(strict: Server, learner: Come, keys: list[Path]) -> None:
    """The eighth would be right."""
    options = [part for key in keys[1:7] for part in ("-i", str(key))]
    client = learner(strict, key=keys[0], options=[*options, "-i", str(keys[-1])])
    assert client.code() == 255
    assert "too many keys" in client.text() and "IdentitiesOnly" in client.text()


def test_s4_six_keys_are_not_too_many(strict: Server, learner: Come, keys: list[Path]) -> None:
    options = [part for key in keys[1:5] for part in ("-i", str(key))]
    learner(strict, key=keys[0], options=[*options, "-i", str(keys[-1])]).until('"key-7"')


# ---------------------------------------------------------------- who may wait


async def test_s5_who_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    async with hasty(tmp_path, silent=0.1) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        await until_closed(reader)
        writer.close()


async def test_s5_who_only_says_hello_is_waited_for_as_long_as_a_login_takes(tmp_path: Path) -> None:
    async with hasty(tmp_path, silent=0.5) as door:
        hello, speaker = await asyncio.open_connection("127.0.0.1", door.port)
        speaker.write(b"SSH-2.0-slow\r\n")
        silent, writer = await asyncio.open_connection("127.0.0.1", door.port)
        await until_closed(silent)  # though it came later
        assert not hello.at_eof()
        speaker.close()
        writer.close()
    async with hasty(tmp_path, login=0.1) as door:
        hello, speaker = await asyncio.open_connection("127.0.0.1", door.port)
        speaker.write(b"SSH-2.0-slow\r\n")
        await until_closed(hello)
        speaker.close()


async def test_t3_a_connection_without_a_session_is_closed(tmp_path: Path) -> None:
    async with hasty(tmp_path, idle=0.3) as door, connected(door) as connection:
        await connection.wait_closed()
        assert [event["reason"] for event in door.log.named("cut")] == ["no session"]


def test_s6_a_class_behind_one_address_logs_in_at_once(echo: Server, tmp_path: Path) -> None:
    with ExitStack() as stack:
        class_ = [
            stack.enter_context(echo.client(keygen(tmp_path / f"{number}"), f"l{number}")) for number in range(CLASS)
        ]
        for number, client in enumerate(class_):
            client.until(f'"l{number}"')


async def test_s6_so_many_may_wait_and_the_next_one_may_not(tmp_path: Path) -> None:
    async with hasty(tmp_path) as door:
        waiting = [await asyncio.open_connection("127.0.0.1", door.port) for _number in range(ssh.Limits().waiting)]
        for reader, _writer in waiting:
            assert (await reader.readline()).startswith(b"SSH-2.0")
        late, writer = await asyncio.open_connection("127.0.0.1", door.port)
        await until_closed(late)
        await until(lambda: door.log.named("refused"))
        waiting[0][1].close()
        await until(lambda: len(door.callers) < len(waiting))
        await come_in(door)
        for one in (writer, *(waiter for _reader, waiter in waiting)):
            one.close()


async def test_s6_who_has_a_session_waits_no_more(tmp_path: Path) -> None:
    """The time for having none does not end it."""
    async with hasty(tmp_path, idle=1.0) as door, connected(door) as connection:
        process = await session(connection)
        await process.stdout.readline()
        async with connected(door) as other:
            await other.wait_closed()
        process.stdin.write(b"still here\r")
        assert b"still here" in await process.stdout.readline()


async def test_t9_who_answers_nothing_any_more_is_gone(tmp_path: Path) -> None:
    async with hasty(tmp_path, alive=0.3) as door, connected(door) as connection:
        process = await session(connection)
        await process.stdout.readline()
        connection._transport.pause_reading()
        await until(lambda: not door.callers)
        assert door.log.named("left")
        connection.abort()


async def come_in(door: SshDoor) -> None:
    """As anybody."""
    async with connected(door) as connection:
        process = await session(connection)
        assert b'"name"' in await process.stdout.readline()


async def until(fact: Callable[[], object]) -> None:
    while not fact():
        await asyncio.sleep(0.01)


# ---------------------------------------------------------------- floods


def under(flood: Callable[[], object], victim: Client, least: int) -> list[object]:
    """What came of a flood at which the victim could type: it goes on until so much of it, and all keys, are over."""
    over, came = threading.Event(), list[object]()

    def one_after_the_other() -> None:
        while not over.is_set():
            came.append(flood())

    with ThreadPoolExecutor(FLOODERS) as pool:
        flooding = [pool.submit(one_after_the_other) for _number in range(FLOODERS)]
        try:
            for number in range(20):
                victim.paint(f"k{number}\r", f'"k{number}"')
            wait_for(lambda: len(came) >= least)
        finally:
            over.set()
        for each in flooding:
            each.result()
    return came


@pytest.fixture
def victim(strict: Server, learner: Come, keys: list[Path]) -> Client:
    client = learner(strict, "ada", 80, key=keys[-1])
    client.until('"key-7"')
    return client


def test_s7_bad_logins_are_denied_and_hurt_nobody(strict: Server, victim: Client, keys: list[Path]) -> None:
    command = [*strict.command(keys[0], "bad", ["-T", "-q"]), "exit"]

    def login() -> int:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=SAFETY).returncode

    assert login() == 255
    before = resident(strict.pid)
    assert set(under(login, victim, least=40)) == {255}
    assert resident(strict.pid) - before < 10


def test_s8_a_flood_of_key_exchanges_hurts_nobody(strict: Server, victim: Client) -> None:
    assert exchange(strict)
    before = resident(strict.pid)
    assert all(under(lambda: exchange(strict), victim, least=200))
    assert resident(strict.pid) - before < 10


# ---------------------------------------------------------------- what is no SSH


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"SSH-1.5-OpenSSH_1.2\r\n",
        b"x" * 9000,
        b"\x00\xff\x1b]0;title\x07\n" * 10,
        b"SSH-2.0-x\r\n" + b"\xff\xff\xff\xff" + b"\x00" * 12,
        b"SSH-2.0-" + b"x" * 300 + b"\r\n",
    ],
)
async def test_s9_garbage_is_closed_at_once(tmp_path: Path, garbage: bytes) -> None:
    async with hasty(tmp_path) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(garbage)
        await until_closed(reader)
        writer.close()
        await come_in(door)


async def test_s9_a_login_that_never_ends_is_cut(tmp_path: Path) -> None:
    """Requests that no hook of asyncssh's sees: what they take in all is counted."""

    class Endless(asyncssh.SSHClient):
        def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
            self.conn = conn

        async def public_key_auth_requested(self) -> None:
            asked = [String(text) for text in ("x" * 900, "ssh-connection", "none")]
            for _number in range(400):
                self.conn.send_packet(USERAUTH_REQUEST, *asked)
            await self.conn.wait_closed()

    (tmp_path / "roster").touch()
    async with hasty(tmp_path, {"roster": str(tmp_path / "roster")}) as door:
        with pytest.raises((asyncssh.Error, OSError)):
            async with connected(door, client_factory=Endless):
                pass
        assert [event["reason"] for event in door.log.named("cut")] == ["login too long"]


# ---------------------------------------------------------------- algorithms


def test_s10_nothing_weak_is_offered(echo: Server) -> None:
    found = offered(echo)
    everything = [name for names in found.values() for name in names]
    assert not [name for name in everything if re.search(r"sha1|cbc|3des|arcfour|md5|dss|^none.*mac", name)]
    assert "kex-strict-s-v00@openssh.com" in found["kex"]
    assert found["host key"] == ["ssh-ed25519"]
    assert found["zip out"] == ["zlib@openssh.com", "none"]


def test_s10_signatures_are_not_of_sha1(echo: Server, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(tmp_path / "rsa")], check=True)

    def code(*algorithms: str) -> int:
        options = ["-T", "-o", f"PubkeyAcceptedAlgorithms={','.join(algorithms)}"]
        done = subprocess.run(
            echo.command(tmp_path / "rsa", "li", options), stdin=subprocess.DEVNULL, capture_output=True, timeout=SAFETY
        )
        return done.returncode

    assert code("ssh-rsa") == 255
    assert code("rsa-sha2-256") == 1  # is in, and has no terminal
    told = subprocess.run(
        echo.command(tmp_path / "rsa", "li", ["-vT"]),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SAFETY,
    ).stderr  # fmt: skip
    found = re.search("server-sig-algs=<(.*?)>", told)
    assert found and {"ssh-rsa", "ssh-dss"}.isdisjoint(found[1].split(","))


async def test_s10_a_signature_of_sha1_does_not_count_unasked(echo: Server) -> None:
    """The server says what it takes; a client need not care."""
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    pair = asyncssh.load_keypairs([key])[0]
    pair.sig_algorithm = b"ssh-rsa"
    pair.set_sig_algorithm = lambda algorithm: None
    pair.sign = lambda data: key.sign(data, b"ssh-rsa")
    with pytest.raises(asyncssh.PermissionDenied):
        async with asyncio.timeout(SAFETY), connected(echo, pair):
            pass


# ---------------------------------------------------------------- codes


def test_the_code_is_asked_for_in_the_language_of_the_learner(coded: Server, learner: Come) -> None:
    lin = learner(coded, options=["-oSetEnv=LANG=zh_CN.UTF-8"])
    lin.until("班级口令：")
    lin.press("hornbeam\r")
    lin.until("口令不对。")
    lin.press("\x03")


def test_s2_the_code_of_the_class_enrols_a_key(coded: Server, learner: Come) -> None:
    ada = learner(coded)
    ada.until("Code of the class:")
    ada.press("hornbeam\r")
    ada.until(lambda screen: screen.count("Code of the class:") == 2)
    ada.press("mapel\x7f\x7fle\r")
    ada.until('"name": "ada"')
    assert "maple" not in ada.text()
    ada.press("bye 0\r")
    assert ada.code() == 0
    again = learner(coded)
    again.until('"name": "ada"')
    assert "Code of" not in again.text()


def test_three_wrong_codes_end_it(coded: Server, learner: Come) -> None:
    eve = learner(coded, "eve")
    for number in range(1, 4):
        eve.until(lambda screen, number=number: screen.count("Code of the class:") == number)
        eve.press("hornbeam\r")
    assert eve.code() == 1
    assert "Ask your teacher" in eve.text()
    coded.event("denied", reason="wrong code")
    assert not [event for event in coded.events if "hornbeam" in str(event)]


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_who_does_not_know_the_code_can_leave(coded: Server, learner: Come, key: str) -> None:
    eve = learner(coded, "eve")
    eve.until("Code of the class:")
    eve.press(key)
    assert eve.code() == 1


async def test_who_does_not_type_the_code_is_not_waited_for(tmp_path: Path) -> None:
    async with hasty(tmp_path, {"class_code": "maple"}, code=0.1) as door, connected(door) as connection:
        process = await session(connection)
        told = await process.wait()
        assert (told.stdout, told.exit_status) == (b"Code of the class: ", 1)


def test_another_key_joins_with_a_code(strict: Server, learner: Come, keys: list[Path]) -> None:
    ada = learner(strict, key=keys[-1])
    ada.until('"key-7"')
    ada.press("code\r")
    found: list[str] = []
    ada.until(lambda screen: found.extend(re.findall(r'"code": "(\w+)"', screen)) or found)
    laptop = learner(strict, f"join-{found[0]}", key=keys[0])
    laptop.until('"key-7"')
    assert re.findall(r'"id": "(\w+)"', laptop.text()) == re.findall(r'"id": "(\w+)"', ada.text())
    late = learner(strict, f"join-{found[0]}", key=keys[1])
    assert late.code() == 255 and "wrong, or has expired" in late.text()


def test_who_is_not_admitted_reads_why(echo: Server, learner: Come) -> None:
    late = learner(echo, "full")
    assert late.code() == 1
    assert "The classroom is full." in late.text() and "Come again" in late.text()


def test_nobody_waits_to_be_told_that_their_packet_has_come() -> None:
    """As `ssh` does in the middle of a login, where the other side answers it late. A busy system may be late once."""
    assert any(is_told_at_once() for _time in range(20))


def is_told_at_once() -> bool:
    waiting = listener("127.0.0.1", 0)
    with waiting, socket.create_connection(waiting.getsockname()) as client, waiting.accept()[0] as server:
        for _time in range(20):  # from now on the system takes it for a conversation, in which answers bring the news
            client.send(b"question")
            server.recv(100)
            server.send(b"answer")
            client.recv(100)
        client.send(b"packet")
        server.recv(100)
        ssh.acknowledge(server)
        return not unsent(client)


# ---------------------------------------------------------------- what asyncssh keeps to itself


def test_the_private_names_of_asyncssh_are_still_there() -> None:
    """With another version of asyncssh: find out where they went, or that they are no longer needed."""
    assert hasattr(asyncssh.SSHServerChannel, "_process_env_request")
    source = Path(asyncssh.connection.__file__).read_text("utf-8")
    assert all(f"self.{name}" in source or hasattr(asyncssh.SSHServerChannel, name) for name in ssh.PRIVATE)
