"""Which host of a lab file is this machine."""

from __future__ import annotations

import functools
import ipaddress
import socket

import psutil

_ALWAYS_HERE = frozenset(("", "localhost", "public", "*"))


def is_here(host: str) -> bool:
    """Tell whether a host is this machine: by its name, or by one of its addresses. Asks the system's resolver once a host.

    One that nobody knows is not.
    """
    return _is_here(host.strip().lower())


def is_known(host: str) -> bool:
    """Tell whether a host is an address, or a name that the system's resolver knows: this machine or another one."""
    host = host.strip().lower()
    return _is_here(host) or _address(host) is not None or bool(_addresses_of(host))


@functools.lru_cache(maxsize=256)
def _is_here(host: str) -> bool:
    own_name = socket.gethostname().lower()
    if host in _ALWAYS_HERE or host in (own_name, own_name.partition(".")[0]):
        return True
    literal = _address(host)
    if literal is not None:
        return literal.is_loopback or literal.is_unspecified or str(literal) in _own_addresses()
    found = _addresses_of(host)
    return any(ipaddress.ip_address(one).is_loopback or one in _own_addresses() for one in found)


@functools.lru_cache(maxsize=256)
def _addresses_of(host: str) -> frozenset[str]:
    try:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # what cannot be a name at all is a UnicodeError
        return frozenset()
    return frozenset(str(info[4][0]).partition("%")[0] for info in infos)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _own_addresses() -> set[str]:
    return {
        address.address.partition("%")[0]
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family in (socket.AF_INET, socket.AF_INET6)
    }
