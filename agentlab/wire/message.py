"""How a message lies in frames, and the base of the serializers that fill them.

A message is one *plain* frame, or begins with a *header* frame. The first byte tells them apart: no serializer but
raw makes a plain frame that begins with 1 to 8.

===== ======== ============================================================= ======================
byte  name     rest of the header frame                                      frames that follow
===== ======== ============================================================= ======================
1     BUFFERS  how many frames follow (uint32, big-endian); a pickle          its out-of-band buffers
2     BATCH    a plain frame of a list: many messages in one                  none
3     ERROR    the caller's bytes: a reply that is an error                   none
4-8            reserved, refused                                              none
===== ======== ============================================================= ======================

A raw socket has no header frames, as any bytes may stand there; its error reply is two frames, the first of which
is :data:`RAW_ERROR`.

Source: PEP 574, pickle protocol 5 with out-of-band data.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Final, Literal, NamedTuple, TypeAlias

from agentlab.errors import SerializationError

Frame: TypeAlias = bytes | bytearray | memoryview
"""Bytes of one frame. A received ``zmq.Frame`` is given as its ``buffer``."""

Encoded: TypeAlias = bytes | list[Frame]
"""One message as it is sent: bytes are one frame, a list is several."""

BUFFERS: Final = 1
BATCH: Final = 2
ERROR: Final = 3
LAST_HEADER: Final = 8

RAW_ERROR: Final = b"\x03AGENTLAB-ERROR"
MAX_COUNT: Final = 65536
"""Most frames after a BUFFERS header, and most messages in a BATCH, that are accepted."""
BATCH_MESSAGES: Final = 256
"""Most messages that go into one BATCH."""
BATCH_BYTES: Final = 1 << 20
"""Batches are split when they exceed this, so that they never come near the limit of a frame."""
LEAST_BUFFER: Final = 4096
"""Smaller buffers stay in the pickle: below it a frame of their own costs more than the copy."""

_COUNT = struct.Struct(">BI")


class Decoded(NamedTuple):
    """What a message was: ``content`` is a value, a list of messages, or the bytes of an error, as ``kind`` says."""

    kind: Literal["value", "batch", "error"]
    content: Any


def unserializable(name: str, value: object, error: BaseException | str, cure: str = "") -> SerializationError:
    """Give the error for a value that the serializer of that name cannot carry."""
    return SerializationError(f"cannot serialize a value of type {type(value).__name__!r} with {name}: {_brief(error)}{cure}")


def unreadable(name: str, frame: Frame, error: BaseException | str) -> SerializationError:
    """Give the error for a frame that the serializer of that name cannot read."""
    return SerializationError(
        f"cannot read a frame of {len(frame)} bytes with {name}: {_brief(error)}; both ends must use the same serializer"
    )


def _brief(error: BaseException | str) -> str:
    if isinstance(error, str):
        return error
    try:
        text = " ".join(str(error).split())[:300]
    except Exception:  # noqa: BLE001 - a type that came with the value may fail at anything, even at saying what it is
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class Serializer(ABC):
    """Turns messages into frames and back. Without state: any thread may use it, and it takes no lock.

    Get one from :func:`agentlab.wire.serializers.get_serializer`. Whatever cannot be serialized or read is a
    :class:`~agentlab.errors.SerializationError`, no other exception, whatever the bytes are.
    """

    name: ClassVar[str]

    plain_start: ClassVar[int | None] = None
    """The byte with which every plain frame begins that may be given to what :meth:`decoder` gives; None: any."""

    @abstractmethod
    def dumps(self, value: Any) -> bytes:
        """Give one plain frame that holds the value, whatever its size."""

    @abstractmethod
    def loads(self, frame: Frame) -> Any:
        """Give the value of one plain frame."""

    def encode(self, value: Any) -> Encoded:
        """Give one message: bytes for one frame, or a list of frames.

        Frames after the first are views of the value's own memory, not copies: whoever sends them without copying
        must not let the value change before they are sent.
        """
        return self.dumps(value)

    def encoder(self) -> Callable[[Any], Encoded]:
        """Give a function that does what :meth:`encode` does, for one thread alone: the short way for many messages."""
        return self.encode

    def decoder(self) -> Callable[[Frame], Any]:
        """Give a function that decodes one plain frame, and may raise anything for any other: a header frame included."""
        return self.loads

    def decode(self, frame: Frame) -> Any:
        """Give the value of a message that is one plain frame: the short way for what :meth:`is_header` denies."""
        return self.loads(frame)

    def is_header(self, frame: Frame) -> bool:
        """Tell whether a message that begins with this frame needs :meth:`decode_multi`, even if it is one frame."""
        return len(frame) > 0 and 0 < frame[0] <= LAST_HEADER

    def encode_many(self, values: Iterable[Any]) -> list[Encoded]:
        """Give many messages as few: up to 256 in one frame; one that has big buffers goes alone.

        All or nothing: when one value cannot be serialized, nothing is returned.
        """
        messages = list(values)
        sent: list[Encoded] = []
        for start in range(0, len(messages), BATCH_MESSAGES):
            self._encode_chunk(messages[start : start + BATCH_MESSAGES], sent)
        return sent

    def decode_multi(self, frames: Sequence[Frame]) -> Decoded:
        """Give what any message is, of one frame or several, of whatever kind.

        Buffers are not copied: a NumPy array shares the memory of its frame, and is read-only where that is
        (``bytes`` are). Whoever wants to write into it takes a copy.
        """
        if not frames:
            raise SerializationError(f"a message without frames came for {self.name}; at least one is needed")
        first = frames[0]
        code = first[0] if len(first) else 0
        if code == BUFFERS:
            return Decoded("value", self._decode_buffers(first, frames[1:]))
        if len(frames) > 1:
            raise unreadable(self.name, first, f"{len(frames)} frames came, but the first announces none")
        if code == BATCH:
            return Decoded("batch", self._decode_batch(first))
        if code == ERROR:
            return Decoded("error", bytes(first[1:]))
        if 0 < code <= LAST_HEADER:
            raise unreadable(self.name, first, f"header {code} is unknown")
        return Decoded("value", self.loads(first))

    def encode_error(self, payload: bytes) -> list[bytes]:
        """Give the frames of a reply that is an error; :meth:`decode_multi` gives the payload back."""
        return [bytes((ERROR,)) + payload]

    def _encode_chunk(self, chunk: list[Any], sent: list[Encoded]) -> None:
        if len(chunk) > 1 and not self._repeats(chunk):
            try:
                encoded = self.encode(chunk)
            except SerializationError:
                encoded = []  # one of them is to blame: encoding each alone below finds it and names its type
            if isinstance(encoded, bytes):
                if len(encoded) <= BATCH_BYTES:
                    sent.append(bytes((BATCH,)) + encoded)
                    return
                size = max(1, min(len(chunk) - 1, len(chunk) * BATCH_BYTES // len(encoded)))
                for start in range(0, len(chunk), size):
                    self._encode_chunk(chunk[start : start + size], sent)
                return
        sent.extend([self.encode(value) for value in chunk])

    def _repeats(self, chunk: list[Any]) -> bool:  # noqa: ARG002 - for those that override it
        """Tell whether messages in one list would no longer be separate values at the receiver."""
        return False

    def _decode_batch(self, frame: Frame) -> list[Any]:
        messages = self.loads(memoryview(frame)[1:])
        if type(messages) is not list:
            raise unreadable(self.name, frame, f"a batch holds {type(messages).__name__!r} instead of a list")
        if len(messages) > MAX_COUNT:
            raise unreadable(self.name, frame, f"a batch holds {len(messages)} messages, more than {MAX_COUNT}")
        return messages

    def _decode_buffers(self, header: Frame, buffers: Sequence[Frame]) -> Any:  # noqa: ARG002 - the same
        raise unreadable(self.name, header, "it announces buffers, which only pickles have")


def buffers_header(count: int, pickled: bytes) -> bytes:
    """Give the header frame of a pickle with that many out-of-band buffers."""
    return _COUNT.pack(BUFFERS, count) + pickled


def split_buffers_header(name: str, header: Frame, present: int) -> memoryview:
    """Give the pickle in a BUFFERS header frame.

    Args:
        name: Of the serializer, for the error.
        header: The frame.
        present: How many frames followed it.

    Raises:
        SerializationError: it is too short, or announces too many frames or others than came.
    """
    if len(header) <= _COUNT.size:
        raise unreadable(name, header, "the header is cut short")
    _, count = _COUNT.unpack_from(header)
    if count > MAX_COUNT:
        raise unreadable(name, header, f"it announces {count} buffers, more than {MAX_COUNT}")
    if count != present:
        raise unreadable(name, header, f"it announces {count} buffers, but {present} came")
    return memoryview(header)[_COUNT.size :]
