"""PUB and SUB: to whoever subscribes, by the topic's first bytes; what a slow subscriber loses is counted on both ends."""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agentlab.agent.handlers import resolve_topics
from agentlab.agent.link import Desk, Link, SendOptions
from agentlab.agent.loop import FAILURES
from agentlab.agent.losses import LOST, LossReporter, LossReports
from agentlab.agent.pipes import has_async
from agentlab.errors import AliasError, MessageTimeoutError, SerializationError
from agentlab.transport.sockets import Socket
from agentlab.wire.address import AgentAddress
from agentlab.wire.channel import AgentChannel
from agentlab.wire.topics import LossCounter, SequenceCounter, TopicTable, pack_publication, to_topic, unpack_publication

PRESENCE = b"\xff\xff\xff\xffagentlab subscriber"
"""Every subscriber of ours subscribes to this last, so that a publisher can count subscribers, not topics.

When ZeroMQ connects again it sends the subscriptions in the order of their bytes, so these come late there."""
REPLY_TOPIC = b"\x00reply "
_STAMP = struct.Struct(">Q4s")
LOST_LOG_PERIOD = 1.0


class PubLink(Link):
    """Publishes; never waits for a subscriber."""

    def __init__(self, desk: Desk, address: AgentAddress | AgentChannel, socket: Socket) -> None:
        super().__init__(desk, address, socket)
        self.too_slow = 0
        """How often a subscriber was found to be full; what it lost then it reports itself."""
        self.subscriptions: Counter[bytes] = Counter()
        self.on_subscribe: Callable[[bytes], object] | None = None
        """Told each new subscription's topic, in the loop's thread: what it publishes then, the newcomer gets too."""
        self._raw = self.serializer.name == "raw"
        self._sequence = SequenceCounter()
        self._reports = LossReports(self._sequence.epoch)

    @property
    def handled(self) -> int:
        """Nothing: what comes are subscriptions, and no messages."""
        return 0

    @property
    def lost(self) -> int:
        """Publications lost to slowness, summed over the subscribers: as far as they have reported it; at least."""
        return max(self.too_slow, self._reports.total)

    def put(self, message: Any) -> None:
        """Publish under the empty topic."""
        self.publish(b"", message)

    def send(self, message: Any, options: SendOptions) -> None:
        """Publish under a topic."""
        options.allow(self.kind, "topic")
        self.publish(b"" if options.topic is None else to_topic(options.topic), message)

    def publish(self, topic: bytes, message: Any) -> None:
        """Publish under a topic, given as bytes."""
        frames = self.serializer.encode(message)
        if self._raw:
            assert isinstance(frames, bytes)  # raw has no frames of its own
            sent = self.socket.publish([topic + frames if topic else frames])
        else:
            counter = self._sequence
            sent = self.socket.publish(pack_publication(topic, counter.next(topic), counter.epoch, frames))
        if not sent:
            self.too_slow += 1

    def publish_frames(self, frames: list[Any]) -> None:
        """Publish frames as they are: a reply on the publication stream."""
        if not self.socket.publish(frames):
            self.too_slow += 1

    def subscribers(self, topic: bytes | None = None) -> int:
        """Give how many subscribers there are, or how many subscriptions that let `topic` through."""
        if topic is not None:
            return sum(n for prefix, n in self.subscriptions.items() if topic.startswith(prefix))
        others = sum(n for prefix, n in self.subscriptions.items() if not prefix.startswith(REPLY_TOPIC))
        return self.subscriptions[PRESENCE] or min(others, 1)

    def serve(self, limit: int) -> bool:
        """Take note of subscriptions that come and go."""
        return self.socket.drain_messages(limit, self._note)

    def _note(self, frames: list[Any]) -> None:
        change = frames[0]
        if not change or change[0] > 1:
            self.bad(SerializationError("a subscriber sent what is no subscription"))
            return
        topic = bytes(change[1:])
        if topic.startswith(LOST):
            self._reports.take(topic)
            return
        if change[0] == 1:
            self.subscriptions[topic] += 1
            self.subscribed(topic)
            return
        self.subscriptions[topic] -= 1
        if self.subscriptions[topic] <= 0:
            del self.subscriptions[topic]

    def subscribed(self, topic: bytes) -> None:
        """Hook: somebody has subscribed."""
        if self.on_subscribe is not None and topic != PRESENCE and not topic.startswith(REPLY_TOPIC):
            self.on_subscribe(topic)

    def wait_for_subscribers(self, n: int, topic: bytes | None, timeout: float) -> None:
        """Wait until `n` subscribers are there.

        Raises:
            MessageTimeoutError: they did not come in time.
        """
        now = self.desk.loop.now
        deadline = now() + timeout
        while True:
            self.serve(10_000)
            found = self.subscribers(topic)
            if found >= n:
                return
            left = deadline - now()
            if left <= 0:
                raise MessageTimeoutError(f"{found} of {n} subscribers came within {timeout:g} s")
            self.socket.wait_readable(left)


