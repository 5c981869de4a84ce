"""A connected socket that never blocks by itself: whoever uses it says how long to wait."""

from __future__ import annotations

import math
import select
import socket
from collections.abc import Callable
from typing import Final

from agentlab.control.frames import Parts

CHUNK: Final = 64 * 1024
LARGE_CHUNK: Final = 256 * 1024

Ready = Callable[[float | None], bool]
"""Waits up to so many seconds (None: for ever) and tells whether the socket is ready."""


class Stream:
    """Bytes to and from a connected socket. One thread at a time; only :meth:`shutdown` from any.

    Args:
        sock: A connected stream socket, which the stream owns from now on.
    """

    __slots__ = ("readable", "sent", "sock", "writable")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            # A call is a small message and its answer another: Nagle's algorithm would hold each back.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.sock = sock
        self.sent = 0
        """Bytes that the system took from :meth:`send` so far."""
        self.readable: Ready = _ready(sock, write=False)
        self.writable: Ready = _ready(sock, write=True)

    def receive(self, size: int = CHUNK) -> bytes | None:
        """Give what has come, at most ``size`` bytes; empty at the end of the stream; None when nothing has come."""
        try:
            return self.sock.recv(size)
        except (BlockingIOError, InterruptedError):
            return None

    def has_ended(self) -> bool:
        """Tell whether the other end has gone. Any thread; it does not block, and takes nothing away."""
        try:
            return not self.sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:  # reset, or closed here
            return True

    def send(self, parts: Parts, wait: Callable[[Ready], None]) -> None:
        """Send all parts one after the other.

        Args:
            parts: Bytes; not copied.
            wait: Called with :attr:`writable` when the system takes no more; returns when it does, or raises.

        Raises:
            OSError: the connection broke; :attr:`sent` tells whether anything went out.
        """
        for part in parts:
            taken = self._send(part)
            if taken < len(part):
                with memoryview(part) as view:
                    while taken < len(part):
                        wait(self.writable)
                        taken += self._send(view[taken:])

    def _send(self, data: bytes | memoryview) -> int:
        try:
            taken = self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        self.sent += taken
        return taken

    def shutdown(self) -> None:
        """End the connection in both directions, so that whoever waits on it at either end sees so. Any thread."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it has ended already

    def close(self) -> None:
        """Free the socket; twice is fine."""
        self.sock.close()


def _ready(sock: socket.socket, *, write: bool) -> Ready:
    if not hasattr(select, "poll"):  # Windows
        return lambda timeout: bool(any(select.select([] if write else [sock], [sock] if write else [], [], timeout)))
    poller = select.poll()
    poller.register(sock, select.POLLOUT if write else select.POLLIN)
    return lambda timeout: bool(poller.poll(None if timeout is None else math.ceil(max(timeout, 0.0) * 1000)))
