"""Stock Pyro5 clients, where security is ``'none'``: Pyro5's own daemon without its sockets and threads."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

import Pyro5.core
import Pyro5.errors
import Pyro5.server
import Pyro5.socketutil
import serpent

from agentlab.control import frames
from agentlab.control.answers import Handler
from agentlab.control.auth import Peer
from agentlab.control.preamble import Metadata
from agentlab.control.session import Session

log = logging.getLogger(__name__)

ATTRIBUTE, ASSIGNMENT = "__getattr__", "__setattr__"
Invoke = Callable[[str, tuple[Any, ...], dict[str, Any], Peer], Any]
"""Calls a method by name, reads an attribute (``__getattr__``, its name), or sets one (``__setattr__``, its name and value)."""


class StockConnection(Pyro5.socketutil.SocketConnection):  # type: ignore[misc]
    """What Pyro5 takes for its connection: reads from a message that has come already, sends through the session.

    Args:
        session: The connection.
        mute: Whether answers are thrown away, as those to oneway calls are.
    """

    def __init__(self, session: Session, *, mute: bool = False) -> None:
        super().__init__(session.stream.sock, keep_open=True)
        self.session = session
        self._mute = mute
        self._data = memoryview(b"")

    def muted(self) -> StockConnection:
        """Give one more for a oneway call, which runs beside the others; it shares the instances of the session."""
        twin = StockConnection(self.session, mute=True)
        twin.pyroInstances = self.pyroInstances
        twin.tracked_resources = self.tracked_resources
        return twin

    def load(self, data: bytes) -> None:
        """Set what :meth:`recv` gives."""
        self._data = memoryview(data)

    def recv(self, size: int) -> bytes:
        """Give the next bytes of the message."""
        if size > len(self._data):
            raise Pyro5.errors.ConnectionClosedError("the message is shorter than it says")
        data, self._data = bytes(self._data[:size]), self._data[size:]
        return data

    def send(self, data: bytes) -> None:
        """Send an answer."""
        if not self._mute:
            self.session.send([data])


class StockDaemon:
    """Pyro5's daemon as a function of requests. Any thread.

    Args:
        location: Where it is reached, as it stands in URIs.
    """

    def __init__(self, location: str) -> None:
        # Its constructor wants a socket. It gets one that nobody is connected to, for a moment.
        ours, theirs = socket.socketpair()
        try:
            self._daemon = Pyro5.server.Daemon(connected_socket=ours)
        finally:
            ours.close()
            theirs.close()
        self._daemon.locationStr = location
        self._lock = threading.Lock()

    def serves(self, object_id: str) -> bool:
        """Tell whether an object of that id is served."""
        return object_id in self._daemon.objectsById

    def add(self, object_id: str, obj: Any) -> None:
        """Serve an exposed object."""
        self._daemon.register(obj, object_id)

    def add_opaque(self, object_id: str, handler: Handler) -> None:
        """Serve a handler of payloads, for clients that speak serpent or json."""
        self._daemon.register(_Opaque(handler), object_id)

    def expose(self, object_id: str, handler: Handler, methods: Iterable[str], attributes: Iterable[str], invoke: Invoke) -> None:
        """Serve a handler of payloads also as an ordinary object with these methods and attributes."""
        members: dict[str, Any] = {name: _exposed_method(name, invoke) for name in methods}
        members |= {name: _exposed_attribute(name, invoke) for name in attributes}
        for name in ("call", "cast"):
            members.pop(name, None)  # these take payloads, whatever else is called so
        self._daemon.register(type("_Exposed", (_Opaque,), members)(handler), object_id, force=True)

    def remove(self, object_id: str) -> None:
        """Serve an object no longer."""
        self._daemon.unregister(object_id)

    def metadata(self, object_id: str) -> Metadata | None:
        """Give what a client wants to know of an object when it connects; None for an unknown one."""
        try:
            found = self._daemon.objectsById[Pyro5.core.DAEMON_NAME].get_metadata(object_id)
        except Pyro5.errors.DaemonError:
            return None
        return {kind: sorted(names) for kind, names in found.items()}

    def connect(self, session: Session) -> StockConnection:
        """Give a session's connection."""
        return StockConnection(session)

    def handle(self, connection: StockConnection, message: frames.Message) -> None:
        """Run a request and answer it.

        Raises:
            BadMessageError: Pyro5 found it to be none.
            OSError: the client went away.
        """
        data = bytearray(message.data)
        # Pyro5 would start a thread for each oneway call; this one runs in its worker, and its answer is dropped.
        flags = message.flags & ~frames.ONEWAY
        data[8:10] = flags.to_bytes(2, "big")
        connection.load(bytes(data))
        try:
            self._daemon.handleRequest(connection)
        except Pyro5.errors.ConnectionClosedError as error:
            raise ConnectionResetError(str(error)) from None
        except Pyro5.errors.CommunicationError as error:
            raise frames.BadMessageError(str(error)) from None

    def forget(self, connection: StockConnection) -> None:
        """Free what belongs to a connection that has ended."""
        self._daemon._clientDisconnect(connection)
        connection.keep_open = False
        connection.close()

    def housekeep(self) -> None:
        """End result streams that nobody reads any more."""
        self._daemon._housekeeping()


def _exposed_method(name: str, invoke: Invoke) -> Any:
    def method(_self: Any, *args: Any, **kwargs: Any) -> Any:
        return invoke(name, args, kwargs, _peer())

    method.__name__ = name
    return Pyro5.server.expose(method)


def _exposed_attribute(name: str, invoke: Invoke) -> Any:
    def read(_self: Any) -> Any:
        return invoke(ATTRIBUTE, (name,), {}, _peer())

    def write(_self: Any, value: Any) -> None:
        invoke(ASSIGNMENT, (name, value), {}, _peer())

    read.__name__ = write.__name__ = name
    return Pyro5.server.expose(property(read, write))


def _peer() -> Peer:
    peer: Peer = Pyro5.server.current_context.client.session.peer
    return peer


class _Opaque:
    """A handler of payloads as an exposed object."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def _run(self, payload: Any) -> bytes:
        answer = self._handler(_payload(payload), _peer())
        return answer if isinstance(answer, bytes) else answer.wait()

    @Pyro5.server.expose  # type: ignore[untyped-decorator]
    def call(self, payload: Any) -> bytes:
        return self._run(payload)

    @Pyro5.server.expose  # type: ignore[untyped-decorator]
    @Pyro5.server.oneway  # type: ignore[untyped-decorator]
    def cast(self, payload: Any) -> None:
        self._run(payload)


def _payload(value: Any) -> bytes:
    """Give bytes back that serpent or msgpack carried; json has none."""
    if isinstance(value, bytes):
        return value
    try:
        return bytes(serpent.tobytes(value))
    except TypeError:
        raise TypeError(f"a payload is bytes, got {type(value).__name__}; use the serializer msgpack") from None
