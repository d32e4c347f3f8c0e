"""The ssh door once a learner is in: one session in a terminal, and nothing else that ssh can do."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.constants import MSG_GLOBAL_REQUEST, MSG_IGNORE
from asyncssh.packet import Boolean, String, UInt32
from facts import files_of, wait_for
from servers import echo_server, needs_linux, needs_ssh
from wires import SAFETY, connected, pour, resident, session

from dltutor.bench.clients import Client, Server, keygen
from dltutor.serve import people, ssh
from dltutor.serve.log import SHORT

Come = Callable[..., Client]
pytestmark = [needs_ssh, needs_linux]
MANY = 10_000
MB = 1 << 20


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It has time for nobody else, and so all that is sent to it is soon obeyed."""
    with echo_server(tmp_path_factory.mktemp("eager"), open=True, part=1.0) as server:
        yield server


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return keygen(tmp_path / "key")


def run(server: Server, key: Path, *options: str, what: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """`ssh` without a terminal of its own."""
    return subprocess.run(
        [*server.command(key, "eve", options), *what],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SAFETY,
    )  # fmt: skip


def greeting(client: Client) -> dict[str, Any]:
    """What the application was started with."""
    found: list[dict[str, Any]] = []

    def is_whole(screen: str) -> bool:
        with suppress(ValueError):
            found.append(json.loads(screen.splitlines()[0]))
        return bool(found)

    client.until(is_whole)
    return found[0]


# ---------------------------------------------------------------- no other program, no other way


def test_t1_no_command_runs(echo: Server, key: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for options, what in (
        (("-T",), (f"touch {mark}",)),
        (("-tt",), (f"touch {mark}",)),
        (("-T", "-s"), ("netconf",)),
        (("-T", "-s"), ("sftp",)),
    ):
        done = run(echo, key, *options, what=what)
        assert done.returncode == 255 and "request failed" in done.stderr
    assert not mark.exists()


@pytest.mark.parametrize("program", [["scp"], ["scp", "-O"], ["sftp"]])
def test_t1_no_file_is_copied(echo: Server, key: Path, tmp_path: Path, program: list[str]) -> None:
    (tmp_path / "mine").write_text("x")
    _ssh, *options, _p, port, where = echo.command(key, "eve")
    there = f"{where}:{tmp_path}/there" if program[0] == "scp" else where
    here = [str(tmp_path / "mine")] if program[0] == "scp" else []
    done = subprocess.run(
        [*program, *options, "-P", port, *here, there],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SAFETY,
    )  # fmt: skip
    assert done.returncode != 0
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize(
    "asked",
    [
        ["-R", "0:127.0.0.1:1"],
        ["-R", "{folder}/socket:127.0.0.1:1"],
        ["-w", "0:0"],
    ],
)
def test_t2_nothing_is_forwarded_to_a_learner(echo: Server, key: Path, tmp_path: Path, asked: list[str]) -> None:
    before = sockets(echo)
    done = run(echo, key, "-N", "-o", "ExitOnForwardFailure=yes", *(word.format(folder=tmp_path) for word in asked))
    assert done.returncode == 255
    wait_for(lambda: sockets(echo) == before)
    assert not (tmp_path / "socket").exists()


def sockets(server: Server) -> set[str]:
    """Where the server's process listens."""
    held = list(files_of(server.pid))
    tables = [table for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if table.exists()]
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in held}


async def test_t2_nobody_is_reached_through_the_server(echo: Server, tmp_path: Path) -> None:
    """What -L, -D and -W ask for, and a socket in the file system."""
    reached: list[object] = []
    trap = await asyncio.start_server(lambda *ends: reached.append(ends), "127.0.0.1", 0)
    port = trap.sockets[0].getsockname()[1]
    inside = await asyncio.start_unix_server(lambda *ends: reached.append(ends), tmp_path / "socket")
    async with asyncio.timeout(SAFETY), connected(echo) as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", port)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_unix_connection(str(tmp_path / "socket"))
        for tunnel in (connection.open_tun, connection.open_tap):
            with pytest.raises(asyncssh.ChannelOpenError):
                await tunnel()
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.start_server(lambda *_where: lambda *ends: reached.append(ends), "127.0.0.1", 0)
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.start_unix_server(lambda: lambda *ends: reached.append(ends), str(tmp_path / "new"))
        assert await greeting_of(await session(connection))
    trap.close()
    inside.close()
    assert not reached and not (tmp_path / "new").exists()


async def greeting_of(process: asyncssh.SSHClientProcess[bytes]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await process.stdout.readline())
    return found


async def test_t2_neither_an_agent_nor_a_display_is_lent(echo: Server) -> None:
    async with asyncio.timeout(SAFETY), connected(echo) as connection:
        channel, _session = await open_channel(connection)
        assert not await channel._make_request(b"auth-agent-req@openssh.com")
        x11 = Boolean(False), String("MIT-MAGIC-COOKIE-1"), String("00" * 16), UInt32(0)
        assert not await channel._make_request(b"x11-req", *x11)
        assert await channel._make_request(b"shell")


async def open_channel(connection: asyncssh.SSHClientConnection) -> tuple[Any, Heard]:
    """A session whose requests a test sends by itself; the terminal is asked for."""
    channel = asyncssh.SSHClientChannel(connection, connection._loop, "strict", None, "strict", 65536, 32768)
    channel._session = heard = Heard()
    packet = await channel._open(b"session")
    packet.check_end()
    channel.resume_reading()
    size = UInt32(80), UInt32(24), UInt32(0), UInt32(0)
    assert await channel._make_request(b"pty-req", String("xterm"), *size, String(""))
    return channel, heard


class Heard(asyncssh.SSHClientSession):
    def __init__(self) -> None:
        self.data = bytearray()
        self._more = asyncio.Event()

    def data_received(self, data: bytes, datatype: object) -> None:
        self.data += data
        self._more.set()

    async def until(self, text: bytes) -> None:
        while text not in self.data:
            self._more.clear()
            await self._more.wait()


async def test_t3_a_connection_has_one_session(echo: Server) -> None:
    async with asyncio.timeout(SAFETY), connected(echo) as connection:
        first = await session(connection)
        assert await greeting_of(first)
        with pytest.raises(asyncssh.ChannelOpenError):
            await session(connection)
        first.stdin.write(b"still here\r")
        assert b"still here" in await first.stdout.readline()


async def test_t3_when_the_session_ends_the_connection_does(echo: Server) -> None:
    async with asyncio.timeout(SAFETY), connected(echo) as connection:
        process = await session(connection)
        await greeting_of(process)
        process.stdin.write(b"bye 3\r")
        assert (await process.wait()).exit_status == 3
        await connection.wait_closed()


# ---------------------------------------------------------------- what a client tells of itself

HOSTILE = {
    "LD_PRELOAD": "/tmp/x.so", "LD_LIBRARY_PATH": "/tmp", "PYTHONPATH": "/tmp", "PYTHONSTARTUP": "/tmp/x.py",
    "PYTHONHOME": "/tmp", "PATH": "/tmp", "HOME": "/tmp", "SHELL": "/bin/sh", "BROWSER": "/tmp/x", "EDITOR": "/tmp/x",
    "TEXTUAL_DRIVER": "x:y", "TEXTUAL": "devtools", "DLTUTOR_HOME": "/tmp", "DLTUTOR_LESSONS": "/tmp", "LINES": "1",
    "NUMBA_CACHE_DIR": "/tmp", "USER": "root", "TMPDIR": "/tmp", "IFS": "/", "BASH_ENV": "/tmp/x", "TZ": ":/etc/shadow",
    "LC_TIME": "C",
}  # fmt: skip


def test_t4_of_hostile_variables_none_arrives(echo: Server, learner: Come) -> None:
    options = [f"-oSetEnv={' '.join(f'{name}={value}' for name, value in HOSTILE.items())}"]
    assert len(HOSTILE) == 22
    assert greeting(learner(echo, options=options))["environment"] == {}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("COLORTERM=truecolor LANG=zh_CN.UTF-8", {"COLORTERM": "truecolor", "LANG": "zh_CN.UTF-8"}),
        ("NO_COLOR=1 LC_ALL=C TERM_PROGRAM=iTerm.app", {"NO_COLOR": "1", "LC_ALL": "C", "TERM_PROGRAM": "iTerm.app"}),
        ("COLORTERM=yes LANG=../../x TERM_PROGRAM=$(id)", {}),
        (f"LANG={'x' * 33} LC_ALL={'y' * 100}", {}),
    ],
)
def test_t4_of_harmless_ones_what_is_well_formed_arrives(
    echo: Server, learner: Come, sent: str, kept: dict[str, str]
) -> None:
    assert greeting(learner(echo, options=[f"-oSetEnv={sent}"]))["environment"] == kept


