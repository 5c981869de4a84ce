"""The client's side of a channel: requests by number, their handlers and deadlines, the replies."""

from __future__ import annotations

from functools import partial
from typing import Any

from agentlab.agent.handlers import accepts_positions, method_of, resolve
from agentlab.agent.link import Desk, Link, SendOptions
from agentlab.agent.pipes import awaited
from agentlab.agent.requests import Pending, PendingRequests, number_from_bytes, number_to_bytes
from agentlab.errors import HandlerError, SerializationError


class Asker:
    """The requests of one client of a channel: numbers, handlers, deadlines, replies."""

    def __init__(self, link: Link, handler: Any) -> None:
        self._link = link
        self._default = handler
        self.pending = PendingRequests()
        if handler is not None:
            resolve(link.desk.agent, handler)  # a wrong one is an error now

    def set_handler(self, handler: Any) -> None:
        """Give the replies of later requests to another handler."""
        resolve(self._link.desk.agent, handler)
        self._default = handler

    def begin(self, options: SendOptions) -> bytes:
        """Remember a request; give the frame that stands for it."""
        desk = self._link.desk
        handler = self._default if options.handler is None else options.handler
        if handler is None:
            raise HandlerError("nobody would get the reply; give a handler to connect() or to send()")
        call = awaited(desk, handler, resolve(desk.agent, handler))
        on_error = _error_hook(desk, options.on_error)
        number = self.pending.next_number()
        timer = None
        if options.wait is not None:
            timer = desk.loop.after_internal(options.wait, partial(self._give_up, number, options.wait))
        self.pending.add(number, Pending(call, on_error, timer))
        return number_to_bytes(number)

    def withdraw(self, request: bytes) -> None:
        """Forget a request that could not be sent."""
        self._take(int.from_bytes(request, "big"))

    def _take(self, number: int) -> Pending | None:
        pending = self.pending.take(number)
        if pending is not None and pending.timer is not None:
            self._link.desk.loop.deadlines.stop(pending.timer)
        return pending

    def _give_up(self, number: int, wait: float) -> None:
        pending = self.pending.take(number)
        if pending is None:
            return
        if pending.on_error is None:
            self._link.desk.agent.log_warning(f"Did not receive request {number} after {wait:g} seconds")
        else:
            pending.on_error(None)

    def reply(self, request: bytes, frames: list[Any]) -> None:
        """Give a reply to its handler."""
        number = number_from_bytes(request)
        pending = None if number is None else self._take(number)
        if pending is None:
            self._link.desk.agent.log_warning(f"Received response for an unknown request! {number}")
            return
        try:
            message, error = self._link.open_reply(frames)
        except SerializationError as unreadable:
            self._link.bad(unreadable)
            if pending.on_error is not None:
                pending.on_error(unreadable)
            return
        if error is None:
            pending.handler(message)
        elif pending.on_error is None:
            raise error
        else:
            pending.on_error(error)

    def forget(self) -> None:
        """Forget all requests, for the socket closes: their replies and errors are wanted no more."""
        self._take_all()

    def fail(self, error: Exception) -> None:
        """Tell all requests that their replies will not come."""
        for pending in self._take_all():
            if pending.on_error is None:
                self._link.desk.agent.log_warning(f"Did not receive a reply: {error}")
            else:
                pending.on_error(error)

    def _take_all(self) -> list[Pending]:
        taken = self.pending.take_all()
        for pending in taken:
            if pending.timer is not None:
                self._link.desk.loop.deadlines.stop(pending.timer)
        return taken


def _error_hook(desk: Desk, on_error: Any) -> Any:
    """Give a callable of the error (None: no reply came) for `on_error(agent)` or `on_error(agent, error)`."""
    if on_error is None:
        return None
    call = _call_of_error(desk.agent, on_error)
    return lambda error: desk.coroutines.take(call(error))


def _call_of_error(agent: Any, on_error: Any) -> Any:
    if isinstance(on_error, str):
        method = method_of(agent, on_error)
        return method if accepts_positions(method, 1) else lambda _: method()
    if not callable(on_error):
        raise HandlerError(f"on_error is {on_error!r}; give a function of the agent, or the name of a method")
    if getattr(on_error, "__self__", None) is agent:
        return on_error if accepts_positions(on_error, 1) else lambda _: on_error()
    return partial(on_error, agent) if accepts_positions(on_error, 2) else lambda _: on_error(agent)
