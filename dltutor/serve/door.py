"""What all doors have in common: how a learner is connected, and what of that the other side knows."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
import termios
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from dltutor import i18n
from dltutor.errors import DltutorError
from dltutor.i18n import _

if TYPE_CHECKING:
    from dltutor.serve.people import Person

WIDEST, HIGHEST = 500, 200


@dataclass
class Terminal:
    """A learner's, as the door has found it and cleaned it."""

    name: str  # TERM
    width: int
    height: int
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def language(self) -> str:
        """What it asks for; the server's where it does not tell, as not every client does."""
        told = any(self.environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
        return i18n.preferred(self.environment) if told else i18n.current()


def clamped(width: int, height: int) -> tuple[int, int]:
    """A size that an application can have; 0 says that it is not known."""
    return max(1, min(int(width) or 80, WIDEST)), max(1, min(int(height) or 24, HIGHEST))


# ---------------------------------------------------------------- both sides of a door


class Door(Protocol):
    """How a learner is connected, for their session. Nothing here blocks."""

    name: str  # "ssh" or "web"
    address: str

    def write(self, data: bytes) -> None: ...

    def outstanding(self) -> int:
        """Bytes that have not left this machine yet."""

    def pause(self) -> None:
        """Take no more from the learner until resume()."""

    def resume(self) -> None: ...

    def end(self, code: int, message: str) -> None:
        """Say `message` on a line of its own, if there is one, and close the connection with `code`."""


class Live(Protocol):
    """A session, for its door."""

    def feed(self, data: bytes) -> None: ...

    def resize(self, width: int, height: int) -> None: ...

    def hang_up(self) -> None: ...


class Classroom(Protocol):
    """What a door needs of it."""

    async def admit(self, person: Person, terminal: Terminal, door: Door, /) -> Live: ...


# ---------------------------------------------------------------- sockets


def listener(host: str, port: int) -> socket.socket:
    """On all addresses, where no host is named: of both kinds, with one port. Raises DltutorError."""
    try:
        if host:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            return socket.create_server(found[4][:2], family=found[0], backlog=128)
        if socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
        return socket.create_server(("", port), backlog=128)
    except OSError as error:
        raise cannot_listen(port, error, _("Name another one with --port.")) from error


def cannot_listen(port: int | None, error: OSError, hint: str) -> DltutorError:
    return DltutorError(_("cannot listen on port {port}: {error}").format(port=port, error=error.strerror), hint)


def address_of(peer: tuple[Any, ...] | None) -> str:
    """Of which one counts: an IPv6 network is one customer."""
    try:
        address = ipaddress.ip_address(peer[0].partition("%")[0] if peer else "")
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def unsent(connection: socket.socket) -> int:
    """Bytes in the kernel that the other side has not acknowledged."""
    try:
        return struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
    except (OSError, ValueError):  # it is closed
        return 0
