"""What all links share: a link is a socket, its address, its serializer and what happens to its messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agentlab.agent.loop import Loop
from agentlab.control.remote_errors import error_from_bytes, error_to_bytes
from agentlab.errors import SerializationError, WrongAddressError
from agentlab.transport.sockets import Socket
from agentlab.wire.address import AgentAddress
from agentlab.wire.channel import AgentChannel
from agentlab.wire.serializers import Serializer, get_serializer

if TYPE_CHECKING:
    from agentlab.agent.coroutines import Coroutines
    from agentlab.agent.faults import Faults

PLAIN = ("raw", "json", "msgpack")


class Desk:
    """What an agent lends to its links: itself, its loop, and where errors go."""

    def __init__(self, agent: Any, loop: Loop, faults: Faults, coroutines: Coroutines) -> None:
        self.agent = agent
        self.loop = loop
        self.faults = faults
        self.coroutines = coroutines
        self.open_socket: type[Socket] = Socket
        """What makes sockets; the test kit has others."""


class Link:
    """One socket of an agent. Everything here runs in the thread that owns the agent.

    Args:
        desk: What the agent lends.
        address: The agent's own side: an address, or a channel.
        socket: The socket, bound or connected.
    """

    def __init__(self, desk: Desk, address: AgentAddress | AgentChannel, socket: Socket) -> None:
        self.desk = desk
        self.address = address
        self.socket = socket
        socket.give_up = desk.agent.ending
        self.serializer: Serializer = get_serializer(str(address.serializer))
        self.bad_messages = 0
        self.closed = False
        self.remote: tuple[str, str] | None = None
        """Agent and alias that the link follows, when it was connected by name."""
        self.moved = False
        """Whether that agent has come back elsewhere, and the loop has not connected there yet; set from any thread."""

    @property
    def backlog(self) -> bool:
        """Whether messages are here that no socket will announce again."""
        return False

    @property
    def waiting(self) -> int:
        """How many messages are here and wait for their handler; any thread."""
        return 0

    @property
    def handled(self) -> int:
        """How many messages have come and were handled, or tried; any thread."""
        return int(self.socket.received)

    def topics(self) -> list[bytes]:
        """Give the topics that it has subscribed to; any thread."""
        return []

    @property
    def bound(self) -> bool:
        """Whether the agent is the server: it has bound, and others connect."""
        if isinstance(self.address, AgentChannel):
            return self.address.kind in ("ASYNC_REP", "SYNC_PUB")
        return self.address.role == "server"

    @property
    def kind(self) -> str:
        """The kind of the agent's own side, as text."""
        return str(self.address.kind)

    def serve(self, limit: int) -> bool:
        """Serve up to `limit` messages; True when nothing is left. Links that nothing comes to are never asked."""
        raise WrongAddressError(f"nothing is received on {self.kind}")

    def put(self, message: Any) -> None:
        """Send one message with nothing special about it."""
        raise WrongAddressError(f"a {self.kind} socket does not send; send on its twin")

    def send(self, message: Any, options: SendOptions) -> Any:
        """Send one message with a topic, a handler of the reply, or a timeout."""
        options.allow(self.kind, "timeout")
        raise WrongAddressError(f"a {self.kind} socket does not send; send on its twin")

    def send_many(self, messages: list[Any]) -> None:
        """Send messages in order."""
        for message in messages:
            self.put(message)

    def recv(self, timeout: float | None) -> Any:
        """Wait for one message and give it."""
        raise WrongAddressError(f"cannot wait for a message on {self.kind}; its handler is given them")

    def set_handler(self, handler: Any) -> None:
        """Give the messages to another handler."""
        raise WrongAddressError(f"a {self.kind} socket has no handler")

    def reconnect(self, server: AgentAddress | AgentChannel) -> None:
        """Leave the server and connect to another one of the same kind."""
        assert isinstance(self.address, AgentAddress)
        assert isinstance(server, AgentAddress)
        self.socket.disconnect(self.address.endpoint())
        self.address = server.twin()
        self.socket.connect(str(server.transport), server.endpoint())

    def close(self, linger: float) -> None:
        """Close; twice is fine."""
        self.closed = True
        self.desk.loop.remove(self)
        self.socket.close(linger)

    def bad(self, error: BaseException) -> None:
        """Count and log a message that could not be understood."""
        self.bad_messages += 1
        self.desk.faults.bad_message(self.kind, error)

    # --- frames ---------------------------------------------------------------------------------------------------

    def encode(self, message: Any) -> list[Any]:
        """Give the frames of a message."""
        data = self.serializer.encode(message)
        return data if isinstance(data, list) else [data]

    def encode_error(self, error: BaseException) -> list[Any]:
        """Give the frames of an error as a reply."""
        return self.serializer.encode_error(error_to_bytes(error, security=self._error_format()))

    def decode_reply(self, frames: list[Any]) -> Any:
        """Give the message of a reply, or raise the error that it carries."""
        message, error = self.open_reply(frames)
        if error is not None:
            raise error
        return message

    def open_reply(self, frames: list[Any]) -> tuple[Any, BaseException | None]:
        """Give the message of a reply, or the error that it carries.

        Raises:
            SerializationError: it cannot be read.
        """
        kind, content = self.serializer.decode_multi(frames)
        if kind == "error":
            return None, error_from_bytes(bytes(content), security=self._error_format())
        return content, None

    def decode_request(self, frames: list[Any]) -> Any:
        """Give the message of a request.

        Raises:
            SerializationError: it is none.
        """
        kind, content = self.serializer.decode_multi(frames)
        if kind != "value":
            raise SerializationError(f"a request must be one plain message, not a {kind}")
        return content

    def _error_format(self) -> str:
        return "none" if self.serializer.name in PLAIN else "keys"


class SendOptions:
    """The options of one `send`, and which of them a kind of socket knows."""

    __slots__ = ("handler", "on_error", "timeout", "topic", "wait")

    def __init__(
        self,
        topic: str | bytes | None = None,
        handler: Any = None,
        wait: float | None = None,
        on_error: Any = None,
        timeout: float | None = None,
    ) -> None:
        self.topic = topic
        self.handler = handler
        self.wait = wait
        self.on_error = on_error
        self.timeout = timeout

    def allow(self, kind: str, *names: str) -> None:
        """Refuse options that would be ignored.

        Raises:
            ValueError: an option is set that this kind of socket does not know.
        """
        for name in self.__slots__:
            if name not in names and getattr(self, name) is not None:
                raise ValueError(f"send on a {kind} socket has no option {name!r}; it knows {', '.join(names) or 'none'}")


Deliver = Callable[[Any], object]
