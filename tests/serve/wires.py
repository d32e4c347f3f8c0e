"""Connections that no honest client makes: raw sockets, and asyncssh's client with its hands free."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncssh

from dltutor.bench.clients import Server
from dltutor.serve.ssh import SshDoor

SAFETY = 60  # seconds that nothing here takes
KEXINIT, ECDH_INIT = 20, 30
ANSWER = 800  # bytes, at the least, with which a server has done its part


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=SAFETY)


async def until_closed(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(SAFETY):
        with suppress(ConnectionResetError):
            await reader.read()


def resident(pid: int) -> float:
    """MB of a process that are in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


# ---------------------------------------------------------------- the first packets, by hand


def packet(kind: int, payload: bytes) -> bytes:
    """Before keys are exchanged, padded to blocks of 8."""
    padding = 8 - (len(payload) + 6) % 8
    padding += 8 * (padding < 4)
    return struct.pack(">IBB", len(payload) + 2 + padding, padding, kind) + payload + bytes(padding)


def names(*lists: str) -> bytes:
    return b"".join(struct.pack(">I", len(text)) + text.encode() for text in lists)


def opening() -> bytes:
    """All that makes a server do its part of a key exchange."""
    cipher, mac, nothing = "aes128-ctr", "hmac-sha2-256", "none"
    lists = names("curve25519-sha256", "ssh-ed25519", cipher, cipher, mac, mac, nothing, nothing, "", "")
    share = os.urandom(32)
    exchange = struct.pack(">I", len(share)) + share
    return b"SSH-2.0-flood\r\n" + packet(KEXINIT, os.urandom(16) + lists + bytes(5)) + packet(ECDH_INIT, exchange)


def offered(server: Server) -> dict[str, list[str]]:
    """The algorithms that a server names in its first packet."""
    kinds = ("kex", "host key", "encryption in", "encryption out", "mac in", "mac out", "zip in", "zip out")
    with connect(server) as connection, connection.makefile("rb") as stream:
        stream.readline()
        connection.sendall(b"SSH-2.0-ask\r\n")
        length, padding, kind = struct.unpack(">IBB", stream.read(6))
        body = stream.read(length - 2)[16:-padding]
    assert kind == KEXINIT
    found = {}
    for name in kinds:
        (size,) = struct.unpack_from(">I", body)
        found[name] = body[4 : 4 + size].decode().split(",")
        body = body[4 + size :]
    return found


def exchange(server: Server) -> bool:
    """Make the server exchange keys, then go; did it?"""
    with connect(server) as connection:
        connection.sendall(opening())
        seen = 0
        while seen < ANSWER and (data := connection.recv(4096)):
            seen += len(data)
    return seen >= ANSWER


# ---------------------------------------------------------------- asyncssh's client


@asynccontextmanager
async def connected(
    server: Server | SshDoor, key: asyncssh.SSHKey | None = None, **options: Any
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Logged in with a new key, unless one is given."""
    keys = [key or asyncssh.generate_private_key("ssh-ed25519")]
    settings = {"username": "eve", "client_keys": keys, "known_hosts": None, "agent_path": None, "config": None}
    settings["encryption_algs"] = ["aes128-gcm@openssh.com"]  # the quickest here
    async with asyncssh.connect("127.0.0.1", server.port, **(settings | options)) as connection:
        yield connection


async def session(connection: asyncssh.SSHClientConnection, **options: Any) -> asyncssh.SSHClientProcess[bytes]:
    """In a terminal, unless options say otherwise."""
    settings = {"term_type": "xterm-256color", "term_size": (80, 24), "encoding": None}
    return await connection.create_process(**(settings | options))


async def pour(connection: asyncssh.SSHClientConnection, send: Callable[[int], None], count: int) -> None:
    """Let `send` send so many packets; 500 at a time reach the socket, for a test has no time to waste."""
    pieces: list[bytes] = []
    genuine = connection._send
    for number in range(count):
        connection._send = pieces.append
        send(number)
        connection._send = genuine
        if number % 500 == 499:
            genuine(b"".join(pieces))
            pieces.clear()
            await asyncio.sleep(0)
    genuine(b"".join(pieces))
