"""One accepted connection, as the daemon sees it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from agentlab.control import frames
from agentlab.control.auth import Peer
from agentlab.control.incoming import Incoming, Policy
from agentlab.control.preamble import Preamble
from agentlab.control.stream import CHUNK, LARGE_CHUNK, Ready, Stream

if TYPE_CHECKING:
    from agentlab.control.stock import StockConnection

PREAMBLE_TIMEOUT: Final = 3.0
MESSAGE_TIMEOUT: Final = 30.0
SLOWEST: Final = 1e6  # bytes per second that a started message may take at least
SEND_TIMEOUT: Final = 30.0


class Session:
    """A connection and what has come of its next message. One thread owns it at a time: the I/O thread or a worker.

    Args:
        stream: The connection.
        preamble: What must come first.
        peer: Who is at the other end, as far as known before the preamble.
        policy: Which requests are accepted after it.
        forget: Called once when it is closed.
    """

    def __init__(self, stream: Stream, preamble: Preamble, peer: Peer, policy: Policy, forget: Callable[[Session], None]) -> None:
        self.stream = stream
        self.preamble: Preamble | None = preamble
        self.peer = peer
        self.object_id = ""
        """What it was made for, once it is admitted."""
        self.incoming = Incoming(policy)
        self.pending: frames.Message | None = None
        """A complete message that the I/O thread has taken for the worker."""
        self.watched = math.inf
        """When the I/O thread will look whether it has expired; infinite for never."""
        self.stock: StockConnection | None = None
        self._forget: Callable[[Session], None] | None = forget
        self._since: float | None = time.monotonic()

    @property
    def who(self) -> str:
        """Name the other end for the log."""
        peer = self.peer
        return f"uid {peer.uid} pid {peer.pid} at {peer.address}" if peer.uid is not None else peer.address

    def expires(self) -> float | None:
        """Give the monotonic time at which what has started must be complete; None when nothing has."""
        if self._since is None:
            return None
        if self.preamble is not None:
            return self._since + PREAMBLE_TIMEOUT
        return self._since + MESSAGE_TIMEOUT + (len(self.incoming) + self.incoming.missing) / SLOWEST

    def admit(self) -> None:
        """End the preamble: from now on requests come."""
        if self.preamble is not None:
            self.object_id = self.preamble.object_id
        self.preamble = None
        self._since = None

    def read(self) -> bool:
        """Take in what has come; tell whether the connection goes on."""
        missing = self.incoming.missing
        data = self.stream.receive(CHUNK if missing <= CHUNK else min(missing, LARGE_CHUNK))
        if data:
            self.incoming.feed(data)
        return data != b""

    def take(self) -> frames.Message | None:
        """Give the next complete message, or None.

        Raises:
            BadMessageError: what came is not accepted here.
        """
        message, self.pending = self.pending, None
        if message is None:
            message = self.incoming.take()
        if message is not None or not len(self.incoming):
            self._since = None
        elif self._since is None:
            self._since = time.monotonic()
        return message

    def send(self, parts: frames.Parts) -> None:
        """Send an answer.

        Raises:
            OSError: the other end went away, or has taken nothing for 30 s.
        """
        self.stream.send(parts, _wait_to_send)

    def close(self) -> None:
        """Free the connection; twice is fine."""
        forget, self._forget = self._forget, None
        if forget is not None:
            forget(self)
        self.stream.close()


def _wait_to_send(ready: Ready) -> None:
    if not ready(SEND_TIMEOUT):
        raise TimeoutError("the other end takes no bytes")
