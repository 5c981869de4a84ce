"""A name server: TCP for calls and UDP for renewals on one port number, a feed for changes, one loop over it all."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
import selectors
import socket
import time
from collections.abc import Callable
from typing import Protocol

from agentlab.control.uri import Location
from agentlab.errors import AgentLabError, ConfigurationError
from agentlab.nameserver.autoclean import Autocleaner
from agentlab.nameserver.broadcast import BroadcastResponder
from agentlab.nameserver.heartbeat import MAX_DATAGRAM, HeartbeatDecoder
from agentlab.nameserver.heartbeats import heartbeat_key
from agentlab.nameserver.ports import Ports, open_ports
from agentlab.nameserver.protocol import BEACON_PERIOD, OBJECT_ID, STOCK_OBJECT_ID
from agentlab.nameserver.registration import Registration
from agentlab.nameserver.service import NameService
from agentlab.nameserver.storage import KINDS, open_storage
from agentlab.settings import config, runtime_dir
from agentlab.transport.feed import FeedPublisher
from agentlab.transport.security import is_loopback
from agentlab.wire.address import SocketAddress

log = logging.getLogger("agentlab.nameserver")

SWEEP_PERIOD = 0.1
"""Seconds that a lease may be over before it is noticed: a turn of the loop for every single lease would cost more."""
STALL = 0.5
"""Seconds that a turn may be late before all leases are lengthened: nobody could renew while the server stood still."""
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
        storage_type: ``memory``, ``dbm`` or ``sql``. Restarted with ``memory``, it learns every live agent again by the
            next renewal of its lease; until then a newcomer may take an agent's name, and names without a lease are gone.
            Restarted with a file, it knows everybody at once, and each lease begins anew.
        storage_file: The file of names; not looked at for ``memory``. One name server at a time may use it.
        autoclean: Seconds between two rounds in which every registration without a lease is tried; those where nobody
            listens are removed, those out of reach after 20 s. 0: never.
        broadcast: Host and UDP port where stock programs' ``locate_ns()`` is answered (see :mod:`~.broadcast`); None: it
            is not. Under ``keys`` it never is: a stock program cannot prove the key.

    Raises:
        ConfigurationError: an argument cannot be.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 9090,
        *,
        security: str | None = None,
        storage_type: str = "memory",
        storage_file: str | os.PathLike[str] | None = None,
        autoclean: float = 0.0,
        broadcast: tuple[str, int] | None = None,
    ) -> None:
        for number, name in ((port, "port"), *([(broadcast[1], "broadcast port")] if broadcast else [])):
            if not 0 <= number <= 65535:
                raise ConfigurationError(f"{name} {number} does not exist; allowed are 0 (any free one) to 65535")
        if storage_type not in KINDS:
            raise ConfigurationError(f"storage type {storage_type!r} does not exist; allowed are {', '.join(KINDS)}")
        if not (autoclean >= 0 and math.isfinite(autoclean)):
            raise ConfigurationError(f"autoclean is {autoclean!r}; give seconds, or 0 for never")
        self._host, self._port = host, port
        self._security: str = config["SECURITY"] if security is None else security
        self._storage_type, self._storage_file = storage_type, storage_file
        self._autoclean, self._broadcast = autoclean, broadcast
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
            NameServerError: a port is in use.
            RefusedError: the host is open to other machines, and they have no keys.
            ConfigurationError: the file of names cannot be used; the text says why.
        """
        with contextlib.ExitStack() as opened:
            opened.callback(self._close_wakers)
            opened.callback(self.service.close)  # after the daemon, whose calls write
            ports = open_ports(self._host, self._port, self._security, self.service.handle)
            opened.callback(ports.close)
            address = self.address = ports.address
            storage = open_storage(self._storage_type, self._storage_file)
            if storage is not None:
                self.service.restore(storage)
            if self._security == "none":
                self._serve_stock(ports)
            responder = self._open_responder(address)
            if responder is not None:
                opened.callback(responder.close)
            publisher = FeedPublisher(self._feed_endpoint())
            opened.callback(publisher.close)
            self.service.places.update(address=str(address), feed=publisher.endpoint)
            ports.daemon.start()
            if self._autoclean:
                opened.enter_context(Autocleaner(self.service, self._autoclean))
            log.info("name server at %s, security %s, storage %s", address, self._security, self._storage_type)
            if on_ready is not None:
                on_ready(str(address))
            self._loop(ports.udp, publisher, responder, should_stop or (lambda: False))
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

    def _serve_stock(self, ports: Ports) -> None:
        from agentlab.nameserver.stock import StockNameServer  # Pyro5 is needed for this alone

        uri = ports.uri.replace(OBJECT_ID, STOCK_OBJECT_ID)
        ports.daemon.serve_stock(STOCK_OBJECT_ID, StockNameServer(self.service, uri))

    def _open_responder(self, address: SocketAddress) -> BroadcastResponder | None:
        if self._broadcast is None:
            return None
        host, port = self._broadcast
        if self._security != "none":
            log.info(
                "broadcasts at %s:%s are not answered under security 'keys': stock programs cannot prove the key", host, port
            )
            return None
        responder = BroadcastResponder(host, port, Location(host=address.host, port=address.port), STOCK_OBJECT_ID)
        log.info("broadcasts are answered at %s:%s", host, responder.port)
        return responder

    def _feed_endpoint(self) -> str:
        assert self.address is not None
        host, port = self.address.host, self.address.port
        if os.name != "posix" or not is_loopback(host):
            return f"tcp://{SocketAddress(host, 0)}"
        # Always the same for one address, so that subscribers find it again after a restart.
        return f"ipc://{runtime_dir() / f'ns-{hashlib.sha256(host.encode()).hexdigest()[:8]}-{port}.feed'}"

    def _loop(
        self, udp: socket.socket, publisher: Publisher, responder: BroadcastResponder | None, should_stop: Callable[[], bool]
    ) -> None:
        decoder = HeartbeatDecoder(heartbeat_key(self._security))
        next_beacon = next_sweep = woken = ended = time.monotonic()
        came = False
        with selectors.DefaultSelector() as everything, selectors.DefaultSelector() as calls_only:
            everything.register(udp, selectors.EVENT_READ)
            if responder is not None:
                everything.register(responder, selectors.EVENT_READ)
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
                passed, woken = now - woken, now  # what the last turn took is in it: a slow disk may have held it up
                with contextlib.suppress(BlockingIOError):
                    self._wake_end.recv(4096)
                # All that came while we stood still counts before any lease is found over; but a flood has a limit.
                came = self._drain(udp, decoder)
                if responder is not None:
                    came = responder.answer() or came
                if passed > planned + STALL:
                    log.warning("the name server stood still for %.1f s; all leases are lengthened by that", passed)
                    self.service.expire(granted=passed)
                elif expiry is not None and max(expiry, next_sweep) <= now:
                    self.service.expire()
                    next_sweep = now + SWEEP_PERIOD
                beacon = now >= next_beacon
                for record in self.service.take_records(beacon):
                    publisher.publish(record)
                if beacon:
                    self.service.keep_rest()
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
