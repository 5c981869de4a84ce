"""Where a name server is: host and port from what users write, and the numeric address that both its sockets share."""

from __future__ import annotations

import os
import socket
from typing import Any

from agentlab.errors import ConfigurationError, NameServerUnavailableError, WrongAddressError
from agentlab.settings import NAMESERVER_VARIABLE
from agentlab.wire.address import SocketAddress, address_to_host_port

DEFAULT_PORT = 9090


def nameserver_address(address: Any = None) -> SocketAddress:
    """Give where the name server is: what is given, else what ``AGENTLAB_NAMESERVER_ADDRESS`` says.

    Args:
        address: ``host:port``, ``host`` (port 9090), anything with ``host`` and ``port``, or None.

    Raises:
        NameServerUnavailableError: neither says anything.
        WrongAddressError: what is said is no address.
    """
    if address is None:
        address = os.environ.get(NAMESERVER_VARIABLE) or None
        if address is None:
            raise NameServerUnavailableError(
                f"no name server is known; call run_nameserver(), pass an address, or set {NAMESERVER_VARIABLE} to host:port"
            )
    host, port = address_to_host_port(address)
    if host is None:
        raise WrongAddressError(f"{address!r} names no host; write host:port")
    return SocketAddress(host, DEFAULT_PORT if port is None else port)


def numeric_host(host: str) -> str:
    """Give the address of a host as numbers, IPv4 where it has one: TCP and UDP must mean the same address.

    Raises:
        ConfigurationError: the host is unknown.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigurationError(f"host {host!r} cannot be found: {error.strerror}; write an address instead") from None
    found.sort(key=lambda info: info[0] != socket.AF_INET)
    return str(found[0][4][0])


def udp_socket(host: str) -> socket.socket:
    """Give a UDP socket, not blocking, of the family of a numeric host."""
    udp = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    udp.setblocking(False)
    return udp
