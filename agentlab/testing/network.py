"""A network of queues: the sockets of agents that live in one thread, without ZeroMQ, files or waiting."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import count
from typing import Any

from agentlab.errors import WrongAddressError
from agentlab.settings import config
from agentlab.testing.queues import QueueSocket
from agentlab.wire.address import SocketAddress


class Network:
    """Connects the sockets that were made with it. A connection may be made before its server is there.

    Args:
        wait: Lets others work until a condition is true, for at most so many seconds of the test's clock (None: no
            limit); tells whether it became true. Without one, whatever would wait fails at once.
    """

    def __init__(self, wait: Callable[[Callable[[], bool], float | None], bool] | None = None) -> None:
        self.wait = wait or (lambda condition, timeout: condition())  # noqa: ARG005
        self._servers: dict[str, QueueSocket] = {}
        self._clients: list[tuple[str, QueueSocket]] = []
        self._ports = count(49152)
        self._names = count(1)

    def socket(self, role: str, *, hwm: int | None = None) -> QueueSocket:
        """Make a socket; `role` and `hwm` as for :class:`agentlab.transport.sockets.Socket`."""
        return QueueSocket(self, role, config["HWM"] if hwm is None else hwm)

    def _place(self, transport: str, address: str | SocketAddress | None) -> str | SocketAddress:
        if isinstance(address, SocketAddress):
            return address if address.port else SocketAddress(address.host, next(self._ports))
        return address or f"{transport}-{next(self._names)}"

    def serve(self, socket: QueueSocket, transport: str, address: str | SocketAddress | None) -> str | SocketAddress:
        """Have a socket serve an address; give it."""
        place = self._place(transport, address)
        endpoint = f"{transport}://{place}"
        if endpoint in self._servers:
            raise WrongAddressError(f"Address already in use: cannot bind {place}")
        self._servers[endpoint] = socket
        for where, client in self._clients:
            if where == endpoint:
                client.meet(socket)
        return place

    def dial(self, socket: QueueSocket, endpoint: str) -> None:
        """Connect a socket to an endpoint, now or as soon as somebody serves it."""
        self._clients.append((endpoint, socket))
        server = self._servers.get(endpoint)
        if server is not None:
            socket.meet(server)

    def dials(self, socket: QueueSocket) -> bool:
        """Tell whether a socket connects to anything."""
        return any(client is socket for _, client in self._clients)

    def hang_up(self, socket: QueueSocket, endpoint: str) -> None:
        """Take one connection of a socket back."""
        self._clients = [(e, s) for e, s in self._clients if (e, s) != (endpoint, socket)]
        server = self._servers.get(endpoint)
        if server is not None:
            socket.leave(server)

    def forget(self, socket: QueueSocket) -> None:
        """Take everything of a socket back."""
        self._clients = [(e, s) for e, s in self._clients if s is not socket]
        self._servers = {e: s for e, s in self._servers.items() if s is not socket}


class QueuePoller:
    """Looks which sockets of a :class:`Network` are readable; never waits."""

    def __init__(self) -> None:
        self._keys: dict[Any, Hashable] = {}

    def add(self, key: Hashable, source: Any) -> None:
        """Watch a socket."""
        self._keys[source] = key

    def remove(self, source: Any) -> None:
        """Stop watching; unknown ones are ignored."""
        self._keys.pop(source, None)

    def wait(self, timeout: float | None) -> list[Hashable]:
        """Give the keys of what is readable.

        Raises:
            AssertionError: it is to wait, for somebody runs an agent's own loop.
        """
        if timeout != 0.0:
            raise AssertionError("an agent of a test bench does not run by itself; use run() or advance() of the bench")
        return [key for source, key in self._keys.items() if source.readable()]

    def wait_for_wake(self) -> None:
        """Do nothing: there is nobody to wait for."""

    def wake(self) -> None:
        """Do nothing: nobody waits."""

    def close(self) -> None:
        """Forget all sockets."""
        self._keys.clear()
