"""Answering stock programs that look for a name server by a broadcast datagram.

``Pyro5.api.locate_ns()`` sends ``GET_NSURI`` to everybody on the network and believes the first URI that comes back. So
this answers only where such a program could go on: under security "none". Under "keys" nothing is opened and nobody is
answered, as a stock program cannot prove a key; agentlab's own programs never look for a name server in this way, for an
answer proves nothing.

An answer is a few times as long as the question, and the sender of a datagram can be forged. So answers are few: see
:class:`RateLimit`. Everything but that one question is dropped without an answer.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable

from agentlab.control.uri import Location
from agentlab.errors import NameServerError
from agentlab.nameserver.places import numeric_host, udp_socket
from agentlab.transport.security import is_loopback

log = logging.getLogger("agentlab.nameserver")

QUESTION = b"GET_NSURI"
_DRAIN = 64
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


class RateLimit:
    """At most so many answers a second, and so many to one address. Pure.

    Args:
        total: To all addresses together.
        each: To one address: a program that looks asks three times.
    """

    def __init__(self, total: int = 50, each: int = 5) -> None:
        self._total, self._each = total, each
        self._second = -1
        self._given: dict[str, int] = {}
        self._sum = 0

    def allows(self, address: str, now: float) -> bool:
        """Tell whether an address may be answered now, and count that it is."""
        if int(now) != self._second:
            self._second, self._sum = int(now), 0
            self._given.clear()
        given = self._given.get(address, 0)
        if given >= self._each or self._sum >= self._total:
            return False
        self._given[address] = given + 1
        self._sum += 1
        return True


class BroadcastResponder:
    """Answers the question. One thread; nothing here blocks.

    Args:
        host: Where it listens. A loopback address hears programs of this machine only; any other one means all
            networks of this machine, because broadcasts reach no socket that is bound to a single address.
        port: The UDP port; 0: any that is free.
        served: Where the name server is.
        object_id: What stock programs look for there.
        clock: Seconds that only grow.

    Raises:
        NameServerError: the port is in use.
    """

    def __init__(
        self, host: str, port: int, served: Location, object_id: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._served, self._object_id, self._clock = served, object_id, clock
        self._limit = RateLimit()
        address = numeric_host(host)
        if not is_loopback(address):
            address = "::" if ":" in address else "0.0.0.0"  # noqa: S104 - see the docstring
        self._socket = udp_socket(address)
        try:
            self._socket.bind((address, port))
        except OSError as error:
            self._socket.close()
            raise NameServerError(
                f"cannot hear broadcasts at {host}:{port} (udp): {error.strerror}; choose another ns_bcport, or drop ns_bchost"
            ) from None
        self.port: int = self._socket.getsockname()[1]

    def fileno(self) -> int:
        """Give the descriptor, for a selector."""
        return self._socket.fileno()

    def answer(self) -> bool:
        """Answer what has come, up to a limit; tell whether anything had."""
        for count in range(_DRAIN):
            try:
                datagram, sender = self._socket.recvfrom(len(QUESTION) + 1)
            except BlockingIOError:
                return count > 0
            except OSError as error:  # what an earlier answer met, or a datagram that is longer (Windows)
                log.debug("broadcast: %s", error)
                continue
            if datagram == QUESTION and self._limit.allows(sender[0], self._clock()):
                self._tell(sender)
        return True

    def close(self) -> None:
        """Close the socket; twice is fine."""
        self._socket.close()

    def _tell(self, sender: tuple[str, int]) -> None:
        host = str(self._served.host)
        with contextlib.suppress(OSError):  # they ask again
            if host in _WILDCARDS:
                host = _own_address(sender)
            elif is_loopback(host) and not is_loopback(sender[0]):
                return  # another machine's: it could not come here
            uri = Location(host=host, port=self._served.port).uri(self._object_id)
            self._socket.sendto(uri.encode(), sender)


def _own_address(asker: tuple[str, int]) -> str:
    """Give the address of this machine that somebody else reaches it by; nothing is sent for it."""
    with udp_socket(asker[0]) as probe:
        probe.connect(asker)
        return str(probe.getsockname()[0])
