"""Where a socket is, as values: host and port, and the address that says everything about one socket.

No value of this module knows a socket; all are immutable, so any thread may use them. The names of kinds, roles,
transports and serializers come from :mod:`agentlab.wire.kinds` and can be imported from here too.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Any, ClassVar, NoReturn, Self

from agentlab.errors import WrongAddressError
from agentlab.wire.kinds import (
    AgentAddressKind,
    AgentAddressRole,
    AgentAddressSerializer,
    AgentAddressTransport,
    AgentChannelKind,
    guess_kind,
    shown,
)

__all__ = [
    "AgentAddress",
    "AgentAddressKind",
    "AgentAddressRole",
    "AgentAddressSerializer",
    "AgentAddressTransport",
    "AgentChannelKind",
    "SocketAddress",
    "address_to_host_port",
    "guess_kind",
]

_HOST_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")
_NUMERIC = re.compile(r"[0-9.]+")


class Value:
    """Base of immutable values: equal, hashed and pickled by their fields. Subclasses fill ``_fields`` and ``__slots__``."""

    __slots__ = ("_hash",)
    _fields: ClassVar[tuple[str, ...]] = ()
    _hash: int

    def _fill(self, **fields: Any) -> None:
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        # Addresses are keys of dicts on the path of every message, so the hash is made once.
        object.__setattr__(self, "_hash", hash(self._key()))

    def _key(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._fields)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Value) or self._fields != other._fields:
            return NotImplemented
        return self._hash == other._hash and self._key() == other._key()

    def __hash__(self) -> int:
        return self._hash

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable, {name!r} cannot be set; make a new one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable, {name!r} cannot be deleted")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._key()


class SocketAddress(Value):
    """Host and port, as a value; its text is ``host:port``, with brackets round an IPv6 host.

    Args:
        host: IPv4 or IPv6 address (with or without brackets), host name, or ``*`` for every interface.
        port: 0 to 65535; 0 asks for a free one.

    Raises:
        WrongAddressError: the host or the port cannot be.
    """

    __slots__ = ("host", "port")
    _fields = ("host", "port")
    host: str
    port: int

    def __init__(self, host: str, port: int) -> None:
        self._fill(host=_checked_host(host), port=_checked_port(port))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Give the address that a text ``host:port`` or ``[ipv6]:port`` says.

        Raises:
            WrongAddressError: it says none, or no port.
        """
        host, port = _split(text)
        if port is None:
            raise WrongAddressError(f"{text!r} names no port; write host:port")
        return cls(host, port)

    def __repr__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class AgentAddress(Value):
    """Where and what one socket is: everything that the other end needs in order to connect.

    Args:
        transport: ``tcp``, ``ipc`` or ``inproc``.
        address: tcp: a :class:`SocketAddress`, or its text; ipc: the path of the socket file; inproc: a name.
        kind: See :class:`AgentAddressKind`.
        role: ``server`` (binds) or ``client`` (connects).
        serializer: See :class:`AgentAddressSerializer`.

    Raises:
        WrongAddressError: one of them does not exist; the message names what is allowed.
    """

    __slots__ = _fields = ("transport", "address", "kind", "role", "serializer")
    transport: AgentAddressTransport
    address: SocketAddress | str
    kind: AgentAddressKind
    role: AgentAddressRole
    serializer: AgentAddressSerializer

    def __init__(
        self,
        transport: AgentAddressTransport | str,
        address: SocketAddress | str | os.PathLike[str],
        kind: AgentAddressKind | str,
        role: AgentAddressRole | str,
        serializer: AgentAddressSerializer | str,
    ) -> None:
        transport = AgentAddressTransport(transport)
        self._fill(
            transport=transport,
            address=_checked_place(transport, address),
            kind=AgentAddressKind(kind),
            role=AgentAddressRole(role),
            serializer=AgentAddressSerializer(serializer),
        )

    def twin(self) -> AgentAddress:
        """Give the address of the other end: same place, other kind and role."""
        return AgentAddress(self.transport, self.address, self.kind.twin(), self.role.twin(), self.serializer)

    def endpoint(self) -> str:
        """Give the text that ZeroMQ binds or connects: ``tcp://127.0.0.1:80``, ``ipc:///path``, ``inproc://name``."""
        return f"{self.transport}://{self.address}"

    def __repr__(self) -> str:
        return f"AgentAddress({self.transport}, {self.address}, {self.kind}, {self.role}, {self.serializer})"


def address_to_host_port(address: Any = None) -> tuple[str | None, int | None]:
    """Give host and port of whatever names them.

    Args:
        address: None; text with or without a port; anything with ``host`` and ``port``; an :class:`AgentAddress` of tcp.

    Returns:
        ``(None, None)`` for None; the port is None where a text names none.

    Raises:
        WrongAddressError: it names no host.
    """
    if address is None:
        return None, None
    if isinstance(address, str):
        return _split(address)
    if isinstance(address, AgentAddress):
        if not isinstance(address.address, SocketAddress):
            raise WrongAddressError(f"{address!r} has no host and port; only tcp has")
        return address.address.host, address.address.port
    if hasattr(address, "host") and hasattr(address, "port"):
        return _checked_host(address.host), None if address.port is None else _checked_port(address.port)
    raise WrongAddressError(f"{shown(address)} is no address; give host:port, a SocketAddress or an AgentAddress of tcp")


def _split(text: str) -> tuple[str, int | None]:
    if not text.startswith("[") and text.count(":") > 1:
        return _checked_host(text), None  # an IPv6 host without brackets: its colons leave no room for a port
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        return _checked_host(text), None
    if not (port.isascii() and port.isdigit() and len(port) <= 5):
        raise WrongAddressError(f"{text!r} has the port {port!r}; a port is a number from 0 to 65535")
    return _checked_host(host), _checked_port(int(port))


def _checked_host(host: object) -> str:
    wrong = WrongAddressError(f"{shown(host)} is no host; give an IPv4 or IPv6 address or a host name")
    if not isinstance(host, str):
        raise wrong
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        if ":" in bare:
            return str(ipaddress.IPv6Address(bare))
        if _NUMERIC.fullmatch(host):
            return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise wrong from None
    if host != "*" and not _HOST_NAME.fullmatch(host):
        raise wrong
    return str(host)


def _checked_port(port: object) -> int:
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
        raise WrongAddressError(f"{shown(port)} is no port; a port is an int from 0 to 65535")
    return int(port)


def _checked_place(transport: AgentAddressTransport, address: object) -> SocketAddress | str:
    if transport is AgentAddressTransport.tcp:
        if isinstance(address, SocketAddress):
            return address
        if isinstance(address, str):
            return SocketAddress.parse(address)
        raise WrongAddressError(f"{shown(address)} is no address of tcp; give a SocketAddress or the text host:port")
    place = os.fspath(address) if isinstance(address, os.PathLike) else address
    if not isinstance(place, str) or not place or "\0" in place:
        raise WrongAddressError(f"{shown(address)} is no address of {transport}; give a text that is not empty and holds no NUL")
    return str(place)