async def test_t5_too_many_variables_end_the_connection(echo: Server) -> None:
    async with asyncio.timeout(SAFETY), connected(echo) as connection:
        channel, _heard = await open_channel(connection)
        answers = [await set_variable(channel, f"X{number}", b"x") for number in range(ssh.MOST_VARIABLES)]
        assert not any(answers)
        channel._send_request(b"env", String("LANG"), String(b"C"))
        await connection.wait_closed()
    echo.event("cut", reason="too many variables")


async def set_variable(channel: Any, name: str, value: bytes) -> bool:
    return bool(await channel._make_request(b"env", String(name), String(value)))


async def test_t5_large_variables_take_no_memory(echo: Server) -> None:
    before = resident(echo.pid)
    async with asyncio.timeout(SAFETY), connected(echo) as connection:
        channel, _heard = await open_channel(connection)
        for number in range(2000):
            channel._send_request(b"env", String(f"X{number}"), String(b"x" * 30_000))
        await connection.wait_closed()
    assert resident(echo.pid) - before < 6


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ((0, 0), [80, 24]),
        ((1, 1), [1, 1]),
        ((500, 200), [500, 200]),
        ((1000, 600), [500, 200]),
        ((2**32 - 1, 2**32 - 1), [500, 200]),
        ((0, 50), [80, 50]),
    ],
)
async def test_t6_sizes_are_sizes_of_terminals(echo: Server, asked: tuple[int, int], given: list[int]) -> None:
    async with asyncio.timeout(SAFETY), connected(echo) as connection:
        process = await session(connection, term_size=asked)
        assert (await greeting_of(process))["size"] == given
        process.change_terminal_size(*asked)
        assert json.loads(await process.stdout.readline())["size"] == given


