"""REQ and REP: one question, one answer, in turn."""

from __future__ import annotations

import contextlib
from typing import Any

from agentlab.agent.link import Desk, Link, SendOptions
from agentlab.agent.respond import Responder
from agentlab.errors import AgentStoppedError, ConnectionLostError, MessageTimeoutError
from agentlab.transport.sockets import Socket
from agentlab.wire.address import AgentAddress

LOOK_UP = 1.0  # seconds after which a wait without a limit looks whether the agent is to end


class ReqLink(Link):
    """Asks, by ``put``; :meth:`recv` gives the answer. After a time-out it may ask again at once; a late answer is dropped."""

    def __init__(self, desk: Desk, address: AgentAddress, socket: Socket) -> None:
        super().__init__(desk, address, socket)
        self.put = socket.sender(self.serializer.encode)  # type: ignore[method-assign, assignment]

    def send(self, message: Any, options: SendOptions) -> None:
        """Send a question; `options.timeout` seconds at most."""
        options.allow(self.kind, "timeout")
        self.socket.send(self.serializer.encode(message), options.timeout)

    def recv(self, timeout: float | None) -> Any:
        """Wait for the answer and give it, or raise the error that the handler raised there."""
        return self.decode_reply(self._wait(timeout))

    def _wait(self, timeout: float | None) -> list[Any]:
        if timeout is not None:
            return self.socket.recv(timeout)
        while True:
            with contextlib.suppress(MessageTimeoutError):
                return self.socket.recv(LOOK_UP)
            if self.desk.agent.ending():
                raise AgentStoppedError("the agent was asked to stop while it waited for a reply")
            if self.moved:
                raise ConnectionLostError("the agent that was asked has come back elsewhere; ask again, the request may have run")


class RepLink(Link):
    """Answers, one question after another."""

    def __init__(self, desk: Desk, address: AgentAddress, socket: Socket, handler: Any) -> None:
        super().__init__(desk, address, socket)
        self._responder = Responder(self, handler)
        self._reply = socket.sender(lambda frames: frames[0] if len(frames) == 1 else frames)

    def set_handler(self, handler: Any) -> None:
        """Give the questions to another handler."""
        self._responder.set_handler(handler)

    def serve(self, limit: int) -> bool:  # noqa: ARG002 - ZeroMQ wants the answer before the next question
        """Answer one question."""
        return self.socket.drain_messages(1, self._answer)

    def _answer(self, frames: list[Any]) -> None:
        state = {"paused": False}

        def reply(answer: list[Any]) -> None:
            if self.closed:
                return  # the handler has closed its own socket
            self._reply(answer)
            if state["paused"]:
                self.desk.loop.add(self)

        if not self._responder.respond(frames, reply):
            state["paused"] = True  # ZeroMQ wants this answer before the next question
            self.desk.loop.remove(self)
