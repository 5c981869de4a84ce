"""Where this machine is on the network, as it stands in URIs."""

from __future__ import annotations

import ipaddress
import socket


def reachable_host(host: str) -> str:
    """Give a host under which others reach what listens on ``host``: for a wildcard this machine's outward address."""
    try:
        everywhere = not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host
    return _outward(":" in host) or host if everywhere else host


def _outward(six: bool) -> str | None:
    # RFC 5737 and RFC 3849: addresses of nobody. A datagram socket only picks its route; nothing is sent.
    family, nobody = (socket.AF_INET6, "2001:db8::1") if six else (socket.AF_INET, "192.0.2.1")
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((nobody, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return "::1" if six else "127.0.0.1"  # no network at all: then nobody is elsewhere