async def test_t6_a_storm_of_sizes_is_a_few_changes_and_ends_with_the_last(echo: Server) -> None:
    async with asyncio.timeout(SAFETY), connected(echo) as connection:
        process = await session(connection)
        await greeting_of(process)
        for width in range(100, 600):
            process.change_terminal_size(width % 400 + 1, 24)
        last = {"size": [600 - 1 - 400 + 1, 24]}
        heard = [json.loads(await process.stdout.readline())]
        while heard[-1] != last:
            heard.append(json.loads(await process.stdout.readline()))
        assert len(heard) < 250  # at most twenty a second


@pytest.mark.parametrize("term", ["../../etc/passwd", "x" * 3000, "x y", "-x", "\x1b[2J", ""])
async def test_t7_a_hostile_terminal_is_an_ordinary_one(echo: Server, term: str) -> None:
    async with asyncio.timeout(SAFETY), connected(echo) as connection:
        channel = await raw_terminal(connection, term)
        assert b'"term": "xterm-256color"' in channel


async def raw_terminal(connection: asyncssh.SSHClientConnection, term: str) -> bytes:
    process = await connection.create_process(term_type=term or " ", term_size=(80, 24), encoding=None)
    line: bytes = await process.stdout.readline()
    return line


@pytest.mark.parametrize("term", ["xterm-kitty", "screen.xterm-256color", "linux", "tmux-256color", "vt100"])
def test_t7_an_honest_terminal_is_what_it_says(echo: Server, learner: Come, term: str) -> None:
    assert greeting(learner(echo, term=term))["term"] == term


def test_t7_a_dumb_terminal_reads_one_line(echo: Server, learner: Come) -> None:
    client = learner(echo, term="dumb", options=["-q"])
    assert client.code() == 2
    assert len(client.text().strip().splitlines()) == 1 and "TERM=dumb" in client.text()


def test_t7_without_a_terminal_there_is_one_line(echo: Server, key: Path) -> None:
    done = run(echo, key, "-T")
    assert done.returncode == 1 and not done.stdout
    assert len(done.stderr.strip().splitlines()) == 1 and "ssh -t" in done.stderr


# ---------------------------------------------------------------- keys, and the end


async def test_what_is_typed_before_the_application_is_there_reaches_it(echo: Server) -> None:
    async with asyncio.timeout(SAFETY), connected(echo, username="slow") as connection:
        process = await session(connection)
        process.stdin.write(b"early bird\r" + b"x" * 50_000 + b"\r")
        process.change_terminal_size(90, 30)
        heard = [json.loads(await process.stdout.readline()) for _line in range(4)]
    assert heard[0]["size"] == [80, 24] and heard[1] == {"size": [90, 30]}
    assert [told["line"][:10] for told in heard[2:]] == ["early bird", "xxxxxxxxxx"]


def test_a_lost_client_is_missed_at_once(echo: Server, learner: Come) -> None:
    client = learner(echo)
    person = greeting(client)["id"][:12]
    client.send(signal.SIGKILL)
    echo.event("left", person=person)


def test_t20_signals_and_breaks_change_nothing(echo: Server, learner: Come) -> None:
    client = learner(echo, options=["-oEscapeChar=~"])
    greeting(client)
    client.press("\r~B\rstill here\r")
    client.until('"still here"')


# ---------------------------------------------------------------- clients that mean harm


@asynccontextmanager
async def growth(server: Server, megabytes: float) -> AsyncIterator[None]:
    before = resident(server.pid)
    async with asyncio.timeout(SAFETY):
        yield
    assert resident(server.pid) - before < megabytes


