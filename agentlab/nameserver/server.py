"""A name server: TCP for calls and UDP for renewals on one port number, a feed for changes, one loop over it all."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import selectors
import socket
import time
from collections.abc import Callable
from typing import Protocol

from agentlab.control.daemon import ControlDaemon
from agentlab.control.uri import parse_uri
from agentlab.errors import AgentLabError, ConfigurationError, NameServerError
from agentlab.nameserver.heartbeat import MAX_DATAGRAM, HeartbeatDecoder
from agentlab.nameserver.heartbeats import heartbeat_key
from agentlab.nameserver.places import numeric_host, udp_socket
from agentlab.nameserver.protocol import BEACON_PERIOD, OBJECT_ID, STOCK_OBJECT_ID
from agentlab.nameserver.registration import Registration
from agentlab.nameserver.service import NameService
from agentlab.settings import config, runtime_dir
from agentlab.transport.feed import FeedPublisher
from agentlab.transport.security import is_loopback
from agentlab.wire.address import SocketAddress

log = logging.getLogger("agentlab.nameserver")

PORT_ATTEMPTS = 50
SWEEP_PERIOD = 0.1
"""Seconds that a lease may be over before it is noticed: a turn of the loop for every single lease would cost more."""
STALL = 0.5
"""Seconds that a turn may be late before all leases are lengthened: nobody could renew while the server stood still."""
RECEIVE_BUFFER = 4 * 1024 * 1024
DRAIN = 5000
REST = 0.01
"""Seconds that renewals wait for company: a thousand agents renew one by one, and every turn of the loop costs."""


class Publisher(Protocol):
    """What publishes the feed."""

    endpoint: str

    def publish(self, record: bytes) -> None:
        """Send one record to all subscribers."""

    def close(self) -> None:
        """Free the socket."""


class NameServer:
    """A name server in the calling process. :meth:`run` serves in the calling thread until :meth:`stop`.

    Args:
        host: Where it listens, and nowhere else.
        port: Number of its TCP and of its UDP port; 0: any that is free for both.
        security: ``keys`` or ``none``; None: as configured.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 9090, *, security: str | None = None) -> None:
        self._host, self._port = host, port
        self._security: str = config["SECURITY"] if security is None else security
        self._waker, self._wake_end = socket.socketpair()
        self._waker.setblocking(False)
        self._wake_end.setblocking(False)
        self._stopping = False
        self.service = NameService(self._wake, self.stop)
        self.address: SocketAddress | None = None

    def run(self, on_ready: Callable[[str], None] | None = None, should_stop: Callable[[], bool] | None = None) -> None:
        """Serve until :meth:`stop`, a call ``shutdown``, or ``should_stop`` (asked about once a second) says so.

        Args:
            on_ready: Called once with the address ``host:port`` when calls are answered.
            should_stop: Asked whether to end.

        Raises:
            NameServerError: the port is in use.
            RefusedError: the host is open to other machines, and they have no keys.
        """
        with contextlib.ExitStack() as opened:
            opened.callback(self._close_wakers)
            daemon, udp = self._open_ports()
            opened.callback(daemon.close)
            opened.callback(udp.close)
            publisher = FeedPublisher(self._feed_endpoint())
            opened.callback(publisher.close)
            address = self.address
            self.service.places.update(address=str(address), feed=publisher.endpoint)
            daemon.start()
            log.info("name server at %s, security %s", address, self._security)
            if on_ready is not None:
                on_ready(str(address))
            self._loop(udp, publisher, should_stop or (lambda: False))
        log.info("name server at %s has ended", address)

    def stop(self) -> None:
        """Ask :meth:`run` to return. From any thread, a signal handler or a call; twice is fine."""
        self._stopping = True
        self._wake()

    def _wake(self) -> None:
        # Full: it is awake already. Closed: nobody has to be woken.
        with contextlib.suppress(OSError):
            self._waker.send(b"w")

    def _close_wakers(self) -> None:
        self._waker.close()
        self._wake_end.close()

    def _open_ports(self) -> tuple[ControlDaemon, socket.socket]:
        host = numeric_host(self._host)
        for _ in range(PORT_ATTEMPTS if self._port == 0 else 1):
            # The daemon first: it is who refuses a host that is open to strangers.
            daemon, port = self._open_daemon(host)
            udp = udp_socket(host)
            try:
                udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
                udp.bind((host, port))
            except OSError as error:
                udp.close()
                daemon.close()
                problem = error.strerror
            else:
                self.address = SocketAddress(host, port)
                return daemon, udp
        raise NameServerError(f"cannot listen at {self._host}:{self._port} (udp): {problem}; choose another port")

    def _open_daemon(self, host: str) -> tuple[ControlDaemon, int]:
        try:
            daemon = ControlDaemon(host=host, port=self._port, security=self._security, name="nameserver")
        except OSError as error:
            if isinstance(error, AgentLabError):
                raise
            raise NameServerError(f"cannot listen at {self._host}:{self._port}: {error.strerror}; choose another port") from None
        uri = daemon.serve(OBJECT_ID, self.service.handle)
        if self._security == "none":
            from agentlab.nameserver.stock import StockNameServer  # Pyro5 is needed for this alone

            daemon.serve_stock(STOCK_OBJECT_ID, StockNameServer(self.service, uri.replace(OBJECT_ID, STOCK_OBJECT_ID)))
        return daemon, parse_uri(uri)[1].port

    def _feed_endpoint(self) -> str:
        assert self.address is not None
        host, port = self.address.host, self.address.port
        if os.name != "posix" or not is_loopback(host):
            return f"tcp://{SocketAddress(host, 0)}"
        # Always the same for one address, so that subscribers find it again after a restart.
        return f"ipc://{runtime_dir() / f'ns-{hashlib.sha256(host.encode()).hexdigest()[:8]}-{port}.feed'}"

    def _loop(self, udp: socket.socket, publisher: Publisher, should_stop: Callable[[], bool]) -> None:
        decoder = HeartbeatDecoder(heartbeat_key(self._security))
        next_beacon = next_sweep = ended = time.monotonic()
        came = False
        with selectors.DefaultSelector() as everything, selectors.DefaultSelector() as calls_only:
            everything.register(udp, selectors.EVENT_READ)
            for selector in (everything, calls_only):
                selector.register(self._wake_end, selectors.EVENT_READ)
            while not self._stopping and not should_stop():
                expiry = self.service.next_expiry()
                wanted = next_beacon if expiry is None else min(next_beacon, max(expiry, next_sweep))
                planned = max(0.0, wanted - ended)
                if came:
                    planned = min(planned, REST)
                (calls_only if came else everything).select(planned)
                now = time.monotonic()
                stalled = now - ended > planned + STALL
                with contextlib.suppress(BlockingIOError):
                    self._wake_end.recv(4096)
                # All that came while we stood still counts before any lease is found over; but a flood has a limit.
                came = self._drain(udp, decoder)
                if stalled:
                    log.warning("the name server stood still for %.1f s; all leases are lengthened by that", now - ended)
                    self.service.expire(granted=now - ended)
                elif expiry is not None and max(expiry, next_sweep) <= now:
                    self.service.expire()
                    next_sweep = now + SWEEP_PERIOD
                beacon = now >= next_beacon
                for record in self.service.take_records(beacon):
                    publisher.publish(record)
                if beacon:
                    next_beacon = now + BEACON_PERIOD
                ended = time.monotonic()

    def _drain(self, udp: socket.socket, decoder: HeartbeatDecoder) -> bool:
        """Take in what has come, up to a limit; tell whether anything had."""
        renewed: list[Registration] = []
        wall = time.time()
        received = 0
        for received in range(DRAIN):  # noqa: B007 - how many came before there was none
            try:
                datagram = udp.recv(MAX_DATAGRAM + 1)
            except BlockingIOError:
                break
            except OSError as error:  # Windows reports here what an earlier datagram met
                log.debug("udp: %s", error)
                continue
            try:
                renewed.append(decoder.decode(datagram, wall))
            except AgentLabError as error:
                self.service.counts["refused"] += 1
                log.debug("datagram dropped: %s", error)
        if renewed:
            self.service.renew(renewed)
        return received > 0


def serve_nameserver(
    host: str = "127.0.0.1",
    port: int = 9090,
    *,
    security: str | None = None,
    on_ready: Callable[[str], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> None:
    """Serve a name server in the calling thread until it is asked to end; see :class:`NameServer`."""
    if not 0 <= port <= 65535:
        raise ConfigurationError(f"port {port} does not exist; allowed are 0 (any free one) to 65535")
    NameServer(host, port, security=security).run(on_ready, should_stop)
