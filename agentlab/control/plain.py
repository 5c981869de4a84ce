"""Plain data as msgpack, for calls where no key is proved: read without running anything, whoever sent it.

Beyond msgpack's own types it carries tuples, sets, and the values that say where a socket is.
"""

from __future__ import annotations

from typing import Any, Final

import msgpack

from agentlab.errors import SerializationError
from agentlab.wire.address import AgentAddress, SocketAddress
from agentlab.wire.channel import AgentChannel, address_from_plain, address_to_plain

_TUPLE: Final = 1
_SET: Final = 2
_FROZENSET: Final = 3
_PLACE: Final = 4
_ADDRESS: Final = 5

_COLLECTIONS: Final = {_TUPLE: tuple, _SET: set, _FROZENSET: frozenset}
_NUMBERS: Final = (int, float)


class _Mark:
    """Stands first in a list that is to become a collection of another type.

    Nested bytes would do too, but a hostile nest of them would be read by recursion, each level on the C stack.
    """

    def __init__(self, make: Any) -> None:
        self.make = make


_MARKS: Final = {code: _Mark(make) for code, make in _COLLECTIONS.items()}


def pack(value: Any) -> bytes:
    """Give plain data as bytes. Members of enumerations, NumPy floats and their like go as the plain type they inherit from.

    Raises:
        TypeError: something in it is not plain.
        ValueError, OverflowError, RecursionError: it is too large or too deep.
    """
    return bytes(msgpack.packb(value, default=_told, strict_types=True))


def unpack(data: bytes) -> Any:
    """Give the value of bytes that :func:`pack` made.

    Raises:
        SerializationError: they are damaged, or describe what cannot be; hostile bytes raise nothing else.
    """
    try:
        return msgpack.unpackb(data, strict_map_key=False, ext_hook=_extended, list_hook=_listed)
    except (ValueError, TypeError, RecursionError, MemoryError, msgpack.UnpackException) as error:
        text = " ".join(str(error).split())[:300]
        raise SerializationError(
            f"these {len(data)} bytes are no msgpack ({type(error).__name__}: {text}); use the same SECURITY on both sides"
        ) from None


def _told(value: Any) -> Any:  # noqa: PLR0911 - one for each type
    """Give what msgpack does not know in terms of what it knows."""
    if isinstance(value, tuple):
        return [msgpack.ExtType(_TUPLE, b""), *value]
    if isinstance(value, (set, frozenset)):
        return [msgpack.ExtType(_FROZENSET if isinstance(value, frozenset) else _SET, b""), *value]
    if isinstance(value, SocketAddress):
        return msgpack.ExtType(_PLACE, str(value).encode())
    if isinstance(value, (AgentAddress, AgentChannel)):
        return msgpack.ExtType(_ADDRESS, msgpack.packb(address_to_plain(value)))
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, list):
        return list(value)
    if isinstance(value, (memoryview, bytes, bytearray)):
        return bytes(value)
    if isinstance(value, str):
        return str.__str__(value)  # str() of an enumeration's member may be its name
    for base in _NUMBERS:
        if isinstance(value, base):
            return base(value)
    raise TypeError(f"can not serialize {type(value).__qualname__!r} object")


def _extended(code: int, data: bytes) -> Any:
    if code in _MARKS:
        return _MARKS[code]
    if code == _PLACE:
        return SocketAddress.parse(data.decode())
    if code == _ADDRESS:
        return address_from_plain(msgpack.unpackb(data))
    raise ValueError(f"extension {code} is unknown")


def _listed(items: list[Any]) -> Any:
    if items and type(items[0]) is _Mark:
        return items[0].make(items[1:])
    return items
