"""The daemon: serves objects that take one payload of bytes and give one back."""

from __future__ import annotations

import contextlib
import itertools
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Self

from agentlab.control import frames
from agentlab.control.answers import Handler, Later
from agentlab.control.auth import Peer
from agentlab.control.counters import Counters
from agentlab.control.listener import listen_tcp, listen_unix
from agentlab.control.loop import IOLoop
from agentlab.control.network import reachable_host
from agentlab.control.preamble import OPAQUE_METADATA, Metadata, Preamble
from agentlab.control.security import ControlSecurity
from agentlab.control.serving import Serving
from agentlab.control.session import Session
from agentlab.control.stream import Stream
from agentlab.control.uri import Location
from agentlab.control.visitor import Visitor
from agentlab.control.workers import WorkerPool
from agentlab.errors import RefusedError, WrongAddressError

__all__ = ["ControlDaemon", "Later", "Peer", "Visitor"]

log = logging.getLogger(__name__)

ENOUGH_FILES: Final = 16384
HOUSEKEEPING: Final = 5.0


class ControlDaemon:
    """Serves objects by id at one address. All methods may be called by any thread.

    It listens as soon as it is built, and answers once it is started. One I/O thread accepts and watches, worker
    threads run the calls; an idle connection has no thread.

    Args:
        unixsocket: Path of the unix socket, at most 107 bytes. Its mode is 0600.
        host: Without ``unixsocket``: where to listen, 127.0.0.1 if None.
        port: TCP port, 0 for a free one.
        security: ``'keys'`` or ``'none'``; ``config['SECURITY']`` if None.
        name: What its threads are called.
        max_workers: How many calls run at once; more wait.
        advertise: Host and port that stand in the URIs instead of where it listens, as behind a NAT; port 0: the port on
            which it listens. None: where it listens; for a wildcard host (0.0.0.0) this machine's outward address.

    Raises:
        RefusedError: other machines could connect, and the security is by key.
        WrongAddressError: the path is too long, or the host unknown.
        OSError: ``Address already in use``, ``Permission denied`` and the like.
    """

    def __init__(
        self,
        *,
        unixsocket: str | None = None,
        host: str | None = None,
        port: int = 0,
        security: str | None = None,
        name: str = "control",
        max_workers: int = 128,
        advertise: tuple[str, int] | None = None,
    ) -> None:
        self._security = ControlSecurity(security)
        self.counters = Counters("connections", "refused", "bad_messages", "calls", "oneway")
        self._name = name
        if not unixsocket:
            self._security.check_key()
        listener = (
            listen_unix(unixsocket)
            if unixsocket
            else listen_tcp("127.0.0.1" if host is None else host, port, self._security.mode)
        )
        listener.sock.setblocking(False)
        self.location = _advertised(listener.location, advertise)
        self._stock = _stock_daemon(str(self.location)) if self._security.open else None
        self._policy = self._security.request_policy()
        self._pool = WorkerPool(name, max_workers)
        self._loop = IOLoop(listener, self._greet, self._submit, self._submit_oneway, self.counters)
        self._serving = Serving(self.counters, self._pool, self._stock, self._loop.give_back, self._loop.complaints)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._sessions: set[Session] = set()
        self._connections = itertools.count(1)
        self._connected: set[int] = set()
        self._exposed: set[str] = set()
        self._told_ends: list[Callable[[Peer], object]] = []
        self._closing = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def adopt(self, adopt: Callable[[Visitor], bool]) -> None:
        """Let somebody else serve connections in a thread of his own.

        Args:
            adopt: Called in some thread after each call that was answered by a :class:`Later`, with the connection as a
                :class:`Visitor`; when it gives True, the connection is his until he lets it leave.
        """
        self._serving.adopt = adopt

    def on_disconnect(self, function: Callable[[Peer], object]) -> None:
        """Have a function called, in some thread, with the peer of each connection that has ended; it must not block.

        The peer is the very one that handlers were given: its ``connection`` tells which.
        """
        self._told_ends.append(function)

    def is_connected(self, connection: int) -> bool:
        """Tell whether a connection has not ended, by its peer's ``connection``; false before functions are told of its end."""
        return connection in self._connected

    def serve(self, object_id: str, handler: Handler) -> str:
        """Serve an object.

        Args:
            object_id: Up to 512 bytes without spaces and ``@``.
            handler: Called with payload and peer in a worker thread, by several at once; gives the answer's payload.
                What it raises is logged, and the caller gets a RemoteError.

        Returns:
            The object's URI.

        Raises:
            WrongAddressError: that id cannot be used, or is served already.
        """
        uri = self.location.uri(object_id)
        with self._lock:
            if object_id in self._serving.handlers or (self._stock is not None and self._stock.serves(object_id)):
                raise WrongAddressError(
                    f"an object {object_id!r} is served already; end that with unserve(), or choose another id"
                )
            self._serving.handlers[object_id] = handler
            if self._stock is not None:
                self._stock.add_opaque(object_id, handler)
        return uri

    def serve_stock(self, object_id: str, obj: Any) -> str:
        """Serve an ordinary object, its class marked with ``@Pyro5.api.expose``, for stock Pyro5 clients.

        Returns:
            The object's URI.

        Raises:
            RefusedError: the security is by key; stock clients cannot prove it.
            WrongAddressError: that id cannot be used, or is served already.
        """
        uri = self.location.uri(object_id)
        if self._stock is None:
            raise RefusedError(
                f"refused to serve {object_id!r} to stock Pyro5 clients, which cannot prove the key; it needs SECURITY 'none'"
            )
        with self._lock:
            if self._stock.serves(object_id):
                raise WrongAddressError(
                    f"an object {object_id!r} is served already; end that with unserve(), or choose another id"
                )
            self._stock.add(object_id, obj)
        return uri

    def expose(
        self,
        object_id: str,
        methods: Iterable[str],
        attributes: Iterable[str],
        invoke: Callable[[str, tuple[Any, ...], dict[str, Any], Peer], Any],
    ) -> None:
        """Let stock Pyro5 clients call an object that is served; does nothing where security is by key, which they cannot prove.

        Args:
            object_id: Of an object that is served by :meth:`serve`. Exposing it again replaces what was exposed.
            methods: Their names.
            attributes: Their names.
            invoke: Called in a worker with name, positional and named arguments and peer. Attributes are read by the name
                ``__getattr__`` with theirs as argument, and set by ``__setattr__`` with name and value. What it raises, stock
                clients can only rebuild if it is built in.
        """
        with self._lock:
            handler = self._serving.handlers.get(object_id)
            if self._stock is not None and handler is not None:
                self._stock.expose(object_id, handler, methods, attributes, invoke)
                self._exposed.add(object_id)

    def unserve(self, object_id: str) -> None:
        """Serve an object no longer; one that is not served is fine.

        Connections that were made for it are closed where no call runs on them, so that their owners know before they send the
        next one, and look for it elsewhere; but not where security is ``'none'``: stock clients do not look before they send.
        """
        with self._lock:
            self._serving.handlers.pop(object_id, None)
            self._exposed.discard(object_id)
            if self._stock is not None:
                self._stock.remove(object_id)
            ours = self._sessions if self._stock is None else ()
            sessions = {session for session in ours if session.object_id == object_id}
        for session in sessions - self._serving.in_flight():
            session.stream.shutdown()

    def start(self) -> None:
        """Start to answer. Returns at once; twice is fine."""
        with self._lock:
            if self._thread is not None or self._closing:
                return
            _raise_file_limit()
            self._thread = threading.Thread(target=self._loop.run, name=f"{self._name}-io", daemon=True)
            if self._stock is not None:
                self._loop.every(HOUSEKEEPING, self._stock.housekeep)
            self._thread.start()

    def every(self, period: float, function: Callable[[], object]) -> None:
        """Call a function every ``period`` seconds in the I/O thread, first after one period; it must not block."""
        self._loop.every(period, function)

    def on_signal(self, function: Callable[[], object]) -> None:
        """Have a function called in the I/O thread whenever this process gets a signal that has a handler; main thread only.

        The system may give a signal to any thread, while Python runs handlers in the main one alone, when that wakes: this can
        wake it. Nothing is watched for it that is not watched anyway. To be ended by ``signal.set_wakeup_fd(-1)`` before
        :meth:`close`.
        """
        self._loop.on_signal = function
        signal.set_wakeup_fd(self._loop.wake_number(), warn_on_full_buffer=False)

    def close(self, *, timeout: float = 1.0) -> None:
        """Stop accepting, let calls in flight end, close all connections and end the threads. Twice is fine.

        Called by a handler, it leaves that handler's connection open until its answer is sent.

        Args:
            timeout: Seconds that calls in flight get; then their connections are closed, and their callers see it.
        """
        with self._lock:
            if self._closing:
                return
            self._closing = True
        deadline = time.monotonic() + timeout
        self._end_loop(timeout)
        in_flight = self._serving.stop()
        self._hang_up(except_for=in_flight)
        self._serving.wait_calm(max(deadline - time.monotonic(), 0.0))
        own = self._serving.own_session()
        self._hang_up(except_for={own} if own else set())
        self._pool.close()
        self._pool.join(max(deadline - time.monotonic(), 0.1))
        with self._lock:
            left = self._sessions - self._serving.stop()
        for session in left:  # what no worker came to any more
            session.close()

    def _hang_up(self, except_for: set[Session]) -> None:
        with self._lock:
            sessions = self._sessions - except_for
        for session in sessions:
            session.stream.shutdown()

    def _end_loop(self, timeout: float) -> None:
        self._loop.stop()
        if self._thread is None:
            self._loop.finish()
        elif self._thread is not threading.current_thread():
            self._thread.join(timeout)

    # ---------------------------------------------------------------- the I/O thread

    def _greet(self, sock: socket.socket) -> Session:
        authenticator = self._security.authenticator(sock, server=True)
        peer = self._security.peer(sock, authenticator, _address(sock), next(self._connections))
        preamble = Preamble(authenticator, self._security.handshake_policy(frames.CONNECT), self._metadata)
        session = Session(Stream(sock), preamble, peer, self._policy, self._forget)
        if self._stock is not None:
            session.stock = self._stock.connect(session)
        with self._lock:
            self._sessions.add(session)
            self._connected.add(peer.connection)
        return session

    def _metadata(self, object_id: str) -> Metadata | None:
        if object_id in self._serving.handlers and object_id not in self._exposed:
            return OPAQUE_METADATA
        return self._stock.metadata(object_id) if self._stock is not None else None

    def _submit(self, session: Session) -> None:
        self._serving.submit(session)

    def _submit_oneway(self, session: Session, message: frames.Message) -> bool:
        return self._serving.submit_oneway(session, message)

    def _forget(self, session: Session) -> None:
        with self._lock:
            self._sessions.discard(session)
            self._connected.discard(session.peer.connection)
        if self._stock is not None and session.stock is not None:
            self._stock.forget(session.stock)
        if session.preamble is None:
            for function in self._told_ends:
                function(session.peer)


def _stock_daemon(location: str) -> Any:
    from agentlab.control.stock import StockDaemon  # imports Pyro5's server, which nobody else needs

    return StockDaemon(location)


def _advertised(place: Location, advertise: tuple[str, int] | None) -> Location:
    if place.path is not None:
        return place
    host, port = advertise or ("", 0)
    return Location(host=host or reachable_host(place.host or ""), port=port or place.port)


def _address(sock: socket.socket) -> str:
    if sock.family in {socket.AF_INET, socket.AF_INET6}:
        host, port = sock.getpeername()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return str(sock.getsockname())


def _raise_file_limit() -> None:
    """Let this process have more open files than the usual 1,024, as each idle connection is one."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
