"""A stream of small records from one publisher to many subscribers, in the lab's security: a name server's changes."""

from __future__ import annotations

from agentlab.errors import MessageTimeoutError
from agentlab.transport.sockets import Socket
from agentlab.wire.address import SocketAddress


class FeedPublisher:
    """Publishes records; used by one thread.

    Args:
        endpoint: ``ipc:///path`` or ``tcp://host:port`` (port 0: any free one).
    """

    def __init__(self, endpoint: str) -> None:
        transport, _, rest = endpoint.partition("://")
        self._socket = Socket("PUB")
        address: str | SocketAddress = rest
        if transport == "tcp":
            host, _, port = rest.rpartition(":")
            address = SocketAddress(host.strip("[]"), int(port))
        bound = self._socket.bind(transport, address)
        self.endpoint = f"{transport}://{bound}"

    def publish(self, record: bytes) -> None:
        """Send a record to whoever listens now; a listener that is too slow loses it, and sees the gap."""
        self._socket.publish([record])

    def close(self) -> None:
        """Close the socket and remove its file; twice is fine."""
        self._socket.close(0.1)


class FeedSubscriber:
    """Receives what a :class:`FeedPublisher` sends, also after that one was started again; used by one thread."""

    def __init__(self, endpoint: str) -> None:
        self._socket = Socket("SUB")
        self._socket.subscribe(b"")
        self._socket.connect(endpoint.partition("://")[0], endpoint)

    def recv(self, timeout: float | None) -> bytes | None:
        """Give the next record, or None when none came within `timeout` seconds."""
        try:
            return bytes(self._socket.recv(timeout)[0])
        except MessageTimeoutError:
            return None

    def fileno(self) -> int:
        """Give ZeroMQ's edge-triggered descriptor: after it is readable, receive until None."""
        return int(self._socket.z.fileno())

    def close(self) -> None:
        """Close the socket; twice is fine."""
        self._socket.close(0.0)
