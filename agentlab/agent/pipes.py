"""PUSH and PULL: one way, nothing dropped, shared out among those who pull."""

from __future__ import annotations

import inspect
from collections import deque
from typing import Any

from agentlab.agent.handlers import resolve_many
from agentlab.agent.link import Deliver, Desk, Link, SendOptions
from agentlab.errors import SerializationError
from agentlab.transport.sockets import Socket
from agentlab.wire.address import AgentAddress

_NOT_PLAIN = "a frame does not begin like one of this serializer; both ends must use the same"


class _PauseError(Exception):
    """A batch is larger than this turn of the loop may handle."""


class PushLink(Link):
    """Sends; waits while every receiver is full."""

    def __init__(self, desk: Desk, address: AgentAddress, socket: Socket) -> None:
        super().__init__(desk, address, socket)
        raw = self.serializer.name == "raw"
        self.put = socket.sender(self.serializer.encoder(), bytes_as_they_are=raw)  # type: ignore[method-assign, assignment]

    def send(self, message: Any, options: SendOptions) -> None:
        """Send; `options.timeout` seconds at most."""
        options.allow(self.kind, "timeout")
        self.socket.send(self.serializer.encode(message), options.timeout)

    def send_many(self, messages: list[Any]) -> None:
        """Send messages in order, many to a frame where the serializer allows it."""
        for data in self.serializer.encode_many(messages):
            self.socket.send(data)


class PullLink(Link):
    """Hands what comes to a handler, or to a list of handlers in order."""

    def __init__(self, desk: Desk, address: AgentAddress, socket: Socket, handler: Any) -> None:
        super().__init__(desk, address, socket)
        self._backlog: deque[Any] = deque()
        self._limit = 1
        self._more = 0  # messages that came in batches, less the frames that they came in: those the socket counts
        self.set_handler(handler)

    @property
    def backlog(self) -> bool:
        """Whether some messages of a batch are still to be handled."""
        return bool(self._backlog)

    @property
    def waiting(self) -> int:
        """How many messages of batches are still to be handled; any thread."""
        return len(self._backlog)

    @property
    def handled(self) -> int:
        """How many messages have come and were handled, or tried; any thread."""
        return self.socket.received + self._more - len(self._backlog)

    def set_handler(self, handler: Any) -> None:
        """Give the messages to another handler."""
        self._call = awaited(self.desk, handler, resolve_many(self.desk.agent, handler))
        self._deliver = self._call if self.serializer.name == "raw" else self._make_deliver()

    def _make_deliver(self) -> Deliver:
        loads, call, start = self.serializer.decoder(), self._call, self.serializer.plain_start

        def deliver(data: bytes) -> None:
            try:
                if start is not None and data[0] != start:
                    raise SerializationError(_NOT_PLAIN)
                message = loads(data)
            except Exception as error:  # noqa: BLE001 - hostile bytes may raise anything; and headers are no plain frames
                self._special(data, error)
                return
            call(message)

        return deliver

    def _special(self, first: bytes, error: Exception) -> None:
        """Handle what is no plain frame: several frames, a batch, or nothing that can be understood."""
        if not self.serializer.is_header(first):
            self.bad(error)
            return
        try:
            kind, content = self.serializer.decode_multi([first, *self.socket.rest()])
            if kind == "error":
                raise SerializationError("an error reply has no place on PULL")
        except SerializationError as unfit:
            self.bad(unfit)
            return
        if kind == "value":
            self._call(content)
            return
        self._more += len(content) - 1
        if len(content) > self._limit:
            self._backlog.extend(content)
            raise _PauseError  # whatever else is in the socket comes after these
        self._handle_all(content)

    def _handle_all(self, messages: list[Any]) -> None:
        left, call = iter(messages), self._call
        try:
            for message in left:
                call(message)
                if self.closed:  # the handler has closed its own socket
                    return
        except BaseException:
            self._backlog.extend(left)  # one bad message of a batch harms no other
            raise

    def serve(self, limit: int) -> bool:
        """Handle up to `limit` messages, or frames of as many."""
        self._limit = limit
        backlog = self._backlog
        while backlog and limit > 0 and not self.closed:
            limit -= 1
            self._call(backlog.popleft())
        if self.closed:  # the handler has closed its own socket
            backlog.clear()
            return True
        if backlog:
            return False
        try:
            return self.socket.drain(limit, self._deliver)
        except _PauseError:
            return False

    def recv(self, timeout: float | None) -> Any:
        """Wait for one message and give it, past the handler."""
        if self._backlog:
            return self._backlog.popleft()
        kind, content = self.serializer.decode_multi(self.socket.recv(timeout))
        if kind != "batch":
            return content
        self._backlog.extend(content)
        self.desk.loop.come_back_to(self)
        return self._backlog.popleft() if self._backlog else self.recv(timeout)


def awaited(desk: Desk, handler: Any, call: Deliver) -> Deliver:
    """Give `call`, or a version that runs the coroutines which an `async def` handler returns."""
    if not has_async(desk.agent, handler):
        return call

    def run(message: Any) -> None:
        desk.coroutines.take(call(message))

    return run


def has_async(agent: object, handler: Any) -> bool:
    """Tell whether a handler, or one of a list, is an `async def` function."""
    if isinstance(handler, (list, tuple)):
        return any(has_async(agent, one) for one in handler)
    if isinstance(handler, str):
        handler = getattr(agent, handler, None)
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004
