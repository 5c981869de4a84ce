"""Pyro5's wire messages, as bytes. Pure: no socket, no clock.

Written with :mod:`struct` where Pyro5 builds objects, because each call passes here twice on either side. A
message is a header of 40 bytes, annotations (never ours), a body. A call's body is msgpack
``[object id, method, [payload], {}]``, in the one form that msgpack gives it; an answer's is the payload alone.

Source: ``Pyro5/protocol.py``, protocol version 502; https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from agentlab.errors import CommunicationError, SerializationError

MAGIC: Final = b"PYRO"
VERSION: Final = 502
MAGIC_NUMBER: Final = 0x4DC5
HEADER: Final = struct.Struct("!4sHBBHHII16sHH")
HEADER_SIZE: Final = HEADER.size
NO_CORRELATION: Final = bytes(16)

CONNECT, CONNECT_OK, CONNECT_FAIL, INVOKE, RESULT, PING = 1, 2, 3, 4, 5, 6
EXCEPTION, COMPRESSED, ONEWAY, BATCH, STREAM, KEEP_SERIALIZED, CORRELATION = 1, 2, 4, 8, 16, 32, 64
SERPENT, MARSHAL, JSON, MSGPACK = 1, 2, 3, 4

NOT_SERVED: Final = "not served"
"""Instead of a type name in a failure: the object was served once on this connection, and is no more. Nothing has run."""
SMALL: Final = 64 * 1024
"""Bytes up to which copying a message into one piece is cheaper than sending it in several."""
OVERHEAD: Final = 1024
"""What a message may be longer than its payload: object id, method, lengths."""

Buffer = bytes | bytearray
Parts = list[bytes]

_BIN = {0xC4: struct.Struct("!B"), 0xC5: struct.Struct("!H"), 0xC6: struct.Struct("!I")}
_STR = {0xD9: struct.Struct("!B"), 0xDA: struct.Struct("!H")}


class BadMessageError(CommunicationError):
    """Bytes that are no message, or a message that is not accepted here. The connection ends."""


@dataclass(slots=True)
class Message:
    """One received message: ``data`` holds it whole, header included; its body starts at ``start``."""

    kind: int
    serializer: int
    flags: int
    seq: int
    data: Buffer
    start: int

    def body(self) -> bytes:
        """Give a copy of the body."""
        return bytes(memoryview(self.data)[self.start :])


def pack(kind: int, flags: int, seq: int, serializer: int, body: bytes) -> bytes:
    """Give a whole message without annotations."""
    header = HEADER.pack(MAGIC, VERSION, kind, serializer, flags, seq, len(body), 0, NO_CORRELATION, 0, MAGIC_NUMBER)
    return header + body


def call_head(object_id: str, method: str) -> bytes:
    """Give what stands before the payload in the body of each call of that method."""
    return bytes(b"\x94" + msgpack.packb(object_id) + msgpack.packb(method) + b"\x91")


def pack_call(head: bytes, payload: bytes, flags: int, seq: int) -> Parts:
    """Give a call's message in parts to be sent one after the other."""
    return _pack_parts(INVOKE, flags, seq, head + _bin_head(len(payload)), payload, b"\x80")


def pack_result(payload: bytes, seq: int) -> Parts:
    """Give an answer's message in parts to be sent one after the other."""
    return _pack_parts(RESULT, 0, seq, _bin_head(len(payload)), payload, b"")


def parse_call(message: Message) -> tuple[str, str, bytes]:
    """Give object id, method and payload of a call.

    Raises:
        BadMessageError: it is anything else than a call with one payload of bytes.
    """
    data, at = message.data, message.start
    try:
        if data[at] != 0x94:
            raise BadMessageError("this is no call")
        object_id, at = _text(data, at + 1)
        method, at = _text(data, at)
        if data[at] != 0x91:
            raise BadMessageError("a call has one payload")
        payload, at = _payload(data, at + 1)
    except (IndexError, struct.error, UnicodeDecodeError):
        raise BadMessageError("this is no call with one payload of bytes") from None
    if data[at:] != b"\x80":
        raise BadMessageError("nothing may follow a call's payload")
    return object_id, method, payload


def parse_result(message: Message) -> bytes:
    """Give the payload of an answer.

    Raises:
        BadMessageError: it is not bytes.
    """
    try:
        payload, at = _payload(message.data, message.start)
    except (IndexError, struct.error):
        raise BadMessageError("this answer is no payload of bytes") from None
    if at != len(message.data):
        raise BadMessageError("nothing may follow an answer's payload")
    return payload


def pack_failure(seq: int, text: str, type_name: str) -> bytes:
    """Give an answer that says that a call failed, as Pyro5 clients know it: they raise a ``PyroError``."""
    described = {
        "__class__": "Pyro5.errors.PyroError",
        "__exception__": True,
        "args": [text],
        "attributes": {"remote_type": type_name},
    }
    return pack(RESULT, EXCEPTION, seq, MSGPACK, msgpack.packb(described))


def parse_failure(message: Message) -> tuple[str, str]:
    """Give text and type name of a failed call; whatever is not there is empty. Rebuilds nothing."""
    described: Any
    try:
        described = msgpack.unpackb(message.body(), strict_map_key=False)
    except (ValueError, msgpack.UnpackException):
        described = None
    if not isinstance(described, dict):
        return "the call failed, and how cannot be read", ""
    args, attributes = described.get("args"), described.get("attributes")
    text = str(args[0]) if isinstance(args, list) and args else "the call failed"
    name = attributes.get("remote_type") if isinstance(attributes, dict) else None
    return text, str(name or described.get("__class__") or "")


def check_size(payload: bytes, limit: int, what: str) -> None:
    """Raise :class:`~agentlab.errors.SerializationError` when a payload is too large to be sent."""
    if len(payload) > limit:
        raise SerializationError(
            f"{what} has {len(payload)} bytes, at most {limit} are sent; send less at a time, or raise config['MAX_MESSAGE_SIZE']"
            " on both sides"
        )


def _pack_parts(kind: int, flags: int, seq: int, head: bytes, payload: bytes, tail: bytes) -> Parts:
    size = len(head) + len(payload) + len(tail)
    header = HEADER.pack(MAGIC, VERSION, kind, MSGPACK, flags, seq, size, 0, NO_CORRELATION, 0, MAGIC_NUMBER)
    if size <= SMALL:
        return [b"".join((header, head, payload, tail))]
    return [header + head, payload, tail] if tail else [header + head, payload]


def _bin_head(size: int) -> bytes:
    if size < 0x100:
        return bytes((0xC4, size))
    if size < 0x10000:
        return b"\xc5" + size.to_bytes(2, "big")
    return b"\xc6" + size.to_bytes(4, "big")


def _text(data: Buffer, at: int) -> tuple[str, int]:
    lead = data[at]
    if 0xA0 <= lead <= 0xBF:
        size, at = lead & 0x1F, at + 1
    elif lead in _STR:
        form = _STR[lead]
        size, at = form.unpack_from(data, at + 1)[0], at + 1 + form.size
    else:
        raise BadMessageError("object id and method are texts")
    return str(data[at : at + size], "utf-8"), at + size


def _payload(data: Buffer, at: int) -> tuple[bytes, int]:
    form = _BIN.get(data[at])
    if form is None:
        raise BadMessageError("a payload is bytes")
    size, at = form.unpack_from(data, at + 1)[0], at + 1 + form.size
    end = at + size
    if end > len(data):
        raise BadMessageError("a payload is longer than its message")
    return (data[at:end] if isinstance(data, bytes) else bytes(memoryview(data)[at:end])), end
