"""Calls to a name server and records of its feed, as bytes. Pure.

Everything is msgpack of plain values, under every security: a name server never unpickles, and its errors travel
as type name and text. A request is ``[method, {argument: value}]``, a reply ``[True, value]`` or
``[False, error type, text]``, a record of the feed ``[epoch, number, kind, registration]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgpack

from agentlab.errors import (
    AgentLabError,
    ConfigurationError,
    NameServerError,
    NameTakenError,
    SerializationError,
    UnknownNameError,
)
from agentlab.nameserver.registration import Change, Registration, registration_from_plain

OBJECT_ID = "agentlab.NameServer"
STOCK_OBJECT_ID = "Pyro.NameServer"
BEACON = "beacon"
BEACON_PERIOD = 1.0
"""Seconds between records that only tell the number, so that a lost last change is noticed."""

_ERRORS: dict[str, type[AgentLabError]] = {
    error.__name__: error for error in (ConfigurationError, NameServerError, NameTakenError, UnknownNameError)
}


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the feed: a change, or (``change`` None) the number of the latest."""

    epoch: str
    number: int
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All registrations of a name server, as they were after change ``number``."""

    epoch: str
    number: int
    registrations: dict[str, Registration]


def pack(value: Any) -> bytes:
    """Give plain values as bytes.

    Raises:
        ConfigurationError: it holds something that is not plain.
    """
    try:
        return bytes(msgpack.packb(value))
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigurationError(f"no name server takes this: {error}; use strings, numbers, bytes, lists and dicts") from None


def unpack(data: bytes) -> Any:
    """Give back what :func:`pack` packed; the bytes may be anybody's.

    Raises:
        SerializationError: they are not msgpack.
    """
    try:
        return msgpack.unpackb(data)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise SerializationError(f"not a message of a name server: {error}") from None


def encode_request(method: str, arguments: dict[str, Any]) -> bytes:
    """Give the bytes of a call."""
    return pack([method, arguments])


def decode_request(data: bytes) -> tuple[str, dict[str, Any]]:
    """Give method and arguments of a call.

    Raises:
        SerializationError: the bytes are no call.
    """
    request = unpack(data)
    if isinstance(request, list) and len(request) == 2:
        method, arguments = request
        if isinstance(method, str) and isinstance(arguments, dict) and all(isinstance(key, str) for key in arguments):
            return method, arguments
    raise SerializationError("not a call to a name server; both sides must run the same release")


def encode_result(value: Any) -> bytes:
    """Give the bytes of a good answer."""
    return pack([True, value])


def encode_error(error: AgentLabError) -> bytes:
    """Give the bytes of an answer that raises at the caller, as its own type where that is one of ours."""
    return pack([False, type(error).__name__, str(error)])


def decode_reply(data: bytes) -> Any:
    """Give the value of an answer, or raise the error that it tells.

    Raises:
        NameServerError: or a subclass, or ConfigurationError: what the server raised.
        SerializationError: the bytes are no answer.
    """
    reply = unpack(data)
    if isinstance(reply, list) and len(reply) == 2 and reply[0] is True:
        return reply[1]
    if isinstance(reply, list) and len(reply) == 3 and reply[0] is False:
        raise _ERRORS.get(str(reply[1]), NameServerError)(str(reply[2]))
    raise SerializationError("not an answer of a name server; both sides must run the same release")


def encode_change(change: Change) -> bytes:
    """Give the feed's record of a change."""
    return pack([change.epoch, change.number, change.kind, change.registration.plain()])


def encode_beacon(epoch: str, number: int) -> bytes:
    """Give the feed's record that tells the latest number."""
    return pack([epoch, number, BEACON, None])


def decode_record(data: bytes) -> Record:
    """Give what a record of the feed says.

    Raises:
        SerializationError: it is none.
    """
    plain = unpack(data)
    if not isinstance(plain, list) or len(plain) != 4 or not isinstance(plain[0], str) or not isinstance(plain[1], int):
        raise SerializationError("not a record of a name server's feed")
    epoch, number, kind, content = plain
    if kind == BEACON:
        return Record(epoch, number)
    if kind not in ("registered", "changed", "removed"):
        raise SerializationError(f"a feed tells of an unknown kind of change, {kind!r}")
    return Record(epoch, number, Change(number, kind, registration_from_plain(content), epoch))


def snapshot_to_plain(epoch: str, number: int, registrations: dict[str, Registration]) -> list[Any]:
    """Give a snapshot as plain values."""
    return [epoch, number, [registration.plain() for registration in registrations.values()]]


def snapshot_from_plain(plain: Any) -> Snapshot:
    """Rebuild a snapshot; its values come from a server that is trusted, so they are not checked again one by one."""
    epoch, number, rows = plain
    return Snapshot(epoch, number, {row[0]: Registration(*row) for row in rows})
