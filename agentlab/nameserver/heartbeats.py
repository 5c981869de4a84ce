"""The sending side of a lease's renewal: one UDP datagram, no answer, no connection to lose."""

from __future__ import annotations

import socket
import time
from typing import Any

from agentlab import keys
from agentlab.errors import ConfigurationError
from agentlab.nameserver.heartbeat import Counter, encode_heartbeat
from agentlab.nameserver.places import nameserver_address, numeric_host, udp_socket
from agentlab.nameserver.registration import Registration
from agentlab.settings import config

KEY_PURPOSE = "heartbeat"
_counter = Counter()  # of the process, not of the sender: one that is built anew must not seem to replay the one before


def heartbeat_key(security: str | None = None) -> bytes | None:
    """Give the key of datagrams' tags; None under security "none"."""
    mode = config["SECURITY"] if security is None else security
    return None if mode == "none" else keys.derive(KEY_PURPOSE)


class Heartbeat:
    """Renews one registration. :meth:`beat` may be called from any one thread at a time; it never blocks.

    Args:
        address: The name server's host and port (UDP and TCP have the same); None: the environment's.
        registration: What :meth:`NameServerClient.register` returned; it needs a lease.
        security: ``keys`` or ``none``; None: as configured.

    Raises:
        ConfigurationError: the registration has no lease, or the host is unknown.
    """

    def __init__(self, address: Any, registration: Registration, *, security: str | None = None) -> None:
        self._packed = b""
        self.update(registration)
        self._key = heartbeat_key(security)
        place = nameserver_address(address)
        host = numeric_host(place.host)
        self._socket: socket.socket | None = udp_socket(host)
        try:
            self._socket.connect((host, place.port))
        except OSError:
            self._socket.close()
            raise

    @property
    def period(self) -> float:
        """Seconds between beats: a third of the lease, so that two may be lost."""
        assert self.registration.lease is not None
        return self.registration.lease / 3

    def update(self, registration: Registration) -> None:
        """Renew this registration from now on, after it was registered with other content."""
        if registration.lease is None:
            raise ConfigurationError(f"{registration.name!r} is registered without a lease, so there is nothing to renew")
        self._packed, self.registration = registration.pack(), registration

    def beat(self) -> bool:
        """Send one renewal.

        Returns:
            Whether it was sent, for all that is known. False: closed, or the system tells that nobody listened there a
            moment ago; go on beating, the name server learns everything from the first beat after its return.
        """
        sock = self._socket  # once: another thread may close it in the middle
        if sock is None:
            return False
        datagram = encode_heartbeat(self._packed, _counter.next(time.time_ns()), self._key)
        try:
            try:
                sock.send(datagram)
            except ConnectionRefusedError:
                # That was the answer to the beat before, told instead of sending this one; the server may be back by now.
                sock.send(datagram)
                return False
        except OSError:  # refused, unreachable, buffer full: the next beat is the remedy for all of them
            return False
        return True

    def close(self) -> None:
        """Close the socket; twice is fine. The lease then runs out, unless the name is removed before."""
        udp, self._socket = self._socket, None
        if udp is not None:
            udp.close()
