"""Publications: topics and the handlers they belong to, the frames, and the counting of lost ones.

A publication is two frames or more: the topic; then the body, which is a sequence number (uint64, big-endian), the
epoch of the publisher (4 random bytes, new with every socket) and the first frame of the message; then the message's
further frames. A raw publication is one frame, topic and payload together, without number.

Nothing here takes a lock: one thread owns each object.
"""

from __future__ import annotations

import os
import struct
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from agentlab.errors import SerializationError
from agentlab.wire.kinds import shown
from agentlab.wire.message import Encoded, Frame

H = TypeVar("H")

_HEAD = struct.Struct(">Q4s")
_VIEWED: Final = 16384  # bodies from this size are read through a view; below it the copy is cheaper
_CACHED_TOPICS: Final = 1024
_CACHED_BYTES: Final = 256  # a longer topic is a raw publication with its payload, which hardly comes twice
_MOST_TOPICS: Final = 10_000


class Publication(NamedTuple):
    """What came to a subscriber: ``frames`` are those of the message, for a serializer to decode."""

    topic: bytes
    sequence: int
    epoch: bytes
    frames: list[Frame]


def to_topic(topic: str | bytes) -> bytes:
    """Give a topic as bytes, text as UTF-8.

    Raises:
        SerializationError: it is neither text nor bytes.
    """
    if isinstance(topic, bytes):
        return topic
    if isinstance(topic, str):
        try:
            return topic.encode()
        except UnicodeEncodeError as error:
            raise SerializationError(f"the topic {shown(topic)} is no valid text: {error}; give bytes") from error
    raise SerializationError(f"{shown(topic)} is no topic; give text or bytes")


def pack_publication(topic: bytes, sequence: int, epoch: bytes, message: Encoded) -> list[Frame]:
    """Give the frames of a publication whose message a serializer has encoded (not raw)."""
    head = _HEAD.pack(sequence, epoch)
    if isinstance(message, bytes):
        return [topic, head + message]
    return [topic, b"".join((head, message[0])), *message[1:]]


def unpack_publication(frames: Sequence[Frame]) -> Publication:
    """Take a publication (not raw) apart; no payload of more than 16 KiB is copied.

    Raises:
        SerializationError: there are fewer than two frames, or the body is too short.
    """
    if len(frames) < 2 or len(frames[1]) < _HEAD.size:
        sizes = ", ".join(str(len(frame)) for frame in frames[:4])
        raise SerializationError(
            f"a publication came as {len(frames)} frames of {sizes or 'no'} bytes; it must be a topic and at least "
            f"{_HEAD.size} bytes of body, so the publisher is raw or no agent"
        )
    body = frames[1]
    sequence, epoch = _HEAD.unpack_from(body)
    first = body[_HEAD.size :] if len(body) < _VIEWED else memoryview(body)[_HEAD.size :]
    return Publication(bytes(frames[0]), sequence, epoch, [first, *frames[2:]])


class TopicTable(Generic[H]):
    """The handlers of a subscriber by topic, in the order in which the topics were first set. A topic is a prefix."""

    def __init__(self, handlers: Mapping[str | bytes, H] | None = None) -> None:
        self._handlers: dict[bytes, H] = {}
        self._cache: dict[bytes, list[H]] = {}
        if handlers:
            self.set(handlers)

    def set(self, handlers: Mapping[str | bytes, H] | Mapping[str, H] | Mapping[bytes, H]) -> list[bytes]:
        """Add or replace the handlers of just these topics; a replaced one keeps its place in the order.

        Returns:
            The topics that are new: those to subscribe to.

        Raises:
            SerializationError: a topic is neither text nor bytes; nothing was changed then.
        """
        given = {to_topic(topic): handler for topic, handler in handlers.items()}
        new = [topic for topic in given if topic not in self._handlers]
        self._handlers.update(given)
        self._cache.clear()
        return new

    def remove(self, topics: str | bytes | Iterable[str | bytes]) -> list[bytes]:
        """Forget a topic, or several; one that is not there is passed over.

        Returns:
            The topics that were there: those to unsubscribe from.
        """
        several = [topics] if isinstance(topics, (str, bytes)) else topics
        gone = [topic for topic in dict.fromkeys(map(to_topic, several)) if topic in self._handlers]
        for topic in gone:
            del self._handlers[topic]
        self._cache.clear()
        return gone

    def topics(self) -> list[bytes]:
        """Give the topics, in order."""
        return list(self._handlers)

    def handler(self, topic: bytes) -> H:
        """Give the handler of exactly this topic, which must be there."""
        return self._handlers[topic]

    def matching(self, topic: bytes) -> list[H]:
        """Give the handlers of every topic that this one begins with, in order. The list is shared: do not change it.

        Args:
            topic: Of a publication; of a raw one the whole frame.
        """
        found = self._cache.get(topic)
        if found is None:
            found = [handler for prefix, handler in self._handlers.items() if topic.startswith(prefix)]
            if len(topic) <= _CACHED_BYTES:
                if len(self._cache) >= _CACHED_TOPICS:
                    self._cache.clear()
                self._cache[topic] = found
        return found

    def __len__(self) -> int:
        return len(self._handlers)


class SequenceCounter:
    """The publisher's numbers: each topic counts 1, 2, 3… by itself, as subscribers see only some of the topics.

    Args:
        epoch: 4 bytes that tell this publisher from its predecessor at the same address; random if None.
        limit: Topics remembered; the one unused for longest starts at 1 again.
    """

    def __init__(self, epoch: bytes | None = None, limit: int = _MOST_TOPICS) -> None:
        self.epoch = os.urandom(4) if epoch is None else epoch
        self._limit = limit
        self._last: OrderedDict[bytes, int] = OrderedDict()

    def next(self, topic: bytes) -> int:
        """Give the number of the next publication of exactly this topic."""
        last = self._last
        number = last[topic] = last.get(topic, 0) + 1
        last.move_to_end(topic)
        if len(last) > self._limit:
            last.popitem(last=False)
        return number


class LossCounter:
    """The subscriber's side: how many publications did not arrive, as the gaps in the numbers tell.

    What was published before the first one that came, or after the last, is not counted; a number that does not grow
    is a new start (the publisher has forgotten the topic), not a loss.

    Args:
        limit: Topics remembered; the one unused for longest is forgotten.
    """

    def __init__(self, limit: int = _MOST_TOPICS) -> None:
        self.total = 0
        self._limit = limit
        self._last: OrderedDict[tuple[bytes, bytes], int] = OrderedDict()

    def feed(self, epoch: bytes, topic: bytes, sequence: int) -> int:
        """Note a publication that came; give how many of its topic were lost since the last one."""
        last = self._last
        key = (epoch, topic)
        before = last.get(key)
        last[key] = sequence
        if before is None:
            if len(last) > self._limit:
                last.popitem(last=False)
            return 0
        last.move_to_end(key)
        if sequence <= before + 1:
            return 0
        lost = sequence - before - 1
        self.total += lost
        return lost

    def forget(self, prefix: bytes) -> None:
        """Forget the topics that begin so, for they were unsubscribed from: what is missed now is not lost."""
        for key in [key for key in self._last if key[1].startswith(prefix)]:
            del self._last[key]
