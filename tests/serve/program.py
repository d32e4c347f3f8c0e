"""What the tests of sessions run in place of the application: small, and it behaves as it is told."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import termios
import threading
import time
import tty
from pathlib import Path
from typing import Any


def preload() -> None:
    pass


def main(order: dict[str, Any], descriptors: list[int]) -> int:
    arguments = order["arguments"]
    behaviour = {
        "echo": echo, "stubborn": stubborn, "flood": flood, "deaf": deaf, "relay": relay, "engine": engine,
        "chatter": chatter, "tear": tear,
    }  # fmt: skip
    return behaviour[arguments.get("does") or os.environ.get("DOES", "echo")](arguments, descriptors) or 0


def say(text: str) -> None:
    os.write(1, text.encode() + b"\r\n")


def echo(arguments: dict[str, Any], descriptors: list[int]) -> None:
    """Tell how much has been typed, and the terminal's size; save when the terminal goes away."""
    tty.setraw(0, termios.TCSANOW)
    signals = {signal.SIGHUP, signal.SIGWINCH}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    threading.Thread(target=hear_signals, args=(signals, arguments), daemon=True).start()
    say(f"ready {size()} {os.environ['TERM']}")
    typed = 0
    with contextlib.suppress(OSError):  # the terminal is gone; the signal comes, too
        while data := os.read(0, 4096):
            typed += len(data)
            say(f"typed {typed}")
            if b"q" in data:
                return
    time.sleep(3600)


def hear_signals(signals: set[signal.Signals], arguments: dict[str, Any]) -> None:
    while signal.sigwait(signals) == signal.SIGWINCH:
        say(size())
    folder = arguments.get("saves") or os.environ["DLTUTOR_HOME"]
    Path(folder, "saved").write_text("saved")
    os._exit(129)


def size() -> str:
    return "{0.columns}x{0.lines}".format(os.get_terminal_size(0))


def stubborn(arguments: dict[str, Any], descriptors: list[int]) -> None:
    """End for no polite word."""
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    say("ready")
    while True:
        time.sleep(3600)


def flood(arguments: dict[str, Any], descriptors: list[int]) -> None:
    say("ready")
    while True:
        os.write(1, b"x" * 4096)


def deaf(arguments: dict[str, Any], descriptors: list[int]) -> None:
    """Never read what is typed, but for a signal."""
    tty.setraw(0, termios.TCSANOW)
    signal.signal(signal.SIGUSR1, lambda *_: threading.Thread(target=read_all).start())
    say("ready")
    while True:
        time.sleep(3600)


def read_all() -> None:
    typed = 0
    while data := os.read(0, 1 << 16):
        typed += len(data)
        say(f"typed {typed}")


def relay(arguments: dict[str, Any], descriptors: list[int]) -> None:
    """Send each line that is typed to the server, and show what comes from there; a Leave is obeyed."""
    channel = socket.socket(fileno=descriptors[0])
    threading.Thread(target=hear, args=(channel,), daemon=True).start()
    say("ready")
    for line in sys.stdin.buffer:
        channel.send(line)


def hear(channel: socket.socket) -> None:
    while True:
        packet, sockets, _flags, _address = socket.recv_fds(channel, 1 << 16, 1)
        if not packet:
            return
        os.write(1, packet.strip() + b" with %d\r\n" % len(sockets))
        if b'"Leave"' in packet:
            os._exit(0)


def chatter(arguments: dict[str, Any], descriptors: list[int]) -> None:
    """Send the server packets until a line is typed, as quickly as can be, with a file in each and much to
    understand."""
    channel = socket.socket(fileno=descriptors[0])
    say("ready")
    packet = b'{"":"Here","headline":[' + b"[]," * 5000 + b"[]]}"
    listener = threading.Thread(target=sys.stdin.readline)
    listener.start()
    while listener.is_alive():
        socket.send_fds(channel, [packet], [0])
    say("silent")
    time.sleep(3600)


def tear(arguments: dict[str, Any], descriptors: list[int]) -> None:
    """Cut the page short that the server looks into."""
    say("ready")
    try:
        os.ftruncate(descriptors[1], 0)
    except OSError as error:
        say(type(error).__name__)
    time.sleep(3600)


def engine(arguments: dict[str, Any], descriptors: list[int]) -> None:
    time.sleep(3600)
