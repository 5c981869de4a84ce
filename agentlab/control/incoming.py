"""Bytes as they come, put together to messages, and which messages are accepted. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from agentlab.control.frames import HEADER, HEADER_SIZE, MAGIC, MAGIC_NUMBER, PING, VERSION, BadMessageError, Buffer, Message


@dataclass(frozen=True, slots=True)
class Policy:
    """Which messages one side accepts at one moment; looked at before a body is waited for.

    Args:
        kinds: Message types.
        serializers: Serializer numbers. A ping has none, whatever its header says.
        flags: All flags that may be set.
        annotations: Whether annotations may stand before the body.
        limit: Bytes of body and annotations together.
    """

    kinds: frozenset[int]
    serializers: frozenset[int]
    flags: int
    annotations: bool
    limit: int

    def check(self, kind: int, serializer: int, flags: int, annotations: int, size: int) -> None:
        """Raise :class:`BadMessageError` unless a header with these fields is accepted."""
        if kind not in self.kinds:
            raise BadMessageError(f"message type {kind} is not accepted here")
        if kind != PING and serializer not in self.serializers:
            raise BadMessageError(f"serializer {serializer} is not accepted here")
        if flags & ~self.flags:
            raise BadMessageError(f"message flags {flags:#x} are not accepted here")
        if annotations and not self.annotations:
            raise BadMessageError("annotations are not accepted here")
        if size > self.limit:
            raise BadMessageError(f"a message of {size} bytes is announced, at most {self.limit} are accepted here")


class Incoming:
    """Puts bytes together to messages: :meth:`feed` what came, :meth:`take` until it gives None.

    Args:
        policy: What is accepted; may be exchanged between messages.
    """

    __slots__ = ("_data", "missing", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._data: Buffer = b""
        self.missing = 0
        """Bytes that the started message still needs, as far as known; 0 when none is started."""

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        if not self._data:
            self._data = data
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)  # grows without being copied each time
        self._data += data

    def take(self) -> Message | None:
        """Give the next message, or None when it is not complete yet.

        Raises:
            BadMessageError: the bytes are no message, or one that the policy refuses; as soon as that is seen.
        """
        data = self._data
        have = len(data)
        if have < HEADER_SIZE:
            self.missing = HEADER_SIZE - have if have else 0
            if have and not MAGIC.startswith(data[:4]):
                raise BadMessageError("these bytes are no Pyro5 message")
            return None
        tag, version, kind, serializer, flags, seq, size, annotations, _, _, number = HEADER.unpack_from(data)
        if tag != MAGIC or version != VERSION or number != MAGIC_NUMBER:
            raise BadMessageError("these bytes are no Pyro5 message of protocol version 502")
        self.policy.check(kind, serializer, flags, annotations, size + annotations)
        total = HEADER_SIZE + annotations + size
        if have < total:
            self.missing = total - have
            return None
        self.missing = 0
        if have == total:
            self._data = b""
        else:
            view = memoryview(data)
            data, self._data = bytes(view[:total]), bytes(view[total:])
        return Message(kind, serializer, flags, seq, data, HEADER_SIZE + annotations)