async def test_t12_a_client_that_does_not_read_grows_nothing(echo: Server) -> None:
    """It has a window of a gigabyte, and the application draws without end."""
    async with growth(echo, 8), connected(echo) as connection:
        process = await session(connection, window=1 << 30)
        await greeting_of(process)
        connection._transport.pause_reading()
        process.stdin.write(b"flood\r")
        await stalled(echo)
        connection.abort()


async def stalled(server: Server) -> None:
    """Until the server has used a tenth of half a second at most: it has nothing to send any more."""
    used, before = cpu(server.pid), -100
    while used - before > 5:
        await asyncio.sleep(0.5)
        used, before = cpu(server.pid), used


def cpu(pid: int) -> int:
    """Hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def test_t12_a_key_exchange_that_never_ends_grows_nothing(echo: Server) -> None:
    """asyncssh keeps what is to be sent until it is over."""
    async with growth(echo, 8), connected(echo) as connection:
        process = await session(connection, window=1 << 30)
        await greeting_of(process)
        process.stdin.write(b"flood\r")
        connection._send_kexinit()
        connection._transport.pause_reading()
        await stalled(echo)
        connection.abort()


async def test_t12_replies_that_nobody_reads_end_the_connection(eager: Server) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    who = people.fingerprint(key)[:SHORT]
    async with growth(eager, 10), connected(eager, key) as connection:
        connection._transport.pause_reading()
        asked = String("x"), Boolean(True)
        cut = asyncio.create_task(asyncio.to_thread(eager.event, "cut", person=who, reason="reads no replies"))
        while not cut.done():
            await pour(connection, lambda _number: connection.send_packet(MSG_GLOBAL_REQUEST, *asked), 500)
        await cut
        connection.abort()


async def test_t12_a_packet_that_grows_a_thousandfold_ends_the_connection(echo: Server) -> None:
    async with growth(echo, 6), connected(echo, compression_algs=["zlib@openssh.com"]) as connection:
        connection.send_packet(MSG_IGNORE, String(bytes(60 * MB)))
        await connection.wait_closed()


async def test_t12_compression_compresses(echo: Server) -> None:
    async with asyncio.timeout(SAFETY), connected(echo, compression_algs=["zlib@openssh.com"]) as connection:
        process = await session(connection)
        await greeting_of(process)
        process.stdin.write(b"x" * 16000 + b"\r")
        assert len(await process.stdout.readline()) > 16000


@pytest.mark.parametrize("kind", ["window-change", "signal", "break", "unknown@example.com"])
async def test_t20_ten_thousand_requests_change_nothing(eager: Server, kind: str) -> None:
    async with growth(eager, 10), connected(eager) as connection:
        channel, heard = await open_channel(connection)
        assert await channel._make_request(b"shell")
        bodies = {
            "window-change": lambda n: (UInt32(n * 7919 % 2**32), UInt32(n), UInt32(0), UInt32(0)),
            "signal": lambda n: (String(["INT", "HUP", "KILL", "TERM", "\x1b[2J"][n % 5]),),
            "break": lambda n: (UInt32(n),),
            "unknown@example.com": lambda n: (String(os.urandom(n % 100)),),
        }
        await pour(connection, lambda n: channel._send_request(kind.encode(), *bodies[kind](n)), MANY)
        assert not await channel._make_request(b"unknown@example.com")
        channel.write(b"still here\r")
        await heard.until(b'"still here"')


async def test_t20_ten_thousand_global_requests_change_nothing(eager: Server) -> None:
    names = ("tcpip-forward", "keepalive@openssh.com", "no-more-sessions@openssh.com", "x")
    async with growth(eager, 10), connected(eager) as connection:

        def send(number: int) -> None:
            name = names[number % len(names)]
            body = [String("0.0.0.0"), UInt32(number)] if "tcpip" in name else []
            connection.send_packet(MSG_GLOBAL_REQUEST, String(name), Boolean(False), *body)

        await pour(connection, send, MANY)
        process = await session(connection)
        assert await greeting_of(process)


async def test_t20_a_client_that_never_stops_sending_keeps_nobody_waiting(echo: Server) -> None:
    async with asyncio.timeout(SAFETY), connected(echo) as busy, connected(echo) as other:
        process = await session(other)
        await greeting_of(process)
        pieces: list[bytes] = []
        genuine, busy._send = busy._send, pieces.append
        for _packet in range(4 * MANY):
            busy.send_packet(MSG_IGNORE, String(b"x"))
        busy._send = genuine
        genuine(b"".join(pieces))
        heard_out = asyncio.create_task(busy._make_global_request(b"keepalive@openssh.com"))
        for number in range(10):
            process.stdin.write(b"%d\r" % number)
            await process.stdout.readline()
        assert not heard_out.done()  # yet the others were heard
        heard_out.cancel()
        busy.abort()