class SubLink(Link):
    """Hands publications to the handlers of the topics that they begin with, in the order of the topics."""

    def __init__(self, desk: Desk, address: AgentAddress | AgentChannel, socket: Socket, handlers: Any) -> None:
        super().__init__(desk, address, socket)
        self.table: TopicTable[Any] = TopicTable()
        self.losses = LossCounter()
        self._reporter = LossReporter(self._subscribe, self._unsubscribe, desk.loop.after_internal)
        self._raw = self.serializer.name == "raw"
        self._deliver = self._raw_publication if self._raw else self._publication
        self._logged_at = 0.0
        if handlers is not None:
            self.subscribe(handlers)

    def present(self) -> None:
        """Let the publisher know that all subscriptions so far are made."""
        self.socket.unsubscribe(PRESENCE)
        self.socket.subscribe(PRESENCE)

    def _subscribe(self, topic: bytes) -> None:
        if not self.closed:
            self.socket.subscribe(topic)

    def _unsubscribe(self, topic: bytes) -> None:
        if not self.closed:
            self.socket.unsubscribe(topic)

    def set_handler(self, handler: Any) -> None:
        """Add handlers, or replace those of the same topics."""
        self.subscribe(handler)

    def subscribe(self, handlers: Any) -> None:
        """Add or replace handlers: a dict topic -> handler, or one handler of everything."""
        calls = resolve_topics(self.desk.agent, handlers)
        given = handlers if isinstance(handlers, Mapping) else {"": handlers}
        for topic, handler in given.items():
            if has_async(self.desk.agent, handler):
                calls[topic] = _run_async(self.desk, calls[topic])
        for topic in self.table.set(calls):
            self.socket.subscribe(topic)
        self.present()

    def unsubscribe(self, topics: str | bytes | Iterable[str | bytes]) -> None:
        """Take subscriptions back.

        Raises:
            AliasError: there is no subscription to one of them.
        """
        wanted = [to_topic(t) for t in ([topics] if isinstance(topics, (str, bytes)) else topics)]
        known = self.table.topics()
        for topic in wanted:
            if topic not in known:
                raise AliasError(f"there is no subscription to topic {topic!r}")
        for topic in self.table.remove(wanted):
            self.socket.unsubscribe(topic)
            self.losses.forget(topic)

    def topics(self) -> list[bytes]:
        """Give the topics that it has subscribed to; any thread."""
        return self.table.topics()

    @property
    def lost(self) -> int:
        """Publications of subscribed topics that never arrived here."""
        return self.losses.total

    def serve(self, limit: int) -> bool:
        """Handle up to `limit` publications."""
        return self.socket.drain(limit, self._deliver)

    def recv(self, timeout: float | None) -> Any:
        """Wait for one publication and give its message."""
        frames = self.socket.recv(timeout)
        if self._raw:
            return frames[0]
        return self.serializer.decode_multi(unpack_publication(frames).frames).content

    def reply(self, topic: bytes, frames: list[Any]) -> bool:  # noqa: ARG002 - a hook
        """Hook: take a message that is a reply and no publication; True when it was."""
        return False

    def _raw_publication(self, data: bytes) -> None:
        rest = self.socket.rest() if data.startswith(REPLY_TOPIC) and self.socket.has_more() else []
        if rest and self.reply(data, rest):
            return
        for prefix in self.table.topics():
            if data.startswith(prefix):
                self._call(self.table.handler(prefix), data, prefix.decode("utf-8", "surrogateescape"))

    def _publication(self, topic: bytes) -> None:
        socket = self.socket
        if not socket.has_more():
            self.bad(SerializationError("a publication without a body"))
            return
        body = socket.next_frame()
        if topic[:1] == b"\x00" and topic.startswith(REPLY_TOPIC) and self.reply(topic, [body, *socket.rest()]):
            return
        try:
            number, epoch = _STAMP.unpack_from(body)
            first = body[_STAMP.size] if len(body) > _STAMP.size else 0
            if 1 <= first <= 8:
                kind, message = self.serializer.decode_multi([body[_STAMP.size :], *socket.rest()])
                if kind != "value":
                    raise SerializationError(f"a publication must be one plain message, not a {kind}")
            else:
                message = self.serializer.decode(memoryview(body)[_STAMP.size :])
        except (SerializationError, struct.error) as error:
            self.bad(error)
            return
        lost = self.losses.feed(epoch, topic, number)
        if lost:
            self._reporter.note(epoch, lost)
            self._log_lost()
        handlers = self.table.matching(topic)
        if len(handlers) == 1:
            handlers[0](message, topic.decode("utf-8", "surrogateescape"))
            return
        for call in handlers:
            self._call(call, message, topic.decode("utf-8", "surrogateescape"))

    def _call(self, call: Any, message: Any, topic: str) -> None:
        try:
            call(message, topic)
        except FAILURES as error:  # a door: one handler of several must not keep the others from the message
            self.desk.faults.failed(error, f"a handler of topic {topic!r}")

    def close(self, linger: float) -> None:  # noqa: ARG002 - nothing but subscriptions could still be on its way
        """Close at once; twice is fine."""
        super().close(0.0)

    def _log_lost(self) -> None:
        now = time.monotonic()
        if now - self._logged_at > LOST_LOG_PERIOD:
            self._logged_at = now
            self.desk.agent.log_warning(f"lost {self.losses.total} publications so far: handlers are slower than the publisher")


def _run_async(desk: Desk, call: Any) -> Any:
    return lambda message, topic: desk.coroutines.take(call(message, topic))
