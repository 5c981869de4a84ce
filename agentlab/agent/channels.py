"""Channels: ASYNC_REP answers in its own time; SYNC_PUB publishes and answers requests on the publication stream."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

from agentlab.agent.asker import Asker
from agentlab.agent.link import Desk, Link, SendOptions
from agentlab.agent.pubsub import REPLY_TOPIC, PubLink, SubLink
from agentlab.agent.respond import Responder
from agentlab.errors import ConnectionLostError, SerializationError, WrongAddressError
from agentlab.transport.sockets import Socket
from agentlab.wire.address import AgentAddress
from agentlab.wire.channel import AgentChannel

HOLD = 5.0
"""Seconds that a reply waits for the subscription that it is to travel on."""


def _moved() -> ConnectionLostError:
    return ConnectionLostError("the agent that was asked has come back elsewhere; the request may have been handled")


class AsyncReqLink(Link):
    """Asks without waiting; the reply goes to a handler."""

    def __init__(self, desk: Desk, address: AgentChannel, socket: Socket, handler: Any) -> None:
        super().__init__(desk, address, socket)
        self.asker = Asker(self, handler)

    def set_handler(self, handler: Any) -> None:
        """Give the replies of later requests to another handler."""
        self.asker.set_handler(handler)

    def put(self, message: Any) -> None:
        """Send a request whose reply goes to the handler given at connecting."""
        self.send(message, SendOptions())

    def send(self, message: Any, options: SendOptions) -> None:
        """Send a request; returns at once."""
        options.allow(self.kind, "handler", "wait", "on_error", "timeout")
        frames = self.encode(message)
        request = self.asker.begin(options)
        try:
            self.socket.send([request, *frames], options.timeout)
        except Exception:
            self.asker.withdraw(request)
            raise

    def serve(self, limit: int) -> bool:
        """Take up to `limit` replies."""
        return self.socket.drain_messages(limit, self._reply)

    def _reply(self, frames: list[Any]) -> None:
        if len(frames) < 2:
            self.bad(SerializationError("a reply without a body"))
            return
        self.asker.reply(bytes(frames[0]), frames[1:])

    def reconnect(self, server: AgentAddress | AgentChannel) -> None:
        """Leave the server and connect to another one; what was asked of the old one is answered by nobody."""
        assert isinstance(server, AgentChannel)
        assert isinstance(self.address, AgentChannel)
        assert self.address.sender is not None
        assert server.receiver is not None
        self.socket.disconnect(self.address.sender.endpoint())
        self.address = server.twin()
        self.socket.connect(str(server.transport), server.receiver.endpoint())
        self.asker.fail(_moved())

    def close(self, linger: float) -> None:
        """Close; twice is fine."""
        self.asker.forget()
        super().close(linger)


class AsyncRepLink(Link):
    """Answers any number of clients, each in its own time."""

    def __init__(self, desk: Desk, address: AgentChannel, socket: Socket, handler: Any) -> None:
        super().__init__(desk, address, socket)
        self._responder = Responder(self, handler)
        self.undelivered = 0
        """Replies whose client was gone."""

    def set_handler(self, handler: Any) -> None:
        """Give the requests to another handler."""
        self._responder.set_handler(handler)

    def serve(self, limit: int) -> bool:
        """Handle up to `limit` requests."""
        return self.socket.drain_messages(limit, self._request)

    def _request(self, frames: list[Any]) -> None:
        if len(frames) < 3:
            self.bad(SerializationError("a request without a number or a body"))
            return
        envelope = [bytes(frames[0]), bytes(frames[1])]
        self._responder.respond(frames[2:], lambda answer: self._send([*envelope, *answer]))

    def _send(self, frames: list[Any]) -> None:
        if not self.closed and not self.socket.try_send(frames):
            self.undelivered += 1


class SyncPubLink(PubLink):
    """Publishes, and answers requests to one subscriber alone, in order with the publications."""

    def __init__(self, desk: Desk, address: AgentChannel, socket: Socket, requests: Socket, handler: Any) -> None:
        super().__init__(desk, address, socket)
        self.requests = RequestSource(self, requests, handler)
        self._held: dict[bytes, list[list[Any]]] = {}

    @property
    def handled(self) -> int:
        """How many requests have come and were handled, or tried; any thread."""
        return self.requests.handled

    def set_handler(self, handler: Any) -> None:
        """Give the requests to another handler."""
        self.requests.responder.set_handler(handler)

    def publish(self, topic: bytes, message: Any) -> None:
        """Publish under a topic, given as bytes."""
        if topic.startswith(REPLY_TOPIC):
            raise WrongAddressError(f"the topic {topic!r} is kept for replies here; it must not begin with {REPLY_TOPIC!r}")
        super().publish(topic, message)

    def answer(self, topic: bytes, frames: list[Any]) -> None:
        """Publish a reply to the one who subscribed to `topic`, as soon as that subscription has arrived."""
        if self.closed:
            return
        if topic not in self.subscriptions:
            self.serve(10_000)  # it may have arrived already
        if topic in self.subscriptions:
            self.publish_frames(frames)
            return
        if topic not in self._held:
            self.desk.loop.after_internal(HOLD, partial(self._held.pop, topic, None))
        self._held.setdefault(topic, []).append(frames)

    def subscribed(self, topic: bytes) -> None:
        """Send the replies that waited for this subscription."""
        for frames in self._held.pop(topic, ()):
            self.publish_frames(frames)

    def close(self, linger: float) -> None:
        """Close both sockets; twice is fine."""
        self.requests.close(linger)
        super().close(linger)


class RequestSource(Link):
    """The socket on which the requests of a SYNC_PUB channel arrive."""

    def __init__(self, channel: SyncPubLink, socket: Socket, handler: Any) -> None:
        assert isinstance(channel.address, AgentChannel)
        assert channel.address.receiver is not None
        super().__init__(channel.desk, channel.address.receiver, socket)
        self._channel = channel
        self.responder = Responder(self, handler)

    def serve(self, limit: int) -> bool:
        """Handle up to `limit` requests."""
        return self.socket.drain_messages(limit, self._request)

    def _request(self, frames: list[Any]) -> None:
        if len(frames) < 3 or not bytes(frames[0]).startswith(REPLY_TOPIC):
            self.bad(SerializationError("a request without a reply topic, a number or a body"))
            return
        topic, request = bytes(frames[0]), bytes(frames[1])
        self.responder.respond(frames[2:], lambda answer: self._channel.answer(topic, [topic, request, *answer]))


class SyncSubLink(SubLink):
    """Subscribes, and may ask; the replies come on the publication stream."""

    def __init__(self, desk: Desk, address: AgentChannel, socket: Socket, requests: Socket, handlers: Any) -> None:
        self._requests = requests
        self._topic = REPLY_TOPIC + secrets.token_bytes(12)
        super().__init__(desk, address, socket, handlers)
        self.asker = Asker(self, None)
        socket.subscribe(self._topic)

    def put(self, message: Any) -> None:
        """Refuse: a request needs a handler for its reply."""
        self.send(message, SendOptions())

    def send(self, message: Any, options: SendOptions) -> None:
        """Send a request; `options.handler` gets the reply."""
        options.allow(self.kind, "handler", "wait", "on_error", "timeout")
        frames = self.encode(message)
        request = self.asker.begin(options)
        try:
            self._requests.send([self._topic, request, *frames], options.timeout)
        except Exception:
            self.asker.withdraw(request)
            raise

    def reply(self, topic: bytes, frames: list[Any]) -> bool:
        """Take a reply that is addressed to this subscriber."""
        if topic != self._topic:
            return True  # somebody else's: who subscribes to everything is sent the replies of all
        if len(frames) < 2:
            self.bad(SerializationError("a reply without a body"))
        else:
            self.asker.reply(bytes(frames[0]), frames[1:])
        return True

    def reconnect(self, server: AgentAddress | AgentChannel) -> None:
        """Leave the publisher and connect to another one; the subscriptions stay."""
        assert isinstance(server, AgentChannel)
        assert isinstance(self.address, AgentChannel)
        own, other = self.address, server
        assert own.receiver is not None and own.sender is not None  # noqa: PT018 - both ends belong to the kind
        assert other.receiver is not None and other.sender is not None  # noqa: PT018
        self.socket.disconnect(own.receiver.endpoint())
        self._requests.disconnect(own.sender.endpoint())
        self.address = server.twin()
        self.socket.connect(str(server.transport), other.sender.endpoint())
        self._requests.connect(str(server.transport), other.receiver.endpoint())
        self.asker.fail(_moved())

    def close(self, linger: float) -> None:
        """Close both sockets; twice is fine."""
        self.asker.forget()
        self._requests.close(linger)
        super().close(linger)
