"""Waiting, and the tools of an attacker: raw connections, pieces of ZMTP, bare ZeroMQ sockets."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import zmq

from tests.timing import soon

GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)
"""The first 64 bytes of ZMTP 3.1, security mechanism NULL."""
CURVE_GREETING = GREETING.replace(b"NULL\0", b"CURVE")
HUGE = b"\x02" + (8 << 30).to_bytes(8, "big")
"""The head of a long frame of 8 GiB."""
HUGE_COMMAND = b"\x06" + (8 << 30).to_bytes(8, "big")


def ready(kind: str) -> bytes:
    """Give the handshake's last command of a socket of that kind."""
    body = b"\x05READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind.encode()
    return b"\x04" + bytes([len(body)]) + body


def wait_until(condition: Callable[[], Any], limit: float = 10.0, what: Callable[[], Any] | str = "") -> None:
    """Wait until something is true; say at the limit what is wrong."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < soon(limit), f"not within {limit} s: {what() if callable(what) else what}"
        time.sleep(0.01)


def dial(endpoint: str) -> socket.socket:
    """Give a plain connection to where a socket of ZeroMQ listens."""
    transport, _, place = endpoint.partition("://")
    if transport == "ipc":
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(place)
    else:
        host, _, port = place.rpartition(":")
        connection = socket.create_connection((host, int(port)))
    connection.settimeout(5.0)
    return connection


def throw(connection: socket.socket, data: bytes) -> bool:
    """Send what the other side may refuse to hear; tell whether it did not."""
    with contextlib.suppress(OSError):
        connection.sendall(data)
        return True
    return False


def garbage(chance: random.Random) -> bytes:
    """Give random bytes, with beginnings that a socket of ZeroMQ goes some way with."""
    start = chance.choice(
        [
            b"",
            b"",
            GREETING[:10],
            GREETING[:11],
            GREETING,
            CURVE_GREETING,
            GREETING + ready("REQ"),
            b"\x01\0",
            b"\xff\0\0\0\0\0\0\0\x01\x7f",
        ]
    )
    return start + chance.randbytes(chance.choice([1, 10, 100, 1000]))


@contextlib.contextmanager
def bare(kind: int, endpoint: str, *, prepare: Callable[[zmq.Socket[bytes]], Any] | None = None) -> Iterator[zmq.Socket[bytes]]:
    """A connected socket of pyzmq, as any other program would have it."""
    with zmq.Context() as context, context.socket(kind) as peer:
        peer.linger = 0
        peer.rcvtimeo = peer.sndtimeo = 5000
        if prepare is not None:
            prepare(peer)
        peer.connect(endpoint)
        yield peer
