"""The two ports of a name server, TCP for calls and UDP for renewals, which have one number."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from agentlab.control.answers import Handler
from agentlab.control.daemon import ControlDaemon
from agentlab.control.uri import parse_uri
from agentlab.errors import AgentLabError, NameServerError
from agentlab.nameserver.places import numeric_host, udp_socket
from agentlab.nameserver.protocol import OBJECT_ID
from agentlab.wire.address import SocketAddress

_ATTEMPTS = 50
_RECEIVE_BUFFER = 4 * 1024 * 1024


@dataclass
class Ports:
    """What is open: the daemon (not started), the socket of renewals, where they are, and the URI of calls."""

    daemon: ControlDaemon
    udp: socket.socket
    address: SocketAddress
    uri: str

    def close(self) -> None:
        """Close both; twice is fine."""
        self.daemon.close()
        self.udp.close()


def open_ports(host: str, port: int, security: str, handler: Handler) -> Ports:
    """Listen for calls and for renewals.

    Args:
        host: Where, and nowhere else.
        port: Their number; 0: any that is free for both.
        security: ``keys`` or ``none``.
        handler: Answers the calls.

    Raises:
        NameServerError: the port is in use.
        RefusedError: the host is open to other machines, and they have no keys.
    """
    numeric = numeric_host(host)
    for _ in range(_ATTEMPTS if port == 0 else 1):
        # The daemon first: it is who refuses a host that is open to strangers.
        daemon = _open_daemon(host, numeric, port, security)
        udp = udp_socket(numeric)
        try:
            uri = daemon.serve(OBJECT_ID, handler)
            number = parse_uri(uri)[1].port
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            udp.bind((numeric, number))
        except OSError as error:
            udp.close()
            daemon.close()
            problem = error.strerror
        else:
            return Ports(daemon, udp, SocketAddress(numeric, number), uri)
    raise NameServerError(f"cannot listen at {host}:{port} (udp): {problem}; choose another port")


def _open_daemon(host: str, numeric: str, port: int, security: str) -> ControlDaemon:
    try:
        return ControlDaemon(host=numeric, port=port, security=security, name="nameserver")
    except OSError as error:
        if isinstance(error, AgentLabError):
            raise
        raise NameServerError(f"cannot listen at {host}:{port}: {error.strerror}; choose another port") from None
